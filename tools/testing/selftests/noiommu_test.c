// SPDX-License-Identifier: GPL-2.0
/*
 * No-IOMMU mode: devices that nothing protects the machine from. For a machine that
 * has no IOMMU; elsewhere every test skips.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/iommufd.h>

#include "edu.h"
#include "kernel_log.h"
#include "kselftest_harness.h"
#include "samples.h"

#define PARAMETER	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define NODES		"/dev/vfio/"
#define DEVICE_NODES	"/dev/vfio/devices/"
#define TAINT_USER	6
#define PATTERN		0x6b
#define IOVA		0x40000000UL

static bool machine_has_iommu(void)
{
	DIR *dir = opendir("/sys/class/iommu");
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		found |= entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

static int enable(bool on)
{
	return file_write(PARAMETER, on ? "1" : "0");
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* Gives up CAP_SYS_RAWIO, or takes it back. */
static int rawio(bool on)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (on)
		data[0].effective |= 1U << CAP_SYS_RAWIO;
	else
		data[0].effective &= ~(1U << CAP_SYS_RAWIO);
	return sys_result(syscall(SYS_capset, &header, data));
}

/* ---- a machine without an IOMMU, the mode off ---- */

FIXTURE(off)
{
	const char *bdf;
	int log;
};

FIXTURE_SETUP(off)
{
	if (machine_has_iommu())
		SKIP(return, "the machine has an IOMMU");
	if (!exists(PARAMETER))
		SKIP(return, "the modules have no no-IOMMU mode");
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	self->log = log_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(off)
{
	EXPECT_EQ(0, enable(false));
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
	close(self->log);
}

/* 1-7 */
TEST_F(off, by_default)
{
	struct stat stat_buf;
	char text[8];

	ASSERT_EQ(0, stat(PARAMETER, &stat_buf));
	EXPECT_EQ(0644, stat_buf.st_mode & 07777);
	ASSERT_LT(0, file_read(PARAMETER, text, sizeof(text)));
	EXPECT_STREQ("N\n", text);
}

/* 3-43, 10-5 */
TEST_F(off, devices_are_refused)
{
	char name[64];

	EXPECT_EQ(-EINVAL, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_EQ(-ENOENT, pci_driver(self->bdf, name, sizeof(name)));
	EXPECT_EQ(-ENOENT, pci_group(self->bdf));
	EXPECT_EQ(-ENOENT, cdev_name(self->bdf, name, sizeof(name)));
	EXPECT_FALSE(log_has(self->log, "taint"));
}

/* 1-38 */
TEST_F(off, taint_comes_with_the_first_device)
{
	char line[128], text[32];
	int i;

	ASSERT_LT(0, file_read("/proc/sys/kernel/tainted", text, sizeof(text)));
	if (atol(text) & 1 << TAINT_USER)
		SKIP(return, "tainted before");
	ASSERT_EQ(0, enable(true));
	ASSERT_LT(0, file_read("/proc/sys/kernel/tainted", text, sizeof(text)));
	EXPECT_FALSE(atol(text) & 1 << TAINT_USER);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
		ASSERT_LT(0, file_read("/proc/sys/kernel/tainted", text,
				       sizeof(text)));
		EXPECT_TRUE(atol(text) & 1 << TAINT_USER);
		ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	}
	/* Each time, for each of the two ways in, in one order. */
	for (i = 0; i < 2; i++) {
		snprintf(line, sizeof(line),
			 "vfio-pci %s: Adding kernel taint for vfio-noiommu group on device",
			 self->bdf);
		EXPECT_TRUE(log_reaches(self->log, line));
		if (!kernel_has_iommufd())
			continue;
		snprintf(line, sizeof(line),
			 "vfio-pci %s: Adding kernel taint for vfio-noiommu cdev",
			 self->bdf);
		EXPECT_TRUE(log_reaches(self->log, line));
	}
	EXPECT_FALSE(log_has(self->log, "taint"));
}

/* ---- the mode on, the device bound ---- */

FIXTURE(on)
{
	const char *bdf;
	int log;
	char group[64];
	char device[64];
};

FIXTURE_SETUP(on)
{
	int group;

	if (machine_has_iommu())
		SKIP(return, "the machine has an IOMMU");
	if (!exists(PARAMETER))
		SKIP(return, "the modules have no no-IOMMU mode");
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	ASSERT_EQ(0, enable(true));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	group = pci_group(self->bdf);
	ASSERT_LE(0, group);
	snprintf(self->group, sizeof(self->group), "noiommu-%d", group);
	ASSERT_EQ(0, cdev_name(self->bdf, self->device, sizeof(self->device)));
	self->log = log_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(on)
{
	char path[128];

	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-ENOENT, pci_group(self->bdf));
	snprintf(path, sizeof(path), NODES "%s", self->group);
	EXPECT_FALSE(exists(path));
	snprintf(path, sizeof(path), DEVICE_NODES "%s", self->device);
	EXPECT_FALSE(exists(path));
	EXPECT_EQ(0, enable(false));
	close(self->log);
}

/* 1-20, 1-22, 1-27, 1-28, 1-29 */
TEST_F(on, names)
{
	int group = pci_group(self->bdf);
	char path[128], text[32];
	struct stat stat_buf;

	snprintf(path, sizeof(path), NODES "noiommu-%d", group);
	ASSERT_EQ(0, stat(path, &stat_buf));
	EXPECT_EQ(S_IFCHR | 0600, stat_buf.st_mode);
	snprintf(path, sizeof(path), NODES "%d", group);
	EXPECT_FALSE(exists(path));
	snprintf(path, sizeof(path), "/sys/class/vfio/noiommu-%d/dev", group);
	EXPECT_TRUE(exists(path));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", group);
	ASSERT_LT(0, file_read(path, text, sizeof(text)));
	EXPECT_STREQ("vfio-noiommu\n", text);

	if (!kernel_has_iommufd()) {
		EXPECT_STREQ("vfio0", self->device);
		EXPECT_FALSE(exists("/dev/vfio/devices"));
		return;
	}
	EXPECT_STREQ("noiommu-vfio0", self->device);
	snprintf(path, sizeof(path), DEVICE_NODES "%s", self->device);
	ASSERT_EQ(0, stat(path, &stat_buf));
	EXPECT_EQ(S_IFCHR | 0600, stat_buf.st_mode);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/dev", self->device);
	EXPECT_TRUE(exists(path));
}

/* 2-4, 2-8, 2-10, 2-16, 3-7 */
TEST_F(on, container)
{
	int container = container_open();
	int group = group_open(self->bdf);

	ASSERT_LE(0, container);
	ASSERT_LE(0, group);
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(group));
	/* Before there is a group, all that there might be. */
	EXPECT_EQ(1, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_NOIOMMU_IOMMU));

	ASSERT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_flags(group));
	EXPECT_EQ(1, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	EXPECT_EQ(-ENODEV, vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-ENODEV, vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(container, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT_EQ(-EINVAL, group_device(group, self->bdf));

	ASSERT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(VFIO_API_VERSION, vfio_ioctl(container, VFIO_GET_API_VERSION, 0));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(container, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(container, VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(container, VFIO_IOMMU_UNMAP_DMA, NULL));

	/* With its last group the container is as new. */
	ASSERT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(1, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(container, VFIO_IOMMU_MAP_DMA, NULL));
	close(group);
	close(container);
}

/* The mode needs no driver of another module. */
TEST_F(on, other_groups_join)
{
	struct vfio_session session;
	const char *other;
	int group, device;

	NEED_DEVICE(other, "IVSHMEM");
	ASSERT_EQ(0, pci_bind(other, "vfio-pci"));
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_NOIOMMU_IOMMU));
	EXPECT_NE(pci_group(self->bdf), pci_group(other));
	group = group_open(other);
	ASSERT_LE(0, group);
	EXPECT_EQ(0, group_set_container(group, session.container));
	device = group_device(group, other);
	EXPECT_LE(0, device);
	EXPECT_EQ(pci_hw_config(other, 0, 4), config_read(device, 0, 4));

	/* One leaves; what is there stays. */
	EXPECT_EQ(-EBUSY, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(device);
	EXPECT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(session.container, VFIO_IOMMU_MAP_DMA,
				      NULL));
	close(group);
	session_close(&session);
	EXPECT_EQ(0, pci_bind(other, NULL));
}

/* 1-38 */
TEST_F(on, open_is_logged)
{
	struct vfio_session session;
	char line[128];

	snprintf(line, sizeof(line),
		 "vfio-pci %s: vfio-noiommu device opened by user (noiommu_test:%d)",
		 self->bdf, getpid());
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, log_count(self->log, line));
	close(group_device(session.group, self->bdf));
	EXPECT_EQ(1, log_count(self->log, line));
	session_close(&session);
}

/* Where a page of this process is, for as long as it stays there. */
static uint64_t physical(void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (uintptr_t)page / PAGE_SIZE * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	return (entry & ((1UL << 55) - 1)) * PAGE_SIZE;
}

/* Has the device copy one half of a page to the other one. */
static long copies(int device, uint8_t *page, uint64_t address)
{
	const unsigned int half = PAGE_SIZE / 2;
	long ret;

	memset(page, PATTERN, half);
	memset(page + half, 0, half);
	ret = edu_bus_master(device, 1);
	if (!ret)
		ret = edu_load(device, address, half);
	if (!ret)
		ret = edu_store(device, address + half, half);
	edu_bus_master(device, 0);
	return ret ? ret : memcmp(page, page + half, half);
}

/* What the mode is for: addresses are those of the machine's memory. */
TEST_F(on, device_works)
{
	struct vfio_session session;
	int event = event_new();
	void *bar;
	void *page = memory_new(PAGE_SIZE);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, mlock(page, PAGE_SIZE));
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(session.device, EDU_ID));
	ASSERT_EQ(0, bar_mmap(session.device, 0, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &bar));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(bar));
	EXPECT_EQ(0, copies(session.device, page, physical(page)));

	ASSERT_EQ(0, edu_bus_master(session.device, 1));
	ASSERT_EQ(0, irq_eventfd(session.device, VFIO_PCI_MSI_IRQ_INDEX, 0,
				 event));
	ASSERT_EQ(0, edu_write(session.device, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(event, 5000));
	EXPECT_EQ(0, edu_write(session.device, EDU_IRQ_ACK, 1));
	munmap(bar, PAGE_SIZE);
	session_close(&session);
	munmap(page, PAGE_SIZE);
	close(event);
}

/* A device behind a port of its own can be reset by that, by who shows its group. */
TEST_F(on, hot_reset)
{
	struct {
		struct vfio_pci_hot_reset header;
		int32_t group;
	} reset = { .header.argsz = sizeof(reset), .header.count = 1 };
	struct vfio_pci_hot_reset_info *info;
	struct vfio_session session;
	char memory[256] = {};
	const char *bdf;

	NEED_DEVICE(bdf, "PORT_NVME");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_NOIOMMU_IOMMU));
	info = (void *)memory;
	info->argsz = sizeof(memory);
	EXPECT_EQ(0, vfio_ioctl(session.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				info));
	EXPECT_EQ(1, info->count);
	EXPECT_EQ(pci_group(bdf), info->devices[0].group_id);
	reset.group = session.group;
	EXPECT_EQ(0, vfio_ioctl(session.device, VFIO_DEVICE_PCI_HOT_RESET,
				&reset));
	session_close(&session);
	EXPECT_EQ(0, pci_bind(bdf, NULL));
}

/* Of two that are reset together one has no driver, and so no group at all. */
TEST_F(on, hot_reset_with_a_stranger)
{
	struct vfio_pci_hot_reset_info *info;
	struct vfio_session session;
	char memory[256] = {};
	const char *bdf, *other;

	NEED_DEVICE(bdf, "DUAL_IGB_0");
	NEED_DEVICE(other, "DUAL_IGB_1");
	ASSERT_EQ(0, pci_bind(other, NULL));
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_NOIOMMU_IOMMU));
	info = (void *)memory;
	info->argsz = sizeof(memory);
	EXPECT_EQ(-EPERM, vfio_ioctl(session.device,
				     VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	session_close(&session);
	EXPECT_EQ(0, pci_bind(bdf, NULL));
}

/* 2-12, 3-2, 3-13, 3-35, 3-43 */
TEST_F(on, needs_rawio)
{
	struct vfio_session session = { .bdf = self->bdf };
	int device;

	ASSERT_EQ(0, rawio(false));
	EXPECT_EQ(-EPERM, group_open(self->bdf));
	session.container = container_open();
	ASSERT_LE(0, session.container);
	EXPECT_EQ(1, vfio_ioctl(session.container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, rawio(true));

	session.group = group_open(self->bdf);
	ASSERT_LE(0, session.group);
	ASSERT_EQ(0, rawio(false));
	/* Who may not open it does not learn that it is open. */
	EXPECT_EQ(-EPERM, group_open(self->bdf));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(session.group));
	EXPECT_EQ(-EPERM, group_set_container(session.group, session.container));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(session.group));
	ASSERT_EQ(0, rawio(true));
	ASSERT_EQ(0, group_set_container(session.group, session.container));

	ASSERT_EQ(0, rawio(false));
	EXPECT_EQ(-EPERM, vfio_ioctl(session.container, VFIO_SET_IOMMU,
				     VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, vfio_ioctl(session.container, VFIO_SET_IOMMU,
				      VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, group_device(session.group, self->bdf));
	ASSERT_EQ(0, rawio(true));
	ASSERT_EQ(0, vfio_ioctl(session.container, VFIO_SET_IOMMU,
				VFIO_NOIOMMU_IOMMU));

	ASSERT_EQ(0, rawio(false));
	EXPECT_EQ(-EPERM, group_device(session.group, self->bdf));
	EXPECT_EQ(-ENODEV, group_device(session.group, "0000:00:00.0"));
	ASSERT_EQ(0, rawio(true));
	session.device = group_device(session.group, self->bdf);
	ASSERT_LE(0, session.device);

	/* Once it is open there is no other question. */
	ASSERT_EQ(0, rawio(false));
	device = group_device(session.group, self->bdf);
	EXPECT_LE(0, device);
	EXPECT_EQ(EDU_ID_VALUE, edu_read(device, EDU_ID));
	close(device);
	ASSERT_EQ(0, rawio(true));
	session_close(&session);
}

/* 12-39, 2-10 */
TEST_F(on, turned_off_later)
{
	struct vfio_session session;
	const char *other;
	int container, group;

	NEED_DEVICE(other, "IVSHMEM");
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, enable(false));
	EXPECT_EQ(-EINVAL, pci_bind(other, "vfio-pci"));
	ASSERT_EQ(0, pci_bind(other, NULL));

	/* What is there stays. */
	EXPECT_EQ(EDU_ID_VALUE, edu_read(session.device, EDU_ID));
	EXPECT_EQ(0, vfio_ioctl(session.container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	close(session.device);
	session.device = group_device(session.group, self->bdf);
	EXPECT_LE(0, session.device);
	session_close(&session);

	/* A container cannot be had any more. */
	container = container_open();
	group = group_open(self->bdf);
	ASSERT_LE(0, group);
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(-ENODEV, vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, enable(true));
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	close(group);
	close(container);
}

/* 3-14: with one that has no IOMMU either, but needs none. */
TEST_F(on, kinds_do_not_mix)
{
	int container = container_open();
	int group = group_open(self->bdf);
	char path[64];
	int emulated;

	NEED_SAMPLES();
	ASSERT_EQ(0, module_load("vfio_memory"));
	snprintf(path, sizeof(path), NODES "noiommu-%d", memory_group());
	EXPECT_FALSE(exists(path));
	emulated = memory_group_open();
	ASSERT_LE(0, emulated);

	ASSERT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(-EPERM, group_set_container(emulated, container));
	ASSERT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EPERM, group_set_container(emulated, container));
	ASSERT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));

	ASSERT_EQ(0, group_set_container(emulated, container));
	EXPECT_EQ(-EPERM, group_set_container(group, container));
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EPERM, group_set_container(group, container));
	close(emulated);
	close(group);
	close(container);
	EXPECT_EQ(0, module_unload("vfio_memory"));
}

/* ---- iommufd in place of a container ---- */

/* Has the iommufd make, or tell, the address space of the container interface. */
static long compat_ioas(int iommufd, uint16_t op, uint32_t id)
{
	struct iommu_vfio_ioas ioas = {
		.size = sizeof(ioas),
		.op = op,
		.ioas_id = id,
	};
	long ret = vfio_ioctl(iommufd, IOMMU_VFIO_IOAS, &ioas);

	return ret ? ret : (long)ioas.ioas_id;
}

/* 2-22, 2-23, 3-17, 3-33 */
TEST_F(on, group_of_an_iommufd)
{
	int device, again, group, iommufd;
	char line[128];

	NEED_IOMMUFD();
	group = group_open(self->bdf);
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	ASSERT_EQ(0, group_set_container(group, iommufd));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_flags(group));
	/* No address space was made. */
	EXPECT_EQ(-ENODEV, compat_ioas(iommufd, IOMMU_VFIO_IOAS_GET, 0));
	EXPECT_EQ(1, vfio_ioctl(iommufd, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(iommufd, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(iommufd, VFIO_SET_IOMMU,
				      VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(iommufd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));

	ASSERT_EQ(0, rawio(false));
	EXPECT_EQ(-EPERM, group_device(group, self->bdf));
	ASSERT_EQ(0, rawio(true));
	device = group_device(group, self->bdf);
	ASSERT_LE(0, device);
	EXPECT_EQ(EDU_ID_VALUE, edu_read(device, EDU_ID));
	snprintf(line, sizeof(line),
		 "vfio-pci %s: vfio-noiommu device opened by user (noiommu_test:%d)",
		 self->bdf, getpid());
	EXPECT_EQ(1, log_count(self->log, line));
	/* Only the first one is asked. */
	ASSERT_EQ(0, rawio(false));
	again = group_device(group, self->bdf);
	EXPECT_LE(0, again);
	ASSERT_EQ(0, rawio(true));
	close(again);
	close(device);

	device = group_device(group, self->bdf);
	EXPECT_LE(0, device);
	close(device);
	EXPECT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(group);
	close(iommufd);
}

/* 3-17, 3-33: who has an address space there expects that devices use it. */
TEST_F(on, group_of_an_iommufd_with_an_address_space)
{
	int group, iommufd;
	long ioas;

	NEED_IOMMUFD();
	group = group_open(self->bdf);
	iommufd = iommufd_open();
	ioas = iommufd_ioas(iommufd);
	ASSERT_LT(0, ioas);
	ASSERT_EQ(ioas, compat_ioas(iommufd, IOMMU_VFIO_IOAS_SET, ioas));
	EXPECT_EQ(-EINVAL, group_set_container(group, iommufd));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(group));

	/* One that comes later is in the way of the device. */
	ASSERT_EQ(0, compat_ioas(iommufd, IOMMU_VFIO_IOAS_CLEAR, 0));
	ASSERT_EQ(0, group_set_container(group, iommufd));
	EXPECT_EQ(ioas, compat_ioas(iommufd, IOMMU_VFIO_IOAS_SET, ioas));
	EXPECT_EQ(-EPERM, group_device(group, self->bdf));
	ASSERT_EQ(0, compat_ioas(iommufd, IOMMU_VFIO_IOAS_CLEAR, 0));
	close(group_device(group, self->bdf));
	close(group);
	close(iommufd);
}

/* 12-14: the C modules lose count, and warn. */
TEST_F(on, iommufd_given_up_for_a_container)
{
	int container, device, group, iommufd;

	NEED_IOMMUFD();
	if (on_c_modules())
		SKIP(return, "the C modules warn");
	container = container_open();
	group = group_open(self->bdf);
	iommufd = iommufd_open();
	ASSERT_EQ(0, group_set_container(group, iommufd));
	device = group_device(group, self->bdf);
	ASSERT_LE(0, device);
	ASSERT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	ASSERT_EQ(0, group_set_container(group, container));
	ASSERT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EBUSY, group_device(group, self->bdf));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(device, EDU_ID));
	close(device);
	device = group_device(group, self->bdf);
	EXPECT_LE(0, device);
	EXPECT_EQ(-EBUSY, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(device);
	EXPECT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(iommufd);
	close(group);
	close(container);
}

/* ---- the character device ---- */

/* Asks where in memory @iova is. */
static long physical_of(int iommufd, uint32_t ioas, uint64_t iova,
			uint64_t *address)
{
	struct iommu_ioas_noiommu_get_pa get = {
		.size = sizeof(get),
		.ioas_id = ioas,
		.iova = iova,
		.length = PAGE_SIZE,
	};
	long ret = vfio_ioctl(iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &get);

	*address = get.out_phys;
	return ret;
}

/* 4-26, 3-3 */
TEST_F(on, character_device)
{
	struct iommu_hw_info info = { .size = sizeof(info) };
	void *page = memory_new(PAGE_SIZE);
	int device, iommufd, busy;
	uint64_t address;
	long id, ioas;

	NEED_IOMMUFD();
	device = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, device);
	iommufd = iommufd_open();
	ioas = iommufd_ioas(iommufd);
	ASSERT_LT(0, ioas);
	id = cdev_bind(device, iommufd);
	ASSERT_LT(0, id);
	EXPECT_EQ(-EBUSY, group_open(self->bdf));
	busy = cdev_open(self->bdf, O_RDWR);
	EXPECT_EQ(-EINVAL, cdev_bind(busy, iommufd));
	close(busy);
	info.dev_id = id;
	EXPECT_EQ(-EOPNOTSUPP, vfio_ioctl(iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_FALSE(log_has(self->log, "opened by user"));

	EXPECT_LT(0, cdev_attach(device, ioas));
	ASSERT_EQ(0, iommufd_map(iommufd, ioas, page, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, physical_of(iommufd, ioas, IOVA, &address));
	EXPECT_EQ(physical(page), address);
	EXPECT_EQ(0, copies(device, page, address));
	/* Again, in place of itself. */
	EXPECT_LT(0, cdev_attach(device, ioas));
	close(device);
	close(iommufd);
	munmap(page, PAGE_SIZE);
}

/* 4-2 */
TEST_F(on, character_device_needs_rawio)
{
	int device;

	NEED_IOMMUFD();
	ASSERT_EQ(0, rawio(false));
	EXPECT_EQ(-EPERM, cdev_open(self->bdf, O_RDWR));
	ASSERT_EQ(0, rawio(true));
	device = cdev_open(self->bdf, O_RDWR);
	EXPECT_LE(0, device);
	close(device);
}

/* Of two devices that are reset together the user has one, then both. */
TEST_F(on, hot_reset_by_character_device)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };
	struct vfio_pci_hot_reset_info *info;
	int first, second, iommufd;
	const char *bdf, *other;
	char memory[256] = {};

	NEED_IOMMUFD();
	NEED_DEVICE(bdf, "DUAL_IGB_0");
	NEED_DEVICE(other, "DUAL_IGB_1");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, pci_bind(other, "vfio-pci"));
	iommufd = iommufd_open();
	first = cdev_open(bdf, O_RDWR);
	second = cdev_open(other, O_RDWR);
	ASSERT_LT(0, cdev_bind(first, iommufd));
	info = (void *)memory;
	info->argsz = sizeof(memory);
	EXPECT_EQ(0, vfio_ioctl(first, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, info->flags);
	EXPECT_EQ(2, info->count);
	EXPECT_EQ(VFIO_PCI_DEVID_NOT_OWNED, info->devices[1].devid);
	EXPECT_EQ(-EINVAL, vfio_ioctl(first, VFIO_DEVICE_PCI_HOT_RESET, &reset));

	ASSERT_LT(0, cdev_bind(second, iommufd));
	EXPECT_EQ(0, vfio_ioctl(first, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
			  VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED,
		  info->flags);
	EXPECT_EQ(0, vfio_ioctl(first, VFIO_DEVICE_PCI_HOT_RESET, &reset));
	close(first);
	close(second);
	close(iommufd);
	EXPECT_EQ(0, pci_bind(bdf, NULL));
	EXPECT_EQ(0, pci_bind(other, NULL));
}

TEST_HARNESS_MAIN
