// SPDX-License-Identifier: GPL-2.0

//! Groups, the smallest sets of devices that a user can own: where the DMA of such devices goes,
//! and who has them.
//!
//! Lock order: the group lock, then the device-set lock or the lock of the group's
//! state, and inside of that the container lock. The list of groups has a lock that
//! is held for none of these. The group's KVM pointer is a leaf, and so is the list of its
//! devices, which is [above](crate::group::devices).

use crate::{
    abstractions::{
        fs::{
            char_device::DeviceNumber,
            file, //
        },
        iommu::{
            self,
            iommufd, //
        },
        kvm::{
            Kvm,
            KvmSlot, //
        },
        uapi::{
            self,
            GroupStatus, //
        }, //
    },
    confinement::Confinement,
    container::object::{
        Attachment,
        Container,
        GroupBackend, //
    },
    noiommu, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};

/// Where the group's DMA goes.
enum Iommu {
    /// Nowhere yet.
    Unset,
    /// Through a container.
    Container(Attachment),
    /// Through an iommufd, in place of a container.
    Iommufd(iommufd::Context),
}

/// The way in which devices of the group are opened.
pub(crate) enum Way {
    /// Through the container, which has chosen this if SET_IOMMU was done.
    Container(Option<GroupBackend>),
    /// Through an iommufd.
    Iommufd(iommufd::Context),
}

/// What the group lock protects: the devices that are open through the container.
///
/// The lock is held while a device is opened or closed, and where the group's DMA
/// goes changes only with it held, but for [`Group::retire`].
pub(crate) struct Users {
    container: usize,
}

impl Users {
    /// The group lock of a group that is not in use.
    pub(crate) fn new_lock() -> impl PinInit<Mutex<Self>> {
        new_mutex!(Self { container: 0 }, "vfio_group")
    }

    /// A device of the group is opened through the container.
    pub(crate) fn use_container(&mut self) {
        self.container = self.container.saturating_add(1);
    }

    /// Undoes [`use_container`](Self::use_container).
    pub(crate) fn unuse_container(&mut self) {
        self.container = self.container.saturating_sub(1);
    }
}

/// What the group is a part of, and who has it.
///
/// Its lock is inside of the group lock. Opening a device may take a lock of a
/// hotplug port, which is held while the last device is removed: so this one is held
/// for no call of a bus driver, and removal takes this one only.
struct State {
    /// Gone once the last device has left.
    iommu_group: Option<ARef<iommu::Group>>,
    iommu: Iommu,
    /// Whether there is an open file of the group.
    opened: bool,
    /// Devices that are bound through their character devices.
    cdev_users: usize,
}

/// A group.
#[pin_data]
pub(crate) struct Group {
    number: Option<Arc<DeviceNumber>>,
    confinement: Confinement,
    #[pin]
    users: Mutex<Users>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    kvm: KvmSlot,
}

impl Group {
    /// A group that is not in use.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        number: Option<Arc<DeviceNumber>>,
        iommu_group: Option<ARef<iommu::Group>>,
        confinement: Confinement,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                number,
                confinement,
                users <- Users::new_lock(),
                state <- new_mutex!(
                    State {
                        iommu_group,
                        iommu: Iommu::Unset,
                        opened: false,
                        cdev_users: 0,
                    },
                    "vfio_group_state"
                ),
                kvm <- KvmSlot::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The last device has left: what is open stays open, but does nothing any
    /// more.
    ///
    /// Without the group lock: nobody opens or closes a device of the group any more.
    pub(crate) fn retire(&self) {
        let mut state = self.state.lock();
        if matches!(state.iommu, Iommu::Container(_)) {
            state.iommu = Iommu::Unset;
        }
        state.iommu_group = None;
    }

    /// The number of its node, which stays taken as long as there is the group.
    pub(crate) fn number(&self) -> Option<&Arc<DeviceNumber>> {
        self.number.as_ref()
    }

    /// What keeps DMA of its devices within the memory of their user.
    pub(crate) fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// The group lock.
    pub(crate) fn lock(&self) -> &Mutex<Users> {
        &self.users
    }

    /// The way in which a device of the group is opened now. As long as the caller holds the
    /// group lock, as `_users` shows, that does not change.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is none, SET_CONTAINER was not done.
    pub(crate) fn way(&self, _users: &Users) -> Result<Way> {
        match &self.state.lock().iommu {
            Iommu::Unset => Err(EINVAL),
            Iommu::Container(attachment) => Ok(Way::Container(attachment.backend())),
            Iommu::Iommufd(context) => Ok(Way::Iommufd(context.share())),
        }
    }

    /// Which virtual machine the group was given to.
    pub(crate) fn kvm_slot(&self) -> &KvmSlot {
        &self.kvm
    }

    /// A reference to that machine.
    pub(crate) fn kvm(&self) -> Option<Kvm> {
        self.kvm.get()
    }

    /// Opens the group, which only one file can have.
    ///
    /// # Errors
    ///
    /// `ENODEV`: its last device has left. `EPERM`: it is in no-IOMMU mode, and the user may not
    /// have it. `EBUSY`: it is open, or a device of it is bound through its character device.
    pub(crate) fn open(&self) -> Result {
        let mut state = self.state.lock();
        if state.iommu_group.is_none() {
            return Err(ENODEV);
        }
        if self.confinement == Confinement::NoIommu {
            noiommu::permit()?;
        }
        if state.cdev_users > 0 || state.opened {
            return Err(EBUSY);
        }
        state.opened = true;
        Ok(())
    }

    /// Undoes [`open()`](Self::open).
    pub(crate) fn close(&self) {
        let _users = self.users.lock();
        let mut state = self.state.lock();
        // Devices that are open through a container hold the file, so there
        // are none.
        state.iommu = Iommu::Unset;
        state.opened = false;
    }

    /// A device of the group is bound through its character device: the group
    /// cannot be opened meanwhile.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the group is open.
    pub(crate) fn block(self: &Arc<Self>) -> Result<Block> {
        let mut state = self.state.lock();
        if state.opened {
            return Err(EBUSY);
        }
        state.cdev_users = state.cdev_users.saturating_add(1);
        drop(state);
        Ok(Block(self.clone()))
    }

    /// VFIO_GROUP_GET_STATUS
    pub(crate) fn status(&self, arg: usize) -> Result<isize> {
        let mut status: GroupStatus = uapi::read(arg)?;
        if (status.argsz as usize) < size_of::<GroupStatus>() {
            return Err(EINVAL);
        }
        let state = self.state.lock();
        let iommu_group = state.iommu_group.as_ref().ok_or(ENODEV)?;
        status.flags = match state.iommu {
            Iommu::Unset if iommu_group.dma_owner_claimed() => 0,
            Iommu::Unset => GroupStatus::VIABLE,
            _ => GroupStatus::VIABLE | GroupStatus::CONTAINER_SET,
        };
        drop(state);
        uapi::write(arg, &status)?;
        Ok(0)
    }

    /// VFIO_GROUP_SET_CONTAINER
    pub(crate) fn set_container(&self, arg: usize) -> Result<isize> {
        let fd: i32 = uapi::read(arg)?;
        let file = file::get(fd)?;
        let _users = self.users.lock();
        let mut state = self.state.lock();
        if !matches!(state.iommu, Iommu::Unset) {
            return Err(EINVAL);
        }
        let iommu_group = state.iommu_group.as_ref().ok_or(ENODEV)?;
        state.iommu = if let Some(container) = Container::from_file(&file) {
            Iommu::Container(container.attach(iommu_group, self.confinement)?)
        } else {
            let context = iommufd::Context::from_file(&file).map_err(|_| EBADFD)?;
            match self.confinement {
                Confinement::Kept(_) => context.create_compat_address_space()?,
                Confinement::NoIommu => context.set_no_iommu()?,
            }
            Iommu::Iommufd(context)
        };
        Ok(0)
    }

    /// VFIO_GROUP_UNSET_CONTAINER
    pub(crate) fn unset_container(&self) -> Result<isize> {
        let users = self.users.lock();
        let mut state = self.state.lock();
        match state.iommu {
            Iommu::Unset => return Err(EINVAL),
            Iommu::Container(_) if users.container > 0 => return Err(EBUSY),
            _ => {}
        }
        state.iommu = Iommu::Unset;
        Ok(0)
    }
}

/// Keeps a group from being opened.
pub(crate) struct Block(Arc<Group>);

impl Drop for Block {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.cdev_users = state.cdev_users.saturating_sub(1);
    }
}
