// SPDX-License-Identifier: GPL-2.0

//! What a device has while it is open.

use crate::{
    abstractions::pci::{
        Function,
        Resource,
        NUM_BARS,
        ROM_RESOURCE, //
    },
    bars::Bars,
    command::Command,
    config::{
        self,
        Cell,
        Finding,
        Space, //
    },
    device_region::DeviceRegions,
    variant::{
        Opening,
        Variant, //
    }, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc, //
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
        let mut space = build_config(function, intx)?;
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

fn build_config(function: &Function, intx: Intx) -> Result<ConfigSpace> {
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

fn describe_bar(resource: &Resource) -> Option<config::Bar> {
    if resource.start == 0 {
        return None;
    }

    Some(if resource.is_io() {
        config::Bar::Io { size: resource.len }
    } else {
        config::Bar::Memory {
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
