// SPDX-License-Identifier: GPL-2.0

//! Whether a function can be reached, and what is to be put back when it can be again.
//!
//! `S` is config space as it was at some time.

// Also compiled as part of the host tests, where it is public.
#![allow(unreachable_pub)]

/// How the link to the function is.
enum Link<S> {
    /// To be relied upon.
    Up,
    /// Not to be relied upon.
    Down,
    /// It works again, but the function may have lost its config space.
    Recovered(Option<S>),
}

/// The link to a function, from an error to the end of recovery.
pub struct Reach<S> {
    link: Link<S>,
    /// An error has been reported from which recovery has not ended. Config space was like this, if
    /// that is known.
    reported: Option<Option<S>>,
    /// Config space as it was when the device was opened last.
    opened: Option<S>,
}

impl<S> Reach<S> {
    /// A function without errors, of a device that has not been opened yet.
    pub const fn new() -> Self {
        Self {
            link: Link::Up,
            reported: None,
            opened: None,
        }
    }

    /// Is the link to be relied upon, and config space what it should be?
    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    /// Is the function cut off by an error from which recovery has not ended?
    pub fn is_recovering(&self) -> bool {
        self.reported.is_some() && !self.is_up()
    }

    /// Is config space to be put back?
    pub fn is_to_be_put_back(&self) -> bool {
        matches!(self.link, Link::Recovered(_))
    }

    /// An error has been reported, when config space was `saved`. If the function was cut off
    /// already, an earlier report counts, or there is no recovery.
    pub fn report(&mut self, saved: Option<S>) {
        if self.is_up() {
            self.reported = Some(saved);
        }
    }

    /// There is no recovery: what is cut off stays so until the device is opened again.
    pub fn give_up(&mut self) {
        self.reported = None;
    }

    /// The link is not to be relied upon.
    pub fn cut_off(&mut self) {
        if let Link::Recovered(saved) = core::mem::replace(&mut self.link, Link::Down) {
            // Nobody has put that back yet, so what there is now says nothing.
            self.reported.get_or_insert(saved);
        }
    }

    /// Recovery has ended: the link works.
    pub fn recover(&mut self) {
        if let Some(saved) = self.reported.take() {
            if matches!(self.link, Link::Down) {
                self.link = Link::Recovered(saved);
            }
        }
    }

    /// Puts config space back by `restore`, if that is due, to what it was when the error was
    /// reported, or else when the device was opened. If it fails the function stays cut off until
    /// the device is opened again.
    pub fn put_back(&mut self, restore: impl FnOnce(&S) -> bool) {
        if !self.is_to_be_put_back() {
            return;
        }
        if let Link::Recovered(saved) = core::mem::replace(&mut self.link, Link::Down) {
            let saved = saved.as_ref().or(self.opened.as_ref());
            if saved.is_some_and(restore) {
                self.link = Link::Up;
            }
        }
    }

    /// The device is being closed: nothing that its user did is to be put back.
    pub fn forget(&mut self) {
        if let Some(saved) = &mut self.reported {
            *saved = None;
        }
        if let Link::Recovered(saved) = &mut self.link {
            *saved = None;
        }
    }

    /// The device is being opened, and config space is `config`. Whatever happened before recovery
    /// was given up is over.
    pub fn open(&mut self, config: Option<S>) {
        self.forget();
        if !self.is_recovering() {
            self.link = Link::Up;
        }
        self.opened = config;
    }
}
