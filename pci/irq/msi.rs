// SPDX-License-Identifier: GPL-2.0

//! MSI and MSI-X: one eventfd per vector.
//!
//! A vector of the device, once allocated, stays allocated until its index is
//! disabled; what comes and goes is the eventfd, and with it the request of the
//! interrupt.
//!
//! All that touches the MSI-X table runs with memory enabled in the device,
//! under the memory lock. A vector of MSI is in config space, so only the lock is
//! needed to request or free it. Producers of the bypass manager are registered and
//! unregistered outside of it, as consumers take locks of their own.

use crate::{
    abstractions::{
        irq::{
            bypass::Producer,
            line::{
                IrqLine,
                Sharing, //
            }, //
        },
        pci::{
            irq::{
                Allocation,
                MessageKind,
                Vector,
                Vectors, //
            },
            Function, //
        }, //
    },
    memory::{
        DecodeGuard,
        Exclusive,
        MemoryLock, //
    }, //
};
use core::{
    ops::Range,
    pin::Pin, //
};
use kernel::{
    dev_info,
    device,
    irq::{
        Handler,
        IrqReturn, //
    },
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    str::CString,
    sync::Arc, //
};
use vfio::abstractions::{
    fs::eventfd::EventFd,
    registered::RegistrationRef, //
};

/// The interrupt handler of a vector.
struct OnMessage(Arc<EventFd>);

impl Handler for OnMessage {
    fn handle(&self) -> IrqReturn {
        self.0.signal();
        IrqReturn::Handled
    }
}

/// The registers of vectors can be reached, and nobody resets the device.
struct Reachable<'a> {
    _table: Option<DecodeGuard<'a>>,
    _config: Option<Exclusive<'a>>,
}

impl<'a> Reachable<'a> {
    fn new(kind: MessageKind, memory: &'a MemoryLock) -> Self {
        let is_table = kind == MessageKind::Msix;

        Self {
            _table: is_table.then(|| memory.with_decode()),
            _config: (!is_table).then(|| memory.exclusive()),
        }
    }
}

/// A vector with an eventfd. The bypass ends before the interrupt is freed.
struct Connected {
    bypass: Option<Pin<KBox<Producer<Vector>>>>,
    line: Pin<KBox<IrqLine<Vector, OnMessage>>>,
    eventfd: Arc<EventFd>,
}

impl Connected {
    fn disconnect(self, kind: MessageKind, memory: &MemoryLock) {
        drop(self.bypass);
        // Freeing masks the vector.
        let _reachable = Reachable::new(kind, memory);
        drop(self.line);
    }
}

/// All that is needed to connect a vector, so that little can fail later.
struct Prepared {
    index: u32,
    vector: Vector,
    eventfd: Arc<EventFd>,
    name: CString,
    node: RBTreeNodeReservation<u32, Connected>,
}

/// MSI or MSI-X in use.
pub(super) struct Messages {
    function: Function,
    kind: MessageKind,
    dynamic: bool,
    connected: RBTree<u32, Connected>,
    vectors: Arc<Vectors>,
}

impl Messages {
    /// Switches `kind` on with `count` vectors, of a function that `hold` keeps bound.
    ///
    /// # Errors
    ///
    /// See [`Vectors::allocate`].
    pub(super) fn enable(
        function: &Function,
        hold: RegistrationRef,
        kind: MessageKind,
        count: u32,
        memory: &MemoryLock,
    ) -> Result<Allocation<Self>> {
        let allocation = {
            let _decode = memory.with_decode();
            Vectors::allocate(function, hold, kind, count)?
        };
        let vectors = match allocation {
            Allocation::Complete(vectors) => vectors,
            Allocation::Only(count) => return Ok(Allocation::Only(count)),
        };
        Ok(Allocation::Complete(Self {
            function: function.clone(),
            kind,
            dynamic: kind == MessageKind::Msix && function.allocates_msix_dynamically(),
            connected: RBTree::new(),
            vectors,
        }))
    }

    /// Which kind is on.
    pub(super) fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Disconnects all vectors and switches the kind off.
    pub(super) fn disable(mut self, memory: &MemoryLock) {
        while let Some(cursor) = self.connected.cursor_front_mut() {
            let (_, node) = cursor.remove_current();
            let (_, connected) = node.to_key_value();
            connected.disconnect(self.kind, memory);
        }
        let _decode = memory.with_decode();
        drop(self.vectors);
    }

    /// Signals the eventfd of a vector, if it has one.
    pub(super) fn signal(&self, index: u32) {
        if let Some(connected) = self.connected.get(&index) {
            connected.eventfd.signal();
        }
    }

    /// Gives the vectors from `start` on the eventfds of the list; `None` takes
    /// the present one away.
    ///
    /// All that is likely to fail is done before anything is changed, so that an
    /// error leaves every vector as it was. Only if the kernel refuses the
    /// request of an interrupt after that, all vectors of the list up to that
    /// one are left without an eventfd; the others are not affected.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a vector is not allocated and cannot be allocated alone, the
    /// errors of [`Vectors::add`] and [`IrqLine::request`], `ENOMEM`.
    pub(super) fn connect(
        &mut self,
        start: u32,
        eventfds: KVVec<Option<Arc<EventFd>>>,
        memory: &MemoryLock,
    ) -> Result {
        let mut all = KVVec::with_capacity(eventfds.len(), GFP_KERNEL_ACCOUNT)?;
        for (index, eventfd) in (start..).zip(eventfds) {
            let prepared = match eventfd {
                Some(eventfd) => Some(self.prepare(index, eventfd, memory)?),
                None => None,
            };
            all.push((index, prepared), GFP_KERNEL_ACCOUNT)?;
        }

        for (index, prepared) in all {
            self.disconnect(index..index.saturating_add(1), memory);
            let Some(prepared) = prepared else {
                continue;
            };
            if let Err(error) = self.install(prepared, memory) {
                self.disconnect(start..index, memory);
                return Err(error);
            }
        }
        Ok(())
    }

    fn prepare(&self, index: u32, eventfd: Arc<EventFd>, memory: &MemoryLock) -> Result<Prepared> {
        let suffix = match self.kind {
            MessageKind::Msi => "",
            MessageKind::Msix => "x",
        };

        Ok(Prepared {
            index,
            vector: self.vector(index, memory)?,
            eventfd,
            name: CString::try_from_fmt(fmt!(
                "vfio-msi{suffix}[{index}]({})",
                self.function.name()
            ))?,
            node: RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// Returns a vector, which is allocated if need be and possible.
    fn vector(&self, index: u32, memory: &MemoryLock) -> Result<Vector> {
        if let Some(vector) = Vectors::get(&self.vectors, index) {
            return Ok(vector);
        }
        if !self.dynamic {
            return Err(EINVAL);
        }
        let _decode = memory.with_decode();
        Vectors::add(&self.vectors, index)
    }

    fn install(&mut self, prepared: Prepared, memory: &MemoryLock) -> Result {
        let Prepared {
            index,
            vector,
            eventfd,
            name,
            node,
        } = prepared;

        let handler = OnMessage(eventfd.clone());
        let line = {
            let _reachable = Reachable::new(self.kind, memory);
            // The table may have been cleared since, by a reset behind our back.
            vector.refresh_message();
            KBox::pin_init(
                IrqLine::request(vector, Sharing::Exclusive, name, handler),
                GFP_KERNEL_ACCOUNT,
            )?
        };
        let bypass = KBox::pin_init(
            Producer::register(eventfd.clone(), line.source().clone()),
            GFP_KERNEL_ACCOUNT,
        )
        .inspect_err(|error| {
            let device: &device::Device = self.function.as_ref();
            dev_info!(
                device,
                "irq bypass producer of vector {} registration fails: {}\n",
                index,
                error.to_errno()
            )
        })
        .ok();
        self.connected.insert(node.into_node(
            index,
            Connected {
                bypass,
                line,
                eventfd,
            },
        ));
        Ok(())
    }

    fn disconnect(&mut self, indexes: Range<u32>, memory: &MemoryLock) {
        for index in indexes {
            if let Some(connected) = self.connected.remove(&index) {
                connected.disconnect(self.kind, memory);
            }
        }
    }
}
