// SPDX-License-Identifier: GPL-2.0

//! What the demo shows, in order.

use std::time::Duration;

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::bar::Bar;
use crate::container::Container;
use crate::device::{
    Device,
    IrqKind, //
};
use crate::dma::{
    compare,
    pattern,
    Memory,
    PAGE, //
};
use crate::edu::{
    self,
    Direction,
    Edu, //
};
use crate::fault_log::{
    self,
    FaultLog, //
};
use crate::igb::{
    self,
    Igb, //
};
use crate::interrupt::Interrupt;
use crate::nvme;
use crate::options::Devices;
use crate::pci::{
    Address,
    Binding,
    Identity, //
};
use crate::process::{
    locked_memory,
    page_faults,
    Child,
    Usage, //
};
use crate::report::{
    size,
    Report, //
};

/// I/O virtual addresses. The `edu` device can only reach the lowest 256 MiB.
const SOURCE_IOVA: u64 = 0x100_0000;
const TARGET_IOVA: u64 = 0x200_0000;
const CANARY_IOVA: u64 = 0x300_0000;
const QUEUE_IOVA: u64 = 0x400_0000;

/// How often to repeat a transfer that the IOMMU stops. The kernel logs a few faults every five
/// seconds and drops the rest, so one that happens right after others goes unseen.
const TRANSFERS_FOR_FAULT: usize = 4;

/// The second device.
#[derive(Clone, Copy)]
enum Other {
    Nvme,
    Igb,
}

impl Other {
    fn recognize(identity: &Identity) -> Option<Self> {
        if nvme::is_nvme(identity) {
            Some(Self::Nvme)
        } else if igb::is_igb(identity) {
            Some(Self::Igb)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nvme => "nvme",
            Self::Igb => "igb",
        }
    }
}

/// Runs all steps; returns how many there were.
///
/// # Errors
///
/// Fails with the first step that does.
pub fn run(devices: &Devices) -> Result<usize> {
    let edu = devices.edu.identity()?;
    ensure!(
        edu::is_edu(&edu),
        "{} is {edu}, not an edu device (1234:11e8)",
        devices.edu
    );
    let identity = devices.other.identity()?;
    let Some(other) = Other::recognize(&identity) else {
        bail!(
            "{} is {identity}, neither an NVMe controller nor an igb (8086:10c9)",
            devices.other
        );
    };

    let mut report = Report::default();
    let bindings = [
        bind(&mut report, "edu", devices.edu, &edu)?,
        bind(&mut report, other.name(), devices.other, &identity)?,
    ];
    let before = Usage::now()?;
    drive(&mut report, devices, other)?;
    show_closed(&mut report, &before)?;
    show_restored(&mut report, bindings)?;

    Ok(report.steps())
}

fn bind(report: &mut Report, name: &str, address: Address, identity: &Identity) -> Result<Binding> {
    report.step("bind", || {
        let group = address.group()?;
        let binding = Binding::new(address)?;
        let line = format!(
            "{name} {address} ({identity}, IOMMU group {group}): {} -> vfio-pci",
            binding.before()
        );

        Ok((binding, line))
    })
}

/// The steps that hold the devices. Whatever they open is closed when this returns, in the order
/// that the kernel wants: mappings, devices, groups, container.
fn drive(report: &mut Report, devices: &Devices, other: Other) -> Result<()> {
    let container = report.step("container", || {
        let container = Container::open()?;

        Ok((container, "/dev/vfio/vfio: version 0, type1 v2".to_string()))
    })?;
    let edu_device = open_device(report, &container, "edu", devices.edu)?;
    let other_device = open_device(report, &container, other.name(), devices.other)?;
    show_iommu(report, &container)?;
    show_regions(report, &edu_device, "edu")?;
    show_regions(report, &other_device, other.name())?;

    drive_edu(report, &container, &edu_device)?;
    match other {
        Other::Nvme => drive_nvme(report, &container, &other_device),
        Other::Igb => drive_igb(report, &other_device),
    }
}

fn open_device(
    report: &mut Report,
    container: &Container,
    name: &str,
    address: Address,
) -> Result<Device> {
    report.step("group, device", || {
        let group = address.group()?;
        let device = container.open_device(address)?;
        let [intx, msi, msix] = device.vectors();
        let line = format!(
            "/dev/vfio/{group} in the container; {name} opened: \
             {intx} INTx, {msi} MSI, {msix} MSI-X vectors"
        );

        Ok((device, line))
    })
}

fn show_iommu(report: &mut Report, container: &Container) -> Result<()> {
    report.show("IOMMU", || {
        let info = container.iommu_info()?;
        for iova in [SOURCE_IOVA, TARGET_IOVA, CANARY_IOVA, QUEUE_IOVA] {
            info.check(iova, u64::try_from(4 * PAGE)?)?;
        }

        Ok(info.describe())
    })
}

fn show_regions(report: &mut Report, device: &Device, name: &str) -> Result<()> {
    let regions = device.regions();

    report.show("regions", || {
        ensure!(!regions.is_empty(), "{name} has no region");
        Ok(format!("{name} has {}:", regions.len()))
    })?;
    for region in &regions {
        report.detail(&region.describe())?;
    }
    Ok(())
}

fn drive_edu(report: &mut Report, container: &Container, device: &Device) -> Result<()> {
    let bar = map_bar(report, device, "edu", edu::BAR)?;
    let edu = Edu::new(&bar);

    report.show("identification", || identify_edu(device, &edu))?;
    report.show("bus master", || enable_master(device))?;
    report.show("DMA", || copy_both_ways(container, &edu))?;
    show_stopped_dma(report, container, &edu)?;
    report.show("MSI", || interrupt_edu(device, &edu))?;
    switch_memory(report, device, &bar, &edu)
}

/// Maps a BAR and counts the page faults that touching all of it takes.
fn map_bar(report: &mut Report, device: &Device, name: &str, index: u32) -> Result<Bar> {
    let bar = report.step("mmap", || {
        let bar = device.map_bar(index)?;
        let line = format!(
            "BAR{index} of {name}, {} at {:#x}",
            size(u64::try_from(bar.len())?),
            bar.address(0)
        );

        Ok((bar, line))
    })?;

    report.show("page faults", || count_page_faults(&bar))?;
    Ok(bar)
}

/// Touches every page of the BAR twice. What was mapped by the first touch must not fault again.
fn count_page_faults(bar: &Bar) -> Result<String> {
    let touch = || -> Result<u64> {
        let before = page_faults()?;
        for offset in (0..bar.len()).step_by(PAGE) {
            bar.read32(offset)?;
        }
        Ok(page_faults()?.saturating_sub(before))
    };
    let (first, second) = (touch()?, touch()?);
    let pages = u64::try_from(bar.len() / PAGE)?;

    ensure!(
        first != 0 && first <= pages,
        "touching {pages} pages took {first} page faults"
    );
    ensure!(
        second == 0,
        "touching {pages} pages took {first} page faults, and {second} the second time"
    );
    let each = u64::try_from(bar.len())?.checked_div(first).unwrap_or(0);
    Ok(format!(
        "touching {pages} pages took {first} page faults ({} each), touching them again none",
        size(each)
    ))
}

fn identify_edu(device: &Device, edu: &Edu<'_>) -> Result<String> {
    let mapped = edu.identification()?;
    let read = device
        .read_register(edu::BAR, u64::try_from(edu::IDENTIFICATION)?)
        .context("read of the identification register")?;
    ensure!(
        read == mapped,
        "the identification register is {mapped:#010x} when mapped and {read:#010x} when read"
    );
    let written = 0x1234_5678;
    let answer = edu.check_liveness(written)?;

    Ok(format!(
        "register {mapped:#010x}, mapped and by read(2); liveness {written:#x} -> {answer:#x}"
    ))
}

fn enable_master(device: &Device) -> Result<String> {
    let before = device.command()?;
    let after = device.enable_master()?;

    Ok(format!(
        "command register of {} {before:#06x} -> {after:#06x}",
        device.address()
    ))
}

/// Copies a pattern from memory into the device, and on from the device to other memory.
fn copy_both_ways(container: &Container, edu: &Edu<'_>) -> Result<String> {
    let memory = Memory::new(2)?;
    let sent = pattern(1, PAGE);
    memory.write(0, &sent)?;
    memory.write(PAGE, &pattern(2, PAGE))?;
    let source = container.map(&memory, 0, PAGE, SOURCE_IOVA)?;
    let target = container.map(&memory, PAGE, PAGE, TARGET_IOVA)?;

    let to = edu.copy(Direction::ToDevice, source.iova())?;
    let from = edu.copy(Direction::FromDevice, target.iova())?;
    compare(&memory.read(PAGE, PAGE)?, &sent).context("memory that the device wrote")?;
    compare(&memory.read(0, PAGE)?, &sent).context("memory that the device read")?;

    Ok(format!(
        "iova {:#x} -> edu -> iova {:#x}: {PAGE} of {PAGE} bytes right ({} + {} ms), \
         {} KiB locked",
        source.iova(),
        target.iova(),
        to.as_millis(),
        from.as_millis(),
        locked_memory()?
    ))
}

/// Has the device write to a page that was never mapped, between two pages that are.
fn show_stopped_dma(report: &mut Report, container: &Container, edu: &Edu<'_>) -> Result<()> {
    let iova = CANARY_IOVA.saturating_add(u64::try_from(PAGE)?);

    let faults = report.step("DMA, unmapped", || {
        let memory = Memory::new(3)?;
        let canary = pattern(3, memory.len());
        memory.write(0, &canary)?;
        let after = iova.saturating_add(u64::try_from(PAGE)?);
        let _below = container.map(&memory, 0, PAGE, CANARY_IOVA)?;
        let _above = container.map(&memory, 2 * PAGE, PAGE, after)?;

        let mut log = FaultLog::open()?;
        let mut faults = Vec::new();
        for _ in 0..TRANSFERS_FOR_FAULT {
            edu.copy(Direction::FromDevice, iova)?;
            compare(&memory.read(0, memory.len())?, &canary).context("memory around it")?;
            faults = log.wait_for(iova)?;
            if !faults.is_empty() {
                break;
            }
        }
        let deaf = faults.is_empty() && fault_log::is_deaf()?;
        ensure!(
            deaf || !faults.is_empty(),
            "the kernel log tells of no fault at iova {iova:#x}"
        );
        let line =
            format!(
            "edu -> iova {iova:#x} stopped: {} of {} bytes intact, faults in the kernel log: {}{}",
            canary.len(),
            canary.len(),
            faults.len(),
            if deaf { " (the IOMMU has not interrupted its driver)" } else { "" }
        );

        Ok((faults, line))
    })?;
    if let Some(fault) = faults.first() {
        report.detail(fault)?;
    }
    Ok(())
}

fn interrupt_edu(device: &Device, edu: &Edu<'_>) -> Result<String> {
    let interrupt = Interrupt::new(device, IrqKind::Msi)?;
    ensure!(
        !interrupt.is_signalled(Duration::ZERO)?,
        "an interrupt that nobody raised"
    );
    edu.raise_interrupt(0x1)?;
    let (count, time) = interrupt.wait()?;
    ensure!(count == 1, "{count} interrupts where one was raised");
    let status = edu.acknowledge_interrupt()?;

    Ok(format!(
        "raised by edu, on the eventfd {} µs later: count {count}, status {status:#x} \
         acknowledged",
        time.as_micros()
    ))
}

/// Disables and enables the device's memory under a mapping, in this process and in a child.
fn switch_memory(report: &mut Report, device: &Device, bar: &Bar, edu: &Edu<'_>) -> Result<()> {
    let touch = || {
        // The value does not matter, and the register exists.
        let _ = bar.read32(edu::IDENTIFICATION);
    };
    let mut child = Child::start(touch, touch)?;
    child.wait_ready()?;

    report.show("memory off", || {
        let command = device.set_memory(false)?;
        let error = match bar.try_read32(edu::IDENTIFICATION)? {
            Err(error) => error,
            Ok(value) => bail!("the mapping still answers, with {value:#010x}"),
        };
        ensure!(
            error.address == bar.address(edu::IDENTIFICATION),
            "{error}, where {:#x} was accessed",
            bar.address(edu::IDENTIFICATION)
        );

        Ok(format!(
            "command register {command:#06x}: the mapping is gone, {error}"
        ))
    })?;
    report.show("memory off", || {
        let read = device.read_register(edu::BAR, u64::try_from(edu::IDENTIFICATION)?);
        ensure!(read == Err(Errno::EIO), "read(2) gives {read:?}, not EIO");
        let signal = child.go_on()?;
        ensure!(
            signal == Some(Signal::SIGBUS),
            "a child process with the same mapping got {signal:?}, not SIGBUS"
        );

        Ok("read(2) gives EIO; a child process with the same mapping died of SIGBUS".to_string())
    })?;
    report.show("memory on", || {
        let command = device.set_memory(true)?;
        let before = page_faults()?;
        let value = match bar.try_read32(edu::IDENTIFICATION)? {
            Ok(value) => value,
            Err(error) => bail!("the mapping does not come back: {error}"),
        };
        let faults = page_faults()?.saturating_sub(before);
        ensure!(
            value == edu.identification()?,
            "the identification register is {value:#010x}"
        );

        Ok(format!(
            "command register {command:#06x}: the same mapping reads {value:#010x}, \
             after {faults} page fault"
        ))
    })
}

fn drive_nvme(report: &mut Report, container: &Container, device: &Device) -> Result<()> {
    let bar = device.map_bar(nvme::BAR)?;
    let registers = nvme::Registers::new(&bar);

    // The memory buffer of the controller, if it has one.
    if let Some(buffer) = device.largest_bar().filter(|index| *index != nvme::BAR) {
        map_bar(report, device, "nvme", buffer)?;
    }
    report.show("nvme", || {
        let capabilities = registers.capabilities()?;

        Ok(format!(
            "version {}, capabilities {:#018x}: queues of up to {} entries",
            registers.version()?,
            capabilities.raw(),
            capabilities.queue_entries()
        ))
    })?;
    report.show("bus master", || enable_master(device))?;
    report.show("nvme, MSI-X", || {
        let memory = Memory::new(nvme::PAGES)?;
        let mapping = container.map(&memory, 0, memory.len(), QUEUE_IOVA)?;
        let interrupt = Interrupt::new(device, IrqKind::Msix)?;
        let controller = nvme::Controller::start(&registers, &memory, &mapping)?;
        let (found, time) = controller.identify(&interrupt)?;

        Ok(format!(
            "Identify by DMA, MSI-X {} µs later: model \"{}\", serial \"{}\", firmware \"{}\"",
            time.as_micros(),
            found.model,
            found.serial,
            found.firmware
        ))
    })
}

fn drive_igb(report: &mut Report, device: &Device) -> Result<()> {
    let bar = device.map_bar(igb::BAR)?;
    let igb = Igb::new(&bar);

    report.show("igb", || {
        Ok(format!(
            "status {:#010x}, Ethernet address {}",
            igb.status()?,
            igb.address()?
        ))
    })?;
    report.show("bus master", || enable_master(device))?;
    report.show("igb, MSI-X", || {
        let interrupt = Interrupt::new(device, IrqKind::Msix)?;
        igb.raise_interrupt()?;
        let (count, time) = interrupt.wait()?;
        igb.mask_interrupt()?;

        Ok(format!(
            "raised by igb, on the eventfd {} µs later: count {count}",
            time.as_micros()
        ))
    })
}

fn show_closed(report: &mut Report, before: &Usage) -> Result<()> {
    report.show("close", || {
        let after = Usage::now()?;
        ensure!(
            after.files == before.files,
            "open are {:?}, and before were {:?}",
            after.files,
            before.files
        );
        ensure!(
            after.locked == before.locked,
            "{} KiB are locked, and before were {} KiB",
            after.locked,
            before.locked
        );

        Ok(format!(
            "mappings, devices, groups and container closed; locked memory {} KiB, as before",
            after.locked
        ))
    })
}

fn show_restored(report: &mut Report, bindings: [Binding; 2]) -> Result<()> {
    report.show("restore", || {
        let mut names = Vec::new();
        for binding in bindings {
            names.push(binding.before().to_string());
            binding.restore()?;
        }

        Ok(format!("drivers as before: {}", names.join(", ")))
    })
}
