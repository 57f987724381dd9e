// SPDX-License-Identifier: GPL-2.0

//! The BARs of a device that is open.

use crate::{
    abstractions::{
        io::mem::IoMem,
        pci::{
            bar::{
                BarFrames,
                MappedBar, //
            },
            Function,
            Resource,
            NUM_BARS, //
        }, //
    },
    config::Width, //
};
use core::ops::Range;
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};
use vfio::abstractions::{
    mm::pfnmap::FrameRange,
    nospec, //
};

/// A BAR.
pub(crate) struct Bar {
    resource: Resource,
    mapped: Result<MappedBar>,
    /// May user space map it?
    mappable: bool,
    /// Offsets that the user does not get at: those of the MSI-X table.
    hidden: Range<usize>,
    frames: Option<BarFrames>,
}

impl Bar {
    /// Claims and maps a BAR. What fails is answered when the user wants to access it.
    fn new(function: &Function, index: usize, msix_table: Option<&MsixTable>) -> Self {
        let resource = function.resource(index);
        let mapped = if function.bars_not_mappable() || resource.len == 0 {
            Err(ENODEV)
        } else {
            MappedBar::new(function, index)
        };
        let (mappable, frames) = Self::may_be_mapped(function, index, &resource);

        Self {
            resource,
            mapped,
            mappable,
            hidden: msix_table
                .filter(|table| table.bar == index)
                .map_or(0..0, |table| table.range.clone()),
            frames,
        }
    }

    /// A BAR that shares its page with something else is not mapped. One that is smaller than a
    /// page is, if the rest of the page is nobody's; then that is reserved.
    fn may_be_mapped(
        function: &Function,
        index: usize,
        resource: &Resource,
    ) -> (bool, Option<BarFrames>) {
        if function.bars_not_mappable() || !resource.is_memory() || resource.len == 0 {
            return (false, None);
        }
        let frames = BarFrames::new(function, index);

        (frames.is_some() || resource.len >= PAGE_SIZE as u64, frames)
    }

    /// Address, length and kind.
    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// May user space map it?
    pub(crate) fn is_mappable(&self) -> bool {
        self.mappable
    }

    /// The page frames that user space may map. Without an address it has none, though it may be
    /// mapped.
    pub(crate) fn frames(&self) -> Option<FrameRange> {
        self.frames.as_ref().map(BarFrames::frames)
    }

    /// Offsets that the user does not get at; there may be none.
    pub(crate) fn hidden(&self) -> Range<usize> {
        self.hidden.clone()
    }

    /// Returns the mapped registers.
    ///
    /// # Errors
    ///
    /// EBUSY if somebody else has claimed them, ENOMEM if they could not be mapped, ENODEV if
    /// there are none or they must not be mapped.
    pub(crate) fn mapped(&self) -> Result<&MappedBar> {
        self.mapped.as_ref().map_err(|error| *error)
    }
}

/// All BARs of a function, claimed and mapped.
pub(crate) struct Bars([Bar; NUM_BARS]);

impl Bars {
    /// Claims and maps the BARs of `function`.
    pub(crate) fn new(function: &Function) -> Self {
        let msix_table = MsixTable::find(function);

        Self(core::array::from_fn(|index| {
            Bar::new(function, index, msix_table.as_ref())
        }))
    }

    /// Returns BAR `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&Bar> {
        self.0.get(index)
    }

    /// Returns the registers of BAR `index`, and `offset` in them, if nothing is special
    /// about `bytes` bytes there: they begin in the BAR, and the user gets at them. The offset
    /// that is returned is within the BAR even where a processor speculates.
    #[inline]
    pub(crate) fn register(
        &self,
        index: usize,
        offset: u64,
        bytes: usize,
    ) -> Option<(&IoMem, usize)> {
        let bar = self.0.get(index).filter(|bar| bar.resource.start != 0)?;
        let io = bar.mapped.as_ref().ok()?.registers();
        let offset = nospec::checked_index(usize::try_from(offset).ok()?, io.len())?;
        let end = offset.checked_add(bytes)?;

        (end <= bar.hidden.start || offset >= bar.hidden.end).then_some((io, offset))
    }

    /// Returns what user space may map of BAR `index`.
    #[inline]
    pub(crate) fn window(&self, index: usize) -> Option<FrameRange> {
        self.0.get(index)?.frames()
    }
}

/// Where the MSI-X table is.
struct MsixTable {
    /// Index of the BAR.
    bar: usize,
    /// Offsets in it.
    range: Range<usize>,
}

impl MsixTable {
    /// Asks the capability of `function`.
    fn find(function: &Function) -> Option<Self> {
        const FLAGS: u16 = bindings::PCI_MSIX_FLAGS as u16;
        const TABLE: u16 = bindings::PCI_MSIX_TABLE as u16;
        const LAST_VECTOR: u16 = 0x7ff;
        const BAR_BITS: u32 = 0x7;
        const ENTRY_SIZE: usize = 16;

        let capability = function.msix_capability()?;
        let flags = function.read_config_word(capability.checked_add(FLAGS)?);
        let table = function.read_config(capability.checked_add(TABLE)?, Width::Dword);
        let start = usize::try_from(table & !BAR_BITS).ok()?;
        let vectors = usize::from(flags & LAST_VECTOR).checked_add(1)?;
        let len = vectors.checked_mul(ENTRY_SIZE)?;

        Some(Self {
            bar: usize::try_from(table & BAR_BITS).ok()?,
            range: start..start.checked_add(len)?,
        })
    }
}
