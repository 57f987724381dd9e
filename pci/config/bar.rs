// SPDX-License-Identifier: GPL-2.0

//! Base Address Registers as the user sees them.
//!
//! A driver sizes a BAR by writing ones and reading back which of them stick, so the shadow keeps
//! only those bits of an address that a decoder of this size would have.

/// Space that a BAR decodes, as the host sized it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BarKind {
    /// I/O ports.
    Io {
        /// Number of ports, a power of two.
        size: u64,
    },
    /// Memory.
    Memory {
        /// Number of bytes, a power of two.
        size: u64,
        /// Whether the decoder is 64 bits wide, so that the next BAR holds the upper half.
        wide: bool,
        /// Whether the memory is prefetchable.
        prefetchable: bool,
    },
}

/// The expansion ROM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rom {
    /// There is none.
    Absent,
    /// Decoded by the Expansion ROM Base Address Register.
    Resource {
        /// Number of bytes, a power of two.
        size: u64,
    },
    /// A copy that the firmware left in memory.
    Shadow {
        /// Number of bytes.
        length: u64,
    },
}

/// What becomes of a written value: some bits are kept, some always read as one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sizing {
    keep: u32,
    set: u32,
}

impl Sizing {
    /// Memory Space Indicator: I/O.
    const IO: u32 = 1 << 0;
    /// Type: 64 bits wide.
    const MEMORY_64: u32 = 2 << 1;
    /// Prefetchable.
    const MEMORY_PREFETCHABLE: u32 = 1 << 3;
    /// Expansion ROM Enable.
    const ROM_ENABLE: u64 = 1 << 0;

    /// A register that is not implemented reads as zero.
    const UNIMPLEMENTED: Sizing = Sizing { keep: 0, set: 0 };

    /// The value of the register after `value` was written.
    pub(super) fn apply(self, value: u32) -> u32 {
        (value & self.keep) | self.set
    }

    /// The rules for the six BARs.
    pub(super) fn of_bars(bars: &[Option<BarKind>; 6]) -> [Sizing; 6] {
        let mut sizings = [Sizing::UNIMPLEMENTED; 6];
        let mut slots = sizings.iter_mut().zip(bars);
        while let Some((low, bar)) = slots.next() {
            let Some(bar) = *bar else { continue };
            let mask = bar.address_mask();
            *low = Sizing {
                keep: mask as u32, // CAST: the lower half.
                set: bar.type_bits(),
            };
            if bar.is_wide() {
                if let Some((high, _)) = slots.next() {
                    *high = Sizing {
                        keep: (mask >> 32) as u32, // CAST: the upper half.
                        set: 0,
                    };
                }
            }
        }
        sizings
    }

    /// The rule for the Expansion ROM Base Address Register.
    pub(super) fn of_rom(rom: Rom) -> Sizing {
        let mask = match rom {
            Rom::Absent => return Sizing::UNIMPLEMENTED,
            Rom::Resource { size } => address_mask(size),
            Rom::Shadow { length: 0 } => return Sizing::UNIMPLEMENTED,
            Rom::Shadow { length } => address_mask(length.checked_next_power_of_two().unwrap_or(0)),
        };
        Sizing {
            keep: (mask | Self::ROM_ENABLE) as u32, // CAST: the register has 32 bits.
            set: 0,
        }
    }
}

impl BarKind {
    fn address_mask(self) -> u64 {
        match self {
            BarKind::Io { size } | BarKind::Memory { size, .. } => address_mask(size),
        }
    }

    fn is_wide(self) -> bool {
        matches!(self, BarKind::Memory { wide: true, .. })
    }

    fn type_bits(self) -> u32 {
        match self {
            BarKind::Io { .. } => Sizing::IO,
            BarKind::Memory {
                wide, prefetchable, ..
            } => {
                let width = if wide { Sizing::MEMORY_64 } else { 0 };
                let prefetch = if prefetchable {
                    Sizing::MEMORY_PREFETCHABLE
                } else {
                    0
                };
                width | prefetch
            }
        }
    }
}

/// The address bits that a decoder of `size` bytes compares; none if it decodes everything.
fn address_mask(size: u64) -> u64 {
    !size.wrapping_sub(1)
}
