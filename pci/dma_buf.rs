// SPDX-License-Identifier: GPL-2.0

//! Parts of BARs as files (dma-bufs), for the DMA of other devices.
//!
//! Whoever has such a file can have it mapped for another device, or in an address space of
//! iommufd. So memory that the device does not answer on, or that is not the user's any more, is
//! taken away from the buffers whenever it is taken away from user space, and comes back to them
//! with it. A buffer can outlive its device, or the user's hold on it; it stands for nothing then.
//!
//! # Locking
//!
//! The lock of the list here is outside of those of the buffers. Importers are called with both of
//! them held, but without the memory lock, by somebody who keeps others from the memory; for as
//! long as that lasts, only they wait for the list.

use crate::{
    abstractions::{
        c_driver::pci_device::CPciDevice,
        dma_buf::{
            Attachment,
            Export,
            ExportTable,
            Exporter,
            Locked,
            MapRequest,
            Mapping,
            NewBuffer, //
        },
        pci::{
            p2pdma::{
                self,
                PeerMemory,
                PhysicalRange, //
            },
            Function, //
        },
        uapi::pci::{
            DmaBufHeader,
            DmaBufRange, //
        }, //
    },
    bars::Bars,
    region::Region,
    LocalModule, //
};
use kernel::{
    device::Core,
    module::this_module,
    new_mutex,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex, //
    },
    time::msecs_to_jiffies, //
};
use vfio::{
    abstractions::sync::completion::{
        Completion,
        Wait, //
    },
    device::{
        feature::{
            Payload,
            Request, //
        },
        Device, //
    }, //
};

/// How long an importer may take to let go before the log says so.
const PATIENCE_MS: u32 = 10_000;

/// How many ranges a buffer may have: 4 MiB of them.
const MAX_RANGES: usize = (4 << 20) / size_of::<DmaBufRange>();

/// The highest bit of a length means something else to the DMA API.
const MAX_LEN: usize = usize::MAX >> 1;

/// What all buffers of BARs have in common.
pub(crate) static TABLE: ExportTable<BarBuffer> =
    ExportTable::new(this_module::<LocalModule>(), c"vfio_pci_core");

/// Prepares a function that is being bound.
///
/// # Errors
///
/// ENOMEM.
pub(crate) fn prepare(device: &pci::Device<Core<'_>>) -> Result {
    match p2pdma::prepare(device) {
        // BARs that are not to be mapped are not exported either.
        Err(error) if error == EOPNOTSUPP => Ok(()),
        result => result,
    }
}

/// What the lock of a buffer protects.
pub(crate) struct State {
    revoked: bool,
    /// What the buffer stands for; nothing once the device has been closed.
    memory: Option<Arc<PeerMemory>>,
    /// How many times importers have it mapped.
    mappings: usize,
    /// Does somebody wait for that number to become zero?
    awaited: bool,
}

impl State {
    /// Returns what the buffer stands for.
    ///
    /// # Errors
    ///
    /// ENODEV if it has been revoked.
    fn memory(&self) -> Result<&Arc<PeerMemory>> {
        self.memory.as_ref().filter(|_| !self.revoked).ok_or(ENODEV)
    }

    /// Returns the range that the buffer stands for.
    ///
    /// # Errors
    ///
    /// ENODEV if it has been revoked, EOPNOTSUPP if there are more ranges than one.
    pub(crate) fn only_range(&self) -> Result<PhysicalRange> {
        match self.memory()?.ranges() {
            [range] => Ok(*range),
            _ => Err(EOPNOTSUPP),
        }
    }
}

/// A part of a BAR that has been exported.
#[pin_data]
pub(crate) struct BarBuffer {
    function: Function,
    exports: Arc<Exports>,
    /// Its place among them.
    serial: u64,
    #[pin]
    unmapped: Completion,
}

impl Exporter for BarBuffer {
    type State = State;

    fn attach(&self, state: &mut State, attachment: &Attachment<'_>) -> Result {
        if !attachment.is_peer_to_peer() {
            return Err(EOPNOTSUPP);
        }
        state.memory()?;
        if !attachment.is_revocable() {
            return Err(EOPNOTSUPP);
        }

        Ok(())
    }

    fn map<'a>(&self, state: &mut State, request: MapRequest<'a>) -> Result<Mapping<'a>> {
        let mappings = state.mappings.checked_add(1).ok_or(ENOMEM)?;
        let mapping = request.map(state.memory()?)?;
        state.mappings = mappings;

        Ok(mapping)
    }

    fn unmapped(&self, state: &mut State) {
        state.mappings = state.mappings.saturating_sub(1);
        if state.mappings == 0 && core::mem::take(&mut state.awaited) {
            self.unmapped.complete();
        }
    }

    fn released(&self) {
        let export = self.exports.list.lock().buffers.remove(&self.serial);
        // Lets go of the device, which is not to be done under a lock.
        drop(export);
    }
}

impl BarBuffer {
    /// Tells the importers to let go, and waits for their DMA to end.
    fn invalidate(&self, buffer: &mut Locked<'_, Self>) {
        buffer.invalidate();
        while !buffer.wait_for_fences(msecs_to_jiffies(PATIENCE_MS)) {
            self.complain("the DMA of another device to end");
        }
    }

    /// Waits until no importer has the buffer mapped.
    fn wait_until_unmapped(&self) {
        while self.unmapped.wait_timeout(msecs_to_jiffies(PATIENCE_MS)) != Wait::Completed {
            self.complain("another driver to unmap it");
        }
    }

    /// There is no way to give up, but whoever wonders why nothing goes on can be told.
    fn complain(&self, what: &str) {
        dev_warn!(
            self.function,
            "revoking an exported BAR: still waiting for {}\n",
            what
        );
    }
}

/// Takes the memory away from a buffer, for ever if `forever`.
fn revoke(export: &Export<BarBuffer>, forever: bool) {
    // A buffer that is being released has no importer left.
    let Some(buffer) = export.alive() else {
        return;
    };
    let exporter = export.exporter();
    let mut state = buffer.lock();
    if !core::mem::replace(&mut state.revoked, true) {
        exporter.invalidate(&mut state);
    }
    let is_mapped = state.mappings != 0;
    state.awaited = is_mapped;
    let memory = if forever { state.memory.take() } else { None };
    drop(state);

    if is_mapped {
        exporter.wait_until_unmapped();
    }
    // Now the device may go.
    drop(memory);
}

/// Gives the memory back to a buffer. Importers are told that it is worth another try.
fn restore(export: &Export<BarBuffer>) {
    let Some(buffer) = export.alive() else {
        return;
    };
    let mut state = buffer.lock();
    export.exporter().invalidate(&mut state);
    state.revoked = false;
}

struct List {
    /// Is the memory taken away from all buffers?
    revoked: bool,
    buffers: RBTree<u64, Arc<Export<BarBuffer>>>,
    /// Serial number of the next buffer.
    next: u64,
}

/// All buffers of a device.
#[pin_data]
pub(crate) struct Exports {
    #[pin]
    list: Mutex<List>,
}

impl Exports {
    /// Returns the buffers of a device that is closed: none.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(
                    List {
                        revoked: true,
                        buffers: RBTree::new(),
                        next: 0,
                    },
                    "vfio_pci_dma_bufs"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Takes the memory away from all buffers. When this returns, nothing accesses it through them.
    pub(crate) fn revoke(&self) {
        let mut list = self.list.lock();
        if !core::mem::replace(&mut list.revoked, true) {
            list.buffers
                .values()
                .for_each(|export| revoke(export, false));
        }
    }

    /// Is the memory taken away from all buffers?
    pub(crate) fn is_revoked(&self) -> bool {
        self.list.lock().revoked
    }

    /// Gives the memory back to all buffers.
    pub(crate) fn restore(&self) {
        let mut list = self.list.lock();
        if core::mem::take(&mut list.revoked) {
            list.buffers.values().for_each(|export| restore(export));
        }
    }

    /// The device is being closed: takes the memory away from all buffers, for ever, and forgets
    /// them.
    pub(crate) fn end(&self) {
        let mut list = self.list.lock();
        list.revoked = true;
        list.buffers
            .values()
            .for_each(|export| revoke(export, true));
        let buffers = core::mem::take(&mut list.buffers);
        drop(list);
        drop(buffers);
    }

    fn next_serial(&self) -> u64 {
        let mut list = self.list.lock();
        let serial = list.next;
        list.next = serial.wrapping_add(1);

        serial
    }

    /// Adds a buffer, which is revoked if the others are. Called with the memory lock held, and
    /// nobody else at it, so that the device is not closed, nor memory taken away, meanwhile.
    fn add(&self, export: &Arc<Export<BarBuffer>>) -> Result {
        let mut list = self.list.lock();
        let serial = export.exporter().serial;
        list.buffers
            .try_create_and_insert(serial, export.clone(), GFP_KERNEL_ACCOUNT)?;
        if let Some(buffer) = export.alive() {
            buffer.lock().revoked = list.revoked;
        }

        Ok(())
    }
}

/// Reads the ranges that follow the header.
fn read_ranges(payload: &Payload, count: u32) -> Result<KVVec<DmaBufRange>> {
    let count = usize::try_from(count)?;
    let len = count
        .checked_mul(size_of::<DmaBufRange>())
        .and_then(|len| len.checked_add(size_of::<DmaBufHeader>()))
        .ok_or(EINVAL)?;
    if payload.len() < len {
        return Err(EINVAL);
    }
    if count > MAX_RANGES {
        return Err(ENOMEM);
    }
    let mut reader = payload.reader();
    reader.skip(size_of::<DmaBufHeader>())?;
    let mut ranges = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
    for _ in 0..count {
        ranges.push(reader.read()?, GFP_KERNEL_ACCOUNT)?;
    }

    Ok(ranges)
}

/// Returns the length of all ranges together.
fn total_len(ranges: &[DmaBufRange]) -> Result<usize> {
    const PAGE: u64 = PAGE_SIZE as u64;

    let mut total: usize = 0;
    for range in ranges {
        if range.length == 0 || range.offset % PAGE != 0 || range.length % PAGE != 0 {
            return Err(EINVAL);
        }
        let len = usize::try_from(range.length)?;
        total = total.checked_add(len).ok_or(EINVAL)?;
    }
    if total > MAX_LEN {
        return Err(EINVAL);
    }

    Ok(total)
}

/// Exports ranges of one of the BARs of `function` and returns the descriptor of the buffer, which
/// is added to `exports`. `publish` does that with the memory lock held, and nobody else at it.
///
/// # Errors
///
/// EOPNOTSUPP if a driver in C exports nothing; EFAULT; EINVAL for a header or ranges that are
/// wrong, a BAR that is not memory, or a range beyond its end; ENODEV for a region that is no BAR,
/// one that could not be claimed, or a device that is going; EOVERFLOW for a range that wraps;
/// ENOMEM for too many of them; ENFILE or EMFILE without room for the file; that of a driver in C,
/// or of `publish`.
pub(crate) fn export_bar(
    function: &Function,
    bars: &Bars,
    exports: &Arc<Exports>,
    device: &Device,
    request: &Request,
    c_device: Option<&CPciDevice>,
    publish: impl FnOnce(&dyn Fn(&Exports) -> Result) -> Result,
) -> Result<isize> {
    if c_device.is_some_and(|device| !device.exports_memory()) {
        return Err(EOPNOTSUPP);
    }
    let Some(payload) = request.get(size_of::<DmaBufHeader>())? else {
        return Ok(0);
    };
    let header: DmaBufHeader = payload.read()?;
    if header.nr_ranges == 0 || header.flags != 0 {
        return Err(EINVAL);
    }
    let Some(Region::Bar(index)) = Region::from_index(header.region_index) else {
        return Err(ENODEV);
    };
    let bar = bars
        .get(index)
        .filter(|bar| bar.mapped().is_ok())
        .ok_or(ENODEV)?;
    let ranges = read_ranges(payload, header.nr_ranges)?;
    let len = total_len(&ranges)?;
    // A driver in C may have something else to say of its BARs.
    if c_device.is_none() && !bar.resource().is_memory() {
        return Err(EINVAL);
    }
    let hold = device.hold().ok_or(ENODEV)?;
    let memory = match c_device {
        Some(device) => device.peer_memory(function, index, &ranges, hold)?,
        None => PeerMemory::new(function, index, &ranges, hold)?,
    };
    let buffer = create_buffer(function, exports, memory, len, header.open_flags)?;
    publish(&|exports| exports.add(buffer.export()))?;
    let fd = buffer.into_fd(header.open_flags)?;

    // CAST: An `isize` has 64 bits where this driver runs.
    Ok(fd as isize)
}

fn create_buffer(
    function: &Function,
    exports: &Arc<Exports>,
    memory: PeerMemory,
    len: usize,
    flags: u32,
) -> Result<NewBuffer<BarBuffer>> {
    let exporter = pin_init!(BarBuffer {
        function: function.clone(),
        serial: exports.next_serial(),
        exports: exports.clone(),
        unmapped <- Completion::new(),
    });
    let state = State {
        revoked: true,
        memory: Some(Arc::new(memory, GFP_KERNEL_ACCOUNT)?),
        mappings: 0,
        awaited: false,
    };

    TABLE.export(exporter, state, len, flags)
}
