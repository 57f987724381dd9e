// SPDX-License-Identifier: GPL-2.0

//! What the core delegates to: ioctls of a container, and groups that come and go.

use super::{
    abstractions::uapi::type1 as uapi_type1,
    container::Container,
    driver_access::Transfer,
    info::IommuInfo,
    mapping::Mapping,
    request::{
        DirtyRequest,
        InfoRequest,
        MapCall,
        MapRequest,
        UnmapKind,
        UnmapRequest, //
    },
    table::Version, //
};
use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc, //
};
use vfio::{
    abstractions::{
        iommu,
        uapi, //
    },
    confinement::Dma,
    container::{
        IommuBackend,
        IommuDriver, //
    },
    lock_order,
    monitor::Monitor,
    pinning::{
        PinAccess,
        Pins,
        UnmapListener, //
    }, //
};

/// Tells lockdep the lock order of this crate: who attaches a group holds the lock of
/// groups, a release handler takes the lock of a mapping and that of the domains, and
/// whoever maps memory registers one with the mmap lock held.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn prime_lock_order() -> Result {
    let container = Container::new(Version::V2)?;
    let request = MapRequest::of_nothing();
    // Built in, there is no process when this is called, and nothing to map.
    let Ok(mapping) = Mapping::new(&request, &container.domains) else {
        return Ok(());
    };
    let groups = container.groups.lock();
    let table = container.table.lock();
    container.domains.touch(|| ());
    drop(table);
    mapping.touch(|| lock_order::with_mmap_lock(|| ()));
    drop(groups);
    lock_order::prime(&mut |register| {
        mapping.touch(|| lock_order::with_mmap_lock(register));
    })
}

/// The ioctls.
impl Container {
    fn map_dma(&self, arg: usize) -> Result {
        match MapCall::read(arg)? {
            MapCall::New(request) => {
                let mapping = Mapping::new(&request, &self.domains)?;
                self.table.map(&request, mapping)
            }
            MapCall::Update(request) => self.table.update(&request),
        }
    }

    fn unmap_dma(&self, arg: usize) -> Result {
        let request = UnmapRequest::read(arg)?;
        let extent = request.extent();
        let size = match &request.kind {
            UnmapKind::Remove => self.table.unmap(&extent, self.version, None)?,
            UnmapKind::Report(bitmap) => self.table.unmap(&extent, self.version, Some(bitmap))?,
            UnmapKind::Invalidate => self.table.invalidate(&extent, self.version)?,
        };
        request.write_back(size)
    }

    fn dirty_pages(&self, arg: usize) -> Result {
        if self.version == Version::V1 {
            return Err(EACCES);
        }
        match DirtyRequest::read(arg)? {
            DirtyRequest::Start => self.table.start_tracking(),
            DirtyRequest::Stop => self.table.stop_tracking(),
            DirtyRequest::Report(request) => self.table.report(&request),
        }
    }

    fn get_info(&self, arg: usize) -> Result {
        let request = InfoRequest::read(arg)?;
        let facts = {
            let table = self.table.lock();
            IommuInfo::new(&table.page_sizes, table.mappings.available(), &table.valid)?
        };
        facts.answer(request)
    }

    fn check_extension(&self, extension: usize) -> bool {
        match extension {
            uapi_type1::DMA_CC_IOMMU => self.table.lock().coherent,
            uapi_type1::UPDATE_VADDR => !self.table.lock().has_emulated,
            _ => is_static_extension(extension),
        }
    }
}

/// What the core has of a container: all mappings go with it.
///
/// Those who watch devices keep mappings alive, and only mappings keep them.
struct Handle(Arc<Container>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl IommuBackend for Handle {
    fn attach_group(&self, group: &iommu::Group, dma: Dma) -> Result {
        self.0.attach(group, dma)
    }

    fn detach_group(&self, group: &iommu::Group) {
        self.0.detach(group);
    }

    fn listen(&self, listener: Arc<dyn UnmapListener>) -> Result {
        self.0.listen(listener)
    }

    fn unlisten(&self, listener: &Arc<dyn UnmapListener>) {
        self.0.unlisten(listener);
    }

    fn pin(
        &self,
        group: &iommu::Group,
        iova: u64,
        count: usize,
        access: PinAccess,
        keep: &mut dyn FnMut(KBox<dyn Pins>),
    ) -> Result {
        self.0.pin(group, iova, count, access, keep)
    }

    fn read(&self, iova: u64, buffer: &mut [u8]) -> Result {
        self.0.copy(iova, Transfer::To(buffer))
    }

    fn write(&self, iova: u64, bytes: &[u8]) -> Result {
        self.0.copy(iova, Transfer::From(bytes))
    }

    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            uapi::VFIO_CHECK_EXTENSION => return Ok(self.0.check_extension(arg).into()),
            uapi_type1::VFIO_IOMMU_GET_INFO => self.0.get_info(arg)?,
            uapi_type1::VFIO_IOMMU_MAP_DMA => self.0.map_dma(arg)?,
            uapi_type1::VFIO_IOMMU_UNMAP_DMA => self.0.unmap_dma(arg)?,
            uapi_type1::VFIO_IOMMU_DIRTY_PAGES => self.0.dirty_pages(arg)?,
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
        let handle = Handle(Container::new(version)?);
        Ok(Arc::new(handle, GFP_KERNEL_ACCOUNT)?)
    }
}
