// SPDX-License-Identifier: GPL-2.0

//! May the memory of a device be touched?
//!
//! Whoever asks, for an access, a page fault, a buffer to export or an eventfd that writes, gets
//! the same answer, as one place looks at what there is, in one order.

// Also compiled as part of the host tests, where it is public.
#![allow(unreachable_pub)]

/// Somebody who keeps others from the memory for longer than a lock could be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user, who resets the device, say. What he changes, nobody else may change meanwhile.
    User,
    /// The PCI core, which has announced a reset. It does not ask whether somebody else is there.
    Host,
}

/// Who keeps others from the memory at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    user: bool,
    host: bool,
}

impl Holders {
    fn slot(&mut self, holder: Holder) -> &mut bool {
        match holder {
            Holder::User => &mut self.user,
            Holder::Host => &mut self.host,
        }
    }

    /// Somebody comes.
    pub fn enter(&mut self, holder: Holder) {
        *self.slot(holder) = true;
    }

    /// Somebody goes.
    pub fn leave(&mut self, holder: Holder) {
        *self.slot(holder) = false;
    }

    /// Is anybody there?
    pub fn is_any(self) -> bool {
        self.user || self.host
    }

    /// Who is there; the PCI core, if both are, as it does not wait for the user.
    pub fn first(self) -> Option<Holder> {
        if self.host {
            Some(Holder::Host)
        } else if self.user {
            Some(Holder::User)
        } else {
            None
        }
    }
}

/// The link to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// To be relied upon.
    Up,
    /// It works again after an error, but config space is still to be put back.
    Recovered,
    /// Not to be relied upon.
    Down,
}

/// What the answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Who keeps others from the memory.
    pub holders: Holders,
    /// How the link to the function is.
    pub link: Link,
    /// Is the function suspended?
    pub suspended: bool,
    /// Has the user disabled memory, by COMMAND or by a power state?
    pub disabled: bool,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The memory may be touched.
    Ready,
    /// Somebody resets the device, or changes what it answers on. That ends: ask again then.
    Resetting,
    /// An error of the bus has cut the function off.
    CutOff,
    /// The function has recovered from one. Put config space back, and ask again.
    Recovered,
    /// The function sleeps, and wakes up when somebody wants something of it.
    Suspended,
    /// The user has disabled the memory.
    Disabled,
}

impl Availability {
    /// Answers.
    pub fn of(facts: Facts) -> Self {
        match facts {
            Facts { holders, .. } if holders.is_any() => Self::Resetting,
            Facts {
                link: Link::Down, ..
            } => Self::CutOff,
            Facts {
                link: Link::Recovered,
                ..
            } => Self::Recovered,
            Facts {
                suspended: true, ..
            } => Self::Suspended,
            Facts { disabled: true, .. } => Self::Disabled,
            _ => Self::Ready,
        }
    }
}
