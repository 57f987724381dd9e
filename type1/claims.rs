// SPDX-License-Identifier: GPL-2.0

//! Who may use which addresses of a container while others work on theirs.
//!
//! A mapping has a claim on its addresses from before its first page is pinned until
//! after its last one is unpinned. In between nobody holds a lock on the table of claims
//! for longer than it takes to change one: a claim that somebody works on is *busy*, and
//! who needs its addresses waits, and can be killed.
//!
//! * MAP [reserves](reserve) its addresses, works, and [settles](settle) the claim.
//! * UNMAP [waits](wait_for_older) until nobody works on what was there when it came,
//!   then makes all of it busy at once. So it has either done nothing yet, or
//!   cannot be stopped any more; and nobody waits for anything while he works on a
//!   claim, so that no two ever wait for each other.
//! * The last domain, or the first one, comes and goes: a claim that is settled is
//!   brought in line by who attaches or detaches, a busy one by who works on it, before he
//!   settles it.
//!
//! Needs only `core` and a [`Monitor`], so that a model checker on the host runs this file
//! in every order that threads can take.

use super::range::IovaRange;
use vfio::monitor::{
    Killed,
    Monitor,
    WaitKillable, //
};

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Somebody works on the mapping, alone.
    Busy,
    /// There is a mapping.
    Settled,
}

/// A number that no other call on the container has: later ones have higher ones.
pub type Ticket = u64;

/// A claim on a range of addresses.
#[derive(Debug)]
pub struct Claim {
    /// Of who made the claim.
    made_by: Ticket,
    /// Of who works on it, or was the last to do so.
    worked_on_by: Ticket,
    phase: Phase,
    /// Who works on the mapping has to take it back.
    cancelled: bool,
}

impl Claim {
    /// The claim of who has `ticket`.
    pub const fn new(ticket: Ticket, phase: Phase) -> Self {
        Self {
            made_by: ticket,
            worked_on_by: ticket,
            phase,
            cancelled: false,
        }
    }

    /// Whether somebody works on the mapping.
    pub const fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Busy)
    }

    /// Whether who has `ticket` works on the mapping.
    pub const fn is_worked_on_by(&self, ticket: Ticket) -> bool {
        self.is_busy() && self.worked_on_by == ticket
    }

    /// Whether the claim was there before `ticket` was given out, and nobody works on
    /// it.
    pub const fn can_be_taken(&self, ticket: Ticket) -> bool {
        !self.is_busy() && self.made_by < ticket
    }

    /// Whether the claim was there before `ticket` was given out.
    pub const fn is_older_than(&self, ticket: Ticket) -> bool {
        self.made_by < ticket
    }

    /// Begins to work on it, for who has `ticket`, unless somebody else does.
    pub fn begin(&mut self, ticket: Ticket) -> bool {
        if self.is_busy() {
            return false;
        }
        self.phase = Phase::Busy;
        self.worked_on_by = ticket;
        true
    }

    /// All mappings go: begins to work on this one, or tells who does to take it back.
    pub fn begin_or_cancel(&mut self, ticket: Ticket) -> bool {
        let begun = self.begin(ticket);
        self.cancelled |= !begun;
        begun
    }
}

/// The claims of a container, none of which overlap.
pub trait Claims {
    /// Shows the claims that share an address with `range` to `visit`, in ascending
    /// order, until it returns false.
    fn visit(&mut self, range: &IovaRange, visit: &mut dyn FnMut(&IovaRange, &mut Claim) -> bool);

    /// The claim that ends at `last`.
    fn at(&mut self, last: u64) -> Option<&mut Claim>;

    /// Gives out a ticket.
    fn ticket(&mut self) -> Ticket;

    /// Whether mappings are to have pages: there is a domain, or there is going to be.
    fn wants_pages(&self) -> bool;
}

/// Why addresses cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is a mapping.
    Exists,
    /// The task was killed while it waited.
    Killed,
}

/// Waits until nobody works on a claim that overlaps `range`, and returns with the lock
/// held if there is none then, for the caller to add his.
///
/// # Errors
///
/// Those of [`Refusal`].
pub fn reserve<'a, M>(monitor: &'a M, range: &IovaRange) -> Result<M::Guard<'a>, Refusal>
where
    M: WaitKillable,
    M::Data: Claims,
{
    let mut claims = monitor.lock();
    loop {
        let (mut any, mut settled) = (false, false);
        claims.visit(range, &mut |_, claim| {
            any = true;
            settled = !claim.is_busy();
            !settled
        });
        if settled {
            return Err(Refusal::Exists);
        }
        if !any {
            return Ok(claims);
        }
        claims = monitor
            .wait_killable(claims)
            .map_err(|Killed| Refusal::Killed)?;
    }
}

/// Waits until nobody works on a claim that overlaps `range` and is older than this
/// call. Returns with the lock held, and with a ticket that tells older claims from
/// younger ones, which the caller shall leave alone.
///
/// # Errors
///
/// [`Killed`].
pub fn wait_for_older<'a, M>(
    monitor: &'a M,
    range: &IovaRange,
) -> Result<(M::Guard<'a>, Ticket), Killed>
where
    M: WaitKillable,
    M::Data: Claims,
{
    let mut claims = monitor.lock();
    let ticket = claims.ticket();
    loop {
        let mut busy = false;
        claims.visit(range, &mut |_, claim| {
            busy = claim.is_busy() && claim.made_by < ticket;
            !busy
        });
        if !busy {
            return Ok((claims, ticket));
        }
        claims = monitor.wait_killable(claims)?;
    }
}

/// What a mapping lacks before its claim can be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Its pages have to come.
    Pages,
    /// Its pages have to go: there is no domain.
    NoPages,
}

/// The claim was cancelled: the mapping has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// Settles the claim that ends at `last`, on which the caller works, as soon as its
/// mapping has pages if and only if it is to have any. `has_pages` tells whether it
/// has; `mend` does what is missing, without the lock.
///
/// # Errors
///
/// Those of `mend`, and [`Cancelled`]. The claim is still busy then.
pub fn settle<M, E: From<Cancelled>>(
    monitor: &M,
    last: u64,
    mut has_pages: bool,
    mut mend: impl FnMut(Lack) -> Result<(), E>,
) -> Result<(), E>
where
    M: Monitor,
    M::Data: Claims,
{
    loop {
        let mut claims = monitor.lock();
        let wants_pages = claims.wants_pages();
        let Some(claim) = claims.at(last) else {
            return Ok(());
        };
        if claim.cancelled {
            return Err(Cancelled.into());
        }
        if wants_pages == has_pages {
            claim.phase = Phase::Settled;
            monitor.wake(claims);
            return Ok(());
        }
        drop(claims);
        mend(if wants_pages {
            Lack::Pages
        } else {
            Lack::NoPages
        })?;
        has_pages = wants_pages;
    }
}

/// Settles the claim that ends at `last`, whose mapping has pages that cannot be taken
/// away; unless mappings are to have none, because the domain that had them is gone: then
/// the caller can take them away now. Tells whether it did.
pub fn settle_stuck<M>(monitor: &M, last: u64) -> bool
where
    M: Monitor,
    M::Data: Claims,
{
    let mut claims = monitor.lock();
    let wants_pages = claims.wants_pages();
    if let Some(claim) = claims.at(last).filter(|_| wants_pages) {
        claim.phase = Phase::Settled;
    }
    monitor.wake(claims);
    wants_pages
}

/// Settles the claim that ends at `last` as it is: the caller is who decides whether
/// mappings have pages.
pub fn settle_as_is<M>(monitor: &M, last: u64)
where
    M: Monitor,
    M::Data: Claims,
{
    let mut claims = monitor.lock();
    if let Some(claim) = claims.at(last) {
        claim.phase = Phase::Settled;
    }
    monitor.wake(claims);
}
