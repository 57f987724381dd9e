// SPDX-License-Identifier: GPL-2.0
/* Configuration space: what is virtual, what is hardware (7.2 to 7.5). */
#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(config)
{
	struct vfio_session session;
	const char *bdf;
	int fd;
};

FIXTURE_VARIANT(config)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(config, edu)
{
	.name = "EDU",
};

FIXTURE_VARIANT_ADD(config, testdev)
{
	.name = "TESTDEV",
};

FIXTURE_VARIANT_ADD(config, ivshmem)
{
	.name = "IVSHMEM",
};

FIXTURE_VARIANT_ADD(config, e1000e)
{
	.name = "E1000E",
};

FIXTURE_SETUP(config)
{
	SHARE_DEVICE(&self->session, variant->name);
	self->bdf = self->session.bdf;
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(config)
{
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 7-19, 7-23, 7-32, 7-34, 7-37, 7-39, 7-41: written in full, changed in nothing. */
TEST_F(config, read_only_fields)
{
	static const struct {
		uint8_t offset, size;
	} fields[] = {
		{ PCI_VENDOR_ID, 2 }, { PCI_DEVICE_ID, 2 }, { PCI_VENDOR_ID, 4 },
		{ PCI_CLASS_REVISION, 4 }, { PCI_HEADER_TYPE, 1 },
		{ PCI_CARDBUS_CIS, 4 }, { PCI_SUBSYSTEM_VENDOR_ID, 4 },
		{ PCI_CAPABILITY_LIST, 1 }, { PCI_INTERRUPT_PIN, 1 },
		{ PCI_MIN_GNT, 1 }, { PCI_MAX_LAT, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		unsigned int offset = fields[i].offset;
		unsigned int size = fields[i].size;
		long before = config_read(self->fd, offset, size);

		EXPECT_EQ(pci_hw_config(self->bdf, offset, size), before);
		EXPECT_EQ(0, config_write(self->fd, offset, size, 0));
		EXPECT_EQ(before, config_read(self->fd, offset, size));
		EXPECT_EQ(0, config_write(self->fd, offset, size, 0xffffffff));
		EXPECT_EQ(before, config_read(self->fd, offset, size)) {
			TH_LOG("offset %#x", offset);
		}
		EXPECT_EQ(before, pci_hw_config(self->bdf, offset, size));
	}
}

/* 7-15: one large read is as good as many small ones, at any offset. */
TEST_F(config, chunks)
{
	uint8_t bytes[64], data[64];
	unsigned int offset, size, i;

	for (i = 0; i < 64; i++)
		bytes[i] = config_read(self->fd, i, 1);
	for (offset = 0; offset < 9; offset++) {
		for (size = 1; size <= 55; size += 6) {
			ASSERT_EQ(size, region_read(self->fd,
						    VFIO_PCI_CONFIG_REGION_INDEX,
						    offset, data, size));
			EXPECT_EQ(0, memcmp(bytes + offset, data, size)) {
				TH_LOG("%u bytes at %u", size, offset);
			}
		}
	}
	for (offset = 0; offset < 64; offset += 2) {
		EXPECT_EQ(bytes[offset] | bytes[offset + 1] << 8,
			  config_read(self->fd, offset, 2));
	}
}

/* 7-24, 7-29: memory decoding and bus mastering are the hardware's. */
TEST_F(config, command)
{
	const uint16_t bits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	long command = config_read(self->fd, PCI_COMMAND, 2);

	EXPECT_EQ(0, command & PCI_COMMAND_MASTER);
	EXPECT_NE(0, command & PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command | bits));
	EXPECT_EQ(bits, config_read(self->fd, PCI_COMMAND, 2) & bits);
	EXPECT_EQ(bits, pci_hw_config(self->bdf, PCI_COMMAND, 2) & bits);
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, 0));
	EXPECT_EQ(0, config_read(self->fd, PCI_COMMAND, 2) & bits);
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) & bits);
	/* One byte, and a dword that has the status in it. */
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 1, PCI_COMMAND_MEMORY));
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(self->fd, PCI_COMMAND, 2) & bits);
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 4, bits));
	EXPECT_EQ(bits, pci_hw_config(self->bdf, PCI_COMMAND, 2) & bits);
}

/* 7-28, 10-18: the user's own switch for INTx. */
TEST_F(config, intx_disable)
{
	const uint16_t bit = PCI_COMMAND_INTX_DISABLE;
	long command = config_read(self->fd, PCI_COMMAND, 2);

	EXPECT_EQ(0, command & bit);
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command | bit));
	EXPECT_EQ(command | bit, config_read(self->fd, PCI_COMMAND, 2));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND + 1, 1, command >> 8));
	EXPECT_EQ(command, config_read(self->fd, PCI_COMMAND, 2));
}

/* 7-35: what a driver reads after writing ones, and after writing an address. */
TEST_F(config, bar_sizing)
{
	bool upper_half = false;
	uint64_t start, size;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * i;
		long hw = pci_hw_config(self->bdf, offset, 4);
		uint32_t mask, flags;

		/* The upper half is sized with the lower one. */
		if (!upper_half) {
			ASSERT_EQ(0, pci_resource(self->bdf, i, &start, &size));
		}
		flags = hw & PCI_BASE_ADDRESS_SPACE_IO ? hw & 3 : hw & 15;
		mask = upper_half ? -size >> 32 : (uint32_t)-size | flags;
		if (!size)
			mask = 0;
		EXPECT_EQ(0, config_write(self->fd, offset, 4, 0xffffffff));
		EXPECT_EQ(mask, config_read(self->fd, offset, 4)) {
			TH_LOG("BAR %u", i);
		}
		EXPECT_EQ(0, config_write(self->fd, offset, 4, 0xabcdef50));
		EXPECT_EQ((0xabcdef50 & mask) |
			  (size && !upper_half ? flags : 0),
			  config_read(self->fd, offset, 4)) {
			TH_LOG("BAR %u", i);
		}
		EXPECT_EQ(0, config_write(self->fd, offset + 3, 1, 0x12));
		EXPECT_EQ(0x12 & (mask >> 24), config_read(self->fd, offset + 3, 1));
		EXPECT_EQ(hw, pci_hw_config(self->bdf, offset, 4));
		upper_half = !upper_half && size &&
			     !(hw & PCI_BASE_ADDRESS_SPACE_IO) &&
			     (hw & PCI_BASE_ADDRESS_MEM_TYPE_64);
	}
}

/* 7-38 */
TEST_F(config, rom_bar)
{
	uint64_t start, size;
	uint32_t mask;
	long hw = pci_hw_config(self->bdf, PCI_ROM_ADDRESS, 4);

	ASSERT_EQ(0, pci_resource(self->bdf, 6, &start, &size));
	mask = size ? (uint32_t)-size : 0;
	EXPECT_EQ(0, config_write(self->fd, PCI_ROM_ADDRESS, 4, 0xffffffff));
	EXPECT_EQ(size ? mask | PCI_ROM_ADDRESS_ENABLE : 0,
		  config_read(self->fd, PCI_ROM_ADDRESS, 4));
	EXPECT_EQ(0, config_write(self->fd, PCI_ROM_ADDRESS, 4, 0xabcde800));
	EXPECT_EQ(0xabcde800 & mask, config_read(self->fd, PCI_ROM_ADDRESS, 4));
	EXPECT_EQ(0, config_write(self->fd, PCI_ROM_ADDRESS, 4, 0));
	EXPECT_EQ(0, config_read(self->fd, PCI_ROM_ADDRESS, 4));
	EXPECT_EQ(hw, pci_hw_config(self->bdf, PCI_ROM_ADDRESS, 4));
}

/* 7-40: the user's to keep what it likes in. */
TEST_F(config, interrupt_line)
{
	long hw = pci_hw_config(self->bdf, PCI_INTERRUPT_LINE, 1);

	EXPECT_EQ(0, config_write(self->fd, PCI_INTERRUPT_LINE, 1, 0xa5));
	EXPECT_EQ(0xa5, config_read(self->fd, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(hw, pci_hw_config(self->bdf, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(0, config_write(self->fd, PCI_INTERRUPT_LINE, 1, 0x5a));
	EXPECT_EQ(0x5a, config_read(self->fd, PCI_INTERRUPT_LINE, 1));
}

/* 7-33: written through. */
TEST_F(config, cache_line_size)
{
	long before = config_read(self->fd, PCI_CACHE_LINE_SIZE, 1);

	EXPECT_EQ(0, config_write(self->fd, PCI_CACHE_LINE_SIZE, 1, 0x20));
	EXPECT_EQ(0x20, config_read(self->fd, PCI_CACHE_LINE_SIZE, 1));
	EXPECT_EQ(0x20, pci_hw_config(self->bdf, PCI_CACHE_LINE_SIZE, 1));
	EXPECT_EQ(0, config_write(self->fd, PCI_CACHE_LINE_SIZE, 1, before));
}

/* 7-31, 7-43, 7-45: the list is consistent, and its headers are read-only. */
TEST_F(config, capability_list)
{
	long offset = config_read(self->fd, PCI_CAPABILITY_LIST, 1);
	bool listed = config_read(self->fd, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST;
	unsigned int count = 0;

	EXPECT_EQ(listed, offset != 0);
	while (offset) {
		long header = config_read(self->fd, offset, 2);

		ASSERT_LE(0x40, offset);
		ASSERT_EQ(0, offset & 3);
		ASSERT_GT(48, ++count);
		EXPECT_EQ(pci_hw_config(self->bdf, offset, 1), header & 0xff);
		EXPECT_EQ(0, config_write(self->fd, offset, 2, 0));
		EXPECT_EQ(header, config_read(self->fd, offset, 2));
		EXPECT_EQ(0, config_write(self->fd, offset + 1, 1, 0xff));
		EXPECT_EQ(header, config_read(self->fd, offset, 2));
		offset = header >> 8;
	}
	if (!strcmp(variant->name, "TESTDEV")) {
		EXPECT_EQ(0, count);
	} else if (strcmp(variant->name, "IVSHMEM")) {
		EXPECT_LT(0, count);
	}
}

/* A device and one of its capabilities. */
struct capability {
	struct vfio_session session;
	const char *bdf;
	int fd;
	long cap;
};

#define CAPABILITY_SETUP(dev, name, id)					\
	do {								\
		SHARE_DEVICE(&(dev)->session, name);			\
		(dev)->bdf = (dev)->session.bdf;			\
		(dev)->fd = (dev)->session.device;			\
		(dev)->cap = config_cap((dev)->fd, id);			\
		ASSERT_LT(0, (dev)->cap);				\
	} while (0)

FIXTURE(pm)
{
	struct capability dev;
};

FIXTURE_VARIANT(pm)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(pm, nvme)
{
	.name = "NVME",
};

FIXTURE_VARIANT_ADD(pm, e1000e)
{
	.name = "E1000E",
};

FIXTURE_VARIANT_ADD(pm, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(pm)
{
	CAPABILITY_SETUP(&self->dev, variant->name, PCI_CAP_ID_PM);
}

FIXTURE_TEARDOWN(pm)
{
	EXPECT_EQ(0, session_finish(&self->dev.session));
}

/* 7-46: no PME for the user, whatever the hardware could. */
TEST_F(pm, without_pme)
{
	long cap = self->dev.cap;
	long control;

	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_PM_PMC, 2) &
		     PCI_PM_CAP_PME_MASK);
	control = config_read(self->dev.fd, cap + PCI_PM_CTRL, 2);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_PM_CTRL, 2,
				  control | PCI_PM_CTRL_PME_ENABLE |
				  PCI_PM_CTRL_PME_STATUS));
	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_PM_CTRL, 2) &
		     (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_PM_PMC, 2, 0xffff));
	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_PM_PMC, 2) &
		     PCI_PM_CAP_PME_MASK);
}

/* 7-47, 7-6: in D3hot there is no access to memory; in D0 there is again. */
TEST_F(pm, state)
{
	long cap = self->dev.cap;
	uint32_t value;

	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(4, region_read(self->dev.fd, 0, 0, &value, 4));
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(3, config_read(self->dev.fd, cap + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(-EIO, region_read(self->dev.fd, 0, 0, &value, 4));
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_PM_CTRL, 2, 0));
	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(0, memory_enable(self->dev.fd, true));
	EXPECT_EQ(4, region_read(self->dev.fd, 0, 0, &value, 4));
}

FIXTURE(msi)
{
	struct capability dev;
};

FIXTURE_VARIANT(msi)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(msi, edu)
{
	.name = "EDU",
};

FIXTURE_VARIANT_ADD(msi, e1000e)
{
	.name = "E1000E",
};

FIXTURE_VARIANT_ADD(msi, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(msi)
{
	CAPABILITY_SETUP(&self->dev, variant->name, PCI_CAP_ID_MSI);
}

FIXTURE_TEARDOWN(msi)
{
	EXPECT_EQ(0, session_finish(&self->dev.session));
}

/* 7-50, 7-51: the message is the user's to play with, the switch is not. */
TEST_F(msi, message)
{
	long cap = self->dev.cap;
	uint16_t bits = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;
	long flags, hw_flags, hw_address;

	flags = config_read(self->dev.fd, cap + PCI_MSI_FLAGS, 2);
	hw_flags = pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2);
	hw_address = pci_hw_config(self->dev.bdf, cap + PCI_MSI_ADDRESS_LO, 4);
	EXPECT_EQ(0, flags & PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSI_FLAGS, 2, flags | bits));
	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_MSI_FLAGS, 2) & bits);
	EXPECT_EQ(0, pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2) & bits);
	EXPECT_EQ(hw_flags, pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2));

	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSI_ADDRESS_LO, 4,
				  0xfee01230));
	EXPECT_EQ(0xfee01230, config_read(self->dev.fd, cap + PCI_MSI_ADDRESS_LO, 4));
	EXPECT_EQ(hw_address, pci_hw_config(self->dev.bdf, cap + PCI_MSI_ADDRESS_LO,
					    4));
	ASSERT_NE(0, flags & PCI_MSI_FLAGS_64BIT);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSI_DATA_64, 2, 0x4321));
	EXPECT_EQ(0x4321, config_read(self->dev.fd, cap + PCI_MSI_DATA_64, 2));
	EXPECT_NE(0x4321, pci_hw_config(self->dev.bdf, cap + PCI_MSI_DATA_64, 2));
}

/* 7-51: while MSI is on by SET_IRQS, the enable bit switches the hardware. */
TEST_F(msi, enable)
{
	long cap = self->dev.cap;
	const uint16_t bit = PCI_MSI_FLAGS_ENABLE;
	int event = event_new();
	long flags;

	flags = config_read(self->dev.fd, cap + PCI_MSI_FLAGS, 2) & ~bit;
	ASSERT_EQ(0, irq_eventfd(self->dev.fd, VFIO_PCI_MSI_IRQ_INDEX, 0, event));
	EXPECT_EQ(bit, pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2) & bit);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSI_FLAGS, 2, flags | bit));
	EXPECT_EQ(bit, config_read(self->dev.fd, cap + PCI_MSI_FLAGS, 2) & bit);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSI_FLAGS, 2, flags));
	EXPECT_EQ(0, config_read(self->dev.fd, cap + PCI_MSI_FLAGS, 2) & bit);
	EXPECT_EQ(0, pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2) & bit);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSI_FLAGS, 2, flags | bit));
	EXPECT_EQ(bit, pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2) & bit);
	EXPECT_EQ(0, irq_disable(self->dev.fd, VFIO_PCI_MSI_IRQ_INDEX));
	EXPECT_EQ(0, pci_hw_config(self->dev.bdf, cap + PCI_MSI_FLAGS, 2) & bit);
}

FIXTURE(msix)
{
	struct capability dev;
};

FIXTURE_VARIANT(msix)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(msix, nvme)
{
	.name = "NVME",
};

FIXTURE_VARIANT_ADD(msix, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(msix)
{
	CAPABILITY_SETUP(&self->dev, variant->name, PCI_CAP_ID_MSIX);
}

FIXTURE_TEARDOWN(msix)
{
	EXPECT_EQ(0, session_finish(&self->dev.session));
}

/* 7-58 */
TEST_F(msix, is_read_only)
{
	long cap = self->dev.cap;
	long before[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		before[i] = config_read(self->dev.fd, cap + 4 * i, 4);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSIX_FLAGS, 2,
				  PCI_MSIX_FLAGS_ENABLE |
				  PCI_MSIX_FLAGS_MASKALL));
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSIX_TABLE, 4, 0));
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_MSIX_PBA, 4, 0xffffffff));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(before[i], config_read(self->dev.fd, cap + 4 * i, 4));
		EXPECT_EQ(before[i] & ~0xff00L,
			  pci_hw_config(self->dev.bdf, cap + 4 * i, 4) & ~0xff00L);
	}
}

FIXTURE(express)
{
	struct capability dev;
};

FIXTURE_VARIANT(express)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(express, nvme)
{
	.name = "NVME",
};

FIXTURE_VARIANT_ADD(express, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(express)
{
	CAPABILITY_SETUP(&self->dev, variant->name, PCI_CAP_ID_EXP);
}

FIXTURE_TEARDOWN(express)
{
	EXPECT_EQ(0, session_finish(&self->dev.session));
}

/* 7-55, 7-57: sizes of payloads are the host's business. */
TEST_F(express, control)
{
	long cap = self->dev.cap;
	long control, hw, status;

	control = config_read(self->dev.fd, cap + PCI_EXP_DEVCTL, 2);
	hw = pci_hw_config(self->dev.bdf, cap + PCI_EXP_DEVCTL, 2);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_EXP_DEVCTL, 2,
				  control ^ 0x20));
	EXPECT_EQ(control ^ 0x20, config_read(self->dev.fd, cap + PCI_EXP_DEVCTL, 2));
	EXPECT_EQ(hw & PCI_EXP_DEVCTL_PAYLOAD,
		  pci_hw_config(self->dev.bdf, cap + PCI_EXP_DEVCTL, 2) &
		  PCI_EXP_DEVCTL_PAYLOAD);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_EXP_DEVCTL, 2, control));
	/* Which errors are reported is up to the user, if up to anyone. */
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_EXP_DEVCTL, 2,
				  control ^ PCI_EXP_DEVCTL_CERE));
	control = config_read(self->dev.fd, cap + PCI_EXP_DEVCTL, 2);
	EXPECT_EQ(control & PCI_EXP_DEVCTL_CERE,
		  pci_hw_config(self->dev.bdf, cap + PCI_EXP_DEVCTL, 2) &
		  PCI_EXP_DEVCTL_CERE);
	if (!strcmp(variant->name, "NVME")) {
		EXPECT_NE(hw & PCI_EXP_DEVCTL_CERE,
			  control & PCI_EXP_DEVCTL_CERE);
	}
	/* Capabilities and link control are read-only. */
	status = config_read(self->dev.fd, cap + PCI_EXP_DEVCAP, 4);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_EXP_DEVCAP, 4, 0));
	EXPECT_EQ(status, config_read(self->dev.fd, cap + PCI_EXP_DEVCAP, 4));
	status = config_read(self->dev.fd, cap + PCI_EXP_LNKCTL, 2);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_EXP_LNKCTL, 2,
				  status ^ PCI_EXP_LNKCTL_LD));
	EXPECT_EQ(status, config_read(self->dev.fd, cap + PCI_EXP_LNKCTL, 2));
}

/* 7-56: a function reset through configuration space; the bit reads zero. */
TEST_F(express, function_level_reset)
{
	long cap = self->dev.cap;
	long control;

	if (!(config_read(self->dev.fd, cap + PCI_EXP_DEVCAP, 4) &
	      PCI_EXP_DEVCAP_FLR))
		SKIP(return, "%s has no function level reset", variant->name);
	EXPECT_EQ(0, config_write(self->dev.fd, PCI_INTERRUPT_LINE, 1, 0x99));
	control = config_read(self->dev.fd, cap + PCI_EXP_DEVCTL, 2);
	EXPECT_EQ(0, config_write(self->dev.fd, cap + PCI_EXP_DEVCTL, 2,
				  control | PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_EQ(control, config_read(self->dev.fd, cap + PCI_EXP_DEVCTL, 2));
	EXPECT_EQ(0x99, config_read(self->dev.fd, PCI_INTERRUPT_LINE, 1));
}

/* 7-60 to 7-62, 7-65 */
TEST_F(express, extended)
{
	long offset = PCI_CFG_SPACE_SIZE;
	long size = region_size(self->dev.fd, VFIO_PCI_CONFIG_REGION_INDEX);
	unsigned int count = 0;
	uint8_t byte = 0;
	long mask, header, aer, dsn;

	EXPECT_EQ(-EFAULT, region_read(self->dev.fd, VFIO_PCI_CONFIG_REGION_INDEX,
				       size, &byte, 1));
	if (size == PCI_CFG_SPACE_SIZE)
		SKIP(return, "%s has no extended configuration space here",
		     variant->name);
	while (offset) {
		header = config_read(self->dev.fd, offset, 4);
		if (!header)
			break;
		ASSERT_GT(64, ++count);
		ASSERT_LE(PCI_CFG_SPACE_SIZE, offset);
		EXPECT_EQ(0, config_write(self->dev.fd, offset, 4, 0xffffffff));
		EXPECT_EQ(header, config_read(self->dev.fd, offset, 4));
		offset = PCI_EXT_CAP_NEXT(header);
	}
	aer = config_ext_cap(self->dev.fd, PCI_EXT_CAP_ID_ERR);
	if (aer > 0) {
		mask = config_read(self->dev.fd, aer + PCI_ERR_UNCOR_MASK, 4);
		EXPECT_EQ(0, config_write(self->dev.fd, aer + PCI_ERR_UNCOR_MASK, 4,
					  mask ^ PCI_ERR_UNC_POISON_TLP));
		EXPECT_EQ(mask ^ PCI_ERR_UNC_POISON_TLP,
			  config_read(self->dev.fd, aer + PCI_ERR_UNCOR_MASK, 4));
		EXPECT_EQ(0, config_write(self->dev.fd, aer + PCI_ERR_UNCOR_MASK, 4,
					  mask));
		header = config_read(self->dev.fd, aer + PCI_ERR_HEADER_LOG, 4);
		EXPECT_EQ(0, config_write(self->dev.fd, aer + PCI_ERR_HEADER_LOG, 4,
					  ~header));
		EXPECT_EQ(header, config_read(self->dev.fd, aer + PCI_ERR_HEADER_LOG,
					      4));
	}
	dsn = config_ext_cap(self->dev.fd, PCI_EXT_CAP_ID_DSN);
	if (dsn > 0) {
		header = config_read(self->dev.fd, dsn + 4, 4);
		EXPECT_EQ(0, config_write(self->dev.fd, dsn + 4, 4, ~header));
		EXPECT_EQ(header, config_read(self->dev.fd, dsn + 4, 4));
	}
}

VFIO_TEST_MAIN_OPEN("EDU", "TESTDEV", "IVSHMEM", "NVME", "E1000E", "IGB")
