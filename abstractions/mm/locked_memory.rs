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

    /// Whether its address space is `mm`.
    fn has(&self, mm: &MmWithUser) -> bool {
        core::ptr::eq(self.mm.as_raw(), mm.as_raw())
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

    /// The limit in bytes, in whole pages.
    fn limit(&self) -> usize {
        // SAFETY: The task is alive, and the limit's number is valid.
        let limit = unsafe {
            bindings::vfio_rust_task_rlimit(self.task.as_ptr(), bindings::RLIMIT_MEMLOCK)
        };
        limit >> PAGE_SHIFT << PAGE_SHIFT
    }
}

/// Ends a charge of `pages` of locked memory of `mm`.
fn uncharge(mm: &MmWithUser, pages: usize) {
    // Not killable: a process that others share its memory with would keep
    // the charge for good.
    //
    // SAFETY: The address space is alive.
    unsafe { bindings::vfio_rust_mmap_write_lock(mm.as_raw()) };
    // Whose limit it is matters only to who charges.
    //
    // SAFETY: Address space and task are alive, the mmap lock is held, and
    // giving back never fails.
    unsafe { bindings::__account_locked_vm(mm.as_raw(), pages, false, current!().as_ptr(), true) };
    // SAFETY: We took the lock.
    unsafe { bindings::vfio_rust_mmap_write_unlock(mm.as_raw()) };
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

    /// What is needed to charge more, if the process still has its address space, which stays
    /// as long as that. Nobody [moves](Self::move_to_current) the charge meanwhile, or the
    /// accounts will be wrong.
    pub(crate) fn charging(&self) -> Option<Charging<'_>> {
        let account = self.owner.lock().account()?;
        Some(Charging {
            memory: self,
            account,
        })
    }

    /// The address space, if the process still has it.
    pub(crate) fn mm(&self) -> Option<ARef<MmWithUser>> {
        self.owner.lock().mm()
    }

    /// Ends the charge of `pages`, which are charged.
    pub(crate) fn uncharge(&self, pages: usize) {
        if pages != 0 {
            Uncharge::new().add(self, pages);
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
        if let Some(mm) = old.mm().filter(|_| pages != 0) {
            uncharge(&mm, pages);
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

/// Charges that end together, when this is dropped at the latest: so the mmap lock of a process
/// that had many is taken once.
///
/// # Invariants
///
/// `pages` pages of the locked memory of `mm` are those charges.
pub(crate) struct Uncharge {
    mm: Option<ARef<MmWithUser>>,
    pages: usize,
}

impl Uncharge {
    /// None.
    pub(crate) fn new() -> Self {
        // INVARIANT: There are none.
        Self { mm: None, pages: 0 }
    }

    /// Adds a charge of `pages` to `memory`. There is nothing to do if the process has exited: then
    /// it has gone with the address space.
    pub(crate) fn add(&mut self, memory: &LockedMemory, pages: usize) {
        if pages == 0 {
            return;
        }
        // INVARIANT: As many are to be given back, here.
        memory.pages.fetch_sub(pages, Relaxed);
        let owner = memory.owner.lock();
        if self.mm.as_ref().is_none_or(|mm| !owner.has(mm)) {
            let mm = owner.mm();
            drop(owner);
            self.finish();
            self.mm = mm;
        }
        self.pages = self.pages.saturating_add(pages);
    }

    /// Ends them now.
    fn finish(&mut self) {
        // INVARIANT: They are given back.
        let pages = core::mem::take(&mut self.pages);
        if let Some(mm) = self.mm.take() {
            uncharge(&mm, pages);
        }
    }
}

impl Drop for Uncharge {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A [`LockedMemory`] to which more is charged, and the process that it is charged to.
pub(crate) struct Charging<'a> {
    memory: &'a LockedMemory,
    account: Account,
}

impl Charging<'_> {
    /// The address space.
    pub(crate) fn mm(&self) -> &MmWithUser {
        &self.account.mm
    }

    /// Charges `pages` more, as [`charge()`](Self::charge), but does not tell anybody if that
    /// is beyond the limit.
    ///
    /// # Errors
    ///
    /// Those of `charge()`.
    pub(crate) fn try_charge(&self, pages: usize) -> Result {
        if pages == 0 {
            return Ok(());
        }
        self.account.charge(pages)?;
        // INVARIANT: Just charged.
        self.memory.pages.fetch_add(pages, Relaxed);
        Ok(())
    }

    /// Charges `pages` more.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: that is beyond the limit; the log tells.
    /// `EINTR`: the task was killed while it waited for the mmap lock.
    pub(crate) fn charge(&self, pages: usize) -> Result {
        self.try_charge(pages).inspect_err(|error| {
            if *error == ENOMEM {
                pr_warn!("RLIMIT_MEMLOCK ({}) exceeded\n", self.account.limit());
            }
        })
    }
}
