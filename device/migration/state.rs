// SPDX-License-Identifier: GPL-2.0

//! The states of a device that is being migrated, and the way from one to another.
//!
//! A state says two things: what the device does, and whether its state is being transferred.
//! Both change one step at a time. A step is an *arc*, which the driver carries out; what the user
//! asks for may take several.
//!
//! Needs nothing but the core library.

/// What a device can do of what is optional. All of them can be stopped and saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Support {
    /// It can be kept from DMA to other devices while it goes on running.
    pub p2p: bool,
    /// Its state can be read while it goes on running.
    pub pre_copy: bool,
}

impl Support {
    /// It can be stopped and saved.
    const STOP_COPY: u64 = 1 << 0;
    /// `p2p`
    const P2P: u64 = 1 << 1;
    /// `pre_copy`
    const PRE_COPY: u64 = 1 << 2;

    /// `VFIO_MIGRATION_*`, as the user is told.
    pub const fn flags(self) -> u64 {
        let mut flags = Self::STOP_COPY;
        if self.p2p {
            flags |= Self::P2P;
        }
        if self.pre_copy {
            flags |= Self::PRE_COPY;
        }
        flags
    }

    /// What the flags of a driver say. `None`: it cannot be migrated.
    pub const fn from_flags(flags: u64) -> Option<Self> {
        if flags & Self::STOP_COPY == 0 {
            return None;
        }
        Some(Self {
            p2p: flags & Self::P2P != 0,
            pre_copy: flags & Self::PRE_COPY != 0,
        })
    }

    /// Does a device of this kind have the state?
    pub const fn has(self, state: State) -> bool {
        match state {
            State::RunningP2p => self.p2p,
            State::PreCopy => self.pre_copy,
            State::PreCopyP2p => self.p2p && self.pre_copy,
            _ => true,
        }
    }
}

/// Where in its migration a device is: `enum vfio_device_mig_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has failed, and has to be reset.
    Error,
    /// It does nothing by itself.
    Stop,
    /// It runs.
    Running,
    /// It is stopped, and its state is read.
    StopCopy,
    /// It is stopped, and its state is written.
    Resuming,
    /// It runs without DMA to other devices.
    RunningP2p,
    /// It runs, and its state is read.
    PreCopy,
    /// It runs without DMA to other devices, and its state is read.
    PreCopyP2p,
}

/// How much a device does, from little to much.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    Stopped,
    NoP2p,
    Full,
}

/// Which way its state goes meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transfer {
    None,
    Out,
    In,
}

impl State {
    /// All states, by their numbers.
    pub const ALL: [Self; 8] = [
        Self::Error,
        Self::Stop,
        Self::Running,
        Self::StopCopy,
        Self::Resuming,
        Self::RunningP2p,
        Self::PreCopy,
        Self::PreCopyP2p,
    ];

    /// The state with this number in the user interface, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Its number in the user interface.
    pub const fn number(self) -> u32 {
        // CAST: They are declared in the order of their numbers.
        self as u32
    }

    /// Is the state of the device read? Then one file is for all the states of this kind that the
    /// device goes through.
    pub const fn is_saving(self) -> bool {
        matches!(self, Self::PreCopy | Self::PreCopyP2p | Self::StopCopy)
    }

    /// What the device does, and which way its state goes; nothing is known after an error.
    const fn parts(self) -> Option<(Activity, Transfer)> {
        Some(match self {
            Self::Error => return None,
            Self::Stop => (Activity::Stopped, Transfer::None),
            Self::RunningP2p => (Activity::NoP2p, Transfer::None),
            Self::Running => (Activity::Full, Transfer::None),
            Self::StopCopy => (Activity::Stopped, Transfer::Out),
            Self::PreCopyP2p => (Activity::NoP2p, Transfer::Out),
            Self::PreCopy => (Activity::Full, Transfer::Out),
            Self::Resuming => (Activity::Stopped, Transfer::In),
        })
    }

    const fn idle(activity: Activity) -> Self {
        match activity {
            Activity::Stopped => Self::Stop,
            Activity::NoP2p => Self::RunningP2p,
            Activity::Full => Self::Running,
        }
    }

    const fn saving(activity: Activity) -> Self {
        match activity {
            Activity::Stopped => Self::StopCopy,
            Activity::NoP2p => Self::PreCopyP2p,
            Activity::Full => Self::PreCopy,
        }
    }

    /// The first step from this state to another one, on the only way that there is: the shortest
    /// one that neither begins to save on the way, nor ends what is being saved and is to go on. A
    /// state leads to itself.
    ///
    /// `None` if there is no way, which is so from and to an error, and from the end of saving back
    /// to a device that runs; or if the device does not have one of the states.
    pub fn next(self, to: Self, support: Support) -> Option<Self> {
        let (now, transfer) = self.parts()?;
        let (then, next_transfer) = to.parts()?;
        if !support.has(self) || !support.has(to) {
            return None;
        }
        if self == to {
            return Some(to);
        }
        match (transfer, next_transfer) {
            // A transfer ends before anything else changes.
            (Transfer::In, _) | (Transfer::Out, Transfer::None | Transfer::In) => {
                Some(Self::idle(now))
            }
            // What was saved while the device was stopped is its state no more once it runs.
            (Transfer::Out, Transfer::Out) if now == Activity::Stopped => None,
            (Transfer::Out, Transfer::Out) => Some(Self::saving(now.towards(then, support))),
            // And it begins last.
            (Transfer::None, _) if now == then => Some(to),
            (Transfer::None, _) => Some(Self::idle(now.towards(then, support))),
        }
    }
}

impl Activity {
    /// The next one on the way to another one.
    fn towards(self, then: Self, support: Support) -> Self {
        match (self, then) {
            (Self::Full, Self::Stopped) | (Self::Stopped, Self::Full) if support.p2p => Self::NoP2p,
            _ => then,
        }
    }
}
