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
    new_spinlock,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        SpinLock, //
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

/// Who is charged for locked memory.
///
/// It is charged to the address space (`VmLck` in `/proc/<pid>/status`), where
/// `mlock()` charges too, and limited by `RLIMIT_MEMLOCK` of the process unless
/// that had `CAP_IPC_LOCK` at first.
pub(crate) struct Owner {
    mm: ARef<Mm>,
    task: ARef<Task>,
    unlimited: bool,
}

impl Owner {
    /// The process of the current task.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the task is a kernel thread.
    pub(crate) fn current() -> Result<Self> {
        let current = current!();
        let mm: &Mm = current.mm().ok_or(ENODEV)?;
        Ok(Self {
            mm: mm.into(),
            // Limits are those of the process, and the group leader stands for
            // it as long as it has any thread.
            task: current.group_leader().into(),
            unlimited: capable(Capability::IpcLock),
        })
    }

    /// Whether both have the same address space, and hence the same account.
    fn is_same(&self, other: &Self) -> bool {
        core::ptr::eq(&*self.mm, &*other.mm)
    }

    /// The address space, if the process still has it.
    fn mm(&self) -> Option<ARef<MmWithUser>> {
        self.mm.mmget_not_zero()
    }

    /// Its account, if the process still has its address space.
    fn account(&self) -> Option<Account> {
        Some(Account {
            mm: self.mm()?,
            task: self.task.clone(),
            unlimited: self.unlimited,
        })
    }
}

/// The locked memory of an [`Owner`] whose address space is there, and stays meanwhile.
struct Account {
    mm: ARef<MmWithUser>,
    task: ARef<Task>,
    unlimited: bool,
}

impl Account {
    /// Charges `pages` more.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: that is beyond the limit.
    /// `EINTR`: the task was killed while it waited for the mmap lock.
    fn charge(&self, pages: usize) -> Result {
        // SAFETY: The address space is alive.
        to_result(unsafe { bindings::vfio_rust_mmap_write_lock_killable(self.mm.as_raw()) })?;
        // SAFETY: Address space and task are alive, the mmap lock is held.
        let charged = to_result(unsafe {
            bindings::__account_locked_vm(
                self.mm.as_raw(),
                pages,
                true,
                self.task.as_ptr(),
                self.unlimited,
            )
        });
        // SAFETY: We took the lock.
        unsafe { bindings::vfio_rust_mmap_write_unlock(self.mm.as_raw()) };
        charged
    }

    /// Ends the charge of `pages`.
    fn uncharge(&self, pages: usize) {
        // Not killable: a process that others share its memory with would keep
        // the charge for good.
        //
        // SAFETY: The address space is alive.
        unsafe { bindings::vfio_rust_mmap_write_lock(self.mm.as_raw()) };
        // SAFETY: Address space and task are alive, the mmap lock is held, and
        // giving back never fails.
        unsafe {
            bindings::__account_locked_vm(self.mm.as_raw(), pages, false, self.task.as_ptr(), true)
        };
        // SAFETY: We took the lock.
        unsafe { bindings::vfio_rust_mmap_write_unlock(self.mm.as_raw()) };
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

/// A charge of locked memory to a process; it ends when this is dropped.
///
/// # Invariants
///
/// `pages` pages of the owner's locked memory are this charge.
#[pin_data(PinnedDrop)]
pub(crate) struct LockedMemory {
    #[pin]
    owner: SpinLock<Owner>,
    pages: Atomic<usize>,
}

impl LockedMemory {
    /// An empty charge.
    pub(crate) fn new(owner: Owner) -> impl PinInit<Self> {
        // INVARIANT: Nothing is charged.
        pin_init!(Self {
            owner <- new_spinlock!(owner, "vfio_iommu_type1_locked_memory"),
            pages: Atomic::new(0),
        })
    }

    fn account(&self) -> Option<Account> {
        self.owner.lock().account()
    }

    /// The address space, if the process still has it.
    pub(crate) fn mm(&self) -> Option<ARef<MmWithUser>> {
        self.owner.lock().mm()
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
        let account = self.account().ok_or(ENODEV)?;
        account.charge(pages).inspect_err(|error| {
            if *error == ENOMEM {
                pr_warn!("RLIMIT_MEMLOCK ({}) exceeded\n", account.limit());
            }
        })?;
        // INVARIANT: Charged above.
        self.pages.fetch_add(pages, Relaxed);
        Ok(())
    }

    /// Ends the charge of `pages`, which are charged. There is nothing else to do if the process
    /// has exited: then it has gone with the address space.
    pub(crate) fn uncharge(&self, pages: usize) {
        if pages == 0 {
            return;
        }
        // INVARIANT: As many are given back.
        self.pages.fetch_sub(pages, Relaxed);
        if let Some(account) = self.account() {
            account.uncharge(pages);
        }
    }

    /// Moves the charge to the process of the current task. Nobody else charges or
    /// uncharges meanwhile, or the accounts will be wrong.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: that is beyond its limit. `EINTR`: the task was killed while it waited for
    /// its mmap lock. `ENODEV`: it is a kernel thread. Nothing has changed then.
    pub(crate) fn move_to_current(&self) -> Result {
        let new = Owner::current()?;
        let account = new.account().ok_or(ENODEV)?;
        if self.owner.lock().is_same(&new) {
            return Ok(());
        }
        let pages = self.pages.load(Relaxed);
        if pages != 0 {
            account.charge(pages)?;
        }
        // INVARIANT: As many pages of the new owner are charged.
        let old = core::mem::replace(&mut *self.owner.lock(), new);
        if let Some(account) = old.account().filter(|_| pages != 0) {
            account.uncharge(pages);
        }
        Ok(())
    }
}

#[pinned_drop]
impl PinnedDrop for LockedMemory {
    fn drop(self: Pin<&mut Self>) {
        self.uncharge(self.pages.load(Relaxed));
    }
}
