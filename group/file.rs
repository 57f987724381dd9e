// SPDX-License-Identifier: GPL-2.0

//! Files of a group, `/dev/vfio/N`.

use crate::{
    abstractions::{
        fs::{
            char_device::{
                CharDeviceTable,
                OpenDevice, //
            },
            file::FileOperations, //
        },
        uapi, //
    },
    device::file::DeviceFile,
    group::devices::GroupDevices,
    LocalModule, //
};
use kernel::{
    fs::{
        file::{
            flags::O_CLOEXEC,
            FileDescriptorReservation, //
        },
        File, //
    },
    module::this_module,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// An open group.
pub(crate) struct GroupFile {
    group: Arc<GroupDevices>,
}

pub(crate) static OPERATIONS: CharDeviceTable<GroupFile> =
    CharDeviceTable::new(this_module::<LocalModule>());

/// The group behind `file`, if it is a file of one.
pub(crate) fn from_file(file: &File) -> Option<Arc<GroupDevices>> {
    OPERATIONS.data_of(file).map(|file| file.group.clone())
}

impl GroupFile {
    /// VFIO_GROUP_GET_DEVICE_FD
    fn device_fd(&self, file: &File, arg: usize) -> Result<isize> {
        let registered = uapi::with_string(arg, PAGE_SIZE, |name| self.group.find(name))??;
        let reservation = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
        let group = self.group.group().clone();
        let opened = DeviceFile::open_from_group(registered, group, file.into())?;
        let fd = reservation.reserved_fd();
        reservation.fd_install(opened);
        Ok(fd as isize)
    }
}

impl OpenDevice for GroupFile {
    type Device = GroupDevices;

    fn open(group: &Arc<GroupDevices>) -> Result<Arc<Self>> {
        let file = Arc::new(
            Self {
                group: group.clone(),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        group.group().open()?;
        Ok(file)
    }
}

#[vtable]
impl FileOperations for GroupFile {
    type Data = Arc<Self>;

    fn release(this: Arc<Self>) {
        this.group.group().close();
    }

    fn ioctl(this: ArcBorrow<'_, Self>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let group = this.group.group();
        match cmd {
            uapi::VFIO_GROUP_GET_DEVICE_FD => this.device_fd(file, arg),
            uapi::VFIO_GROUP_GET_STATUS => group.status(arg),
            uapi::VFIO_GROUP_SET_CONTAINER => group.set_container(arg),
            uapi::VFIO_GROUP_UNSET_CONTAINER => group.unset_container(),
            _ => Err(ENOTTY),
        }
    }
}
