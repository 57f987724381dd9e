// SPDX-License-Identifier: GPL-2.0

//! No-IOMMU mode: devices that no IOMMU serves are given to users all the same. Such a
//! user can have the device read and write all of the machine's memory, and so may do
//! whatever the kernel may; the mode only saves him from writing a driver of his own.
//!
//! Therefore it has to be switched on, the kernel is tainted, and users need
//! `CAP_SYS_RAWIO`. Who has a device keeps it when the mode is switched off.

use crate::abstractions::{
    iommu::iommufd::Context,
    parameters::vfio as vfio_parameters,
    taint::taint_by_user,
    task::{
        capable,
        Capability,
        Comm, //
    },
    uapi, //
};
use kernel::{
    current,
    dev_warn,
    device,
    prelude::*, //
};

/// Whether such devices have nodes of their own, which takes an iommufd that knows the mode.
pub(crate) const HAS_NODES: bool = cfg!(CONFIG_IOMMUFD_NOIOMMU);

/// Whether devices may be registered, and containers used, in this mode now.
pub(crate) fn is_enabled() -> bool {
    vfio_parameters::enable_unsafe_noiommu_mode()
}

/// Asks whether the current task may do whatever the kernel may.
///
/// # Errors
///
/// `EPERM`: it may not.
pub(crate) fn permit() -> Result {
    if capable(Capability::SysRawio) {
        Ok(())
    } else {
        Err(EPERM)
    }
}

/// The kernel is not to be trusted any more: `device` will have a group in this mode.
pub(crate) fn taint_by_group(device: &device::Device) {
    taint_by_user();
    dev_warn!(
        device,
        "Adding kernel taint for vfio-noiommu group on device\n"
    );
}

/// The same of a node of its own.
pub(crate) fn taint_by_node(device: &device::Device) {
    taint_by_user();
    dev_warn!(device, "Adding kernel taint for vfio-noiommu cdev\n");
}

/// Says who has opened a device by its group.
pub(crate) fn log_open(device: &device::Device) {
    dev_warn!(
        device,
        "vfio-noiommu device opened by user ({}:{})\n",
        Comm::current(),
        current!().pid()
    );
}

/// Asks whether a device may be opened by its group, which is in this mode and has an
/// iommufd.
///
/// # Errors
///
/// `EPERM`: the user is not trusted, or he has prepared an address space for devices: he
/// expects that it confines them.
pub(crate) fn permit_iommufd(context: &Context) -> Result {
    permit()?;
    if context.compat_address_space().is_ok() {
        return Err(EPERM);
    }
    Ok(())
}

/// Whether containers have `extension` in this mode.
pub(crate) fn has_extension(extension: usize) -> bool {
    extension == uapi::VFIO_NOIOMMU_IOMMU && is_enabled()
}

/// Chooses `iommu_type` for a container whose groups are in this mode.
///
/// # Errors
///
/// `ENODEV`: it is another type, or the mode is switched off. `EPERM`: the user is not
/// trusted.
pub(crate) fn choose(iommu_type: usize) -> Result {
    if !has_extension(iommu_type) {
        return Err(ENODEV);
    }
    permit()
}

/// Every ioctl of a container in this mode but those that the core answers: there are no
/// mappings, since devices see the machine's memory as it is.
///
/// # Errors
///
/// `ENOTTY`: it is not CHECK_EXTENSION.
pub(crate) fn ioctl(cmd: u32, arg: usize) -> Result<isize> {
    match cmd {
        uapi::VFIO_CHECK_EXTENSION => Ok(has_extension(arg).into()),
        _ => Err(ENOTTY),
    }
}
