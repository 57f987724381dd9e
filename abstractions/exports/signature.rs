// SPDX-License-Identifier: GPL-2.0

//! That a symbol for C has the type by which C calls it.
//!
//! The kernel's `#[export]` does that for the functions of its own headers. Ours are in other
//! headers, and are exported by a file in C, which has no definition to compare.

/// Fails to compile unless each function has the type that its C header declares it with.
#[macro_export]
macro_rules! signatures {
    ($($function:ident),+ $(,)?) => {
        $(
            // The branches of a condition have the same type.
            const _: () = {
                if true {
                    $crate::abstractions::bindings::$function
                } else {
                    $function
                };
            };
        )+
    };
}

pub use signatures;
