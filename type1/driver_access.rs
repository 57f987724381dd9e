// SPDX-License-Identifier: GPL-2.0

//! Bus drivers that read and write memory of the user, as devices do by DMA.
//!
//! Who copies something, or pins pages, uses the mappings for as long as that takes, with no
//! lock held. Pages that are pinned are listed in the mapping then, and known to the bus driver.
//! Who unmaps it has nobody begin, waits for those who use it, and tells bus drivers to let
//! go of their pages.

use super::{
    abstractions::{
        iommu::domain::Prot,
        mm::user_memory, //
    },
    container::Container,
    mapping::{
        Mapping,
        PageList, //
    },
    mappings::Tracking,
    range::IovaRange,
    reserved_vec::Reservation,
    table::Version, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::{
        iommu,
        mm::user_page::UserPage, //
    },
    monitor::Monitor,
    pinning::{
        PinAccess,
        Pins,
        UnmapListener, //
    }, //
};

/// Pages of one mapping that a bus driver has.
struct Piece {
    container: Arc<Container>,
    mapping: Arc<Mapping>,
    addresses: IovaRange,
}

impl Drop for Piece {
    fn drop(&mut self) {
        // It may have written to them until now, after they were reported.
        self.container.set_dirty(&self.mapping, &self.addresses);
        let pages = self.mapping.pages_at(&self.addresses);
        self.mapping.unpin_for_driver(pages);
    }
}

/// Pages that a bus driver has. Fields are dropped in order.
struct DriverPages {
    list: PageList,
    _pieces: KVec<Piece>,
}

impl Pins for DriverPages {
    fn page(&self, index: usize) -> Option<UserPage<'_>> {
        Some(self.list.get(index)?.page())
    }
}

/// Whether memory with `prot` may be pinned for `wanted`.
fn permits_pin(prot: Prot, wanted: PinAccess) -> bool {
    (prot.read || !wanted.read) && (prot.write || !wanted.write)
}

/// What to do with bytes of a user.
pub(super) enum Transfer<'a> {
    /// Read them.
    To(&'a mut [u8]),
    /// Write them.
    From(&'a [u8]),
}

impl Transfer<'_> {
    fn len(&self) -> usize {
        match self {
            Self::To(buffer) => buffer.len(),
            Self::From(bytes) => bytes.len(),
        }
    }

    /// Bus drivers write only what they may read as well.
    fn is_permitted(&self, prot: Prot) -> bool {
        match self {
            Self::To(_) => prot.read,
            Self::From(_) => prot.read && prot.write,
        }
    }
}

impl Container {
    /// Has `listener` told what is unmapped.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn listen(&self, listener: Arc<dyn UnmapListener>) -> Result {
        loop {
            let count = self.table.lock().listeners.len();
            let mut room = Reservation::new(count)?;
            let mut table = self.table.lock();
            let added = table.listeners.push(listener.clone(), &mut room);
            drop(table);
            if added {
                return Ok(());
            }
        }
    }

    /// Has it told nothing any more.
    pub(super) fn unlisten(&self, listener: &Arc<dyn UnmapListener>) {
        let mut table = self.table.lock();
        let removed = table.listeners.remove(|it| Arc::ptr_eq(it, listener));
        drop(table);
        drop(removed);
    }

    /// Pins `count` pages from `iova` on for a bus driver of `group`, and gives them to `keep`.
    /// Who unmaps them waits until that has returned.
    ///
    /// # Errors
    ///
    /// `EACCES`: this is version 1. `EINVAL`: there are no pages; or nobody would let go of
    /// them; or some of them are not mapped, or memory of a device. `EOVERFLOW`: they go beyond
    /// the last address. `EBUSY`: the memory of a mapping has no valid address. `EPERM`: they may
    /// not be accessed so. `ENODEV`: the process has exited. `EFAULT`, `ENOMEM`, `EINTR`.
    pub(super) fn pin(
        self: &Arc<Self>,
        group: &iommu::Group,
        iova: u64,
        count: usize,
        wanted: PinAccess,
        keep: &mut dyn FnMut(KBox<dyn Pins>),
    ) -> Result {
        if self.version == Version::V1 {
            return Err(EACCES);
        }
        let size = (count as u64).checked_mul(PAGE_SIZE as u64);
        let range = IovaRange::from_size(iova, size.ok_or(EOVERFLOW)?)?;
        // Dropped last.
        let mut used = KVec::new();
        let mut list = KVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        let mut pieces = KVec::new();
        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|next| IovaRange::new(next, range.last())) {
            let in_use = self.table.in_use(rest.start())?;
            let mapping = in_use.mapping.clone();
            used.push(in_use, GFP_KERNEL)?;
            next = mapping.range().last().checked_add(1);
            let piece = self.pin_piece(mapping, &rest, wanted, &mut list)?;
            pieces.push(piece, GFP_KERNEL_ACCOUNT)?;
        }
        let pages = DriverPages {
            list,
            _pieces: pieces,
        };
        let pages = KBox::new(pages, GFP_KERNEL_ACCOUNT)?;
        // Devices of the group write nowhere else, as far as bus drivers know.
        self.table.lock().writers_remove(group);
        keep(pages);
        Ok(())
    }

    /// Pins the pages at the start of `range` that are in `mapping`, which is in use.
    fn pin_piece(
        self: &Arc<Self>,
        mapping: Arc<Mapping>,
        range: &IovaRange,
        wanted: PinAccess,
        list: &mut PageList,
    ) -> Result<Piece> {
        if self.table.lock().listeners.is_empty() {
            return Err(EINVAL);
        }
        if !permits_pin(mapping.prot(), wanted) {
            return Err(EPERM);
        }
        let addresses = mapping.range().intersection(range).ok_or(EINVAL)?;
        mapping.pin_for_driver(mapping.pages_at(&addresses), list)?;
        self.set_dirty(&mapping, &addresses);
        Ok(Piece {
            container: self.clone(),
            mapping,
            addresses,
        })
    }

    fn set_dirty(&self, mapping: &Mapping, addresses: &IovaRange) {
        let mut table = self.table.lock();
        if table.tracking != Tracking::Off {
            table.set_dirty(&mapping.range(), addresses);
        }
    }

    /// Copies bytes of the user from `iova` on.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the memory of a mapping has no valid address. `EINVAL`: some bytes are
    /// not mapped. `EPERM`: they may not be accessed so, or the process has exited. `EFAULT`: they
    /// cannot be accessed, or are not those of the current process. Those before them are
    /// copied then.
    pub(super) fn copy(&self, iova: u64, mut transfer: Transfer<'_>) -> Result {
        let mut done = 0usize;
        while done < transfer.len() {
            let address = iova.checked_add(done as u64).ok_or(EINVAL)?;
            let count = self.copy_piece(address, &mut transfer, done)?;
            done = done.saturating_add(count);
        }
        Ok(())
    }

    /// Copies the bytes that are in one mapping, but for the first `done`, which have been
    /// copied; `address` is that of the next one. Returns how many there were.
    fn copy_piece(&self, address: u64, transfer: &mut Transfer<'_>, done: usize) -> Result<usize> {
        let used = self.table.in_use(address)?;
        let mapping = &used.mapping;
        if !transfer.is_permitted(mapping.prot()) {
            return Err(EPERM);
        }
        let (mm, vaddr) = mapping.memory_at(address).ok_or(EPERM)?;
        let left = mapping.range().last().saturating_sub(address);
        let room = usize::try_from(left).map_or(usize::MAX, |left| left.saturating_add(1));
        let count = room.min(transfer.len().saturating_sub(done));
        let end = done.saturating_add(count);
        match transfer {
            Transfer::To(buffer) => {
                let part = buffer.get_mut(done..end).ok_or(EINVAL)?;
                user_memory::read(&mm, vaddr, part)?;
            }
            Transfer::From(bytes) => {
                user_memory::write(&mm, vaddr, bytes.get(done..end).ok_or(EINVAL)?)?;
                let last = address.saturating_add((count as u64).saturating_sub(1));
                if let Some(written) = IovaRange::new(address, last) {
                    self.set_dirty(mapping, &written);
                }
            }
        }
        Ok(count)
    }
}
