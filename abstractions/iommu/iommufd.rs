// SPDX-License-Identifier: GPL-2.0

//! The kernel interface of iommufd.
//!
//! C header: [`include/linux/iommufd.h`](srctree/include/linux/iommufd.h)

use crate::abstractions::{
    bindings,
    device,
    iommu,
    mm::user_page::UserPage,
    registered::RegistrationRef, //
};
use crate::pinning::{
    Pins,
    UnmapListener, //
};
use core::ptr::NonNull;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::c_ulong,
    fs::File,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// `IOMMU_NO_PASID`: the requests of the device without a PASID.
const NO_PASID: u32 = 0;

/// An open `/dev/iommu`, counted.
pub struct Context(NonNull<bindings::iommufd_ctx>);

// SAFETY: Contexts may be used and released from any thread.
unsafe impl Send for Context {}
// SAFETY: iommufd locks.
unsafe impl Sync for Context {}

impl Context {
    /// The context behind `file`.
    ///
    /// # Errors
    ///
    /// `EBADFD`: the file is not an iommufd.
    pub fn from_file(file: &File) -> Result<Self> {
        // SAFETY: The file is alive.
        let context = from_err_ptr(unsafe { bindings::iommufd_ctx_from_file(file.as_ptr()) })?;
        NonNull::new(context).map(Self).ok_or(EBADFD)
    }

    /// The context behind a descriptor of the current process.
    ///
    /// # Errors
    ///
    /// `EBADF`: the descriptor is not open. `EBADFD`: it is not an iommufd.
    pub fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: The function may be called with any number.
        let context = from_err_ptr(unsafe { bindings::iommufd_ctx_from_fd(fd) })?;
        NonNull::new(context).map(Self).ok_or(EBADFD)
    }

    /// Makes sure that there is an address space for users of the container
    /// interface. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the context is in no-IOMMU mode. `ENOMEM`.
    pub fn create_compat_address_space(&self) -> Result {
        // SAFETY: The context is alive.
        to_result(unsafe { bindings::iommufd_vfio_compat_ioas_create(self.0.as_ptr()) })
    }

    /// Puts the context into no-IOMMU mode: users of the container interface may choose
    /// `VFIO_NOIOMMU_IOMMU` then, and nothing else.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is an address space for users of the container interface.
    pub fn set_no_iommu(&self) -> Result {
        // SAFETY: The context is alive.
        to_result(unsafe { bindings::iommufd_vfio_compat_set_no_iommu(self.0.as_ptr()) })
    }

    /// The object id of the address space for users of the container interface.
    ///
    /// # Errors
    ///
    /// `ENODEV`: there is none.
    pub fn compat_address_space(&self) -> Result<u32> {
        let mut id = 0;
        // SAFETY: The context is alive, `id` is valid for writes.
        to_result(unsafe { bindings::iommufd_vfio_compat_ioas_get_id(self.0.as_ptr(), &mut id) })?;
        Ok(id)
    }

    /// Whether `other` is a reference to the same context.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Another reference to the same context.
    pub fn share(&self) -> Self {
        // SAFETY: The context is alive.
        unsafe { bindings::iommufd_ctx_get(self.0.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: This value owns a reference.
        unsafe { bindings::iommufd_ctx_put(self.0.as_ptr()) };
    }
}

/// What iommufd calls when addresses are unmapped.
///
/// # Invariants
///
/// `_raw` is the first field, and calls [`unmapped()`] with a pointer to it.
#[repr(C)]
struct AccessUser {
    _raw: bindings::vfio_rust_access_user,
    listener: Arc<dyn UnmapListener>,
    outstanding: Arc<Outstanding>,
}

/// Tells the listener, and makes sure that nobody gives pages back to an address space that
/// they do not come from.
///
/// # Safety
///
/// `user` is that of an [`AccessUser`].
unsafe extern "C" fn unmapped(
    user: *mut bindings::vfio_rust_access_user,
    iova: c_ulong,
    length: c_ulong,
) {
    // SAFETY: By this function's contract, and it is the first field. Nobody writes to it.
    let user = unsafe { &*user.cast::<AccessUser>() };
    let (first, length) = (iova as u64, length as u64);
    let last = first.saturating_add(length.saturating_sub(1));
    // No more pages are pinned there: once this was had, who pins has written down what.
    drop(user.outstanding.turn.lock());
    user.listener.unmapped(first..=last);
    if first == 0 && length == c_ulong::MAX as u64 {
        user.outstanding.leave();
    }
}

/// The pages that are pinned through an access.
struct OutstandingState {
    pinned: usize,
    /// They come from an address space that the access has left.
    stale: bool,
}

impl OutstandingState {
    fn add(&mut self) {
        self.pinned = self.pinned.saturating_add(1);
    }
}

/// Keeps pages of one address space from being given back to another one.
#[pin_data]
struct Outstanding {
    /// Held by who pins pages until it is known who has them. Taken before the other one.
    #[pin]
    turn: Mutex<()>,
    #[pin]
    state: Mutex<OutstandingState>,
}

impl Outstanding {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                turn <- new_mutex!((), "vfio_iommufd_turn"),
                state <- new_mutex!(
                    OutstandingState {
                        pinned: 0,
                        stale: false,
                    },
                    "vfio_iommufd_pins"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The access leaves its address space. Who has pages of that still does not give
    /// them back: they stay pinned for good.
    fn leave(&self) {
        let mut state = self.state.lock();
        if state.pinned != 0 {
            pr_err!(
                "A driver does not let go of memory that it had in an iommufd: it stays pinned\n"
            );
            state.stale = true;
        }
    }
}

/// The address space that an access is attached to, for who reads and writes there.
///
/// The access is destroyed when this is dropped.
pub struct AccessSpace {
    inner: NonNull<bindings::iommufd_access>,
    context: Context,
    /// iommufd has a pointer to it as long as the access exists.
    user: Arc<AccessUser>,
}

// SAFETY: Accesses may be used from any thread.
unsafe impl Send for AccessSpace {}
// SAFETY: iommufd locks; attaching and detaching takes more than a shared reference.
unsafe impl Sync for AccessSpace {}

impl AccessSpace {
    /// Pins `count` pages from `iova` on, and gives them to `keep`: the listener is not told of
    /// them before that has returned. May sleep, and touches user memory. `keep` must not pin
    /// pages.
    ///
    /// # Errors
    ///
    /// `ENOENT`: the access is not attached, or nothing is mapped at some of the
    /// addresses. `EINVAL`: they are not those of whole pages. `EOVERFLOW`: there are not that
    /// many. `EPERM`: they may not be accessed so. `EBUSY`: pages are left of an address
    /// space that the access has left. `EFAULT`, `ENOMEM`.
    pub fn pin(
        self: &Arc<Self>,
        iova: u64,
        count: usize,
        write: bool,
        keep: &mut dyn FnMut(KBox<dyn Pins>),
    ) -> Result {
        let start = usize::try_from(iova).map_err(|_| EINVAL)?;
        if start % PAGE_SIZE != 0 || count == 0 {
            return Err(EINVAL);
        }
        let length = count.checked_mul(PAGE_SIZE).ok_or(EOVERFLOW)?;
        let mut pages = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        let outstanding = &self.user.outstanding;
        let _turn = outstanding.turn.lock();
        if outstanding.state.lock().stale {
            return Err(EBUSY);
        }
        // SAFETY: The access exists, and there is room for as many pointers as there are pages.
        to_result(unsafe {
            bindings::vfio_rust_iommufd_access_pin(
                self.inner.as_ptr(),
                start,
                length,
                pages.as_mut_ptr(),
                write,
            )
        })?;
        // SAFETY: A pointer was written for each page.
        unsafe { pages.inc_len(count) };
        // The access does not leave its address space meanwhile: it would wait for its turn.
        outstanding.state.lock().add();
        // INVARIANT: The pages were just pinned.
        let pins = AccessPins {
            space: self.clone(),
            start,
            length,
            pages,
            write,
        };
        keep(KBox::new(pins, GFP_KERNEL_ACCOUNT)?);
        Ok(())
    }

    /// Copies bytes from `iova` on to `buffer`. May sleep, and touches user memory.
    ///
    /// # Errors
    ///
    /// Those of [`pin()`](Self::pin), but for `EBUSY`. Some bytes may be copied then.
    pub fn read(&self, iova: u64, buffer: &mut [u8]) -> Result {
        // SAFETY: The buffer is valid for writes.
        unsafe { self.copy(iova, buffer.as_mut_ptr(), buffer.len(), false) }
    }

    /// Copies `bytes` to `iova`. May sleep, and touches user memory.
    ///
    /// # Errors
    ///
    /// Those of [`read()`](Self::read).
    pub fn write(&self, iova: u64, bytes: &[u8]) -> Result {
        // SAFETY: The bytes are valid for reads.
        unsafe { self.copy(iova, bytes.as_ptr().cast_mut(), bytes.len(), true) }
    }

    /// # Safety
    ///
    /// `length` bytes at `data` are valid for reads if `write`, or else for writes.
    unsafe fn copy(&self, iova: u64, data: *mut u8, length: usize, write: bool) -> Result {
        let start = usize::try_from(iova).map_err(|_| EINVAL)?;
        // SAFETY: The access exists; by this function's contract.
        to_result(unsafe {
            bindings::vfio_rust_iommufd_access_rw(
                self.inner.as_ptr(),
                start,
                data.cast(),
                length,
                write,
            )
        })
    }
}

impl Drop for AccessSpace {
    fn drop(&mut self) {
        // SAFETY: This is the last use. The access is not attached, so nobody is called.
        unsafe { bindings::iommufd_access_destroy(self.inner.as_ptr()) };
    }
}

/// Pages of an address space, which are unpinned when this is dropped.
///
/// # Invariants
///
/// `pages` are those of `length` bytes from `start` on, pinned through the access; if
/// `write`, to be written to.
pub struct AccessPins {
    space: Arc<AccessSpace>,
    start: usize,
    length: usize,
    pages: KVVec<*mut bindings::page>,
    write: bool,
}

// SAFETY: Pages may be used and unpinned from any thread.
unsafe impl Send for AccessPins {}
// SAFETY: With a shared reference bytes are copied, as their user may do as well.
unsafe impl Sync for AccessPins {}

impl Pins for AccessPins {
    fn page(&self, index: usize) -> Option<UserPage<'_>> {
        let page = NonNull::new(*self.pages.get(index)?)?;
        // SAFETY: By the type invariant it is pinned as long as this value exists. iommufd
        // keeps what is pinned even if the access leaves the address space.
        Some(unsafe { UserPage::new(page, self.write) })
    }
}

impl Drop for AccessPins {
    fn drop(&mut self) {
        let mut state = self.space.user.outstanding.state.lock();
        state.pinned = state.pinned.saturating_sub(1);
        if !state.stale {
            // SAFETY: The access exists, and these pages were pinned in the address space that
            // it is attached to, or is about to leave.
            unsafe {
                bindings::iommufd_access_unpin_pages(
                    self.space.inner.as_ptr(),
                    self.start,
                    self.length,
                );
            }
        }
        state.stale &= state.pinned != 0;
    }
}

/// A way for software to the address spaces of a context: what an emulated
/// device has in place of DMA.
///
/// Dropping it detaches it.
pub struct Access {
    space: Arc<AccessSpace>,
    attached: bool,
}

impl Access {
    /// Creates an access to `context` and returns it with its object id. `listener` is told
    /// of what is unmapped, and of all addresses when the access leaves an address space, then
    /// with the locks of who has it leave that.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn create(context: &Context, listener: Arc<dyn UnmapListener>) -> Result<(Self, u32)> {
        // INVARIANT: A pointer to the first field is what `unmapped()` wants.
        let user = Arc::new(
            AccessUser {
                _raw: bindings::vfio_rust_access_user {
                    unmap: Some(unmapped),
                },
                listener,
                outstanding: Outstanding::new()?,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let mut id = 0;
        let raw = Arc::as_ptr(&user).cast_mut();
        // SAFETY: The context is alive, `id` is valid for writes. The user stays where it is until
        // the access is destroyed.
        let inner = from_err_ptr(unsafe {
            bindings::vfio_rust_iommufd_access_create(context.0.as_ptr(), raw.cast(), &mut id)
        })?;
        let inner = NonNull::new(inner).ok_or(ENOMEM)?;
        let space = AccessSpace {
            inner,
            context: context.share(),
            user,
        };
        let access = Self {
            space: Arc::new(space, GFP_KERNEL_ACCOUNT)?,
            attached: false,
        };
        Ok((access, id))
    }

    /// What it is attached to, for who reads and writes there.
    pub fn space(&self) -> &Arc<AccessSpace> {
        &self.space
    }

    /// Whether the access is to `context`.
    pub fn is_bound_to(&self, context: &Context) -> bool {
        self.space.context.is(context)
    }

    /// Attaches to the address space `id`, in place of what it is attached to.
    /// On failure nothing changes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT`: there is no such address space. `EBUSY`: it is being changed.
    /// `ENOMEM`.
    pub fn attach(&mut self, id: u32) -> Result {
        let inner = self.space.inner.as_ptr();
        // SAFETY: The access exists. Our owner serialises attach and detach, as
        // `&mut self` shows.
        to_result(unsafe {
            if self.attached {
                bindings::iommufd_access_replace(inner, id)
            } else {
                bindings::iommufd_access_attach(inner, id)
            }
        })?;
        self.attached = true;
        Ok(())
    }

    /// Detaches, if it is attached.
    pub fn detach(&mut self) {
        if core::mem::take(&mut self.attached) {
            // SAFETY: The access exists and is attached.
            unsafe { bindings::iommufd_access_detach(self.space.inner.as_ptr()) };
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.detach();
    }
}

/// A device that is bound to a context, and perhaps attached to page tables.
///
/// Dropping it detaches and unbinds. Until then the device stays bound to its driver: iommufd owns
/// the DMA of its group in the name of that, has a pointer to the device, and no reference.
pub struct BoundDevice {
    inner: NonNull<bindings::iommufd_device>,
    attached: bool,
    /// Those of its PASIDs that are attached, each to a page table of its own.
    pasids: RBTree<u32, ()>,
    _hold: RegistrationRef,
}

// SAFETY: iommufd devices may be used from any thread.
unsafe impl Send for BoundDevice {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for BoundDevice {}

impl BoundDevice {
    /// Binds the device that `hold` keeps with its driver to `context` and returns it with its
    /// object id. From now on all DMA of the device is blocked. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: DMA of the device is not cache coherent. `ENODEV`: it has no
    /// IOMMU group. `EPERM`: its interrupts are not isolated, or somebody else
    /// owns the DMA of its group. `EBUSY`: a foreign domain is attached.
    /// `ENOMEM`.
    pub fn bind(context: &Context, hold: RegistrationRef) -> Result<(Self, u32)> {
        let device = device::as_raw(hold.parent());
        let mut id = 0;
        // SAFETY: The context is alive, the device has a driver until it is unbound in `drop()`,
        // and `id` is valid for writes.
        let inner = from_err_ptr(unsafe {
            bindings::iommufd_device_bind(context.0.as_ptr(), device, &mut id)
        })?;
        let inner = NonNull::new(inner).ok_or(EINVAL)?;
        Ok((
            Self {
                inner,
                attached: false,
                pasids: RBTree::new(),
                _hold: hold,
            },
            id,
        ))
    }

    /// Whether the device is bound to `context`.
    pub fn is_bound_to(&self, context: &Context) -> bool {
        core::ptr::eq(self.context(), context.0.as_ptr())
    }

    /// Whether the device is bound to the same context as `other`.
    pub fn has_context_of(&self, other: &Self) -> bool {
        core::ptr::eq(self.context(), other.context())
    }

    /// Whether a device of `group` is bound to the same context.
    pub fn context_has_group(&self, group: &iommu::Group) -> bool {
        // SAFETY: The device keeps its context, and `group` is alive.
        unsafe { bindings::iommufd_ctx_has_group(self.context(), group.as_raw()) }
    }

    /// The device's object id.
    pub fn id(&self) -> u32 {
        // SAFETY: The device is bound.
        unsafe { bindings::iommufd_device_to_id(self.inner.as_ptr()) }
    }

    /// The C object.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::iommufd_device {
        self.inner.as_ptr()
    }

    fn context(&self) -> *mut bindings::iommufd_ctx {
        // SAFETY: The device is bound.
        unsafe { bindings::iommufd_device_to_ictx(self.inner.as_ptr()) }
    }

    /// Attaches the device to the address space or page table `id`, in place
    /// of what it is attached to, and returns the id of the page table.
    /// On failure nothing changes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT`: there is no such object. `EINVAL`: it is of the wrong kind or
    /// does not fit the device. `EBUSY`: the device is being reset.
    /// `ENOMEM`, and what the IOMMU driver fails with.
    pub fn attach(&mut self, mut id: u32) -> Result<u32> {
        // SAFETY: The device is bound, `id` is valid for reads and writes. Our
        // owner serialises attach and detach, as `&mut self` shows.
        to_result(unsafe {
            if self.attached {
                bindings::iommufd_device_replace(self.inner.as_ptr(), NO_PASID, &mut id)
            } else {
                bindings::iommufd_device_attach(self.inner.as_ptr(), NO_PASID, &mut id)
            }
        })?;
        self.attached = true;
        Ok(id)
    }

    /// Detaches the device, if it is attached. Its DMA is blocked then.
    pub fn detach(&mut self) {
        if core::mem::take(&mut self.attached) {
            // SAFETY: The device is bound and attached.
            unsafe { bindings::iommufd_device_detach(self.inner.as_ptr(), NO_PASID) };
        }
    }

    /// Attaches one PASID of the device, as [`attach()`](Self::attach) does the device
    /// without one.
    ///
    /// # Errors
    ///
    /// Those of [`attach()`](Self::attach). `EINVAL`: the page table, or that of the device
    /// without a PASID, was not made for devices with PASIDs; or the device has not that
    /// many. `ENOSPC`: no device has that many. `EBUSY`: it is 0, and the device is attached
    /// without a PASID, which is the same. `EOPNOTSUPP`: the IOMMU has none.
    pub fn attach_pasid(&mut self, pasid: u32, mut id: u32) -> Result<u32> {
        if self.pasids.get(&pasid).is_some() {
            // SAFETY: The device is bound, the PASID is attached, and `id` is valid for reads
            // and writes. Our owner serialises attach and detach, as `&mut self` shows.
            to_result(unsafe {
                bindings::iommufd_device_replace(self.inner.as_ptr(), pasid, &mut id)
            })?;
            return Ok(id);
        }
        if i32::try_from(pasid).is_err() {
            return Err(ENOSPC);
        }
        let node = RBTreeNode::new(pasid, (), GFP_KERNEL)?;
        // SAFETY: As above; what is attached already, as it may be for 0, fails with EBUSY.
        to_result(unsafe { bindings::iommufd_device_attach(self.inner.as_ptr(), pasid, &mut id) })?;
        self.pasids.insert(node);
        Ok(id)
    }

    /// Detaches one PASID of the device, if it is attached.
    pub fn detach_pasid(&mut self, pasid: u32) {
        if self.pasids.remove(&pasid).is_some() {
            // SAFETY: The device is bound, and the PASID attached.
            unsafe { bindings::iommufd_device_detach(self.inner.as_ptr(), pasid) };
        }
    }

    fn lowest_pasid(&self) -> Option<u32> {
        self.pasids.keys().next().copied()
    }
}

impl Drop for BoundDevice {
    fn drop(&mut self) {
        while let Some(pasid) = self.lowest_pasid() {
            self.detach_pasid(pasid);
        }
        self.detach();
        // SAFETY: The device is bound and this is the last use.
        unsafe { bindings::iommufd_device_unbind(self.inner.as_ptr()) };
    }
}
