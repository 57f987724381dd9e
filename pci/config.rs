// SPDX-License-Identifier: GPL-2.0

//! Virtual PCI config space.
//!
//! A userspace driver reads and writes the config space of its device through this engine, because
//! a large part of it must not reach the hardware as it is: BARs belong to the host, interrupts
//! are set up by ioctl, a power state change has to pull the device memory from under its users
//! first, and whole capabilities are hidden.
//!
//! # Model
//!
//! Each byte of config space has a [`Cell`]. It says which capability the byte belongs to, and
//! holds the byte of the *shadow*, the copy that the user sees instead of the hardware. For each
//! bit of a capability a table of registers says
//! * whether it is *virtual*: read from the shadow, and written to it,
//! * whether it is *writable*: other bits keep their value when they are written,
//! * whether writing it as it was read would clear it (RW1C in the PCI specifications); such a bit
//!   is written as zero unless it is both writable and part of what the user wrote.
//!
//! The tables are [`header`], [`capability`] and [`extended`], laid out like those of the PCI
//! Local Bus and PCI Express Base specifications. Bytes of no capability are passed to the hardware
//! unchanged, since some devices keep registers in the gaps and their drivers use them. The bytes
//! of a capability that is hidden read as zero and cannot be written.
//!
//! Accesses are cut into [`Chunk`]s: 1, 2 or 4 aligned bytes of one capability. What a write has
//! to do besides storing bits (zap mappings, change the power state, reset the function) it does
//! through the trait [`Effects`], so the engine itself needs nothing but the core library.
//!
//! # What a device can do
//!
//! Every byte that the device supplies may be hostile. Capability lists are walked with a bound,
//! pointers outside of the space and loops end the list, a capability that claims more bytes than
//! there are is taken from the list, and a capability with a fixed layout that runs into the end
//! of the space is cut there. Each of these is a [`Finding`] for the log.
//!
//! # Differences from the C driver
//!
//! * What the device says about its list and lengths is not trusted, see above; bytes of another
//!   capability's list entry are never given away, so the list that the user sees always ends.
//! * RW1C bits that share an access with writable bits are not cleared as a side effect.
//! * A write to the Command Register that fails leaves device memory as it was.
//! * In Message Control of MSI, the fields that describe the function are read-only, and stay as
//!   the hardware has them.
//! * In the Power Budgeting capability it is Data Select that can be written, not Data.
//! * The list entry of a Vendor-Specific capability is not written to the hardware.
//! * A BAR of four I/O ports is never mistaken for one of 64 bits.
//! * A capability that is hidden is not only unlinked: its registers cannot be reached either, as
//!   far as their number is known. In the C driver they are passed to the hardware like those of a
//!   gap, for whoever knows the offset.
//! * A function level reset that fails makes the write fail that asked for it.
//!
//! # Limits
//!
//! * Of a capability that is not known, and of one whose claimed length cannot be, only the list
//!   entry is hidden; of Shadow Functions and MMIO Register Block Locator not what they list.
//! * Only type 0 headers are described.
//!
//! # Locking
//!
//! [`Space`] is to be kept in a lock that is held for one chunk at a time. The callbacks of
//! [`Effects`] run under it.

mod bar;
mod behaviour;
pub mod capability;
mod cell;
mod command;
mod decoding;
pub mod extended;
mod finding;
mod hardware;
pub mod header;
mod hidden;
mod identify;
mod permission;
mod probe;
mod size;
mod space;
mod walk;
mod width;

pub use self::{
    bar::{
        BarKind,
        Rom, //
    },
    cell::{
        Cell,
        Kind, //
    },
    decoding::MemoryEffect,
    finding::Finding,
    hardware::{
        CommandWrite,
        Decode,
        Effects,
        Facts,
        Hardware,
        Lost,
        Msi,
        PowerState, //
    },
    header::bar_registers,
    permission::{
        Layout,
        Permission,
        Register, //
    },
    size::{
        CONVENTIONAL_SIZE,
        EXTENDED_SIZE,
        HEADER_SIZE, //
    },
    space::{
        Chunk,
        Space, //
    },
    width::Width, //
};
