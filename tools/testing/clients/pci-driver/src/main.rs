// SPDX-License-Identifier: GPL-2.0

//! A client that goes by the crate `pci-driver`, and none of whose code knows VFIO: an
//! `edu` device, which copies memory and interrupts, and an `igb`, which can be reset.
//! Its arguments are the addresses of the two, which vfio-pci has.

mod edu;
mod memory;
mod tap;

use std::io;
use std::process::ExitCode;

use anyhow::{
    ensure,
    Context,
    Result, //
};
use pci_driver::backends::vfio::VfioPciDevice;
use pci_driver::device::PciDevice;
use pci_driver::regions::PciRegion;

use crate::edu::Edu;
use crate::memory::Page;
use crate::tap::Tap;

const SOURCE: u32 = 0x0100_0000;
const DESTINATION: u32 = 0x0200_0000;
const IGB_ADDRESS: u64 = 0x5400;
const EBUSY: i32 = 16;

fn open(address: &str) -> Result<VfioPciDevice> {
    Ok(VfioPciDevice::open(format!(
        "/sys/bus/pci/devices/{address}"
    ))?)
}

fn is(device: &dyn PciDevice, vendor: u16, id: u16) -> Result<()> {
    let config = device.config();
    let found = (config.vendor_id().read()?, config.device_id().read()?);
    ensure!(found == (vendor, id), "it is {found:x?}");
    let names: Vec<_> = config.capabilities()?.iter().collect();
    ensure!(!names.is_empty(), "it has no capabilities");
    Ok(())
}

fn limits(device: &dyn PciDevice) -> Result<()> {
    let iommu = device.iommu();
    ensure!(
        iommu.alignment() == 4096,
        "pages have {} bytes",
        iommu.alignment()
    );
    ensure!(
        iommu.max_num_mappings() == 65535,
        "{} mappings",
        iommu.max_num_mappings()
    );
    let ranges = iommu.valid_iova_ranges();
    let has = |iova: u32| ranges.iter().any(|range| range.contains(&iova.into()));
    ensure!(
        has(SOURCE) && has(DESTINATION),
        "the ranges are {ranges:x?}"
    );
    // Interrupts have their own.
    ensure!(!has(0xfee0_0000), "0xfee00000 is in {ranges:x?}");
    Ok(())
}

fn dma(device: &dyn PciDevice, edu: &Edu) -> Result<()> {
    let (from, to) = (Page::new()?, Page::new()?);
    from.fill(0x5a);
    let iommu = device.iommu();
    from.map(&iommu, SOURCE.into())?;
    to.map(&iommu, DESTINATION.into())?;
    device.config().command().bus_master_enable().write(true)?;
    edu.copy(SOURCE, DESTINATION)?;
    let same = from.same(&to);
    ensure!(same == memory::SIZE, "{same} bytes are right");

    iommu.unmap(DESTINATION.into(), memory::SIZE)?;
    from.fill(0xa5);
    let before = from.same(&to);
    edu.copy(SOURCE, DESTINATION)?;
    ensure!(
        from.same(&to) == before,
        "the device wrote to memory that was unmapped"
    );
    iommu.unmap(SOURCE.into(), memory::SIZE)?;
    Ok(())
}

fn refused(address: &str) -> Result<()> {
    let error = VfioPciDevice::open(format!("/sys/bus/pci/devices/{address}"))
        .err()
        .context("it can be opened twice")?;
    ensure!(error.raw_os_error() == Some(EBUSY), "{error}");
    println!("# the second one: {error}");
    Ok(())
}

/// A register that forgets what was written to it: half of the address on the network.
fn reset(device: &dyn PciDevice) -> Result<()> {
    let bar = device.bar(0).context("there is no BAR 0")?;
    let before = bar.read_le_u32(IGB_ADDRESS)?;
    bar.write_le_u32(IGB_ADDRESS, !before)?;
    ensure!(
        bar.read_le_u32(IGB_ADDRESS)? == !before,
        "the register does not change"
    );
    device.reset()?;
    let after = bar.read_le_u32(IGB_ADDRESS)?;
    ensure!(after == before, "{after:#x} is left, not {before:#x}");
    Ok(())
}

fn drive_edu(tap: &mut Tap, address: &str) {
    let Some(device) = tap.test("edu opens", open(address)) else {
        return;
    };
    tap.test("it is an edu", is(&device, 0x1234, 0x11e8));
    tap.test("what the IOMMU can do", limits(&device));
    tap.test("nobody else can open it", refused(address));
    let Some(edu) = tap.test("its registers are mapped", Edu::new(&device)) else {
        return;
    };
    tap.test("they answer", edu.answers());
    tap.test("DMA, to where it is mapped only", dma(&device, &edu));
    tap.test("an interrupt by MSI", edu.interrupt(&device));
    tap.test("and another one", edu.interrupt(&device));
}

fn drive_igb(tap: &mut Tap, address: &str) {
    let Some(device) = tap.test("igb opens", open(address)) else {
        return;
    };
    tap.test("it is an igb", is(&device, 0x8086, 0x10c9));
    let vectors = device.interrupts().msi_x().max();
    let enough = if vectors == 10 {
        Ok(())
    } else {
        Err(io::Error::other(format!("it has {vectors} vectors")).into())
    };
    tap.test("it has ten vectors of MSI-X", enough);
    tap.test("a reset", reset(&device));
    tap.test("and another one", reset(&device));
}

fn main() -> ExitCode {
    let mut tap = Tap::default();
    let mut arguments = std::env::args().skip(1);
    let (Some(edu), Some(igb)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: pci-driver-client EDU IGB");
        return ExitCode::from(2);
    };
    drive_edu(&mut tap, &edu);
    drive_igb(&mut tap, &igb);
    tap.test("edu opens again after that", open(&edu));
    tap.end()
}
