// SPDX-License-Identifier: GPL-2.0

//! What the core asks of bus drivers. One thing with the [device](Device) that it is asked for.

#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
use crate::abstractions::debugfs::DataDirectory;
use crate::{
    abstractions::{
        iommu::iommufd::BoundDevice,
        kvm::Kvm,
        mm::pfnmap::{
            Fault,
            FaultResult,
            FrameRange,
            NewMapping,
            Populated, //
        },
        uaccess::UserBytes, //
    },
    device::{
        dma_logging::DmaLogging,
        feature::Request,
        migration::Migration,
        Device, //
    }, //
};
use core::ops::RangeInclusive;
use kernel::{
    prelude::*,
    str::CStr, //
};

/// How a device is opened for the first time.
pub struct Opening<'a> {
    /// The virtual machine that the user has given the device to, if any.
    pub machine: Option<&'a Kvm>,
    /// Its user has opened the character device.
    pub through_cdev: bool,
    /// What it is bound to, if it is bound to an iommufd and does DMA.
    pub bound: Option<&'a BoundDevice>,
}

/// What a bus driver does for a device. Everything but opening and closing has
/// a default: the answer of a device that lacks the operation.
pub trait DeviceOps: Send + Sync {
    /// Makes the device usable, for who opens it. Called for the first file only, with the
    /// device-set lock held.
    ///
    /// # Errors
    ///
    /// Whatever keeps the device from working; nothing has changed then.
    fn open(&self, device: &Device, opening: &Opening<'_>) -> Result;

    /// So many files have the device open now; more than one, or one again. Called with the
    /// device-set lock held.
    fn files_changed(&self, _device: &Device, _count: usize) {}

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

    /// Whether ioctl `cmd` is answered without the device, which need not be woken up for that.
    /// False if it sleeps, or may fall asleep: it is woken up by whatever its user does.
    fn is_answered_asleep(&self, _cmd: u32) -> bool {
        false
    }

    /// Probes for, reads or sets a feature, but those of [migration](Self::migration) and of the
    /// [logging of DMA](Self::dma_logging).
    ///
    /// # Errors
    ///
    /// `ENOTTY`: the device does not have it. `EINVAL`: it cannot be read or
    /// set, or what the user gave for it is wrong.
    fn feature(&self, _device: &Device, _request: &Request) -> Result<isize> {
        Err(ENOTTY)
    }

    /// How it is migrated, if it can be.
    fn migration(&self) -> Option<&dyn Migration> {
        None
    }

    /// How it tells where it writes to, if it can.
    fn dma_logging(&self) -> Option<&dyn DmaLogging> {
        None
    }

    /// Reads from a region to the user's memory.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing can be read.
    fn read(&self, _device: &Device, _bytes: UserBytes, _position: &mut i64) -> Result<usize> {
        Err(EINVAL)
    }

    /// Writes to a region what is in the user's memory.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing can be written.
    fn write(&self, _device: &Device, _bytes: UserBytes, _position: &mut i64) -> Result<usize> {
        Err(EINVAL)
    }

    /// Checks a new mapping of a region and sets its caching. Called with the mmap lock held.
    /// Pages are mapped by [`fault`](Self::fault) only, or by the driver itself, as it says: what
    /// those are is not known here, and they stay until the area goes.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing can be mapped there.
    fn mmap(&self, _device: &Device, _mapping: &NewMapping<'_>) -> Result<Populated> {
        Err(EINVAL)
    }

    /// Maps a page of such a mapping. Called with the mmap lock, or the lock
    /// of the area, held.
    fn fault(&self, _device: &Device, _fault: &Fault<'_>) -> FaultResult {
        FaultResult::SIGBUS
    }

    /// The page frames that [`fault`](Self::fault) would map for the page of the file at
    /// `page_offset`, in pages, and for those behind it, if they can be accessed now. Called
    /// with the mmap lock, or the lock of the area, held. `None`: only a fault can tell.
    fn frames(&self, _device: &Device, _page_offset: u64) -> Option<FrameRange> {
        None
    }

    /// Asks users to let the device go; called once when it is unregistered
    /// while in use, and again every ten seconds, with the number of calls
    /// before.
    fn request(&self, _device: &Device, _count: u32) {}

    /// Shows what the bus driver has to tell of the device in its directory in debugfs.
    #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
    fn show_in_debugfs(&self, _directory: &DataDirectory<Device>) {}

    /// Whether the bus driver pins pages of its user.
    fn pins(&self) -> bool {
        false
    }

    /// The user unmaps the addresses: what is [pinned] there has to be let go of before this
    /// returns. Called for drivers that [pin pages](Self::pins), as long as the device is open
    /// and, once, right after [`close()`](Self::close). What is told may be more than what is
    /// pinned, and be told again.
    ///
    /// May sleep, and be called with the device-set lock held: so it must not wait for one that
    /// opens or closes devices, nor for memory of the user.
    ///
    /// [pinned]: crate::device::user_memory::UserMemory::pin_pages
    fn unmapped(&self, _device: &Device, _addresses: RangeInclusive<u64>) {}

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
