// SPDX-License-Identifier: GPL-2.0

//! The smallest VFIO device that is made of software: a text that can be read.

#![deny(unsafe_code)]

use kernel::{
    faux,
    module::this_module,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::{
        uaccess::UserBytes,
        uapi::device::{
            DeviceInfo,
            RegionInfo,
            VFIO_DEVICE_GET_INFO,
            VFIO_DEVICE_GET_REGION_INFO,
            VFIO_REGION_INFO_FLAG_READ, //
        }, //
    },
    confinement::Dma,
    device::{
        ops::{
            DeviceOps,
            Opening, //
        },
        set::DeviceSetKey,
        Device, //
    },
    registration::Registration, //
};

const TEXT: &[u8] = b"Hello\n";

struct Hello;

impl DeviceOps for Hello {
    fn open(&self, _device: &Device, _opening: &Opening<'_>) -> Result {
        Ok(())
    }

    fn close(&self, _device: &Device) {}

    fn ioctl(&self, _device: &Device, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            VFIO_DEVICE_GET_INFO => {
                let mut info = DeviceInfo::read(arg)?;
                info.num_regions = 1;
                info.write(arg, info.argsz)?;
            }
            VFIO_DEVICE_GET_REGION_INFO => {
                let mut info = RegionInfo::read(arg)?;
                if info.index != 0 {
                    return Err(EINVAL);
                }
                info.flags = VFIO_REGION_INFO_FLAG_READ;
                info.size = TEXT.len() as u64;
                info.offset = 0;
                info.write(arg)?;
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn read(&self, _: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let rest = TEXT.get(usize::try_from(*position)?..).unwrap_or_default();
        let part = rest.get(..bytes.len()).unwrap_or(rest);
        bytes.writer().write_slice(part)?;
        *position += part.len() as i64;
        Ok(part.len())
    }
}

// Fields are dropped in order: users let the device go before its parent goes.
struct Module {
    _registration: Registration,
    _parent: faux::Registration,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let parent = faux::Registration::new(c"vfio-hello", None)?;
        let registration = Registration::new(
            parent.as_ref().as_ref(),
            Arc::new(Hello, GFP_KERNEL)?,
            DeviceSetKey::Alone,
            Dma::Emulated,
            this_module::<LocalModule>(),
        )?;
        Ok(Self {
            _registration: registration,
            _parent: parent,
        })
    }
}

module! {
    type: Module,
    name: "vfio_hello",
    authors: ["The VFIO in Rust developers"],
    description: "Smallest sample of an emulated VFIO device",
    license: "GPL v2",
}
