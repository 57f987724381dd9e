// SPDX-License-Identifier: GPL-2.0

//! Character devices, `/dev/vfio/devices/vfioN`: binding to an iommufd and
//! attaching to its page tables.
//!
//! A file of a character device does nothing until it is bound; the device is
//! open for one such file at a time, and for none while its group is open.
//!
//! User memory is touched with no lock held: a page of it may take as long as its
//! owner likes, and users of other devices wait for the device-set lock.

use crate::{
    abstractions::{
        iommufd::Context,
        uapi::{
            self,
            AttachIommufd,
            BindIommufd,
            DetachIommufd, //
        }, //
    },
    confinement::{
        Confinement,
        Dma, //
    },
    device::Opener,
    device_file::{
        DeviceFile,
        Origin, //
    },
    device_ops::DeviceOps,
    device_set::SetState,
    group::Block,
    iommufd::Bound, //
};
use kernel::{
    prelude::*,
    sync::LockedBy, //
};

/// What a bound file holds. Dropped without the device-set lock, since the
/// block takes the group lock.
pub(crate) struct Binding {
    _context: Context,
    _block: Block,
}

/// A checked BIND_IOMMUFD.
struct BindRequest {
    iommufd: i32,
    token: Option<usize>,
}

impl BindRequest {
    /// # Errors
    ///
    /// `EFAULT`: the argument is not readable. `EINVAL`: it is too short, has
    /// unknown flags or a negative descriptor. `E2BIG`: it has a tail that we
    /// do not know.
    fn parse(arg: usize) -> Result<Self> {
        let bind: BindIommufd = uapi::read_extensible(arg, BindIommufd::MIN_SIZE)?;
        if bind.flags & !BindIommufd::TOKEN != 0 || bind.iommufd < 0 {
            return Err(EINVAL);
        }
        let token = (bind.flags & BindIommufd::TOKEN != 0)
            .then_some(bind.token_uuid_ptr)
            .map(usize::try_from)
            .transpose()
            .map_err(|_| EFAULT)?;
        Ok(Self {
            iommufd: bind.iommufd,
            token,
        })
    }

    /// Reads the token from user memory, which may take as long as that likes: the
    /// caller holds no lock.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the device has no tokens. `EFAULT`: the memory is not readable.
    fn read_token(&self, ops: &dyn DeviceOps) -> Result<Option<Token>> {
        match self.token {
            Some(_) if !ops.supports_token() => Err(EINVAL),
            Some(address) => uapi::read(address).map(Some),
            None => Ok(None),
        }
    }
}

/// A UUID, as the user gave it.
type Token = [u8; 16];

impl DeviceFile {
    /// VFIO_DEVICE_BIND_IOMMUFD
    pub(crate) fn bind(&self, arg: usize) -> Result<isize> {
        let request = BindRequest::parse(arg)?;
        let Origin::Cdev(binding) = &self.origin else {
            return Err(EINVAL);
        };
        let block = self.device().group().block()?;
        let token = request.read_token(self.device().ops());
        let id = self.open_bound(binding, request.iommufd, token, block)?;
        let out = arg.checked_add(BindIommufd::OUT_DEVID).ok_or(EFAULT);
        if let Err(error) = out.and_then(|out| uapi::write(out, &id)) {
            self.unbind();
            return Err(error);
        }
        self.granted.populate(());
        Ok(0)
    }

    /// Opens the device through an iommufd and returns its object id there.
    fn open_bound(
        &self,
        binding: &LockedBy<Option<Binding>, SetState>,
        iommufd: i32,
        token: Result<Option<Token>>,
        block: Block,
    ) -> Result<u32> {
        let device = self.shared_device();
        let mut set = device.set().lock().lock();
        if binding.access(&set).is_some() {
            return Err(EINVAL);
        }
        device.ops().match_token(device, token?)?;
        let context = Context::from_fd(iommufd)?;
        if device.open_count(&set) > 0 {
            // Only a group can hand out one device several times: it knows
            // that all its users are one.
            return Err(EINVAL);
        }
        let id = device.open(&mut set, Opener::Iommufd(&context), || self.kvm())?;
        *binding.access_mut(&mut set) = Some(Binding {
            _context: context,
            _block: block,
        });
        device.set_open_through_cdev(true);
        Ok(id)
    }

    /// Gives up what [`bind`](Self::bind) took.
    pub(crate) fn unbind(&self) {
        let Origin::Cdev(binding) = &self.origin else {
            return;
        };
        let mut set = self.device().set().lock().lock();
        let binding = binding.access_mut(&mut set).take();
        if binding.is_some() {
            self.device().set_open_through_cdev(false);
            self.device().close(&mut set, None);
        }
        drop(set);
        drop(binding);
    }

    /// VFIO_DEVICE_ATTACH_IOMMUFD_PT
    pub(crate) fn attach(&self, arg: usize) -> Result<isize> {
        let request: AttachIommufd = uapi::read(arg)?;
        if (request.argsz as usize) < size_of::<AttachIommufd>()
            || request.flags & !AttachIommufd::PASID != 0
        {
            return Err(EINVAL);
        }
        let pasid = (request.flags & AttachIommufd::PASID != 0)
            .then(|| self.read_pasid(arg, request.argsz, size_of::<AttachIommufd>()))
            .transpose()?;
        let id = self.with_bound(|bound| bound.attach(pasid, request.pt_id))?;
        let out = arg.checked_add(AttachIommufd::PT_ID).ok_or(EFAULT);
        if let Err(error) = out.and_then(|out| uapi::write(out, &id)) {
            self.with_bound(|bound| {
                bound.detach(pasid);
                Ok(())
            })?;
            return Err(error);
        }
        Ok(0)
    }

    /// VFIO_DEVICE_DETACH_IOMMUFD_PT
    pub(crate) fn detach(&self, arg: usize) -> Result<isize> {
        let request: DetachIommufd = uapi::read(arg)?;
        if (request.argsz as usize) < size_of::<DetachIommufd>()
            || request.flags & !DetachIommufd::PASID != 0
        {
            return Err(EINVAL);
        }
        let pasid = (request.flags & DetachIommufd::PASID != 0)
            .then(|| self.read_pasid(arg, request.argsz, size_of::<DetachIommufd>()))
            .transpose()?;
        self.with_bound(|bound| {
            bound.detach(pasid);
            Ok(0)
        })
    }

    /// Reads the PASID at `offset`, the end of a request of `argsz` bytes.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`: the device is emulated. `EINVAL`: the request ends before it. `EFAULT`.
    fn read_pasid(&self, arg: usize, argsz: u32, offset: usize) -> Result<u32> {
        if self.device().group().confinement() == Confinement::Kept(Dma::Emulated) {
            return Err(EOPNOTSUPP);
        }
        if (argsz as usize) < offset.saturating_add(size_of::<u32>()) {
            return Err(EINVAL);
        }
        uapi::read(arg.checked_add(offset).ok_or(EFAULT)?)
    }

    /// Runs `change` for what the device is bound to, with the device-set lock held.
    fn with_bound<R>(&self, change: impl FnOnce(&mut Bound) -> Result<R>) -> Result<R> {
        let mut set = self.device().set().lock().lock();
        change(self.device().bound(&mut set).ok_or(EINVAL)?)
    }
}
