// SPDX-License-Identifier: GPL-2.0

//! Examines a device: the header, then both capability lists.
//!
//! The lists in the shadow are linked anew, from one capability that the user sees to the next.
//! So whatever the device has between and behind them, the user's list ends.

use super::{
    capability,
    cell::{
        assign,
        fill,
        hide,
        load,
        store,
        Cell,
        Kind, //
    },
    extended,
    finding::Finding,
    hardware::Hardware,
    header,
    identify,
    probe::{
        Found,
        Probe, //
    },
    size::{
        CONVENTIONAL_SIZE,
        EXTENDED_SIZE,
        HEADER_SIZE, //
    },
    width::Width, //
};

/// The examination of one device.
pub(super) struct Walk<'a, H> {
    probe: Probe<'a, H>,
    cells: &'a mut [Cell],
    report: &'a mut dyn FnMut(Finding),
}

impl<'a, H: Hardware> Walk<'a, H> {
    /// Starts with `size` cells that are all unassigned.
    pub(super) fn new(
        hardware: &'a H,
        cells: &'a mut [Cell],
        size: u16,
        report: &'a mut dyn FnMut(Finding),
    ) -> Self {
        Self {
            probe: Probe { hardware, size },
            cells,
            report,
        }
    }

    /// Assigns the header.
    ///
    /// # Errors
    ///
    /// The hardware could not be read.
    pub(super) fn header(&mut self) -> Result<(), H::Error> {
        let length = HEADER_SIZE.min(self.probe.size);
        assign(self.cells, 0, length, Kind::Header);
        self.fill(0, length)
    }

    /// Assigns what is on the list of conventional capabilities. If there may be an extended one,
    /// tells how many lanes the function's link has.
    ///
    /// # Errors
    ///
    /// The hardware could not be read.
    pub(super) fn conventional(&mut self) -> Result<Option<u32>, H::Error> {
        let status = self.probe.read(header::STATUS, Width::Word)?;
        if status & header::STATUS_CAPABILITIES == 0 {
            return Ok(None);
        }
        let mut extended_space = None;
        let mut link = header::CAPABILITY_LIST;
        let mut pointer = self.probe.read(link, Width::Byte)?;
        for _ in 0..(CONVENTIONAL_SIZE - HEADER_SIZE) / 4 {
            let end = CONVENTIONAL_SIZE.min(self.probe.size);
            let Some(offset) = self.follow(pointer, HEADER_SIZE, end) else {
                break;
            };
            let entry = self.probe.read(offset, Width::Word)?;
            let id = entry & 0xff;
            pointer = entry >> 8;
            let found = identify::conventional(&self.probe, id, offset)?;
            if let Some(found) = self.place(id, offset, found, end)? {
                store(self.cells, link, Width::Byte, u32::from(offset));
                link = offset.saturating_add(capability::NEXT);
                extended_space = extended_space.max(found.extended_space);
            }
        }
        store(self.cells, link, Width::Byte, 0);
        if link == header::CAPABILITY_LIST {
            self.clear_status();
        }
        Ok(extended_space)
    }

    /// Nothing is on the list.
    fn clear_status(&mut self) {
        let status = load(self.cells, header::STATUS, Width::Word);
        let status = status & !header::STATUS_CAPABILITIES;
        store(self.cells, header::STATUS, Width::Word, status);
    }

    /// Assigns what is on the list of extended capabilities.
    ///
    /// That list has no pointer in front of it: its first entry is at a fixed place. If this one
    /// is hidden it stays as an anchor, with the ID and version that mean "no capability", which is
    /// what is left of a header that is hidden. The function's link has `lanes` lanes.
    ///
    /// # Errors
    ///
    /// The hardware could not be read.
    pub(super) fn extended(&mut self, lanes: u32) -> Result<(), H::Error> {
        let end = self.probe.size;
        if end <= CONVENTIONAL_SIZE || self.probe.read(CONVENTIONAL_SIZE, Width::Dword)? == 0 {
            return Ok(());
        }
        let mut link = None;
        let mut offset = CONVENTIONAL_SIZE;
        for _ in 0..(EXTENDED_SIZE - CONVENTIONAL_SIZE) / 4 {
            let header = self.probe.read(offset, Width::Dword)?;
            let id = header & extended::ID;
            let found = identify::extended(&self.probe, id, offset, lanes)?;
            let visible = self.place(id, offset, found, end)?.is_some();
            if visible || link.is_none() {
                self.link_extended(link, offset);
                link = Some(offset);
            }
            let pointer = (header & extended::NEXT) >> extended::NEXT_SHIFT;
            match self.follow(pointer, CONVENTIONAL_SIZE, end) {
                Some(next) => offset = next,
                None => break,
            }
        }
        self.link_extended(link, 0);
        Ok(())
    }

    /// Makes the header at `link` point to the one at `offset`.
    fn link_extended(&mut self, link: Option<u16>, offset: u16) {
        let Some(link) = link else { return };
        let header = load(self.cells, link, Width::Dword) & !extended::NEXT;
        let header = header | (u32::from(offset) << extended::NEXT_SHIFT);
        store(self.cells, link, Width::Dword, header);
    }

    /// The offset of the capability that `pointer` points to, if there can be one.
    fn follow(&mut self, pointer: u32, start: u16, end: u16) -> Option<u16> {
        // The two lowest bits are reserved.
        let offset = u16::try_from(pointer & !0x3).ok()?;
        if offset == 0 {
            return None;
        }
        if offset < start || offset >= end {
            (self.report)(Finding::BadPointer { offset });
            return None;
        }
        let cell = self.cells.get(usize::from(offset))?;
        if cell.kind() != Kind::Unassigned && cell.start() == offset {
            (self.report)(Finding::Loop { offset });
            return None;
        }
        Some(offset)
    }

    /// Assigns a capability, which must fit in front of `end`; gives it back if users see it.
    fn place(
        &mut self,
        id: u32,
        offset: u16,
        found: Found,
        end: u16,
    ) -> Result<Option<Found>, H::Error> {
        if found.kind == Kind::Hidden {
            (self.report)(Finding::Hidden { id, offset });
            self.hide(offset, found.bytes, end);
            return Ok(None);
        }
        let Some(length) = self.length(id, offset, &found, end) else {
            self.hide(offset, entry_bytes(offset), end);
            return Ok(None);
        };
        if !assign(self.cells, offset, length, found.kind) {
            (self.report)(Finding::Overlap { id, offset });
        }
        self.fill(offset, length)?;
        if found.kind == Kind::PowerManagement {
            self.hide_events(offset);
        }
        Ok(Some(found))
    }

    /// Takes a capability out of sight, but nothing behind `end`.
    fn hide(&mut self, offset: u16, bytes: u32, end: u16) {
        let room = end.saturating_sub(offset);
        let length = u16::try_from(bytes).map_or(room, |bytes| bytes.min(room));
        hide(self.cells, offset, length);
    }

    /// Takes PME out of the Power Management capability at `start`, in the shadow.
    fn hide_events(&mut self, start: u16) {
        use capability::{
            PM_CAPABILITIES,
            PM_CONTROL,
            PM_PME,
            PM_PME_SUPPORT, //
        };

        self.clear(start, PM_CAPABILITIES, PM_PME_SUPPORT);
        self.clear(start, PM_CONTROL, PM_PME);
    }

    /// Clears bits of a register of the capability at `start`, in the shadow.
    fn clear(&mut self, start: u16, register: u16, bits: u32) {
        let offset = start.saturating_add(register);
        let value = load(self.cells, offset, Width::Word) & !bits;
        fill(self.cells, start, offset, Width::Word, value);
    }

    /// The number of bytes that a capability gets of those in front of `end`.
    fn length(&mut self, id: u32, offset: u16, found: &Found, end: u16) -> Option<u16> {
        let room = end.saturating_sub(offset);
        match (u16::try_from(found.bytes), found.claimed) {
            (Ok(bytes), None) if bytes <= room => Some(bytes),
            (_, None) => {
                (self.report)(Finding::Cut { id, offset });
                Some(room)
            }
            (Ok(bytes), Some(minimum)) if (minimum..=room).contains(&bytes) => Some(bytes),
            (_, Some(_)) => {
                let length = found.bytes;
                (self.report)(Finding::BadLength { id, offset, length });
                None
            }
        }
    }

    /// Copies the registers of a capability into the shadow.
    ///
    /// By the widest accesses that fit, as the PCI core does when it saves the state of a device.
    fn fill(&mut self, start: u16, length: u16) -> Result<(), H::Error> {
        let end = start.saturating_add(length);
        let mut offset = start;
        while offset < end {
            let width = Width::widest(offset, end.saturating_sub(offset));
            let value = self.probe.read(offset, width)?;
            fill(self.cells, start, offset, width, value);
            offset = offset.saturating_add(width.bytes());
        }
        Ok(())
    }
}

/// Bytes that link a capability at `offset` to the next.
fn entry_bytes(offset: u16) -> u32 {
    u32::from(match offset {
        CONVENTIONAL_SIZE.. => extended::HEADER_SIZE,
        _ => capability::ENTRY_SIZE,
    })
}
