// SPDX-License-Identifier: GPL-2.0

//! Tests that are files of their own: cases that run as KUnit in the kernel, and by `cargo test`
//! on the host.

pub(crate) mod config;
pub(crate) mod irq;
