// SPDX-License-Identifier: GPL-2.0

//! Which features PCI devices have.

use crate::device::CoreDevice;
use kernel::prelude::*;
use vfio::{
    device::Device,
    device_feature::{
        Feature,
        Request, //
    }, //
};

impl CoreDevice {
    /// Probes for, reads or sets a feature.
    ///
    /// # Errors
    ///
    /// ENOTTY for one that PCI devices do not have, or that of the feature.
    pub(crate) fn answer_feature(&self, device: &Device, request: &Request) -> Result<isize> {
        match request.feature() {
            Some(Feature::LowPowerEntry) => self.enter_low_power(device, request),
            Some(Feature::LowPowerEntryWithWakeup) => {
                self.enter_low_power_with_wakeup(device, request)
            }
            Some(Feature::LowPowerExit) => self.leave_low_power(request),
            _ => Err(ENOTTY),
        }
    }
}
