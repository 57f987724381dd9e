// SPDX-License-Identifier: GPL-2.0

//! Backend drivers: IOMMU interfaces that containers can choose.

use crate::{
    abstractions::{
        iommu,
        module_ref::ModuleRef,
        sync::static_mutex::StaticMutex, //
    },
    confinement::Dma,
    pinning::{
        PinAccess,
        Pins,
        UnmapListener, //
    },
    static_mutex, //
};
use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc,
    ThisModule, //
};

/// A backend driver: an IOMMU interface that containers can choose.
pub trait IommuDriver: Send + Sync {
    /// Name of the driver, for messages.
    fn name(&self) -> &'static CStr;

    /// Whether the driver has `extension`, before any container uses it.
    /// IOMMU types are extensions too.
    fn check_extension(&self, extension: usize) -> bool;

    /// Makes the backend of one container.
    ///
    /// # Errors
    ///
    /// `EINVAL`: `iommu_type` is an extension, but no type. `ENOMEM`.
    fn open(&self, iommu_type: usize) -> Result<Arc<dyn IommuBackend>>;
}

/// What a container with a chosen IOMMU type delegates to. When it is dropped,
/// all mappings go.
pub trait IommuBackend: Send + Sync {
    /// Takes a group in; its DMA goes through this container's mappings then.
    /// That of an emulated group is up to its bus driver.
    ///
    /// Called with the group lock and the container lock held.
    ///
    /// # Errors
    ///
    /// What the backend refuses the group with; nothing has changed then.
    fn attach_group(&self, group: &iommu::Group, dma: Dma) -> Result;

    /// Lets a group go; its DMA is blocked then.
    ///
    /// Called with the group lock and the container lock held.
    fn detach_group(&self, group: &iommu::Group);

    /// Has `listener` told what users unmap, if anything is pinned there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn listen(&self, listener: Arc<dyn UnmapListener>) -> Result;

    /// Undoes [`listen()`](Self::listen). A call of the listener may be in flight.
    fn unlisten(&self, listener: &Arc<dyn UnmapListener>);

    /// Pins pages for the bus driver of a device of `group`, `count` from `iova` on, and gives
    /// them to `keep`: who unmaps them waits until that has returned, and tells listeners after
    /// it. Called with no lock held that others wait for; may touch user memory.
    ///
    /// # Errors
    ///
    /// What the backend refuses it with.
    fn pin(
        &self,
        group: &iommu::Group,
        iova: u64,
        count: usize,
        access: PinAccess,
        keep: &mut dyn FnMut(KBox<dyn Pins>),
    ) -> Result;

    /// Copies user memory from `iova` on to `buffer`, for the bus driver of a device; called
    /// as [`pin()`](Self::pin).
    ///
    /// # Errors
    ///
    /// What the backend refuses it with.
    fn read(&self, iova: u64, buffer: &mut [u8]) -> Result;

    /// Copies `bytes` to user memory from `iova` on, likewise.
    ///
    /// # Errors
    ///
    /// What the backend refuses it with.
    fn write(&self, iova: u64, bytes: &[u8]) -> Result;

    /// Every ioctl of the container but those that the core answers. May run
    /// at the same time as any other method, and after the last group has
    /// left.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: there is no such ioctl; what the backend refuses it with.
    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize>;
}

/// A registered backend driver and the module that it lives in.
#[derive(Clone)]
struct DriverEntry {
    driver: Arc<dyn IommuDriver>,
    module: &'static ThisModule,
}

/// The backend drivers, newest first.
static DRIVERS: StaticMutex<KVec<DriverEntry>> = static_mutex!(KVec::new(), c"vfio_iommu_drivers");

/// A backend driver that is kept loaded.
///
/// Fields are dropped in order: the driver before its code.
pub(super) struct Candidate {
    /// The driver.
    pub(super) driver: Arc<dyn IommuDriver>,
    /// Its module.
    pub(super) module: ModuleRef,
}

/// The drivers at this moment.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn drivers() -> Result<KVec<Candidate>> {
    let entries = DRIVERS.lock();
    let mut found = KVec::with_capacity(entries.len(), GFP_KERNEL)?;
    for entry in entries.iter() {
        // A driver whose module is going is one that is not there.
        if let Ok(module) = ModuleRef::get(entry.module) {
            let candidate = Candidate {
                driver: entry.driver.clone(),
                module,
            };
            found.push(candidate, GFP_KERNEL)?;
        }
    }
    Ok(found)
}

/// A backend driver that containers can choose, until this is dropped.
///
/// The owner's module must be the one given, which stays loaded as long as a
/// container uses the driver.
pub struct DriverRegistration {
    driver: Arc<dyn IommuDriver>,
}

impl DriverRegistration {
    /// Registers a driver.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(driver: Arc<dyn IommuDriver>, module: &'static ThisModule) -> Result<Self> {
        let entry = DriverEntry {
            driver: driver.clone(),
            module,
        };
        let mut drivers = DRIVERS.lock();
        drivers.push(entry, GFP_KERNEL)?;
        drivers.rotate_right(1);
        Ok(Self { driver })
    }
}

impl Drop for DriverRegistration {
    fn drop(&mut self) {
        let mut drivers = DRIVERS.lock();
        drivers.retain(|entry| !Arc::ptr_eq(&entry.driver, &self.driver));
        if drivers.is_empty() {
            *drivers = KVec::new();
        }
    }
}
