// SPDX-License-Identifier: GPL-2.0
/* Config space past the kernel, and the power of slots; see slot.h. */
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
static volatile uint8_t *ecam_map(const char *bdf)
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

/* 16 bits of config space. */
long ecam_read(const char *bdf, unsigned int offset)
{
	volatile uint8_t *config = ecam_map(bdf);
	long value;

	if (!config)
		return -ENODEV;
	value = *(volatile uint16_t *)(config + offset);
	munmap((void *)config, PAGE_SIZE);
	return value;
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

/* Switches the power of the slot that a function is in. */
int slot_power(const char *bdf, bool on)
{
	volatile uint8_t *config;
	volatile uint16_t *control = NULL;
	char bridge[32];
	uint8_t offset;
	int ret = bridge_of(bdf, bridge, sizeof(bridge));

	if (ret)
		return ret;
	config = ecam_map(bridge);
	if (!config)
		return -ENODEV;
	for (offset = config[PCI_CAPABILITY_LIST]; offset;
	     offset = config[offset + 1])
		if (config[offset] == PCI_CAP_ID_EXP)
			control = (void *)(config + offset + PCI_EXP_SLTCTL);
	/* With the indicator off as well, QEMU takes it for permission to unplug. */
	if (!control)
		ret = -ENOTTY;
	else
		*control = (*control & ~(PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC)) |
			   PCI_EXP_SLTCTL_PWR_IND_ON |
			   (on ? PCI_EXP_SLTCTL_PWR_ON : PCI_EXP_SLTCTL_PWR_OFF);
	munmap((void *)config, PAGE_SIZE);
	return ret;
}
