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
        iommu::iommufd::Context,
        kvm::Kvm,
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
    container::group::Block,
    device::{
        object::Opener,
        ops::DeviceOps,
        set::SetState,
        Device, //
    },
    iommufd::Bound, //
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        LockedBy, //
    }, //
};

/// Whether devices have nodes.
pub(crate) const NODES_EXIST: bool = cfg!(CONFIG_VFIO_RUST_DEVICE_CDEV);

/// What a bound file holds. Dropped without the device-set lock, since the
/// block takes the group lock.
struct Bond {
    _context: Context,
    _block: Block,
}

/// What a file of a character device has beyond that of a group: it is bound to an iommufd, or
/// not yet.
pub(crate) struct Binding(LockedBy<Option<Bond>, SetState>);

/// A checked BIND_IOMMUFD.
pub(crate) struct BindRequest {
    iommufd: i32,
    token: Option<usize>,
}

impl BindRequest {
    /// # Errors
    ///
    /// `EFAULT`: the argument is not readable. `EINVAL`: it is too short, has
    /// unknown flags or a negative descriptor. `E2BIG`: it has a tail that we
    /// do not know.
    pub(crate) fn parse(arg: usize) -> Result<Self> {
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

impl Binding {
    /// That of a new file of `device`.
    pub(crate) fn new(device: &Device) -> Self {
        Self(LockedBy::new(device.set().lock(), None))
    }

    /// Binds `device` as `request` says, which was read from `arg`, and opens it. `kvm` is the
    /// virtual machine that the file was given to.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the group is open. `EINVAL`: the file is bound, or the device is open, or has no
    /// tokens. `EACCES`: the token is missing or wrong. `EFAULT`: user memory cannot be accessed.
    /// Otherwise as [`Device::open`].
    pub(crate) fn bind(
        &self,
        device: &Arc<Device>,
        request: &BindRequest,
        arg: usize,
        kvm: impl FnOnce() -> Option<Kvm>,
    ) -> Result {
        let block = device.group().block()?;
        let token = request.read_token(device.ops());
        let id = self.open(device, request.iommufd, token, block, kvm)?;
        let out = arg.checked_add(BindIommufd::OUT_DEVID).ok_or(EFAULT);
        if let Err(error) = out.and_then(|out| uapi::write(out, &id)) {
            self.unbind(device);
            return Err(error);
        }
        Ok(())
    }

    /// Opens the device through an iommufd and returns its object id there.
    fn open(
        &self,
        device: &Arc<Device>,
        iommufd: i32,
        token: Result<Option<Token>>,
        block: Block,
        kvm: impl FnOnce() -> Option<Kvm>,
    ) -> Result<u32> {
        let mut set = device.set().lock().lock();
        if self.0.access(&set).is_some() {
            return Err(EINVAL);
        }
        device.ops().match_token(device, token?)?;
        let context = Context::from_fd(iommufd)?;
        if device.open_count(&set) > 0 {
            // Only a group can hand out one device several times: it knows
            // that all its users are one.
            return Err(EINVAL);
        }
        let id = device.open(&mut set, Opener::Cdev(&context), kvm)?;
        *self.0.access_mut(&mut set) = Some(Bond {
            _context: context,
            _block: block,
        });
        Ok(id)
    }

    /// Gives up what [`bind`](Self::bind) took.
    pub(crate) fn unbind(&self, device: &Device) {
        let mut set = device.set().lock().lock();
        let bond = self.0.access_mut(&mut set).take();
        if bond.is_some() {
            device.close(&mut set, None);
        }
        drop(set);
        drop(bond);
    }
}

/// VFIO_DEVICE_ATTACH_IOMMUFD_PT
pub(crate) fn attach(device: &Device, arg: usize) -> Result<isize> {
    let request: AttachIommufd = uapi::read(arg)?;
    if (request.argsz as usize) < size_of::<AttachIommufd>()
        || request.flags & !AttachIommufd::PASID != 0
    {
        return Err(EINVAL);
    }
    let pasid = (request.flags & AttachIommufd::PASID != 0)
        .then(|| read_pasid(device, arg, request.argsz, size_of::<AttachIommufd>()))
        .transpose()?;
    let id = with_bound(device, |bound| bound.attach(pasid, request.pt_id))?;
    let out = arg.checked_add(AttachIommufd::PT_ID).ok_or(EFAULT);
    if let Err(error) = out.and_then(|out| uapi::write(out, &id)) {
        with_bound(device, |bound| {
            bound.detach(pasid);
            Ok(())
        })?;
        return Err(error);
    }
    Ok(0)
}

/// VFIO_DEVICE_DETACH_IOMMUFD_PT
pub(crate) fn detach(device: &Device, arg: usize) -> Result<isize> {
    let request: DetachIommufd = uapi::read(arg)?;
    if (request.argsz as usize) < size_of::<DetachIommufd>()
        || request.flags & !DetachIommufd::PASID != 0
    {
        return Err(EINVAL);
    }
    let pasid = (request.flags & DetachIommufd::PASID != 0)
        .then(|| read_pasid(device, arg, request.argsz, size_of::<DetachIommufd>()))
        .transpose()?;
    with_bound(device, |bound| {
        bound.detach(pasid);
        Ok(0)
    })
}

/// Reads the PASID at `offset`, the end of a request of `argsz` bytes.
///
/// # Errors
///
/// `EOPNOTSUPP`: the device is emulated. `EINVAL`: the request ends before it. `EFAULT`.
fn read_pasid(device: &Device, arg: usize, argsz: u32, offset: usize) -> Result<u32> {
    if device.group().confinement() == Confinement::Kept(Dma::Emulated) {
        return Err(EOPNOTSUPP);
    }
    if (argsz as usize) < offset.saturating_add(size_of::<u32>()) {
        return Err(EINVAL);
    }
    uapi::read(arg.checked_add(offset).ok_or(EFAULT)?)
}

/// Runs `change` for what the device is bound to, with the device-set lock held.
fn with_bound<R>(device: &Device, change: impl FnOnce(&mut Bound) -> Result<R>) -> Result<R> {
    let mut set = device.set().lock().lock();
    change(device.bound(&mut set).ok_or(EINVAL)?)
}
