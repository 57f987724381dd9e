// SPDX-License-Identifier: GPL-2.0
/*
 * How often a user can make the kernel say something, and whom that silences
 * (1-39).
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "kernel_log.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define TIMES		40
#define TOKEN_LINE	"VF token incorrectly provided"
#define FOREIGN_LINE	"Refusing to map page frames"

/* The kernel lets ten lines pass in five seconds. */
#define BURST		10
#define INTERVAL	5

FIXTURE(lines)
{
	struct vfio_session edu;
	struct vfio_session nvme;
	int log;
};

FIXTURE_SETUP(lines)
{
	const char *edu, *nvme;

	NEED_DEVICE(edu, "EDU");
	NEED_DEVICE(nvme, "NVME");
	ASSERT_EQ(0, session_join(&self->edu, edu, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_join(&self->nvme, nvme, VFIO_TYPE1v2_IOMMU));
	/* Whatever has been said before does not count any more. */
	sleep(INTERVAL + 1);
	self->log = log_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(lines)
{
	close(self->log);
	session_close(&self->nvme);
	session_close(&self->edu);
}

/* Has the kernel say that this device, like every other, has no token. */
static long open_with_token(const struct vfio_session *session)
{
	char name[128];

	snprintf(name, sizeof(name),
		 "%s vf_token=01234567-89ab-cdef-0123-456789abcdef",
		 session->bdf);
	return group_device(session->group, name);
}

/* 3-30 */
TEST_F(lines, are_limited)
{
	int i, lines;

	for (i = 0; i < TIMES; i++)
		ASSERT_EQ(-EINVAL, open_with_token(&self->edu));
	lines = log_count(self->log, TOKEN_LINE);
	EXPECT_LE(1, lines);
	/* On a busy machine it may be a second interval by now, or a third. */
	EXPECT_GE(3 * BURST, lines);
}

/* 5-25: memory of another driver, which the C modules map. */
TEST_F(lines, of_one_kind_leave_others_alone)
{
	const char *bdf = pci_device("TESTDEV");
	char path[128];
	void *foreign;
	int i, fd;

	if (!bdf)
		SKIP(return, "TESTDEV names no device");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	foreign = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, foreign);
	for (i = 0; i < TIMES; i++)
		type1_map(self->edu.container, foreign, i * PAGE_SIZE, PAGE_SIZE,
			  VFIO_DMA_MAP_FLAG_READ);
	if (!on_c_modules())
		EXPECT_LE(1, log_count(self->log, FOREIGN_LINE));
	EXPECT_EQ(-EINVAL, open_with_token(&self->nvme));
	/* With the C modules that may be one line too many after those of are_limited. */
	if (!on_c_modules())
		EXPECT_EQ(1, log_count(self->log, TOKEN_LINE));
	munmap(foreign, PAGE_SIZE);
	close(fd);
}

/* 1-39: with the C modules all devices share the limit of a message. */
TEST_F(lines, of_one_device_leave_others_alone)
{
	bool said;
	int i;

	for (i = 0; i < TIMES; i++)
		ASSERT_EQ(-EINVAL, open_with_token(&self->edu));
	ASSERT_LE(1, log_count(self->log, TOKEN_LINE));
	EXPECT_EQ(-EINVAL, open_with_token(&self->nvme));
	said = log_has(self->log, TOKEN_LINE);
	report_difference("message about a device while another one's user fills the log",
			  said ? "said" : "lost");
	if (!on_c_modules())
		EXPECT_TRUE(said);
}

VFIO_TEST_MAIN("EDU", "NVME")
