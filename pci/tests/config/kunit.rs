// SPDX-License-Identifier: GPL-2.0

//! Runs the test cases in the kernel.

use super::cases::for_each_case;
use kernel::prelude::*;

macro_rules! suite {
    ($($module:ident { $($case:ident)* })*) => {
        #[kunit_tests(vfio_pci_config)]
        mod tests {
            use super::super::cases::{
                self,
                capabilities,
                header,
                lists,
                Outcome, //
            };
            use super::*;

            /// Logs what was wrong, which KUnit by itself would not.
            fn report(outcome: Outcome) -> Outcome {
                outcome.inspect_err(|what| pr_err!("wrong: {what}\n"))
            }

            $($(
                #[test]
                fn $case() -> Outcome {
                    report($module::$case())
                }
            )*)*
        }
    };
}

for_each_case!(suite);
