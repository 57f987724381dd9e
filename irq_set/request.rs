// SPDX-License-Identifier: GPL-2.0

//! The argument of `VFIO_DEVICE_SET_IRQS`, checked.
//!
//! Needs nothing but the core library.

/// What to do with the interrupts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Deliver no more until unmasked.
    Mask,
    /// Deliver again.
    Unmask,
    /// Set up the delivery, or simulate an interrupt.
    Trigger,
}

/// What kind of data follows, one element per interrupt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DataType {
    /// Nothing.
    None,
    /// A byte; the action applies where it is not zero.
    Bool,
    /// A file descriptor.
    EventFd,
}

impl DataType {
    /// Size of one element in bytes.
    fn size(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Bool => 1,
            Self::EventFd => 4,
        }
    }
}

/// One of the interrupt indexes of a device.
pub trait Index: Copy {
    /// Whether the index can do that.
    fn can(self, action: Action) -> bool;
}

/// The fixed part of the argument, as userspace gave it, of an index that there is.
#[derive(Clone, Copy, Debug)]
pub struct Header<I> {
    /// Size of the fixed part and the data.
    pub argsz: u32,
    /// Data type and action.
    pub flags: u32,
    /// Which interrupts.
    pub index: I,
    /// First interrupt.
    pub start: u32,
    /// Number of interrupts.
    pub count: u32,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The argument makes no sense (`EINVAL`).
    Invalid,
    /// It makes sense, but this index cannot do it (`ENOTTY`).
    NotSupported,
}

/// A request whose fixed part is valid; the data is still to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request<I> {
    /// Which interrupts.
    pub index: I,
    /// The first one.
    pub start: u32,
    /// How many; `start + count` does not overflow.
    pub count: u32,
    /// Type of the data that follows.
    pub data_type: DataType,
    action: Option<Action>,
}

// The numbers of the interface: the folder's file compares them with those.

/// No data.
pub const DATA_NONE: u32 = 1 << 0;
/// A byte for each interrupt.
pub const DATA_BOOL: u32 = 1 << 1;
/// A file descriptor for each interrupt.
pub const DATA_EVENTFD: u32 = 1 << 2;
const DATA_MASK: u32 = DATA_NONE | DATA_BOOL | DATA_EVENTFD;
/// To mask.
pub const ACTION_MASK: u32 = 1 << 3;
/// To unmask.
pub const ACTION_UNMASK: u32 = 1 << 4;
/// To trigger.
pub const ACTION_TRIGGER: u32 = 1 << 5;
const ACTIONS: u32 = ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER;

/// Size of the fixed part in bytes.
pub const HEADER_SIZE: u32 = 20;

impl<I: Copy> Request<I> {
    /// Checks the fixed part. `available` says how many interrupts an index has.
    ///
    /// A wrong action is not refused here but by [`action`](Self::action): the
    /// data is read in between, and its errors come first.
    pub fn new(header: Header<I>, available: impl FnOnce(I) -> u32) -> Result<Self, Refusal> {
        let data = header
            .argsz
            .checked_sub(HEADER_SIZE)
            .ok_or(Refusal::Invalid)?;
        if header.count >= u32::MAX - header.start || header.flags & !(DATA_MASK | ACTIONS) != 0 {
            return Err(Refusal::Invalid);
        }

        let available = available(header.index);
        let end = header
            .start
            .checked_add(header.count)
            .ok_or(Refusal::Invalid)?;
        if header.start >= available || end > available {
            return Err(Refusal::Invalid);
        }

        let data_type = match header.flags & DATA_MASK {
            DATA_NONE => DataType::None,
            DATA_BOOL => DataType::Bool,
            DATA_EVENTFD => DataType::EventFd,
            _ => return Err(Refusal::Invalid),
        };
        if u64::from(data) < u64::from(header.count) * u64::from(data_type.size()) {
            return Err(Refusal::Invalid);
        }

        Ok(Self {
            index: header.index,
            start: header.start,
            count: header.count,
            data_type,
            action: match header.flags & ACTIONS {
                ACTION_MASK => Some(Action::Mask),
                ACTION_UNMASK => Some(Action::Unmask),
                ACTION_TRIGGER => Some(Action::Trigger),
                _ => None,
            },
        })
    }

    /// Number of bytes of data that follow the fixed part.
    pub fn data_len(&self) -> usize {
        // CAST: Both factors are at most 32 bits wide, so the product fits.
        (u64::from(self.count) * u64::from(self.data_type.size())) as usize
    }
}

impl<I: Index> Request<I> {
    /// Returns what to do, if it is one action that the index can do.
    pub fn action(&self) -> Result<Action, Refusal> {
        self.action
            .filter(|action| self.index.can(*action))
            .ok_or(Refusal::NotSupported)
    }
}

/// The data of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Data<'a> {
    /// There is none: the action applies to all.
    None,
    /// A byte for each interrupt.
    Bool(&'a [u8]),
    /// A file descriptor for each interrupt, in the machine's byte order.
    EventFd(&'a [u8]),
}

/// What the data says about one interrupt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operand {
    /// The action applies.
    Apply,
    /// The action does not apply.
    Skip,
    /// A file descriptor; a negative one takes the present one away.
    EventFd(i32),
}

impl<'a> Data<'a> {
    /// Gives `bytes` their type.
    pub fn new(data_type: DataType, bytes: &'a [u8]) -> Self {
        match data_type {
            DataType::None => Self::None,
            DataType::Bool => Self::Bool(bytes),
            DataType::EventFd => Self::EventFd(bytes),
        }
    }

    /// Returns what is said about the interrupt at position `nth` of the request.
    pub fn operand(&self, nth: usize) -> Option<Operand> {
        match self {
            Self::None => Some(Operand::Apply),
            Self::Bool(bytes) => bytes.get(nth).map(|&byte| match byte {
                0 => Operand::Skip,
                _ => Operand::Apply,
            }),
            Self::EventFd(bytes) => bytes
                .chunks_exact(core::mem::size_of::<i32>())
                .nth(nth)
                .and_then(|fd| fd.try_into().ok())
                .map(|fd| Operand::EventFd(i32::from_ne_bytes(fd))),
        }
    }
}
