// SPDX-License-Identifier: GPL-2.0

//! Whether a function can be reached, and what is to be put back when it can be again.
//!
//! Whether its memory may be touched depends on the first, and is asked in
//! [`availability`](super::availability); the second nobody asks but who puts it back. `S` is
//! config space as it was at some time.

// Also compiled as part of the host tests, where it is public.
#![allow(unreachable_pub)]

use super::availability::Link;

/// How the link to the function is.
enum State<S> {
    /// To be relied upon. With an error from which recovery has not ended, config space as it was
    /// when that was reported, if it is known.
    Up(Option<Option<S>>),
    /// Not to be relied upon, while recovery goes on.
    Down(Option<S>),
    /// Not to be relied upon, and recovery has failed.
    Failed(Option<S>),
    /// It works again, but the function may have lost its config space.
    Recovered(Option<S>),
}

/// The link to a function, from an error to the end of recovery: what the PCI core calls its
/// channel (`pci_channel_state_t`).
pub struct Channel<S> {
    state: State<S>,
    /// Config space as it was when the device was opened last, or bound.
    opened: Option<S>,
}

impl<S> Channel<S> {
    /// A function without errors, of a device that has not been opened yet.
    pub const fn new() -> Self {
        Self {
            state: State::Up(None),
            opened: None,
        }
    }

    /// Is the link to be relied upon, and config space what it should be?
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// How the link is.
    pub fn link(&self) -> Link {
        match self.state {
            State::Up(_) => Link::Up,
            State::Down(_) | State::Failed(_) => Link::Down,
            State::Recovered(_) => Link::Recovered,
        }
    }

    /// Is the function cut off by an error from which recovery has not ended?
    pub fn is_recovering(&self) -> bool {
        matches!(self.state, State::Down(_))
    }

    /// Is config space to be put back?
    pub fn is_to_be_put_back(&self) -> bool {
        matches!(self.state, State::Recovered(_))
    }

    /// Changes the link to what `change` makes of it.
    fn change(&mut self, change: impl FnOnce(State<S>) -> State<S>) {
        self.state = change(core::mem::replace(&mut self.state, State::Up(None)));
    }

    /// An error has been reported, when config space was `saved`. If the function was cut off
    /// already, an earlier report counts.
    pub fn report(&mut self, saved: Option<S>) {
        if self.is_up() {
            self.state = State::Up(Some(saved));
        }
    }

    /// The link is not to be relied upon.
    pub fn cut_off(&mut self) {
        self.change(|link| match link {
            State::Up(reported) => State::Down(reported.flatten()),
            // Nobody has put that back yet, so what there is now says nothing.
            State::Recovered(saved) | State::Failed(saved) | State::Down(saved) => {
                State::Down(saved)
            }
        });
    }

    /// Recovery has failed: what is cut off stays so until somebody revives it.
    pub fn give_up(&mut self) {
        self.change(|link| match link {
            State::Up(_) => State::Up(None),
            State::Down(saved) => State::Failed(saved),
            other => other,
        });
    }

    /// Recovery has ended: the link works.
    pub fn recover(&mut self) {
        self.change(|link| match link {
            State::Up(_) => State::Up(None),
            State::Down(saved) | State::Failed(saved) | State::Recovered(saved) => {
                State::Recovered(saved)
            }
        });
    }

    /// Somebody has reset the function, opens the device, or enables its memory. If the function
    /// `answers`, that is as good as a recovery, if none goes on any more.
    pub fn revive(&mut self, answers: impl FnOnce() -> bool) {
        if matches!(self.state, State::Failed(_)) && answers() {
            self.recover();
        }
    }

    /// Puts config space back by `restore`, if that is due, to what it was when the error was
    /// reported, or else when the device was opened. If that fails it is tried again by the next
    /// one who comes.
    pub fn put_back(&mut self, restore: impl FnOnce(&S) -> bool) {
        let State::Recovered(saved) = &self.state else {
            return;
        };
        match saved.as_ref().or(self.opened.as_ref()) {
            Some(saved) if !restore(saved) => (),
            Some(_) => self.state = State::Up(None),
            None => self.state = State::Failed(None),
        }
    }

    /// The device is being closed: nothing that its user did is to be put back.
    pub fn forget(&mut self) {
        match &mut self.state {
            State::Up(Some(saved))
            | State::Down(saved)
            | State::Failed(saved)
            | State::Recovered(saved) => *saved = None,
            State::Up(None) => (),
        }
    }

    /// The device is being opened, or bound, and config space is `config`. What recovery has not
    /// brought back is as it is.
    pub fn open(&mut self, config: Option<S>) {
        self.forget();
        if !self.is_recovering() {
            self.state = State::Up(None);
        }
        self.opened = config;
    }
}
