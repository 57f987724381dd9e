// SPDX-License-Identifier: GPL-2.0

//! The module parameter `ids`.

use kernel::prelude::*;
use vfio_pci_core::driver::{
    DynamicId,
    DynamicIds, //
};

/// Adds the ids of a list, which are separated by commas. One that is wrong does not keep the
/// others from being added.
pub(crate) fn add_all(list: &CStr, ids: &DynamicIds<'_>) {
    for item in list.to_bytes().split(|byte| *byte == b',') {
        if item.is_empty() {
            continue;
        }
        match parse(item) {
            Some(id) => add(&id, ids),
            None => pr_warn!(
                "invalid id string \"{}\"\n",
                kernel::str::BStr::from_bytes(item)
            ),
        }
    }
}

fn add(id: &DynamicId, ids: &DynamicIds<'_>) {
    let DynamicId {
        vendor,
        device,
        subvendor,
        subdevice,
        class,
        class_mask,
    } = id;
    match ids.add(id) {
        Ok(()) => pr_info!(
            "add [{:04x}:{:04x}[{:04x}:{:04x}]] class {:#08x}/{:08x}\n",
            vendor,
            device,
            subvendor,
            subdevice,
            class,
            class_mask
        ),
        Err(error) => pr_warn!(
            "failed to add dynamic id [{:04x}:{:04x}[{:04x}:{:04x}]] class {:#08x}/{:08x} ({})\n",
            vendor,
            device,
            subvendor,
            subdevice,
            class,
            class_mask,
            error.to_errno()
        ),
    }
}

/// Parses `vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]`, in hexadecimal. Fields
/// from the first that is not a number on are as if they were not given.
fn parse(item: &[u8]) -> Option<DynamicId> {
    let mut fields = item.split(|byte| *byte == b':').map_while(parse_field);
    let any = DynamicId::default();

    Some(DynamicId {
        vendor: fields.next()?,
        device: fields.next()?,
        subvendor: fields.next().unwrap_or(any.subvendor),
        subdevice: fields.next().unwrap_or(any.subdevice),
        class: fields.next().unwrap_or(any.class),
        class_mask: fields.next().unwrap_or(any.class_mask),
    })
}

fn parse_field(field: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(field.trim_ascii()).ok()?;
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);

    u32::from_str_radix(digits, 16).ok()
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_id_list)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_and_a_device_are_needed() {
        let id = DynamicId {
            vendor: 0x8086,
            device: 0x10c9,
            ..DynamicId::default()
        };

        assert_eq!(parse(b"8086:10c9"), Some(id));
        assert_eq!(parse(b"0x8086:10C9"), Some(id));
        assert_eq!(parse(b"8086:10c9:zz"), Some(id));
        assert_eq!(parse(b"8086"), None);
        assert_eq!(parse(b"8086:"), None);
        assert_eq!(parse(b"x:y"), None);
    }

    #[test]
    fn all_fields_are_understood() {
        let id = DynamicId {
            vendor: 1,
            device: 2,
            subvendor: 3,
            subdevice: 4,
            class: 0x020000,
            class_mask: 0xffff00,
        };

        assert_eq!(parse(b"1:2:3:4:020000:ffff00"), Some(id));
    }
}
