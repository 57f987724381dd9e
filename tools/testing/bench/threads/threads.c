// SPDX-License-Identifier: GPL-2.0
/*
 * What several threads reach at a time, by the clock on the wall: how container and device
 * are shared, of which the number of instructions tells nothing. It prints for each
 * operation
 *
 *	threads: OPERATION THREADS RATE UNIT
 *
 *	threads [-s SECONDS] [OPERATION]...
 *
 * with 1, 2, 4 and so on up to as many threads as there are processors. What is said of
 * operations "beside" something is what they reach while one more thread does that all the
 * time.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "bench.h"

#define MAX_THREADS	8
#define MAP_SIZE	(64UL << 20)
#define IOVA		0x100000000UL
#define MEMORY_BAR	2
#define REGISTERS_BAR	0
#define WINDOW		(1UL << 20)
#define PAUSE_US	1000

/* What all threads have. */
static struct vfio_session memory, resettable;
static volatile bool ended;
/*
 * What threads map for DMA, the same with one of them as with all: pages that are touched
 * while others are, or after others were let go of, are not next to each other.
 */
static char *pages[MAX_THREADS];

struct thread {
	const struct parallel *operation;
	unsigned int number;
	pthread_t id;
	unsigned long done;
	long error;
};

enum memory { NONE, IN_A_ROW, SCATTERED };

struct parallel {
	const char *name;
	const char *unit;
	/* Of each thread. */
	enum memory memory;
	/* Does it once, and returns how many of the unit that were, or a negative errno. */
	long (*once)(struct thread *thread);
	/* What one more thread does meanwhile. */
	long (*beside)(void);
};

/* 64 MiB of 4 KiB pages, at an address of its own, there and back. */
static long map_once(struct thread *thread)
{
	uint64_t iova = IOVA + 2 * MAP_SIZE * thread->number;

	TRY(dma_map(memory.container, pages[thread->number], iova, MAP_SIZE));
	TRY(dma_unmap(memory.container, iova, MAP_SIZE, 0));
	return MAP_SIZE >> 20;
}

/* A system call that shares nothing: more than this machine gives, nobody can reach. */
static long call_once(struct thread *thread)
{
	syscall(SYS_getppid);
	return 1;
}

static long read_bar(int device, unsigned int index)
{
	uint32_t value;
	ssize_t size = pread(device, &value, sizeof(value), REGION_OFFSET(index));

	/* Memory is off now and then where another thread sees to that. */
	if (size < 0)
		return errno == EIO ? 0 : -errno;
	return 1;
}

static long read_once(struct thread *thread)
{
	return read_bar(memory.device, MEMORY_BAR);
}

static long read_resettable(struct thread *thread)
{
	return read_bar(resettable.device, REGISTERS_BAR);
}

/* A mapping of a page, a fault, and the end of the mapping. */
static long fault_once(struct thread *thread)
{
	uint64_t offset = WINDOW * thread->number;
	uint32_t value;
	char *start;
	int ret;

	start = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, memory.device,
		     REGION_OFFSET(MEMORY_BAR) + offset);
	if (start == MAP_FAILED)
		return -errno;
	ret = mmio_read(start, &value);
	munmap(start, PAGE_SIZE);
	return ret ? 0 : 1;
}

static long zap_beside(void)
{
	TRY(memory_set(memory.device, false));
	TRY(memory_set(memory.device, true));
	usleep(PAUSE_US);
	return 0;
}

/* Writes that change nothing. */
static long config_beside(void)
{
	long command = config_read(memory.device, PCI_COMMAND, 2);

	TRY(command);
	return config_write(memory.device, PCI_COMMAND, 2, command);
}

static long reset_beside(void)
{
	return vfio_ioctl(resettable.device, VFIO_DEVICE_RESET, 0);
}

static const struct parallel operations[] = {
	{ "system-call", "1/s", NONE, call_once, NULL },
	{ "map", "MiB/s", IN_A_ROW, map_once, NULL },
	{ "map-scattered", "MiB/s", SCATTERED, map_once, NULL },
	{ "read", "1/s", NONE, read_once, NULL },
	{ "read-beside-config", "1/s", NONE, read_once, config_beside },
	{ "read-beside-zap", "1/s", NONE, read_once, zap_beside },
	{ "read-beside-reset", "1/s", NONE, read_resettable, reset_beside },
	{ "fault", "1/s", NONE, fault_once, NULL },
	{ "fault-beside-zap", "1/s", NONE, fault_once, zap_beside },
	{}
};

static pthread_barrier_t begin;

static void *thread_run(void *data)
{
	struct thread *thread = data;
	long ret = thread->operation->once(thread);

	pthread_barrier_wait(&begin);
	while (ret >= 0 && !ended) {
		ret = thread->operation->once(thread);
		if (ret > 0)
			thread->done += ret;
	}
	thread->error = ret < 0 ? ret : 0;
	return NULL;
}

static void *beside_run(void *data)
{
	const struct parallel *operation = data;
	long ret = 0;

	pthread_barrier_wait(&begin);
	while (ret >= 0 && !ended)
		ret = operation->beside();
	return (void *)(ret < 0 ? ret : 0L);
}

/* Prints what @count threads reach; an error of one of them is that of all. */
static long measure(const struct parallel *operation, unsigned int count, unsigned int seconds)
{
	struct thread threads[MAX_THREADS] = {};
	unsigned long done = 0;
	void *beside = NULL;
	pthread_t other;
	long start, took, error = 0;
	unsigned int i;

	ended = false;
	pthread_barrier_init(&begin, NULL, count + 1 + !!operation->beside);
	for (i = 0; i < count; i++) {
		threads[i].operation = operation;
		threads[i].number = i;
		if (pthread_create(&threads[i].id, NULL, thread_run, &threads[i]))
			exit(1);
	}
	if (operation->beside &&
	    pthread_create(&other, NULL, beside_run, (void *)operation))
		exit(1);
	pthread_barrier_wait(&begin);
	start = now();
	sleep(seconds);
	ended = true;
	for (i = 0; i < count; i++) {
		pthread_join(threads[i].id, NULL);
		done += threads[i].done;
		error = error ?: threads[i].error;
	}
	took = now() - start;
	if (operation->beside) {
		pthread_join(other, &beside);
		error = error ?: (long)beside;
	}
	pthread_barrier_destroy(&begin);
	if (error)
		printf("threads: %s %u error %ld\n", operation->name, count, -error);
	else
		printf("threads: %s %u %.1f %s\n", operation->name, count, done * 1e9 / took,
		       operation->unit);
	fflush(stdout);
	return error;
}

static void pages_free(void)
{
	unsigned int i;

	for (i = 0; i < MAX_THREADS; i++) {
		if (pages[i])
			munmap(pages[i], MAP_SIZE);
		pages[i] = NULL;
	}
}

static bool pages_get(enum memory wanted, unsigned int count)
{
	unsigned int i;

	for (i = 0; wanted != NONE && i < count; i++) {
		pages[i] = small_pages_new(MAP_SIZE, wanted == SCATTERED);
		if (!pages[i])
			return false;
	}
	return true;
}

/* With 1, 2, 4 and so on of @most threads. */
static long measure_all(const struct parallel *operation, unsigned int most, unsigned int seconds)
{
	unsigned int count;
	long ret = 0;

	if (!pages_get(operation->memory, most)) {
		printf("threads: %s: no memory for %u threads\n", operation->name, most);
		ret = -ENOMEM;
	}
	for (count = 1; !ret && count <= most; count *= 2)
		ret = measure(operation, count, seconds);
	pages_free();
	return ret;
}

static bool is_wanted(const struct parallel *operation, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(operation->name, *names))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "IVSHMEM", "PORT_NVME", NULL };
	long processors = sysconf(_SC_NPROCESSORS_ONLN), ret = 0;
	const struct parallel *operation;
	unsigned int seconds = 3;
	int option;

	while ((option = getopt(argc, argv, "s:")) != -1) {
		if (option != 's')
			return 2;
		seconds = strtoul(optarg, NULL, 0);
	}
	pci_claim(names);
	if (session_open(&memory, pci_device("IVSHMEM"), VFIO_TYPE1v2_IOMMU) ||
	    session_open(&resettable, pci_device("PORT_NVME"), VFIO_TYPE1v2_IOMMU)) {
		puts("threads: the devices do not open");
		return 1;
	}
	memory_set(memory.device, true);
	for (operation = operations; operation->name; operation++) {
		if (is_wanted(operation, argv + optind))
			ret |= measure_all(operation, processors < MAX_THREADS ? processors :
					   MAX_THREADS, seconds);
	}
	session_close(&resettable);
	session_close(&memory);
	return !!ret;
}
