// SPDX-License-Identifier: GPL-2.0

//! A container of the model: what `type1/` does with a page that stands for a whole run.

use super::{
    device::{
        Device,
        Generation, //
    },
    lock::Lock, //
};
use crate::{
    monitor::Monitor,
    type1::{
        claims::{
            self,
            Cancelled,
            Claim,
            Claims,
            Lack,
            Phase,
            Refusal,
            Ticket, //
        },
        coverage::Coverage,
        range::IovaRange, //
    }, //
};
use loom::sync::{
    Arc,
    Mutex, //
};
use std::{
    boxed::Box,
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    sync::atomic::{
        AtomicU64,
        Ordering, //
    },
    vec::Vec, //
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    Ordinary,
    Device(Generation),
}

/// What one domain translates.
#[derive(Default)]
pub struct Domain(pub BTreeMap<u64, Frame>);

impl Domain {
    fn map(&mut self, iova: u64, frame: Frame) {
        assert_eq!(self.0.insert(iova, frame), None, "mapped twice");
    }

    fn unmap(&mut self, iova: u64) {
        assert!(self.0.remove(&iova).is_some(), "not mapped");
    }
}

#[derive(Default)]
pub struct Domains {
    pub full: Vec<Domain>,
    pub joining: Option<Domain>,
    round: u64,
}

/// The name of a registration in a mapping.
type Source = u64;

struct Run {
    frame: Frame,
    source: Option<Source>,
    revoked: bool,
}

#[derive(Default)]
struct Pages {
    runs: Vec<Run>,
    coverage: Coverage,
    /// What watches the device, and its name.
    watch: Option<(Source, u64)>,
    /// The devices that have gone.
    lost: BTreeSet<Source>,
}

pub struct Mapping {
    range: IovaRange,
    pages: Mutex<Pages>,
    pins: Mutex<Pins>,
}

/// What bus drivers do with a mapping.
#[derive(Default)]
struct Pins {
    /// How many are about to pin something.
    coming: usize,
    /// How many have pinned something, and would let go of it.
    there: usize,
}

impl Mapping {
    /// One step: the page goes to all domains, unless its device has gone meanwhile.
    fn step(
        &self,
        domains: &Mutex<Domains>,
        frame: Frame,
        source: Option<Source>,
    ) -> Result<(), Outcome> {
        let mut pages = self.pages.lock().unwrap();
        if source.is_some_and(|source| pages.lost.contains(&source)) {
            return Err(Outcome::Fault);
        }
        let first = pages.runs.len() as u64;
        pages.runs.push(Run {
            frame,
            source,
            revoked: false,
        });
        let mut domains = domains.lock().unwrap();
        let round = domains.round;
        let iova = self.range.start() + first;
        domains.full.iter_mut().for_each(|it| it.map(iova, frame));
        if pages.coverage.is_joined(round) {
            domains
                .joining
                .iter_mut()
                .for_each(|it| it.map(iova, frame));
        }
        pages.coverage.extend(round, first + 1);
        Ok(())
    }

    /// Brings the joining domain up to date, a page at a time.
    fn replay(&self, domains: &Mutex<Domains>) {
        loop {
            let mut pages = self.pages.lock().unwrap();
            let mut domains = domains.lock().unwrap();
            let round = domains.round;
            if pages.coverage.is_joined(round) {
                return;
            }
            let next = pages.coverage.joined(round);
            let run = &pages.runs[next as usize];
            let Some(joining) = domains.joining.as_mut() else {
                return;
            };
            if !run.revoked {
                joining.map(self.range.start() + next, run.frame);
            }
            pages.coverage.join(round, next + 1);
        }
    }

    /// The device goes. Returns what watched it.
    fn revoke(&self, domains: &Mutex<Domains>, source: Source) -> Option<u64> {
        let mut pages = self.pages.lock().unwrap();
        pages.lost.insert(source);
        let mut domains = domains.lock().unwrap();
        let round = domains.round;
        let Pages { runs, coverage, .. } = &mut *pages;
        for (index, run) in (0..).zip(runs) {
            if run.source != Some(source) || run.revoked {
                continue;
            }
            let iova = self.range.start() + index;
            if index < coverage.mapped() {
                domains.full.iter_mut().for_each(|it| it.unmap(iova));
            }
            if index < coverage.joined(round) {
                domains.joining.iter_mut().for_each(|it| it.unmap(iova));
            }
            run.revoked = true;
        }
        let watch = pages.watch.take_if(|(watched, _)| *watched == source);
        watch.map(|(_, id)| id)
    }

    /// All pages go, from the end. Returns what the mapping watched.
    fn clear(&self, domains: &Mutex<Domains>) -> Option<u64> {
        loop {
            let mut pages = self.pages.lock().unwrap();
            let Some(last) = pages.runs.len().checked_sub(1) else {
                return pages.watch.take().map(|(_, id)| id);
            };
            let iova = self.range.start() + last as u64;
            let mut domains = domains.lock().unwrap();
            let joined = pages.coverage.joined(domains.round);
            if !pages.runs[last].revoked {
                domains.full.iter_mut().for_each(|it| it.unmap(iova));
                if (last as u64) < joined {
                    domains.joining.iter_mut().for_each(|it| it.unmap(iova));
                }
            }
            pages.coverage.shrink(last as u64);
            pages.runs.pop();
        }
    }
}

struct Entry {
    mapping: Arc<Mapping>,
    claim: Claim,
}

#[derive(Default)]
pub struct Table {
    entries: BTreeMap<u64, Entry>,
    next_ticket: Ticket,
    wants_pages: bool,
    uses: usize,
}

impl Claims for Table {
    fn visit(&mut self, range: &IovaRange, visit: &mut dyn FnMut(&IovaRange, &mut Claim) -> bool) {
        for entry in self.entries.values_mut() {
            let found = entry.mapping.range;
            if found.overlaps(range) && !visit(&found, &mut entry.claim) {
                return;
            }
        }
    }

    fn at(&mut self, last: u64) -> Option<&mut Claim> {
        self.entries.get_mut(&last).map(|entry| &mut entry.claim)
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn wants_pages(&self) -> bool {
        self.wants_pages
    }

    fn uses(&mut self) -> &mut usize {
        &mut self.uses
    }
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(u64),
    Exists,
    Killed,
    Fault,
    Cancelled,
}

impl From<Cancelled> for Outcome {
    fn from(_: Cancelled) -> Self {
        Outcome::Cancelled
    }
}

pub fn range(start: u64, last: u64) -> IovaRange {
    IovaRange::new(start, last).expect("start is not above last")
}

/// A container with a device whose memory it may have.
pub struct Container {
    pub table: Lock<Table>,
    pub domains: Arc<Mutex<Domains>>,
    pub device: Arc<Device>,
    sources: AtomicU64,
}

impl Container {
    pub fn new(domains: usize) -> Arc<Self> {
        let table = Table {
            wants_pages: domains != 0,
            ..Table::default()
        };
        let mut full = Vec::new();
        full.resize_with(domains, Domain::default);
        Arc::new(Self {
            table: Lock::new(table),
            domains: Arc::new(Mutex::new(Domains {
                full,
                ..Domains::default()
            })),
            device: Device::open(),
            sources: AtomicU64::new(0),
        })
    }

    /// MAP of ordinary memory, or of the device's.
    pub fn map(&self, range: IovaRange, of_device: bool, task: usize) -> Outcome {
        let mut table = match claims::reserve(&self.table, &range) {
            Ok(table) => table,
            Err(Refusal::Exists) => return Outcome::Exists,
            Err(Refusal::Killed) => return Outcome::Killed,
        };
        let ticket = table.ticket();
        let mapping = Arc::new(Mapping {
            range,
            pages: Mutex::new(Pages::default()),
            pins: Mutex::default(),
        });
        let phase = if table.wants_pages {
            Phase::Busy
        } else {
            Phase::Settled
        };
        let entry = Entry {
            mapping: mapping.clone(),
            claim: Claim::new(ticket, phase),
        };
        table.entries.insert(range.last(), entry);
        drop(table);
        if phase == Phase::Settled {
            return Outcome::Done(range.size());
        }
        let result = self.populate(&mapping, of_device, task).and_then(|()| {
            claims::settle(&self.table, range.last(), true, |lack| match lack {
                Lack::Pages => self.populate(&mapping, of_device, task),
                Lack::NoPages => {
                    self.clear(&mapping, task);
                    Ok(())
                }
            })
        });
        match result {
            Ok(()) => Outcome::Done(range.size()),
            Err(outcome) => {
                self.remove(&mapping, task);
                outcome
            }
        }
    }

    fn populate(&self, mapping: &Arc<Mapping>, device: bool, task: usize) -> Result<(), Outcome> {
        let mut known = Vec::new();
        for _ in 0..mapping.range.size() {
            let (frame, source) = if device {
                let (frame, source) = self.watch(mapping, &mut known, task)?;
                (frame, Some(source))
            } else {
                (Frame::Ordinary, None)
            };
            mapping.step(&self.domains, frame, source)?;
        }
        let pages = mapping.pages.lock().unwrap();
        if known.iter().any(|source| pages.lost.contains(source)) {
            return Err(Outcome::Fault);
        }
        Ok(())
    }

    /// First registers, then looks up.
    fn watch(
        &self,
        mapping: &Arc<Mapping>,
        known: &mut Vec<Source>,
        task: usize,
    ) -> Result<(Frame, Source), Outcome> {
        let is_known = |source: &&Source| !mapping.pages.lock().unwrap().lost.contains(*source);
        if let Some(source) = known.iter().find(is_known) {
            let found = self.device.look_up().ok_or(Outcome::Fault)?;
            return Ok((Frame::Device(found), *source));
        }
        let source = self.sources.fetch_add(1, Ordering::Relaxed);
        let (revoked, domains, device) = (
            mapping.clone(),
            self.domains.clone(),
            Arc::clone(&self.device),
        );
        let handler = Box::new(move |task| {
            if let Some(id) = revoked.revoke(&domains, source) {
                device.unregister(id, task);
            }
        });
        let id = self.device.register(handler).ok_or(Outcome::Fault)?;
        known.push(source);
        let found = self.device.look_up();
        let mut pages = mapping.pages.lock().unwrap();
        if pages.lost.contains(&source) {
            drop(pages);
            self.device.unregister(id, task);
        } else {
            pages.watch = Some((source, id));
        }
        Ok((Frame::Device(found.ok_or(Outcome::Fault)?), source))
    }

    fn clear(&self, mapping: &Mapping, task: usize) {
        if let Some(id) = mapping.clear(&self.domains) {
            self.device.unregister(id, task);
        }
    }

    fn remove(&self, mapping: &Mapping, task: usize) {
        self.clear(mapping, task);
        let mut table = self.table.lock();
        assert!(table.entries.remove(&mapping.range.last()).is_some());
        self.table.wake(table);
    }

    /// UNMAP of all that is in `range`.
    pub fn unmap(&self, range: IovaRange, task: usize) -> Outcome {
        let Ok((mut table, ticket)) = claims::wait_to_remove(&self.table, &range) else {
            return Outcome::Killed;
        };
        let mut taken = Vec::new();
        for entry in table.entries.values_mut() {
            if entry.mapping.range.overlaps(&range) && entry.claim.can_be_taken(ticket) {
                assert!(entry.claim.begin_removal(ticket));
                taken.push(entry.mapping.clone());
            }
        }
        drop(table);
        let mut size = 0;
        for mapping in &taken {
            mapping.pins.lock().unwrap().there = 0;
        }
        for mapping in taken {
            let pins = mapping.pins.lock().unwrap();
            assert_eq!((pins.coming, pins.there), (0, 0), "in use when it goes");
            drop(pins);
            self.remove(&mapping, task);
            size += mapping.range.size();
        }
        Outcome::Done(size)
    }

    /// A bus driver pins what is at the address, and would let go of it if it were told.
    pub fn pin(&self, address: u64) -> Outcome {
        let address = range(address, address);
        let mut table = self.table.lock();
        let Some(token) = claims::begin_use(&mut *table, &address) else {
            return Outcome::Fault;
        };
        let mapping = table.entries[&token.last()].mapping.clone();
        drop(table);
        mapping.pins.lock().unwrap().coming += 1;
        let mut pins = mapping.pins.lock().unwrap();
        pins.coming -= 1;
        pins.there += 1;
        drop(pins);
        claims::end_use(&self.table, token);
        Outcome::Done(1)
    }

    fn mappings(&self) -> Vec<Arc<Mapping>> {
        let table = self.table.lock();
        let entries = table.entries.values();
        entries.map(|entry| entry.mapping.clone()).collect()
    }

    /// One more domain: the first one, or one beside others. If it `fails`, that is found
    /// out at the end.
    pub fn attach(&self, fails: bool, task: usize) {
        let mut table = self.table.lock();
        let is_first = !table.wants_pages;
        table.wants_pages = true;
        self.begin_joining();
        drop(table);
        for mapping in self.mappings() {
            let last = mapping.range.last();
            let begun = self.begin(last);
            if begun && mapping.pages.lock().unwrap().runs.is_empty() {
                self.populate(&mapping, false, task).expect("ordinary");
            }
            mapping.replay(&self.domains);
            if begun {
                claims::settle_as_is(&self.table, last);
            }
        }
        if !fails {
            self.end_joining(true);
            return;
        }
        let mut table = self.table.lock();
        table.wants_pages = !is_first;
        self.end_joining(false);
        drop(table);
        if is_first {
            self.take_pages(task);
        }
    }

    /// The last domain goes, but a group of emulated devices stays.
    pub fn detach_last(&self, task: usize) {
        let mut table = self.table.lock();
        table.wants_pages = false;
        self.domains.lock().unwrap().full.clear();
        drop(table);
        self.take_pages(task);
    }

    /// The last group goes, and with it all mappings.
    pub fn detach_all(&self, task: usize) {
        let mut table = self.table.lock();
        let ticket = table.ticket();
        table.wants_pages = false;
        self.domains.lock().unwrap().full.clear();
        let mut taken = Vec::new();
        for entry in table.entries.values_mut() {
            if entry.claim.begin_or_cancel(ticket) {
                taken.push(entry.mapping.clone());
            }
        }
        drop(table);
        for mapping in taken {
            self.remove(&mapping, task);
        }
    }

    fn begin(&self, last: u64) -> bool {
        let mut table = self.table.lock();
        let ticket = table.ticket();
        table.at(last).is_some_and(|claim| claim.begin(ticket))
    }

    fn take_pages(&self, task: usize) {
        for mapping in self.mappings() {
            let last = mapping.range.last();
            let begun = self.begin(last);
            if begun {
                self.clear(&mapping, task);
                claims::settle_as_is(&self.table, last);
            }
        }
    }

    fn begin_joining(&self) {
        let mut domains = self.domains.lock().unwrap();
        domains.round += 1;
        domains.joining = Some(Domain::default());
    }

    fn end_joining(&self, success: bool) {
        let mut domains = self.domains.lock().unwrap();
        let joining = domains.joining.take().expect("there is one");
        if success {
            domains.full.push(joining);
        }
    }

    /// Nobody is at work: checks that everything is as it has to be, and lets it all go.
    pub fn finish(&self) {
        self.check();
        self.detach_all(0);
        assert!(self.table.lock().entries.is_empty());
    }

    /// Every mapping is settled, and every domain has exactly its pages.
    fn check(&self) {
        let table = self.table.lock();
        let domains = self.domains.lock().unwrap();
        let mut expected = BTreeMap::new();
        for entry in table.entries.values() {
            assert!(!entry.claim.is_busy(), "somebody still works on it");
            assert!(entry.claim.can_be_used(), "and it is there to stay");
            let pages = entry.mapping.pages.lock().unwrap();
            let has_pages = !pages.runs.is_empty();
            assert_eq!(has_pages, table.wants_pages, "pages as the domains are");
            for (index, run) in (0..).zip(&pages.runs) {
                if !run.revoked {
                    expected.insert(entry.mapping.range.start() + index, run.frame);
                }
            }
        }
        for domain in &domains.full {
            assert_eq!(domain.0, expected, "a domain differs from the mappings");
        }
        assert!(domains.joining.is_none());
    }

    /// No domain leads to what the device was before it was opened for the last time.
    pub fn check_no_frames_of(&self, generation: Generation) {
        let domains = self.domains.lock().unwrap();
        for domain in domains.full.iter().chain(&domains.joining) {
            let left = domain.0.values().any(|it| *it == Frame::Device(generation));
            assert!(!left, "memory of a released device is mapped");
        }
    }
}
