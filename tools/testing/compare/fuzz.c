// SPDX-License-Identifier: GPL-2.0
/*
 * What others do to a device while somebody uses it. When it is over depends on
 * the time, so this is for the search for crashes only; see compare.h.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "compare.h"

static long attribute_write(struct run *run, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s",
		 run->layout->bdf, name);
	return file_write(path, text);
}

static void host_reset(struct run *run)
{
	if (!run_may_reset(run))
		return;
	log_operation(run, "host reset");
	log_result(run, attribute_write(run, "reset", "1"));
}

static void host_power(struct run *run)
{
	bool on = random_chance(&run->random, 50);

	log_operation(run, "host power %d", on);
	layout_power(run->layout, on);
}

/* Behind the back of everybody: as a device would that has reset itself. */
static void host_config(struct run *run)
{
	static const unsigned int offsets[] = { PCI_COMMAND, PCI_BASE_ADDRESS_0,
						PCI_BASE_ADDRESS_2,
						PCI_CACHE_LINE_SIZE };
	unsigned int offset = random_pick(&run->random, offsets);
	uint32_t value = random_chance(&run->random, 50) ?
		0 : layout_hardware(run->layout, offset);

	log_operation(run, "host config %#x %#x", offset, value);
	log_result(run, sys_result(pwrite(run->layout->config_fd, &value, 2,
					  offset)));
}

/* What this process has would keep the device in use. */
static void let_go(struct run *run)
{
	unsigned int i;
	int fd;

	for (i = 0; i < MAPPINGS; i++) {
		if (run->mappings[i].address)
			munmap(run->mappings[i].address, run->mappings[i].size);
	}
	for (fd = 3; fd < FD_CLOSED; fd++)
		close(fd);
}

/*
 * The driver is asked to let the device go, and waits, with the lock of the device
 * held, until it is closed. Some operations come before that, but none of those
 * that wait for this lock.
 */
void remove_in_use(struct run *run)
{
	unsigned int count;

	if (run->layout->token)
		return;
	run->remover = fork();
	if (!run->remover) {
		let_go(run);
		_exit(file_write("/sys/bus/pci/drivers/vfio-pci/unbind",
				 run->layout->bdf) ? 1 : 0);
	}
	for (count = 0; count < 20; count++)
		operation_run(run);
}

const struct operation fuzz_operations[] = {
	{ 6, host_reset },
	{ 4, host_power },
	{ 10, host_config },
	{ 0, NULL },
};
