// SPDX-License-Identifier: GPL-2.0

//! Runs the test cases in the kernel.

use kernel::macros::kunit_tests;

#[kunit_tests(vfio_pci_irq)]
mod tests {
    use super::super::request::cases;

    #[test]
    fn ranges() {
        assert_eq!(cases::ranges(), Ok(()));
    }

    #[test]
    fn flags() {
        assert_eq!(cases::flags(), Ok(()));
    }

    #[test]
    fn sizes() {
        assert_eq!(cases::sizes(), Ok(()));
    }

    #[test]
    fn actions() {
        assert_eq!(cases::actions(), Ok(()));
    }

    #[test]
    fn operands() {
        assert_eq!(cases::operands(), Ok(()));
    }
}
