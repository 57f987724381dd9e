// SPDX-License-Identifier: GPL-2.0

//! The reset of a slot or bus that a user asks for.
//!
//! It resets everything below the slot or on the bus, so the user has to own all of that. With
//! files of groups, the user shows those of all groups concerned. With files of character devices
//! there is nothing to show: all devices have to be bound to one iommufd.
//!
//! # Locking
//!
//! The lock of the device set is held from the question who owns the devices to the end of the
//! reset. Others are kept from the memory of one device after the other. While somebody else does
//! that, the reset fails, as everybody with a device of the set would wait for him.

use crate::{
    abstractions::{
        pci::{
            reset::Location,
            Function, //
        },
        uapi::pci::{
            DependentDevice,
            HotResetHeader,
            VFIO_PCI_DEVID_NOT_OWNED,
            VFIO_PCI_DEVID_OWNED,
            VFIO_PCI_HOT_RESET_FLAG_DEV_ID,
            VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, //
        }, //
    },
    device::CoreDevice,
    reset_set::ResetSet, //
};
use kernel::{
    pci,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use vfio::{
    abstractions::{
        iommu,
        uapi, //
    },
    device::{
        set::SetState,
        Device, //
    },
    ownership::{
        IommufdOwnership,
        OwnedGroup, //
    }, //
};

/// Where the array behind the header starts.
fn array_at(address: usize) -> UserPtr {
    UserPtr::from_addr(address).wrapping_byte_add(size_of::<HotResetHeader>())
}

/// Reads the header, and checks its size.
fn read_header(address: usize) -> Result<HotResetHeader> {
    let header: HotResetHeader = uapi::read(address)?;
    if (header.argsz as usize) < size_of::<HotResetHeader>() {
        return Err(EINVAL);
    }

    Ok(header)
}

/// Answers `VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`.
///
/// # Errors
///
/// EFAULT; EINVAL if the user's structure is too short; ENODEV if neither slot nor bus can be
/// reset; ENOSPC if there is no room for all devices; EAGAIN if there were more a moment later;
/// EPERM for a device without an IOMMU group; ENOMEM.
// Inlined, it would cost the other ioctls a larger stack.
#[inline(never)]
pub(crate) fn info(core: &CoreDevice, device: &Device, address: usize) -> Result<isize> {
    let mut header = read_header(address)?;
    header.flags = 0;
    let function = core.function();
    if !function.can_reset_scope() {
        return Err(ENODEV);
    }

    let count = function.count_in_scope();
    let room = (header.argsz as usize).saturating_sub(size_of::<HotResetHeader>())
        / size_of::<DependentDevice>();
    if count > room {
        header.count = u32::try_from(count)?;
        uapi::write(address, &header)?;
        return Err(ENOSPC);
    }

    let affected = Affected::describe(core, device, count)?;
    let mut writer = UserSlice::new(array_at(address), room.saturating_mul(ENTRY)).writer();
    for entry in &affected.entries {
        writer.write(entry)?;
    }
    header.flags = affected.flags;
    header.count = u32::try_from(affected.entries.len())?;
    uapi::write(address, &header)?;

    Ok(0)
}

const ENTRY: usize = size_of::<DependentDevice>();

/// What the user is told about the devices that would be reset.
struct Affected {
    flags: u32,
    entries: KVec<DependentDevice>,
}

impl Affected {
    /// Describes the devices, of which there are `count`.
    fn describe(core: &CoreDevice, device: &Device, count: usize) -> Result<Self> {
        if device.is_open_through_cdev() {
            Self::describe_objects(core, device, count)
        } else {
            Self::describe_groups(core.function(), count)
        }
    }

    /// Describes the devices by their groups.
    fn describe_groups(function: &Function, count: usize) -> Result<Self> {
        let entries = function.describe_scope(count, |other| {
            // A device that no IOMMU keeps apart cannot be owned.
            let group = iommu::Group::of(other.as_ref()).ok_or(EPERM)?;
            // CAST: Numbers of groups are not negative.
            Ok(dependent(other, group.id() as u32))
        })?;

        Ok(Self { flags: 0, entries })
    }

    /// Describes the devices by their object ids in the iommufd that `device` is bound to.
    fn describe_objects(core: &CoreDevice, device: &Device, count: usize) -> Result<Self> {
        let set = device.set().lock().lock();
        let reset_set = ResetSet::of(core)?;
        let mut flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
        let entries = core.function().describe_scope(count, |other| {
            let ownership = reset_set
                .find(other)
                .map_or(IommufdOwnership::None, |member| {
                    device.iommufd_ownership(&set, member.device())
                });
            if !ownership.is_owned() {
                flags &= !VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
            }
            Ok(dependent(other, object_id(ownership)))
        })?;

        Ok(Self { flags, entries })
    }
}

fn object_id(ownership: IommufdOwnership) -> u32 {
    match ownership {
        IommufdOwnership::Bound(id) => id,
        IommufdOwnership::ThroughGroup => VFIO_PCI_DEVID_OWNED,
        IommufdOwnership::None => VFIO_PCI_DEVID_NOT_OWNED,
    }
}

fn dependent(device: &pci::Device, id: u32) -> DependentDevice {
    let location = Location::of(device);

    DependentDevice {
        id,
        // CAST: The interface has no room for a domain beyond 16 bits.
        segment: location.segment as u16,
        bus: location.bus,
        devfn: location.devfn,
    }
}

/// What the user shows to prove that the devices are his.
enum Proof {
    /// Files of their groups.
    Groups(KVec<OwnedGroup>),
    /// The iommufd that this device is bound to.
    Iommufd,
}

impl Proof {
    /// Reads and checks the argument of `VFIO_DEVICE_PCI_HOT_RESET`.
    ///
    /// # Errors
    ///
    /// As [`reset`].
    fn parse(function: &Function, device: &Device, address: usize) -> Result<Self> {
        let header = read_header(address)?;
        let has_groups = header.count != 0;
        if header.flags != 0 || has_groups == device.is_open_through_cdev() {
            return Err(EINVAL);
        }
        if !function.can_reset_scope() {
            return Err(ENODEV);
        }
        if !has_groups {
            return Ok(Self::Iommufd);
        }
        // Groups can have several devices, so there are at most as many groups as devices.
        let count = header.count as usize;
        if count > function.count_in_scope() {
            return Err(EINVAL);
        }

        Self::read_groups(count, address)
    }

    fn read_groups(count: usize, address: usize) -> Result<Self> {
        let len = count.checked_mul(size_of::<i32>()).ok_or(EINVAL)?;
        let mut bytes = KVec::new();
        UserSlice::new(array_at(address), len).read_all(&mut bytes, GFP_KERNEL)?;
        let mut groups = KVec::with_capacity(count, GFP_KERNEL)?;
        for fd in bytes.chunks_exact(size_of::<i32>()) {
            let fd = fd.try_into().map(i32::from_ne_bytes).map_err(|_| EINVAL)?;
            groups.push(OwnedGroup::from_fd(fd)?, GFP_KERNEL)?;
        }

        Ok(Self::Groups(groups))
    }

    /// Does it show that `other` belongs to the user of `device`?
    fn covers(&self, device: &Device, set: &SetState, other: &Device) -> bool {
        match self {
            Self::Groups(groups) => groups.iter().any(|group| group.has(other)),
            Self::Iommufd => device.iommufd_ownership(set, other).is_owned(),
        }
    }
}

/// Does what `VFIO_DEVICE_PCI_HOT_RESET` asks for.
///
/// # Errors
///
/// EFAULT; EINVAL if the user's structure is too short or has flags, if there are groups with a
/// file of a character device or none with one of a group, if there are more groups than devices,
/// if a descriptor is not that of a group, if one of the devices is not the user's, or not bound
/// to a driver of ours; EBADF; ENODEV if neither slot nor bus can be reset; EAGAIN if somebody
/// else holds the lock of a device; EBUSY if a driver in C is at the memory of one; ENOMEM; or that
/// of waking up a device, or of the reset.
// As above.
#[inline(never)]
pub(crate) fn reset(core: &CoreDevice, device: &Device, address: usize) -> Result<isize> {
    let proof = Proof::parse(core.function(), device, address)?;

    let set = device.set().lock().lock();
    let reset_set = ResetSet::of(core)?;
    if !reset_set.is_resettable() {
        return Err(EINVAL);
    }
    let _resumed = reset_set.resumed()?;
    let owns_all = reset_set
        .members()
        .iter()
        .all(|member| proof.covers(device, &set, member.device()));
    if !owns_all {
        return Err(EINVAL);
    }
    // Before the PCI core takes the locks of all of them.
    let _held = reset_set.hold()?;
    let _of_drivers = reset_set.begin_of_c_drivers()?;
    reset_set.try_reset()?;

    Ok(0)
}
