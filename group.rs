// SPDX-License-Identifier: GPL-2.0

//! Groups as users see them: `/dev/vfio/N`, and the devices behind it.
//!
//! Where the DMA of a group's devices goes, and who has them, is
//! [below](crate::container::group) devices.

pub(crate) mod devices;
pub(crate) mod file;
pub(crate) mod node;
