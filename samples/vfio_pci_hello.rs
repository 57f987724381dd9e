// SPDX-License-Identifier: GPL-2.0

//! The smallest driver for one kind of PCI device: its users get a region more.

#![deny(unsafe_code)]

use kernel::prelude::*;
use vfio_pci_core::prelude::*;

const TEXT: &[u8] = b"Hello\n";
static IDS: OverrideIds<1> = OverrideIds::new([(0x1b36, 0x0005)]);

struct Hello;

impl DeviceRegion for Hello {
    fn region_type(&self) -> RegionType {
        RegionType::of_vendor(0x1b36, 1)
    }

    fn size(&self) -> u64 {
        TEXT.len() as u64
    }

    fn permissions(&self) -> Permissions {
        Permissions::READ_ONLY
    }

    // The core has made sure that the offset and the count are within the region.
    fn read(
        &self,
        _device: &OpenDevice<'_>,
        offset: u64,
        count: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let rest = TEXT.get(usize::try_from(offset)?..).ok_or(EINVAL)?;
        buffer.write_slice(rest.get(..count).ok_or(EINVAL)?)?;
        Ok(count)
    }
}

impl Variant for Hello {
    fn open(&self, device: &mut Opening<'_>) -> Result {
        device.add_region(KBox::new(Hello, GFP_KERNEL)?)
    }
}

impl Driver for Hello {
    type Data = Binding;

    const NAME: &'static CStr = c"vfio-pci-hello";

    fn id_table() -> IdTable {
        IdTable::of(&IDS)
    }

    fn probe(device: &pci::Device<Core<'_>>) -> Result<Binding> {
        let variant = KBox::new(Hello, GFP_KERNEL)?;
        Binding::new(
            device,
            this_module::<LocalModule>(),
            Options::default(),
            Some(variant),
        )
    }
}

kernel::module_driver!(<T>, Adapter<T>, {
    type: Hello,
    name: "vfio_pci_hello",
    authors: ["The VFIO in Rust developers"],
    description: "Smallest sample of a VFIO driver for one kind of PCI device",
    license: "GPL v2",
    alias: ["vfio_pci:v00001B36d00000005sv*sd*bc*sc*i*"],
});
