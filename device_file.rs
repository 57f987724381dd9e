// SPDX-License-Identifier: GPL-2.0

//! Files of a device, from its group or from its character device.

use crate::{
    abstractions::{
        char_device::OpenDevice,
        device::SysfsPath,
        file::{
            FileOperations,
            FileTable, //
        },
        iommufd::Context,
        kvm::{
            Kvm,
            KvmPointer, //
        },
        pfnmap::{
            Fault,
            FaultResult,
            NewMapping, //
        },
        pseudo_fs::AnonInode,
        uapi, //
    },
    device::{
        Device,
        Opener,
        Use, //
    },
    device_cdev::Binding,
    device_set::SetState,
    group::{
        Group,
        Iommu, //
    },
    LocalModule, //
};
use kernel::{
    fs::File,
    module::this_module,
    new_spinlock,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow,
        LockedBy,
        SetOnce,
        SpinLock, //
    },
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

/// Where a file came from.
pub(crate) enum Origin {
    /// From the group; its file stays open as long as this one.
    Group {
        /// The group.
        group: Arc<Group>,
        /// The open file of the group, if its container must stay.
        _file: Option<ARef<File>>,
    },
    /// From the character device; bound to an iommufd or not yet.
    Cdev(LockedBy<Option<Binding>, SetState>),
}

/// An open file of a device.
#[pin_data]
pub(crate) struct DeviceFile {
    pub(crate) device: Arc<Device>,
    pub(crate) origin: Origin,
    /// Set once the device is open for this file.
    pub(crate) granted: SetOnce<()>,
    #[pin]
    kvm: SpinLock<Option<KvmPointer>>,
    /// Last: the device may go when this is dropped.
    _use: Use,
}

pub(crate) static OPERATIONS: FileTable<DeviceFile> =
    FileTable::of_char_device(this_module::<LocalModule>());

impl DeviceFile {
    fn new(device: Arc<Device>, origin: Origin, registered: Use) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                device,
                origin,
                granted: SetOnce::new(),
                kvm <- new_spinlock!(None, "vfio_device_file_kvm"),
                _use: registered,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Opens the device for a user of its group and returns the new file.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the group has no container and no iommufd, or the container
    /// no IOMMU type. Otherwise as [`Device::open`].
    pub(crate) fn open_from_group(
        device: Arc<Device>,
        registered: Use,
        group: Arc<Group>,
        group_file: ARef<File>,
    ) -> Result<ARef<File>> {
        let by_container = Self::open_in_group(&device, &group)?;
        let origin = Origin::Group {
            group: group.clone(),
            _file: by_container.then_some(group_file),
        };
        let file = match Self::new(device.clone(), origin, registered) {
            Ok(file) => file,
            Err(error) => {
                Self::close_in_group(&device, &group);
                return Err(error);
            }
        };
        file.granted.populate(());
        OPERATIONS
            .create_anonymous(c"[vfio-device]", file)
            .map_err(|(error, file)| {
                file.close();
                error
            })
    }

    /// Opens the device and tells whether that was through a container.
    fn open_in_group(device: &Device, group: &Group) -> Result<bool> {
        let mut state = group.lock().lock();
        let mut set = device.set().lock().lock();
        let kvm = || group.kvm();
        match &state.iommu {
            Iommu::Unset => Err(EINVAL),
            Iommu::Container(_) => {
                device.open(&mut set, Opener::Container(&mut state), kvm)?;
                Ok(true)
            }
            Iommu::Iommufd(context) => {
                device.open(&mut set, Opener::Iommufd(context), kvm)?;
                if let Err(error) = Self::attach_compat(device, &mut set, context) {
                    device.close(&mut set, None);
                    return Err(error);
                }
                Ok(false)
            }
        }
    }

    /// Attaches a device that was just opened for the first time to the
    /// address space for users of the container interface.
    fn attach_compat(device: &Device, set: &mut SetState, context: &Context) -> Result {
        if device.open_count(set) != 1 {
            return Ok(());
        }
        let id = context.compat_address_space()?;
        device.bound(set).ok_or(EINVAL)?.attach(id)?;
        Ok(())
    }

    fn close_in_group(device: &Device, group: &Group) {
        let mut state = group.lock().lock();
        let mut set = device.set().lock().lock();
        device.close(&mut set, Some(&mut state));
    }

    /// Gives up the file's share of the device.
    fn close(&self) {
        match &self.origin {
            Origin::Group { group, .. } => Self::close_in_group(&self.device, group),
            Origin::Cdev(_) => self.unbind(),
        }
    }

    /// Fails until the device is open for this file.
    fn access(&self) -> Result<&Device> {
        self.granted.as_ref().ok_or(EINVAL)?;
        Ok(&self.device)
    }

    /// Remembers, or forgets, the virtual machine that the file was given to.
    pub(crate) fn set_kvm(&self, kvm: Option<KvmPointer>) {
        *self.kvm.lock() = kvm;
    }

    /// A reference to that machine.
    pub(crate) fn kvm(&self) -> Option<Kvm> {
        let kvm = self.kvm.lock();
        kvm.and_then(KvmPointer::get)
    }
}

/// Runs `visit` with the device behind `file`, if it is a file of one.
pub(crate) fn with_file<R>(file: &File, visit: impl FnOnce(&DeviceFile) -> R) -> Option<R> {
    OPERATIONS.data_of(file).map(|file| visit(&file))
}

impl OpenDevice for DeviceFile {
    type Device = Device;

    fn open(device: &Arc<Device>, _file: &File) -> Result<Arc<Self>> {
        let registered = Use::begin(device).ok_or(ENODEV)?;
        let origin = Origin::Cdev(LockedBy::new(device.set().lock(), None));
        Self::new(device.clone(), origin, registered)
    }
}

#[vtable]
impl FileOperations for DeviceFile {
    type Data = Arc<Self>;

    fn release(this: Arc<Self>, _file: &File) {
        this.close();
    }

    fn ioctl(this: ArcBorrow<'_, Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        if cmd == uapi::VFIO_DEVICE_BIND_IOMMUFD {
            return this.bind(arg);
        }
        let device = this.access()?;
        if let Origin::Cdev(_) = this.origin {
            match cmd {
                uapi::VFIO_DEVICE_ATTACH_IOMMUFD_PT => return this.attach(arg),
                uapi::VFIO_DEVICE_DETACH_IOMMUFD_PT => return this.detach(arg),
                _ => {}
            }
        }
        device.ops().ioctl(device, cmd, arg)
    }

    fn read(
        this: ArcBorrow<'_, Self>,
        buffer: UserSliceWriter,
        position: &mut i64,
    ) -> Result<usize> {
        let device = this.access()?;
        device.ops().read(device, buffer, position)
    }

    fn write(
        this: ArcBorrow<'_, Self>,
        buffer: UserSliceReader,
        position: &mut i64,
    ) -> Result<usize> {
        let device = this.access()?;
        device.ops().write(device, buffer, position)
    }

    fn mmap(this: ArcBorrow<'_, Self>, mapping: &NewMapping<'_>) -> Result {
        let device = this.access()?;
        device.ops().mmap(device, mapping)
    }

    fn fault(this: ArcBorrow<'_, Self>, fault: &Fault<'_>) -> FaultResult {
        this.device.ops().fault(&this.device, fault)
    }

    fn show_fdinfo(this: ArcBorrow<'_, Self>, output: &SeqFile) {
        if let Ok(path) = SysfsPath::of(this.device.parent()) {
            seq_print!(output, "vfio-device-syspath: /sys{}\n", path.as_str());
        }
    }

    fn address_space(this: ArcBorrow<'_, Self>, adopt: impl FnOnce(&AnonInode)) {
        adopt(this.device.inode());
    }
}
