// SPDX-License-Identifier: GPL-2.0

//! The way from one state of migration to another, for drivers in C.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        exports::signature::signatures, //
    },
    device::migration::state::{
        State,
        Support, //
    }, //
};
use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*,
    warn_on, //
};

signatures!(vfio_mig_get_next_state);

/// Puts the first step of a device from `cur_fsm` to `new_fsm` at `next_fsm`.
///
/// Returns EINVAL if there is no way, or if the device does not have one of the states.
///
/// # Safety
///
/// `device` must be valid, and what it can do of migration not change meanwhile. `next_fsm` must
/// be valid for writes.
#[no_mangle]
pub unsafe extern "C" fn vfio_mig_get_next_state(
    device: *mut bindings::vfio_device,
    cur_fsm: bindings::vfio_device_mig_state,
    new_fsm: bindings::vfio_device_mig_state,
    next_fsm: *mut bindings::vfio_device_mig_state,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let flags = unsafe { (*device).migration_flags };
        let support = Support::from_flags(u64::from(flags));
        let known = |number| {
            let state = State::from_number(number).filter(|state| *state != State::Error)?;
            support.filter(|support| support.has(state))?;
            Some(state)
        };
        let now = known(cur_fsm);
        // It is the driver that knows in which state the device is.
        if warn_on!(now.is_none()) {
            return Err(EINVAL);
        }
        let (now, support) = now.zip(support).ok_or(EINVAL)?;
        let then = known(new_fsm).ok_or(EINVAL)?;
        let next = now.next(then, support);
        let number = next.unwrap_or(State::Error).number();
        // SAFETY: By this function's contract.
        unsafe { next_fsm.write(number) };
        next.ok_or(EINVAL)?;
        Ok(0)
    })
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_exports_migration)]
mod tests {
    use super::*;
    use crate::abstractions::bindings::{
        vfio_device,
        vfio_device_mig_state, //
    };
    use kernel::alloc::flags::GFP_KERNEL;

    /// The answer to a driver whose device has `flags`.
    fn step(flags: u32, now: u32, then: u32) -> Result<(c_int, vfio_device_mig_state)> {
        let mut device = KBox::new(vfio_device::default(), GFP_KERNEL)?;
        device.migration_flags = flags;
        let mut next = 77;
        // SAFETY: Both are valid.
        let rc = unsafe { vfio_mig_get_next_state(&mut *device, now, then, &mut next) };
        Ok((rc, next))
    }

    // Row 9-6: all pairs of a device that can do everything, as the states say them.
    #[test]
    fn steps_are_those_of_the_states() -> Result {
        for flags in [1, 3, 5, 7] {
            let support = Support::from_flags(u64::from(flags)).ok_or(EINVAL)?;
            for now in State::ALL.into_iter().filter(|now| support.has(*now)) {
                for then in State::ALL {
                    if now == State::Error {
                        continue;
                    }
                    let (rc, next) = step(flags, now.number(), then.number())?;
                    match now.next(then, support) {
                        Some(expected) => assert_eq!((rc, next), (0, expected.number())),
                        None => assert_eq!(rc, EINVAL.to_errno()),
                    }
                }
            }
        }
        Ok(())
    }

    // Row 9-6.
    #[test]
    fn what_is_no_state_is_refused() -> Result {
        let einval = EINVAL.to_errno();
        for then in [0, 8, u32::MAX] {
            assert_eq!(step(7, State::Running.number(), then)?.0, einval);
        }
        // From the end of saving back to a device that runs.
        let (rc, next) = step(5, State::StopCopy.number(), State::PreCopy.number())?;
        assert_eq!((rc, next), (einval, State::Error.number()));
        Ok(())
    }
}
