// SPDX-License-Identifier: GPL-2.0

//! Eventfds: signal one from the kernel, or be called when somebody signals it.
//!
//! C header: [`include/linux/eventfd.h`](srctree/include/linux/eventfd.h)

use crate::abstractions::bindings;
use core::{
    marker::PhantomPinned,
    pin::Pin,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    container_of,
    error::from_err_ptr,
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    fs::file::LocalFile,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

/// `EPOLLIN`: the counter is not zero. (A cast macro; bindgen has no value.)
const EPOLLIN: bindings::__poll_t = 0x0001;
/// `EPOLLHUP`: the last file descriptor was closed.
const EPOLLHUP: bindings::__poll_t = 0x0010;

/// A reference to an eventfd's counter, which outlives its file descriptors.
///
/// # Invariants
///
/// The pointer is valid, and one reference of the context is owned.
pub struct EventFd(NonNull<bindings::eventfd_ctx>);

// SAFETY: An eventfd context may be used and released from any thread.
unsafe impl Send for EventFd {}
// SAFETY: All operations on a context are serialised by its own lock.
unsafe impl Sync for EventFd {}

impl EventFd {
    /// Takes a reference on the eventfd behind a file descriptor of the caller.
    ///
    /// # Errors
    ///
    /// `EBADF` if the descriptor is not open, `EINVAL` if it is no eventfd.
    pub fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: Any number may be asked for.
        let context = from_err_ptr(unsafe { bindings::eventfd_ctx_fdget(fd) })?;
        // INVARIANT: The call returned a reference that is now ours.
        NonNull::new(context).map(Self).ok_or(EINVAL)
    }

    /// Adds one to the counter and wakes those who wait for it.
    ///
    /// May be called in any context but from a callback of an eventfd's wait
    /// queue ([`WakeHandler`]); there the kernel warns and drops the signal.
    pub fn signal(&self) {
        // SAFETY: The context is valid by the type invariants.
        unsafe { bindings::eventfd_signal_mask(self.as_raw(), 0) };
    }

    /// The C context; identifies the eventfd to the interrupt bypass manager.
    pub fn as_raw(&self) -> *mut bindings::eventfd_ctx {
        self.0.as_ptr()
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: The reference is owned by the type invariants.
        unsafe { bindings::eventfd_ctx_put(self.as_raw()) };
    }
}

/// An open eventfd: the file together with its counter.
///
/// As long as this exists, the file is not released, so nobody sees it close.
///
/// # Invariants
///
/// `file` is an eventfd, and `eventfd` is its context.
pub struct EventFdFile {
    file: ARef<LocalFile>,
    eventfd: EventFd,
}

impl EventFdFile {
    /// Takes a reference on the eventfd file behind a descriptor of the caller.
    ///
    /// # Errors
    ///
    /// `EBADF` if the descriptor is not open, `EINVAL` if it is no eventfd.
    pub fn from_fd(fd: i32) -> Result<Self> {
        let fd = u32::try_from(fd).map_err(|_| EBADF)?;
        let file = LocalFile::fget(fd)?;
        // SAFETY: `file` is a valid file; the call checks that it is an eventfd.
        let context = from_err_ptr(unsafe { bindings::eventfd_ctx_fileget(file.as_ptr()) })?;
        // INVARIANT: The call returned a reference that is now ours.
        let eventfd = EventFd(NonNull::new(context).ok_or(EINVAL)?);
        // INVARIANT: The context was taken from this very file.
        Ok(Self { file, eventfd })
    }
}

/// What happens when an eventfd is signalled or closed.
///
/// Both callbacks run in atomic context, usually with the eventfd's lock held
/// and interrupts off: they must not sleep, must not signal an eventfd and must
/// not drop the [`WaitHook`] they are called from.
pub trait WakeHandler: Send + Sync + 'static {
    /// The counter was raised. It has been read and is zero again, except for
    /// the call that [`WaitHook::attach`] makes for an earlier signal.
    fn signalled(&self);

    /// The last descriptor was closed; no further signal from userspace comes.
    fn closed(&self);
}

/// An entry of ours on an eventfd's wait queue.
///
/// Dropping it takes it off the queue; after that no callback runs any more.
///
/// # Invariants
///
/// From the end of the construction until `drop`, `entry` is linked into the
/// wait queue of `eventfd`.
#[pin_data(PinnedDrop)]
pub struct WaitHook<T: WakeHandler> {
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
    eventfd: EventFd,
    handler: T,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The wait queue's lock serialises all access to the entry; the rest
// may be sent if the handler may (`WakeHandler` requires it).
unsafe impl<T: WakeHandler> Send for WaitHook<T> {}
// SAFETY: As above; a shared reference gives no access to the entry.
unsafe impl<T: WakeHandler> Sync for WaitHook<T> {}

impl<T: WakeHandler> WaitHook<T> {
    /// Attaches `handler` to an eventfd.
    ///
    /// If the eventfd was signalled before and not read, `signalled` is called
    /// once from here, so that no signal is missed.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the file does not offer its wait queue.
    pub fn attach(file: EventFdFile, handler: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            entry <- Opaque::ffi_init(|slot: *mut bindings::wait_queue_entry| {
                let entry = bindings::wait_queue_entry {
                    func: Some(wake::<T>),
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(entry) };
            }),
            eventfd: file.eventfd,
            handler,
            _pin: PhantomPinned,
            _: {
                // SAFETY: All fields that `wake` uses are initialised; the
                // pointer is not dereferenced otherwise.
                let entry = unsafe { &raw const (*this.as_ptr()).entry };
                // INVARIANT: On success the entry is linked, and nothing after
                // this can fail.
                // SAFETY: `entry` is an initialised wait queue entry; it stays
                // where it is until `drop` unlinks it, as `Self` is pinned.
                let events = unsafe { link(&file.file, Opaque::cast_into(entry)) }?;
                if events & EPOLLIN != 0 {
                    // SAFETY: The field was initialised above and is shared
                    // with callbacks that may run by now.
                    let handler = unsafe { &(*this.as_ptr()).handler };
                    handler.signalled();
                }
            },
        }? Error)
    }
}

#[pinned_drop]
impl<T: WakeHandler> PinnedDrop for WaitHook<T> {
    fn drop(self: Pin<&mut Self>) {
        let mut count = 0;
        // The result only says whether there was an unread signal.
        // SAFETY: The entry is linked into this eventfd's wait queue by the type
        // invariants. The call takes the queue's lock, under which all
        // callbacks run, so none runs when it returns.
        unsafe {
            bindings::eventfd_ctx_remove_wait_queue(
                self.eventfd.as_raw(),
                self.entry.get(),
                &mut count,
            )
        };
    }
}

/// Argument of one poll call: the table, and the entry to link.
#[repr(C)]
struct Link {
    table: bindings::poll_table,
    entry: *mut bindings::wait_queue_entry,
    linked: bool,
}

/// Polls an eventfd in such a way that `entry` gets linked into its wait queue.
///
/// Returns the pending events.
///
/// # Safety
///
/// `file` is an eventfd, `entry` an initialised and unlinked wait queue entry
/// that is neither moved nor freed before it is unlinked again.
unsafe fn link(
    file: &LocalFile,
    entry: *mut bindings::wait_queue_entry,
) -> Result<bindings::__poll_t> {
    let mut link = Link {
        table: bindings::poll_table {
            _qproc: Some(link_entry),
            _key: !0,
        },
        entry,
        linked: false,
    };
    let raw = file.as_ptr();
    // SAFETY: An open file has its operations for as long as it is referenced.
    let poll = unsafe { (*(*raw).f_op).poll }.ok_or(EINVAL)?;
    // SAFETY: `poll` belongs to this file; the table lives longer than the call
    // and is the first member of a `Link`, as `link_entry` requires.
    let events = unsafe { poll(raw, (&raw mut link).cast()) };
    if link.linked {
        Ok(events)
    } else {
        Err(EINVAL)
    }
}

/// Called back by the eventfd's poll operation with its wait queue.
///
/// # Safety
///
/// `table` is the first member of a [`Link`] whose entry may be linked.
unsafe extern "C" fn link_entry(
    _file: *mut bindings::file,
    queue: *mut bindings::wait_queue_head_t,
    table: *mut bindings::poll_table,
) {
    let link: *mut Link = table.cast();
    // SAFETY: The caller guarantees that this is a `Link`, used by nobody else
    // for the time of the poll call.
    let link = unsafe { &mut *link };
    if !link.linked {
        // SAFETY: The caller passes a valid queue and an unlinked entry.
        unsafe { bindings::add_wait_queue(queue, link.entry) };
        link.linked = true;
    }
}

/// The wait queue's callback.
///
/// # Safety
///
/// `entry` is that of a `WaitHook<T>`, and the eventfd's lock is held.
unsafe extern "C" fn wake<T: WakeHandler>(
    entry: *mut bindings::wait_queue_entry,
    _mode: c_uint,
    _sync: c_int,
    key: *mut c_void,
) -> c_int {
    let entry = Opaque::cast_from(entry.cast_const());
    // SAFETY: The entry is a member of a `WaitHook<T>` by the requirement.
    let hook: *const WaitHook<T> = unsafe { container_of!(entry, WaitHook<T>, entry) };
    // SAFETY: A linked hook is initialised, and it cannot go away before it is
    // unlinked, for which the lock is needed that the caller holds.
    let (eventfd, handler) = unsafe { (&(*hook).eventfd, &(*hook).handler) };
    // CAST: The key of a poll wait queue is a bit mask of 32 bits.
    let events = key.addr() as bindings::__poll_t;

    if events & EPOLLIN != 0 {
        let mut count = 0;
        // SAFETY: The context is valid and its lock is held by the requirement.
        unsafe { bindings::eventfd_ctx_do_read(eventfd.as_raw(), ptr::from_mut(&mut count)) };
        handler.signalled();
    }
    if events & EPOLLHUP != 0 {
        handler.closed();
    }
    0
}
