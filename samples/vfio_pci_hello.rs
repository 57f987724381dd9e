// SPDX-License-Identifier: GPL-2.0

//! The smallest driver for one kind of PCI device: its users get a region more.

#![deny(unsafe_code)]

use kernel::{
    device::Core,
    driver::Registration,
    module::this_module,
    pci,
    prelude::*,
    uaccess::UserSliceWriter,
    InPlaceModule,
    ThisModule, //
};
use vfio_pci_core::{
    device_driver::DeviceDriver,
    device_region::{
        DeviceRegion,
        OpenDevice,
        Permissions,
        RegionType, //
    },
    driver::{
        Adapter,
        IdTable,
        OverrideIds, //
    },
    variant::{
        Opening,
        Variant, //
    }, //
};

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
        Permissions {
            read: true,
            ..Permissions::default()
        }
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

impl DeviceDriver for Hello {
    const NAME: &'static CStr = c"vfio-pci-hello";

    fn module() -> &'static ThisModule {
        this_module::<LocalModule>()
    }

    fn id_table() -> IdTable {
        IdTable::of(&IDS)
    }

    fn variant(_device: &pci::Device<Core<'_>>) -> Result<Option<KBox<dyn Variant>>> {
        let variant: KBox<dyn Variant> = KBox::new(Hello, GFP_KERNEL)?;
        Ok(Some(variant))
    }
}

#[pin_data]
struct Module {
    #[pin]
    _driver: Registration<Adapter<Hello>>,
}

impl InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _driver <- Registration::new(<Self as kernel::ModuleMetadata>::NAME, module),
        })
    }
}

module! {
    type: Module,
    name: "vfio_pci_hello",
    authors: ["The VFIO in Rust developers"],
    description: "Smallest sample of a VFIO driver for one kind of PCI device",
    license: "GPL v2",
    alias: ["vfio_pci:v00001B36d00000005sv*sd*bc*sc*i*"],
}
