// SPDX-License-Identifier: GPL-2.0

//! Migration of devices whose driver knows how to read and write their state.

use crate::device_region::OpenDevice;
use kernel::prelude::*;
use vfio::device::migration::{
    state::{
        State,
        Support, //
    },
    Stream, //
};

/// What a driver for particular devices does to migrate one. As
/// [`Migration`](vfio::device::migration::Migration), with the registers of the device.
///
/// Registers can be accessed only while the user has memory enabled. Nothing is locked here.
pub trait VariantMigration: Send + Sync {
    /// What the device can do of what is optional. Does not change.
    fn support(&self) -> Support;

    /// Where in its migration the device is.
    ///
    /// # Errors
    ///
    /// What keeps the driver from finding out.
    fn state(&self) -> Result<State>;

    /// Brings it to a state that it has, by the steps that [`State::next`] tells, and returns a
    /// stream if that begins a transfer. May sleep.
    ///
    /// # Errors
    ///
    /// EINVAL if there is no way, or what was written to a stream is not a state of this device.
    /// Otherwise what keeps the device from a step; it may have gone a part of the way then.
    fn set_state(&self, device: &OpenDevice<'_>, to: State) -> Result<Option<Stream>>;

    /// About how many bytes it takes to save it once it is stopped, in any state.
    ///
    /// # Errors
    ///
    /// What keeps the driver from finding out.
    fn data_size(&self) -> Result<u64>;
}
