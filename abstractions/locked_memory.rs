// SPDX-License-Identifier: GPL-2.0

//! What a user has locked into memory, and how much of that is allowed.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use kernel::{
    current,
    error::to_result,
    mm::{
        Mm,
        MmWithUser, //
    },
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    },
    task::Task, //
};
use vfio::abstractions::{
    bindings,
    task::{
        capable,
        Capability, //
    }, //
};

/// A charge of locked memory to a process; it ends when this is dropped.
///
/// It is charged to the address space (`VmLck` in `/proc/<pid>/status`), where
/// `mlock()` charges too, and limited by `RLIMIT_MEMLOCK` of the process unless
/// that had `CAP_IPC_LOCK` when the charge was opened.
///
/// # Invariants
///
/// `pages` pages of `mm`'s locked memory are this charge.
pub(crate) struct LockedMemory {
    mm: ARef<Mm>,
    task: ARef<Task>,
    unlimited: bool,
    pages: Atomic<usize>,
}

impl LockedMemory {
    /// An empty charge to the process of the current task.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the task is a kernel thread.
    pub(crate) fn of_current() -> Result<Self> {
        let current = current!();
        let mm: &Mm = current.mm().ok_or(ENODEV)?;
        // INVARIANT: Nothing is charged.
        Ok(Self {
            mm: mm.into(),
            // Limits are those of the process, and the group leader stands for
            // it as long as it has any thread.
            task: current.group_leader().into(),
            unlimited: capable(Capability::IpcLock),
            pages: Atomic::new(0),
        })
    }

    /// The address space, if the process still has it.
    pub(crate) fn mm(&self) -> Option<ARef<MmWithUser>> {
        self.mm.mmget_not_zero()
    }

    /// Charges `pages` more.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: that is beyond the limit; the log tells.
    /// `EINTR`: the task was killed while it waited for the mmap lock.
    /// `ENODEV`: the process has exited.
    pub(crate) fn charge(&self, pages: usize) -> Result {
        if pages == 0 {
            return Ok(());
        }
        let mm = self.mm().ok_or(ENODEV)?;
        // SAFETY: The address space is alive.
        to_result(unsafe { bindings::vfio_rust_mmap_write_lock_killable(mm.as_raw()) })?;
        // SAFETY: Address space and task are alive, the mmap lock is held.
        let charged = to_result(unsafe {
            bindings::__account_locked_vm(
                mm.as_raw(),
                pages,
                true,
                self.task.as_ptr(),
                self.unlimited,
            )
        });
        // SAFETY: We took the lock.
        unsafe { bindings::vfio_rust_mmap_write_unlock(mm.as_raw()) };
        if charged.is_err() {
            pr_warn!("RLIMIT_MEMLOCK ({}) exceeded\n", self.limit());
        }
        charged?;
        // INVARIANT: Charged above.
        self.pages.fetch_add(pages, Relaxed);
        Ok(())
    }

    /// Ends the whole charge.
    pub(crate) fn uncharge(&self) {
        // INVARIANT: What was charged is given back below, or it is gone with
        // the address space.
        let pages = self.pages.xchg(0, Relaxed);
        if pages == 0 {
            return;
        }
        let Some(mm) = self.mm() else {
            return;
        };
        // Not killable: a process that others share its memory with would keep
        // the charge for good.
        //
        // SAFETY: The address space is alive.
        unsafe { bindings::vfio_rust_mmap_write_lock(mm.as_raw()) };
        // SAFETY: Address space and task are alive, the mmap lock is held, and
        // giving back never fails.
        unsafe {
            bindings::__account_locked_vm(mm.as_raw(), pages, false, self.task.as_ptr(), true)
        };
        // SAFETY: We took the lock.
        unsafe { bindings::vfio_rust_mmap_write_unlock(mm.as_raw()) };
    }

    /// The limit in bytes, in whole pages.
    fn limit(&self) -> usize {
        // SAFETY: The task is alive, and the limit's number is valid.
        let limit = unsafe {
            bindings::vfio_rust_task_rlimit(self.task.as_ptr(), bindings::RLIMIT_MEMLOCK)
        };
        limit >> PAGE_SHIFT << PAGE_SHIFT
    }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        self.uncharge();
    }
}
