// SPDX-License-Identifier: GPL-2.0

//! The cases of config space that the kernel has as KUnit tests.

use crate::pci::tests::config::cases::{
    self,
    capabilities,
    for_each_case,
    header,
    lists,
    Outcome, //
};

macro_rules! tests {
    ($($module:ident { $($case:ident)* })*) => {
        $($(
            #[test]
            fn $case() -> Outcome {
                $module::$case()
            }
        )*)*
    };
}

for_each_case!(tests);
