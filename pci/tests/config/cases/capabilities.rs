// SPDX-License-Identifier: GPL-2.0

//! Cases of single capabilities.

use super::{
    cells,
    check,
    express_with,
    Outcome,
    STATUS_LIST, //
};

use super::super::{
    fake::{
        get,
        open,
        put,
        Event,
        Failure,
        Fake,
        FACTS, //
    },
    Msi,
    PowerState, //
};

/// Power Management: no PME, and the state is changed by the host.
///
/// PARITY: 7-46, 7-47, 12-8.
pub(crate) fn power_management() -> Outcome {
    let registers = [
        (0x04, STATUS_LIST),
        (0x34, 0x40),
        (0x40, 0xffc3_0001),
        (0x44, 0x0000_8108),
    ];
    let mut fake = Fake::<0x100>::new(&registers);
    fake.clears = &[(0x45, 0x80)];
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x42, 2)? == 0x07c3, "no PME_Support")?;
    check(get(&space, &fake, 0x44, 2)? == 0x0008, "no PME")?;

    put(&mut space, &mut fake, 0x44, 2, 0x8003)?;
    check(fake.dword(0x44) == 0x8100, "PME_Status and state stay")?;
    let events = [Event::Power(PowerState::D3hot)];
    check(fake.happened(&events), "D3hot")?;
    put(&mut space, &mut fake, 0x45, 1, 0)?;
    check(fake.happened(&[]), "the upper byte has no state")?;
    put(&mut space, &mut fake, 0x44, 1, 0)?;
    check(fake.happened(&[Event::Power(PowerState::D0)]), "D0")
}

/// Vital Product Data is transferred by the host.
///
/// PARITY: 7-49.
pub(crate) fn vital_product_data() -> Outcome {
    let registers = [(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x0003)];
    let mut fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;

    put(&mut space, &mut fake, 0x42, 2, 0x0010)?;
    check(fake.happened(&[Event::VpdRead(0x10)]), "read")?;
    check(
        get(&space, &fake, 0x42, 2)? == 0x0010,
        "a failure is not done",
    )?;

    fake.vpd = Some(0x4433_2211);
    put(&mut space, &mut fake, 0x42, 1, 0x20)?;
    check(fake.happened(&[]), "F was not written")?;
    put(&mut space, &mut fake, 0x43, 1, 0x00)?;
    check(fake.happened(&[Event::VpdRead(0x20)]), "read again")?;
    check(get(&space, &fake, 0x42, 2)? == 0x8020, "done")?;
    check(get(&space, &fake, 0x44, 4)? == 0x4433_2211, "data")?;

    put(&mut space, &mut fake, 0x44, 4, 0x8877_6655)?;
    put(&mut space, &mut fake, 0x40, 4, 0x8024_0000)?;
    check(
        fake.happened(&[Event::VpdWrite(0x24, 0x8877_6655)]),
        "write",
    )?;
    check(get(&space, &fake, 0x42, 2)? == 0x0024, "done too")?;
    check(fake.dword(0x44) == 0, "the hardware is not touched")
}

/// MSI stays within what was set up by ioctl.
///
/// PARITY: 7-50 to 7-52, 12-2.
pub(crate) fn msi() -> Outcome {
    // Eight vectors, 64-bit address, maskable.
    let registers = [(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x0186_0005)];
    let mut fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;

    put(&mut space, &mut fake, 0x42, 2, 0xffff)?;
    check(get(&space, &fake, 0x42, 2)? == 0x0186, "not active")?;
    check(fake.dword(0x40) >> 16 == 0x0186, "not active in hardware")?;

    fake.msi = Msi {
        active: true,
        log2_vectors: 1,
    };
    put(&mut space, &mut fake, 0x42, 1, 0x71)?;
    check(get(&space, &fake, 0x42, 2)? == 0x0197, "limited")?;
    check(fake.dword(0x40) >> 16 == 0x0197, "limited in hardware")?;
    put(&mut space, &mut fake, 0x42, 1, 0x00)?;
    check(fake.dword(0x40) >> 16 == 0x0186, "off, all else kept")?;

    put(&mut space, &mut fake, 0x44, 4, 0xfee0_0000)?;
    put(&mut space, &mut fake, 0x4c, 4, 0xffff_1234)?;
    check(get(&space, &fake, 0x44, 4)? == 0xfee0_0000, "address")?;
    check(get(&space, &fake, 0x4c, 4)? == 0x1234, "data")?;
    check(fake.dword(0x44) | fake.dword(0x4c) == 0, "of the user only")?;
    put(&mut space, &mut fake, 0x50, 4, 0x5)?;
    check(fake.dword(0x50) == 0x5, "mask bits of the hardware")?;

    fake.msi_ends.set(true);
    put(&mut space, &mut fake, 0x42, 1, 0x01)?;
    check(fake.dword(0x40) >> 16 == 0x0186, "off by ioctl meanwhile")?;
    check(get(&space, &fake, 0x42, 2)? == 0x0186, "and reads so")
}

/// PCI Express: reset, payload and read request sizes, RW1C bits next to them.
///
/// PARITY: 7-55 to 7-57, 12-8, 12-9.
pub(crate) fn express() -> Outcome {
    let registers = [
        (0x04, STATUS_LIST),
        (0x34, 0x40),
        (0x40, 0x0002_0010),
        (0x44, 0x1000_0000),
        (0x48, 0x000f_2020),
    ];
    let mut fake = Fake::<0x100>::new(&registers);
    fake.clears = &[(0x4a, 0x0f)];
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;

    put(&mut space, &mut fake, 0x48, 4, 0xffff_a240)?;
    check(fake.happened(&[Event::Reset]), "reset")?;
    check(fake.dword(0x48) == 0x000f_2020, "payload and status stay")?;
    check(
        get(&space, &fake, 0x48, 2)? == 0x2040,
        "payload of the user",
    )?;

    put(&mut space, &mut fake, 0x48, 2, 0x0040)?;
    check(fake.happened(&[Event::ReadRequest(256)]), "floor")?;
    put(&mut space, &mut fake, 0x48, 2, 0x5040)?;
    check(fake.happened(&[Event::ReadRequest(4096)]), "largest")?;
    put(&mut space, &mut fake, 0x48, 2, 0x501f)?;
    check(fake.happened(&[]), "unchanged")?;
    check(
        fake.dword(0x48) == 0x000f_203f,
        "other bits of the hardware",
    )?;

    put(&mut space, &mut fake, 0x68, 2, 0xffff)?;
    check(fake.dword(0x68) == 0xffdf, "no ARI forwarding")?;
    put(&mut space, &mut fake, 0x50, 4, u32::MAX)?;
    check(fake.dword(0x50) == 0, "link control")?;

    fake.set_dword(0x44, 0);
    put(&mut space, &mut fake, 0x48, 2, 0xd01f)?;
    check(fake.happened(&[]), "not capable")?;
    check(get(&space, &fake, 0x49, 1)? == 0x50, "reads as zero")?;

    fake.set_dword(0x44, 0x1000_0000);
    fake.resets = false;
    let failed = put(&mut space, &mut fake, 0x48, 2, 0xd01f);
    check(failed == Err(Failure::Wanted), "a failure is told")?;
    check(fake.happened(&[Event::Reset]), "reset that fails")?;
    check(get(&space, &fake, 0x49, 1)? == 0x50, "reads as zero still")
}

/// Advanced Features: reset.
///
/// PARITY: 7-59, 12-9.
pub(crate) fn advanced_features() -> Outcome {
    let registers = [(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x0306_0013)];
    let mut fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    put(&mut space, &mut fake, 0x44, 1, 0xff)?;
    check(fake.happened(&[Event::Reset]), "reset")?;
    check(get(&space, &fake, 0x44, 1)? == 0, "reads as zero")?;
    check(fake.dword(0x44) == 0, "the hardware is not written")?;
    fake.resets = false;
    let failed = put(&mut space, &mut fake, 0x44, 1, 0xff);
    check(failed == Err(Failure::Wanted), "a failure is told")?;
    check(fake.happened(&[Event::Reset]), "reset")?;
    check(get(&space, &fake, 0x44, 1)? == 0, "reads as zero still")?;
    fake.set_dword(0x40, 0x0106_0013);
    put(&mut space, &mut fake, 0x44, 2, 0xff)?;
    check(fake.happened(&[]), "not capable")
}

/// MSI-X cannot be written, a vendor's registers can; nor can any list entry.
///
/// PARITY: 7-19, 7-21, 7-22, 7-42, 7-54, 7-58, 7-64.
pub(crate) fn plain_capabilities() -> Outcome {
    let registers = [
        (0x04, STATUS_LIST),
        (0x34, 0x40),
        (0x40, 0x0007_5011),
        (0x50, 0x0008_0009),
    ];
    let mut fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    put(&mut space, &mut fake, 0x40, 4, u32::MAX)?;
    check(fake.dword(0x40) == 0x0007_5011, "MSI-X")?;
    put(&mut space, &mut fake, 0x54, 4, 0x1122_3344)?;
    check(fake.dword(0x54) == 0x1122_3344, "vendor register")?;
    put(&mut space, &mut fake, 0x50, 2, 0xffff)?;
    check(fake.dword(0x50) == 0x0008_0009, "vendor list entry")?;
    put(&mut space, &mut fake, 0x60, 4, 0x5566_7788)?;
    check(fake.dword(0x60) == 0x5566_7788, "gap")?;

    let accesses = fake.accesses.get();
    put(&mut space, &mut fake, 0x44, 4, u32::MAX)?;
    get(&space, &fake, 0x00, 4)?;
    check(
        fake.accesses.get() == accesses,
        "no access without a reason",
    )
}

/// Bits that a one clears keep their state unless the user can and does clear them.
///
/// PARITY: 7-62, 12-8.
pub(crate) fn write_one_to_clear() -> Outcome {
    let mut fake = express_with(&[(0x100, 0x0001_0001), (0x104, 0xffff_ffff)]);
    fake.clears = &[(0x104, 0xff), (0x105, 0xff), (0x106, 0xff), (0x107, 0xff)];
    let mut buffer = cells::<0x200>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    put(&mut space, &mut fake, 0x104, 4, 0x0000_1010)?;
    check(fake.dword(0x104) == 0xffff_efef, "what was written")?;
    put(&mut space, &mut fake, 0x104, 4, u32::MAX)?;
    check(fake.dword(0x104) == 0xfc00_0fce, "what can be written")
}

/// A register that the host emulates.
///
/// PARITY: 7-69.
pub(crate) fn emulated_dword() -> Outcome {
    let mut fake = Fake::<0x100>::new(&[(0xfc, 0x1111_1111)]);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    space.set_virtual_dword(0xfc, 0xcafe_0018);
    check(get(&space, &fake, 0xfc, 4)? == 0xcafe_0018, "first value")?;
    put(&mut space, &mut fake, 0xfd, 1, 0x42)?;
    check(get(&space, &fake, 0xfc, 4)? == 0xcafe_4218, "written")?;
    check(fake.dword(0xfc) == 0x1111_1111, "not to the hardware")
}
