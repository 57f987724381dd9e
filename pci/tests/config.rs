// SPDX-License-Identifier: GPL-2.0

//! Tests of virtual config space.

pub(crate) mod cases;
pub(crate) mod fake;
#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
mod kunit;

// What the files below test.
use super::super::config::*;
