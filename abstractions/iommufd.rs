// SPDX-License-Identifier: GPL-2.0

//! The kernel interface of iommufd.
//!
//! C header: [`include/linux/iommufd.h`](srctree/include/linux/iommufd.h)

use super::{
    bindings,
    device,
    iommu, //
};
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::File,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
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

/// A way for software to the address spaces of a context: what an emulated
/// device has in place of DMA.
///
/// Dropping it detaches it.
pub struct Access {
    inner: NonNull<bindings::iommufd_access>,
    context: Context,
    attached: bool,
}

// SAFETY: Accesses may be used from any thread.
unsafe impl Send for Access {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for Access {}

impl Access {
    /// Creates an access to `context` and returns it with its object id.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn create(context: &Context) -> Result<(Self, u32)> {
        let mut id = 0;
        // SAFETY: The context is alive, `id` is valid for writes.
        let inner = from_err_ptr(unsafe {
            bindings::vfio_rust_iommufd_access_create(context.0.as_ptr(), &mut id)
        })?;
        let inner = NonNull::new(inner).ok_or(ENOMEM)?;
        let access = Self {
            inner,
            context: context.share(),
            attached: false,
        };
        Ok((access, id))
    }

    /// Whether the access is to `context`.
    pub fn is_bound_to(&self, context: &Context) -> bool {
        self.context.is(context)
    }

    /// Attaches to the address space `id`, in place of what it is attached to.
    /// On failure nothing changes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT`: there is no such address space. `EBUSY`: it is being changed.
    /// `ENOMEM`.
    pub fn attach(&mut self, id: u32) -> Result {
        // SAFETY: The access exists. Our owner serialises attach and detach, as
        // `&mut self` shows.
        to_result(unsafe {
            if self.attached {
                bindings::iommufd_access_replace(self.inner.as_ptr(), id)
            } else {
                bindings::iommufd_access_attach(self.inner.as_ptr(), id)
            }
        })?;
        self.attached = true;
        Ok(())
    }

    /// Detaches, if it is attached.
    pub fn detach(&mut self) {
        if core::mem::take(&mut self.attached) {
            // SAFETY: The access exists and is attached.
            unsafe { bindings::iommufd_access_detach(self.inner.as_ptr()) };
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.detach();
        // SAFETY: This is the last use.
        unsafe { bindings::iommufd_access_destroy(self.inner.as_ptr()) };
    }
}

/// A device that is bound to a context, and perhaps attached to page tables.
///
/// Dropping it detaches and unbinds.
pub struct BoundDevice {
    inner: NonNull<bindings::iommufd_device>,
    attached: bool,
    /// Those of its PASIDs that are attached, each to a page table of its own.
    pasids: RBTree<u32, ()>,
}

// SAFETY: iommufd devices may be used from any thread.
unsafe impl Send for BoundDevice {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for BoundDevice {}

impl BoundDevice {
    /// Binds `device` to `context` and returns it with its object id.
    /// From now on all DMA of the device is blocked. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: DMA of the device is not cache coherent. `ENODEV`: it has no
    /// IOMMU group. `EPERM`: its interrupts are not isolated, or somebody else
    /// owns the DMA of its group. `EBUSY`: a foreign domain is attached.
    /// `ENOMEM`.
    pub fn bind(context: &Context, device: &Device) -> Result<(Self, u32)> {
        let mut id = 0;
        // SAFETY: Context and device are alive, `id` is valid for writes.
        let inner = from_err_ptr(unsafe {
            bindings::iommufd_device_bind(context.0.as_ptr(), device::as_raw(device), &mut id)
        })?;
        let inner = NonNull::new(inner).ok_or(EINVAL)?;
        Ok((
            Self {
                inner,
                attached: false,
                pasids: RBTree::new(),
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
