// SPDX-License-Identifier: GPL-2.0

//! The nodes of groups, `/dev/vfio/N`, and which groups there are.
//!
//! A group exists from the registration of its first device to that of its
//! last one; a file that is open then only keeps the memory.

use crate::{
    abstractions::{
        fs::char_device::{
            CharDevice,
            Class,
            ClassRegistration,
            Description,
            DeviceNumbers,
            NodeFolder, //
        },
        iommu::{
            self,
            FabricatedGroup, //
        },
        sync::static_mutex::StaticMutex, //
    },
    confinement::{
        Confinement,
        Dma, //
    },
    container::group::Group,
    group::{
        devices::GroupDevices,
        file::OPERATIONS, //
    },
    noiommu,
    static_mutex, //
};
use kernel::{
    device,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// Whether groups have nodes. Without them users have those of devices only.
const HAVE_NODES: bool = cfg!(CONFIG_VFIO_RUST_GROUP);

/// A group that has devices, and its node once one of them has been published.
struct Entry {
    group: Arc<GroupDevices>,
    iommu_group: ARef<iommu::Group>,
    devices: usize,
    node: Option<CharDevice<GroupDevices>>,
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
    group: Arc<GroupDevices>,
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
            group: GroupDevices::new(Group::new(None, None, confinement)?)?,
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

    /// The group.
    pub(crate) fn group(&self) -> &Arc<Group> {
        self.group.group()
    }

    /// Its devices.
    pub(crate) fn devices(&self) -> &GroupDevices {
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
        self.group().retire();
    }
}

impl Entry {
    fn create_node(&self) -> Result<CharDevice<GroupDevices>> {
        let prefix = match self.group.group().confinement() {
            Confinement::Kept(_) => "",
            Confinement::NoIommu => "noiommu-",
        };
        let name = CString::try_from_fmt(fmt!("{prefix}{}", self.iommu_group.id()))?;
        CharDevice::new(
            Description {
                class: &CLASS,
                parent: None,
                number: self.group.group().number(),
                name: &name,
            },
            &OPERATIONS,
            self.group.clone(),
        )
    }
}

impl Groups {
    fn create(
        &mut self,
        iommu_group: ARef<iommu::Group>,
        confinement: Confinement,
    ) -> Result<Arc<GroupDevices>> {
        let number = self.numbers.as_ref().ok_or(ENODEV)?.take()?;
        let group = Group::new(Some(number), Some(iommu_group.clone()), confinement)?;
        let group = GroupDevices::new(group)?;
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
