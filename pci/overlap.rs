// SPDX-License-Identifier: GPL-2.0

//! What a transfer and a register have in common, for drivers that emulate the register.

/// Bytes of a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Where they start.
    pub(crate) start: i64,
    /// How many there are.
    pub(crate) len: usize,
}

/// What two spans have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// Where it starts in the first one.
    pub(crate) in_first: usize,
    /// Where it starts in the second one.
    pub(crate) in_second: usize,
    /// How many bytes it has.
    pub(crate) len: usize,
}

impl Span {
    /// How far behind the start of `other` this starts; zero if it does not.
    fn lag(self, other: Self) -> Option<usize> {
        let lag = i128::from(self.start) - i128::from(other.start);

        usize::try_from(lag.max(0)).ok()
    }

    /// What this and `other` have in common, if that is anything.
    pub(crate) fn overlap(self, other: Self) -> Option<Overlap> {
        let in_first = other.lag(self)?;
        let in_second = self.lag(other)?;
        let rest = self.len.checked_sub(in_first)?;
        let len = rest.min(other.len.checked_sub(in_second)?);

        (len != 0).then_some(Overlap {
            in_first,
            in_second,
            len,
        })
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_overlap)]
mod tests {
    use super::*;

    fn overlap(first: (i64, usize), second: (i64, usize)) -> Option<(usize, usize, usize)> {
        let span = |(start, len)| Span { start, len };

        span(first)
            .overlap(span(second))
            .map(|found| (found.in_first, found.in_second, found.len))
    }

    #[test]
    fn a_register_can_be_in_a_transfer_and_a_transfer_in_a_register() {
        assert_eq!(overlap((0, 64), (16, 4)), Some((16, 0, 4)));
        assert_eq!(overlap((18, 1), (16, 4)), Some((0, 2, 1)));
        assert_eq!(overlap((16, 4), (16, 4)), Some((0, 0, 4)));
    }

    #[test]
    fn either_can_end_first() {
        assert_eq!(overlap((14, 4), (16, 4)), Some((2, 0, 2)));
        assert_eq!(overlap((18, 4), (16, 4)), Some((0, 2, 2)));
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        assert_eq!(overlap((12, 4), (16, 4)), None);
        assert_eq!(overlap((20, 4), (16, 4)), None);
        assert_eq!(overlap((16, 0), (16, 4)), None);
        assert_eq!(overlap((18, 4), (16, 0)), None);
    }

    /// Users choose position and length.
    #[test]
    fn nothing_wraps() {
        assert_eq!(overlap((i64::MAX, usize::MAX), (16, 4)), None);
        assert_eq!(overlap((i64::MIN, 1 << 63), (16, 4)), None);
        assert_eq!(overlap((16, 4), (i64::MAX, 4)), None);
        assert_eq!(
            overlap((0, usize::MAX), (i64::MAX, 4)),
            Some((i64::MAX as usize, 0, 4))
        );
        assert_eq!(
            overlap((i64::MIN, usize::MAX), (i64::MIN, 1)),
            Some((0, 0, 1))
        );
        assert_eq!(
            overlap((i64::MIN, usize::MAX), (0, 4)),
            Some((1 << 63, 0, 4))
        );
    }
}
