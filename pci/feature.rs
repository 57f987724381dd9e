// SPDX-License-Identifier: GPL-2.0

//! Which features PCI devices have.

use crate::{
    device::CoreDevice,
    dma_buf,
    token::Token, //
};
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
            Some(Feature::PciVfToken) => self.set_token(request),
            Some(Feature::DmaBuf) => {
                let opened = self.opened()?;
                let memory = self.memory();
                dma_buf::export_bar(
                    self.function(),
                    &opened.bars,
                    memory.exports(),
                    device,
                    request,
                    |add| memory.with_exports(add)?,
                )
            }
            _ => Err(ENOTTY),
        }
    }

    /// VFIO_DEVICE_FEATURE_PCI_VF_TOKEN. It cannot be read: it may be that of an earlier user.
    ///
    /// # Errors
    ///
    /// ENOTTY but for a physical function, EINVAL if the feature is not to be set, EFAULT, or
    /// EBUSY while virtual functions are open.
    fn set_token(&self, request: &Request) -> Result<isize> {
        let shared = self.role().own_token().ok_or(ENOTTY)?;
        if let Some(payload) = request.set(size_of::<Token>())? {
            shared.set(&payload.read()?)?;
        }

        Ok(0)
    }
}
