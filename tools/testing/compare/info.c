// SPDX-License-Identifier: GPL-2.0
/*
 * The INFO ioctls of a device, and ioctls that are not its; see compare.h.
 *
 * Rows: 6-3 to 6-5, 6-7 to 6-14, 6-16 to 6-20.
 */
#include <string.h>

#include <linux/vfio.h>

#include "compare.h"

#define ANSWER	256

/*
 * The last bytes before memory that is not there, such that the kernel can reach
 * what @from has but nothing behind; or an address at which there is nothing.
 */
void *argument_place(struct run *run, const void *from, size_t size)
{
	char *place = run->memory + BUFFER_SIZE - size;

	if (random_chance(&run->random, 30))
		return BAD_POINTER;
	memcpy(place, from, size);
	return place;
}

static uint32_t any_argsz(struct run *run, uint32_t right)
{
	static const uint32_t odd[] = { 0, 4, 8, 12, 15, 16, 17, 20, 24, 28, 31,
					33, 36, 40, 48, 64, 72, 128, ANSWER };

	return random_chance(&run->random, 40) ? right :
						  random_pick(&run->random, odd);
}

/*
 * One INFO ioctl on an argument of @argsz and @index, in a buffer full of a
 * pattern: what the kernel writes beyond its share shows.
 */
static void info_get(struct run *run, const char *name, unsigned long request,
		     uint32_t argsz, uint32_t index)
{
	uint32_t answer[ANSWER / sizeof(uint32_t)];
	long ret;

	memset(answer, 0xa5, sizeof(answer));
	answer[0] = argsz;
	answer[1] = 0;
	answer[2] = index;
	if (request == VFIO_DEVICE_GET_REGION_INFO)
		answer[3] = 0;
	log_operation(run, "%s argsz %u index %u", name, argsz, index);
	ret = vfio_ioctl(run_device(run), request, answer);
	log_result(run, ret);
	log_bytes(run, answer, 48);
	if (argsz > 48 && argsz <= sizeof(answer))
		log_bytes(run, answer, sizeof(answer));
}

static void info_any(struct run *run)
{
	static const uint32_t indexes[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
					    0x7fffffff, ~0U };
	uint32_t index = random_pick(&run->random, indexes);
	unsigned int kind = random_below(&run->random, 3);

	if (kind == 0)
		info_get(run, "device info", VFIO_DEVICE_GET_INFO,
			 any_argsz(run, sizeof(struct vfio_device_info)), 0);
	else if (kind == 1)
		info_get(run, "region info", VFIO_DEVICE_GET_REGION_INFO,
			 any_argsz(run, sizeof(struct vfio_region_info)), index);
	else
		info_get(run, "irq info", VFIO_DEVICE_GET_IRQ_INFO,
			 any_argsz(run, sizeof(struct vfio_irq_info)), index);
}

static void info_fault(struct run *run)
{
	static const unsigned long requests[] = {
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_FEATURE, VFIO_DEVICE_IOEVENTFD,
	};
	uint32_t argument[12] = { sizeof(argument) };
	unsigned long request = random_pick(&run->random, requests);
	size_t size = 4 * random_below(&run->random, ARRAY_SIZE(argument));
	void *place = argument_place(run, argument, size);

	log_operation(run, "ioctl %lu with %zu bytes from %s", request & 0xff,
		      size, place == BAD_POINTER ? "nothing" : "the last bytes");
	log_result(run, vfio_ioctl(run_device(run), request, place));
}

/* Numbers that belong to other files, or to nothing. */
static void ioctl_unknown(struct run *run)
{
	static const unsigned int numbers[] = { 100, 101, 102, 103, 106, 112, 113,
						114, 115, 121, 122, 140, 0 };
	unsigned int number = random_pick(&run->random, numbers);

	log_operation(run, "ioctl %u", number);
	log_result(run, vfio_ioctl(run_device(run), _IO(VFIO_TYPE, number),
				   BAD_POINTER));
}

const struct operation info_operations[] = {
	{ 60, info_any },
	{ 10, info_fault },
	{ 6, ioctl_unknown },
	{ 0, NULL },
};
