// SPDX-License-Identifier: GPL-2.0

//! Memory of devices in a mapping: whose it is, and how it is taken away.
//!
//! A device reaches the memory of another one at the page frames of its BARs.
//! Nothing counts references to these, so they must not outlive the other
//! device's owner. Before a mapping takes page frames of a device it has a
//! [`ReleaseNotifier`] on it; before the device is released, the mapping loses
//! them, in every domain of its container. The device that is watched may be in
//! another container, or in none.

use super::LocalModule;
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
        mm::pfnmap::FrameRange,
        module_ref::ModuleRef,
        ratelimit::RateLimit, //
    },
    device::Device,
    notifier::{
        ReleaseHandler,
        ReleaseNotifier,
        WatchedMemory, //
    }, //
};

/// A device whose memory a mapping has. It keeps the device's object, and the code
/// of its driver.
///
/// Must not be dropped with the mapping's lock held: that waits for calls
/// of [`Revoke`], which take it.
pub(super) struct Watched(ReleaseNotifier);

/// Memory of a device: which pages of the mapping.
struct Segment {
    memory: WatchedMemory,
    pages: Range<u64>,
}

/// The memory of devices in one mapping.
///
/// Must not be dropped with the mapping's lock held, as [`Watched`].
#[derive(Default)]
pub(super) struct DeviceMemory {
    watched: KVec<Watched>,
    /// In ascending order. One for each page of the mapping at worst.
    segments: KVVec<Segment>,
}

impl DeviceMemory {
    /// Makes room for one more device.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn reserve(&mut self) -> Result {
        Ok(self.watched.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// Takes over what watches a device. There is [room](Self::reserve) for it.
    pub(super) fn watch(&mut self, watched: Watched) {
        let _ = self.watched.push_within_capacity(watched);
    }

    /// Notes that `pages` are of `memory`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn add(&mut self, memory: WatchedMemory, pages: Range<u64>) -> Result {
        if let Some(last) = self.segments.last_mut() {
            if last.memory == memory && last.pages.end == pages.start {
                last.pages.end = pages.end;
                return Ok(());
            }
        }
        Ok(self
            .segments
            .push(Segment { memory, pages }, GFP_KERNEL_ACCOUNT)?)
    }

    /// The pages that are of `memory`.
    pub(super) fn ranges_of(
        &self,
        memory: WatchedMemory,
    ) -> impl Iterator<Item = &Range<u64>> + Clone {
        self.segments
            .iter()
            .filter(move |segment| segment.memory == memory)
            .map(|segment| &segment.pages)
    }

    /// The mapping has lost `memory`, which nobody needs to watch any more.
    pub(super) fn lose(&mut self, memory: WatchedMemory) -> Option<Watched> {
        self.segments.retain(|segment| segment.memory != memory);
        let index = self
            .watched
            .iter()
            .position(|watched| watched.0.memory() == memory)?;
        self.watched.remove(index).ok()
    }
}

/// What has memory of devices: a mapping.
pub(super) trait Holder: Send + Sync + Sized + 'static {
    /// Takes over what watches a device, unless that has gone meanwhile: then it is
    /// left for the caller to drop.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn watch(&self, revoke: &Revoke<Self>, watched: &mut Option<Watched>) -> Result;

    /// Takes `memory` of a device that is about to be released away from all
    /// devices, in whole ranges. The mapping itself stays until the user unmaps it.
    ///
    /// Returns the watch on that device, if the mapping has none of its memory any
    /// more, to be dropped by the caller.
    fn revoke(&self, device: &Revoke<Self>, memory: WatchedMemory) -> Option<Watched>;
}

/// A device that was found, and who is told when it goes.
struct Known<M> {
    /// The address of its object, only ever compared, and only until the device is lost.
    device: usize,
    memory: WatchedMemory,
    revoke: Arc<Revoke<M>>,
    /// What the mapping has not taken over yet.
    watched: Option<Watched>,
}

/// The devices of a mapping under construction.
///
/// Must not be dropped with the mapping's lock held, as [`Watched`].
pub(super) struct Devices<'a, M> {
    mapping: &'a Arc<M>,
    /// Most mappings have none, and to drop an empty vector takes three calls.
    known: Option<KVec<Known<M>>>,
}

impl<'a, M: Holder> Devices<'a, M> {
    /// None yet.
    pub(super) fn new(mapping: &'a Arc<M>) -> Self {
        Self {
            mapping,
            known: None,
        }
    }

    fn known(&self) -> &[Known<M>] {
        self.known.as_deref().unwrap_or_default()
    }

    /// Watches the memory of the device that is in `vma`. From now on the device is not
    /// released without the mapping having lost it. The mmap lock is held, as the reference shows.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the area is not one of a VFIO device, so that nobody would say
    /// when its page frames go, unless the kernel was configured to accept
    /// that; or the device is being released. `ENOMEM`.
    pub(super) fn watch(&mut self, vma: &VmaRef) -> Result<Option<WatchedMemory>> {
        match Device::from_vma(vma) {
            Some(device) => self.watch_device(&device).map(Some),
            None => refuse_foreign(),
        }
    }

    /// Watches `device`, as [`watch()`](Self::watch).
    fn watch_device(&mut self, device: &Arc<Device>) -> Result<WatchedMemory> {
        let address = Arc::as_ptr(device).addr();
        let known = self
            .known()
            .iter()
            .find(|known| known.device == address && !known.revoke.is_lost());
        if let Some(known) = known {
            return Ok(known.memory);
        }
        let revoke = Arc::new(
            Revoke {
                mapping: self.mapping.clone(),
                lost: Atomic::new(false),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let all = self.known.get_or_insert_default();
        all.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let module = ModuleRef::get(this_module::<LocalModule>())?;
        let notifier = ReleaseNotifier::register(device, revoke.clone(), module).map_err(
            |error| match error {
                ENOMEM => ENOMEM,
                _ => EFAULT,
            },
        )?;
        let memory = notifier.memory();
        let known = Known {
            device: address,
            memory,
            revoke,
            watched: Some(Watched(notifier)),
        };
        all.push(known, GFP_KERNEL_ACCOUNT)?;
        Ok(memory)
    }

    /// The page frames that `vma` maps from `address` on, and whose memory they are, if its
    /// device can tell without a page fault. As [`watch()`](Self::watch).
    ///
    /// # Errors
    ///
    /// Those of [`watch()`](Self::watch).
    pub(super) fn frames(
        &mut self,
        vma: &VmaRef,
        address: usize,
    ) -> Result<Option<(FrameRange, Option<WatchedMemory>)>> {
        let Some(device) = Device::from_vma(vma) else {
            return refuse_foreign().map(|_| None);
        };
        let memory = self.watch_device(&device)?;
        let frames = device.frames(vma, address);
        Ok(frames.map(|frames| (frames, Some(memory))))
    }

    /// Gives the mapping what watches the devices that were found, so that it goes when they
    /// go. No lock is held.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn hand_over(&mut self) -> Result {
        // Who is found is found last.
        let Some(all) = &mut self.known else {
            return Ok(());
        };
        if all.last().is_none_or(|known| known.watched.is_none()) {
            return Ok(());
        }
        for known in all.iter_mut() {
            self.mapping.watch(&known.revoke, &mut known.watched)?;
            // Without a lock: that waits for a call that takes it.
            known.watched = None;
        }
        Ok(())
    }

    /// Whether any of the devices is gone. The lock of the mapping is held.
    pub(super) fn any_lost(&self) -> bool {
        self.known().iter().any(|known| known.revoke.is_lost())
    }

    /// Whether `memory` is gone. The lock of the mapping is held.
    pub(super) fn is_lost(&self, memory: WatchedMemory) -> bool {
        self.known()
            .iter()
            .any(|known| known.memory == memory && known.revoke.is_lost())
    }
}

/// Answers for page frames that are nobody's we know.
fn refuse_foreign() -> Result<Option<WatchedMemory>> {
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
pub(super) struct Revoke<M> {
    mapping: Arc<M>,
    /// Whether the device has gone; changes under the lock of the mapping.
    lost: Atomic<bool>,
}

impl<M> Revoke<M> {
    /// Whether the device has gone: it stays so, but without the lock of the mapping it
    /// may go at any time.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// The device goes. The lock of the mapping is held.
    pub(super) fn lose(&self) {
        self.lost.store(true, Relaxed);
    }
}

impl<M: Holder> ReleaseHandler for Revoke<M> {
    fn released(&self, memory: WatchedMemory) {
        let watched = self.mapping.revoke(self, memory);
        // The device is gone, and a mapping must not keep what is left of it.
        drop(watched);
    }
}
