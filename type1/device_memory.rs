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
        ReleaseNotifier, //
    }, //
};

/// A device whose memory a mapping has. It keeps the device's object, and the code
/// of its driver.
///
/// Must not be dropped with the mapping's lock held: that waits for calls
/// of [`Revoke`], which take it.
pub(super) struct Watched {
    /// The device's name in the mapping.
    source: u64,
    _notifier: ReleaseNotifier,
}

/// Memory of a device: which pages of the mapping.
struct Segment {
    source: u64,
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

    /// Takes the memory of a device that is about to be released away
    /// from all devices, in whole ranges. The mapping itself stays until the
    /// user unmaps it.
    ///
    /// Returns the watch on that device, if the mapping has none of its memory any
    /// more, to be dropped by the caller.
    fn revoke(&self, device: &Revoke<Self>) -> Option<Watched>;
}

/// A device that was found, and who is told when it goes.
struct Known<M> {
    /// The address of its object, only ever compared, and only until the device is lost.
    device: usize,
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
        match Device::from_vma(vma) {
            Some(device) => self.watch_device(&device).map(Some),
            None => refuse_foreign(),
        }
    }

    /// Watches `device`, as [`watch()`](Self::watch).
    fn watch_device(&mut self, device: &Arc<Device>) -> Result<u64> {
        let address = Arc::as_ptr(device).addr();
        let known = self
            .known()
            .iter()
            .find(|known| known.device == address && !known.revoke.is_lost());
        if let Some(known) = known {
            return Ok(known.revoke.source());
        }
        let revoke = Arc::new(
            Revoke {
                mapping: self.mapping.clone(),
                source: next_source(),
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
        let source = revoke.source();
        let watched = Some(Watched {
            source,
            _notifier: notifier,
        });
        let known = Known {
            device: address,
            revoke,
            watched,
        };
        all.push(known, GFP_KERNEL_ACCOUNT)?;
        Ok(source)
    }

    /// The page frames that `vma` maps from `address` on, and the name of their device in
    /// the mapping, if that can tell without a page fault. As [`watch()`](Self::watch).
    ///
    /// # Errors
    ///
    /// Those of [`watch()`](Self::watch).
    pub(super) fn frames(
        &mut self,
        vma: &VmaRef,
        address: usize,
    ) -> Result<Option<(FrameRange, Option<u64>)>> {
        let Some(device) = Device::from_vma(vma) else {
            return refuse_foreign().map(|_| None);
        };
        let source = self.watch_device(&device)?;
        let frames = device.frames(vma, address);
        Ok(frames.map(|frames| (frames, Some(source))))
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

    /// Whether the device with the name `source` is gone. The lock of the mapping is held.
    pub(super) fn is_lost(&self, source: u64) -> bool {
        self.known()
            .iter()
            .any(|known| known.revoke.source() == source && known.revoke.is_lost())
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
pub(super) struct Revoke<M> {
    mapping: Arc<M>,
    source: u64,
    /// Whether the device has gone; changes under the lock of the mapping.
    lost: Atomic<bool>,
}

impl<M> Revoke<M> {
    /// The device's name in the mapping.
    pub(super) fn source(&self) -> u64 {
        self.source
    }

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
    fn released(&self) {
        let watched = self.mapping.revoke(self);
        // The device is gone, and a mapping must not keep what is left of it.
        drop(watched);
    }
}
