// SPDX-License-Identifier: GPL-2.0

//! Groups: `/dev/vfio/N`, the smallest sets of devices that a user can own.
//!
//! A group exists from the registration of its first device to that of its
//! last one; a file that is open then only keeps the memory.
//!
//! Lock order: the group lock, then the device-set lock or the lock of the group's
//! state, and inside of that the container lock. The list of groups has a lock that
//! is held for none of these. The group's device list and its KVM pointer are leaves.

use crate::{
    abstractions::{
        char_device::{
            CharDevice,
            CharDeviceTable,
            Class,
            ClassRegistration,
            Description,
            DeviceNumber,
            DeviceNumbers,
            NodeFolder,
            OpenDevice, //
        },
        file::{
            self,
            FileOperations, //
        },
        iommu::{
            self,
            FabricatedGroup, //
        },
        iommufd,
        kvm::{
            Kvm,
            KvmSlot, //
        },
        static_mutex::StaticMutex,
        uapi::{
            self,
            GroupStatus, //
        }, //
    },
    confinement::{
        Confinement,
        Dma, //
    },
    container::{
        Attachment,
        Container,
        GroupBackend, //
    },
    device::{
        Device,
        Use, //
    },
    device_file::DeviceFile,
    noiommu,
    static_mutex,
    LocalModule, //
};
use kernel::{
    device,
    fs::{
        file::{
            flags::O_CLOEXEC,
            FileDescriptorReservation, //
        },
        File, //
    },
    module::this_module,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::{
        CStr,
        CString, //
    },
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow,
        Mutex, //
    }, //
};

/// Whether groups have nodes. Without them users have those of devices only.
const HAVE_NODES: bool = cfg!(CONFIG_VFIO_RUST_GROUP);

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
    devices: Mutex<KVec<Arc<Device>>>,
    #[pin]
    kvm: KvmSlot,
}

/// A group that has devices, and its node once one of them has been published.
struct Entry {
    group: Arc<Group>,
    iommu_group: ARef<iommu::Group>,
    devices: usize,
    node: Option<CharDevice<Group>>,
}

/// All groups, and the numbers for their nodes while the module is loaded.
struct Groups {
    numbers: Option<DeviceNumbers>,
    entries: KVec<Entry>,
}

static CLASS: Class = Class::new(c"vfio", NodeFolder::Vfio);

static GROUPS: StaticMutex<Groups> = static_mutex!(
    Groups {
        numbers: None,
        entries: KVec::new(),
    },
    c"vfio_groups"
);

static OPERATIONS: CharDeviceTable<GroupFile> = CharDeviceTable::new(this_module::<LocalModule>());

/// The class and the device numbers of groups, until this is dropped.
pub(crate) struct Nodes {
    _class: Option<ClassRegistration>,
}

impl Nodes {
    /// Registers both, if groups have nodes.
    pub(crate) fn register() -> Result<Self> {
        if !HAVE_NODES {
            return Ok(Self { _class: None });
        }
        let class = ClassRegistration::new(&CLASS)?;
        GROUPS.lock().numbers = Some(DeviceNumbers::allocate(c"vfio")?);
        Ok(Self {
            _class: Some(class),
        })
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // Every device holds this module through its driver, so no group is
        // left.
        GROUPS.lock().numbers = None;
    }
}

/// A device's place in its group. The group's node exists no longer than there is
/// one of these.
pub(crate) struct Membership {
    group: Arc<Group>,
    _fabricated: Option<FabricatedGroup>,
}

impl Membership {
    /// Joins the group of `device`; the first member creates it.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no IOMMU serves the device, and no-IOMMU mode is off. `EEXIST`: one does,
    /// but the device is emulated. `ENOSPC`: there are too many groups. `ENOMEM`.
    pub(crate) fn join(device: &device::Device, dma: Dma) -> Result<Self> {
        let iommu_group = match dma {
            Dma::Physical => iommu::Group::of(device),
            Dma::Emulated => None,
        };
        let confinement = match dma {
            Dma::Physical if iommu_group.is_none() && noiommu::is_enabled() => Confinement::NoIommu,
            _ => Confinement::Kept(dma),
        };
        if !HAVE_NODES {
            return Self::without_node(confinement);
        }
        match (confinement, iommu_group) {
            (_, Some(iommu_group)) => Self::join_iommu_group(iommu_group),
            (Confinement::Kept(Dma::Physical), None) => Err(EINVAL),
            (Confinement::Kept(Dma::Emulated), None) => {
                Self::join_fabricated_group(device, confinement)
            }
            (Confinement::NoIommu, None) => {
                let membership = Self::join_fabricated_group(device, confinement)?;
                noiommu::taint_by_group(device);
                Ok(membership)
            }
        }
    }

    /// A group that nobody will look for.
    fn without_node(confinement: Confinement) -> Result<Self> {
        Ok(Self {
            group: Group::new(None, None, confinement)?,
            _fabricated: None,
        })
    }

    fn join_fabricated_group(device: &device::Device, confinement: Confinement) -> Result<Self> {
        let fabricated = FabricatedGroup::new(device)?;
        let group = GROUPS
            .lock()
            .create(fabricated.group().into(), confinement)?;
        Ok(Self {
            group,
            _fabricated: Some(fabricated),
        })
    }

    fn join_iommu_group(iommu_group: ARef<iommu::Group>) -> Result<Self> {
        let mut groups = GROUPS.lock();
        let found = groups
            .entries
            .iter_mut()
            .find(|entry| core::ptr::eq(&*entry.iommu_group, &*iommu_group));
        if let Some(entry) = found {
            entry.devices = entry.devices.saturating_add(1);
            return Ok(Self {
                group: entry.group.clone(),
                _fabricated: None,
            });
        }
        let group = groups.create(iommu_group, Confinement::Kept(Dma::Physical))?;
        Ok(Self {
            group,
            _fabricated: None,
        })
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Shows the group's node, unless another device's membership did. Users who see it,
    /// or the uevent, find the device of this one: it is published by now.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn show(&self) -> Result {
        if !HAVE_NODES {
            return Ok(());
        }
        let mut groups = GROUPS.lock();
        let entry = groups
            .entries
            .iter_mut()
            .find(|entry| Arc::ptr_eq(&entry.group, &self.group))
            .ok_or(ENODEV)?;
        if entry.node.is_none() {
            entry.node = Some(entry.create_node()?);
        }
        Ok(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut groups = GROUPS.lock();
        let Some(index) = groups
            .entries
            .iter()
            .position(|entry| Arc::ptr_eq(&entry.group, &self.group))
        else {
            return;
        };
        if let Some(entry) = groups.entries.get_mut(index) {
            entry.devices = entry.devices.saturating_sub(1);
            if entry.devices > 0 {
                return;
            }
        }
        let Ok(entry) = groups.entries.remove(index) else {
            return;
        };
        if groups.entries.is_empty() {
            groups.entries = KVec::new();
        }
        // The node goes under the lock: a new group of the same name may come
        // right after.
        drop(entry);
        drop(groups);
        // That may have to wait for a user of the group, and nobody else has to.
        self.group.retire();
    }
}

impl Entry {
    fn create_node(&self) -> Result<CharDevice<Group>> {
        let prefix = match self.group.confinement {
            Confinement::Kept(_) => "",
            Confinement::NoIommu => "noiommu-",
        };
        let name = CString::try_from_fmt(fmt!("{prefix}{}", self.iommu_group.id()))?;
        CharDevice::new(
            Description {
                class: &CLASS,
                parent: None,
                number: self.group.number.as_ref(),
                name: &name,
            },
            &OPERATIONS,
            this_module::<LocalModule>(),
            self.group.clone(),
        )
    }
}

impl Groups {
    fn create(
        &mut self,
        iommu_group: ARef<iommu::Group>,
        confinement: Confinement,
    ) -> Result<Arc<Group>> {
        let number = self.numbers.as_ref().ok_or(ENODEV)?.take()?;
        let group = Group::new(Some(number), Some(iommu_group.clone()), confinement)?;
        self.entries.push(
            Entry {
                group: group.clone(),
                iommu_group,
                devices: 1,
                node: None,
            },
            GFP_KERNEL,
        )?;
        Ok(group)
    }
}

impl Group {
    fn new(
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
                devices <- new_mutex!(KVec::new(), "vfio_group_devices"),
                kvm <- KvmSlot::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The last device has left: what is open stays open, but does nothing any
    /// more.
    ///
    /// Without the group lock: nobody opens or closes a device of the group any more.
    fn retire(&self) {
        let mut state = self.state.lock();
        if matches!(state.iommu, Iommu::Container(_)) {
            state.iommu = Iommu::Unset;
        }
        state.iommu_group = None;
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

    /// Lets users find `device` by name.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn publish(&self, device: Arc<Device>) -> Result {
        Ok(self.devices.lock().push(device, GFP_KERNEL)?)
    }

    /// Hides `device` from users again.
    pub(crate) fn withdraw(&self, device: &Device) {
        let mut devices = self.devices.lock();
        devices.retain(|other| !core::ptr::eq(&**other, device));
        if devices.is_empty() {
            *devices = KVec::new();
        }
    }

    /// Runs `visit` for every device of the group until it returns `false`;
    /// returns whether it never did.
    pub(crate) fn all_devices(&self, visit: impl Fn(&Device) -> bool) -> bool {
        self.devices.lock().iter().all(|device| visit(device))
    }

    /// Finds the device that `name` names and keeps it registered.
    ///
    /// # Errors
    ///
    /// `ENODEV`: there is none. `EINVAL`, `EACCES`: the options behind the
    /// name are wrong.
    fn find(&self, name: &CStr) -> Result<Use> {
        for device in self.devices.lock().iter() {
            if device.matches(name)? {
                if let Some(registered) = Use::begin(device) {
                    return Ok(registered);
                }
            }
        }
        Err(ENODEV)
    }

    /// Which virtual machine the group was given to.
    pub(crate) fn kvm_slot(&self) -> &KvmSlot {
        &self.kvm
    }

    /// A reference to that machine.
    pub(crate) fn kvm(&self) -> Option<Kvm> {
        self.kvm.get()
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

    fn status(&self, arg: usize) -> Result<isize> {
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

    fn set_container(&self, arg: usize) -> Result<isize> {
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

    fn unset_container(&self) -> Result<isize> {
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

    fn device_fd(&self, group: &Arc<Self>, file: &File, arg: usize) -> Result<isize> {
        let name = uapi::read_string(arg, PAGE_SIZE)?;
        let registered = self.find(&name)?;
        let reservation = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
        let opened = DeviceFile::open_from_group(registered, group.clone(), file.into())?;
        let fd = reservation.reserved_fd();
        reservation.fd_install(opened);
        Ok(fd as isize)
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

/// An open group.
pub(crate) struct GroupFile {
    group: Arc<Group>,
}

/// The group behind `file`, if it is a file of one.
pub(crate) fn from_file(file: &File) -> Option<Arc<Group>> {
    OPERATIONS.data_of(file).map(|file| file.group.clone())
}

impl OpenDevice for GroupFile {
    type Device = Group;

    fn open(group: &Arc<Group>) -> Result<Arc<Self>> {
        let file = Arc::new(
            Self {
                group: group.clone(),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let mut state = group.state.lock();
        if state.iommu_group.is_none() {
            return Err(ENODEV);
        }
        if group.confinement == Confinement::NoIommu {
            noiommu::permit()?;
        }
        if state.cdev_users > 0 || state.opened {
            return Err(EBUSY);
        }
        state.opened = true;
        drop(state);
        Ok(file)
    }
}

#[vtable]
impl FileOperations for GroupFile {
    type Data = Arc<Self>;

    fn release(this: Arc<Self>) {
        let _users = this.group.users.lock();
        let mut state = this.group.state.lock();
        // Devices that are open through a container hold the file, so there
        // are none.
        state.iommu = Iommu::Unset;
        state.opened = false;
    }

    fn ioctl(this: ArcBorrow<'_, Self>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let group = &this.group;
        match cmd {
            uapi::VFIO_GROUP_GET_DEVICE_FD => group.device_fd(group, file, arg),
            uapi::VFIO_GROUP_GET_STATUS => group.status(arg),
            uapi::VFIO_GROUP_SET_CONTAINER => group.set_container(arg),
            uapi::VFIO_GROUP_UNSET_CONTAINER => group.unset_container(),
            _ => Err(ENOTTY),
        }
    }
}
