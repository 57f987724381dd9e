// SPDX-License-Identifier: GPL-2.0
/*
 * Every bit of every device's configuration space: what it reads, and what a
 * write does to it and to the hardware, against the tables of config_model.c.
 * The digest of a device is the same for any driver that does the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "config_model.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

/* More of the same would only make the log longer. */
#define MOST_COMPLAINTS	16

struct space {
	struct vfio_session session;
	const char *bdf;
	/* The hardware's configuration space, past VFIO. */
	int hw;
	struct config_model model;
	uint32_t digest;
	unsigned int wrong;
};

static uint32_t user_get(struct space *space, unsigned int offset,
			 unsigned int size)
{
	return config_read(space->session.device, offset, size);
}

static void user_put(struct space *space, unsigned int offset,
		     unsigned int size, uint32_t value)
{
	if (config_write(space->session.device, offset, size, value))
		space->wrong++;
}

static uint32_t hw_get(struct space *space, unsigned int offset,
		       unsigned int size)
{
	uint32_t value = 0;

	if (pread(space->hw, &value, size, offset) != size)
		space->wrong++;
	return value;
}

static void hw_put(struct space *space, unsigned int offset, uint8_t value)
{
	if (pwrite(space->hw, &value, 1, offset) != 1)
		space->wrong++;
}

/* Without what is known to differ, so that it is the same on both. */
static void digest(struct space *space, unsigned int offset, uint8_t value)
{
	value &= ~space->model.differ[offset];
	space->digest = (space->digest ^ value) * 16777619;
}

static void complain(struct space *space, const char *what, unsigned int offset,
		     uint32_t got, uint32_t expected)
{
	if (space->wrong++ < MOST_COMPLAINTS)
		printf("# %s %#05x: %#x, expected %#x\n", what, offset, got,
		       expected);
}

static long sysfs_number(const char *bdf, const char *file)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	if (file_read(path, text, sizeof(text)) < 0)
		return -1;
	return strtol(text, NULL, 0);
}

/* What the host made of a BAR when it found it: see linux/ioport.h. */
#define RESOURCE_IO		0x00000100
#define RESOURCE_PREFETCH	0x00002000
#define RESOURCE_MEM_64		0x00100000

static uint8_t bar_type(unsigned long long flags)
{
	if (flags & RESOURCE_IO)
		return PCI_BASE_ADDRESS_SPACE_IO;
	return (flags & RESOURCE_MEM_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	       (flags & RESOURCE_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
}

static void resources_of(const char *bdf, struct config_facts *facts)
{
	unsigned long long start, end, flags;
	char path[128];
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", bdf);
	file = fopen(path, "re");
	if (!file)
		return;
	for (i = 0; i < 7; i++) {
		if (fscanf(file, "%llx %llx %llx", &start, &end, &flags) != 3)
			break;
		facts->sizes[i] = start ? end - start + 1 : 0;
		if (i < 6 && start)
			facts->types[i] = bar_type(flags);
	}
	fclose(file);
}

static void facts_of(const char *bdf, struct config_facts *facts)
{
	char path[128];

	memset(facts, 0, sizeof(*facts));
	facts->driver = on_c_modules() ? CONFIG_C : CONFIG_RUST;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", bdf);
	facts->is_virtual = !access(path, F_OK);
	facts->vendor = sysfs_number(bdf, "vendor");
	facts->device = sysfs_number(bdf, "device");
	facts->has_irq = sysfs_number(bdf, "irq") > 0;
	resources_of(bdf, facts);
}

/* Works out what to expect of a device that is open. */
static int space_examine(struct space *space, const char *bdf)
{
	uint8_t hardware[CONFIG_SIZE];
	struct config_facts facts;
	char path[128];
	long size;

	space->bdf = bdf;
	space->digest = 2166136261;
	space->wrong = 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	space->hw = open(path, O_RDWR | O_CLOEXEC);
	if (space->hw < 0)
		return -ENOENT;
	size = pread(space->hw, hardware, sizeof(hardware), 0);
	if (size < PCI_CFG_SPACE_SIZE)
		return -EIO;
	facts_of(bdf, &facts);
	config_model(&space->model, hardware, size, &facts);
	return 0;
}

static int space_open(struct space *space, const char *bdf)
{
	int ret = session_open(&space->session, bdf, VFIO_TYPE1v2_IOMMU);

	return ret ? ret : space_examine(space, bdf);
}

static void space_close(struct space *space)
{
	session_close(&space->session);
	close(space->hw);
}

/* What each byte reads when nothing has been written. */
static void check_first(struct space *space)
{
	const struct config_model *model = &space->model;
	uint8_t user[CONFIG_SIZE], hw[CONFIG_SIZE];
	unsigned int offset;

	if (region_read(space->session.device, VFIO_PCI_CONFIG_REGION_INDEX, 0,
			user, model->size) != model->size ||
	    pread(space->hw, hw, model->size, 0) != model->size) {
		space->wrong++;
		return;
	}
	for (offset = 0; offset < model->size; offset++) {
		uint8_t virt = model->virt[offset];
		uint8_t expected = (hw[offset] & ~virt) |
				   (model->shadow[offset] & virt);

		if (user[offset] != expected)
			complain(space, "at first", offset, user[offset],
				 expected);
		digest(space, offset, user[offset]);
	}
}

/*
 * Far from any capability, one byte is like the next. Most of 4 KiB is of this
 * kind, and takes long on a kernel that checks everything.
 */
static bool is_gap(const struct config_model *model, unsigned int offset)
{
	unsigned int i;

	if (offset < PCI_STD_HEADER_SIZEOF + 8 || offset + 8 >= model->size ||
	    offset % 251 < 8)
		return false;
	for (i = offset - 8; i < offset + 8; i++) {
		if (model->virt[i] || model->write[i] != 0xff)
			return false;
	}
	return true;
}

/* What the hardware makes of a write, when the host does it. */
static uint8_t hw_try(struct space *space, unsigned int offset, uint8_t before,
		      uint8_t value)
{
	uint8_t after;

	hw_put(space, offset, before);
	hw_put(space, offset, value);
	after = hw_get(space, offset, 1);
	hw_put(space, offset, before);
	return after;
}

/*
 * Writes a byte: bits that are made up change as far as they can be written,
 * bits of the hardware do what they do when the host writes them, and all others
 * stay.
 */
static void check_write(struct space *space, unsigned int offset, uint8_t value)
{
	const struct config_model *model = &space->model;
	uint8_t virt = model->virt[offset], write = model->write[offset];
	uint8_t real = write & ~virt;
	uint8_t before = user_get(space, offset, 1);
	uint8_t hw_before = hw_get(space, offset, 1);
	uint8_t hw_after, hw_expected = hw_before;
	uint8_t got, expected;

	value = (value & ~model->keep[offset]) | (before & model->keep[offset]);
	user_put(space, offset, 1, value);
	got = user_get(space, offset, 1);
	hw_after = hw_get(space, offset, 1);
	expected = (hw_after & ~virt) | (before & virt & ~write) |
		   (value & virt & write);
	if (got != expected)
		complain(space, value ? "after ones" : "after zeros", offset, got,
			 expected);
	digest(space, offset, got);
	user_put(space, offset, 1, before);
	if (real)
		hw_expected = hw_try(space, offset, hw_before,
				     (hw_before & ~real) | (value & real));
	if ((hw_after ^ hw_expected) & ~model->loose[offset])
		complain(space, value ? "hardware after ones" :
			 "hardware after zeros", offset, hw_after, hw_expected);
}

/* Several bytes at once, of several registers and capabilities perhaps. */
static void check_wide(struct space *space, unsigned int offset,
		       unsigned int size, uint8_t value)
{
	const struct config_model *model = &space->model;
	uint8_t before[8], now[8], bytes[8];
	unsigned int i;

	for (i = 0; i < size; i++) {
		if (model->keep[offset + i])
			return;
		bytes[i] = value;
	}
	if (region_read(space->session.device, VFIO_PCI_CONFIG_REGION_INDEX,
			offset, before, size) != size ||
	    region_write(space->session.device, VFIO_PCI_CONFIG_REGION_INDEX,
			 offset, bytes, size) != size ||
	    region_read(space->session.device, VFIO_PCI_CONFIG_REGION_INDEX,
			offset, now, size) != size) {
		space->wrong++;
		return;
	}
	for (i = 0; i < size; i++) {
		uint8_t virt = model->virt[offset + i];
		uint8_t write = model->write[offset + i];
		uint8_t expected = (hw_get(space, offset + i, 1) & ~virt) |
				   (before[i] & virt & ~write) |
				   (value & virt & write);

		if (now[i] != expected)
			complain(space, "in a wide access", offset + i, now[i],
				 expected);
		digest(space, offset + i, now[i]);
	}
	region_write(space->session.device, VFIO_PCI_CONFIG_REGION_INDEX, offset,
		     before, size);
}

static void check_all(struct space *space)
{
	const struct config_model *model = &space->model;
	unsigned int offset;

	check_first(space);
	for (offset = 0; offset < model->size; offset++) {
		if (model->keep[offset] == 0xff || is_gap(model, offset))
			continue;
		check_write(space, offset, 0xff);
		check_write(space, offset, 0x00);
	}
	for (offset = 0; offset + 4 <= model->size; offset += 4) {
		if (is_gap(model, offset))
			continue;
		check_wide(space, offset, 4, 0xff);
		check_wide(space, offset, 4, 0x00);
	}
	/* Not aligned: seven is no divisor of anything. */
	for (offset = 1; offset + 6 <= model->size; offset += 7) {
		if (!is_gap(model, offset))
			check_wide(space, offset, 6, 0xa5);
	}
	/* Nothing has been left behind. */
	check_first(space);
}

/*
 * 7-27: a device that has been reset behind the host's back gets its BARs back
 * when the user enables memory again.
 */
static void check_lost_bars(struct space *space)
{
	unsigned int offset, i;
	uint32_t saved[7], command, now;

	for (i = 0; i < 7; i++) {
		offset = i < 6 ? PCI_BASE_ADDRESS_0 + 4 * i : PCI_ROM_ADDRESS;
		saved[i] = hw_get(space, offset, 4);
	}
	command = user_get(space, PCI_COMMAND, 2);
	if (!(command & PCI_COMMAND_MEMORY))
		complain(space, "disabled", PCI_COMMAND, command, ~0);
	/* What a reset leaves: no decoding, no addresses. */
	hw_put(space, PCI_COMMAND, 0);
	for (offset = 0; offset < 24; offset++)
		hw_put(space, PCI_BASE_ADDRESS_0 + offset, 0);
	user_put(space, PCI_COMMAND, 2, command);
	for (i = 0; i < 7; i++) {
		offset = i < 6 ? PCI_BASE_ADDRESS_0 + 4 * i : PCI_ROM_ADDRESS;
		now = hw_get(space, offset, 4);
		if (now != saved[i])
			complain(space, "lost BAR", offset, now, saved[i]);
	}
	now = hw_get(space, PCI_COMMAND, 1);
	if (now != (command & 0xff))
		complain(space, "lost command", PCI_COMMAND, now, command & 0xff);
}

FIXTURE(whole)
{
	struct space space;
	const char *bdf;
};

FIXTURE_VARIANT(whole)
{
	const char *name;
	/* It has at least one of these. */
	bool standard, extended;
};

FIXTURE_VARIANT_ADD(whole, edu)
{
	.name = "EDU",
	.standard = true,
};

FIXTURE_VARIANT_ADD(whole, testdev)
{
	.name = "TESTDEV",
};

FIXTURE_VARIANT_ADD(whole, ivshmem)
{
	.name = "IVSHMEM",
};

FIXTURE_VARIANT_ADD(whole, nvme)
{
	.name = "NVME",
	.standard = true,
};

FIXTURE_VARIANT_ADD(whole, e1000e)
{
	.name = "E1000E",
	.standard = true,
	.extended = true,
};

FIXTURE_VARIANT_ADD(whole, igb)
{
	.name = "IGB",
	.standard = true,
	.extended = true,
};

FIXTURE_VARIANT_ADD(whole, port_nvme)
{
	.name = "PORT_NVME",
	.standard = true,
	.extended = true,
};

FIXTURE_VARIANT_ADD(whole, vga)
{
	.name = "VGA",
};

FIXTURE_VARIANT_ADD(whole, virtio_net)
{
	.name = "VIRTIO_NET",
	.standard = true,
};

FIXTURE_VARIANT_ADD(whole, port_igb)
{
	.name = "PORT_IGB",
	.standard = true,
	.extended = true,
};

FIXTURE_SETUP(whole)
{
	NEED_DEVICE(self->bdf, variant->name);
	ASSERT_EQ(0, space_open(&self->space, self->bdf));
}

FIXTURE_TEARDOWN(whole)
{
	EXPECT_EQ(0, session_works(&self->space.session));
	space_close(&self->space);
}

/*
 * 7-15 to 7-19, 7-21 to 7-24, 7-27, 7-31 to 7-46, 7-50, 7-52 to 7-55, 7-57, 7-58, 7-60
 * to 7-68
 */
TEST_F(whole, every_bit)
{
	struct space *space = &self->space;

	check_all(space);
	check_lost_bars(space);
	printf("# digest %s %08x, %u bytes, %u capabilities shown, %u hidden\n",
	       variant->name, space->digest, space->model.size,
	       space->model.visible, space->model.hidden);
	EXPECT_EQ(0, space->wrong);
	if (variant->standard) {
		EXPECT_LT(0, space->model.visible);
	}
	if (variant->extended) {
		EXPECT_EQ(CONFIG_SIZE, space->model.size);
	}
}

/* ---- a virtual function ---- */

#define TOKEN	"3f5c9a1e-7d24-4b68-9e0d-5a1b2c3d4e5f"

static const uint8_t token[16] = {
	0x3f, 0x5c, 0x9a, 0x1e, 0x7d, 0x24, 0x4b, 0x68,
	0x9e, 0x0d, 0x5a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f,
};

static long token_set(int device)
{
	struct {
		struct vfio_device_feature feature;
		uint8_t token[16];
	} request = {
		.feature.argsz = sizeof(request),
		.feature.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};

	memcpy(request.token, token, sizeof(token));
	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, &request);
}

FIXTURE(virtual)
{
	struct vfio_session physical;
	struct space space;
	const char *pf;
	char vf[32];
};

FIXTURE_SETUP(virtual)
{
	char name[96];
	int ret;

	NEED_DEVICE(self->pf, "PORT_IGB");
	self->space.session.device = -1;
	ASSERT_EQ(0, session_open(&self->physical, self->pf,
				  VFIO_TYPE1v2_IOMMU));
	ret = pci_allow_vfs(true) ?: pci_set_vfs(self->pf, "1");
	if (ret)
		SKIP(return, "no virtual functions: %s", strerror(-ret));
	ASSERT_EQ(0, token_set(self->physical.device));
	ASSERT_EQ(0, pci_first_vf(self->pf, self->vf, sizeof(self->vf)));
	ASSERT_EQ(0, pci_bind(self->vf, "vfio-pci"));
	ASSERT_EQ(0, session_join(&self->space.session, self->vf,
				  VFIO_TYPE1v2_IOMMU));
	snprintf(name, sizeof(name), "%s vf_token=%s", self->vf, TOKEN);
	self->space.session.device = group_device(self->space.session.group,
						  name);
	ASSERT_LE(0, self->space.session.device);
	ASSERT_EQ(0, space_examine(&self->space, self->vf));
}

FIXTURE_TEARDOWN(virtual)
{
	if (self->space.session.device >= 0)
		space_close(&self->space);
	session_close(&self->physical);
	pci_set_vfs(self->pf, "0");
}

/* 7-23, 7-30, 7-35, 7-41, and every bit, as of other devices. */
TEST_F(virtual, every_bit)
{
	struct space *space = &self->space;
	int fd = space->session.device;
	uint64_t start, size;
	uint32_t value;

	check_all(space);
	printf("# digest VF %08x, %u bytes, %u capabilities shown, %u hidden\n",
	       space->digest, space->model.size, space->model.visible,
	       space->model.hidden);
	EXPECT_EQ(0, space->wrong);
	EXPECT_LT(0, space->model.visible);
	EXPECT_EQ(0xffff, pci_hw_config(self->vf, PCI_VENDOR_ID, 2));
	EXPECT_EQ(sysfs_number(self->vf, "vendor"),
		  config_read(fd, PCI_VENDOR_ID, 2));
	EXPECT_EQ(sysfs_number(self->vf, "device"),
		  config_read(fd, PCI_DEVICE_ID, 2));
	EXPECT_EQ(0, config_read(fd, PCI_INTERRUPT_PIN, 1));
	/* The hardware has no BARs there; the user can size them. */
	ASSERT_EQ(0, pci_resource(self->vf, 0, &start, &size));
	EXPECT_EQ(0, pci_hw_config(self->vf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(0, config_write(fd, PCI_BASE_ADDRESS_0, 4, 0xffffffff));
	EXPECT_EQ((uint32_t)-size, config_read(fd, PCI_BASE_ADDRESS_0, 4) & ~15);
	/* Memory is on, and stays so whatever the bit says. */
	EXPECT_NE(0, config_read(fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(4, region_read(fd, 0, 0, &value, 4));
	EXPECT_EQ(0, memory_enable(fd, false));
	EXPECT_EQ(0, config_read(fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(4, region_read(fd, 0, 0, &value, 4));
	EXPECT_EQ(0, memory_enable(fd, true));
}

VFIO_TEST_MAIN("EDU", "TESTDEV", "IVSHMEM", "NVME", "E1000E", "IGB",
	       "PORT_NVME", "VGA", "VIRTIO_NET", "PORT_IGB")
