// SPDX-License-Identifier: GPL-2.0

//! The type1 part of a container: what the core delegates to.
//!
//! One mutex guards everything of a container. It is inside of the group and
//! container locks of the core, and outside of the mmap lock. Nothing in here
//! takes a group lock or a device-set lock: those who hold one may wait for
//! this mutex, in particular when they release a device whose memory is mapped
//! here. Release notifiers are therefore dropped without the mutex, since that
//! waits for such a call to end.

use super::{
    abstractions::{
        scheduler::cond_resched,
        type1_parameters,
        uapi_type1, //
    },
    device_memory::Retired,
    domain::Domain,
    emulated::EmulatedGroups,
    info::Facts,
    mapping::Mapping,
    mappings::{
        Mappings,
        Slot, //
    },
    page_sizes::PageSizes,
    range::IovaRange,
    request::{
        Extent,
        InfoRequest,
        MapRequest,
        UnmapRequest, //
    },
    valid_iova::permits, //
};
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use vfio::{
    abstractions::{
        iommu,
        uapi, //
    },
    container::{
        IommuBackend,
        IommuDriver, //
    },
    device::Dma,
    lock_order, //
};

/// How ranges to unmap relate to mappings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// Any range may be asked for. A mapping goes as a whole if the range holds
    /// its first address; the first mapping that starts below the range ends
    /// the request.
    V1,
    /// A range that would cut a mapping in two is refused.
    V2,
}

/// What the mutex of a container guards.
pub(super) struct State {
    pub(super) domains: KVec<Domain>,
    pub(super) emulated: EmulatedGroups,
    pub(super) mappings: Mappings,
    pub(super) page_sizes: PageSizes,
    /// The addresses that may be mapped, in ascending order.
    pub(super) valid: KVec<IovaRange>,
    /// What mappings that are gone have left behind.
    pub(super) retired: Retired,
}

impl State {
    fn new() -> Self {
        Self {
            domains: KVec::new(),
            emulated: EmulatedGroups::new(),
            mappings: Mappings::new(type1_parameters::dma_entry_limit()),
            page_sizes: PageSizes::common(core::iter::empty(), PAGE_SIZE as u64),
            valid: KVec::new(),
            retired: Retired::new(),
        }
    }

    /// Makes the memory of `request` visible to devices.
    fn map(&mut self, request: &MapRequest, container: &Arc<Shared>) -> Result {
        let range = request.range;
        let aligned = self.page_sizes.is_aligned(range.start())
            && self.page_sizes.is_aligned(range.size())
            && self.page_sizes.is_aligned(request.vaddr as u64);
        if !aligned {
            return Err(EINVAL);
        }
        if self.mappings.first_overlap(&range).is_some() {
            return Err(EEXIST);
        }
        if self.mappings.available() == 0 {
            return Err(ENOSPC);
        }
        if !permits(&self.valid, &range) {
            return Err(EINVAL);
        }
        // The last group left while this call was on its way.
        if self.domains.is_empty() && self.emulated.is_empty() {
            return Err(ENODEV);
        }
        let slot = Slot::new()?;
        let mut mapping = Mapping::new(request)?;
        if !self.domains.is_empty() {
            if let Err(error) = mapping.populate(&self.domains, container) {
                match mapping.clear(&self.domains) {
                    Ok(left) => self.retired.add(left),
                    // Its addresses are in use until that can be undone.
                    Err(_) => self.mappings.insert(slot, mapping),
                }
                return Err(error);
            }
        }
        self.mappings.insert(slot, mapping);
        Ok(())
    }

    /// The range that `extent` stands for.
    fn range_of(&self, extent: &Extent) -> Result<IovaRange> {
        match *extent {
            Extent::All => Ok(IovaRange::ALL),
            Extent::Bytes { iova, size } => {
                if !self.page_sizes.is_aligned(iova) || !self.page_sizes.is_aligned(size) {
                    return Err(EINVAL);
                }
                Ok(IovaRange::from_size(iova, size)?)
            }
        }
    }

    /// Removes mappings in `extent`, and returns how many bytes they had.
    ///
    /// Who is being killed removes all of them as well: others may have the
    /// container too, and could not tell how far this came.
    fn unmap(&mut self, extent: &Extent, version: Version) -> Result<u64> {
        let range = self.range_of(extent)?;
        if version == Version::V2 && self.mappings.is_cut_by(&range) {
            return Err(EINVAL);
        }
        match self.mappings.first_overlap(&range) {
            // Only in v1.
            Some(found) if found.start() < range.start() => Ok(0),
            _ => self.remove_all(range),
        }
    }

    /// Removes all mappings that begin in `range`, which cuts none at its start, and
    /// returns how many bytes they had.
    ///
    /// # Errors
    ///
    /// `EIO`: those that an IOMMU driver failed to unmap are still there.
    fn remove_all(&mut self, range: IovaRange) -> Result<u64> {
        let mut size = 0u64;
        let mut result = Ok(());
        let mut rest = Some(range);
        while let Some(found) = rest.and_then(|rest| self.mappings.first_overlap(&rest)) {
            match self.remove(&found) {
                Ok(()) => size = size.saturating_add(found.size()),
                Err(error) => result = Err(error),
            }
            let next = found.last().checked_add(1);
            rest = next.and_then(|next| IovaRange::new(next, range.last()));
            cond_resched();
        }
        result.map(|()| size)
    }

    /// Removes the mapping of `range`, or none of it.
    fn remove(&mut self, range: &IovaRange) -> Result {
        if let Some(mapping) = self.mappings.get_mut(range.last()) {
            self.retired.add(mapping.clear(&self.domains)?);
            self.mappings.remove(range.last());
        }
        Ok(())
    }

    /// Removes all mappings. No group is left in any domain, so that none can stay.
    pub(super) fn clear(&mut self) {
        let _ = self.remove_all(IovaRange::ALL);
    }
}

/// The state of a container and its mutex. Those who watch devices for the
/// container share it.
#[pin_data]
pub(super) struct Shared {
    #[pin]
    state: Mutex<State>,
}

impl Shared {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(State::new(), "vfio_iommu_type1"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Runs `work` with the mutex held, and drops afterwards what must not be
    /// dropped under it.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = work(&mut state);
        let retired = core::mem::replace(&mut state.retired, Retired::new());
        drop(state);
        drop(retired);
        result
    }

    /// Takes the memory of a device that is about to be released out of the
    /// mapping that ends at `last`, if the device is known there as `source`.
    pub(super) fn revoke(&self, last: u64, source: u64) {
        let watched = self.with(|state| {
            let mapping = state.mappings.get_mut(last)?;
            mapping.revoke(&state.domains, source)
        });
        // The device is gone, and a container must not keep what is left of it.
        drop(watched);
    }
}

/// Tells lockdep the lock order of this crate: a release handler takes the
/// container's mutex, and whoever maps memory registers one with the mmap lock
/// held.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn prime_lock_order() -> Result {
    let shared = Shared::new()?;
    lock_order::prime(&mut |register| {
        shared.with(|_| lock_order::with_mmap_lock(register));
    })
}

/// The type1 part of a container.
struct Container {
    version: Version,
    shared: Arc<Shared>,
}

impl Container {
    fn new(version: Version) -> Result<Arc<Self>> {
        let shared = Shared::new()?;
        Ok(Arc::new(Self { version, shared }, GFP_KERNEL_ACCOUNT)?)
    }

    fn map_dma(&self, arg: usize) -> Result {
        let request = MapRequest::read(arg)?;
        self.shared.with(|state| state.map(&request, &self.shared))
    }

    fn unmap_dma(&self, arg: usize) -> Result {
        let request = UnmapRequest::read(arg)?;
        let size = self
            .shared
            .with(|state| state.unmap(&request.extent, self.version))?;
        request.write_back(size)
    }

    fn get_info(&self, arg: usize) -> Result {
        let request = InfoRequest::read(arg)?;
        let facts = {
            let state = self.shared.state.lock();
            Facts::new(
                state.page_sizes.bitmap(),
                state.mappings.available(),
                &state.valid,
            )?
        };
        facts.answer(request)
    }

    fn check_extension(&self, extension: usize) -> bool {
        match extension {
            uapi_type1::DMA_CC_IOMMU => {
                let state = self.shared.state.lock();
                state.domains.iter().all(Domain::is_coherent)
            }
            _ => is_static_extension(extension),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Those who watch devices keep the state alive, and only mappings keep
        // them.
        self.shared.with(State::clear);
    }
}

impl IommuBackend for Container {
    fn attach_group(&self, group: &iommu::Group, dma: Dma) -> Result {
        self.shared
            .with(|state| state.attach_group(group, dma, &self.shared))
    }

    fn detach_group(&self, group: &iommu::Group) {
        self.shared.with(|state| state.detach_group(group))
    }

    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            uapi::VFIO_CHECK_EXTENSION => return Ok(self.check_extension(arg).into()),
            uapi_type1::VFIO_IOMMU_GET_INFO => self.get_info(arg)?,
            uapi_type1::VFIO_IOMMU_MAP_DMA => self.map_dma(arg)?,
            uapi_type1::VFIO_IOMMU_UNMAP_DMA => self.unmap_dma(arg)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

/// Whether every container has `extension`.
fn is_static_extension(extension: usize) -> bool {
    matches!(
        extension,
        uapi_type1::TYPE1_IOMMU | uapi_type1::TYPE1V2_IOMMU | uapi_type1::UNMAP_ALL
    )
}

/// The backend driver.
pub(super) struct Type1;

impl IommuDriver for Type1 {
    fn name(&self) -> &'static CStr {
        c"vfio-iommu-type1"
    }

    fn check_extension(&self, extension: usize) -> bool {
        is_static_extension(extension)
    }

    fn open(&self, iommu_type: usize) -> Result<Arc<dyn IommuBackend>> {
        let version = match iommu_type {
            uapi_type1::TYPE1_IOMMU => Version::V1,
            uapi_type1::TYPE1V2_IOMMU => Version::V2,
            _ => return Err(EINVAL),
        };
        Ok(Container::new(version)?)
    }
}
