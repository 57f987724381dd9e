// SPDX-License-Identifier: GPL-2.0

//! Small numbers that are given out and taken back.
//!
//! `kernel::id_pool` has to be grown by its user, and its bitmap never shrinks
//! by itself.
//!
//! C header: [`include/linux/idr.h`](srctree/include/linux/idr.h)

use crate::abstractions::bindings;
use kernel::{
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

/// Numbers below a limit, each of which has one owner at a time. Finding a free
/// one does not depend on how many are taken.
#[pin_data(PinnedDrop)]
pub struct Ida {
    #[pin]
    inner: Opaque<bindings::ida>,
    last: u32,
    /// Where the search for the next one in turn begins.
    #[pin]
    turn: Mutex<u32>,
}

// SAFETY: An IDA may be used and destroyed by any thread.
unsafe impl Send for Ida {}
// SAFETY: Every function that is called takes the IDA's own lock.
unsafe impl Sync for Ida {}

impl Ida {
    /// Creates the numbers `0..=last`, none of which is taken. At most
    /// `i32::MAX` of them are ever given out.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(last: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                inner <- Opaque::ffi_init(|slot| {
                    // SAFETY: `slot` is valid for writes, and pinned.
                    unsafe { bindings::vfio_rust_ida_init(slot) }
                }),
                last,
                turn <- new_mutex!(0, "vfio_ida_turn"),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes the lowest number that is free. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: all are taken. `ENOMEM`.
    pub fn lowest(self: &Arc<Self>) -> Result<Number> {
        self.take(0, self.last)
    }

    /// Takes the number that has been free for longest, going round and round:
    /// one that was given back is not given out again before all others have
    /// had their turn. May sleep.
    ///
    /// From 1024 on `ida_alloc_range()` loses 128 bytes if memory runs out just
    /// when it stores them.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: all are taken. `ENOMEM`.
    pub fn in_turn(self: &Arc<Self>) -> Result<Number> {
        let mut turn = self.turn.lock();
        let number = match self.take(*turn, self.last) {
            Err(error) if error == ENOSPC => self.take(0, self.last),
            result => result,
        }?;
        *turn = if number.value < self.last {
            number.value + 1
        } else {
            0
        };
        Ok(number)
    }

    fn take(self: &Arc<Self>, first: u32, last: u32) -> Result<Number> {
        // SAFETY: The IDA is initialised and pinned.
        let result = unsafe {
            bindings::ida_alloc_range(self.inner.get(), first, last, bindings::GFP_KERNEL)
        };
        to_result(result)?;
        // INVARIANT: It has just been taken.
        Ok(Number {
            ida: self.clone(),
            // CAST: `to_result()` has let no negative number through.
            value: result as u32,
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Ida {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The IDA is initialised, and this is the last use: every number
        // that is taken holds a reference.
        unsafe { bindings::ida_destroy(self.inner.get()) };
    }
}

/// A number that is taken until this is dropped.
///
/// # Invariants
///
/// `value` is taken in `ida`, by this value alone.
pub struct Number {
    ida: Arc<Ida>,
    value: u32,
}

impl Number {
    /// Which one it is.
    pub fn value(&self) -> u32 {
        self.value
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: The IDA is initialised and pinned; by the type invariant the
        // number is taken.
        unsafe { bindings::ida_free(self.ida.inner.get(), self.value) };
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_ida)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_is_given_out_again_at_once() -> Result {
        let ida = Ida::new(9)?;
        let first = ida.lowest()?;
        let second = ida.lowest()?;
        assert_eq!(first.value(), 0);
        assert_eq!(second.value(), 1);
        drop(first);
        assert_eq!(ida.lowest()?.value(), 0);
        Ok(())
    }

    #[test]
    fn the_next_one_is_given_out_again_last() -> Result {
        let ida = Ida::new(9)?;
        for expected in 0..=9 {
            assert_eq!(ida.in_turn()?.value(), expected);
        }
        assert_eq!(ida.in_turn()?.value(), 0);
        Ok(())
    }

    #[test]
    fn going_round_skips_what_is_taken() -> Result {
        let ida = Ida::new(3)?;
        let taken = ida.in_turn()?;
        assert_eq!(taken.value(), 0);
        assert_eq!(ida.in_turn()?.value(), 1);
        assert_eq!(ida.in_turn()?.value(), 2);
        assert_eq!(ida.in_turn()?.value(), 3);
        assert_eq!(ida.in_turn()?.value(), 1);
        Ok(())
    }

    #[test]
    fn there_is_an_end() -> Result {
        let ida = Ida::new(2)?;
        let zero = ida.in_turn()?;
        let _one = ida.lowest()?;
        let _two = ida.in_turn()?;
        assert_eq!(ida.in_turn().err(), Some(ENOSPC));
        assert_eq!(ida.lowest().err(), Some(ENOSPC));
        drop(zero);
        assert_eq!(ida.in_turn()?.value(), 0);
        Ok(())
    }

    #[test]
    fn a_number_keeps_its_pool() -> Result {
        let number = Ida::new(0)?.in_turn()?;
        assert_eq!(number.value(), 0);
        Ok(())
    }
}
