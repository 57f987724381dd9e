// SPDX-License-Identifier: GPL-2.0

//! Tests of requests for interrupts.

pub(crate) mod cases;
#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
mod kunit;

// What the files below test.
use super::super::irq::request::*;
