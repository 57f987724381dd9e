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
//!   cannot be stopped any more; and nobody waits for a claim while he works on one, so
//!   that no two ever wait for each other.
//! * A bus driver that pins pages, or copies some, [uses](begin_use) mappings as they are, also
//!   while somebody works on one, but not before it is made, nor once somebody is about to
//!   remove it. It waits for nobody. UNMAP [waits](wait_to_remove) for those who use something
//!   before it makes a claim busy: they may wait for memory of the user, and nobody else shall.
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
    /// It has been settled, so there is a mapping that can be used.
    made: bool,
    /// Who works on the mapping removes it.
    going: bool,
    /// How many wait to remove it.
    leaving: u32,
    /// How many use it.
    users: u32,
}

impl Claim {
    /// The claim of who has `ticket`.
    pub const fn new(ticket: Ticket, phase: Phase) -> Self {
        Self {
            made_by: ticket,
            worked_on_by: ticket,
            phase,
            cancelled: false,
            made: matches!(phase, Phase::Settled),
            going: false,
            leaving: 0,
            users: 0,
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

    /// Begins to remove the mapping, for who has `ticket`, unless somebody else works on it.
    /// Nobody begins to use it any more.
    pub fn begin_removal(&mut self, ticket: Ticket) -> bool {
        let begun = self.begin(ticket);
        self.going |= begun;
        begun
    }

    /// All mappings go: begins to remove this one, or tells who works on it to take it back.
    pub fn begin_or_cancel(&mut self, ticket: Ticket) -> bool {
        let begun = self.begin_removal(ticket);
        self.cancelled |= !begun;
        begun
    }

    /// Whether the mapping can be used: it is made, and there to stay.
    pub const fn can_be_used(&self) -> bool {
        self.made && !self.going && !self.cancelled && self.leaving == 0
    }

    /// Who worked on the mapping has left it in its place.
    fn settle(&mut self) {
        self.phase = Phase::Settled;
        self.made = true;
        self.going = false;
    }
}

/// That somebody uses a mapping. No reference, and nothing to drop: what it names is in the table,
/// under the lock of that, where [`end_use`] takes it back.
#[derive(Debug)]
pub struct Use {
    /// The last address of the mapping.
    last: u64,
    /// Which of those is meant that may be there one after the other.
    made_by: Ticket,
}

impl Use {
    /// The last address of the mapping.
    pub const fn last(&self) -> u64 {
        self.last
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

    /// How many uses there are of all mappings.
    fn uses(&mut self) -> &mut usize;
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
            claim.settle();
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
        claim.settle();
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
        claim.settle();
    }
    monitor.wake(claims);
}

/// Begins to use the mapping that shares an address with `range`, of which there is one at
/// most, if that can be used.
pub fn begin_use(claims: &mut impl Claims, range: &IovaRange) -> Option<Use> {
    let mut begun = None;
    claims.visit(range, &mut |mapping, claim| {
        let users = claim.users.checked_add(1);
        if let Some(users) = users.filter(|_| claim.can_be_used()) {
            claim.users = users;
            begun = Some(Use {
                last: mapping.last(),
                made_by: claim.made_by,
            });
        }
        false
    });
    if begun.is_some() {
        let uses = claims.uses();
        *uses = uses.saturating_add(1);
    }
    begun
}

/// Ends a use. Another mapping may be in the place of the one that was used, if all of the
/// container have gone meanwhile.
pub fn end_use<M>(monitor: &M, Use { last, made_by }: Use)
where
    M: Monitor,
    M::Data: Claims,
{
    let mut claims = monitor.lock();
    let uses = claims.uses();
    *uses = uses.saturating_sub(1);
    let Some(claim) = claims.at(last).filter(|claim| claim.made_by == made_by) else {
        return;
    };
    claim.users = claim.users.saturating_sub(1);
    if claim.users == 0 && claim.leaving != 0 {
        monitor.wake(claims);
    }
}

/// Waits until nobody works on a claim that overlaps `range` and is older than this call, nor
/// uses such a mapping. Meanwhile nobody begins to use one, but all else goes on. Returns
/// what [`wait_for_older()`] does.
///
/// # Errors
///
/// [`Killed`].
pub fn wait_to_remove<'a, M>(
    monitor: &'a M,
    range: &IovaRange,
) -> Result<(M::Guard<'a>, Ticket), Killed>
where
    M: WaitKillable,
    M::Data: Claims,
{
    let (mut claims, ticket) = wait_for_older(monitor, range)?;
    if *claims.uses() == 0 {
        return Ok((claims, ticket));
    }
    leave(&mut *claims, range, ticket);
    while is_in_use(&mut *claims, range, ticket) {
        match monitor.wait_killable(claims) {
            Ok(changed) => claims = changed,
            Err(Killed) => {
                stay(&mut *monitor.lock(), range, ticket);
                return Err(Killed);
            }
        }
    }
    stay(&mut *claims, range, ticket);
    Ok((claims, ticket))
}

/// Nobody begins to use mappings in `range` that are older than `ticket`.
fn leave(claims: &mut impl Claims, range: &IovaRange, ticket: Ticket) {
    claims.visit(range, &mut |_, claim| {
        if claim.is_older_than(ticket) {
            claim.leaving = claim.leaving.saturating_add(1);
        }
        true
    });
}

/// Undoes [`leave()`] for those that are still there: none has come that is older.
fn stay(claims: &mut impl Claims, range: &IovaRange, ticket: Ticket) {
    claims.visit(range, &mut |_, claim| {
        if claim.is_older_than(ticket) {
            claim.leaving = claim.leaving.saturating_sub(1);
        }
        true
    });
}

/// Whether somebody uses, or works on, a mapping in `range` that is older than `ticket`.
fn is_in_use(claims: &mut impl Claims, range: &IovaRange, ticket: Ticket) -> bool {
    let mut found = false;
    claims.visit(range, &mut |_, claim| {
        found = claim.is_older_than(ticket) && (claim.is_busy() || claim.users != 0);
        !found
    });
    found
}
