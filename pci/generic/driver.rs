// SPDX-License-Identifier: GPL-2.0

//! The driver.

use crate::{
    abstractions::parameters::vfio_pci as parameters,
    denylist,
    id_list,
    LocalModule, //
};
use kernel::{
    device::Core,
    module::this_module,
    pci,
    prelude::*,
    ThisModule, //
};
use vfio_pci_core::{
    device::Options,
    device_driver::DeviceDriver,
    driver::{
        DynamicIds,
        IdTable, //
    },
    variant::Variant, //
};

/// The VFIO driver for any PCI device.
pub(crate) struct VfioPci;

impl DeviceDriver for VfioPci {
    const NAME: &'static CStr = c"vfio-pci";

    fn module() -> &'static ThisModule {
        this_module::<LocalModule>()
    }

    fn id_table() -> IdTable {
        parameters::id_table()
    }

    fn options() -> Options {
        // The parameters can change at any time; a device keeps what it was bound with.
        Options {
            nointxmask: parameters::nointxmask(),
            disable_idle_d3: parameters::disable_idle_d3(),
            disable_vga: parameters::disable_vga(),
        }
    }

    fn variant(device: &pci::Device<Core<'_>>) -> Result<Option<KBox<dyn Variant>>> {
        #[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
        if crate::igd::IntelGraphics::is(device) {
            let graphics: KBox<dyn Variant> = KBox::new(crate::igd::IntelGraphics, GFP_KERNEL)?;
            return Ok(Some(graphics));
        }

        let _ = device;
        Ok(None)
    }

    fn check(device: &pci::Device<Core<'_>>) -> Result {
        denylist::check(device)
    }

    fn enables_virtual_functions() -> bool {
        parameters::enable_sriov()
    }

    fn registered(ids: &DynamicIds<'_>) {
        id_list::add_all(parameters::ids(), ids);
        if parameters::disable_denylist() {
            pr_warn!("device denylist disabled.\n");
        }
    }
}
