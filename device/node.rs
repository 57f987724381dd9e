// SPDX-License-Identifier: GPL-2.0

//! The nodes of devices, `/dev/vfio/devices/vfioN`. In a configuration without character
//! devices each device still has its place in `/sys/class/vfio-dev`.

use crate::{
    abstractions::{
        fs::char_device::{
            CharDevice,
            Class,
            ClassRegistration,
            Description,
            DeviceNumber,
            DeviceNumbers,
            NodeFolder,
            OpenDevice, //
        },
        ida::{
            Ida,
            Number, //
        },
        sync::static_mutex::StaticMutex, //
    },
    device::{
        cdev::NODES_EXIST,
        file::{
            DeviceFile,
            OPERATIONS, //
        },
        Device,
        RegisteredDevice, //
    },
    noiommu,
    static_mutex, //
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// What comes before the `vfioN` of a device.
fn prefix(device: &Device) -> &'static str {
    if device.is_no_iommu() && noiommu::HAS_NODES {
        "noiommu-"
    } else {
        ""
    }
}

/// What the character device of a device leads to.
///
/// The node may live a little longer than the registration, and must not keep
/// the device for that long: dropping it needs code of the bus driver.
#[pin_data]
pub(crate) struct NodeTarget {
    number: Option<Arc<DeviceNumber>>,
    #[pin]
    device: Mutex<Option<Arc<Device>>>,
}

impl NodeTarget {
    fn new(number: Option<Arc<DeviceNumber>>, device: Arc<Device>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                number,
                device <- new_mutex!(Some(device), "vfio_device_node"),
            }),
            GFP_KERNEL,
        )
    }

    /// Begins a use of the device, unless it is not registered.
    fn begin_use(&self) -> Option<RegisteredDevice> {
        self.device
            .lock()
            .as_ref()
            .and_then(RegisteredDevice::begin)
    }
}

impl OpenDevice for DeviceFile {
    type Device = NodeTarget;

    fn open(target: &Arc<NodeTarget>) -> Result<Arc<Self>> {
        Self::open_from_node(target.begin_use().ok_or(ENODEV)?)
    }
}

/// What devices and their nodes are numbered from.
struct Numbers {
    /// The N of `vfioN`: users expect the lowest that no other device has.
    names: Arc<Ida>,
    /// If there are nodes.
    nodes: Option<DeviceNumbers>,
}

static CLASS: Class = Class::new(c"vfio-dev", NodeFolder::VfioDevices);

/// There while the module is loaded.
static NUMBERS: StaticMutex<Option<Numbers>> = static_mutex!(None, c"vfio_device_numbers");

/// The class and, if there are nodes, the device numbers of devices, until this is dropped.
pub(crate) struct Nodes {
    _class: ClassRegistration,
}

impl Nodes {
    /// Registers both.
    pub(crate) fn register() -> Result<Self> {
        let class = ClassRegistration::new(&CLASS)?;
        *NUMBERS.lock() = Some(Numbers {
            names: Ida::new(DeviceNumbers::LAST)?,
            nodes: NODES_EXIST
                .then(|| DeviceNumbers::allocate(c"vfio-dev"))
                .transpose()?,
        });
        Ok(Self { _class: class })
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        *NUMBERS.lock() = None;
    }
}

/// The node of a device. Its name and number stay taken until this is dropped.
pub(crate) struct Node {
    /// From when it is shown until it is removed.
    char_device: Option<CharDevice<NodeTarget>>,
    target: Arc<NodeTarget>,
    name: Number,
}

impl Node {
    /// Prepares the node; nobody sees it yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: there are too many devices. `ENOMEM`.
    pub(crate) fn new(device: &Arc<Device>) -> Result<Self> {
        let numbers = NUMBERS.lock();
        let numbers = numbers.as_ref().ok_or(ENODEV)?;
        let number = numbers
            .nodes
            .as_ref()
            .filter(|_| noiommu::HAS_NODES || !device.is_no_iommu())
            .map(DeviceNumbers::take)
            .transpose()?;
        Ok(Self {
            char_device: None,
            target: NodeTarget::new(number, device.clone())?,
            name: numbers.names.lowest()?,
        })
    }

    /// Shows the node. Users who see it, or the uevent, may open `device`, its device,
    /// before this has returned: it is registered by now. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn show(&mut self, device: &Device) -> Result {
        let name = CString::try_from_fmt(fmt!("{}vfio{}", prefix(device), self.name.value()))?;
        let char_device = CharDevice::new(
            Description {
                class: &CLASS,
                parent: Some(device.parent()),
                number: self.target.number.as_ref(),
                name: &name,
            },
            &OPERATIONS,
            self.target.clone(),
        )?;
        self.char_device = Some(char_device);
        Ok(())
    }

    /// Removes the node, and takes the device from those who still have it open.
    pub(crate) fn remove(&mut self) {
        self.char_device = None;
        *self.target.device.lock() = None;
    }
}
