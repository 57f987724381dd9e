// SPDX-License-Identifier: GPL-2.0
/* VFIO_DEVICE_FEATURE: its header, and which features there are (6.7). */
#include <fcntl.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define GET	VFIO_DEVICE_FEATURE_GET
#define SET	VFIO_DEVICE_FEATURE_SET
#define PROBE	VFIO_DEVICE_FEATURE_PROBE

#define EXIT	VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
#define TOKEN	VFIO_DEVICE_FEATURE_PCI_VF_TOKEN

FIXTURE(edu)
{
	struct vfio_session session;
	int fd;
};

FIXTURE_SETUP(edu)
{
	SHARE_DEVICE(&self->session, "EDU");
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(edu)
{
	EXPECT_EQ(0, session_finish(&self->session));
}

static long feature_argsz(int fd, uint32_t flags, uint32_t argsz)
{
	struct vfio_device_feature feature = { .argsz = argsz, .flags = flags };

	return vfio_ioctl(fd, VFIO_DEVICE_FEATURE, &feature);
}

/* 6-84: before it matters which feature it is. */
TEST_F(edu, header)
{
	const uint32_t none = VFIO_DEVICE_FEATURE_MASK;
	int i;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE,
				      BAD_POINTER));
	EXPECT_EQ(-EINVAL, feature_argsz(self->fd, SET | EXIT, 0));
	EXPECT_EQ(-EINVAL, feature_argsz(self->fd, SET | EXIT, 7));
	EXPECT_EQ(0, feature_argsz(self->fd, SET | EXIT, 8));
	EXPECT_EQ(0, feature_argsz(self->fd, SET | EXIT, UINT32_MAX));
	for (i = 19; i < 32; i++)
		EXPECT_EQ(-EINVAL, device_feature(self->fd, PROBE | 1U << i | none,
						  NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(self->fd, GET | SET | EXIT, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(self->fd, GET | SET | none, NULL, 0));
	EXPECT_EQ(-ENOTTY, device_feature(self->fd, GET | SET | PROBE | none,
					  NULL, 0));
}

/* 6-84: half of the header is in memory that is not there. */
TEST_F(edu, header_that_ends)
{
	char *pages = memory_new(2 * PAGE_SIZE);
	uint32_t *argsz;

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	argsz = (uint32_t *)(pages + PAGE_SIZE - sizeof(*argsz));
	*argsz = 8;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, argsz));
	munmap(pages, PAGE_SIZE);
}

/* 6-85: an operation that a feature does not have. */
TEST_F(edu, operations)
{
	EXPECT_EQ(0, device_feature(self->fd, PROBE | EXIT, NULL, 0));
	EXPECT_EQ(0, device_feature(self->fd, PROBE | SET | EXIT, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(self->fd, PROBE | GET | EXIT, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(self->fd, PROBE | GET | SET | EXIT,
					  NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(self->fd, GET | EXIT, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(self->fd, EXIT, NULL, 0));
}

/* 6-87, 6-93: with and without a probe, whatever is asked for. */
TEST_F(edu, absent)
{
	static const uint32_t features[] = {
		VFIO_DEVICE_FEATURE_MIGRATION,
		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		VFIO_DEVICE_FEATURE_BUS_MASTER,
		VFIO_DEVICE_FEATURE_ZPCI_ERROR,
		14,
		VFIO_DEVICE_FEATURE_MASK,
	};
	static const uint32_t operations[] = { GET, SET, PROBE, PROBE | GET, 0 };
	const uint64_t data[4] = { 0 };
	int i, j;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		for (j = 0; j < ARRAY_SIZE(operations); j++)
			EXPECT_EQ(-ENOTTY,
				  device_feature(self->fd,
						 features[i] | operations[j],
						 data, sizeof(data)));
	}
}

/* 6-88, 12-31: C says EINVAL here, and ENOTTY for all others of its kind. */
TEST_F(edu, precopy)
{
	const long absent = on_c_modules() ? -EINVAL : -ENOTTY;
	const uint32_t feature = VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;

	EXPECT_EQ(absent, device_feature(self->fd, PROBE | feature, NULL, 0));
	EXPECT_EQ(absent, device_feature(self->fd, SET | feature, NULL, 0));
}

/* 6-86: not a physical function. */
TEST_F(edu, token)
{
	const uint8_t token[16] = { 1 };

	EXPECT_EQ(-ENOTTY, device_feature(self->fd, PROBE | TOKEN, NULL, 0));
	EXPECT_EQ(-ENOTTY, device_feature(self->fd, SET | TOKEN, token, 16));
	EXPECT_EQ(-ENOTTY, device_feature(self->fd, GET | TOKEN, token, 16));
}

/* 6-86: a physical one; sriov_test.c has what the token does. */
TEST(token_of_a_physical_function)
{
	struct vfio_session session;
	const uint8_t token[17] = { 1 };
	char *pages;

	SHARE_DEVICE(&session, "IGB");
	EXPECT_EQ(0, device_feature(session.device, PROBE | TOKEN, NULL, 0));
	EXPECT_EQ(0, device_feature(session.device, PROBE | SET | TOKEN, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(session.device, GET | TOKEN, token, 16));
	EXPECT_EQ(-EINVAL, device_feature(session.device, TOKEN, token, 16));
	EXPECT_EQ(-EINVAL, device_feature(session.device, SET | TOKEN, token, 15));
	EXPECT_EQ(0, device_feature(session.device, SET | TOKEN, token, 16));
	EXPECT_EQ(0, device_feature(session.device, SET | TOKEN, token, 17));

	pages = memory_new(2 * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	pages += PAGE_SIZE - sizeof(struct vfio_device_feature);
	*(struct vfio_device_feature *)pages = (struct vfio_device_feature){
		.argsz = sizeof(struct vfio_device_feature) + 16,
		.flags = SET | TOKEN,
	};
	EXPECT_EQ(-EFAULT, vfio_ioctl(session.device, VFIO_DEVICE_FEATURE, pages));
	EXPECT_EQ(0, session_finish(&session));
}

/* 6-1: a file of the character device before it is bound. */
TEST(unbound)
{
	const char *bdf;
	int fd;

	NEED_DEVICE(bdf, "EDU");
	NEED_IOMMUFD();
	fd = cdev_open(bdf, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | EXIT, NULL, 0));
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_DEVICE_FEATURE, BAD_POINTER));
	close(fd);
}

VFIO_TEST_MAIN_OPEN("EDU", "IGB")
