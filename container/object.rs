// SPDX-License-Identifier: GPL-2.0

//! What a container is: its groups, and the backend that it has chosen.
//!
//! Lock order: group lock, that of the group's state, container lock, the backend's
//! own locks. Which backend was chosen is behind a leaf lock, so that nobody who only
//! uses it, or asks whether there is one, waits while groups come and go.

use crate::{
    abstractions::{
        fs::{
            file::FileOperations,
            misc_device::{
                Description,
                MiscDevice,
                MiscDeviceTable,
                OpenMisc, //
            }, //
        },
        iommu::{
            self,
            DmaOwnership, //
        },
        module_ref::ModuleRef,
        uapi, //
    },
    confinement::{
        Confinement,
        Dma, //
    },
    container::driver::{
        drivers,
        Candidate,
        IommuBackend, //
    },
    noiommu,
    pinning::{
        PinAccess,
        Pins,
        UnmapListener, //
    },
    LocalModule, //
};
use kernel::{
    fs::File,
    module::this_module,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow,
        Mutex, //
    }, //
};

/// A backend that a container has chosen.
///
/// Fields are dropped in order: the backend before its code.
struct Backend {
    backend: Arc<dyn IommuBackend>,
    _module: ModuleRef,
}

/// What SET_IOMMU has chosen.
#[derive(Clone)]
enum Chosen {
    Backend(Arc<Backend>),
    NoIommu,
}

impl Chosen {
    fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize> {
        match self {
            Self::Backend(chosen) => chosen.backend.ioctl(cmd, arg),
            Self::NoIommu => noiommu::ioctl(cmd, arg),
        }
    }
}

/// What a container has chosen, for the bus drivers of one of its groups.
#[derive(Clone)]
pub(crate) struct GroupBackend {
    chosen: Chosen,
    /// Unless it is in no-IOMMU mode.
    group: Option<ARef<iommu::Group>>,
}

impl GroupBackend {
    /// # Errors
    ///
    /// `ENOTTY`: the group is in no-IOMMU mode.
    fn backend(&self) -> Result<&dyn IommuBackend> {
        match &self.chosen {
            Chosen::Backend(chosen) => Ok(&*chosen.backend),
            Chosen::NoIommu => Err(ENOTTY),
        }
    }

    /// [`IommuBackend::listen()`]; in no-IOMMU mode there is nothing to tell.
    pub(crate) fn listen(&self, listener: Arc<dyn UnmapListener>) -> Result {
        self.backend()
            .map_or(Ok(()), |backend| backend.listen(listener))
    }

    /// [`IommuBackend::unlisten()`]
    pub(crate) fn unlisten(&self, listener: &Arc<dyn UnmapListener>) {
        if let Ok(backend) = self.backend() {
            backend.unlisten(listener);
        }
    }

    /// [`IommuBackend::pin()`]
    pub(crate) fn pin(
        &self,
        iova: u64,
        count: usize,
        access: PinAccess,
        keep: &mut dyn FnMut(KBox<dyn Pins>),
    ) -> Result {
        let group = self.group.as_ref().ok_or(ENOTTY)?;
        self.backend()?.pin(group, iova, count, access, keep)
    }

    /// [`IommuBackend::read()`]
    pub(crate) fn read(&self, iova: u64, buffer: &mut [u8]) -> Result {
        self.backend()?.read(iova, buffer)
    }

    /// [`IommuBackend::write()`]
    pub(crate) fn write(&self, iova: u64, bytes: &[u8]) -> Result {
        self.backend()?.write(iova, bytes)
    }
}

/// A group in a container.
struct Member {
    group: ARef<iommu::Group>,
    dma: Dma,
}

/// The groups of a container, which are either all in no-IOMMU mode, or none is.
struct Groups {
    /// Those with something that confines their DMA, newest last.
    confined: KVec<Member>,
    /// How many there are in no-IOMMU mode.
    no_iommu: usize,
}

impl Groups {
    fn is_empty(&self) -> bool {
        self.confined.is_empty() && self.no_iommu == 0
    }
}

/// What kind of groups a container has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Confined,
    NoIommu,
}

/// What users of a container ask for.
struct Choice {
    /// As long as there are groups.
    kind: Option<Kind>,
    chosen: Option<Chosen>,
}

/// A container.
#[pin_data]
pub(crate) struct Container {
    /// The container lock: held while a group comes or goes and while the backend is
    /// chosen, for as long as that takes in the backend.
    #[pin]
    groups: Mutex<Groups>,
    /// Changes only with the container lock held. A leaf: what it has is cloned or taken
    /// out, and used and dropped without it.
    #[pin]
    choice: Mutex<Choice>,
}

static OPERATIONS: MiscDeviceTable<Container> = MiscDeviceTable::new(this_module::<LocalModule>());

/// Creates the node `/dev/vfio/vfio`.
pub(crate) fn node() -> impl PinInit<MiscDevice, Error> {
    MiscDevice::register(
        Description {
            minor: 196,
            name: c"vfio",
            node: c"vfio/vfio",
            mode: 0o666,
        },
        &OPERATIONS,
    )
}

impl OpenMisc for Container {
    fn open() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                groups <- new_mutex!(
                    Groups {
                        confined: KVec::new(),
                        no_iommu: 0,
                    },
                    "vfio_container"
                ),
                choice <- new_mutex!(
                    Choice {
                        kind: None,
                        chosen: None,
                    },
                    "vfio_container_backend"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

#[vtable]
impl FileOperations for Container {
    type Data = Arc<Self>;

    fn ioctl(this: ArcBorrow<'_, Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            uapi::VFIO_GET_API_VERSION => Ok(uapi::VFIO_API_VERSION),
            uapi::VFIO_CHECK_EXTENSION => this.check_extension(arg),
            uapi::VFIO_SET_IOMMU => this.set_iommu(arg).map(|()| 0),
            _ => this.chosen().ok_or(EINVAL)?.ioctl(cmd, arg),
        }
    }
}

impl Container {
    /// The container behind `file`, if it is one.
    pub(crate) fn from_file(file: &File) -> Option<Arc<Self>> {
        OPERATIONS.data_of(file).map(Into::into)
    }

    /// The choice with references of its own, so that the backend stays for the length
    /// of an ioctl while groups come and go.
    fn chosen(&self) -> Option<Chosen> {
        self.choice.lock().chosen.clone()
    }

    /// Whether SET_IOMMU was done.
    fn has_backend(&self) -> bool {
        self.choice.lock().chosen.is_some()
    }

    /// Before the choice is made all that can be chosen counts.
    fn check_extension(&self, extension: usize) -> Result<isize> {
        if let Some(chosen) = self.chosen() {
            return chosen.ioctl(uapi::VFIO_CHECK_EXTENSION, extension);
        }
        let kind = self.choice.lock().kind;
        if kind != Some(Kind::Confined) && noiommu::has_extension(extension) {
            return Ok(1);
        }
        let known = kind != Some(Kind::NoIommu)
            && drivers()?
                .iter()
                .any(|candidate| candidate.driver.check_extension(extension));
        Ok(known.into())
    }

    /// Chooses the backend and moves all groups into it.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is no group, or the choice was made already. `ENODEV`:
    /// no driver has this type, or groups of this kind cannot use it. `EPERM`: the groups
    /// are in no-IOMMU mode, and the user is not trusted. Otherwise what the last driver
    /// that was tried failed with; the container is as before then.
    fn set_iommu(&self, iommu_type: usize) -> Result {
        let candidates = drivers()?;
        let groups = self.groups.lock();
        if groups.is_empty() || self.has_backend() {
            return Err(EINVAL);
        }
        let chosen = if groups.no_iommu > 0 {
            noiommu::choose(iommu_type)?;
            Chosen::NoIommu
        } else {
            Chosen::Backend(Self::choose(&groups.confined, candidates, iommu_type)?)
        };
        self.choice.lock().chosen = Some(chosen);
        Ok(())
    }

    fn choose(
        groups: &[Member],
        candidates: KVec<Candidate>,
        iommu_type: usize,
    ) -> Result<Arc<Backend>> {
        let mut result = Err(ENODEV);
        for candidate in candidates {
            if !candidate.driver.check_extension(iommu_type) {
                continue;
            }
            result = candidate.driver.open(iommu_type).and_then(|backend| {
                let chosen = Backend {
                    backend,
                    _module: candidate.module.clone(),
                };
                let chosen = Arc::new(chosen, GFP_KERNEL_ACCOUNT)?;
                Self::attach_all(groups, &*chosen.backend)?;
                Ok(chosen)
            });
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Attaches all groups, newest first, or none.
    fn attach_all(groups: &[Member], backend: &dyn IommuBackend) -> Result {
        for (done, member) in groups.iter().rev().enumerate() {
            if let Err(error) = backend.attach_group(&member.group, member.dma) {
                for member in groups.iter().rev().take(done) {
                    backend.detach_group(&member.group);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a group in. The caller holds the group's lock.
    ///
    /// # Errors
    ///
    /// `EPERM`: there are groups in no-IOMMU mode, and this one is not, or the other way
    /// round; it is, and the user is not trusted; or somebody else owns the group's DMA.
    /// `EBUSY`: a foreign domain is attached to it. Otherwise what the backend refuses it
    /// with.
    pub(crate) fn attach(
        self: &Arc<Self>,
        group: &iommu::Group,
        confinement: Confinement,
    ) -> Result<Attachment> {
        let place = match confinement {
            Confinement::Kept(dma) => self.attach_confined(group, dma)?,
            Confinement::NoIommu => self.attach_no_iommu()?,
        };
        Ok(Attachment {
            container: self.clone(),
            place,
        })
    }

    fn attach_confined(&self, group: &iommu::Group, dma: Dma) -> Result<Place> {
        let mut groups = self.groups.lock();
        if groups.no_iommu > 0 {
            return Err(EPERM);
        }
        let ownership = match dma {
            Dma::Physical => Some(DmaOwnership::claim(group)?),
            Dma::Emulated => None,
        };
        let member = Member {
            group: group.into(),
            dma,
        };
        groups.confined.push(member, GFP_KERNEL_ACCOUNT)?;
        if let Some(Chosen::Backend(chosen)) = self.chosen() {
            if let Err(error) = chosen.backend.attach_group(group, dma) {
                groups.confined.pop();
                return Err(error);
            }
        }
        self.choice.lock().kind = Some(Kind::Confined);
        Ok(Place::Confined {
            group: group.into(),
            ownership,
        })
    }

    fn attach_no_iommu(&self) -> Result<Place> {
        noiommu::permit()?;
        let mut groups = self.groups.lock();
        if !groups.confined.is_empty() {
            return Err(EPERM);
        }
        groups.no_iommu = groups.no_iommu.saturating_add(1);
        self.choice.lock().kind = Some(Kind::NoIommu);
        Ok(Place::NoIommu)
    }

    /// The last group has left: nothing is chosen any more.
    fn reset(&self, groups: &mut Groups) {
        groups.confined = KVec::new();
        let mut choice = self.choice.lock();
        choice.kind = None;
        let last = choice.chosen.take();
        drop(choice);
        drop(last);
    }
}

/// What a group has in a container.
enum Place {
    Confined {
        group: ARef<iommu::Group>,
        ownership: Option<DmaOwnership>,
    },
    NoIommu,
}

/// A group's place in a container; dropping it takes the group out. With the
/// last group goes the choice of the backend, and with that all mappings.
pub(crate) struct Attachment {
    container: Arc<Container>,
    place: Place,
}

impl Attachment {
    /// What the container has chosen, if SET_IOMMU was done.
    pub(crate) fn backend(&self) -> Option<GroupBackend> {
        let group = match &self.place {
            Place::Confined { group, .. } => Some(group.clone()),
            Place::NoIommu => None,
        };
        let chosen = self.container.chosen()?;
        Some(GroupBackend { chosen, group })
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut groups = self.container.groups.lock();
        match &mut self.place {
            Place::Confined { group, ownership } => {
                if let Some(Chosen::Backend(chosen)) = self.container.chosen() {
                    chosen.backend.detach_group(group);
                }
                *ownership = None;
                let group = &**group;
                groups
                    .confined
                    .retain(|member| !core::ptr::eq::<iommu::Group>(&*member.group, group));
            }
            Place::NoIommu => groups.no_iommu = groups.no_iommu.saturating_sub(1),
        }
        if groups.is_empty() {
            self.container.reset(&mut groups);
        }
    }
}
