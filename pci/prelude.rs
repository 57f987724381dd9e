// SPDX-License-Identifier: GPL-2.0

//! What a driver for one kind of PCI device uses, to be imported at once like `kernel::prelude`.

pub use crate::{
    binding::Binding,
    device::Options,
    device_region::{
        DeviceRegion,
        OpenDevice,
        Permissions,
        RegionType, //
    },
    driver::{
        Adapter,
        Driver,
        IdTable,
        OverrideIds, //
    },
    variant::{
        Opening,
        Variant, //
    },
};
pub use kernel::{
    device::Core,
    module::this_module,
    pci,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
