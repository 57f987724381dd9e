// SPDX-License-Identifier: GPL-2.0
/*
 * What a device is, read past VFIO from sysfs: so it is the same with any stack.
 * See compare.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "compare.h"

#define IO_RESOURCE	0x100

/*
 * Where contents are stable: nothing here starts DMA or raises an interrupt, and
 * what is read is what was written, or constant.
 */
static const struct window edu_windows[] = {
	{ 0, 0x0, 4, false },
	{ 0, 0x4, 4, true },
	{ 0, 0x24, 4, false },
};

static const struct window ivshmem_windows[] = {
	{ 2, 0x0, 0x3000, true },
	{ 2, 0x1ff000, 0x2000, true },
};

static const struct window nvme_windows[] = {
	{ 0, 0x0, 0xc, false },
	{ 0, 0x24, 0x14, true },
};

static const struct window nvme_memory_windows[] = {
	{ 0, 0x0, 0xc, false },
	{ 0, 0x24, 0x14, true },
	{ 2, 0x0, 0x3000, true },
	{ 2, 0x200000, 0x1000, true },
};

/* Multicast and VLAN tables. */
static const struct window ethernet_windows[] = {
	{ 0, 0x5200, 0x200, true },
	{ 0, 0x5600, 0x200, true },
};

/* Feature selection and what it shows; the hardware address. */
static const struct window virtio_windows[] = {
	{ 4, 0x0, 0xc, true },
	{ 4, 0x2000, 0x6, false },
};

/* The frame buffer; identification of the display interface. */
static const struct window vga_windows[] = {
	{ 0, 0x100000, 0x3000, true },
	{ 2, 0x500, 0x2, false },
};

#define WINDOWS(name, array)	{ name, array, ARRAY_SIZE(array) }

static const struct {
	const char *name;
	const struct window *windows;
	unsigned int count;
} device_windows[] = {
	WINDOWS("EDU", edu_windows),
	WINDOWS("SHARED_EDU", edu_windows),
	WINDOWS("IVSHMEM", ivshmem_windows),
	WINDOWS("PORT_IVSHMEM", ivshmem_windows),
	WINDOWS("NVME", nvme_memory_windows),
	WINDOWS("PORT_NVME", nvme_windows),
	WINDOWS("E1000E", ethernet_windows),
	WINDOWS("IGB", ethernet_windows),
	WINDOWS("VIRTIO_NET", virtio_windows),
	WINDOWS("VGA", vga_windows),
};

static unsigned int word(const struct layout *layout, unsigned int offset)
{
	return layout->config[offset] | layout->config[offset + 1] << 8;
}

static void cap_add(struct layout *layout, unsigned int offset, unsigned int id,
		    bool extended)
{
	struct capability *cap;

	if (layout->nr_caps == CAPABILITIES)
		return;
	cap = &layout->caps[layout->nr_caps++];
	cap->offset = offset;
	cap->id = id;
	cap->extended = extended;
}

static void caps_read(struct layout *layout)
{
	unsigned int offset = layout->config[PCI_CAPABILITY_LIST] & ~3;
	unsigned int budget = CAPABILITIES;

	while (offset >= PCI_STD_HEADER_SIZEOF && budget--) {
		cap_add(layout, offset, layout->config[offset], false);
		offset = layout->config[offset + PCI_CAP_LIST_NEXT] & ~3;
	}
	offset = PCI_CFG_SPACE_SIZE;
	while (offset >= PCI_CFG_SPACE_SIZE &&
	       offset + 4 <= layout->config_size && budget--) {
		if (!word(layout, offset))
			break;
		cap_add(layout, offset, word(layout, offset), true);
		offset = word(layout, offset + 2) >> 4 & ~3;
	}
}

/* A capability extends to the next one in space, whatever its length may be. */
static void caps_measure(struct layout *layout)
{
	unsigned int i, j;

	for (i = 0; i < layout->nr_caps; i++) {
		struct capability *cap = &layout->caps[i];
		unsigned int end = cap->extended ? layout->config_size :
						   PCI_CFG_SPACE_SIZE;

		for (j = 0; j < layout->nr_caps; j++) {
			unsigned int other = layout->caps[j].offset;

			if (other > cap->offset && other < end)
				end = other;
		}
		cap->length = end - cap->offset;
	}
}

static int bars_read(struct layout *layout)
{
	unsigned long long first, last, flags;
	unsigned int bar;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource",
		 layout->bdf);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	for (bar = 0; bar < BARS; bar++) {
		if (fscanf(file, "%llx %llx %llx", &first, &last, &flags) != 3)
			break;
		layout->bar_size[bar] = last ? last - first + 1 : 0;
		layout->bar_io[bar] = flags & IO_RESOURCE;
	}
	fclose(file);
	return bar == BARS ? 0 : -EIO;
}

/* Reads what the device is. The file of its config space stays open. */
int layout_read(struct layout *layout, const char *name, const char *bdf)
{
	char path[128];
	unsigned int i;
	long ret;

	layout->name = name;
	snprintf(layout->bdf, sizeof(layout->bdf), "%s", bdf);
	if (!layout->token)
		snprintf(layout->open_name, sizeof(layout->open_name), "%s",
			 bdf);
	for (i = 0; i < ARRAY_SIZE(device_windows); i++) {
		if (!strcmp(device_windows[i].name, name)) {
			layout->windows = device_windows[i].windows;
			layout->nr_windows = device_windows[i].count;
		}
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	layout->config_fd = open(path, O_RDWR | O_CLOEXEC);
	if (layout->config_fd < 0)
		return -errno;
	ret = sys_result(pread(layout->config_fd, layout->config,
			       sizeof(layout->config), 0));
	if (ret < PCI_CFG_SPACE_SIZE)
		return ret < 0 ? ret : -EIO;
	layout->config_size = ret;
	caps_read(layout);
	caps_measure(layout);
	return bars_read(layout);
}

const struct capability *layout_cap(const struct layout *layout,
				    unsigned int id, bool extended)
{
	unsigned int i;

	for (i = 0; i < layout->nr_caps; i++) {
		const struct capability *cap = &layout->caps[i];

		if (cap->id == id && cap->extended == extended)
			return cap;
	}
	return NULL;
}

/*
 * Whether the hardware's dword at @offset may differ between runs: MSI address
 * and data name a vector of the host.
 */
bool layout_volatile(const struct layout *layout, unsigned int offset)
{
	const struct capability *msi = layout_cap(layout, PCI_CAP_ID_MSI, false);

	return msi && offset >= msi->offset + PCI_MSI_ADDRESS_LO &&
	       offset < msi->offset + PCI_MSI_MASK_64;
}

uint32_t layout_hardware(const struct layout *layout, unsigned int offset)
{
	uint32_t value = ~0U;

	if (pread(layout->config_fd, &value, sizeof(value), offset) !=
	    sizeof(value))
		return ~0U;
	return value;
}

/*
 * Keeps the device powered on past VFIO, or leaves that to VFIO. What a suspended
 * device shows would depend on how long ago it was closed.
 */
void layout_power(const struct layout *layout, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/control",
		 layout->bdf);
	file_write(path, on ? "on" : "auto");
}

/* Gives the hardware the config space back that it had in the beginning. */
void layout_restore(const struct layout *layout)
{
	const struct capability *express =
		layout_cap(layout, PCI_CAP_ID_EXP, false);
	uint16_t errors = 0xf900;
	unsigned int offset;
	uint32_t value;

	for (offset = PCI_CACHE_LINE_SIZE; offset < layout->config_size;
	     offset += sizeof(value)) {
		memcpy(&value, layout->config + offset, sizeof(value));
		if (value == layout_hardware(layout, offset))
			continue;
		if (pwrite(layout->config_fd, &value, sizeof(value), offset) < 0)
			break;
	}
	/* Bits that stay until one is written to them. */
	if (pwrite(layout->config_fd, &errors, sizeof(errors), PCI_STATUS) < 0)
		return;
	errors = PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED |
		 PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD;
	if (express && pwrite(layout->config_fd, &errors, sizeof(errors),
			      express->offset + PCI_EXP_DEVSTA) < 0)
		return;
}
