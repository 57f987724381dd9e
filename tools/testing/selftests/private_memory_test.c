// SPDX-License-Identifier: GPL-2.0
/*
 * DMA to memory that is copied when somebody writes it: private mappings before and
 * after a fork. The process that has mapped it for DMA and the device go on seeing
 * the same bytes, whatever kind of memory it is and whoever writes first; the copy
 * is the child's (5-23).
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x10000000UL
/* Ordinary memory by which bytes of the device come and go. */
#define WINDOW_IOVA	0x40000000UL

/* What the file of a private mapping has in it. */
#define IN_FILE		0x11

FIXTURE(memory)
{
	struct vfio_session session;
	int container;
	int device;
	uint8_t *window;
	uint8_t *memory;
	int file;
};

FIXTURE_VARIANT(memory)
{
	size_t size;
	int flags;
	bool file;
	/* The CPU has written it before it is mapped for DMA. */
	bool touched;
};

FIXTURE_VARIANT_ADD(memory, untouched) { .size = 4 * PAGE_SIZE };
FIXTURE_VARIANT_ADD(memory, touched) { .size = 4 * PAGE_SIZE, .touched = true };
FIXTURE_VARIANT_ADD(memory, untouched_thp) { .size = SIZE_2M };
FIXTURE_VARIANT_ADD(memory, thp) { .size = SIZE_2M, .touched = true };
FIXTURE_VARIANT_ADD(memory, file) { .size = 4 * PAGE_SIZE, .file = true };
FIXTURE_VARIANT_ADD(memory, hugetlb)
{
	.size = SIZE_2M,
	.flags = MAP_HUGETLB,
};

static uint8_t *memory_get(size_t size, int flags, int file)
{
	uint8_t *memory;
	uint8_t *place = NULL;

	flags |= MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0);
	if (size == SIZE_2M && !(flags & MAP_HUGETLB)) {
		place = memory_new_aligned(size, size);
		flags |= MAP_FIXED;
	}
	memory = mmap(place, size, PROT_READ | PROT_WRITE, flags, file, 0);
	if (memory != MAP_FAILED && size == SIZE_2M)
		madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static int file_get(size_t size)
{
	int file = syscall(__NR_memfd_create, "private", 0);
	uint8_t page[PAGE_SIZE];
	size_t offset;

	memset(page, IN_FILE, sizeof(page));
	for (offset = 0; offset < size; offset += sizeof(page)) {
		if (pwrite(file, page, sizeof(page), offset) != sizeof(page))
			return -EIO;
	}
	return file;
}

/* Whether this process has a transparent huge page. */
static bool has_huge_page(void)
{
	static const char name[] = "AnonHugePages:";
	char buf[4096];
	char *line;

	if (file_read("/proc/self/smaps_rollup", buf, sizeof(buf)) < 0)
		return false;
	line = strstr(buf, name);
	return line && atol(line + strlen(name)) >= SIZE_2M / 1024;
}

FIXTURE_SETUP(memory)
{
	SHARE_DEVICE(&self->session, "EDU");
	self->container = self->session.container;
	self->device = self->session.device;
	self->file = -1;
	if (variant->file) {
		self->file = file_get(variant->size);
		ASSERT_LE(0, self->file);
	}
	self->memory = memory_get(variant->size, variant->flags, self->file);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	if (variant->touched)
		memset(self->memory, 0xff, variant->size);
	if (variant->touched && variant->size == SIZE_2M && !has_huge_page())
		SKIP(return, "the kernel has no huge page to give");
	self->window = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->window);
	ASSERT_EQ(0, edu_bus_master(self->device, true));
	ASSERT_EQ(0, type1_map(self->container, self->window, WINDOW_IOVA,
			       PAGE_SIZE, DMA_RW));
}

FIXTURE_TEARDOWN(memory)
{
	munmap(self->memory, variant->size);
	EXPECT_EQ(0, session_finish(&self->session));
}

/* What the device reads at @offset of the memory; below 0 if it cannot. */
static int device_reads(struct _test_data_memory *self, size_t offset)
{
	memset(self->window, 0xee, 64);
	if (edu_load(self->device, IOVA + offset, 64) ||
	    edu_store(self->device, WINDOW_IOVA, 64))
		return -EIO;
	return memcmp(self->window, self->window + 1, 63) ? -EBADMSG :
							    self->window[0];
}

static int device_writes(struct _test_data_memory *self, size_t offset,
			 uint8_t value)
{
	memset(self->window, value, 64);
	if (edu_load(self->device, WINDOW_IOVA, 64) ||
	    edu_store(self->device, IOVA + offset, 64))
		return -EIO;
	return 0;
}

/* A child that waits for a word, writes if it is to, and tells what it sees. */
struct child {
	pid_t pid;
	int word;
};

static struct child child_new(const uint8_t *memory, size_t last)
{
	struct child child = { .pid = -1 };
	int words[2];
	char word;

	if (pipe(words))
		return child;
	child.pid = fork();
	if (!child.pid) {
		close(words[1]);
		if (read(words[0], &word, 1) != 1)
			_exit(0xff);
		_exit(memory[0] == memory[last] ? memory[0] : 0xff);
	}
	close(words[0]);
	child.word = words[1];
	return child;
}

static int child_sees(const struct child *child)
{
	if (write(child->word, "", 1) != 1)
		return -EPIPE;
	close(child->word);
	return child_result(child->pid);
}

static int child_writes(uint8_t *memory, size_t last, uint8_t value)
{
	pid_t pid = fork();

	if (!pid) {
		memset(memory, value, 64);
		memset(memory + last, value, 64);
		_exit(memory[0]);
	}
	return child_result(pid);
}

/* The device may only read; what it reads is what the process has written last. */
TEST_F(memory, read_by_device)
{
	const size_t last = variant->size - 64;
	uint8_t *memory = self->memory;
	struct child child;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, variant->size,
			       VFIO_DMA_MAP_FLAG_READ));
	if (!variant->touched) {
		EXPECT_EQ(variant->file ? IN_FILE : 0, device_reads(self, last));
	}
	memset(memory, 'a', variant->size);
	EXPECT_EQ('a', device_reads(self, 0));
	EXPECT_EQ('a', device_reads(self, last));

	child = child_new(memory, last);
	ASSERT_LT(0, child.pid);
	memset(memory, 'b', variant->size);
	EXPECT_EQ('b', device_reads(self, 0));
	EXPECT_EQ('b', device_reads(self, last));
	EXPECT_EQ('a', child_sees(&child));

	EXPECT_EQ('c', child_writes(memory, last, 'c'));
	EXPECT_EQ('b', device_reads(self, last));
	EXPECT_EQ('b', memory[last]);
	memset(memory, 'd', variant->size);
	EXPECT_EQ('d', device_reads(self, 0));
	EXPECT_EQ('d', device_reads(self, last));

	EXPECT_EQ(variant->size, type1_unmap(self->container, IOVA,
					     variant->size, 0));
	EXPECT_EQ('d', memory[last]);
}

/* The first write after the mapping comes after a fork. */
TEST_F(memory, first_written_after_fork)
{
	const size_t last = variant->size - 64;
	const uint8_t before = variant->touched ? 0xff :
			       variant->file ? IN_FILE : 0;
	uint8_t *memory = self->memory;
	struct child child;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, variant->size,
			       VFIO_DMA_MAP_FLAG_READ));
	child = child_new(memory, last);
	ASSERT_LT(0, child.pid);
	EXPECT_EQ('c', child_writes(memory, last, 'c'));
	EXPECT_EQ(before, device_reads(self, last));
	memset(memory, 'a', variant->size);
	EXPECT_EQ('a', device_reads(self, 0));
	EXPECT_EQ('a', device_reads(self, last));
	EXPECT_EQ(before, child_sees(&child));
}

/* The device writes: the process sees it, its child and the file do not. */
TEST_F(memory, written_by_device)
{
	const size_t last = variant->size - 64;
	uint8_t *memory = self->memory;
	uint8_t in_file[64] = { 0 };
	struct child child;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, variant->size,
			       DMA_RW));
	ASSERT_EQ(0, device_writes(self, 0, 'a'));
	ASSERT_EQ(0, device_writes(self, last, 'a'));
	EXPECT_EQ('a', memory[0]);
	EXPECT_EQ('a', memory[last]);

	child = child_new(memory, last);
	ASSERT_LT(0, child.pid);
	ASSERT_EQ(0, device_writes(self, 0, 'b'));
	ASSERT_EQ(0, device_writes(self, last, 'b'));
	EXPECT_EQ('b', memory[last]);
	EXPECT_EQ('a', child_sees(&child));
	EXPECT_EQ('c', child_writes(memory, last, 'c'));
	EXPECT_EQ('b', memory[last]);
	memory[last] = 'd';
	ASSERT_EQ(0, device_writes(self, 0, 'e'));
	EXPECT_EQ('e', memory[0]);
	EXPECT_EQ('d', memory[last]);

	EXPECT_EQ(variant->size, type1_unmap(self->container, IOVA,
					     variant->size, 0));
	EXPECT_EQ('e', memory[0]);
	EXPECT_EQ('d', memory[last]);
	if (variant->file) {
		EXPECT_EQ(64, pread(self->file, in_file, 64, last));
		EXPECT_EQ(IN_FILE, in_file[0]);
		EXPECT_EQ(0, memcmp(in_file, in_file + 1, 63));
	}
}

VFIO_TEST_MAIN_OPEN("EDU")
