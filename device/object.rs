// SPDX-License-Identifier: GPL-2.0

//! Devices: what a bus driver registers and users open.
//!
//! A device has three lives, one inside the other. As an *object* it lives as
//! long as somebody has an `Arc`. It is *registered* as long as a [`RegisteredDevice`] may
//! begin; unregistering waits for all uses to end, so the bus driver's device
//! stays bound as long as there is one. It is *open* from its first file to
//! its last one; only then does the bus driver touch the hardware for users.
//!
//! A device and its [operations](DeviceOps) are one thing in two files: either is of use only with
//! the other.

use crate::{
    abstractions::{
        fs::pseudo_fs::AnonInode,
        iommu::iommufd::{
            BoundDevice,
            Context, //
        },
        kvm::Kvm,
        module_ref::{
            DriverModule,
            ModuleRef, //
        },
        ratelimit::RateLimit,
        registered::{
            RegistrationCount,
            RegistrationRef, //
        }, //
    },
    confinement::Confinement,
    container::{
        group::{
            Group,
            Users, //
        },
        object::GroupBackend, //
    },
    device::{
        migration,
        notifiers::ReleaseNotifiers,
        ops::{
            DeviceOps,
            Opening, //
        },
        set::{
            DeviceSet,
            DeviceSetKey,
            Membership,
            SetState, //
        },
        user_memory::{
            Memory,
            OpenMemory,
            Owner,
            UserMemory, //
        }, //
    },
    iommufd::Bound,
    noiommu,
    vfio_fs, //
};
use core::ops::RangeInclusive;
use kernel::{
    device,
    prelude::*,
    str::CStr,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        LockedBy, //
    }, //
};

/// Where the DMA of an open device goes.
enum OpenIommu {
    /// Through the container of its group.
    Container,
    /// Through an iommufd.
    Iommufd(Bound),
    /// Anywhere. Its group has an iommufd, but in no-IOMMU mode nothing is bound to that.
    NoIommu(Context),
}

/// What exists from a device's first open to its last close.
///
/// Fields are dropped in order.
struct Opened {
    iommu: OpenIommu,
    _kvm: Option<Kvm>,
    _memory: OpenMemory,
}

/// The open state of a device; the device-set lock protects it.
pub(crate) struct OpenState {
    files: usize,
    opened: Option<Opened>,
}

/// The way in which a file opens a device.
pub(crate) enum Opener<'a> {
    /// From its group, which has a container.
    Container {
        /// What the container has chosen, if anything.
        backend: Option<GroupBackend>,
        /// The group's devices that are open through it.
        users: &'a mut Users,
    },
    /// From its group, which has an iommufd.
    Iommufd(&'a Context),
    /// From the character device, which is bound to an iommufd.
    Cdev(&'a Context),
    /// From its group, which is in no-IOMMU mode and has an iommufd.
    NoIommu(&'a Context),
}

/// A device.
#[pin_data]
pub struct Device {
    parent: ARef<device::Device>,
    module: DriverModule,
    ops: Arc<dyn DeviceOps>,
    inode: AnonInode,
    set: Membership,
    group: Arc<Group>,
    open: LockedBy<OpenState, SetState>,
    /// Whether the open files came from the character device.
    through_cdev: Atomic<bool>,
    uses: Arc<RegistrationCount>,
    log_limit: RateLimit,
    migration: migration::UserSide,
    user_memory: Arc<UserMemory>,
    #[pin]
    notifiers: ReleaseNotifiers,
}

impl Device {
    /// Creates a device that is not registered.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        parent: &device::Device,
        ops: Arc<dyn DeviceOps>,
        set: DeviceSetKey,
        module: DriverModule,
        group: Arc<Group>,
    ) -> Result<Arc<Self>> {
        let set = Membership::join(set)?;
        let open = LockedBy::new(
            set.set().lock(),
            OpenState {
                files: 0,
                opened: None,
            },
        );
        let inode = vfio_fs::new_inode()?;
        let user_memory = UserMemory::new(ops.pins())?;
        Arc::pin_init(
            try_pin_init!(Self {
                parent: parent.into(),
                module,
                ops,
                inode,
                set,
                group,
                open,
                uses: RegistrationCount::new()?,
                log_limit: RateLimit::new(),
                migration: migration::UserSide::new()?,
                through_cdev: Atomic::new(false),
                user_memory,
                notifiers <- ReleaseNotifiers::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Keeps the module of the bus driver loaded. Whoever keeps a reference to
    /// the device beyond its last file needs this as well.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the module is being unloaded.
    pub(crate) fn hold_module(&self) -> Result<ModuleRef> {
        self.module.hold()
    }

    /// The module of the bus driver.
    pub(crate) fn module(&self) -> &DriverModule {
        &self.module
    }

    /// Keeps the device registered for as long as the result exists. `None` if
    /// it is not, or if the module of its bus driver is being unloaded.
    pub fn hold(&self) -> Option<RegistrationRef> {
        let module = self.hold_module().ok()?;
        RegistrationRef::begin(&self.uses, &self.parent, module)
    }

    /// The bus driver's device.
    pub fn parent(&self) -> &device::Device {
        &self.parent
    }

    /// Whether nothing confines its DMA.
    pub(crate) fn is_no_iommu(&self) -> bool {
        self.group.confinement() == Confinement::NoIommu
    }

    /// The set of devices that it is opened and reset with.
    pub fn set(&self) -> &DeviceSet {
        self.set.set()
    }

    /// The group that it belongs to.
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// What the bus driver does for it.
    pub(crate) fn ops(&self) -> &dyn DeviceOps {
        &*self.ops
    }

    /// The inode that all its files map through.
    pub(crate) fn inode(&self) -> &AnonInode {
        &self.inode
    }

    /// Removes all CPU mappings of bytes `start..start + length` of the
    /// device's files, in every process. They fault again when touched. The
    /// caller holds whatever keeps the fault handler from mapping them anew.
    ///
    /// May sleep. Takes locks of mm, which are below the device memory lock.
    pub fn zap(&self, start: u64, length: u64) {
        self.inode.unmap_mapping_range(start, length);
    }

    /// Who keeps the device registered.
    pub(crate) fn uses(&self) -> &RegistrationCount {
        &self.uses
    }

    /// How often its user can make the core say something about it.
    pub(crate) fn log_limit(&self) -> &RateLimit {
        &self.log_limit
    }

    /// What its user has to do with its migration.
    pub(crate) fn migration(&self) -> &migration::UserSide {
        &self.migration
    }

    /// The memory of its user, which bus drivers of emulated devices read and write.
    pub fn user_memory(&self) -> &Arc<UserMemory> {
        &self.user_memory
    }

    /// Those who want to be told before the device is released.
    pub(crate) fn notifiers(&self) -> &ReleaseNotifiers {
        &self.notifiers
    }

    /// How many files of the device are open.
    pub fn open_count(&self, set: &SetState) -> usize {
        self.open.access(set).files
    }

    /// Whether `name` means this device.
    pub(crate) fn matches(&self, name: &CStr) -> Result<bool> {
        self.ops.matches(self, name)
    }

    /// Opens the device for one more file.
    ///
    /// # Errors
    ///
    /// `EBUSY`: it is open, and its DMA goes elsewhere. `EPERM`: its group is in no-IOMMU
    /// mode, and the user may not have it. Otherwise what the IOMMU or the bus driver
    /// refuses the first open with; nothing has changed then.
    pub(crate) fn open(
        self: &Arc<Self>,
        set: &mut SetState,
        opener: Opener<'_>,
        kvm: impl FnOnce() -> Option<Kvm>,
    ) -> Result<u32> {
        let state = self.open.access_mut(set);
        if let Some(opened) = &state.opened {
            if !opened.iommu.is_that_of(&opener) {
                return Err(EBUSY);
            }
            state.files = state.files.checked_add(1).ok_or(EMFILE)?;
            self.ops.files_changed(self, state.files);
            return Ok(0);
        }
        let through_cdev = matches!(opener, Opener::Cdev(_));
        let (opened, id) = self.open_first(opener, kvm)?;
        self.through_cdev.store(through_cdev, Relaxed);
        let state = self.open.access_mut(set);
        state.opened = Some(opened);
        state.files = 1;
        set.open_devices = set.open_devices.saturating_add(1);
        self.notifiers.accept();
        Ok(id)
    }

    /// Opens the device for one more file of its group, if it is open through the container, and
    /// tells whether it is: as long as that is so, the group stays in the container, which need
    /// not be looked at.
    ///
    /// # Errors
    ///
    /// `EMFILE`: there are as many files as can be counted.
    pub(crate) fn open_again(&self, set: &mut SetState) -> Result<bool> {
        let state = self.open.access_mut(set);
        let is_open = matches!(
            state.opened,
            Some(Opened {
                iommu: OpenIommu::Container,
                ..
            })
        );
        if is_open {
            state.files = state.files.checked_add(1).ok_or(EMFILE)?;
            self.ops.files_changed(self, state.files);
        }
        Ok(is_open)
    }

    fn open_first(
        self: &Arc<Self>,
        opener: Opener<'_>,
        kvm: impl FnOnce() -> Option<Kvm>,
    ) -> Result<(Opened, u32)> {
        let kvm = kvm();
        let opening = Opening {
            machine: kvm.as_ref(),
            through_cdev: matches!(opener, Opener::Cdev(_)),
            bound: None,
        };
        let memory = OpenMemory::new(self.clone())?;
        let (iommu, id) = match opener {
            Opener::Container { backend, users } => {
                let backend = backend.ok_or(EINVAL)?;
                if self.is_no_iommu() {
                    noiommu::permit()?;
                }
                memory.set(&self.user_memory, Memory::Container(backend))?;
                self.ops.open(self, &opening)?;
                users.use_container();
                (OpenIommu::Container, 0)
            }
            Opener::Iommufd(context) | Opener::Cdev(context) => {
                let (bound, id) = Bound::new(
                    context,
                    self.hold().ok_or(ENODEV)?,
                    self.group.confinement(),
                    memory.listener(),
                )?;
                if let Some(space) = bound.space() {
                    memory.set(&self.user_memory, Memory::Iommufd(space.clone()))?;
                }
                let opening = Opening {
                    bound: bound.physical(),
                    ..opening
                };
                self.ops.open(self, &opening)?;
                (OpenIommu::Iommufd(bound), id)
            }
            Opener::NoIommu(context) => {
                noiommu::permit_iommufd(context)?;
                self.ops.open(self, &opening)?;
                (OpenIommu::NoIommu(context.share()), 0)
            }
        };
        let opened = Opened {
            iommu,
            _kvm: kvm,
            _memory: memory,
        };
        Ok((opened, id))
    }

    /// Closes one file's share of the device. `users` are those of its group if
    /// the file came from there.
    pub(crate) fn close(&self, set: &mut SetState, users: Option<&mut Users>) {
        let state = self.open.access_mut(set);
        state.files = state.files.saturating_sub(1);
        if state.files > 0 {
            self.ops.files_changed(self, state.files);
            return;
        }
        let Some(opened) = state.opened.take() else {
            return;
        };
        set.open_devices = set.open_devices.saturating_sub(1);
        // Nothing may reach the device's memory once the bus driver lets go.
        self.notifiers.notify();
        self.ops.close(self);
        self.migration.forget(self.ops.migration());
        if let (OpenIommu::Container, Some(users)) = (&opened.iommu, users) {
            users.unuse_container();
        }
    }

    /// Whether the open files of this device came from its character device.
    /// There must be one.
    pub fn is_open_through_cdev(&self) -> bool {
        self.through_cdev.load(Relaxed)
    }

    /// The binding to an iommufd, if the device is open through one.
    pub(crate) fn bound<'a>(&'a self, set: &'a mut SetState) -> Option<&'a mut Bound> {
        match &mut self.open.access_mut(set).opened {
            Some(Opened {
                iommu: OpenIommu::Iommufd(bound),
                ..
            }) => Some(bound),
            _ => None,
        }
    }

    /// The same, to look at, unless the device is emulated.
    pub(crate) fn binding<'a>(&'a self, set: &'a SetState) -> Option<&'a BoundDevice> {
        match &self.open.access(set).opened {
            Some(Opened {
                iommu: OpenIommu::Iommufd(bound),
                ..
            }) => bound.physical(),
            _ => None,
        }
    }
}

impl Owner for Device {
    fn user_memory(&self) -> &UserMemory {
        &self.user_memory
    }

    fn unmapped(&self, addresses: RangeInclusive<u64>) {
        self.ops.unmapped(self, addresses);
    }

    fn complain(&self, addresses: RangeInclusive<u64>, pinned: usize) {
        if self.log_limit.permits() {
            let (first, last) = (addresses.start(), addresses.end());
            dev_err!(
                self.parent(),
                "vfio: the driver was told to let go of pages at {first:#x} to {last:#x}, \
                 and has {pinned} pinned still\n"
            );
        }
    }
}

impl OpenIommu {
    fn is_that_of(&self, opener: &Opener<'_>) -> bool {
        match (self, opener) {
            (Self::Container, Opener::Container { .. }) => true,
            (Self::Iommufd(bound), Opener::Iommufd(context)) => bound.is_bound_to(context),
            (Self::NoIommu(own), Opener::NoIommu(context)) => own.is(context),
            _ => false,
        }
    }
}

/// A device that stays registered.
///
/// Fields are dropped in order: the last reference to the device drops what the
/// bus driver gave it, and that is code of the module that is held.
///
/// Unlike a [`RegistrationRef`] it needs no more references than these two: every file of a
/// device has one.
pub struct RegisteredDevice {
    device: Arc<Device>,
    _module: ModuleRef,
}

impl RegisteredDevice {
    /// Begins a use, unless the device is not registered, or the module of its
    /// bus driver is being unloaded.
    pub fn begin(device: &Arc<Device>) -> Option<Self> {
        let module = device.hold_module().ok()?;
        device.uses.begin().then(|| Self {
            device: device.clone(),
            _module: module,
        })
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for RegisteredDevice {
    fn drop(&mut self) {
        self.device.uses.end();
    }
}
