// SPDX-License-Identifier: GPL-2.0

//! Memory of a device as a file, the exporter's side.
//!
//! A buffer (dma-buf) is a file that stands for memory. Other drivers, the importers, *attach* to
//! it and *map* it for the DMA of their devices. The exporter can take the memory back: it tells
//! the importers to let go ([`Locked::invalidate`]), waits for the DMA that is going on
//! ([`Locked::wait_for_fences`]), and then for them to unmap.
//!
//! The lock of a buffer, its reservation lock, is what an importer holds while it maps or unmaps.
//! It protects the exporter's state of the buffer as well: whoever holds it, be it by [`Locked`] or
//! in a callback, has that state.
//!
//! # Locking
//!
//! The mmap lock is outside of the reservation lock. [`Alive`] is outside of it too.
//!
//! C headers: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h),
//! [`include/linux/dma-buf-mapping.h`](srctree/include/linux/dma-buf-mapping.h),
//! [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use crate::abstractions::pci::p2pdma::PeerMemory;
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        from_result, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        Mutex,
        MutexGuard, //
    },
    time::Jiffies,
    types::{
        ForeignOwnable,
        NotThreadSafe, //
    },
    ThisModule, //
};
use vfio::abstractions::bindings;

/// What is behind a buffer.
pub(crate) trait Exporter: Send + Sync + Sized + 'static {
    /// What the lock of the buffer protects.
    type State: Send + 'static;

    /// An importer wants to attach to the buffer.
    ///
    /// # Errors
    ///
    /// Whatever speaks against it.
    fn attach(&self, state: &mut Self::State, attachment: &Attachment<'_>) -> Result;

    /// An importer wants to map the buffer for its device. On success,
    /// [`unmapped`](Self::unmapped) follows some day.
    ///
    /// # Errors
    ///
    /// Whatever speaks against it.
    fn map<'a>(&self, state: &mut Self::State, request: MapRequest<'a>) -> Result<Mapping<'a>>;

    /// An importer has unmapped the buffer.
    fn unmapped(&self, state: &mut Self::State);

    /// The last file of the buffer has been closed. Nobody is attached.
    fn released(&self);
}

/// A buffer as its exporter sees it, whether or not somebody still has the file.
#[pin_data]
pub(crate) struct Export<T: Exporter> {
    /// The buffer, until its release begins.
    #[pin]
    buffer: Mutex<Option<Buffer>>,
    state: UnsafeCell<T::State>,
    #[pin]
    exporter: T,
}

// SAFETY: The state may be sent to another thread, and so may the rest.
unsafe impl<T: Exporter> Send for Export<T> {}
// SAFETY: The state is used by one thread at a time, the one that holds the buffer's lock.
unsafe impl<T: Exporter> Sync for Export<T> {}

/// The C object, which is valid until the release has ended.
#[derive(Clone, Copy)]
struct Buffer(NonNull<bindings::dma_buf>);

// SAFETY: Buffers may be used from any thread.
unsafe impl Send for Buffer {}

impl<T: Exporter> Export<T> {
    fn new(exporter: impl PinInit<T>, state: T::State) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                buffer <- new_mutex!(None, "vfio_dma_buf_alive"),
                state: UnsafeCell::new(state),
                exporter <- exporter,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What is behind the buffer.
    pub(crate) fn exporter(&self) -> &T {
        &self.exporter
    }

    /// Keeps the buffer from being released, unless that has begun: then nobody has it any more.
    pub(crate) fn alive(&self) -> Option<Alive<'_, T>> {
        let guard = self.buffer.lock();

        (*guard).map(|buffer| Alive {
            export: self,
            buffer,
            _guard: guard,
        })
    }
}

/// A buffer that is not released as long as this exists.
///
/// # Invariants
///
/// `buffer` is that of `export`, and valid.
pub(crate) struct Alive<'a, T: Exporter> {
    export: &'a Export<T>,
    buffer: Buffer,
    _guard: MutexGuard<'a, Option<Buffer>>,
}

impl<T: Exporter> Alive<'_, T> {
    /// Takes the lock of the buffer. May sleep.
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        // SAFETY: By the type invariant, for as long as the result borrows `self`.
        unsafe { Locked::new(self.export, self.buffer) }
    }
}

/// Proof that the lock of a buffer is held, and the state that it protects.
///
/// # Invariants
///
/// `buffer` is that of `export` and valid, and this thread holds its lock.
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct Locked<'a, T: Exporter> {
    export: &'a Export<T>,
    buffer: Buffer,
    _not_send: NotThreadSafe,
}

impl<'a, T: Exporter> Locked<'a, T> {
    /// # Safety
    ///
    /// `buffer` must be that of `export`, and stay valid for `'a`.
    unsafe fn new(export: &'a Export<T>, buffer: Buffer) -> Self {
        // SAFETY: By this function's contract. Without a context the call does not fail.
        unsafe { bindings::dma_resv_lock((*buffer.0.as_ptr()).resv, core::ptr::null_mut()) };
        // INVARIANT: By this function's contract, and just taken.
        Self {
            export,
            buffer,
            _not_send: NotThreadSafe,
        }
    }

    /// Tells the importers that what they have mapped is not valid any more. They may unmap it
    /// right away: the callback has the state meanwhile, which is why this takes `&mut self`.
    pub(crate) fn invalidate(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::dma_buf_invalidate_mappings(self.buffer.0.as_ptr()) };
    }

    /// Waits for the DMA that importers have begun. False if it takes longer than `limit`.
    pub(crate) fn wait_for_fences(&mut self, limit: Jiffies) -> bool {
        // SAFETY: By the type invariant. Zero is the answer when the time is over; the others are
        // not errors, as signals are not waited for.
        unsafe {
            bindings::dma_resv_wait_timeout(
                (*self.buffer.0.as_ptr()).resv,
                bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP,
                false,
                limit,
            ) != 0
        }
    }
}

impl<T: Exporter> Deref for Locked<'_, T> {
    type Target = T::State;

    fn deref(&self) -> &T::State {
        // SAFETY: By the type invariant, the lock is held, and by this thread, which is not in a
        // callback, as callbacks are made by functions that borrow `self` mutably.
        unsafe { &*self.export.state.get() }
    }
}

impl<T: Exporter> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T::State {
        // SAFETY: As above.
        unsafe { &mut *self.export.state.get() }
    }
}

impl<T: Exporter> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::dma_resv_unlock((*self.buffer.0.as_ptr()).resv) };
    }
}

/// A reference to the file of a buffer.
struct BufferFile(Buffer);

impl Drop for BufferFile {
    fn drop(&mut self) {
        // SAFETY: This value owns a reference to the buffer's file.
        unsafe { bindings::dma_buf_put(self.0 .0.as_ptr()) };
    }
}

/// A buffer that nobody else has yet. Dropping it releases the buffer.
pub(crate) struct NewBuffer<T: Exporter> {
    file: BufferFile,
    export: Arc<Export<T>>,
}

impl<T: Exporter> NewBuffer<T> {
    /// The exporter's side of it.
    pub(crate) fn export(&self) -> &Arc<Export<T>> {
        &self.export
    }

    /// Gives the current process a descriptor of the buffer. Of `flags`, `O_CLOEXEC` counts.
    ///
    /// # Errors
    ///
    /// EMFILE: the process has no descriptor left. ENOMEM.
    pub(crate) fn into_fd(self, flags: u32) -> Result<u32> {
        // CAST: The kernel takes the flags as an `int`.
        let flags = flags as c_int;
        // SAFETY: The buffer is valid, as `self` owns a reference to its file.
        let fd = unsafe { bindings::dma_buf_fd(self.file.0 .0.as_ptr(), flags) };
        let fd = u32::try_from(fd).map_err(|_| Error::from_errno(fd))?;
        // The descriptor has taken over the reference.
        core::mem::forget(self.file);

        Ok(fd)
    }
}

/// The operations of a kind of buffers.
///
/// Lives in a `static`, because its address tells buffers of this kind from others.
///
/// # Invariants
///
/// Every buffer whose `ops` is this table has the result of `Arc::<Export<T>>::into_foreign()` as
/// private data, until its release.
pub(crate) struct ExportTable<T: Exporter> {
    operations: bindings::dma_buf_ops,
    module: &'static ThisModule,
    name: &'static CStr,
    _exporter: PhantomData<fn() -> T>,
}

// SAFETY: The table is never written after its creation.
unsafe impl<T: Exporter> Sync for ExportTable<T> {}

impl<T: Exporter> ExportTable<T> {
    /// Creates the table for buffers whose exporter is called `name` and lives in `module`, which
    /// the buffers keep loaded.
    pub(crate) const fn new(module: &'static ThisModule, name: &'static CStr) -> Self {
        Self {
            operations: bindings::dma_buf_ops {
                attach: Some(Self::attach),
                map_dma_buf: Some(Self::map),
                unmap_dma_buf: Some(Self::unmap),
                release: Some(Self::release),
                ..pin_init::zeroed()
            },
            module,
            name,
            _exporter: PhantomData,
        }
    }

    /// Creates a buffer of `len` bytes. Of `flags`, access mode and `O_NONBLOCK` count, for its
    /// file.
    ///
    /// # Errors
    ///
    /// ENOMEM, ENFILE: there is no room for one more file.
    pub(crate) fn export(
        &'static self,
        exporter: impl PinInit<T>,
        state: T::State,
        len: usize,
        flags: u32,
    ) -> Result<NewBuffer<T>> {
        let export = Export::new(exporter, state)?;
        let private = export.clone().into_foreign();
        let info = bindings::dma_buf_export_info {
            exp_name: self.name.as_char_ptr(),
            owner: self.module.as_ptr(),
            ops: &raw const self.operations,
            size: len,
            // CAST: The kernel takes the flags as an `int`.
            flags: flags as c_int,
            resv: core::ptr::null_mut(),
            priv_: private.cast(),
        };
        // SAFETY: The information is complete: name and operations are static, the private data is
        // what the operations expect.
        let buffer = from_err_ptr(unsafe { bindings::dma_buf_export(&info) })
            .and_then(|buffer| NonNull::new(buffer).ok_or(ENOMEM));
        match buffer {
            Ok(buffer) => {
                let buffer = Buffer(buffer);
                *export.buffer.lock() = Some(buffer);

                Ok(NewBuffer {
                    file: BufferFile(buffer),
                    export,
                })
            }
            Err(error) => {
                // SAFETY: The call has failed, so nobody has taken the data.
                drop(unsafe { Arc::<Export<T>>::from_foreign(private) });

                Err(error)
            }
        }
    }

    /// Calls `visit` with the state of the buffer that an importer is attached to, if it is one of
    /// this kind.
    ///
    /// # Safety
    ///
    /// `attachment` must be valid, and the caller must hold the lock of its buffer.
    pub(in crate::abstractions) unsafe fn with_state_of<R>(
        &'static self,
        attachment: *mut bindings::dma_buf_attachment,
        visit: impl FnOnce(&T::State) -> R,
    ) -> Option<R> {
        // SAFETY: By this function's contract, the buffer being valid as long as somebody is
        // attached.
        let buffer = unsafe { (*attachment).dmabuf };
        // SAFETY: As above; `ops` does not change.
        let operations = unsafe { (*buffer).ops };
        if !core::ptr::eq(operations, &raw const self.operations) {
            return None;
        }
        // SAFETY: It has just been checked that the buffer is one of this table.
        let export = unsafe { Self::export_of(buffer) };
        // SAFETY: By this function's contract the lock is held.
        Some(visit(unsafe { &*export.state.get() }))
    }

    /// # Safety
    ///
    /// `buffer` must be one of this table that has not been released, and stay so for `'a`.
    unsafe fn export_of<'a>(buffer: *mut bindings::dma_buf) -> ArcBorrow<'a, Export<T>> {
        // SAFETY: By this function's contract and the type invariant.
        unsafe { Arc::<Export<T>>::borrow((*buffer).priv_.cast()) }
    }

    /// # Safety
    ///
    /// Only the dma-buf core calls this, without the lock of the buffer.
    unsafe extern "C" fn attach(
        buffer: *mut bindings::dma_buf,
        attachment: *mut bindings::dma_buf_attachment,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The core passes a buffer of this table, which the importer has a reference
            // to.
            let export = unsafe { Self::export_of(buffer) };
            let buffer = Buffer(NonNull::new(buffer).ok_or(EINVAL)?);
            let attachment = Attachment {
                raw: NonNull::new(attachment).ok_or(EINVAL)?,
                _call: PhantomData,
            };
            // SAFETY: As above, the buffer is valid during the call.
            let mut state = unsafe { Locked::new(&*export, buffer) };

            T::attach(&export.exporter, &mut state, &attachment).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Only the dma-buf core calls this, with the lock of the buffer held.
    unsafe extern "C" fn map(
        attachment: *mut bindings::dma_buf_attachment,
        direction: bindings::dma_data_direction,
    ) -> *mut bindings::sg_table {
        let Some(raw) = NonNull::new(attachment) else {
            return EINVAL.to_ptr();
        };
        // SAFETY: The core passes a valid attachment to a buffer of this table.
        let export = unsafe { Self::export_of((*attachment).dmabuf) };
        // SAFETY: The lock is held, and the core calls this while no callback runs.
        let state = unsafe { &mut *export.state.get() };
        let request = MapRequest {
            raw,
            direction,
            _call: PhantomData,
        };

        match T::map(&export.exporter, state, request) {
            Ok(mapping) => ManuallyDrop::new(mapping).table.as_ptr(),
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Only the dma-buf core calls this, with the lock of the buffer held, once for each table that
    /// [`map`](Self::map) returned.
    unsafe extern "C" fn unmap(
        attachment: *mut bindings::dma_buf_attachment,
        table: *mut bindings::sg_table,
        direction: bindings::dma_data_direction,
    ) {
        if let (Some(raw), Some(table)) = (NonNull::new(attachment), NonNull::new(table)) {
            // INVARIANT: `map()` has returned it for this attachment; importers give the direction
            // that they gave then.
            drop(Mapping {
                raw,
                table,
                direction,
                _call: PhantomData,
            });
        }
        // SAFETY: The core passes a valid attachment to a buffer of this table.
        let export = unsafe { Self::export_of((*attachment).dmabuf) };
        // SAFETY: The lock is held. The exporter's own code may be below this on the stack, but
        // only in `Locked::invalidate()`, which has borrowed the state mutably.
        let state = unsafe { &mut *export.state.get() };

        T::unmapped(&export.exporter, state);
    }

    /// # Safety
    ///
    /// Only the dma-buf core calls this, once per buffer, at the end.
    unsafe extern "C" fn release(buffer: *mut bindings::dma_buf) {
        // SAFETY: By the type invariant; this is the last use.
        let export = unsafe { Arc::<Export<T>>::from_foreign((*buffer).priv_.cast()) };
        // Waits for those who keep the buffer alive.
        *export.buffer.lock() = None;

        T::released(&export.exporter);
    }
}

/// An importer that wants to attach to a buffer.
pub(crate) struct Attachment<'a> {
    raw: NonNull<bindings::dma_buf_attachment>,
    _call: PhantomData<&'a ()>,
}

impl Attachment<'_> {
    /// Can the importer do without pages, as memory of a device has none?
    pub(crate) fn is_peer_to_peer(&self) -> bool {
        // SAFETY: The attachment is valid during the call.
        unsafe { (*self.raw.as_ptr()).peer2peer }
    }

    /// Does the importer unmap the buffer when it is told that it is not valid any more?
    pub(crate) fn is_revocable(&self) -> bool {
        // SAFETY: The attachment is valid during the call.
        unsafe { bindings::dma_buf_attach_revocable(self.raw.as_ptr()) }
    }
}

/// An importer that wants to map a buffer.
///
/// Exists during the call of [`Exporter::map`], hence while the lock of the buffer is held.
pub(crate) struct MapRequest<'a> {
    raw: NonNull<bindings::dma_buf_attachment>,
    direction: bindings::dma_data_direction,
    _call: PhantomData<&'a ()>,
}

impl<'a> MapRequest<'a> {
    /// Maps `memory` for the device of the importer, and keeps it for as long as it is mapped.
    ///
    /// # Errors
    ///
    /// EINVAL if no path leads from the device to the memory, or if it is not what an earlier map
    /// of the attachment was of; ENOMEM; and what the IOMMU driver fails with.
    pub(crate) fn map(self, memory: &Arc<PeerMemory>) -> Result<Mapping<'a>> {
        // SAFETY: The attachment is valid, and its buffer locked, during the call. The field is the
        // exporter's.
        let private = unsafe { &raw mut (*self.raw.as_ptr()).priv_ };
        // SAFETY: As above.
        let earlier = unsafe { *private };
        if !earlier.is_null() && !core::ptr::eq(earlier, Arc::as_ptr(memory).cast()) {
            return Err(EINVAL);
        }
        let ranges = memory.ranges();
        let len = ranges.iter().try_fold(0, |sum: usize, range| {
            sum.checked_add(range.len()).ok_or(EINVAL)
        })?;
        // SAFETY: The attachment is valid and its buffer locked during the call. The provider is
        // valid as long as `memory` is. The ranges are an array of that length, which the callee
        // only reads.
        let table = from_err_ptr(unsafe {
            bindings::dma_buf_phys_vec_to_sgt(
                self.raw.as_ptr(),
                memory.provider(),
                // CAST: `PhysicalRange` is a transparent wrapper of `struct phys_vec`.
                ranges.as_ptr().cast_mut().cast(),
                ranges.len(),
                len,
                self.direction,
            )
        })?;

        let table = NonNull::new(table).ok_or(ENOMEM)?;
        // SAFETY: As above.
        unsafe { *private = Arc::into_raw(memory.clone()).cast_mut().cast() };

        // INVARIANT: Both are just made.
        Ok(Mapping {
            raw: self.raw,
            table,
            direction: self.direction,
            _call: PhantomData,
        })
    }
}

/// A buffer that is mapped for a device. Dropping it unmaps it.
///
/// Exists only while the lock of the buffer is held; between the calls, the dma-buf core has it.
///
/// # Invariants
///
/// `table` is what [`MapRequest::map`] made for the attachment and the direction. The private data
/// of the attachment is an `Arc<PeerMemory>`, of which each of its mappings owns a reference.
#[must_use = "the mapping goes when this is dropped"]
pub(crate) struct Mapping<'a> {
    raw: NonNull<bindings::dma_buf_attachment>,
    table: NonNull<bindings::sg_table>,
    direction: bindings::dma_data_direction,
    _call: PhantomData<&'a ()>,
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, and the lock of the buffer is held. The table has as many
        // entries as have been allocated, but says that none of them has pages; the callee takes
        // that for the number to free, and would leak them.
        unsafe {
            let table = self.table.as_ptr();
            (*table).orig_nents = (*table).nents;
            bindings::dma_buf_free_sgt(self.raw.as_ptr(), self.table.as_ptr(), self.direction);
        }
        // SAFETY: By the type invariant. The memory was needed up to here.
        drop(unsafe { Arc::<PeerMemory>::from_raw((*self.raw.as_ptr()).priv_.cast()) });
    }
}
