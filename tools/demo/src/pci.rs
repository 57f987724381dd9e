// SPDX-License-Identifier: GPL-2.0

//! PCI addresses, and the sysfs files that bind a device to `vfio-pci` and back.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{
    bail,
    ensure,
    Context,
    Error,
    Result, //
};

const DRIVER: &str = "vfio-pci";
const DRIVERS_PROBE: &str = "/sys/bus/pci/drivers_probe";

/// The address of a PCI function: domain, bus, device and function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text).with_context(|| format!("{text:?} is not a PCI address (DDDD:BB:DD.F)"))
    }
}

impl Address {
    /// The domain is optional, as in the tools of pciutils.
    fn parse(text: &str) -> Option<Self> {
        let (rest, function) = text.rsplit_once('.')?;
        let (rest, device) = rest.rsplit_once(':')?;
        let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));

        let address = Self {
            domain: hex(domain, 8)?,
            bus: u8::try_from(hex(bus, 2)?).ok()?,
            device: u8::try_from(hex(device, 2)?).ok()?,
            function: u8::try_from(hex(function, 1)?).ok()?,
        };
        (address.device < 32 && address.function < 8).then_some(address)
    }

    /// The directory of the function in sysfs.
    pub fn sysfs(&self) -> PathBuf {
        PathBuf::from(format!("/sys/bus/pci/devices/{self}"))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.sysfs().join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;

        Ok(text.trim().to_string())
    }

    fn read_hex(&self, file: &str) -> Result<u32> {
        let text = self.read(file)?;

        u32::from_str_radix(text.trim_start_matches("0x"), 16)
            .with_context(|| format!("{}: {text:?}", self.sysfs().join(file).display()))
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.sysfs().join(file);

        fs::write(&path, text).with_context(|| format!("{}", path.display()))
    }

    /// The last part of what a symbolic link of the function points at.
    fn link(&self, file: &str) -> Option<String> {
        let target = fs::read_link(self.sysfs().join(file)).ok()?;

        Some(target.file_name()?.to_str()?.to_string())
    }

    /// The driver that the function is bound to.
    pub fn driver(&self) -> Option<String> {
        self.link("driver")
    }

    /// The number of the function's IOMMU group.
    ///
    /// # Errors
    ///
    /// Fails when there is none, that is when no IOMMU translates for this function.
    pub fn group(&self) -> Result<String> {
        self.link("iommu_group").with_context(|| {
            format!("{self} is in no IOMMU group: is there an IOMMU, and is it switched on?")
        })
    }

    /// Reads the identity of the function.
    ///
    /// # Errors
    ///
    /// Fails when there is no such function.
    pub fn identity(&self) -> Result<Identity> {
        ensure!(self.sysfs().exists(), "there is no PCI device {self}");

        Ok(Identity {
            vendor: self.read_hex("vendor")?,
            device: self.read_hex("device")?,
            class: self.read_hex("class")?,
        })
    }
}

/// Parses one to `digits` hexadecimal digits, without the sign that `from_str_radix` would take.
fn hex(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() <= digits && text.chars().all(|c| c.is_ascii_hexdigit());

    u32::from_str_radix(text, 16).ok().filter(|_| plain)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.device, self.function
        )
    }
}

/// What a function says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u32,
    /// Device id.
    pub device: u32,
    /// Base class, sub-class and programming interface.
    pub class: u32,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

/// What a function was bound to before it was bound to `vfio-pci`.
struct Before {
    driver: Option<String>,
    driver_override: String,
}

/// A function that is bound to `vfio-pci`, and is given back when this is dropped.
///
/// File descriptors and mappings of the device have to be gone by then: the kernel waits for them
/// when it unbinds the driver.
pub struct Binding {
    address: Address,
    before: Option<Before>,
}

impl Binding {
    /// Binds the function to `vfio-pci`, by `driver_override`, unless it is bound to it already.
    ///
    /// # Errors
    ///
    /// Fails when there is no such driver, when the function is a disk that is mounted, and when
    /// the driver does not take the function.
    pub fn new(address: Address) -> Result<Self> {
        let driver = address.driver();
        if driver.as_deref() == Some(DRIVER) {
            return Ok(Self {
                address,
                before: None,
            });
        }

        ensure!(
            fs::exists(format!("/sys/bus/pci/drivers/{DRIVER}")).unwrap_or(false),
            "the {DRIVER} driver is not there: load it with \"modprobe {DRIVER}\""
        );
        refuse_mounted(&address)?;

        // From here on dropping the binding undoes whatever was done of it.
        let binding = Self {
            address,
            before: Some(Before {
                driver,
                driver_override: address.read("driver_override")?,
            }),
        };
        address.write("driver_override", DRIVER)?;
        rebind(&address)?;
        ensure!(
            address.driver().as_deref() == Some(DRIVER),
            "{DRIVER} did not take {address}: see the kernel log"
        );

        Ok(binding)
    }

    /// The driver that the function had before, for the user to read.
    pub fn before(&self) -> &str {
        match &self.before {
            None => DRIVER,
            Some(before) => before.driver.as_deref().unwrap_or("no driver"),
        }
    }

    /// Gives the function back.
    ///
    /// # Errors
    ///
    /// Fails when sysfs refuses, or when the former driver did not take the function.
    pub fn restore(mut self) -> Result<()> {
        self.undo()
    }

    fn undo(&mut self) -> Result<()> {
        let Some(before) = self.before.take() else {
            return Ok(());
        };

        // A function without an override reads as this, but takes an empty line.
        let driver_override = match before.driver_override.as_str() {
            "(null)" => "",
            name => name,
        };
        self.address
            .write("driver_override", &format!("{driver_override}\n"))?;
        match &before.driver {
            Some(_) => rebind(&self.address)?,
            None => unbind(&self.address)?,
        }

        let driver = self.address.driver();
        ensure!(
            driver == before.driver,
            "{} has driver {driver:?}, and had {:?}",
            self.address,
            before.driver
        );
        Ok(())
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        if let Err(error) = self.undo() {
            eprintln!("vfio-demo: {} was not given back: {error:#}", self.address);
        }
    }
}

/// Takes the function from its driver.
fn unbind(address: &Address) -> Result<()> {
    if address.driver().is_none() {
        return Ok(());
    }
    address.write("driver/unbind", &address.to_string())
}

/// Takes the function from its driver, and has the kernel look for one anew.
fn rebind(address: &Address) -> Result<()> {
    unbind(address)?;
    fs::write(DRIVERS_PROBE, address.to_string())
        .with_context(|| format!("{DRIVERS_PROBE}: no driver takes {address}"))
}

/// Refuses a disk that is mounted: unbinding it would take the file system from under the system.
fn refuse_mounted(address: &Address) -> Result<()> {
    let disks = block_devices(address);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();

    if let Some(disk) = disks.iter().find(|disk| is_mounted(disk, &mounts)) {
        bail!("{address} is the disk {disk}, which is mounted; not touching it");
    }
    Ok(())
}

/// The block devices of an NVMe controller.
fn block_devices(address: &Address) -> Vec<String> {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();

    entries(address.sysfs().join("nvme"))
        .flat_map(|controller| entries(controller.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("nvme"))
        .collect()
}

/// Whether a disk, or one of its partitions, is in the table of mounts.
fn is_mounted(disk: &str, mounts: &str) -> bool {
    mounts
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.strip_prefix("/dev/"))
        .filter_map(|source| source.strip_prefix(disk))
        .any(|rest| rest.is_empty() || rest.starts_with('p'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("0000:00:04.0", "0000:00:04.0"),
            ("00:04.0", "0000:00:04.0"),
            ("1:2.3", "0000:01:02.3"),
            ("10000:e1:1f.7", "10000:e1:1f.7"),
            ("0000:0A:0b.1", "0000:0a:0b.1"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn malformed_addresses() {
        for text in [
            "",
            ".",
            ":",
            "04",
            "04.0",
            ":04.0",
            "00:04",
            "00:04.8",
            "00:20.0",
            "100:04.0",
            "00:04.0.0",
            "00:00:00:04.0",
            "00:+4.0",
            "00:-4.0",
            "../04.0",
            "00:04.0 ",
            "x:y.z",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn mounts() {
        let mounts = "/dev/nvme0n1p2 / ext4 rw 0 0\nproc /proc proc rw 0 0\n";
        assert!(is_mounted("nvme0n1", mounts));
        assert!(is_mounted("nvme0n1p2", mounts));
        assert!(!is_mounted("nvme0n12", mounts));
        assert!(!is_mounted("nvme1n1", mounts));
    }
}
