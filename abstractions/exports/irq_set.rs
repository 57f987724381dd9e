// SPDX-License-Identifier: GPL-2.0

//! The check of the argument of `VFIO_DEVICE_SET_IRQS`, for drivers in C.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        exports::signature::signatures, //
    },
    irq_set::request::{
        Header,
        Request, //
    }, //
};
use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*, //
};

signatures!(vfio_set_irqs_validate_and_prepare);

/// Checks the fixed part of the argument for a device with `max_irq_type` indexes, of which this
/// one has `num_irqs` interrupts. How many bytes of data follow is put at `data_size`, which may
/// be null if there must not be any.
///
/// Returns EINVAL.
///
/// # Safety
///
/// `hdr` must be valid, and `data_size` null or valid for writes.
#[no_mangle]
pub unsafe extern "C" fn vfio_set_irqs_validate_and_prepare(
    hdr: *mut bindings::vfio_irq_set,
    num_irqs: c_int,
    max_irq_type: c_int,
    data_size: *mut usize,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let set = unsafe { &*hdr };
        let header = Header {
            argsz: set.argsz,
            flags: set.flags,
            index: set.index,
            start: set.start,
            count: set.count,
        };
        // SAFETY: By this function's contract.
        let data_size = unsafe { data_size.as_mut() };
        // A negative number is none.
        let unsigned = |number| u32::try_from(number).unwrap_or(0);
        let available = |index| {
            if index < unsigned(max_irq_type) {
                unsigned(num_irqs)
            } else {
                0
            }
        };
        let request = Request::new(header, available);
        let length = request.as_ref().map_or(0, Request::data_len);
        match data_size {
            Some(data_size) => *data_size = length,
            None if length != 0 => return Err(EINVAL),
            None => (),
        }
        request?;
        Ok(0)
    })
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_exports_irq_set)]
mod tests {
    use super::*;
    use crate::abstractions::bindings::vfio_irq_set;
    use core::ptr;

    const GOOD: vfio_irq_set = vfio_irq_set {
        argsz: 28,
        flags: 0x24,
        index: 2,
        start: 1,
        count: 2,
        data: bindings::__IncompleteArrayField::new(),
    };

    /// For a device with five indexes; what it says, and the size of the data.
    fn check(mut set: vfio_irq_set, irqs: c_int) -> (c_int, usize) {
        let mut size = 77;
        // SAFETY: Both are valid.
        let rc = unsafe { vfio_set_irqs_validate_and_prepare(&mut set, irqs, 5, &mut size) };
        (rc, size)
    }

    // Row 9-7: what is refused is that of rows 6-22 to 6-25.
    #[test]
    fn what_is_good() {
        assert_eq!(check(GOOD, 3), (0, 8));
        let bytes = vfio_irq_set {
            flags: 0x22,
            ..GOOD
        };
        assert_eq!(check(bytes, 3), (0, 2));
        let none = vfio_irq_set {
            flags: 0x21,
            argsz: 20,
            ..GOOD
        };
        assert_eq!(check(none, 3), (0, 0));
        // Whether there is one action is the driver's business.
        let both = vfio_irq_set {
            flags: 0x3c,
            ..GOOD
        };
        assert_eq!(check(both, 3), (0, 8));
    }

    // Row 9-7.
    #[test]
    fn what_is_refused() {
        let einval = EINVAL.to_errno();
        for set in [
            vfio_irq_set { argsz: 19, ..GOOD },
            vfio_irq_set { argsz: 27, ..GOOD },
            vfio_irq_set { index: 5, ..GOOD },
            vfio_irq_set {
                flags: 0x64,
                ..GOOD
            },
            vfio_irq_set {
                flags: 0x20,
                ..GOOD
            },
            vfio_irq_set {
                flags: 0x23,
                ..GOOD
            },
            vfio_irq_set { start: 2, ..GOOD },
            vfio_irq_set { count: 3, ..GOOD },
            vfio_irq_set {
                start: u32::MAX,
                count: 1,
                ..GOOD
            },
            vfio_irq_set {
                start: u32::MAX,
                count: 0,
                ..GOOD
            },
        ] {
            assert_eq!(check(set, 3), (einval, 0));
        }
        assert_eq!(check(GOOD, 2).0, einval);
        assert_eq!(check(GOOD, 0).0, einval);
        assert_eq!(check(GOOD, -1).0, einval);
    }

    // Row 9-7: a driver that wants no data.
    #[test]
    fn no_room_for_data() {
        let without = |mut set: vfio_irq_set| {
            // SAFETY: The fixed part is valid.
            unsafe { vfio_set_irqs_validate_and_prepare(&mut set, 3, 5, ptr::null_mut()) }
        };
        assert_eq!(without(GOOD), EINVAL.to_errno());
        assert_eq!(
            without(vfio_irq_set {
                flags: 0x21,
                ..GOOD
            }),
            0
        );
        assert_eq!(without(vfio_irq_set { count: 0, ..GOOD }), 0);
    }
}
