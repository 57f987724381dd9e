// SPDX-License-Identifier: GPL-2.0

//! Module parameters and device table of `vfio-pci`.
//!
//! C file: `pci/vfio_pci_module.c`

use kernel::prelude::*;
use vfio::abstractions::bindings;
use vfio_pci_core::driver::IdTable;

/// Returns the table that matches every device whose `driver_override` names the driver.
pub(crate) fn id_table() -> IdTable {
    // SAFETY: The table is static and ends with an empty entry.
    unsafe { IdTable::from_raw(bindings::vfio_rust_pci_id_table()) }
}

/// Returns parameter `ids`.
pub(crate) fn ids() -> &'static CStr {
    // SAFETY: The parameter is a static string, and it is not in sysfs, so it does not change
    // once the module is being initialised.
    unsafe { CStr::from_char_ptr(bindings::vfio_rust_pci_param_ids()) }
}

/// Returns parameter `nointxmask`.
pub(crate) fn nointxmask() -> bool {
    // SAFETY: No requirement.
    unsafe { bindings::vfio_rust_pci_param_nointxmask() }
}

/// Returns parameter `disable_idle_d3`.
pub(crate) fn disable_idle_d3() -> bool {
    // SAFETY: No requirement.
    unsafe { bindings::vfio_rust_pci_param_disable_idle_d3() }
}

/// Returns parameter `disable_vga`.
pub(crate) fn disable_vga() -> bool {
    // SAFETY: No requirement.
    unsafe { bindings::vfio_rust_pci_param_disable_vga() }
}

/// Returns parameter `enable_sriov`.
pub(crate) fn enable_sriov() -> bool {
    // SAFETY: No requirement.
    unsafe { bindings::vfio_rust_pci_param_enable_sriov() }
}

/// Returns parameter `disable_denylist`.
pub(crate) fn disable_denylist() -> bool {
    // SAFETY: No requirement.
    unsafe { bindings::vfio_rust_pci_param_disable_denylist() }
}
