// SPDX-License-Identifier: GPL-2.0
/*
 * BARs exported as dma-bufs (rows 6-94 to 6-97 and 8-27): the edu device does
 * DMA to the memory of an ivshmem device, through a buffer in an address space
 * of iommufd, until that memory is taken away.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x40000000UL
#define IOVA_RAM	0x10000000UL
#define BAR		2
#define BAR_SIZE	(64UL << 20)
#define PATTERN		0x5a
#define CANARY		0xc3
/* Where in the BAR the exported part begins. */
#define OFFSET		0x5000UL
#define LENGTH		0x4000UL
#define GET		(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF)
#define MANY_RANGES	((4UL << 20) / sizeof(struct vfio_region_dma_range))

struct export {
	struct vfio_device_feature feature;
	struct vfio_device_feature_dma_buf buffer;
	struct vfio_region_dma_range ranges[4];
};

/* What exports one range of the ivshmem device's memory. */
static struct export good_export(void)
{
	return (struct export){
		.feature.argsz = sizeof(struct export),
		.feature.flags = GET,
		.buffer.region_index = BAR,
		.buffer.open_flags = O_RDWR | O_CLOEXEC,
		.buffer.nr_ranges = 1,
		.ranges[0] = { .offset = OFFSET, .length = LENGTH },
	};
}

static long export(int device, struct export export)
{
	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, &export);
}

static long map_buffer(int iommufd, uint32_t ioas, int fd, uint64_t start,
		       uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return vfio_ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

static long unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return vfio_ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

/* Opens @bdf through its cdev, bound to @iommufd and with memory enabled. */
static int peer_open(const char *bdf, int iommufd)
{
	int device = cdev_open(bdf, O_RDWR);
	long ret;

	if (device < 0)
		return device;
	ret = cdev_bind(device, iommufd);
	if (ret >= 0)
		ret = memory_enable(device, true);
	if (ret < 0) {
		close(device);
		return ret;
	}
	return device;
}

/*
 * What the program has open for as long as it runs, and its tests inherit. Only
 * the devices that lose their memory are opened anew by each.
 */
static struct {
	int iommufd;
	uint32_t ioas;
	int edu;
	int test;
} kept = { -1, 0, -1, -1 };

/* Before pci_claim() takes the devices away again. */
static void drop_open(void)
{
	close(kept.edu);
	close(kept.test);
	close(kept.iommufd);
}

static void keep_open(void)
{
	const char *edu = pci_device("EDU");
	const char *test = pci_device("TESTDEV");

	atexit(drop_open);
	kept.iommufd = iommufd_open();
	if (kept.iommufd < 0 || !edu || !test)
		return;
	kept.ioas = iommufd_ioas(kept.iommufd);
	kept.test = peer_open(test, kept.iommufd);
	kept.edu = peer_open(edu, kept.iommufd);
	if (kept.edu >= 0) {
		cdev_attach(kept.edu, kept.ioas);
		edu_bus_master(kept.edu, true);
	}
}

FIXTURE(dma_buf)
{
	const char *peer_bdf;
	int iommufd;
	uint32_t ioas;
	int edu;
	int peer;
	uint8_t *memory;
};

FIXTURE_SETUP(dma_buf)
{
	uint8_t *ram;

	NEED_DEVICE(self->peer_bdf, "IVSHMEM");
	if (kept.edu < 0)
		SKIP(return, "there is no edu device with a cdev");
	self->iommufd = kept.iommufd;
	self->ioas = kept.ioas;
	self->edu = kept.edu;
	/* The engine's buffer is what it will write. */
	ram = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)ram);
	memset(ram, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, ram, IOVA_RAM,
				 PAGE_SIZE));
	ASSERT_EQ(0, edu_load(self->edu, IOVA_RAM, PAGE_SIZE));
	self->peer = peer_open(self->peer_bdf, self->iommufd);
	ASSERT_LE(0, self->peer);
	ASSERT_EQ(0, bar_mmap(self->peer, BAR, 0, BAR_SIZE,
			      PROT_READ | PROT_WRITE, (void **)&self->memory));
	memset(self->memory + OFFSET, CANARY, LENGTH);
}

static void peer_close(struct _test_data_dma_buf *self)
{
	if (self->memory)
		munmap(self->memory, BAR_SIZE);
	self->memory = NULL;
	close(self->peer);
	self->peer = -1;
}

FIXTURE_TEARDOWN(dma_buf)
{
	peer_close(self);
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, 0, UINT64_MAX));
}

/* Exports the good part of the BAR and maps it at IOVA. */
static int export_and_map(struct __test_metadata *_metadata,
			  struct _test_data_dma_buf *self)
{
	int fd = export(self->peer, good_export());

	EXPECT_LE(0, fd);
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, fd, 0, LENGTH, IOVA));
	EXPECT_EQ(0, edu_store(self->edu, IOVA + PAGE_SIZE, 64));
	EXPECT_EQ(CANARY, self->memory[OFFSET]);
	EXPECT_EQ(PATTERN, self->memory[OFFSET + PAGE_SIZE]);
	EXPECT_EQ(PATTERN, self->memory[OFFSET + PAGE_SIZE + 63]);
	EXPECT_EQ(CANARY, self->memory[OFFSET + PAGE_SIZE + 64]);
	return fd;
}


/* The memory is there again, and @fd can be mapped again, but not by itself. */
static void expect_restored(struct __test_metadata *_metadata,
			    struct _test_data_dma_buf *self, int fd)
{
	EXPECT_EQ(CANARY, self->memory[OFFSET]);
	EXPECT_EQ(0, edu_store(self->edu, IOVA, 64));
	EXPECT_EQ(CANARY, self->memory[OFFSET]);
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA, LENGTH));
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, fd, 0, LENGTH, IOVA));
	EXPECT_EQ(0, edu_store(self->edu, IOVA, 64));
	EXPECT_EQ(PATTERN, self->memory[OFFSET]);
}

static void expect_revoked(struct __test_metadata *_metadata,
			   struct _test_data_dma_buf *self, int fd)
{
	EXPECT_EQ(-ENODEV, map_buffer(self->iommufd, self->ioas, fd, 0, LENGTH,
				      IOVA + SIZE_2M));
	EXPECT_EQ(0, edu_store(self->edu, IOVA, 64));
}

/* A device that keeps its memory: BARs of a page, of I/O ports, and of 4 GiB. */
FIXTURE(refusals)
{
	int device;
};

#define LARGE_SIZE	(4 * SIZE_1G)

FIXTURE_SETUP(refusals)
{
	self->device = kept.test;
	if (self->device < 0)
		SKIP(return, "there is no test device with a cdev");
}

FIXTURE_TEARDOWN(refusals)
{
}

/* 6-94, 6-85: it can be read, not set; a probe gives no file. */
TEST_F(refusals, operations)
{
	struct export request = good_export();

	request.feature.flags = VFIO_DEVICE_FEATURE_PROBE | GET;
	EXPECT_EQ(0, export(self->device, request));
	request.feature.argsz = sizeof(request.feature);
	EXPECT_EQ(0, export(self->device, request));
	request = good_export();
	request.feature.flags = VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_DMA_BUF;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	request.feature.flags |= VFIO_DEVICE_FEATURE_PROBE;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	request.feature.flags = VFIO_DEVICE_FEATURE_DMA_BUF;
	EXPECT_EQ(-EINVAL, export(self->device, request));
}

/* 6-95: what is wrong in the header. */
TEST_F(refusals, header_refusals)
{
	struct export request = good_export();
	char *edge = memory_new(2 * PAGE_SIZE);

	request.feature.argsz = 8 + 15;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	request = good_export();
	request.buffer.nr_ranges = 0;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	request = good_export();
	request.buffer.flags = 1;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	/* The header is looked at before the region. */
	request.buffer.region_index = 6;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	request = good_export();
	request.buffer.region_index = VFIO_PCI_ROM_REGION_INDEX;
	EXPECT_EQ(-ENODEV, export(self->device, request));
	request.buffer.region_index = VFIO_PCI_CONFIG_REGION_INDEX;
	EXPECT_EQ(-ENODEV, export(self->device, request));
	request.buffer.region_index = 0xffffffff;
	EXPECT_EQ(-ENODEV, export(self->device, request));
	/* A BAR that the device does not have; and the region before the ranges. */
	request.buffer.region_index = 4;
	request.ranges[0].length = 1;
	EXPECT_EQ(-ENODEV, export(self->device, request));

	ASSERT_NE(MAP_FAILED, (void *)edge);
	munmap(edge + PAGE_SIZE, PAGE_SIZE);
	request = good_export();
	edge += PAGE_SIZE - 23;
	memcpy(edge, &request, 23);
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_FEATURE, edge));
	edge -= 16;
	memcpy(edge, &request, 39);
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_FEATURE, edge));
}

/* 6-95: what is wrong in the ranges. */
TEST_F(refusals, range_refusals)
{
	static const struct {
		struct vfio_region_dma_range ranges[2];
		long result;
	} cases[] = {
		{ { { 0, 0 }, { 0, PAGE_SIZE } }, -EINVAL },
		{ { { 0, PAGE_SIZE }, { 0, 0 } }, -EINVAL },
		{ { { 1, PAGE_SIZE }, { 0, PAGE_SIZE } }, -EINVAL },
		{ { { 0, PAGE_SIZE + 512 }, { 0, PAGE_SIZE } }, -EINVAL },
		/* The lengths together: too large, or 63 bits. */
		{ { { 0, 1UL << 63 }, { 0, 1UL << 63 } }, -EINVAL },
		{ { { 0, 1UL << 62 }, { 0, 1UL << 62 } }, -EINVAL },
		/* Beyond the end of the BAR. */
		{ { { 0, LARGE_SIZE }, { 0, LARGE_SIZE + PAGE_SIZE } }, -EINVAL },
		{ { { LARGE_SIZE, PAGE_SIZE }, { 0, PAGE_SIZE } }, -EINVAL },
		{ { { 1UL << 62, PAGE_SIZE }, { 0, PAGE_SIZE } }, -EINVAL },
		/* Beyond the last address there is. */
		{ { { -PAGE_SIZE, PAGE_SIZE }, { 0, PAGE_SIZE } }, -EOVERFLOW },
		{ { { 0, PAGE_SIZE }, { -PAGE_SIZE, PAGE_SIZE } }, -EOVERFLOW },
		/* The alignment of all of them is looked at first. */
		{ { { -PAGE_SIZE, PAGE_SIZE }, { 1, PAGE_SIZE } }, -EINVAL },
	};
	struct export request = good_export();
	int i;

	request.buffer.nr_ranges = 2;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(request.ranges, cases[i].ranges, sizeof(cases[i].ranges));
		EXPECT_EQ(cases[i].result, export(self->device, request))
			TH_LOG("case %d", i);
	}
}

/* 6-95, 12-17: how many ranges there are, and whether they are there. */
TEST_F(refusals, number_of_ranges)
{
	size_t size = sizeof(struct export) +
		      (MANY_RANGES + 1) * sizeof(struct vfio_region_dma_range);
	struct export *many = memory_new(size);
	struct export request = good_export();
	struct vfio_region_dma_range *ranges;
	unsigned long i;
	int fd;

	/* C modules read ranges that the size does not cover. */
	request.feature.argsz = offsetof(struct export, ranges[0]);
	fd = export(self->device, request);
	if (on_c_modules()) {
		EXPECT_LE(0, fd);
		close(fd);
	} else {
		EXPECT_EQ(-EINVAL, fd);
	}
	request = good_export();
	request.buffer.nr_ranges = -1;
	EXPECT_EQ(on_c_modules() ? -ENOMEM : -EINVAL, export(self->device, request));

	ASSERT_NE(MAP_FAILED, (void *)many);
	*many = good_export();
	many->feature.argsz = size;
	ranges = many->ranges;
	for (i = 0; i <= MANY_RANGES; i++) {
		ranges[i].offset = i % 1024 * PAGE_SIZE;
		ranges[i].length = PAGE_SIZE;
	}
	many->buffer.nr_ranges = MANY_RANGES + 1;
	EXPECT_EQ(-ENOMEM, vfio_ioctl(self->device, VFIO_DEVICE_FEATURE, many));
	many->buffer.nr_ranges = MANY_RANGES;
	fd = vfio_ioctl(self->device, VFIO_DEVICE_FEATURE, many);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MANY_RANGES * PAGE_SIZE, lseek(fd, 0, SEEK_END));
	close(fd);
	munmap(many, size);
}

/* 6-95: I/O ports have no address that DMA could reach. */
TEST_F(refusals, io_bar)
{
	struct export request = good_export();

	request.buffer.region_index = 1;
	request.ranges[0].offset = 0;
	request.ranges[0].length = PAGE_SIZE;
	EXPECT_EQ(-EINVAL, export(self->device, request));
	/* A whole BAR of one page, and one of 4 GiB. */
	request.buffer.region_index = 0;
	EXPECT_LE(0, export(self->device, request));
	request.buffer.region_index = 2;
	request.ranges[0].length = LARGE_SIZE;
	EXPECT_LE(0, export(self->device, request));
}

/* 6-95: without a descriptor there is no buffer. */
TEST_F(refusals, no_descriptor)
{
	struct rlimit limit, none;
	int fd;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, export(self->device, good_export()));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	fd = export(self->device, good_export());
	EXPECT_LE(0, fd);
}

/* 6-96, 6-97: the file. */
TEST_F(refusals, file)
{
	struct export request = good_export();
	char path[64], info[1024];
	int fd;

	fd = export(self->device, request);
	ASSERT_LE(0, fd);
	EXPECT_EQ(O_RDWR, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(LENGTH, lseek(fd, 0, SEEK_END));
	/* The CPU has the BAR itself. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ASSERT_LT(0, file_read(path, info, sizeof(info)));
	EXPECT_NE(NULL, strstr(info, "exp_name:\tvfio_pci_core"));
	close(fd);

	request.buffer.open_flags = O_RDONLY | O_NONBLOCK | O_APPEND | 1U << 31;
	request.buffer.nr_ranges = 3;
	request.ranges[1] = request.ranges[0];
	request.ranges[2] = (struct vfio_region_dma_range){ 0, LARGE_SIZE };
	fd = export(self->device, request);
	ASSERT_LE(0, fd);
	EXPECT_EQ(O_RDONLY | O_NONBLOCK,
		  fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND));
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	EXPECT_EQ(2 * LENGTH + LARGE_SIZE, lseek(fd, 0, SEEK_END));
	close(fd);
}

/* 4-44, 9-18: an address space of iommufd takes a buffer of one range. */
TEST_F(dma_buf, map)
{
	struct export request = good_export();
	int fd = export_and_map(_metadata, self);

	EXPECT_EQ(-EINVAL, map_buffer(self->iommufd, self->ioas, fd, PAGE_SIZE,
				      LENGTH, IOVA + SIZE_2M));
	/* A part of it, and the same memory a second time. */
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, fd, 2 * PAGE_SIZE,
				PAGE_SIZE, IOVA + SIZE_2M));
	EXPECT_EQ(0, edu_store(self->edu, IOVA + SIZE_2M, 64));
	EXPECT_EQ(PATTERN, self->memory[OFFSET + 2 * PAGE_SIZE]);
	/* The mapping does not need the descriptor. */
	close(fd);
	EXPECT_EQ(0, edu_store(self->edu, IOVA, 64));
	EXPECT_EQ(PATTERN, self->memory[OFFSET]);
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA, LENGTH));
	EXPECT_EQ(0, edu_store(self->edu, IOVA + PAGE_SIZE, 64));
	EXPECT_EQ(PATTERN, self->memory[OFFSET]);

	request.buffer.nr_ranges = 2;
	request.ranges[1] = request.ranges[0];
	fd = export(self->peer, request);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, map_buffer(self->iommufd, self->ioas, fd, 0,
					  LENGTH, IOVA));
	close(fd);
}

/* 7-25, 7-26: the memory bit. */
TEST_F(dma_buf, memory_disabled)
{
	int fd = export_and_map(_metadata, self);
	int other;

	ASSERT_EQ(0, memory_enable(self->peer, false));
	expect_revoked(_metadata, self, fd);
	/* A buffer that is made now begins without memory. */
	other = export(self->peer, good_export());
	EXPECT_LE(0, other);
	EXPECT_EQ(-ENODEV, map_buffer(self->iommufd, self->ioas, other, 0,
				      LENGTH, IOVA + SIZE_2M));
	ASSERT_EQ(0, memory_enable(self->peer, true));
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, other, 0, LENGTH,
				IOVA + SIZE_2M));
	expect_restored(_metadata, self, fd);
	/* Twice, to see that a buffer can be revoked again. */
	ASSERT_EQ(0, memory_enable(self->peer, false));
	expect_revoked(_metadata, self, other);
	ASSERT_EQ(0, memory_enable(self->peer, true));
	EXPECT_EQ(PATTERN, self->memory[OFFSET]);
}

/* 8-27, 10-19: closed, and what is left is nothing, whoever opens it next. */
TEST_F(dma_buf, closed)
{
	int fd = export_and_map(_metadata, self);

	peer_close(self);
	expect_revoked(_metadata, self, fd);
	self->peer = peer_open(self->peer_bdf, self->iommufd);
	ASSERT_LE(0, self->peer);
	ASSERT_EQ(0, bar_mmap(self->peer, BAR, 0, BAR_SIZE,
			      PROT_READ | PROT_WRITE, (void **)&self->memory));
	memset(self->memory + OFFSET, CANARY, LENGTH);
	expect_revoked(_metadata, self, fd);
	EXPECT_EQ(CANARY, self->memory[OFFSET]);
	EXPECT_EQ(0, memory_enable(self->peer, false));
	EXPECT_EQ(0, memory_enable(self->peer, true));
	expect_revoked(_metadata, self, fd);
	EXPECT_TRUE(edu_store_faults(self->edu, IOVA));
	EXPECT_EQ(CANARY, self->memory[OFFSET]);
	EXPECT_EQ(LENGTH, lseek(fd, 0, SEEK_END));
	/* A new buffer of the same memory is a new buffer. */
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA, LENGTH));
	close(export_and_map(_metadata, self));
}

/* 6-96: a buffer does not keep the device from leaving its driver. */
TEST_F(dma_buf, unbound)
{
	int fd = export_and_map(_metadata, self);
	struct export request = good_export();
	int others[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		request.ranges[0].offset = i * PAGE_SIZE;
		others[i] = export(self->peer, request);
		ASSERT_LE(0, others[i]);
	}
	/* Some go before the device does, some after it. */
	for (i = 0; i < ARRAY_SIZE(others); i += 3)
		close(others[i]);
	peer_close(self);
	ASSERT_EQ(0, pci_bind(self->peer_bdf, "pci-stub"));
	expect_revoked(_metadata, self, fd);
	for (i = 1; i < ARRAY_SIZE(others); i += 3)
		close(others[i]);
	ASSERT_EQ(0, pci_bind(self->peer_bdf, "vfio-pci"));
	EXPECT_EQ(-ENODEV, map_buffer(self->iommufd, self->ioas, fd, 0, LENGTH,
				      IOVA + SIZE_2M));
	/* And the rest when this process ends. */
}

/* The owner is killed while others have its buffers. */
TEST_F(dma_buf, killed)
{
	int sockets[2], fd;
	pid_t pid;

	peer_close(self);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int iommufd = iommufd_open();
		int device;

		device = peer_open(self->peer_bdf, iommufd);
		fd = export(device, good_export());
		if (device < 0 || fd < 0 || fd_send(sockets[1], fd))
			_exit(1);
		pause();
		_exit(0);
	}
	fd = fd_receive(sockets[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, map_buffer(self->iommufd, self->ioas, fd, 0, LENGTH, IOVA));
	ASSERT_EQ(0, edu_store(self->edu, IOVA, 64));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	expect_revoked(_metadata, self, fd);
	close(sockets[0]);
	close(sockets[1]);
}

/* Maps and unmaps @fd for as long as the process lives. */
static void map_for_ever(struct _test_data_dma_buf *self, int fd, uint64_t iova)
{
	for (;;) {
		map_buffer(self->iommufd, self->ioas, fd, 0, LENGTH, iova);
		unmap(self->iommufd, self->ioas, iova, LENGTH);
	}
}

/* Buffers come, are mapped and go, while memory does, too. */
TEST_F(dma_buf, races)
{
	int fd = export(self->peer, good_export());
	pid_t pids[3];
	int i, status;

	ASSERT_LE(0, fd);
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i] && i < 2)
			map_for_ever(self, fd, IOVA + i * SIZE_2M);
		while (!pids[i])
			close(export(self->peer, good_export()));
	}
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(0, memory_enable(self->peer, false));
		EXPECT_EQ(0, memory_enable(self->peer, true));
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, kill(pids[i], SIGKILL));
		EXPECT_EQ(pids[i], waitpid(pids[i], &status, 0));
	}
	unmap(self->iommufd, self->ioas, IOVA, LENGTH);
	unmap(self->iommufd, self->ioas, IOVA + SIZE_2M, LENGTH);
	close(export_and_map(_metadata, self));
}

/* The registers of a device that can be reset and put to sleep. */
FIXTURE(registers)
{
	const char *nvme_bdf;
	int iommufd;
	uint32_t ioas;
	int edu;
	int nvme;
	uint32_t *ram;
	int fd;
};

#define NVME_VERSION	8

FIXTURE_SETUP(registers)
{
	struct export request = good_export();

	NEED_DEVICE(self->nvme_bdf, "PORT_NVME");
	if (kept.edu < 0)
		SKIP(return, "there is no edu device with a cdev");
	self->iommufd = kept.iommufd;
	self->ioas = kept.ioas;
	self->edu = kept.edu;
	self->ram = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->ram);
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->ram, IOVA_RAM,
				 PAGE_SIZE));
	self->nvme = peer_open(self->nvme_bdf, self->iommufd);
	ASSERT_LE(0, self->nvme);
	request.buffer.region_index = 0;
	request.ranges[0].offset = 0;
	request.ranges[0].length = PAGE_SIZE;
	self->fd = export(self->nvme, request);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map_buffer(self->iommufd, self->ioas, self->fd, 0,
				PAGE_SIZE, IOVA));
}

FIXTURE_TEARDOWN(registers)
{
	close(self->nvme);
	close(self->fd);
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, 0, UINT64_MAX));
}

/* Does DMA of the edu read the version of the NVMe controller at IOVA? */
static bool reads_version(struct _test_data_registers *self)
{
	uint32_t version = 0;

	memset(self->ram, 0, PAGE_SIZE);
	/* What the engine cannot read leaves its buffer as it was. */
	edu_load(self->edu, IOVA_RAM, 16);
	edu_load(self->edu, IOVA, 16);
	edu_store(self->edu, IOVA_RAM, 16);
	region_read(self->nvme, 0, NVME_VERSION, &version, sizeof(version));
	return version && self->ram[NVME_VERSION / 4] == version;
}

/* A buffer without memory cannot be mapped. */
static void expect_no_memory(struct __test_metadata *_metadata,
			     struct _test_data_registers *self)
{
	EXPECT_EQ(-ENODEV, map_buffer(self->iommufd, self->ioas, self->fd, 0,
				      PAGE_SIZE, IOVA + SIZE_2M));
}

static void expect_version(struct __test_metadata *_metadata,
			   struct _test_data_registers *self)
{
	/* What was mapped is not by itself mapped again. */
	EXPECT_FALSE(reads_version(self));
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, self->fd, 0,
				PAGE_SIZE, IOVA));
	EXPECT_TRUE(reads_version(self));
}

/* 8-21: D3hot through config space. */
TEST_F(registers, power_state)
{
	long control = config_cap(self->nvme, PCI_CAP_ID_PM) + PCI_PM_CTRL;

	ASSERT_LT(PCI_PM_CTRL, control);
	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, config_write(self->nvme, control, 2, 3));
	expect_no_memory(_metadata, self);
	/* The memory bit does not help a device that sleeps. */
	ASSERT_EQ(0, memory_enable(self->nvme, true));
	expect_no_memory(_metadata, self);
	ASSERT_EQ(0, config_write(self->nvme, control, 2, 0));
	expect_version(_metadata, self);
	/* The states above D3 leave everything as it is. */
	ASSERT_EQ(0, config_write(self->nvme, control, 2, 1));
	ASSERT_EQ(0, config_write(self->nvme, control, 2, 0));
	EXPECT_TRUE(reads_version(self));
}

/* 6-61, 8-24 */
TEST_F(registers, reset)
{
	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, vfio_ioctl(self->nvme, VFIO_DEVICE_RESET, 0));
	expect_version(_metadata, self);
	/* A reset of a device whose memory is disabled does not bring it back. */
	ASSERT_EQ(0, memory_enable(self->nvme, false));
	ASSERT_EQ(0, vfio_ioctl(self->nvme, VFIO_DEVICE_RESET, 0));
	expect_no_memory(_metadata, self);
	ASSERT_EQ(0, memory_enable(self->nvme, true));
	expect_version(_metadata, self);
}

/* 8-22 */
TEST_F(registers, function_level_reset)
{
	long control = config_cap(self->nvme, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	long value = config_read(self->nvme, control, 2);

	ASSERT_LE(0, value);
	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, config_write(self->nvme, control, 2,
				  value | PCI_EXP_DEVCTL_BCR_FLR));
	expect_version(_metadata, self);
}

/* 6-72, 8-25 */
TEST_F(registers, hot_reset)
{
	struct vfio_pci_hot_reset request = { .argsz = sizeof(request) };

	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, vfio_ioctl(self->nvme, VFIO_DEVICE_PCI_HOT_RESET, &request));
	expect_version(_metadata, self);
}

static long reset_by(const char *bdf, const char *attribute)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, attribute);
	return file_write(path, "1");
}

/*
 * 10-34, 12-27: nobody tells the user of a reset that somebody else asks for, so that
 * what he has given to other devices stays, and works when it is over.
 */
TEST_F(registers, reset_by_others)
{
	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, reset_by(self->nvme_bdf, "reset"));
	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, reset_by(self->nvme_bdf, "../reset_subordinate"));
	EXPECT_TRUE(reads_version(self));
	/* It can be mapped once more, and is taken away as ever. */
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, self->fd, 0, PAGE_SIZE,
				IOVA + SIZE_2M));
	ASSERT_EQ(0, vfio_ioctl(self->nvme, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(0, unmap(self->iommufd, self->ioas, IOVA + SIZE_2M, PAGE_SIZE));
	expect_version(_metadata, self);
	/* What has been taken away does not come back by such a reset. */
	ASSERT_EQ(0, memory_enable(self->nvme, false));
	ASSERT_EQ(0, reset_by(self->nvme_bdf, "reset"));
	expect_no_memory(_metadata, self);
	ASSERT_EQ(0, memory_enable(self->nvme, true));
	expect_version(_metadata, self);
}

/* Maps what is not to be mapped in low power, which C modules allow. */
static void expect_unreachable(struct __test_metadata *_metadata,
			       struct _test_data_registers *self, int fd)
{
	long result = map_buffer(self->iommufd, self->ioas, fd, 0, PAGE_SIZE,
				 IOVA + SIZE_2M);

	EXPECT_EQ(on_c_modules() ? 0 : -ENODEV, result);
	if (!result)
		unmap(self->iommufd, self->ioas, IOVA + SIZE_2M, PAGE_SIZE);
}

/*
 * 6-89, 6-91, 12-15: nothing of it is reachable until the user, or a wakeup, has ended
 * low power.
 */
TEST_F(registers, low_power)
{
	const uint32_t set = VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_low_power_entry_with_wakeup entry = {};
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct export request = good_export();
	int fd;

	EXPECT_TRUE(reads_version(self));
	ASSERT_EQ(0, device_feature(self->nvme,
				    set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
				    NULL, 0));
	expect_no_memory(_metadata, self);
	/* A buffer that is made now. */
	request.buffer.region_index = 0;
	request.ranges[0].offset = 0;
	request.ranges[0].length = PAGE_SIZE;
	fd = export(self->nvme, request);
	ASSERT_LE(0, fd);
	expect_unreachable(_metadata, self, fd);
	/* A write of the memory bit. */
	ASSERT_EQ(0, memory_enable(self->nvme, true));
	expect_unreachable(_metadata, self, self->fd);
	/* A reset, which wakes it up for as long as it lasts. */
	ASSERT_EQ(0, vfio_ioctl(self->nvme, VFIO_DEVICE_RESET, 0));
	expect_unreachable(_metadata, self, self->fd);
	ASSERT_EQ(0, device_feature(self->nvme,
				    set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				    NULL, 0));
	expect_version(_metadata, self);
	EXPECT_EQ(0, map_buffer(self->iommufd, self->ioas, fd, 0, PAGE_SIZE,
				IOVA + SIZE_2M));

	entry.wakeup_eventfd = event_new();
	ASSERT_EQ(0, device_feature(self->nvme, set |
			VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
			&entry, sizeof(entry)));
	ASSERT_TRUE(pci_becomes(self->nvme_bdf, "power/runtime_status",
				"suspended"));
	EXPECT_EQ(-ENODEV, map_buffer(self->iommufd, self->ioas, fd, 0,
				      PAGE_SIZE, IOVA + 2 * SIZE_2M));
	EXPECT_EQ(0, vfio_ioctl(self->nvme, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(1, event_take(entry.wakeup_eventfd));
	EXPECT_EQ(on_c_modules() ? -ENODEV : 0,
		  map_buffer(self->iommufd, self->ioas, fd, 0, PAGE_SIZE,
			     IOVA + 2 * SIZE_2M));
	close(entry.wakeup_eventfd);
	close(fd);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "EDU", "IVSHMEM", "TESTDEV",
					     "PORT_NVME", NULL };

	pci_claim(names);
	keep_open();
	return test_harness_run(argc, argv);
}
