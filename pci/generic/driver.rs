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
    prelude::*, //
};
use vfio_pci_core::{
    binding::Binding,
    device::Options,
    driver::{
        Driver,
        DynamicIds,
        IdTable, //
    }, //
};

/// The VFIO driver for any PCI device.
pub(crate) struct VfioPci;

impl Driver for VfioPci {
    type Data = Binding;

    const NAME: &'static CStr = c"vfio-pci";

    fn id_table() -> IdTable {
        parameters::id_table()
    }

    fn probe(device: &pci::Device<Core<'_>>) -> Result<Binding> {
        denylist::check(device)?;
        // The parameters can change at any time; a device keeps what it was bound with.
        let options = Options {
            nointxmask: parameters::nointxmask(),
            disable_idle_d3: parameters::disable_idle_d3(),
            disable_vga: parameters::disable_vga(),
        };
        let module = this_module::<LocalModule>();
        #[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
        if crate::igd::IntelGraphics::is(device) {
            let graphics = KBox::new(crate::igd::IntelGraphics, GFP_KERNEL)?;
            return Binding::new(device, module, options, Some(graphics));
        }

        Binding::new(device, module, options, None)
    }

    fn sriov_configure(device: &pci::Device<Core<'_>>, data: &Binding, count: u32) -> Result<u32> {
        if !parameters::enable_sriov() {
            return Err(ENOENT);
        }

        data.configure_virtual_functions(device, count)
    }

    fn registered(ids: &DynamicIds<'_>) {
        id_list::add_all(parameters::ids(), ids);
        if parameters::disable_denylist() {
            pr_warn!("device denylist disabled.\n");
        }
    }
}
