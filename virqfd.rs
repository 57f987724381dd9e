// SPDX-License-Identifier: GPL-2.0

//! An eventfd that makes the kernel act: userspace writes, a handler runs here.
//!
//! Used where a signal has to reach a device without an ioctl, such as the
//! end of a level-triggered interrupt.
//!
//! An installed eventfd goes away in two ways: its owner drops the [`Virqfd`],
//! or userspace closes the last descriptor. The latter is noticed in a callback
//! under the eventfd's own lock, from where nothing can be detached; a work
//! item does it. Dropping waits for exactly the work items of that object, so
//! no work queue is shared between devices and none has to be set up.

use crate::abstractions::{
    fs::eventfd::{
        EventFdFile,
        WaitHook,
        WakeHandler, //
    },
    workqueue, //
};
use core::pin::Pin;
use kernel::{
    impl_has_work,
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

/// What an installed eventfd does.
pub trait Handler: Send + Sync {
    /// The eventfd was signalled.
    ///
    /// Runs in atomic context with the eventfd's lock held: must not sleep and
    /// must not signal an eventfd. Returns whether [`follow_up`](Self::follow_up)
    /// has to run.
    fn signalled(&self) -> bool;

    /// The part of the answer that cannot be given in atomic context. Several
    /// signals may be answered by one call.
    fn follow_up(&self) {}
}

/// The work item that runs [`Handler::follow_up`].
const FOLLOW_UP: u64 = 0;
/// The work item that detaches from a closed eventfd.
const DETACH: u64 = 1;

/// What the owner, the wait queue and the work items share.
#[pin_data]
struct Shared {
    handler: Arc<dyn Handler>,
    closed: AtomicFlag,
    #[pin]
    hook: Mutex<Option<Pin<KBox<WaitHook<Waker>>>>>,
    #[pin]
    follow_up: Work<Self, FOLLOW_UP>,
    #[pin]
    detach: Work<Self, DETACH>,
}

impl_has_work! {
    impl HasWork<Self, 0> for Shared { self.follow_up }
    impl HasWork<Self, 1> for Shared { self.detach }
}

impl Shared {
    fn new(handler: Arc<dyn Handler>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                handler,
                closed: AtomicFlag::new(false),
                hook <- new_mutex!(None, "virqfd_hook"),
                follow_up <- new_work!("virqfd_follow_up"),
                detach <- new_work!("virqfd_detach"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Leaves the wait queue. This also breaks the cycle of references: the
    /// hook holds the waker, which holds `self`.
    fn detach(&self) {
        // Detached with the mutex held, so that whoever comes second returns
        // only when it is done.
        *self.hook.lock() = None;
    }
}

impl WorkItem<FOLLOW_UP> for Shared {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.handler.follow_up();
    }
}

impl WorkItem<DETACH> for Shared {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.detach();
    }
}

/// The wait queue's reference to the shared part.
struct Waker(Arc<Shared>);

impl WakeHandler for Waker {
    fn signalled(&self) {
        if self.0.handler.signalled() {
            // Already queued is as good.
            let _ = workqueue::system().enqueue::<_, FOLLOW_UP>(self.0.clone());
        }
    }

    fn closed(&self) {
        self.0.closed.store(true, Relaxed);
        let _ = workqueue::system().enqueue::<_, DETACH>(self.0.clone());
    }
}

/// An eventfd with a handler in the kernel.
///
/// Dropping it uninstalls the eventfd and waits until the handler does not run
/// any more, in whatever form. It must therefore not be dropped in atomic
/// context or with a lock held that the handler takes.
pub struct Virqfd {
    shared: Arc<Shared>,
}

impl Virqfd {
    /// Installs the eventfd `fd` in `slot`.
    ///
    /// If the eventfd has been signalled before, the handler runs at once. A
    /// slot whose eventfd was closed by userspace counts as free.
    ///
    /// # Errors
    ///
    /// `EBADF` if `fd` is not open, `EINVAL` if it is no eventfd, `EBUSY` if the
    /// slot is taken, `ENOMEM`.
    pub fn install(slot: &mut Option<Self>, fd: i32, handler: Arc<dyn Handler>) -> Result {
        let file = EventFdFile::from_fd(fd)?;
        if slot.as_ref().is_some_and(Self::is_open) {
            return Err(EBUSY);
        }
        // Waits for the work of the one that was closed.
        *slot = None;

        let shared = Shared::new(handler)?;
        // From here on a failure, too, must go through `Virqfd::drop`.
        let this = Self { shared };
        // The lock is taken first: a close that comes right after the attach
        // finds the hook only when it has been stored.
        let mut hook = this.shared.hook.lock();
        *hook = Some(KBox::pin_init(
            WaitHook::attach(file, Waker(this.shared.clone())),
            GFP_KERNEL_ACCOUNT,
        )?);
        drop(hook);
        *slot = Some(this);
        Ok(())
    }

    /// Whether userspace still has the eventfd open.
    pub fn is_open(&self) -> bool {
        !self.shared.closed.load(Relaxed)
    }

    /// Waits for a [`Handler::follow_up`] that is queued or running.
    pub fn flush(&self) {
        self.follow_up().wait();
    }

    /// To wait for it without the eventfd, which may be gone by then.
    pub fn follow_up(&self) -> FollowUp {
        FollowUp(self.shared.clone())
    }
}

/// A [`Handler::follow_up`] that may be queued or running.
pub struct FollowUp(Arc<Shared>);

impl FollowUp {
    /// Waits for it.
    pub fn wait(self) {
        workqueue::flush::<_, FOLLOW_UP>(&self.0.follow_up);
    }
}

impl Drop for Virqfd {
    fn drop(&mut self) {
        self.shared.detach();
        // Nothing is queued any more; what was queued still has to end.
        workqueue::flush::<_, DETACH>(&self.shared.detach);
        self.flush();
    }
}
