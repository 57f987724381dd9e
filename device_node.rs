// SPDX-License-Identifier: GPL-2.0

//! The nodes of devices, `/dev/vfio/devices/vfioN`.

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
        static_mutex::StaticMutex, //
    },
    device::{
        Device,
        Use, //
    },
    device_file,
    static_mutex,
    LocalModule, //
};
use kernel::{
    module::this_module,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    }, //
};

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

/// The node of a registered device. Its number stays taken until this is
/// dropped.
pub(crate) struct Node {
    /// Until it is removed.
    char_device: Option<CharDevice<NodeTarget>>,
    target: Arc<NodeTarget>,
    _number: Number,
}

impl Node {
    /// Creates the node. May sleep; users may open it from now on.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: there are too many devices. `ENOMEM`.
    pub(crate) fn new(device: &Arc<Device>) -> Result<Self> {
        let number = Number::take()?;
        let name = CString::try_from_fmt(fmt!("vfio{}", number.0))?;
        let target = NodeTarget::new(device.clone())?;
        let numbers = NUMBERS.lock();
        let nodes = numbers.nodes.as_ref().ok_or(ENODEV)?;
        let char_device = CharDevice::new(
            Description {
                class: &CLASS,
                parent: Some(device.parent()),
                numbers: nodes,
                minor: number.0,
                name: &name,
            },
            &device_file::OPERATIONS,
            this_module::<LocalModule>(),
            target.clone(),
        )?;
        drop(numbers);
        Ok(Self {
            char_device: Some(char_device),
            target,
            _number: number,
        })
    }

    /// Removes the node, and takes the device from those who still have it open.
    pub(crate) fn remove(&mut self) {
        self.char_device = None;
        *self.target.device.lock() = None;
    }
}
