// SPDX-License-Identifier: GPL-2.0
/* Slots: config space past the kernel, and the power; see slot.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "slot.h"
#include "vfio_fixture.h"

/* Where the config space of all functions is in memory; 0 if that is not known. */
static uint64_t ecam_start(void)
{
	FILE *file = fopen("/proc/iomem", "r");
	uint64_t start = 0;
	char line[128];

	if (!file)
		return 0;
	while (!start && fgets(line, sizeof(line), file))
		if (strstr(line, "PCI ECAM 0000") || strstr(line, "PCI MMCONFIG 0000"))
			start = strtoull(line, NULL, 16);
	fclose(file);
	return start;
}

/* The config space of a function, mapped; NULL if that does not work. */
static volatile uint32_t *ecam_map(const char *bdf)
{
	const uint64_t start = ecam_start();
	unsigned int domain, bus, dev, fn;
	void *map = MAP_FAILED;
	int fd;

	if (!start || sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
		return NULL;
	fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd >= 0)
		map = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   start + (bus << 20 | dev << 15 | fn << 12));
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

/* The name of the bridge above a function. */
static int bridge_of(const char *bdf, char *bridge, size_t size)
{
	char path[128], *real, *end;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/..", bdf);
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	end = strrchr(real, '/');
	snprintf(bridge, size, "%s", end + 1);
	free(real);
	return 0;
}

/* The slot control register of a bridge, in its config space; NULL if it has none. */
static volatile uint16_t *find_control(volatile uint32_t *bridge)
{
	volatile uint8_t *config = (volatile uint8_t *)bridge;
	uint8_t offset;

	for (offset = config[PCI_CAPABILITY_LIST]; offset;
	     offset = config[offset + 1])
		if (config[offset] == PCI_CAP_ID_EXP)
			return (volatile uint16_t *)(config + offset +
						     PCI_EXP_SLTCTL);
	return NULL;
}

/* The slot of a function that works. -ENODEV if it has none, or not past the kernel. */
int slot_open(struct slot *slot, const char *bdf)
{
	char bridge[32];
	unsigned int i;

	*slot = (struct slot) {};
	if (bridge_of(bdf, bridge, sizeof(bridge)))
		return -ENODEV;
	slot->config = ecam_map(bdf);
	slot->bridge = ecam_map(bridge);
	if (slot->bridge)
		slot->control = find_control(slot->bridge);
	if (!slot->config || !slot->control) {
		slot_close(slot);
		return -ENODEV;
	}
	for (i = 0; i < SLOT_HEADER; i++)
		slot->header[i] = slot->config[i];
	return 0;
}

void slot_close(struct slot *slot)
{
	if (slot->config)
		munmap((void *)slot->config, PAGE_SIZE);
	if (slot->bridge)
		munmap((void *)slot->bridge, PAGE_SIZE);
	*slot = (struct slot) {};
}

/* 32 bits of config space. */
uint32_t slot_config(const struct slot *slot, unsigned int offset)
{
	return slot->config[offset / 4];
}

/* Switches the power. */
void slot_power(const struct slot *slot, bool on)
{
	/* With the indicator off as well, QEMU takes it for permission to unplug. */
	*slot->control = (*slot->control & ~(PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC)) |
			 PCI_EXP_SLTCTL_PWR_IND_ON |
			 (on ? PCI_EXP_SLTCTL_PWR_ON : PCI_EXP_SLTCTL_PWR_OFF);
}

/*
 * Switches the power on, and the header of config space back to what it was, for who has
 * taken the power without a reset by the kernel, which would do that.
 */
bool slot_recover(const struct slot *slot)
{
	unsigned int i;

	slot_power(slot, true);
	for (i = 0; i < 100 && slot->config[0] != slot->header[0]; i++)
		usleep(10000);
	/* Memory is enabled when its addresses are there. */
	for (i = SLOT_HEADER - 1; i > 0; i--)
		slot->config[i] = slot->header[i];
	return slot->config[PCI_BASE_ADDRESS_0 / 4] ==
	       slot->header[PCI_BASE_ADDRESS_0 / 4];
}
