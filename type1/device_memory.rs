// SPDX-License-Identifier: GPL-2.0

//! Memory of devices in a mapping: whose it is, and how it is taken away.
//!
//! A device reaches the memory of another one at the page frames of its BARs.
//! Nothing counts references to these, so they must not outlive the other
//! device's owner. Before a mapping takes page frames of a device it has a
//! [`ReleaseNotifier`] on it; before the device is released, the mapping loses
//! them, in every domain of its container. The device that is watched may be in
//! another container, or in none.

use super::{
    container::Shared,
    LocalModule, //
};
use core::ops::Range;
use kernel::{
    mm::virt::VmaRef,
    module::this_module,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use vfio::{
    abstractions::{
        module_ref::ModuleRef,
        ratelimit::RateLimit, //
    },
    device::Device,
    notifier::{
        ReleaseHandler,
        ReleaseNotifier, //
    }, //
};

/// A device whose memory a mapping has. It keeps the device's object, and the code
/// of its driver.
///
/// Must not be dropped with the container's mutex held: that waits for calls
/// of [`Revoke`], which take it.
pub(super) struct Watched {
    /// The device's name in the mapping.
    source: u64,
    notifier: ReleaseNotifier,
}

/// Memory of a device: which pages of the mapping.
struct Segment {
    source: u64,
    pages: Range<u64>,
}

/// The memory of devices in one mapping.
///
/// Must not be dropped with the container's mutex held, as [`Watched`], unless it
/// [has lost](Self::is_empty) all of them.
#[derive(Default)]
pub(super) struct DeviceMemory {
    watched: KVec<Watched>,
    /// In ascending order. One for each page of the mapping at worst.
    segments: KVVec<Segment>,
    /// The next one in a list of those that are to be dropped.
    next: Option<KBox<DeviceMemory>>,
}

impl DeviceMemory {
    /// Notes that `pages` are memory of `source`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn add(&mut self, source: u64, pages: Range<u64>) -> Result {
        if let Some(last) = self.segments.last_mut() {
            if last.source == source && last.pages.end == pages.start {
                last.pages.end = pages.end;
                return Ok(());
            }
        }
        Ok(self
            .segments
            .push(Segment { source, pages }, GFP_KERNEL_ACCOUNT)?)
    }

    /// The pages that are memory of `source`.
    pub(super) fn ranges_of(&self, source: u64) -> impl Iterator<Item = &Range<u64>> + Clone {
        self.segments
            .iter()
            .filter(move |segment| segment.source == source)
            .map(|segment| &segment.pages)
    }

    /// The mapping has lost the memory of `source`, which nobody needs to watch any
    /// more.
    pub(super) fn lose(&mut self, source: u64) -> Option<Watched> {
        self.segments.retain(|segment| segment.source != source);
        let index = self
            .watched
            .iter()
            .position(|watched| watched.source == source)?;
        self.watched.remove(index).ok()
    }

    /// Whether there is no device whose memory the mapping may have.
    pub(super) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }
}

/// The devices of a mapping under construction.
pub(super) struct Devices<'a> {
    pub(super) container: &'a Arc<Shared>,
    /// The last address of the mapping, which is its name in the container.
    pub(super) last: u64,
    pub(super) memory: &'a mut Option<KBox<DeviceMemory>>,
}

impl Devices<'_> {
    /// Watches the device whose memory is in `vma` and returns its name in the
    /// mapping. From now on the device is not released without the mapping
    /// having lost its memory. The mmap lock is held, as the reference shows.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the area is not one of a VFIO device, so that nobody would say
    /// when its page frames go, unless the kernel was configured to accept
    /// that; or the device is being released. `ENOMEM`.
    pub(super) fn watch(&mut self, vma: &VmaRef) -> Result<Option<u64>> {
        let Some(device) = Device::from_vma(vma) else {
            return refuse_foreign();
        };
        if self.memory.is_none() {
            *self.memory = Some(KBox::new(DeviceMemory::default(), GFP_KERNEL_ACCOUNT)?);
        }
        let memory = self.memory.as_mut().ok_or(ENOMEM)?;
        let known = memory
            .watched
            .iter()
            .find(|watched| Arc::ptr_eq(watched.notifier.device(), &device));
        if let Some(watched) = known {
            return Ok(Some(watched.source));
        }
        let source = next_source();
        let handler = Arc::new(
            Revoke {
                container: self.container.clone(),
                last: self.last,
                source,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        memory.watched.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let module = ModuleRef::get(this_module::<LocalModule>())?;
        let notifier =
            ReleaseNotifier::register(&device, handler, module).map_err(|error| match error {
                ENOMEM => ENOMEM,
                _ => EFAULT,
            })?;
        let watched = Watched { source, notifier };
        memory.watched.push(watched, GFP_KERNEL_ACCOUNT)?;
        Ok(Some(source))
    }
}

/// A name that no other registration has had, so that a late call cannot hit
/// another mapping at the same address.
fn next_source() -> u64 {
    static NEXT: Atomic<u64> = Atomic::new(0);
    NEXT.fetch_add(1, Relaxed)
}

/// Answers for page frames that are nobody's we know.
fn refuse_foreign() -> Result<Option<u64>> {
    static LIMIT: RateLimit = RateLimit::new();
    if cfg!(CONFIG_VFIO_RUST_UNSAFE_PFNMAP) {
        return Ok(None);
    }
    if LIMIT.permits() {
        pr_warn!(
            "Refusing to map page frames of an area that is not one of a VFIO device: \
             nobody would say when they are given to somebody else; \
             CONFIG_VFIO_RUST_UNSAFE_PFNMAP=y allows it\n"
        );
    }
    Err(EFAULT)
}

/// Takes the memory of a device out of a mapping before the device goes.
struct Revoke {
    container: Arc<Shared>,
    last: u64,
    source: u64,
}

impl ReleaseHandler for Revoke {
    fn released(&self) {
        self.container.revoke(self.last, self.source);
    }
}

/// What mappings that are gone have left to be dropped without the mutex.
pub(super) struct Retired(Option<KBox<DeviceMemory>>);

impl Retired {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Adds what a mapping has left. Allocates nothing, since it may be needed
    /// when there is no memory.
    pub(super) fn add(&mut self, memory: Option<KBox<DeviceMemory>>) {
        if let Some(mut memory) = memory {
            memory.next = self.0.take();
            self.0 = Some(memory);
        }
    }
}

impl Drop for Retired {
    fn drop(&mut self) {
        // One after the other: dropping the first alone would recurse.
        while let Some(mut memory) = self.0.take() {
            self.0 = memory.next.take();
        }
    }
}
