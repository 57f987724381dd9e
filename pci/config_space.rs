// SPDX-License-Identifier: GPL-2.0

//! What virtual config space is made from, when a device is opened.

use crate::{
    abstractions::pci::{
        Function,
        Resource,
        NUM_BARS,
        ROM_RESOURCE, //
    },
    command::Command,
    config::{
        self,
        Cell,
        Finding,
        Space, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Virtual config space, one cell for each byte.
pub(crate) type ConfigSpace = Space<KVVec<Cell>>;

/// How the device's INTx can be used.
#[derive(Clone, Copy)]
pub(crate) struct Intx {
    /// It can be masked in the device (PCI 2.3).
    pub(crate) maskable: bool,
    /// It is broken, so the device is made to look as if it had none.
    pub(crate) broken: bool,
}

impl Intx {
    /// Finds out, and masks or unmasks it in `command`, the register of the function. With
    /// `no_masking`, the device is not relied upon to mask anything.
    pub(crate) fn probe(function: &Function, command: &Command, no_masking: bool) -> Self {
        let broken = !no_masking && has_broken_intx(function);
        let maskable = !no_masking && !broken && function.masks_intx();
        if broken {
            dev_info!(function, "Masking broken INTx support\n");
        }
        if broken || maskable {
            command.set_intx_disabled(broken);
        }

        Self { maskable, broken }
    }
}

/// Devices that can disable INTx but do not tell when it is pending. As it is under our control
/// whether they assert it, they need not have an interrupt line of their own: they are made to
/// look as if they had none.
fn has_broken_intx(function: &Function) -> bool {
    const INTEL: u16 = bindings::PCI_VENDOR_ID_INTEL as u16;

    function.vendor() == INTEL
        && matches!(
            function.device_id(),
            // XL710, X710, XXV710 and X722 of 10 to 40 Gbit/s.
            0x1572 | 0x1574 | 0x1580..=0x1581 | 0x1583..=0x158b | 0x37d0..=0x37d2
            // X550.
            | 0x1563
        )
}

/// Builds the space of a function that is being opened.
///
/// # Errors
///
/// ENOMEM, or that of reading the hardware.
pub(crate) fn build(function: &Function, intx: Intx) -> Result<ConfigSpace> {
    let cells = KVVec::from_elem(Cell::UNASSIGNED, function.config_size(), GFP_KERNEL_ACCOUNT)?;
    let mut report = |finding: Finding| {
        if finding.is_warning() {
            dev_warn!(function, "{}\n", finding);
        } else {
            dev_dbg!(function, "{}\n", finding);
        }
    };

    Space::build(cells, function, facts(function, intx), &mut report)
}

fn facts(function: &Function, intx: Intx) -> config::Facts {
    let mut bars = [None; NUM_BARS];
    for (index, bar) in bars.iter_mut().enumerate() {
        *bar = describe_bar(&function.resource(index));
    }

    config::Facts {
        is_virtfn: function.is_virtual(),
        vendor: function.vendor(),
        device: function.device_id(),
        no_command_memory: function.ignores_memory_enable(),
        intx_usable: cfg!(CONFIG_VFIO_RUST_PCI_INTX)
            && function.intx_line().is_some()
            && !intx.broken,
        no_intx: intx.broken,
        bars,
        rom: describe_rom(function),
    }
}

fn describe_bar(resource: &Resource) -> Option<config::BarKind> {
    if resource.start == 0 {
        return None;
    }

    Some(if resource.is_io() {
        config::BarKind::Io { size: resource.len }
    } else {
        config::BarKind::Memory {
            size: resource.len,
            wide: resource.is_wide(),
            prefetchable: resource.is_prefetchable(),
        }
    })
}

fn describe_rom(function: &Function) -> config::Rom {
    let resource = function.resource(ROM_RESOURCE);
    if resource.start != 0 {
        return config::Rom::Resource { size: resource.len };
    }

    match function.shadow_rom() {
        Some(rom) => config::Rom::Shadow {
            // CAST: A `usize` has 64 bits where this driver runs.
            length: rom.len() as u64,
        },
        None => config::Rom::Absent,
    }
}
