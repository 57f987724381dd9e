// SPDX-License-Identifier: GPL-2.0

//! Raw bindings: the kernel crate's, and what it lacks.
//!
//! Only the abstractions may use this module. Generated at build time from
//! `abstractions/bindings_helper.h`.

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

pub use kernel::bindings::*;
use kernel::ffi;
#[allow(unused_imports)]
use pin_init::{
    MaybeZeroable,
    Zeroable, //
};

include!(env!("VFIO_RUST_BINDINGS"));
