// SPDX-License-Identifier: GPL-2.0
/* Regions of a device, by read, write and mmap; see vfio_fixture.h. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "vfio_fixture.h"

long config_read(int device, unsigned int offset, unsigned int size)
{
	uint32_t value = 0;
	long ret = sys_result(pread(device, &value, size,
				    CONFIG_OFFSET + offset));

	if (ret < 0)
		return ret;
	return ret == (long)size ? (long)value : -EIO;
}

long config_write(int device, unsigned int offset, unsigned int size,
		  uint32_t value)
{
	long ret = sys_result(pwrite(device, &value, size,
				     CONFIG_OFFSET + offset));

	if (ret < 0)
		return ret;
	return ret == (long)size ? 0 : -EIO;
}

/* The offset of capability @id in the list as the user sees it. */
long config_cap(int device, uint8_t id)
{
	long offset = config_read(device, PCI_CAPABILITY_LIST, 1);
	int budget = 48;

	while (offset > 0 && budget--) {
		if (config_read(device, offset, 1) == id)
			return offset;
		offset = config_read(device, offset + PCI_CAP_LIST_NEXT, 1);
	}
	return -ENOENT;
}

long config_ext_cap(int device, uint16_t id)
{
	long offset = PCI_CFG_SPACE_SIZE;
	int budget = 480;

	while (offset && budget--) {
		long header = config_read(device, offset, 4);

		if (header <= 0)
			break;
		if (PCI_EXT_CAP_ID(header) == id)
			return offset;
		offset = PCI_EXT_CAP_NEXT(header);
	}
	return -ENOENT;
}

long memory_enable(int device, bool on)
{
	long command = config_read(device, PCI_COMMAND, 2);

	if (command < 0)
		return command;
	if (on)
		command |= PCI_COMMAND_MEMORY;
	else
		command &= ~PCI_COMMAND_MEMORY;
	return config_write(device, PCI_COMMAND, 2, command);
}

long region_size(int device, unsigned int index)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info);

	return ret ? ret : (long)info.size;
}

long region_read(int device, unsigned int index, uint64_t offset, void *buf,
		 size_t size)
{
	return sys_result(pread(device, buf, size,
				REGION_OFFSET(index) + offset));
}

long region_write(int device, unsigned int index, uint64_t offset,
		  const void *buf, size_t size)
{
	return sys_result(pwrite(device, buf, size,
				 REGION_OFFSET(index) + offset));
}

long bar_mmap(int device, unsigned int index, uint64_t offset, size_t size,
	      int prot, void **addr)
{
	*addr = mmap(NULL, size, prot, MAP_SHARED, device,
		     REGION_OFFSET(index) + offset);
	return *addr == MAP_FAILED ? -errno : 0;
}

/*
 * Where SIGBUS and SIGSEGV return to while an access of this thread is under way.
 * Both are needed: SIGSEGV is the answer where no mapping, or not this access, is
 * there.
 */
static _Thread_local sigjmp_buf fault_return;
static _Thread_local volatile sig_atomic_t fault_expected;

static void fault_handler(int number)
{
	if (fault_expected)
		siglongjmp(fault_return, number);
	/* Somebody else's fault: once more, and deadly. */
	signal(number, SIG_DFL);
}

/*
 * For all threads and for good. With SA_NODEFER the handler may be left by a jump
 * that restores no mask, so that an access is no system call.
 */
static void __attribute__((constructor)) fault_catch(void)
{
	struct sigaction action = {
		.sa_handler = fault_handler,
		.sa_flags = SA_NODEFER,
	};

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int mmio_read(const volatile void *addr, uint32_t *value)
{
	int number = sigsetjmp(fault_return, 0);

	fault_expected = !number;
	if (!number)
		*value = *(const volatile uint32_t *)addr;
	fault_expected = false;
	return -number;
}

int mmio_write(volatile void *addr, uint32_t value)
{
	int number = sigsetjmp(fault_return, 0);

	fault_expected = !number;
	if (!number)
		*(volatile uint32_t *)addr = value;
	fault_expected = false;
	return -number;
}

long mmio_at(const volatile void *addr)
{
	uint32_t value = 0;
	int ret = mmio_read(addr, &value);

	return ret ? ret : (long)value;
}

/* Faults of this process that needed no disk: those on BARs are among them. */
long fault_count(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return -errno;
	return usage.ru_minflt + usage.ru_majflt;
}

/* How many faults reading one word of each page takes. */
long faults_of(const volatile void *addr, size_t pages)
{
	long before = fault_count();
	size_t i;

	for (i = 0; i < pages; i++)
		(void)*(const volatile uint32_t *)(addr + i * PAGE_SIZE);
	return fault_count() - before;
}
