# SPDX-License-Identifier: GPL-2.0
"""The I/O Virtualization Reporting Structure for guests whose AMD IOMMU remaps interrupts.

QEMU's says that the I/O APIC is at 00:14.0, as on AMD's machines. Linux takes that only from a
machine with a south bridge there, and a q35 has its own at 00:1f.0. This table names the latter, and
says that its requests come as from the former, which is how QEMU sends them. Linux uses it in
place of QEMU's when it finds it at the beginning of the initramfs (CONFIG_ACPI_TABLE_UPGRADE).

AMD I/O Virtualization Technology (IOMMU) Specification, 5.2; the kernel's
Documentation/admin-guide/acpi/initrd_table_override.rst.
"""

import struct

# What QEMU's table has, but for the revision: Linux takes a newer one only.
OEM = (b"BOCHS ", b"BXPC    ", 2)
# EFRSup, and 40 bits of physical address.
IVINFO = 0x1 | 40 << 8
IOMMU = 0x0008
CAPABILITY = 0x40
REGISTERS = 0xfed80000
FEATURES = 0x29d3
SOUTH_BRIDGE = 0x00f8
IO_APIC = 0x00a0
PATH = "kernel/firmware/acpi/ivrs.aml"


def entries():
    """The devices: all; the south bridge, by another name; the I/O APIC, number 0, is there."""
    return (struct.pack("<BHB", 0x01, 0, 0)
            + struct.pack("<BHBBHB", 0x42, SOUTH_BRIDGE, 0, 0, IO_APIC, 0)
            + struct.pack("<BHBBHB", 0x48, 0, 0, 0, SOUTH_BRIDGE, 1))


def definition():
    """The block of the one IOMMU, of type 0x11."""
    devices = entries()
    return struct.pack("<BBHHHQHHIQQ", 0x11, 0, 40 + len(devices), IOMMU, CAPABILITY, REGISTERS,
                       0, 0, 0, FEATURES, 0) + devices


def table():
    """The table, with its checksum."""
    body = struct.pack("<IQ", IVINFO, 0) + definition()
    header = struct.pack("<4sIBB6s8sI4sI", b"IVRS", 36 + len(body), 2, 0, *OEM, b"VFIO", 1)
    checksum = -sum(header + body) % 256
    return header[:9] + bytes([checksum]) + header[10:] + body


def archive_entry(name, mode, content):
    """A file of a cpio archive of the kind that initramfs has."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    text = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    text += bytes(-len(text) % 4) + content
    return text + bytes(-len(text) % 4)


def archive():
    """What comes before an initramfs, on a boundary of it."""
    text = archive_entry(PATH, 0o100644, table()) + archive_entry("TRAILER!!!", 0, b"")
    return text + bytes(-len(text) % 512)
