// SPDX-License-Identifier: GPL-2.0
/* Interrupts, and eventfds that write to registers. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench.h"
#include "edu.h"
#include "interrupts.h"

#define VECTORS		64
#define IVSHMEM_RAM	2

static int event(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = event_new();
	return fd;
}

static long msi_on_off(struct bench *bench)
{
	int device = bench->edu.device;
	long begin;

	TRY(event());
	begin = now();
	TRY(irq_eventfd(device, MSI, 0, event()));
	TRY(irq_disable(device, MSI));
	return now() - begin;
}

/* From the register by which the device is told to, to the read of the eventfd. */
static long msi_event(struct bench *bench)
{
	int device = bench->edu.device;
	uint64_t count;
	long took;

	TRY(edu_irq_begin(device));
	TRY(irq_eventfd(device, MSI, 0, event()));
	took = now();
	TRY(edu_write(device, EDU_IRQ_RAISE, 1));
	TRY(checked(read(event(), &count, sizeof(count))));
	took = now() - took;
	TRY(edu_write(device, EDU_IRQ_ACK, 1));
	TRY(irq_disable(device, MSI));
	return took;
}

/* Raised, read, acknowledged, unmasked. */
static long intx_round(struct bench *bench)
{
	int device = bench->edu.device;
	uint64_t count;
	long took;

	TRY(edu_irq_begin(device));
	TRY(irq_eventfd(device, INTX, 0, event()));
	took = now();
	TRY(edu_write(device, EDU_IRQ_RAISE, 1));
	TRY(checked(read(event(), &count, sizeof(count))));
	TRY(edu_write(device, EDU_IRQ_ACK, 1));
	TRY(irq_none(device, INTX, UNMASK, 0, 1));
	took = now() - took;
	TRY(irq_disable(device, INTX));
	return took;
}

static long vectors(int *fds)
{
	unsigned int i;

	for (i = 0; i < VECTORS; i++) {
		fds[i] = event_new();
		TRY(fds[i]);
	}
	return 0;
}

static void vectors_close(const int *fds)
{
	unsigned int i;

	for (i = 0; i < VECTORS; i++)
		close(fds[i]);
}

static long msix_at_once(struct bench *bench)
{
	int device = bench->nvme.device;
	int fds[VECTORS];
	long took;

	TRY(vectors(fds));
	took = TIMED(1, irq_eventfds(device, MSIX, 0, VECTORS, fds));
	TRY(irq_disable(device, MSIX));
	vectors_close(fds);
	return took;
}

static long msix_one_by_one(struct bench *bench)
{
	int device = bench->nvme.device;
	int fds[VECTORS];
	unsigned int i;
	long took;

	TRY(vectors(fds));
	took = now();
	for (i = 0; i < VECTORS; i++)
		TRY(irq_eventfd(device, MSIX, i, fds[i]));
	took = now() - took;
	TRY(irq_disable(device, MSIX));
	vectors_close(fds);
	return took;
}

static long doorbell(struct bench *bench, int fd)
{
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = REGION_OFFSET(IVSHMEM_RAM),
		.data = 1,
		.fd = fd,
	};

	return checked(ioctl(bench->ivshmem.device, VFIO_DEVICE_IOEVENTFD, &arg));
}

static long doorbell_ring(struct bench *bench)
{
	const uint64_t one = 1;
	long took;

	TRY(doorbell(bench, event()));
	took = TIMED(1, checked(write(event(), &one, sizeof(one))));
	TRY(doorbell(bench, -1));
	event_take(event());
	return took;
}

const struct operation interrupt_operations[] = {
	{ "msi-on-off", "MSI on and off", msi_on_off, 1, 10 },
	{ "msi-event", "MSI from device to eventfd", msi_event, 1, 10 },
	{ "intx-round", "INTx from device to eventfd and back", intx_round, 1,
	  10 },
	{ "msix-at-once", "SET_IRQS of 64 MSI-X vectors at once", msix_at_once,
	  1, 3 },
	{ "msix-one-by-one", "SET_IRQS of 64 MSI-X vectors one by one",
	  msix_one_by_one, 1, 3 },
	{ "ioeventfd", "write of an IOEVENTFD", doorbell_ring, 1, 20 },
	{}
};
