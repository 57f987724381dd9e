// SPDX-License-Identifier: GPL-2.0

//! May the memory of a device be touched?
//!
//! Whoever asks, for an access, a page fault, a buffer to export or an eventfd that writes, gets
//! the same answer, as one place looks at what there is, in one order. What there is to look at is
//! in one place as well, the memory lock and the leaf that goes with it: the [`Conditions`], and
//! the link. How the link came to be as it is, and what is to be put back once it works again, is
//! another question, which [`channel`](super::channel) answers; the gate is where those wait whom
//! the [`Holders`] keep out.

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

/// What the answer depends on, of what the memory lock protects.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Who keeps others from the memory.
    pub holders: Holders,
    /// May the open device be suspended? That is no answer, but keeps memory from being mapped.
    pub may_sleep: bool,
    /// Is the function suspended?
    pub suspended: bool,
    /// Does COMMAND enable memory, as the user sees it?
    pub decode: bool,
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
    /// The user has disabled the memory, by COMMAND or by a power state.
    Disabled,
}

impl Availability {
    /// Answers. Whether the function is `in_d3` is asked last: of one that is suspended, the power
    /// state is not ours to look at.
    #[inline]
    pub fn of(conditions: Conditions, link: Link, in_d3: impl FnOnce() -> bool) -> Self {
        if conditions.holders.is_any() {
            return Self::Resetting;
        }
        match link {
            Link::Down => Self::CutOff,
            Link::Recovered => Self::Recovered,
            Link::Up if conditions.suspended => Self::Suspended,
            Link::Up if !conditions.decode || in_d3() => Self::Disabled,
            Link::Up => Self::Ready,
        }
    }
}
