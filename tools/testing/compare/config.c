// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on config space; see compare.h.
 *
 * Rows: 7-11, 7-15 to 7-19, 7-21 to 7-26, 7-28 to 7-40, 7-42 to 7-44, 7-46, 7-47,
 * 7-50 to 7-52, 7-54 to 7-58, 7-60 to 7-62, 7-65.
 */
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "compare.h"

static const struct {
	unsigned int offset;
	unsigned int size;
} fields[] = {
	{ PCI_VENDOR_ID, 2 },	  { PCI_DEVICE_ID, 2 },
	{ PCI_COMMAND, 2 },	  { PCI_COMMAND, 2 },
	{ PCI_COMMAND, 1 },	  { PCI_COMMAND + 1, 1 },
	{ PCI_COMMAND, 4 },	  { PCI_STATUS, 2 },
	{ PCI_CLASS_REVISION, 4 }, { PCI_CACHE_LINE_SIZE, 1 },
	{ PCI_LATENCY_TIMER, 1 }, { PCI_HEADER_TYPE, 1 },
	{ PCI_BIST, 1 },	  { PCI_BASE_ADDRESS_0, 4 },
	{ PCI_BASE_ADDRESS_1, 4 }, { PCI_BASE_ADDRESS_2, 4 },
	{ PCI_BASE_ADDRESS_3, 4 }, { PCI_BASE_ADDRESS_4, 4 },
	{ PCI_BASE_ADDRESS_5, 4 }, { PCI_CARDBUS_CIS, 4 },
	{ PCI_SUBSYSTEM_VENDOR_ID, 2 }, { PCI_SUBSYSTEM_ID, 2 },
	{ PCI_ROM_ADDRESS, 4 },	  { PCI_CAPABILITY_LIST, 1 },
	{ PCI_INTERRUPT_LINE, 1 }, { PCI_INTERRUPT_PIN, 1 },
	{ PCI_MIN_GNT, 1 },	  { PCI_MAX_LAT, 1 },
};

struct place {
	uint64_t offset;
	size_t size;
};

static size_t any_size(struct run *run)
{
	static const size_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 4, 3, 5, 8, 16, 64,
					256, 0 };

	if (random_chance(&run->random, 1))
		return CONFIG_SIZE;
	return random_pick(&run->random, sizes);
}

static struct place place_in_cap(struct run *run)
{
	struct random *random = &run->random;
	const struct capability *cap =
		&run->layout->caps[random_below(random, run->layout->nr_caps)];
	/* The first dwords have what matters; the end has what goes wrong. */
	unsigned int range = random_chance(random, 85) && cap->length > 0x18 ?
		0x18 : cap->length;
	struct place place = { .size = any_size(run) };

	place.offset = random_below(random, range);
	if (random_chance(random, 70)) {
		if (place.size > 4)
			place.size = 4;
		if (place.size)
			place.offset -= place.offset % place.size;
	}
	place.offset += cap->offset;
	return place;
}

static struct place place_pick(struct run *run)
{
	struct random *random = &run->random;
	unsigned int kind = random_below(random, 100);
	unsigned int size = run->layout->config_size;
	struct place place = { .size = any_size(run) };

	if (kind < 35) {
		unsigned int field = random_below(random, ARRAY_SIZE(fields));

		place.offset = fields[field].offset;
		place.size = fields[field].size;
	} else if (kind < 80 && run->layout->nr_caps) {
		return place_in_cap(run);
	} else if (kind < 90) {
		place.offset = random_below(random, size);
	} else if (kind < 97) {
		place.offset = size - 16 + random_below(random, 24);
	} else {
		place.offset = random_next(random) % (1ULL << 40);
	}
	return place;
}

static void config_read_any(struct run *run)
{
	static uint8_t buf[CONFIG_SIZE];
	struct place place = place_pick(run);
	long ret;

	memset(buf, 0xa5, sizeof(buf));
	log_operation(run, "config read %#llx+%zu",
		      (unsigned long long)place.offset, place.size);
	ret = sys_result(pread(run_device(run), buf, place.size,
			       CONFIG_OFFSET + place.offset));
	log_result(run, ret);
	if (ret > 0)
		log_all_bytes(run, buf, ret);
}

/* Whether a write of @place has the byte at @offset. */
static bool covers(const struct place *place, unsigned int offset)
{
	return offset >= place->offset && offset < place->offset + place->size;
}

/*
 * A function level reset takes a tenth of a second: there are only so many in a
 * session. Returns whether @data has one.
 */
static bool limit_resets(struct run *run, const struct place *place,
			 uint8_t *data)
{
	bool reset = false;
	const struct capability *express =
		layout_cap(run->layout, PCI_CAP_ID_EXP, false);
	const struct capability *advanced =
		layout_cap(run->layout, PCI_CAP_ID_AF, false);
	unsigned int offset;

	if (express) {
		offset = express->offset + PCI_EXP_DEVCTL + 1;
		if (covers(place, offset)) {
			uint8_t *byte = &data[offset - place->offset];

			if (*byte & (PCI_EXP_DEVCTL_BCR_FLR >> 8) && !run_may_reset(run))
				*byte &= ~(PCI_EXP_DEVCTL_BCR_FLR >> 8);
			reset = *byte & (PCI_EXP_DEVCTL_BCR_FLR >> 8);
		}
	}
	if (advanced) {
		offset = advanced->offset + PCI_AF_CTRL;
		if (covers(place, offset)) {
			uint8_t *byte = &data[offset - place->offset];

			if (*byte & PCI_AF_CTRL_FLR && !run_may_reset(run))
				*byte &= ~PCI_AF_CTRL_FLR;
			reset = reset || *byte & PCI_AF_CTRL_FLR;
		}
	}
	return reset;
}

/* Whether the hardware is in D3, where a write that resets it finds it asleep. */
static bool is_asleep(const struct run *run)
{
	const struct capability *cap =
		layout_cap(run->layout, PCI_CAP_ID_PM, false);

	return cap && (layout_hardware(run->layout, cap->offset + PCI_PM_CTRL) &
		       PCI_PM_CTRL_STATE_MASK) == 3;
}

static void config_write_at(struct run *run, struct place place,
			    uint8_t *data)
{
	bool reset = limit_resets(run, &place, data);

	log_operation(run, "config write %#llx+%zu",
		      (unsigned long long)place.offset, place.size);
	log_bytes(run, data, place.size);
	if (reset && is_asleep(run))
		log_more(run, " in D3");
	log_result(run, sys_result(pwrite(run_device(run), data, place.size,
					  CONFIG_OFFSET + place.offset)));
}

static void config_write_any(struct run *run)
{
	static uint8_t data[CONFIG_SIZE + sizeof(uint64_t)];
	struct place place = place_pick(run);

	random_bytes(&run->random, data, place.size);
	config_write_at(run, place, data);
}

/* Off and on again, so that what follows finds memory on most of the time. */
static void memory_toggle(struct run *run)
{
	uint16_t command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	struct place place = { PCI_COMMAND, sizeof(command) };

	if (random_chance(&run->random, 30))
		command &= ~PCI_COMMAND_MEMORY;
	if (random_chance(&run->random, 30))
		command |= PCI_COMMAND_MASTER;
	if (random_chance(&run->random, 20))
		command |= PCI_COMMAND_INTX_DISABLE;
	config_write_at(run, place, (uint8_t *)&command);
}

/* A power state, or what else there is to set next to it. */
static void power_write(struct run *run)
{
	static const uint16_t values[] = { 0, 0, 0, 0, 0, 3, 3, 1, 2, 0x100,
					   0x103, 0x8000 };
	const struct capability *cap =
		layout_cap(run->layout, PCI_CAP_ID_PM, false);
	uint16_t value = random_pick(&run->random, values);
	struct place place = { 0, sizeof(value) };

	if (random_chance(&run->random, 20))
		place.size = 1;
	if (!cap)
		return memory_toggle(run);
	place.offset = cap->offset + PCI_PM_CTRL;
	config_write_at(run, place, (uint8_t *)&value);
}

/* 7-18: what the hardware has, past VFIO: shows what writes really did. */
static void hardware_read(struct run *run)
{
	struct random *random = &run->random;
	struct place place = place_pick(run);
	unsigned int offset = place.offset % run->layout->config_size & ~3;

	if (random_chance(random, 30))
		offset = PCI_COMMAND;
	if (layout_volatile(run->layout, offset))
		return memory_toggle(run);
	log_operation(run, "hardware read %#x", offset);
	log_more(run, " = %08x", layout_hardware(run->layout, offset));
}

/* The list of capabilities as a program finds it. */
static void list_walk(struct run *run)
{
	bool extended = random_chance(&run->random, 50);
	int device = run_device(run);
	int budget = 64;
	long offset;

	log_operation(run, "list walk %s", extended ? "extended" : "standard");
	log_more(run, " =");
	if (!extended) {
		offset = config_read(device, PCI_CAPABILITY_LIST, 1);
		while (offset > 0 && budget--) {
			log_more(run, " %lx:%lx", offset,
				 config_read(device, offset, 1));
			offset = config_read(device,
					     offset + PCI_CAP_LIST_NEXT, 1);
		}
		return;
	}
	offset = PCI_CFG_SPACE_SIZE;
	while (offset > 0 && budget--) {
		long header = config_read(device, offset, 4);

		log_more(run, " %lx:%lx", offset, header);
		offset = header > 0 ? PCI_EXT_CAP_NEXT(header) : 0;
	}
}

const struct operation config_operations[] = {
	{ 210, config_read_any },
	{ 200, config_write_any },
	{ 30, memory_toggle },
	{ 20, power_write },
	{ 40, hardware_read },
	{ 3, list_walk },
	{ 0, NULL },
};
