// SPDX-License-Identifier: GPL-2.0

//! BARs: claiming, mapping, and the rest of the last page of one that does not fill it.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/ioport.h`](srctree/include/linux/ioport.h)

use crate::abstractions::{
    io::mem::{
        IoMem,
        Unmap, //
    },
    pci::{
        Function,
        NUM_BARS, //
    }, //
};
use kernel::{
    error::to_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    types::Opaque, //
};
use vfio::abstractions::{
    bindings,
    mm::pfnmap::{
        self,
        FrameRange, //
    }, //
};

/// The name under which BARs appear in `/proc/iomem` and `/proc/ioports`.
const OWNER: &CStr = c"vfio";

/// The size of a page, as resources are measured.
const PAGE: u64 = PAGE_SIZE as u64;

/// A BAR that is claimed, without being mapped yet.
struct Claim {
    function: Function,
    index: c_int,
}

impl Claim {
    fn new(function: Function, index: usize) -> Result<Self> {
        if index >= NUM_BARS {
            return Err(EINVAL);
        }
        // CAST: The index is less than six.
        let index = index as c_int;
        // SAFETY: The function is valid, and the name is static.
        to_result(unsafe {
            bindings::pci_request_selected_regions(
                function.as_raw(),
                1 << index,
                OWNER.as_char_ptr(),
            )
        })?;

        Ok(Self { function, index })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: Requested by `new()`.
        unsafe {
            bindings::pci_release_selected_regions(self.function.as_raw(), 1 << self.index);
        }
    }
}

/// A BAR that is claimed and mapped as a whole.
pub(crate) struct MappedBar {
    // Dropped in this order.
    registers: IoMem,
    _claim: Claim,
}

impl MappedBar {
    /// Claims and maps BAR `index`, in memory or in I/O ports.
    ///
    /// # Errors
    ///
    /// EBUSY if it belongs to somebody else, ENOMEM if it cannot be mapped.
    pub(crate) fn new(function: &Function, index: usize) -> Result<Self> {
        let claim = Claim::new(function.clone(), index).map_err(|_| EBUSY)?;
        let len = usize::try_from(function.resource(index).len).map_err(|_| ENOMEM)?;
        // SAFETY: The function is valid. The callee checks that the BAR has an address.
        let cookie = unsafe { bindings::pci_iomap(function.as_raw(), claim.index, 0) };
        // SAFETY: A maximum length of zero means the whole BAR.
        let registers = unsafe { IoMem::new(cookie, len, Unmap::Bar(function.clone())) };

        Ok(Self {
            registers: registers.ok_or(ENOMEM)?,
            _claim: claim,
        })
    }

    /// The registers.
    #[inline]
    pub(crate) fn registers(&self) -> &IoMem {
        &self.registers
    }
}

/// The page frames of a memory BAR, in which there is nothing else.
pub(crate) struct BarFrames {
    frames: FrameRange,
    _remainder: Option<PageRemainder>,
}

impl BarFrames {
    /// Finds out which ones they are. A BAR that does not fill its last page, as it is smaller than
    /// one, has the whole page if nothing else is in there; then the rest is reserved.
    ///
    /// `None`: there is no such BAR, it has no address, or it shares a page.
    pub(crate) fn new(function: &Function, index: usize) -> Option<Self> {
        let bar = function.resource(index);
        if index >= NUM_BARS || !bar.is_memory() || bar.start == 0 || bar.start % PAGE != 0 {
            return None;
        }
        let remainder = if bar.len % PAGE != 0 {
            Some(PageRemainder::reserve(function, index).ok()?)
        } else {
            None
        };

        Some(Self {
            // SAFETY: The BAR starts a page. It ends one, alone or with what was reserved, so that
            // there is nothing else in these. Who gives it a caching type has claimed it, as a
            // whole.
            frames: unsafe { FrameRange::new(bar.start >> PAGE_SHIFT, pfnmap::pages(bar.len)) }?,
            _remainder: remainder,
        })
    }

    /// The page frames.
    #[inline]
    pub(crate) fn frames(&self) -> FrameRange {
        self.frames
    }
}

/// The rest of the last page of a BAR, reserved so that nothing else is ever placed there.
struct PageRemainder {
    resource: Pin<KBox<Opaque<bindings::resource>>>,
    /// Keeps its bus, and with it the bridge, whose window the resource is in.
    _function: Function,
}

// SAFETY: The resource is part of a tree that the resource lock protects; only `drop()` uses it.
unsafe impl Send for PageRemainder {}

// SAFETY: There is no method that takes `&self`.
unsafe impl Sync for PageRemainder {}

impl PageRemainder {
    /// Reserves what is between the end of BAR `index` and the end of the page that this is in.
    ///
    /// # Errors
    ///
    /// EINVAL if there is no such BAR, or it has no parent; EBUSY if something is there already;
    /// ENOMEM.
    fn reserve(function: &Function, index: usize) -> Result<Self> {
        let bar = function.resource(index);
        if index >= NUM_BARS {
            return Err(EINVAL);
        }
        let start = bar.start.checked_add(bar.len).ok_or(EINVAL)?;
        // SAFETY: The function is valid, and `index` is within the array.
        let (parent, flags) = unsafe {
            let resource = &raw const (*function.as_raw()).resource[index];
            ((*resource).parent, (*resource).flags)
        };
        if parent.is_null() {
            return Err(EINVAL);
        }

        let remainder = bindings::resource {
            start,
            end: start | (PAGE - 1),
            name: c"vfio sub-page reserved".as_char_ptr(),
            flags,
            ..pin_init::zeroed()
        };
        let resource = KBox::pin(Opaque::new(remainder), GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The window that the BAR lies in belongs to the bridge above the function, and is
        // there as long as the function is referred to. The new resource is pinned until `drop()`
        // releases it.
        to_result(unsafe { bindings::request_resource(parent, resource.get()) })?;

        Ok(Self {
            resource,
            _function: function.clone(),
        })
    }
}

impl Drop for PageRemainder {
    fn drop(&mut self) {
        // SAFETY: Requested by `reserve()`.
        unsafe { bindings::release_resource(self.resource.get()) };
    }
}
