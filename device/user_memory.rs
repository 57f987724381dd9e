// SPDX-License-Identifier: GPL-2.0

//! What emulated devices have in place of DMA: their bus drivers read and write memory of
//! the user, at the addresses where he has mapped it for the device.
//!
//! That may be done from any thread as long as the device is open, and takes none of the
//! locks under which devices are opened and closed. So a bus driver's worker can be
//! waited for when the device is closed.

use crate::{
    abstractions::{
        iommu::iommufd::AccessSpace,
        mm::user_page::UserPage, //
    },
    container::object::GroupBackend,
    pinning::{
        PinAccess,
        Pins,
        UnmapListener,
        MAX_PAGES, //
    }, //
};
use core::ops::RangeInclusive;
use kernel::{
    new_mutex,
    new_spinlock,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SpinLock, //
    }, //
};

/// Where the memory of a device's user is.
#[derive(Clone)]
pub(crate) enum Memory {
    /// In the container of its group.
    Container(GroupBackend),
    /// In an iommufd.
    Iommufd(Arc<AccessSpace>),
}

/// The memory of a device's user, of which there is none while the device is not open.
#[pin_data]
pub struct UserMemory {
    /// A leaf: what it has is cloned or taken out.
    #[pin]
    memory: SpinLock<Option<Memory>>,
    /// How many pages the bus driver has, each as often as it has it.
    pinned: Atomic<usize>,
    /// Whether the bus driver pins pages.
    pins: bool,
}

/// A device, as far as the memory of its user is concerned.
pub(crate) trait Owner: Send + Sync {
    /// The memory.
    fn user_memory(&self) -> &UserMemory;

    /// Tells the bus driver what the user unmaps.
    fn unmapped(&self, addresses: RangeInclusive<u64>);

    /// Says that the bus driver was told, and has `pinned` pages still.
    fn complain(&self, addresses: RangeInclusive<u64>, pinned: usize);
}

/// Tells the bus driver of a device what its user unmaps, as long as it is open.
#[pin_data]
pub(crate) struct Listener {
    /// Held for the call, so that closing the device waits for that.
    #[pin]
    device: Mutex<Option<Arc<dyn Owner>>>,
}

impl Listener {
    fn new(device: Option<Arc<dyn Owner>>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                device <- new_mutex!(device, "vfio_device_unmapped"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Tells lockdep in which order locks are taken: bus drivers are told with the lock of this,
    /// and wait for those of them who touch user memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn prime_lock_order(inner: impl FnOnce()) -> Result {
        let listener = Self::new(None)?;
        let _device = listener.device.lock();
        inner();
        Ok(())
    }
}

impl UnmapListener for Listener {
    fn unmapped(&self, addresses: RangeInclusive<u64>) {
        if let Some(device) = &*self.device.lock() {
            if device.user_memory().pins {
                device.unmapped(addresses);
            }
        }
    }

    fn not_let_go(&self, addresses: RangeInclusive<u64>) {
        let device = self.device.lock();
        let Some(device) = &*device else {
            return;
        };
        let pinned = device.user_memory().pinned();
        if pinned != 0 {
            device.complain(addresses, pinned);
        }
    }
}

/// What an open device has in place of DMA. When this is dropped, the bus driver finds no
/// memory any more, and is not told anything.
pub(crate) struct OpenMemory {
    listener: Arc<Listener>,
}

impl OpenMemory {
    /// The device has no memory yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(device: Arc<dyn Owner>) -> Result<Self> {
        let listener = Listener::new(Some(device))?;
        Ok(Self { listener })
    }

    /// Who is to be told what the user unmaps.
    pub(crate) fn listener(&self) -> Arc<Listener> {
        self.listener.clone()
    }

    /// What `user` has, who is the user of the device, is in `memory`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn set(&self, user: &UserMemory, memory: Memory) -> Result {
        if let Memory::Container(backend) = &memory {
            if user.pins {
                backend.listen(self.listener())?;
            }
        }
        user.replace(Some(memory));
        Ok(())
    }
}

impl Drop for OpenMemory {
    fn drop(&mut self) {
        let Some(device) = self.listener.device.lock().take() else {
            return;
        };
        let memory = device.user_memory().replace(None);
        if let Some(Memory::Container(backend)) = memory {
            let listener: Arc<dyn UnmapListener> = self.listener();
            backend.unlisten(&listener);
        }
    }
}

/// Pages of a user, which are unpinned when this is dropped. That may sleep; it must
/// have happened, for all that is told, before [`DeviceOps::unmapped()`] returns, and before
/// the device is closed.
///
/// Fields are dropped in order: the pages before the code of who has pinned them.
///
/// [`DeviceOps::unmapped()`]: crate::device::ops::DeviceOps::unmapped
#[must_use = "the pages are unpinned once this is dropped"]
pub struct PinnedPages {
    pins: KBox<dyn Pins>,
    iova: u64,
    count: usize,
    access: PinAccess,
    _counted: Counted,
    _memory: Memory,
}

/// Pages that are counted as long as this exists.
struct Counted {
    user: Arc<UserMemory>,
    pages: usize,
}

impl Counted {
    fn new(user: &Arc<UserMemory>, pages: usize) -> Self {
        user.pinned.fetch_add(pages, Relaxed);
        Self {
            user: user.clone(),
            pages,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.user.pinned.fetch_sub(self.pages, Relaxed);
    }
}

impl PinnedPages {
    /// The address of the first page.
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        self.count.saturating_mul(PAGE_SIZE)
    }

    /// Whether any of the pages is at one of these addresses.
    pub fn overlaps(&self, addresses: &RangeInclusive<u64>) -> bool {
        let last = self
            .iova
            .saturating_add((self.size() as u64).saturating_sub(1));
        self.iova <= *addresses.end() && *addresses.start() <= last
    }

    /// The page with the given index.
    pub fn page(&self, index: usize) -> Option<UserPage<'_>> {
        let page = self.pins.page(index)?;
        Some(page.restricted(self.access.write))
    }

    /// Copies bytes from `offset` on to `buffer`, as many as there are. Returns how many.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let mut copied = 0usize;
        while let Some(rest) = buffer.get_mut(copied..).filter(|rest| !rest.is_empty()) {
            let position = offset.saturating_add(copied);
            let count = self
                .page(position / PAGE_SIZE)
                .map_or(0, |page| page.read(position % PAGE_SIZE, rest));
            if count == 0 {
                break;
            }
            copied = copied.saturating_add(count);
        }
        copied
    }

    /// Copies `bytes` to `offset`, as many as there is room for. Returns how many: none, if
    /// the pages were not pinned to be written to.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let mut copied = 0usize;
        while let Some(rest) = bytes.get(copied..).filter(|rest| !rest.is_empty()) {
            let position = offset.saturating_add(copied);
            let count = self
                .page(position / PAGE_SIZE)
                .map_or(0, |page| page.write(position % PAGE_SIZE, rest));
            if count == 0 {
                break;
            }
            copied = copied.saturating_add(count);
        }
        copied
    }
}

impl UserMemory {
    /// That of a device which is not open.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(pins: bool) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                memory <- new_spinlock!(None, "vfio_user_memory"),
                pinned: Atomic::new(0),
                pins,
            }),
            GFP_KERNEL,
        )
    }

    /// # Errors
    ///
    /// `EINVAL`: the device is not open, or has none.
    fn get(&self) -> Result<Memory> {
        self.memory.lock().clone().ok_or(EINVAL)
    }

    fn replace(&self, memory: Option<Memory>) -> Option<Memory> {
        core::mem::replace(&mut *self.memory.lock(), memory)
    }

    /// How many pages the bus driver has.
    fn pinned(&self) -> usize {
        self.pinned.load(Relaxed)
    }

    /// Whether so many pages may be pinned at all.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there are none, or the device is not open, or its bus driver does not pin pages.
    /// `EOVERFLOW`: there are no such addresses. `E2BIG`: there are too many for a container.
    pub(crate) fn may_pin(&self, iova: u64, count: usize) -> Result {
        let memory = self.get()?;
        if count == 0 || !self.pins {
            return Err(EINVAL);
        }
        if matches!(memory, Memory::Container(_)) && count > MAX_PAGES {
            return Err(E2BIG);
        }
        // CAST: Widen.
        let size = (count as u64).checked_mul(PAGE_SIZE as u64);
        size.and_then(|size| iova.checked_add(size.saturating_sub(1)))
            .ok_or(EOVERFLOW)?;
        Ok(())
    }

    /// Pins `count` pages, from the one that has `iova` on, and gives them to `keep`; returns
    /// what that returns. When the user unmaps them, [`DeviceOps::unmapped()`] tells, which
    /// has to find them where `keep` has put them: it is not called for them before `keep` has
    /// returned. So the driver needs no lock around this.
    ///
    /// The device must be open, and stay so until this returns. May sleep, and touches user
    /// memory: to be called with no lock held that others wait for. `keep` must not pin pages
    /// itself, nor wait for who unmaps some.
    ///
    /// There is no way to unpin pages by their address: who has them drops them.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there are none, or the device is not open; its bus driver does not
    /// [pin pages](crate::device::ops::DeviceOps::pins); nothing is mapped at some of the
    /// addresses of a container. `E2BIG`: there are too many for a container. `ENOTTY`: the
    /// group is in no-IOMMU mode. Otherwise what the container's backend, or the
    /// iommufd, refuses.
    ///
    /// [`DeviceOps::unmapped()`]: crate::device::ops::DeviceOps::unmapped
    pub fn pin_pages<R>(
        self: &Arc<Self>,
        iova: u64,
        count: usize,
        access: PinAccess,
        keep: impl FnOnce(PinnedPages) -> R,
    ) -> Result<R> {
        let memory = self.get()?;
        if count == 0 || !self.pins {
            return Err(EINVAL);
        }
        let iova = iova & !(PAGE_SIZE as u64 - 1);
        let mut keep = Some(keep);
        let mut kept = None;
        let mut give = |pins| {
            let pages = PinnedPages {
                pins,
                iova,
                count,
                access,
                _counted: Counted::new(self, count),
                _memory: memory.clone(),
            };
            kept = keep.take().map(|keep| keep(pages));
        };
        match &memory {
            Memory::Container(_) if count > MAX_PAGES => return Err(E2BIG),
            Memory::Container(backend) => backend.pin(iova, count, access, &mut give)?,
            Memory::Iommufd(space) => space.pin(iova, count, access.write, &mut give)?,
        }
        // It was called.
        kept.ok_or(EIO)
    }

    /// Copies bytes from `iova` on to `buffer`. The device must be open, and stay
    /// so until this returns. May sleep, and touches user memory, as
    /// [`pin_pages()`](Self::pin_pages) does.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there are no bytes, or the device is not open; nothing is mapped at
    /// some of the addresses of a container. `ENOTTY`: the group is in no-IOMMU mode.
    /// `EFAULT`: the memory cannot be read, or is not that of the current process. Otherwise
    /// what the container's backend, or the iommufd, refuses. Some bytes may be copied
    /// then.
    pub fn read(&self, iova: u64, buffer: &mut [u8]) -> Result {
        if buffer.is_empty() {
            return Err(EINVAL);
        }
        match self.get()? {
            Memory::Container(backend) => backend.read(iova, buffer),
            Memory::Iommufd(space) => space.read(iova, buffer),
        }
    }

    /// Copies `bytes` to `iova`, as [`read()`](Self::read)
    /// does the other way round.
    ///
    /// # Errors
    ///
    /// Those of [`read()`](Self::read).
    pub fn write(&self, iova: u64, bytes: &[u8]) -> Result {
        if bytes.is_empty() {
            return Err(EINVAL);
        }
        match self.get()? {
            Memory::Container(backend) => backend.write(iova, bytes),
            Memory::Iommufd(space) => space.write(iova, bytes),
        }
    }
}
