// SPDX-License-Identifier: GPL-2.0

//! The cases that run in the kernel too.

use crate::pci::tests::irq::cases::{
    self,
    for_each_case, //
};

macro_rules! tests {
    ($($case:ident)*) => {
        $(
            #[test]
            fn $case() -> cases::Outcome {
                cases::$case()
            }
        )*
    };
}

for_each_case!(tests);
