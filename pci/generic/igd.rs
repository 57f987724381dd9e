// SPDX-License-Identifier: GPL-2.0

//! Integrated Intel graphics.
//!
//! Its drivers look for things outside of the device: the OpRegion of the firmware, whose address
//! is in a register of config space, and the config space of the host bridge and of the LPC
//! bridge. The user gets them as regions that can be read; the register is the user's own, to
//! point to a copy of the OpRegion in the memory of a virtual machine.

use crate::{
    abstractions::io::firmware_memory::FirmwareMemory,
    opregion::{
        Header,
        Memory,
        Oddity,
        OpRegion,
        SIZE, //
    }, //
};
use kernel::{
    pci::{
        self,
        Class,
        Vendor, //
    },
    prelude::*,
    uaccess::UserSliceWriter, //
};
use vfio_pci_core::{
    config::Width,
    device_region::{
        DeviceRegion,
        OpenDevice,
        Permissions,
        RegionType, //
    },
    lookup::OtherFunction,
    variant::{
        Opening,
        Variant, //
    }, //
};

/// ASLS: the register that has the address of the OpRegion.
const OPREGION_ADDRESS: u16 = 0xfc;

/// Subtype of the region that is the OpRegion.
const SUBTYPE_OPREGION: u32 = 1;
/// Subtype of the region that is the config space of the host bridge.
const SUBTYPE_HOST_BRIDGE: u32 = 2;
/// Subtype of the region that is the config space of the LPC bridge.
const SUBTYPE_LPC_BRIDGE: u32 = 3;

/// The type that Intel defines.
const fn region_type(subtype: u32) -> RegionType {
    const INTEL: u16 = kernel::bindings::PCI_VENDOR_ID_INTEL as u16;

    RegionType::of_vendor(INTEL, subtype)
}

/// What Intel graphics gets in addition.
pub(crate) struct IntelGraphics;

impl IntelGraphics {
    /// Is this device Intel graphics, integrated or not?
    pub(crate) fn is(device: &pci::Device) -> bool {
        const BASE_CLASS_SHIFT: u32 = 16;

        device.vendor_id() == Vendor::INTEL
            && device.pci_class().as_raw() >> BASE_CLASS_SHIFT
                == kernel::bindings::PCI_BASE_CLASS_DISPLAY
    }
}

impl Variant for IntelGraphics {
    fn open(&self, device: &mut Opening<'_>) -> Result {
        let address = device.read_config(OPREGION_ADDRESS)?;
        if address == 0 || address == !0 {
            // Not integrated, or not set up by firmware.
            return Ok(());
        }

        let opregion = map_opregion(device, u64::from(address)).inspect_err(|_| {
            dev_warn!(device.device(), "Failed to setup Intel IGD regions\n");
        })?;
        device.add_region(KBox::new(opregion, GFP_KERNEL_ACCOUNT)?)?;
        device.emulate_config(OPREGION_ADDRESS, address);
        for bridge in [Bridge::host(), Bridge::lpc()] {
            // A machine with other bridges is not one for which drivers need to know them.
            let Some(bridge) = bridge else {
                dev_info!(
                    device.device(),
                    "bridge is not from Intel, no region for it\n"
                );
                break;
            };
            device.add_region(KBox::new(bridge, GFP_KERNEL_ACCOUNT)?)?;
        }

        Ok(())
    }
}

fn map_opregion(device: &Opening<'_>, address: u64) -> Result<OpRegion<FirmwareMemory>> {
    let memory = FirmwareMemory::new(address, SIZE)?;
    let header = Header::parse(&memory, address)?;
    match header.oddity {
        Some(Oddity::Length(length)) => {
            dev_warn!(device.device(), "OpRegion claims {} KiB\n", length);
        }
        Some(Oddity::Vbt(length)) => {
            dev_warn!(
                device.device(),
                "OpRegion claims a VBT of {} bytes\n",
                length
            );
        }
        None => (),
    }
    let vbt = header
        .vbt
        .map(|vbt| FirmwareMemory::new(vbt.address, vbt.len))
        .transpose()?;

    Ok(OpRegion::new(header, memory, vbt))
}

impl Memory for FirmwareMemory {
    fn copy(&self, offset: usize, target: &mut [u8]) {
        FirmwareMemory::copy(self, offset, target);
    }
}

impl DeviceRegion for OpRegion<FirmwareMemory> {
    fn region_type(&self) -> RegionType {
        region_type(SUBTYPE_OPREGION)
    }

    fn size(&self) -> u64 {
        // CAST: A `usize` has 64 bits where this driver runs.
        OpRegion::size(self) as u64
    }

    fn permissions(&self) -> Permissions {
        Permissions::READ_ONLY
    }

    fn read(
        &self,
        _device: &OpenDevice<'_>,
        offset: u64,
        count: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let mut offset = usize::try_from(offset)?;
        let mut left = count;
        let mut bytes = [0; 256];
        while left > 0 {
            let len = left.min(bytes.len());
            let part = bytes.get_mut(..len).ok_or(EINVAL)?;
            self.copy(offset, part);
            buffer.write_slice(part)?;
            offset = offset.saturating_add(len);
            left = left.saturating_sub(len);
        }

        Ok(count)
    }
}

/// The config space of a bridge.
struct Bridge {
    function: OtherFunction,
    subtype: u32,
}

impl Bridge {
    /// The host bridge, if it is one of Intel's.
    fn host() -> Option<Self> {
        Self::find(0, Class::BRIDGE_HOST, SUBTYPE_HOST_BRIDGE)
    }

    /// The LPC bridge, if it is one of Intel's.
    fn lpc() -> Option<Self> {
        const SLOT: u8 = 0x1f;

        Self::find(SLOT, Class::BRIDGE_ISA, SUBTYPE_LPC_BRIDGE)
    }

    fn find(slot: u8, class: Class, subtype: u32) -> Option<Self> {
        let function = OtherFunction::on_first_bus(slot, 0)?;
        if function.vendor_id() != Vendor::INTEL || function.pci_class() != class {
            return None;
        }

        Some(Self { function, subtype })
    }

    /// Reads as many bytes as one access at `offset` can, but not more than `left`.
    ///
    /// # Errors
    ///
    /// ENODEV for a bridge that is gone.
    fn read_part(&self, offset: u16, left: usize) -> Result<([u8; 4], usize)> {
        let width = Width::widest(offset, u16::try_from(left).unwrap_or(u16::MAX));
        let value = self.function.read_config(offset, width)?;

        Ok((value.to_le_bytes(), width.bytes().into()))
    }
}

impl DeviceRegion for Bridge {
    fn region_type(&self) -> RegionType {
        region_type(self.subtype)
    }

    fn size(&self) -> u64 {
        // CAST: A `usize` has 64 bits where this driver runs.
        self.function.config_size() as u64
    }

    fn permissions(&self) -> Permissions {
        Permissions::READ_ONLY
    }

    fn read(
        &self,
        _device: &OpenDevice<'_>,
        offset: u64,
        count: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let mut offset = u16::try_from(offset)?;
        let mut left = count;
        while left > 0 {
            let (bytes, len) = self.read_part(offset, left)?;
            buffer.write_slice(bytes.get(..len).ok_or(EINVAL)?)?;
            // CAST: Not more than four.
            offset = offset.saturating_add(len as u16);
            left = left.saturating_sub(len);
        }

        Ok(count)
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_igd)]
mod tests {
    use super::*;

    /// The ids of the host bridge, if it is Intel's, by accesses of any width.
    ///
    /// PARITY: 7-14.
    #[test]
    fn a_bridge_can_be_read() -> Result {
        let Some(bridge) = Bridge::host() else {
            return Ok(());
        };
        let (vendor, len) = bridge.read_part(0, 2)?;
        let (both, _) = bridge.read_part(0, 4)?;
        let (high, _) = bridge.read_part(1, 3)?;

        assert_eq!(len, 2);
        assert_eq!(vendor, [0x86, 0x80, 0, 0]);
        assert_eq!(both[..2], vendor[..2]);
        assert_eq!(high[0], 0x80);
        assert!(bridge.size() >= 256);

        Ok(())
    }
}
