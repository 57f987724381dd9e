/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The DMA of the sample device vfio_memory, which registers tell what to do. All of it is
 * between the start of the device's memory and that of its user.
 */
#ifndef MEMORY_DMA_H
#define MEMORY_DMA_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "samples.h"
#include "vfio_memory.h"

#define IOVA		0x10000000UL
#define PAGES		8UL
#define SIZE		(PAGES * PAGE_SIZE)

#define REGISTERS	(1UL << 20)
#define REGISTER(name)	(REGISTERS + offsetof(struct vfio_memory_registers, name))

static inline bool put(int device, uint64_t where, uint64_t value)
{
	return pwrite(device, &value, sizeof(value), where) == sizeof(value);
}

static inline long get(int device, uint64_t where)
{
	int64_t value;

	if (pread(device, &value, sizeof(value), where) != sizeof(value))
		return -errno;
	return value;
}

#define REG(device, name)	get(device, REGISTER(name))

/* Has @command carried out for @size bytes from @iova on, and from the device's first on. */
static inline long command(int device, uint64_t command, uint64_t iova, uint64_t size)
{
	if (!put(device, REGISTER(iova), iova) ||
	    !put(device, REGISTER(length), size) ||
	    !put(device, REGISTER(position), 0) ||
	    !put(device, REGISTER(command), command))
		return -EIO;
	return REG(device, result);
}

static inline long pin(int device, uint64_t iova, uint64_t size)
{
	return command(device, VFIO_MEMORY_PIN, iova, size);
}

static inline long unpin(int device, uint64_t iova, uint64_t size)
{
	return command(device, VFIO_MEMORY_UNPIN, iova, size);
}

/* Writes to the user's memory what its first byte, and all others, shall be. */
static inline long store(int device, uint64_t how, uint64_t iova, uint64_t size, int value)
{
	static uint8_t bytes[SIZE];

	memset(bytes, value, sizeof(bytes));
	if (pwrite(device, bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	return command(device, how, iova, size);
}

/* Reads the user's memory; returns its first byte if it is that of all. */
static inline long load(int device, uint64_t how, uint64_t iova, uint64_t size)
{
	static uint8_t bytes[SIZE];
	long ret = command(device, how, iova, size);
	size_t i;

	if (ret)
		return ret;
	if (pread(device, bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (i = 1; i < size; i++)
		if (bytes[i] != bytes[0])
			return -EILSEQ;
	return bytes[0];
}

static inline bool has_only(const uint8_t *bytes, size_t size, uint8_t value)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

#endif
