// SPDX-License-Identifier: GPL-2.0

//! The driver.

use crate::{
    abstractions::vfio_pci_module as parameters,
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
        ChannelState,
        Driver,
        DynamicIds,
        IdTable, //
    },
    variant::Variant, //
};

/// What a device gets that others do not.
///
/// # Errors
///
/// ENOMEM.
fn variant(device: &pci::Device) -> Result<Option<KBox<dyn Variant>>> {
    #[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
    if crate::igd::IntelGraphics::is(device) {
        let graphics: KBox<dyn Variant> = KBox::new(crate::igd::IntelGraphics, GFP_KERNEL)?;
        return Ok(Some(graphics));
    }

    let _ = device;
    Ok(None)
}

/// The VFIO driver for any PCI device.
pub(crate) struct VfioPci;

impl Driver for VfioPci {
    type Data = Binding;

    const NAME: &'static CStr = c"vfio-pci";

    fn id_table() -> IdTable {
        parameters::id_table()
    }

    fn prepare(device: &pci::Device<Core<'_>>) -> impl PinInit<Binding, Error> {
        // The parameters can change at any time; a device keeps what it was bound with.
        let options = Options {
            nointxmask: parameters::nointxmask(),
            disable_idle_d3: parameters::disable_idle_d3(),
            disable_vga: parameters::disable_vga(),
        };

        pin_init::pin_init_scope(move || {
            Ok(Binding::with_variant(device, options, variant(device)?))
        })
    }

    fn bind(device: &pci::Device<Core<'_>>, data: Pin<&Binding>) -> Result {
        denylist::check(device)?;

        data.start(device, this_module::<LocalModule>())
    }

    fn unbind(_device: &pci::Device<Core<'_>>, data: Pin<&Binding>) {
        data.stop();
    }

    fn runtime_suspend(data: Pin<&Binding>) {
        data.suspend();
    }

    fn runtime_resume(data: Pin<&Binding>) {
        data.resume();
    }

    fn reset_prepare(data: Pin<&Binding>) {
        data.reset_prepare();
    }

    fn reset_done(data: Pin<&Binding>) {
        data.reset_done();
    }

    fn error_detected(data: Pin<&Binding>, state: ChannelState) {
        data.error_detected(state);
    }

    fn link_reset(data: Pin<&Binding>) {
        data.link_reset();
    }

    fn error_recovered(data: Pin<&Binding>) {
        data.error_recovered();
    }

    fn configure_virtual_functions(
        device: &pci::Device<Core<'_>>,
        data: Pin<&Binding>,
        count: u32,
    ) -> Result<u32> {
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
