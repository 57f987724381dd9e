// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on interrupts; see compare.h.
 *
 * Rows: 6-21 to 6-26, 6-28 to 6-49, 6-53 to 6-58.
 */
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "compare.h"

/*
 * No more vectors than these are asked for at a time: how many the host has left
 * for a device depends on the others.
 */
#define VECTORS	6

/* Registers of QEMU's edu device. */
#define EDU_RAISE	0x60
#define EDU_ACK		0x64

/* How long to wait for an interrupt that another processor may handle. */
#define PATIENCE_MS	10000

struct request {
	struct vfio_irq_set set;
	int32_t data[1024];
};

static int any_event(struct run *run, int choice)
{
	switch (choice) {
	case 0 ... 5:
		return run->events[choice];
	case 6:
		return -1;
	case 7:
		return -2;
	case 8:
		return FD_CLOSED;
	default:
		return run->null;
	}
}

/* Fills in the data; returns its size. Logs what it is. */
static size_t data_fill(struct run *run, struct request *request,
			unsigned int count)
{
	uint32_t type = request->set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	struct random *random = &run->random;
	unsigned int i;

	if (type == VFIO_IRQ_SET_DATA_BOOL) {
		uint8_t *bools = (uint8_t *)request->data;

		for (i = 0; i < count; i++) {
			bools[i] = random_below(random, 2);
			log_more(run, " %u", bools[i]);
		}
		return count;
	}
	if (type != VFIO_IRQ_SET_DATA_EVENTFD)
		return 0;
	for (i = 0; i < count; i++) {
		int choice = random_chance(random, 85) ? random_below(random, 7) :
							 random_below(random, 10);

		request->data[i] = any_event(run, choice);
		log_more(run, " %c", "012345-=cn"[choice]);
	}
	return count * sizeof(int32_t);
}

static void irqs_set(struct run *run, uint32_t index, uint32_t flags,
		     uint32_t start, uint32_t count, int argsz_error)
{
	static struct request request;
	unsigned int filled = count > VECTORS ? VECTORS : count;

	memset(&request, 0, sizeof(request));
	request.set.index = index;
	request.set.flags = flags;
	request.set.start = start;
	request.set.count = count;
	log_operation(run, "irqs set index %u flags %#x start %u count %u argsz %+d",
		      index, flags, start, count, argsz_error);
	request.set.argsz = sizeof(request.set) +
			    data_fill(run, &request, filled) + argsz_error;
	log_result(run, vfio_ioctl(run_device(run), VFIO_DEVICE_SET_IRQS,
				   &request));
}

/* What a driver would do. */
static void irqs_usual(struct run *run)
{
	static const uint32_t types[] = { VFIO_IRQ_SET_DATA_NONE,
					  VFIO_IRQ_SET_DATA_BOOL,
					  VFIO_IRQ_SET_DATA_EVENTFD,
					  VFIO_IRQ_SET_DATA_EVENTFD,
					  VFIO_IRQ_SET_DATA_EVENTFD };
	struct random *random = &run->random;
	uint32_t index = random_below(random, 5);
	uint32_t flags = random_pick(random, types);
	uint32_t start = 0;
	uint32_t count = 1;

	if (index == VFIO_PCI_MSI_IRQ_INDEX || index == VFIO_PCI_MSIX_IRQ_INDEX) {
		start = random_chance(random, 60) ? 0 : random_below(random, 4);
		count = random_below(random, 4);
	} else if (random_chance(random, 10)) {
		count = 0;
	}
	if (index == VFIO_PCI_INTX_IRQ_INDEX && random_chance(random, 50))
		flags |= random_chance(random, 50) ? VFIO_IRQ_SET_ACTION_MASK :
						     VFIO_IRQ_SET_ACTION_UNMASK;
	else
		flags |= VFIO_IRQ_SET_ACTION_TRIGGER;
	irqs_set(run, index, flags, start, count, 0);
}

/* Turns one index off, so that another can be turned on. */
static void irqs_disable(struct run *run)
{
	irqs_set(run, random_below(&run->random, 3),
		 VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 0);
}

/* Eventfds that unmask INTx are those that start something. */
static void intx_unmask_event(struct run *run)
{
	static struct request request;
	unsigned int choice = random_below(&run->random, 4);

	memset(&request, 0, sizeof(request));
	request.set.argsz = sizeof(request.set) + sizeof(int32_t);
	request.set.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			    VFIO_IRQ_SET_ACTION_UNMASK;
	request.set.count = 1;
	request.data[0] = choice < 2 ? run->events[EVENT_START + choice] : -1;
	log_operation(run, "irqs unmask INTx by %u", choice);
	log_result(run, vfio_ioctl(run_device(run), VFIO_DEVICE_SET_IRQS,
				   &request));
}

/* What no driver would do. */
static void irqs_odd(struct run *run)
{
	struct random *random = &run->random;
	uint32_t index = random_below(random, 7);
	uint32_t flags = random_below(random, 0x80);
	uint32_t start = random_below(random, 6);
	uint32_t count = random_below(random, 6);
	int argsz_error = 0;

	switch (random_below(random, 6)) {
	case 0:
		start = 0x10000 + random_below(random, 16);
		break;
	case 1:
		count = 0x10000 + random_below(random, 16);
		break;
	case 2:
		count = ~0U - start - random_below(random, 2);
		break;
	case 3:
		argsz_error = (int)random_below(random, 24) - 20;
		break;
	}
	/* An eventfd that unmasks must not be one that is told of something. */
	if ((flags & 0x3f) == (VFIO_IRQ_SET_DATA_EVENTFD |
			       VFIO_IRQ_SET_ACTION_UNMASK))
		flags = VFIO_IRQ_SET_DATA_NONE;
	irqs_set(run, index, flags, start, count, argsz_error);
}

/* An argument that cannot be read at all, or only in part. */
static void irqs_fault(struct run *run)
{
	struct request request = {
		.set = {
			.argsz = sizeof(request.set) + 4 * sizeof(int32_t),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = random_below(&run->random, 5),
			.count = 1 + random_below(&run->random, 2),
		},
		.data = { -1, -1, -1, -1 },
	};
	void *place = argument_place(run, &request, sizeof(request.set) + 4);

	log_operation(run, "irqs set index %u count %u from %s",
		      request.set.index, request.set.count,
		      place == BAD_POINTER ? "nothing" : "the last bytes");
	log_result(run, vfio_ioctl(run_device(run), VFIO_DEVICE_SET_IRQS, place));
}

static void edu_write(struct run *run, uint32_t offset, uint32_t value)
{
	log_result(run, region_write(run->devices[0], 0, offset, &value,
				     sizeof(value)));
}

/*
 * Real interrupts, of the one device that raises some when it is told to. The
 * line must not stay up while nobody listens: others share it.
 */
static void edu_raise(struct run *run)
{
	bool msi = random_chance(&run->random, 50);
	bool disable = random_chance(&run->random, 50);
	int device = run->devices[0];
	long ret;

	if (!strstr(run->layout->name, "EDU") || run->low_power)
		return irqs_usual(run);
	log_operation(run, "interrupt %s", msi ? "MSI" : "INTx");
	irq_disable(device, VFIO_PCI_INTX_IRQ_INDEX);
	irq_disable(device, VFIO_PCI_MSI_IRQ_INDEX);
	ret = memory_enable(device, true);
	log_result(run, ret);
	if (ret)
		return;
	config_write(device, 4, 2, msi ? 7 : 3);
	ret = irq_eventfd(device, msi ? VFIO_PCI_MSI_IRQ_INDEX :
					VFIO_PCI_INTX_IRQ_INDEX, 0,
			  run->events[0]);
	log_result(run, ret);
	if (ret)
		return;
	edu_write(run, EDU_RAISE, 1);
	log_result(run, event_wait(run->events[0], PATIENCE_MS));
	if (!msi) {
		/* Still up: it comes again. */
		log_result(run, irq_none(device, VFIO_PCI_INTX_IRQ_INDEX,
					 VFIO_IRQ_SET_ACTION_UNMASK, 0, 1));
		log_result(run, event_wait(run->events[0], PATIENCE_MS));
	}
	edu_write(run, EDU_ACK, ~0U);
	log_result(run, irq_none(device, VFIO_PCI_INTX_IRQ_INDEX,
				 VFIO_IRQ_SET_ACTION_UNMASK, 0, 1));
	if (disable)
		log_result(run, irq_disable(device, msi ?
					    VFIO_PCI_MSI_IRQ_INDEX :
					    VFIO_PCI_INTX_IRQ_INDEX));
}

const struct operation interrupt_operations[] = {
	{ 90, irqs_usual },
	{ 15, irqs_disable },
	{ 8, intx_unmask_event },
	{ 40, irqs_odd },
	{ 5, irqs_fault },
	{ 5, edu_raise },
	{ 0, NULL },
};
