// SPDX-License-Identifier: GPL-2.0

//! Which I/O virtual addresses may be mapped: an aperture less its holes.
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

use super::range::IovaRange;

/// Hands the parts of `aperture` that no hole covers to `emit`, in ascending
/// order.
///
/// Holes may come in any order, overlap and lie outside of the aperture. There
/// are a handful of them, so they are searched, not sorted.
///
/// # Errors
///
/// The first error of `emit`, which then is not called again.
pub fn without_holes<'a, E>(
    aperture: IovaRange,
    holes: impl Iterator<Item = &'a IovaRange> + Clone,
    mut emit: impl FnMut(IovaRange) -> Result<(), E>,
) -> Result<(), E> {
    let mut position = aperture.start();
    loop {
        let Some(free) = skip_holes(position, holes.clone()) else {
            return Ok(());
        };
        let next_hole = holes
            .clone()
            .map(IovaRange::start)
            .filter(|start| *start > free)
            .min();
        // A hole starts above `free`, so there is an address below it.
        let last = next_hole.map_or(u64::MAX, |start| start.saturating_sub(1));
        match IovaRange::new(free, last.min(aperture.last())) {
            Some(range) => emit(range)?,
            // The holes reach beyond the aperture.
            None => return Ok(()),
        }
        match next_hole {
            Some(start) if start <= aperture.last() => position = start,
            _ => return Ok(()),
        }
    }
}

/// The first address from `position` on that is in no hole.
fn skip_holes<'a>(
    mut position: u64,
    holes: impl Iterator<Item = &'a IovaRange> + Clone,
) -> Option<u64> {
    while let Some(hole) = holes.clone().find(|hole| hole.contains_address(position)) {
        position = hole.last().checked_add(1)?;
    }
    Some(position)
}

/// Whether one of the `valid` ranges, in ascending order, holds all of `range`.
///
/// An empty list stands for "no IOMMU restricts the addresses".
pub fn permits(valid: &[IovaRange], range: &IovaRange) -> bool {
    if valid.is_empty() {
        return true;
    }
    let index = valid.partition_point(|entry| entry.last() < range.start());
    valid.get(index).is_some_and(|entry| entry.contains(range))
}
