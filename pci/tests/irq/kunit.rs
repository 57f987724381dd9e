// SPDX-License-Identifier: GPL-2.0

//! Runs the test cases in the kernel.

use super::cases::for_each_case;
use kernel::macros::kunit_tests;

macro_rules! suite {
    ($($case:ident)*) => {
        #[kunit_tests(vfio_pci_irq)]
        mod tests {
            use super::super::cases;

            $(
                #[test]
                fn $case() -> cases::Outcome {
                    cases::$case()
                }
            )*
        }
    };
}

for_each_case!(suite);
