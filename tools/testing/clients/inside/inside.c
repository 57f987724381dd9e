// SPDX-License-Identifier: GPL-2.0
/*
 * A guest for the guest, with nothing below it: finds the device that it was given, and
 * drives it. What it finds is in lines "inside: WHAT: VALUE" on its serial port. It has no
 * page table, so that an address is what the device sees. Linux would take many minutes to
 * start under two emulations.
 */
#include "inside.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define SERIAL			0x3f8
#define RESET_CONTROL		0xcf9
#define RESET_CPU		0x06
#define CONFIG_ADDRESS		0xcf8
#define CONFIG_DATA		0xcfc
#define CONFIG_ENABLE		0x80000000
#define CONFIG_COMMAND		0x04
#define CONFIG_BAR0		0x10
#define COMMAND_MEMORY		0x2
#define COMMAND_MASTER		0x4

/* Nothing else is at this address of the machine. */
#define BAR			0xd0000000
/* An edu needs a tenth of a second for a transfer. */
#define TRIES			20000000

#define EDU_ID			0x00
#define EDU_LIVENESS		0x04
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		0x1
#define EDU_DMA_FROM_DEVICE	0x2
#define EDU_BUFFER		0x40000

#define IGB_ADDRESS_LOW		0x5400
#define IGB_ADDRESS_HIGH	0x5404

#define NVME_CONFIGURATION	0x14
#define NVME_STATUS		0x1c
#define NVME_ADMIN_SIZES	0x24
#define NVME_ADMIN_SUBMISSION	0x28
#define NVME_ADMIN_COMPLETION	0x30
#define NVME_DOORBELL		0x1000
/* Entries of 64 and of 16 bytes, and go. */
#define NVME_ENABLE		0x00460001
#define NVME_READY		0x1
#define NVME_IDENTIFY		0x06
#define NVME_CONTROLLER		0x1

static void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static u32 in32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static u32 config_read(u32 slot, u32 offset)
{
	out32(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | offset);
	return in32(CONFIG_DATA);
}

static void config_write(u32 slot, u32 offset, u32 value)
{
	out32(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | offset);
	out32(CONFIG_DATA, value);
}

static volatile u32 *at(u32 offset)
{
	return (volatile u32 *)(BAR + offset);
}

static void say(const char *text)
{
	while (*text)
		out8(SERIAL, *text++);
}

static void say_byte(u32 value)
{
	static const char digits[] = "0123456789abcdef";

	out8(SERIAL, digits[value >> 4 & 15]);
	out8(SERIAL, digits[value & 15]);
}

static void tell(const char *what)
{
	say("\ninside: ");
	say(what);
	say(": ");
}

static void tell_number(const char *what, u32 value)
{
	int shift;

	tell(what);
	say("0x");
	for (shift = 24; shift >= 0; shift -= 8)
		say_byte(value >> shift & 255);
}

/* Text that a device wrote, padded with blanks. */
static void tell_text(const char *what, const volatile u8 *text, u32 length)
{
	while (length && text[length - 1] == ' ')
		length--;
	tell(what);
	while (length--)
		out8(SERIAL, *text++);
}

/* Waits until a register or a word of memory has these bits. */
static int is(const char *what, const volatile u32 *where, u32 mask, u32 value)
{
	u32 tries;

	for (tries = 0; tries < TRIES; tries++) {
		if ((*where & mask) == value)
			return 1;
	}
	tell_number(what, *where);
	return 0;
}

static int edu_copy(u32 source, u32 destination, u32 direction)
{
	*at(EDU_DMA_SOURCE) = source;
	*at(EDU_DMA_DESTINATION) = destination;
	*at(EDU_DMA_COUNT) = sizeof(u32);
	*at(EDU_DMA_COMMAND) = EDU_DMA_START | direction;
	return is("DMA command", at(EDU_DMA_COMMAND), EDU_DMA_START, 0);
}

static int drive_edu(void)
{
	tell_number("identification", *at(EDU_ID));
	*at(EDU_LIVENESS) = 0x12345678;
	tell_number("liveness", *at(EDU_LIVENESS));
	*at(EDU_FACTORIAL) = 5;
	if (!is("status", at(EDU_STATUS), 1, 0))
		return 0;
	tell_number("5!", *at(EDU_FACTORIAL));
	memory[0][0] = 0x5ab0c0de;
	if (!edu_copy((u32)memory[0], EDU_BUFFER, 0) ||
	    !edu_copy(EDU_BUFFER, (u32)memory[1], EDU_DMA_FROM_DEVICE))
		return 0;
	tell_number("DMA", memory[1][0]);
	return 1;
}

static int drive_igb(void)
{
	u32 low = *at(IGB_ADDRESS_LOW), high = *at(IGB_ADDRESS_HIGH);
	int byte;

	tell("MAC");
	for (byte = 0; byte < 6; byte++) {
		if (byte)
			say(":");
		say_byte((byte < 4 ? low >> 8 * byte : high >> 8 * (byte - 4)) & 255);
	}
	return 1;
}

/* One command on the queue of administration, which has two entries. */
static int drive_nvme(void)
{
	*at(NVME_CONFIGURATION) = 0;
	if (!is("status", at(NVME_STATUS), NVME_READY, 0))
		return 0;
	*at(NVME_ADMIN_SIZES) = 0x00010001;
	*at(NVME_ADMIN_SUBMISSION) = (u32)memory[0];
	*at(NVME_ADMIN_SUBMISSION + 4) = 0;
	*at(NVME_ADMIN_COMPLETION) = (u32)memory[1];
	*at(NVME_ADMIN_COMPLETION + 4) = 0;
	*at(NVME_CONFIGURATION) = NVME_ENABLE;
	if (!is("status", at(NVME_STATUS), NVME_READY, NVME_READY))
		return 0;
	memory[0][0] = NVME_IDENTIFY;
	memory[0][6] = (u32)memory[2];
	memory[0][10] = NVME_CONTROLLER;
	*at(NVME_DOORBELL) = 1;
	if (!is("completion", &memory[1][3], 1 << 16, 1 << 16))
		return 0;
	tell_number("status", memory[1][3] >> 17);
	tell_text("serial", (const volatile u8 *)memory[2] + 4, 20);
	tell_text("model", (const volatile u8 *)memory[2] + 24, 40);
	*at(NVME_CONFIGURATION) = 0;
	return 1;
}

static const struct {
	u32 id;
	const char *name;
	int (*drive)(void);
} devices[] = {
	{ 0x11e81234, "edu", drive_edu },
	{ 0x10c98086, "igb", drive_igb },
	{ 0x00101b36, "nvme", drive_nvme },
};

void inside(void)
{
	u32 slot, kind, done = 0;

	for (slot = 0; slot < 32; slot++) {
		u32 id = config_read(slot, 0);

		for (kind = 0; kind < ARRAY_SIZE(devices); kind++) {
			if (id != devices[kind].id)
				continue;
			tell("device");
			say(devices[kind].name);
			config_write(slot, CONFIG_BAR0, BAR);
			/* The upper half, if it has one. */
			config_write(slot, CONFIG_BAR0 + 4, 0);
			config_write(slot, CONFIG_COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
			done += devices[kind].drive();
		}
	}
	tell_number("done", done);
	say("\ninside: end\n");
	for (;;)
		out8(RESET_CONTROL, RESET_CPU);
}
