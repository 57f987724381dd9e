// SPDX-License-Identifier: GPL-2.0

//! Devices: what a bus driver registers and users open.
//!
//! A device has three lives, one inside the other. As an *object* it lives as
//! long as somebody has an `Arc`. It is *registered* as long as a [`Use`] may
//! begin; unregistering waits for all uses to end, so the bus driver's device
//! stays bound as long as there is one. It is *open* from its first file to
//! its last one; only then does the bus driver touch the hardware for users.

use crate::{
    abstractions::{
        char_device::{
            CharDevice,
            Class,
            ClassRegistration,
            Description,
            DeviceNumbers,
            NodeFolder, //
        },
        completion::Wait,
        iommu,
        iommufd::{
            BoundDevice,
            Context, //
        },
        kvm::Kvm,
        module_ref::ModuleRef,
        pfnmap::{
            Fault,
            FaultResult,
            NewMapping, //
        },
        pseudo_fs::AnonInode,
        static_mutex::StaticMutex,
        task::Comm, //
    },
    device_feature::Request,
    device_file,
    device_hold::{
        Hold,
        Uses, //
    },
    device_set::{
        self,
        DeviceSet,
        DeviceSetKey,
        SetState, //
    },
    group::{
        self,
        Group, //
    },
    iommufd::Bound,
    notifier::ReleaseNotifiers,
    static_mutex,
    vfio_fs,
    LocalModule, //
};
use kernel::{
    current,
    dev_warn,
    device,
    module::this_module,
    new_mutex,
    prelude::*,
    str::{
        CStr,
        CString, //
    },
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        LockedBy,
        Mutex, //
    },
    time::msecs_to_jiffies,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    },
    ThisModule, //
};

/// How long unregistering waits before it asks users again to let go.
const REQUEST_PERIOD_MS: u32 = 10_000;

/// How the DMA of a device is kept within the memory of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dma {
    /// The device does it, and an IOMMU translates it. Devices that the IOMMU
    /// cannot tell apart share a group.
    Physical,
    /// The device does none: it is made of software, the bus driver. It gets a
    /// group of its own, which no IOMMU serves.
    Emulated,
}

/// What a bus driver does for a device. Everything but opening and closing has
/// a default: the answer of a device that lacks the operation.
pub trait DeviceOps: Send + Sync {
    /// Makes the device usable. Called for the first file only, with the
    /// device-set lock held.
    ///
    /// # Errors
    ///
    /// Whatever keeps the device from working; nothing has changed then.
    fn open(&self, device: &Device) -> Result;

    /// Undoes [`open`](Self::open). Called for the last file, with the
    /// device-set lock held.
    fn close(&self, device: &Device);

    /// An ioctl of the device, but those of the character device.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: there is no such ioctl.
    fn ioctl(&self, _device: &Device, _cmd: u32, _arg: usize) -> Result<isize> {
        Err(ENOTTY)
    }

    /// Probes for, reads or sets a feature.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: the device does not have it. `EINVAL`: it cannot be read or
    /// set, or what the user gave for it is wrong.
    fn feature(&self, _device: &Device, _request: &Request) -> Result<isize> {
        Err(ENOTTY)
    }

    /// Reads from a region.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing can be read.
    fn read(
        &self,
        _device: &Device,
        _buffer: UserSliceWriter,
        _position: &mut i64,
    ) -> Result<usize> {
        Err(EINVAL)
    }

    /// Writes to a region.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing can be written.
    fn write(
        &self,
        _device: &Device,
        _buffer: UserSliceReader,
        _position: &mut i64,
    ) -> Result<usize> {
        Err(EINVAL)
    }

    /// Checks a new mapping of a region and sets its caching. Called with the
    /// mmap lock held; pages are mapped by [`fault`](Self::fault) only.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing can be mapped there.
    fn mmap(&self, _device: &Device, _mapping: &NewMapping<'_>) -> Result {
        Err(EINVAL)
    }

    /// Maps a page of such a mapping. Called with the mmap lock, or the lock
    /// of the area, held.
    fn fault(&self, _device: &Device, _fault: &Fault<'_>) -> FaultResult {
        FaultResult::SIGBUS
    }

    /// Asks users to let the device go; called once when it is unregistered
    /// while in use, and again every ten seconds, with the number of calls
    /// before.
    fn request(&self, _device: &Device, _count: u32) {}

    /// Whether `name`, which may have options behind the device's own name,
    /// means this device.
    ///
    /// # Errors
    ///
    /// `EINVAL`, `EACCES`: it does, but the options are wrong.
    fn matches(&self, device: &Device, name: &CStr) -> Result<bool> {
        Ok(device.parent().name() == name)
    }

    /// Whether the device can be opened with a token.
    fn supports_token(&self) -> bool {
        false
    }

    /// Checks the token that the opener gave, or that none was given.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there must not be one. `EACCES`: it is missing or wrong.
    fn match_token(&self, _device: &Device, token: Option<[u8; 16]>) -> Result {
        match token {
            None => Ok(()),
            Some(_) => Err(EINVAL),
        }
    }
}

/// Where the DMA of an open device goes.
enum OpenIommu {
    /// Through the container of its group.
    Container,
    /// Through an iommufd.
    Iommufd(Bound),
}

/// What exists from a device's first open to its last close.
///
/// Fields are dropped in order.
struct Opened {
    iommu: OpenIommu,
    _kvm: Option<Kvm>,
}

/// The open state of a device; the device-set lock protects it.
pub(crate) struct OpenState {
    files: usize,
    opened: Option<Opened>,
}

/// The way in which a file opens a device.
pub(crate) enum Opener<'a> {
    /// From its group, which has a container.
    Container(&'a mut group::State),
    /// From its group, which has an iommufd, or from the character device.
    Iommufd(&'a Context),
}

/// A device.
#[pin_data]
pub struct Device {
    parent: ARef<device::Device>,
    module: &'static ThisModule,
    ops: Arc<dyn DeviceOps>,
    inode: AnonInode,
    set: device_set::Membership,
    group: Arc<Group>,
    open: LockedBy<OpenState, SetState>,
    through_cdev: Atomic<bool>,
    uses: Arc<Uses>,
    #[pin]
    notifiers: ReleaseNotifiers,
}

impl Device {
    /// Keeps the module of the bus driver loaded. Whoever keeps a reference to
    /// the device beyond its last file needs this as well.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the module is being unloaded.
    pub(crate) fn hold_module(&self) -> Result<ModuleRef> {
        ModuleRef::get(self.module)
    }

    /// The module of the bus driver.
    pub(crate) fn module(&self) -> &'static ThisModule {
        self.module
    }

    /// Keeps the device registered for as long as the result exists. `None` if
    /// it is not, or if the module of its bus driver is being unloaded.
    pub fn hold(&self) -> Option<Hold> {
        let module = self.hold_module().ok()?;
        Hold::begin(&self.uses, &self.parent, module)
    }

    /// The bus driver's device.
    pub fn parent(&self) -> &device::Device {
        &self.parent
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
    /// `EBUSY`: it is open, and its DMA goes elsewhere. Otherwise what the IOMMU
    /// or the bus driver refuses the first open with; nothing has changed then.
    pub(crate) fn open(
        &self,
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
            return Ok(0);
        }
        let (opened, id) = self.open_first(opener, kvm)?;
        let state = self.open.access_mut(set);
        state.opened = Some(opened);
        state.files = 1;
        set.open_devices = set.open_devices.saturating_add(1);
        self.notifiers.accept();
        Ok(id)
    }

    fn open_first(
        &self,
        opener: Opener<'_>,
        kvm: impl FnOnce() -> Option<Kvm>,
    ) -> Result<(Opened, u32)> {
        let kvm = kvm();
        let (iommu, id) = match opener {
            Opener::Container(group) => {
                group.use_container()?;
                if let Err(error) = self.ops.open(self) {
                    group.unuse_container();
                    return Err(error);
                }
                (OpenIommu::Container, 0)
            }
            Opener::Iommufd(context) => {
                let (bound, id) = Bound::new(context, &self.parent, self.group.dma())?;
                self.ops.open(self)?;
                (OpenIommu::Iommufd(bound), id)
            }
        };
        Ok((Opened { iommu, _kvm: kvm }, id))
    }

    /// Closes one file's share of the device. `group` is the state of its
    /// group if the file came from there.
    pub(crate) fn close(&self, set: &mut SetState, group: Option<&mut group::State>) {
        let state = self.open.access_mut(set);
        state.files = state.files.saturating_sub(1);
        if state.files > 0 {
            return;
        }
        let Some(opened) = state.opened.take() else {
            return;
        };
        set.open_devices = set.open_devices.saturating_sub(1);
        // Nothing may reach the device's memory once the bus driver lets go.
        self.notifiers.notify();
        self.ops.close(self);
        if let (OpenIommu::Container, Some(group)) = (&opened.iommu, group) {
            group.unuse_container();
        }
    }

    /// Remembers whether the open file of this device came from its character
    /// device. Constant as long as there is a file that can be used.
    pub(crate) fn set_open_through_cdev(&self, through_cdev: bool) {
        self.through_cdev.store(through_cdev, Relaxed);
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
                iommu: OpenIommu::Iommufd(Bound::Physical(bound)),
                ..
            }) => Some(bound),
            _ => None,
        }
    }
}

impl OpenIommu {
    fn is_that_of(&self, opener: &Opener<'_>) -> bool {
        match (self, opener) {
            (Self::Container, Opener::Container(_)) => true,
            (Self::Iommufd(bound), Opener::Iommufd(context)) => bound.is_bound_to(context),
            _ => false,
        }
    }
}

/// A device that stays registered.
///
/// Fields are dropped in order: the last reference to the device drops what the
/// bus driver gave it, and that is code of the module that is held.
pub struct Use {
    device: Arc<Device>,
    _hold: Hold,
}

impl Use {
    /// Begins a use, unless the device is not registered, or the module of its
    /// bus driver is being unloaded.
    pub fn begin(device: &Arc<Device>) -> Option<Self> {
        Some(Self {
            _hold: device.hold()?,
            device: device.clone(),
        })
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

/// What the character device of a device leads to.
///
/// The node may live a little longer than the registration, and must not keep
/// the device for that long: dropping it needs code of the bus driver.
#[pin_data]
pub(crate) struct NodeTarget {
    #[pin]
    device: Mutex<Option<Arc<Device>>>,
}

impl NodeTarget {
    fn new(device: Arc<Device>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                device <- new_mutex!(Some(device), "vfio_device_node"),
            }),
            GFP_KERNEL,
        )
    }

    /// Begins a use of the device, unless it is not registered.
    pub(crate) fn begin_use(&self) -> Option<Use> {
        self.device.lock().as_ref().and_then(Use::begin)
    }
}

/// The numbers of all devices, and of their nodes while the module is loaded.
struct Numbers {
    nodes: Option<DeviceNumbers>,
    taken: KVec<u32>,
}

static CLASS: Class = Class::new(c"vfio-dev", NodeFolder::VfioDevices);

static NUMBERS: StaticMutex<Numbers> = static_mutex!(
    Numbers {
        nodes: None,
        taken: KVec::new(),
    },
    c"vfio_device_numbers"
);

/// The class and the device numbers of devices, until this is dropped.
pub(crate) struct Nodes {
    _class: ClassRegistration,
}

impl Nodes {
    /// Registers both.
    pub(crate) fn register() -> Result<Self> {
        let class = ClassRegistration::new(&CLASS)?;
        NUMBERS.lock().nodes = Some(DeviceNumbers::allocate(c"vfio-dev")?);
        Ok(Self { _class: class })
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        NUMBERS.lock().nodes = None;
    }
}

/// The N of `vfioN`: the lowest number that no other device has.
struct Number(u32);

impl Number {
    fn take() -> Result<Self> {
        let mut numbers = NUMBERS.lock();
        let number = (0..DeviceNumbers::COUNT)
            .find(|number| !numbers.taken.contains(number))
            .ok_or(ENOSPC)?;
        numbers.taken.push(number, GFP_KERNEL)?;
        Ok(Self(number))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut numbers = NUMBERS.lock();
        numbers.taken.retain(|number| *number != self.0);
        if numbers.taken.is_empty() {
            numbers.taken = KVec::new();
        }
    }
}

/// A registered device. Dropping it unregisters: the device disappears for
/// users at once, then the call sleeps until the last of them has let go.
///
/// Fields are dropped in order, after the wait.
pub struct Registration {
    device: Arc<Device>,
    node: Option<(CharDevice<NodeTarget>, Arc<NodeTarget>)>,
    _number: Number,
    _group: group::Membership,
}

impl Registration {
    /// Registers the device of a bus driver in `module`. May sleep.
    ///
    /// From now on users may open it: `ops` must be ready.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it does DMA, but no IOMMU serves it, or the DMA is not cache
    /// coherent. `EEXIST`: it is emulated, but an IOMMU serves its parent.
    /// `ENOSPC`: there are too many devices. `ENOMEM`.
    pub fn new(
        parent: &device::Device,
        ops: Arc<dyn DeviceOps>,
        set: DeviceSetKey,
        dma: Dma,
        module: &'static ThisModule,
    ) -> Result<Self> {
        let group = group::Membership::join(parent, dma)?;
        // Mappings always ask for coherent DMA; there is no way for users to
        // restore coherency themselves.
        if dma == Dma::Physical && !iommu::is_cache_coherent(parent) {
            return Err(EINVAL);
        }
        let device = Self::create(parent, ops, set, module, group.group().clone())?;
        let number = Number::take()?;
        let node = Self::create_node(&device, number.0)?;
        device.uses.register();
        let registration = Self {
            device,
            node: Some(node),
            _number: number,
            _group: group,
        };
        let device = &registration.device;
        device.group.publish(device.clone())?;
        Ok(registration)
    }

    fn create(
        parent: &device::Device,
        ops: Arc<dyn DeviceOps>,
        set: DeviceSetKey,
        module: &'static ThisModule,
        group: Arc<Group>,
    ) -> Result<Arc<Device>> {
        let set = device_set::Membership::join(set)?;
        let open = LockedBy::new(
            set.set().lock(),
            OpenState {
                files: 0,
                opened: None,
            },
        );
        let inode = vfio_fs::new_inode()?;
        Arc::pin_init(
            try_pin_init!(Device {
                parent: parent.into(),
                module,
                ops,
                inode,
                set,
                group,
                open,
                uses: Uses::new()?,
                through_cdev: Atomic::new(false),
                notifiers <- ReleaseNotifiers::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn create_node(
        device: &Arc<Device>,
        number: u32,
    ) -> Result<(CharDevice<NodeTarget>, Arc<NodeTarget>)> {
        let name = CString::try_from_fmt(fmt!("vfio{number}"))?;
        let numbers = NUMBERS.lock();
        let nodes = numbers.nodes.as_ref().ok_or(ENODEV)?;
        let target = NodeTarget::new(device.clone())?;
        let node = CharDevice::new(
            Description {
                class: &CLASS,
                parent: Some(&device.parent),
                numbers: nodes,
                minor: number,
                name: &name,
            },
            &device_file::OPERATIONS,
            this_module::<LocalModule>(),
            target.clone(),
        )?;
        Ok((node, target))
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Sleeps until all uses have ended, asking users to end them.
    fn wait_until_unused(&self) {
        let device = &self.device;
        let period = msecs_to_jiffies(REQUEST_PERIOD_MS);
        let mut interruptible = true;
        let mut count: u32 = 0;
        if device.uses.wait_timeout(0) == Wait::Completed {
            return;
        }
        loop {
            device.ops.request(device, count);
            count = count.saturating_add(1);
            let wait = if interruptible {
                device.uses.wait_interruptible_timeout(period)
            } else {
                device.uses.wait_timeout(period)
            };
            match wait {
                Wait::Completed => return,
                Wait::TimedOut => {}
                Wait::Interrupted => {
                    // There is no way to give up: the bus driver needs its
                    // device back. Say who hangs, and why.
                    interruptible = false;
                    dev_warn!(
                        device.parent,
                        "Device is currently in use, task \"{}\" ({}) blocked until device is released\n",
                        Comm::current(),
                        current!().pid()
                    );
                }
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.device.group.withdraw(&self.device);
        if let Some((node, target)) = self.node.take() {
            drop(node);
            *target.device.lock() = None;
        }
        // The registration's own use.
        self.device.uses.end();
        self.wait_until_unused();
    }
}
