// SPDX-License-Identifier: GPL-2.0

//! The type1 part of a container.
//!
//! # Locks, outermost first
//!
//! 1. `groups`: held while a group comes or goes, for as long as that takes. Nobody who
//!    releases a device takes it.
//! 2. The [table](super::table), the lock of a [mapping](super::mapping), that of the
//!    [domains](Domains): all short, none held while user memory is touched.
//!    Both others may be held when that of the domains is taken, but not both of them.
//!
//! All are inside of the group and container locks of the core, and outside of the
//! mmap lock. Nothing in here takes a group lock or a device-set lock: those who hold one may
//! wait for a lock of 2, in particular when they release a device whose memory is
//! mapped here. Release notifiers are dropped without any lock of 2, since that
//! waits for such a call to end.

use super::{
    abstractions::iommu::domains::Domains,
    groups::Groups,
    range::IovaRange,
    table::{
        LockedTable,
        Table,
        Version, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use vfio::monitor::Monitor;

/// The type1 part of a container.
#[pin_data]
pub(super) struct Container {
    pub(super) version: Version,
    #[pin]
    pub(super) groups: Mutex<Groups>,
    #[pin]
    pub(super) table: LockedTable,
    pub(super) domains: Arc<Domains>,
}

impl Container {
    /// That of a container without groups.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(version: Version) -> Result<Arc<Self>> {
        let domains = Domains::new()?;
        Arc::pin_init(
            pin_init!(Self {
                version,
                groups <- new_mutex!(Groups::new(), "vfio_iommu_type1_groups"),
                table <- Table::new_locked(),
                domains,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Removes all mappings. There is no domain any more, so that none can stay.
    pub(super) fn clear(&self) {
        let mut table = self.table.lock();
        let ticket = table.mappings.ticket();
        let count = table.take_all(ticket);
        drop(table);
        let _ = self
            .table
            .remove_taken(IovaRange::ALL.start(), ticket, count, None);
    }
}
