// SPDX-License-Identifier: GPL-2.0

//! What a device has while it is open.

use crate::{
    abstractions::pci::Function,
    bars::Bars,
    config_space::{
        self,
        ConfigSpace,
        Intx, //
    },
    device_region::DeviceRegions,
    variant::{
        Opening,
        Variant, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What a device has while it is open, but for virtual config space.
pub(crate) struct Opened {
    /// Can the user reset the function?
    pub(crate) reset_works: bool,
    /// Virtual pin of the interrupt line; zero for none.
    pub(crate) interrupt_pin: u8,
    /// The BARs.
    pub(crate) bars: Arc<Bars>,
    /// Sizes of AtomicOps that the root port completes, as bits of Device Capabilities 2. The
    /// device has been enabled to request them.
    pub(crate) atomics: u32,
    /// Does the user get the legacy VGA addresses?
    pub(crate) vga: bool,
    /// The regions that the driver has added.
    pub(crate) regions: DeviceRegions,
}

impl Opened {
    /// Builds virtual config space, claims and maps the BARs, and lets the driver add its part.
    /// `requester` is the function that atomic operations are requested as.
    ///
    /// # Errors
    ///
    /// ENOMEM, that of reading config space, or that of the driver.
    pub(crate) fn new(
        function: &Function,
        requester: &Function,
        intx: Intx,
        reset_works: bool,
        vga: bool,
        variant: Option<&dyn Variant>,
    ) -> Result<(Self, ConfigSpace)> {
        let mut space = config_space::build(function, intx)?;
        let bars = Arc::new(Bars::new(function), GFP_KERNEL_ACCOUNT)?;
        let mut regions = DeviceRegions::new();
        if let Some(variant) = variant {
            variant.open(&mut Opening {
                function,
                space: &mut space,
                bars: &bars,
                regions: &mut regions,
            })?;
        }
        let atomics = requester.enable_atomics_to_root();

        let opened = Self {
            reset_works,
            interrupt_pin: space.interrupt_pin(),
            bars,
            atomics,
            vga,
            regions,
        };

        Ok((opened, space))
    }
}
