// SPDX-License-Identifier: GPL-2.0
/* What debugfs tells of devices (1-34, 1-35). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "samples.h"
#include "vfio_fixture.h"

#define ROOT		"/sys/kernel/debug/vfio"
#define NOINTXMASK	"/sys/module/vfio_pci/parameters/nointxmask"
#define DISABLE_IDLE_D3	"/sys/module/vfio_pci/parameters/disable_idle_d3"

/* The path of @name in the directory of @bdf. */
static const char *path_of(const char *bdf, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), ROOT "/%s/%s", bdf, name);
	return path;
}

static bool is_there(const char *bdf, const char *name)
{
	return !access(path_of(bdf, name), F_OK);
}

/* Whether that is all that the file has. */
static bool tells(const char *bdf, const char *name, const char *expected)
{
	char text[128];
	long len = file_read(path_of(bdf, name), text, sizeof(text));

	return len == (long)strlen(expected) && !memcmp(text, expected, len);
}

static int bind_anew(const char *bdf)
{
	int ret = pci_bind(bdf, NULL);

	return ret ?: pci_bind(bdf, "vfio-pci");
}

FIXTURE(function)
{
	const char *bdf;
};

FIXTURE_SETUP(function)
{
	if (access(ROOT, F_OK))
		SKIP(return, "this kernel has VFIO without debugfs");
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
}

FIXTURE_TEARDOWN(function)
{
	if (!self->bdf)
		return;
	file_write(NOINTXMASK, "N");
	file_write(DISABLE_IDLE_D3, "N");
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_FALSE(is_there(self->bdf, ""));
}

/* 1-35: as the parameters were when the device was bound. */
TEST_F(function, options)
{
	EXPECT_TRUE(tells(self->bdf, "pci/nointxmask", "N\n"));
	EXPECT_TRUE(tells(self->bdf, "pci/disable_idle_d3", "N\n"));
	ASSERT_EQ(0, file_write(NOINTXMASK, "Y"));
	EXPECT_TRUE(tells(self->bdf, "pci/nointxmask", "N\n"));
	ASSERT_EQ(0, bind_anew(self->bdf));
	EXPECT_TRUE(tells(self->bdf, "pci/nointxmask", "Y\n"));
	EXPECT_TRUE(tells(self->bdf, "pci/disable_idle_d3", "N\n"));
	ASSERT_EQ(0, file_write(NOINTXMASK, "N"));
	ASSERT_EQ(0, file_write(DISABLE_IDLE_D3, "Y"));
	ASSERT_EQ(0, bind_anew(self->bdf));
	EXPECT_TRUE(tells(self->bdf, "pci/nointxmask", "N\n"));
	EXPECT_TRUE(tells(self->bdf, "pci/disable_idle_d3", "Y\n"));
}

/* 1-35: nobody can change them. */
TEST_F(function, options_are_to_be_read)
{
	EXPECT_EQ(-EINVAL, file_write(path_of(self->bdf, "pci/nointxmask"), "Y"));
	EXPECT_EQ(-EINVAL, file_write(path_of(self->bdf, "pci/disable_idle_d3"), "Y"));
	EXPECT_TRUE(tells(self->bdf, "pci/nointxmask", "N\n"));
}

/* 1-34: a device that cannot be migrated has nothing to tell of that. */
TEST_F(function, no_migration)
{
	EXPECT_TRUE(is_there(self->bdf, "pci"));
	EXPECT_FALSE(is_there(self->bdf, "migration"));
}

/* Who has a file open does not keep the device, and reads nothing once it has gone. */
TEST_F(function, open_file)
{
	char text[8];
	int fd = open(path_of(self->bdf, "pci/nointxmask"), O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(2, sys_result(read(fd, text, sizeof(text))));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-EIO, sys_result(pread(fd, text, sizeof(text), 0)));
	close(fd);
	EXPECT_FALSE(is_there(self->bdf, "pci"));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_TRUE(is_there(self->bdf, "pci"));
}

FIXTURE(migration)
{
	struct vfio_session session;
	const char *bdf;
};

FIXTURE_SETUP(migration)
{
	if (access(ROOT, F_OK))
		SKIP(return, "this kernel has VFIO without debugfs");
	NEED_SAMPLES();
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci-edu"));
}

FIXTURE_TEARDOWN(migration)
{
	if (self->bdf)
		EXPECT_EQ(0, pci_bind(self->bdf, NULL));
}

static long state_set(int device, uint32_t state)
{
	struct vfio_device_feature_mig_state request = { .device_state = state };
	long ret = device_feature(device, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &request,
				  sizeof(request));

	if (!ret && request.data_fd >= 0)
		close(request.data_fd);
	return ret;
}

/* 1-34 */
TEST_F(migration, features)
{
	EXPECT_TRUE(tells(self->bdf, "migration/features", "stop-copy\np2p\npre-copy\n"));
	EXPECT_TRUE(is_there(self->bdf, "pci/nointxmask"));
}

/* 1-34: every state, and that of a device that nobody has open. */
TEST_F(migration, state)
{
	static const struct {
		uint32_t state;
		const char *name;
	} states[] = {
		{ VFIO_DEVICE_STATE_STOP, "STOP\n" },
		{ VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY\n" },
		{ VFIO_DEVICE_STATE_RESUMING, "RESUMING\n" },
		{ VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P\n" },
		{ VFIO_DEVICE_STATE_RUNNING, "RUNNING\n" },
		{ VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY\n" },
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P\n" },
	};
	unsigned int i;

	EXPECT_TRUE(tells(self->bdf, "migration/state", "RUNNING\n"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		/* From some of them there is no way to the next one but by RUNNING. */
		state_set(self->session.device, VFIO_DEVICE_STATE_RUNNING);
		ASSERT_EQ(0, state_set(self->session.device, states[i].state))
			TH_LOG("%s", states[i].name);
		EXPECT_TRUE(tells(self->bdf, "migration/state", states[i].name))
			TH_LOG("%s", states[i].name);
	}
	session_close(&self->session);
	EXPECT_TRUE(tells(self->bdf, "migration/state", "RUNNING\n"));
}

/* A file that is open keeps the code that reads it, and not the device. */
TEST_F(migration, open_file)
{
	char text[32];
	int fd = open(path_of(self->bdf, "migration/state"), O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_LT(0, sys_result(read(fd, text, sizeof(text))));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-EIO, sys_result(pread(fd, text, sizeof(text), 0)));
	EXPECT_EQ(0, module_unload("vfio_pci_edu"));
	EXPECT_EQ(0, module_load("vfio_pci_edu"));
	close(fd);
}

SAMPLES_TEST_MAIN("vfio_pci_edu")
