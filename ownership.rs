// SPDX-License-Identifier: GPL-2.0

//! Whom devices belong to: what a bus driver asks before it does something to
//! several devices at once.

use crate::{
    abstractions::{
        fs::file,
        iommu, //
    },
    container::group::Group,
    device::{
        set::SetState,
        Device, //
    },
    group, //
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// An open group: whoever shows its file owns its devices.
pub struct OwnedGroup {
    group: Arc<Group>,
    /// Keeps the group open.
    _file: ARef<File>,
}

impl OwnedGroup {
    /// The group behind a descriptor of the current process.
    ///
    /// # Errors
    ///
    /// `EBADF`: the descriptor is not open. `EINVAL`: it is not that of a
    /// group.
    pub fn from_fd(fd: i32) -> Result<Self> {
        let file = file::get(fd)?;
        let devices = group::file::from_file(&file).ok_or(EINVAL)?;
        Ok(Self {
            group: devices.group().clone(),
            _file: file,
        })
    }

    /// Whether `device` is in the group.
    pub fn has(&self, device: &Device) -> bool {
        Arc::ptr_eq(&self.group, device.group())
    }
}

/// How a device belongs to the user of an iommufd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IommufdOwnership {
    /// It is bound to the iommufd and has this object id there.
    Bound(u32),
    /// It is not bound, but another device of its group is, so nobody else can
    /// have it.
    ThroughGroup,
    /// It does not.
    None,
}

impl IommufdOwnership {
    /// Whether it does belong to that user.
    pub fn is_owned(self) -> bool {
        self != Self::None
    }
}

impl Device {
    /// How `other`, a device of the same set, belongs to the user of the
    /// iommufd that this device is bound to.
    pub fn iommufd_ownership(&self, set: &SetState, other: &Device) -> IommufdOwnership {
        let Some(own) = self.binding(set) else {
            return IommufdOwnership::None;
        };
        if !core::ptr::eq(self.set(), other.set()) {
            return IommufdOwnership::None;
        }
        match other.binding(set) {
            Some(bound) if bound.has_context_of(own) => return IommufdOwnership::Bound(bound.id()),
            _ => {}
        }
        match iommu::Group::of(other.parent()) {
            Some(group) if own.context_has_group(&group) => IommufdOwnership::ThroughGroup,
            _ => IommufdOwnership::None,
        }
    }
}
