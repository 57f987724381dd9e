// SPDX-License-Identifier: GPL-2.0

//! The pseudo filesystem: an inode, hence an address space, for every device.
//!
//! All files of a device, from its group or from its character device, map
//! through this inode. So all CPU mappings of the device's memory are found,
//! and zapped, from the device. The filesystem is mounted only while there are
//! devices.

use crate::{
    abstractions::fs::pseudo_fs::{
        AnonInode,
        PseudoFs, //
    },
    LocalModule, //
};
use kernel::{
    module::this_module,
    prelude::*, //
};

/// "VFIO", as `statfs()` would tell if anybody could ask.
const MAGIC: usize = 0x5646_494f;

static FILESYSTEM: PseudoFs<MAGIC> = PseudoFs::new(c"vfio", this_module::<LocalModule>());

/// Creates the inode of a device.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn new_inode() -> Result<AnonInode> {
    FILESYSTEM.new_inode()
}
