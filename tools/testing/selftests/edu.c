// SPDX-License-Identifier: GPL-2.0
/* The "edu" device of QEMU, driven through a VFIO device fd. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "vfio_fixture.h"

long edu_read(int device, unsigned int offset)
{
	uint32_t value;
	long ret = region_read(device, 0, offset, &value, sizeof(value));

	if (ret < 0)
		return ret;
	return ret == sizeof(value) ? (long)value : -EIO;
}

long edu_write(int device, unsigned int offset, uint32_t value)
{
	long ret = region_write(device, 0, offset, &value, sizeof(value));

	if (ret < 0)
		return ret;
	return ret == sizeof(value) ? 0 : -EIO;
}

static long edu_write64(int device, unsigned int offset, uint64_t value)
{
	long ret = region_write(device, 0, offset, &value, sizeof(value));

	if (ret < 0)
		return ret;
	return ret == sizeof(value) ? 0 : -EIO;
}

long edu_bus_master(int device, int on)
{
	long command = config_read(device, PCI_COMMAND, 2);

	if (command < 0)
		return command;
	if (on)
		command |= PCI_COMMAND_MASTER;
	else
		command &= ~PCI_COMMAND_MASTER;
	return config_write(device, PCI_COMMAND, 2, command);
}

/*
 * Runs one transfer between @iova and @offset in the device's buffer and waits
 * until the engine is idle. The device does not say whether it reached memory.
 */
long edu_dma(int device, uint64_t iova, unsigned int offset, uint64_t count,
	     uint32_t command)
{
	bool to_ram = command & EDU_DMA_TO_RAM;
	struct timespec pause = { .tv_nsec = 5000000 };
	long ret;
	int i;

	ret = edu_write64(device, EDU_DMA_SRC,
			  to_ram ? EDU_BUFFER + offset : iova);
	if (!ret)
		ret = edu_write64(device, EDU_DMA_DST,
				  to_ram ? iova : EDU_BUFFER + offset);
	if (!ret)
		ret = edu_write64(device, EDU_DMA_COUNT, count);
	if (!ret)
		ret = edu_write(device, EDU_DMA_CMD, command | EDU_DMA_START);
	for (i = 0; !ret && i < 1000; i++) {
		ret = edu_read(device, EDU_DMA_CMD);
		if (ret < 0 || !(ret & EDU_DMA_START))
			return ret < 0 ? ret : 0;
		nanosleep(&pause, NULL);
		ret = 0;
	}
	return ret ? ret : -ETIMEDOUT;
}

/* Memory at @iova goes to the device's buffer. */
long edu_load(int device, uint64_t iova, uint64_t count)
{
	return edu_dma(device, iova, 0, count, 0);
}

/* The device's buffer goes to memory at @iova. */
long edu_store(int device, uint64_t iova, uint64_t count)
{
	return edu_dma(device, iova, 0, count, EDU_DMA_TO_RAM);
}

/* Lets the device interrupt; whatever a test that failed has left is cleared. */
long edu_irq_begin(int device)
{
	/* A message is a write to memory like any other. */
	long ret = edu_bus_master(device, true);

	return ret ? ret : edu_write(device, EDU_IRQ_ACK, 0xffffffff);
}

/* Switches its interrupts off; fails if INTx cannot be had any more. */
long edu_irq_end(int device)
{
	const uint32_t intx = VFIO_PCI_INTX_IRQ_INDEX;
	int event = event_new();
	long ret;

	edu_write(device, EDU_IRQ_ACK, 0xffffffff);
	irq_disable(device, intx);
	irq_disable(device, VFIO_PCI_MSI_IRQ_INDEX);
	ret = irq_eventfd(device, intx, 0, event);
	if (!ret)
		ret = irq_none(device, intx, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
	if (!ret)
		ret = event_take(event) == 1 ? 0 : -EIO;
	if (!ret)
		ret = irq_disable(device, intx);
	close(event);
	return ret;
}
