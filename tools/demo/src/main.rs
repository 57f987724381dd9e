// SPDX-License-Identifier: GPL-2.0

//! A userspace driver for two emulated PCI devices, on VFIO.
//!
//! It drives QEMU's `edu` device, which has a DMA engine and an interrupt that software can raise,
//! and next to it an NVMe controller or an `igb` network controller. Every step prints one line
//! with what it found; the last line is `PASS` or `FAIL`, and the exit status says the same.
//!
//! The VFIO interface is used through rust-vmm's `vfio-ioctls`, the crate that virtual machine
//! monitors use, and not through code of our own: what works here works there.

mod bar;
mod container;
mod device;
mod dma;
mod edu;
mod fault_log;
mod igb;
mod interrupt;
mod iommu;
mod nvme;
mod options;
mod pci;
mod process;
mod report;
mod signal;
mod steps;

use std::io::{
    stdout,
    Write, //
};
use std::process::ExitCode;

use options::{
    Command,
    USAGE, //
};

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1);
    let command = options::parse(arguments, |name| std::env::var(name).ok());

    let devices = match command {
        Ok(Command::Run(devices)) => devices,
        Ok(Command::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("vfio-demo: {error:#}");
            return ExitCode::from(2);
        }
    };

    let (verdict, status) = match steps::run(&devices) {
        Ok(count) => (format!("PASS: {count} steps"), ExitCode::SUCCESS),
        Err(error) => (format!("FAIL: {error:#}"), ExitCode::FAILURE),
    };
    match writeln!(stdout(), "{verdict}") {
        Ok(()) => status,
        Err(_) => ExitCode::FAILURE,
    }
}
