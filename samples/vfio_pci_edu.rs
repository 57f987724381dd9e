// SPDX-License-Identifier: GPL-2.0

//! A VFIO driver for one kind of PCI device, the `edu` device of QEMU.
//!
//! It gives users all that `vfio-pci` gives them, and a region of its own: the
//! page of the registers, through which the factorial unit never looks busy. It
//! migrates the device. It binds to such a device only if `driver_override` says so.

#![deny(unsafe_code)]

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use vfio::abstractions::mm::pfnmap::{
    Fault,
    FaultResult, //
};
use vfio_pci_core::{
    device_region::Width,
    migration::VariantMigration,
    prelude::*, //
};

#[path = "vfio_pci_edu_migration.rs"]
mod migration;

use migration::{
    Migration,
    SharedMigration, //
};

/// What QEMU calls itself on the PCI bus.
const VENDOR: u16 = 0x1234;
const DEVICE: u16 = 0x11e8;

/// The BAR of the registers, the factorial unit and its state.
const BAR: usize = 0;
const FACTORIAL: usize = 0x08;
const STATUS: usize = 0x20;
const STATUS_COMPUTING: u64 = 1 << 0;

/// How often, and how long each time, to wait for the unit: it needs
/// milliseconds, on a busy machine much more.
const POLLS: usize = 10_000;
const POLL_PERIOD: Delta = Delta::from_micros(100);

/// The page of the registers, which is accessed in aligned words of 32 bits.
struct Registers;

impl Registers {
    /// Splits an access into the offsets of its words.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not aligned, or less than a word.
    fn words(offset: u64, count: usize) -> Result<impl Iterator<Item = usize>> {
        let first = usize::try_from(offset)?;
        let size = Width::Dword.bytes();
        if first % size != 0 || count < size {
            return Err(EINVAL);
        }
        Ok((first..).step_by(size).take(count / size))
    }
}

/// Reads a register of 32 bits.
///
/// # Errors
///
/// `EIO`: memory is disabled.
fn read(device: &OpenDevice<'_>, register: usize) -> Result<u32> {
    let value = device.read_register(BAR, register, Width::Dword)?;
    // CAST: The register has 32 bits.
    Ok(value as u32)
}

/// Waits until the factorial unit has its result.
///
/// # Errors
///
/// `ETIMEDOUT`: it does not get there. `EIO`: memory is disabled.
fn wait(device: &OpenDevice<'_>) -> Result {
    for _ in 0..POLLS {
        if device.read_register(BAR, STATUS, Width::Dword)? & STATUS_COMPUTING == 0 {
            return Ok(());
        }
        fsleep(POLL_PERIOD);
    }
    Err(ETIMEDOUT)
}

impl DeviceRegion for Registers {
    fn region_type(&self) -> RegionType {
        RegionType::of_vendor(VENDOR, 1)
    }

    fn size(&self) -> u64 {
        PAGE_SIZE as u64
    }

    fn permissions(&self) -> Permissions {
        Permissions {
            read: true,
            write: true,
            map: true,
        }
    }

    fn read(
        &self,
        device: &OpenDevice<'_>,
        offset: u64,
        count: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let mut done = 0;
        for offset in Self::words(offset, count)? {
            buffer.write(&read(device, offset)?)?;
            done += Width::Dword.bytes();
        }
        Ok(done)
    }

    fn write(
        &self,
        device: &OpenDevice<'_>,
        offset: u64,
        count: usize,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let mut done = 0;
        for offset in Self::words(offset, count)? {
            let value: u32 = buffer.read()?;
            device.write_register(BAR, offset, Width::Dword, value.into())?;
            if offset == FACTORIAL {
                wait(device)?;
            }
            done += Width::Dword.bytes();
        }
        Ok(done)
    }

    fn fault(&self, device: &OpenDevice<'_>, first_page: u64, fault: &Fault<'_>) -> FaultResult {
        match device.bar_frames(BAR, first_page) {
            Some(frames) => fault.insert_frames(frames, 0),
            None => FaultResult::SIGBUS,
        }
    }
}

/// What the driver adds to a device.
struct Edu {
    migration: SharedMigration,
}

impl Variant for Edu {
    fn open(&self, device: &mut Opening<'_>) -> Result {
        device.add_region(KBox::new(Registers, GFP_KERNEL)?)
    }

    fn forget(&self) {
        self.migration.0.forget();
    }

    fn migration(&self) -> Option<&dyn VariantMigration> {
        Some(&self.migration)
    }
}

/// The driver.
struct VfioPciEdu;

static IDS: OverrideIds<1> = OverrideIds::new([(VENDOR, DEVICE)]);

impl Driver for VfioPciEdu {
    type Data = Binding;

    const NAME: &'static CStr = c"vfio-pci-edu";

    fn id_table() -> IdTable {
        IdTable::of(&IDS)
    }

    fn probe(device: &pci::Device<Core<'_>>) -> Result<Binding> {
        let variant = KBox::new(
            Edu {
                migration: SharedMigration(Migration::new()?),
            },
            GFP_KERNEL,
        )?;
        Binding::new(
            device,
            this_module::<LocalModule>(),
            Options::default(),
            Some(variant),
        )
    }
}

kernel::module_driver!(<T>, Adapter<T>, {
    type: VfioPciEdu,
    name: "vfio_pci_edu",
    authors: ["The VFIO in Rust developers"],
    description: "Sample of a VFIO driver for one kind of PCI device",
    license: "GPL v2",
    alias: ["vfio_pci:v00001234d000011E8sv*sd*bc*sc*i*"],
});
