// SPDX-License-Identifier: GPL-2.0

//! Indexes that users choose.
//!
//! A processor goes on speculatively behind a check of bounds before it knows how that ends, and
//! what it then reads leaves traces. An index that has been checked here is within the bounds even
//! for such a processor.
//!
//! C header: [`include/linux/nospec.h`](srctree/include/linux/nospec.h)

/// The mask that `array_index_mask_nospec()` computes: all ones if `index` is below `size`, else
/// none, in a way that leaves the processor nothing to guess.
///
/// The same two instructions as in C. A call to another module, and from there to a helper, would
/// take twenty for what every access of a user needs twice.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn mask(index: usize, size: usize) -> usize {
    let mask: usize;
    // SAFETY: Computes with registers only.
    unsafe {
        core::arch::asm!(
            "cmp {index}, {size}",
            "sbb {mask}, {mask}",
            index = in(reg) index,
            size = in(reg) size,
            mask = lateout(reg) mask,
            options(pure, nomem, nostack),
        );
    }

    mask
}

/// The same on other machines. Not inlined: other modules cannot call the C helpers of this one.
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
fn mask(index: usize, size: usize) -> usize {
    // SAFETY: Computes with its arguments only; may be called from any context.
    unsafe { crate::abstractions::bindings::vfio_rust_array_index_mask(index, size) }
}

/// Returns `index` if it is below `size`, and below 2^63 on a 64-bit machine, more than which no
/// array has. Where a processor speculates that it is when it is not, it goes on with zero.
///
/// May be called from any context.
#[inline]
pub fn checked_index(index: usize, size: usize) -> Option<usize> {
    let size = size.min(isize::MAX.unsigned_abs());
    if index >= size {
        return None;
    }

    // The mask has all bits set.
    Some(index & mask(index, size))
}

/// Returns element `index`, if there is one; a processor that speculates reads no other memory
/// than that of the slice.
///
/// May be called from any context.
#[inline]
pub fn get<T>(slice: &[T], index: usize) -> Option<&T> {
    slice.get(checked_index(index, slice.len())?)
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_nospec)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_below_the_size() {
        assert_eq!(checked_index(0, 0), None);
        assert_eq!(checked_index(0, 1), Some(0));
        assert_eq!(checked_index(5, 6), Some(5));
        assert_eq!(checked_index(6, 6), None);
        assert_eq!(checked_index(usize::MAX, 6), None);
        assert_eq!(checked_index(7, usize::MAX), Some(7));
        assert_eq!(checked_index(usize::MAX - 1, usize::MAX), None);
    }

    #[test]
    fn an_element_is_that_of_the_index() {
        assert_eq!(get(&[3, 4, 5], 1), Some(&4));
        assert_eq!(get(&[3, 4, 5], 3), None);
        assert_eq!(get::<u8>(&[], 0), None);
    }
}
