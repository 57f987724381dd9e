// SPDX-License-Identifier: GPL-2.0

//! Files of a device, from its group or from its character device.

use crate::{
    abstractions::{
        device::{
            Awake,
            SysfsPath, //
        },
        fs::{
            char_device::CharDeviceTable,
            file::FileOperations,
            pseudo_fs::AnonInode, //
        },
        iommu::iommufd::Context,
        kvm::{
            Kvm,
            KvmSlot, //
        },
        mm::pfnmap::{
            Fault,
            FaultResult,
            NewMapping,
            Populated, //
        },
        uaccess::UserBytes,
        uapi, //
    },
    container::group::{
        Group,
        Way, //
    },
    device::{
        cdev::{
            self,
            BindRequest,
            Binding, //
        },
        dma_logging,
        feature::{
            Feature,
            Request, //
        },
        object::Opener,
        set::SetState,
        Device,
        RegisteredDevice, //
    },
    noiommu,
    LocalModule, //
};
use kernel::{
    dev_info,
    fs::File,
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow,
        SetOnce, //
    }, //
};

/// Where a file came from.
pub(crate) enum Origin {
    /// From the group.
    Group {
        group: Arc<Group>,
        /// The open file of the group, once its container must stay.
        file: SetOnce<ARef<File>>,
    },
    /// From the character device.
    Cdev(Binding),
}

impl Origin {
    /// Keeps the group open, with its container.
    fn keep(&self, group_file: ARef<File>) {
        if let Self::Group { file, .. } = self {
            file.populate(group_file);
        }
    }
}

/// An open file of a device.
#[pin_data]
pub(crate) struct DeviceFile {
    origin: Origin,
    /// Set once the device is open for this file.
    granted: SetOnce<()>,
    #[pin]
    kvm: KvmSlot,
    /// Last: the device may go when this is dropped.
    registered: RegisteredDevice,
}

pub(crate) static OPERATIONS: CharDeviceTable<DeviceFile> =
    CharDeviceTable::new(this_module::<LocalModule>());

impl DeviceFile {
    fn new(origin: Origin, registered: RegisteredDevice) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                origin,
                granted: SetOnce::new(),
                kvm <- KvmSlot::new(),
                registered,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// A file of the device's node, which can do nothing until it is bound.
    ///
    /// # Errors
    ///
    /// `EPERM`: the device is in no-IOMMU mode, and the user may not have it. `ENOMEM`.
    pub(crate) fn open_from_node(registered: RegisteredDevice) -> Result<Arc<Self>> {
        if registered.device().is_no_iommu() {
            noiommu::permit()?;
        }
        let origin = Origin::Cdev(Binding::new(registered.device()));
        Self::new(origin, registered)
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        self.registered.device()
    }

    /// The device, for those who need a reference of their own.
    pub(crate) fn shared_device(&self) -> &Arc<Device> {
        self.registered.device()
    }

    /// Opens the device for a user of its group and returns the new file.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the group has no container and no iommufd, or the container
    /// no IOMMU type. Otherwise as [`Device::open`].
    pub(crate) fn open_from_group(
        registered: RegisteredDevice,
        group: Arc<Group>,
        group_file: ARef<File>,
    ) -> Result<ARef<File>> {
        let origin = Origin::Group {
            group: group.clone(),
            file: SetOnce::new(),
        };
        let file = Self::new(origin, registered)?;
        if Self::open_in_group(file.shared_device(), &group)? {
            file.origin.keep(group_file);
        }
        file.granted.populate(());
        let opened = OPERATIONS
            .create_anonymous(c"[vfio-device]", file)
            .map_err(|(error, file)| {
                file.close();
                error
            })?;
        with_file(&opened, |file| {
            if file.device().is_no_iommu() {
                noiommu::log_open(file.device().parent());
            }
        });
        Ok(opened)
    }

    /// Opens the device and tells whether that was through a container.
    ///
    /// The container is looked at before the device-set lock is taken: whoever holds
    /// that keeps users of other groups waiting.
    fn open_in_group(device: &Arc<Device>, group: &Group) -> Result<bool> {
        let mut users = group.lock().lock();
        if device.open_again(&mut device.set().lock().lock())? {
            return Ok(true);
        }
        let way = group.way(&users)?;
        let mut set = device.set().lock().lock();
        let kvm = || group.kvm();
        match way {
            Way::Container(backend) => {
                let users = &mut users;
                device.open(&mut set, Opener::Container { backend, users }, kvm)?;
                Ok(true)
            }
            Way::Iommufd(context) if device.is_no_iommu() => {
                device.open(&mut set, Opener::NoIommu(&context), kvm)?;
                Ok(false)
            }
            Way::Iommufd(context) => {
                device.open(&mut set, Opener::Iommufd(&context), kvm)?;
                if let Err(error) = Self::attach_compat(device, &mut set, &context) {
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
        device.bound(set).ok_or(EINVAL)?.attach(None, id)?;
        Ok(())
    }

    fn close_in_group(device: &Device, group: &Group) {
        let mut users = group.lock().lock();
        let mut set = device.set().lock().lock();
        device.close(&mut set, Some(&mut users));
    }

    /// Gives up the file's share of the device.
    fn close(&self) {
        match &self.origin {
            Origin::Group { group, .. } => Self::close_in_group(self.device(), group),
            Origin::Cdev(binding) => binding.unbind(self.device()),
        }
    }

    /// VFIO_DEVICE_BIND_IOMMUFD
    fn bind(&self, arg: usize) -> Result<isize> {
        if !cdev::NODES_EXIST {
            return Err(ENOTTY);
        }
        let request = BindRequest::parse(arg)?;
        let Origin::Cdev(binding) = &self.origin else {
            return Err(EINVAL);
        };
        binding.bind(self.shared_device(), &request, arg, || self.kvm())?;
        self.granted.populate(());
        Ok(0)
    }

    /// Fails until the device is open for this file.
    fn access(&self) -> Result<&Device> {
        self.granted.as_ref().ok_or(EINVAL)?;
        Ok(self.device())
    }

    /// Which virtual machine the file was given to.
    pub(crate) fn kvm_slot(&self) -> &KvmSlot {
        &self.kvm
    }

    /// A reference to that machine.
    pub(crate) fn kvm(&self) -> Option<Kvm> {
        self.kvm.get()
    }
}

/// Wakes `device` up for as long as the result exists.
///
/// # Errors
///
/// `EIO`: it does not wake up.
fn wake_up(device: &Device) -> Result<Awake<'_>> {
    let parent = device.parent();
    Awake::new(parent).map_err(|error| {
        if device.log_limit().permits() {
            dev_info!(parent, "vfio: runtime resume failed {}\n", error.to_errno());
        }
        EIO
    })
}

/// VFIO_DEVICE_FEATURE
fn feature(device: &Device, arg: usize) -> Result<isize> {
    let request = Request::parse(arg)?;
    let ops = device.ops();
    match request.feature() {
        Some(
            Feature::Migration
            | Feature::MigrationState
            | Feature::MigrationDataSize
            | Feature::MigrationPrecopyInfo2,
        ) => {
            let migration = ops.migration().ok_or(ENOTTY)?;
            device
                .migration()
                .answer(migration, device.module(), &request)
        }
        Some(Feature::DmaLoggingStart | Feature::DmaLoggingStop | Feature::DmaLoggingReport) => {
            dma_logging::answer(ops.dma_logging().ok_or(ENOTTY)?, &request)
        }
        _ => ops.feature(device, &request),
    }
}

/// Runs `visit` with the device behind `file`, if it is a file of one.
pub(crate) fn with_file<R>(file: &File, visit: impl FnOnce(&DeviceFile) -> R) -> Option<R> {
    OPERATIONS.data_of(file).map(|file| visit(&file))
}

#[vtable]
impl FileOperations for DeviceFile {
    type Data = Arc<Self>;

    fn release(this: Arc<Self>) {
        this.close();
    }

    fn ioctl(this: ArcBorrow<'_, Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        if cmd == uapi::VFIO_DEVICE_BIND_IOMMUFD {
            return this.bind(arg);
        }
        let device = this.access()?;
        // To wake up a device that is awake costs more than most answers.
        let _awake = (!device.ops().is_answered_asleep(cmd))
            .then(|| wake_up(device))
            .transpose()?;
        if let Origin::Cdev(_) = this.origin {
            match cmd {
                uapi::VFIO_DEVICE_ATTACH_IOMMUFD_PT => return cdev::attach(device, arg),
                uapi::VFIO_DEVICE_DETACH_IOMMUFD_PT => return cdev::detach(device, arg),
                _ => {}
            }
        }
        if cmd == uapi::VFIO_DEVICE_FEATURE {
            return feature(device, arg);
        }
        device.ops().ioctl(device, cmd, arg)
    }

    fn read(this: ArcBorrow<'_, Self>, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let device = this.access()?;
        device.ops().read(device, bytes, position)
    }

    fn write(this: ArcBorrow<'_, Self>, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let device = this.access()?;
        device.ops().write(device, bytes, position)
    }

    fn mmap(this: ArcBorrow<'_, Self>, mapping: &NewMapping<'_>) -> Result<Populated> {
        let device = this.access()?;
        device.ops().mmap(device, mapping)
    }

    fn fault(this: ArcBorrow<'_, Self>, fault: &Fault<'_>) -> FaultResult {
        this.device().ops().fault(this.device(), fault)
    }

    fn show_fdinfo(this: ArcBorrow<'_, Self>, output: &SeqFile) {
        if let Ok(path) = SysfsPath::of(this.device().parent()) {
            seq_print!(output, "vfio-device-syspath: /sys{}\n", path.as_str());
        }
    }

    fn address_space<'a>(this: &'a ArcBorrow<'_, Self>) -> Option<&'a AnonInode> {
        Some(this.device().inode())
    }
}
