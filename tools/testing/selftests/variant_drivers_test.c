// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's variant drivers of vfio-pci, in C, which both stacks load: with their devices
 * they do whatever vfio-pci does, and leave nothing behind (9-3).
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edu.h"
#include "fault_injection.h"
#include "interrupts.h"
#include "kselftest_harness.h"
#include "variants.h"
#include "waiter.h"

#define GET		VFIO_DEVICE_FEATURE_GET
#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE

#define IOVA		0x10000000UL
#define CONFIG_SIZE	4096
#define FEATURES	(VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 + 1)
#define A_WHILE		300
#define NO_SESSION	((struct vfio_session){ NULL, -1, -1, -1 })

static const struct variant_driver nvgrace = NVGRACE_DRIVER;

FIXTURE(driver)
{
	const char *bdf;
	struct vfio_session session;
	int device;
};

FIXTURE_VARIANT(driver)
{
	struct variant_driver driver;
	/* A device by its name, without a reset or MSI-X; a virtual function otherwise. */
	const char *device;
	bool migrates;
	/* None of vfio-pci's features, and its dma-bufs, which are another way to see a BAR. */
	bool no_features;
	bool dma_bufs;
};

FIXTURE_VARIANT_ADD(driver, nvgrace) { .driver = NVGRACE_DRIVER, .device = "VGA",
				       .dma_bufs = true, };
FIXTURE_VARIANT_ADD(driver, virtio) { .driver = VIRTIO_DRIVER, .migrates = true, };
FIXTURE_VARIANT_ADD(driver, xe) { .driver = XE_DRIVER, .migrates = true, };
FIXTURE_VARIANT_ADD(driver, qat) { .driver = QAT_DRIVER, .migrates = true,
				   .no_features = true, };
FIXTURE_VARIANT_ADD(driver, mlx5) { .driver = MLX5_DRIVER, };
/* With a device that can be reset, and has no parent, it takes the kernel down. */
FIXTURE_VARIANT_ADD(driver, hisi) { .driver = HISI_DRIVER, .device = "EDU", };
FIXTURE_VARIANT_ADD(driver, pds) { .driver = PDS_DRIVER, .migrates = true, };

/*
 * nvgrace looks into memory of its device for two registers that say that it is ready. Any
 * device will do whose first BAR is memory.
 */
static int say_ready(const char *bdf)
{
	static const unsigned int registers[] = { 0x1498, 0x200bc };
	struct vfio_session session = NO_SESSION;
	uint32_t ready = 0xff;
	int i, ret;

	ret = session_open_by(&session, bdf, "vfio-pci");
	for (i = 0; !ret && i < 2; i++)
		ret = region_write(session.device, 0, registers[i], &ready, 4) == 4 ? 0 : -EIO;
	session_close(&session);
	return ret;
}

FIXTURE_SETUP(driver)
{
	self->session = NO_SESSION;
	NEED_VARIANT(&variant->driver);
	if (variant->device) {
		NEED_DEVICE(self->bdf, variant->device);
		if (variant->dma_bufs)
			ASSERT_EQ(0, say_ready(self->bdf));
	} else {
		self->bdf = parents_vf(0);
		ASSERT_EQ(0, parents_parameter("pds_clients", "Y"));
	}
	ASSERT_EQ(0, variant_begin(&variant->driver, self->bdf));
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(driver)
{
	session_close(&self->session);
	EXPECT_EQ(0, variant_end(&variant->driver, self->bdf));
	EXPECT_TRUE(parents_idle());
}

/* session_works() compares config space with hardware, where a virtual function has less. */
static int works(const struct vfio_session *session)
{
	void *page = memory_new(PAGE_SIZE);
	long ret;

	if (page == MAP_FAILED)
		return -ENOMEM;
	ret = type1_map(session->container, page, IOVA, PAGE_SIZE, DMA_RW);
	if (!ret)
		ret = type1_unmap(session->container, IOVA, PAGE_SIZE, 0) - PAGE_SIZE;
	munmap(page, PAGE_SIZE);
	if (!ret)
		ret = config_read(session->device, PCI_CLASS_REVISION, 4);
	return ret < 0 ? ret : 0;
}

/* All that a user can ask of a device that does nothing. */
struct facts {
	struct vfio_device_info device;
	struct region_info regions[VFIO_PCI_NUM_REGIONS];
	struct vfio_irq_info irqs[VFIO_PCI_NUM_IRQS];
	long features[FEATURES][2];
	uint8_t config[CONFIG_SIZE];
};

static long facts_get(int device, struct facts *facts)
{
	long ret;
	int i;

	memset(facts, 0, sizeof(*facts));
	facts->device.argsz = offsetof(struct vfio_device_info, cap_offset);
	ret = vfio_ioctl(device, VFIO_DEVICE_GET_INFO, &facts->device);
	for (i = 0; !ret && i < VFIO_PCI_NUM_REGIONS; i++) {
		/* There need not be any VGA. */
		ret = region_info(device, i, &facts->regions[i]);
		if (ret == -EINVAL)
			ret = 0;
	}
	for (i = 0; !ret && i < VFIO_PCI_NUM_IRQS; i++) {
		facts->irqs[i].argsz = sizeof(facts->irqs[i]);
		facts->irqs[i].index = i;
		ret = vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &facts->irqs[i]);
		if (ret == -EINVAL)
			ret = 0;
	}
	for (i = 0; !ret && i < FEATURES; i++) {
		facts->features[i][0] = device_feature(device, PROBE | GET | i, NULL, 0);
		facts->features[i][1] = device_feature(device, PROBE | SET | i, NULL, 0);
	}
	if (!ret) {
		ret = region_size(device, VFIO_PCI_CONFIG_REGION_INDEX);
		ret = region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 0, facts->config, ret);
		ret = ret < 256 ? -EIO : 0;
	}
	return ret;
}

static bool is_of_migration(int feature)
{
	return feature == VFIO_DEVICE_FEATURE_MIGRATION ||
	       feature == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE ||
	       feature == VFIO_DEVICE_FEATURE_MIG_DATA_SIZE ||
	       feature == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 ||
	       feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_START ||
	       feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP ||
	       feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
}

/* 9-13 */
TEST_F(driver, is_as_with_vfio_pci)
{
	static struct facts with, without;
	char name[64];
	int i;

	ASSERT_EQ(0, facts_get(self->device, &with));
	EXPECT_EQ(0, works(&self->session));
	EXPECT_EQ(0, pci_driver(self->bdf, name, sizeof(name)));
	EXPECT_STREQ(variant->driver.name, name);
	session_close(&self->session);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, facts_get(self->session.device, &without));

	EXPECT_EQ(0, memcmp(&with.device, &without.device, sizeof(with.device)));
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		EXPECT_EQ(0, memcmp(&with.regions[i], &without.regions[i],
				    sizeof(with.regions[i]))) {
			TH_LOG("region %d", i);
		}
	}
	for (i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		EXPECT_EQ(0, memcmp(&with.irqs[i], &without.irqs[i], sizeof(with.irqs[i]))) {
			TH_LOG("interrupts %d", i);
		}
	}
	for (i = 0; i < FEATURES; i++) {
		long *expected = without.features[i];

		if (variant->migrates && is_of_migration(i))
			continue;
		if (variant->no_features)
			expected[0] = expected[1] = -ENOTTY;
		else if (i == VFIO_DEVICE_FEATURE_DMA_BUF && !variant->dma_bufs)
			expected[0] = expected[1] = -EOPNOTSUPP;
		EXPECT_EQ(expected[0], with.features[i][0]) {
			TH_LOG("getting feature %d", i);
		}
		EXPECT_EQ(expected[1], with.features[i][1]) {
			TH_LOG("setting feature %d", i);
		}
	}
	for (i = 0; i < CONFIG_SIZE; i++) {
		EXPECT_EQ(without.config[i], with.config[i]) {
			TH_LOG("config space at %#x", i);
		}
	}
}

/* Memory by a system call and by a mapping, and interrupts: a reset leaves both. */
TEST_F(driver, memory_and_interrupts)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int events[2] = { event_new(), event_new() };
	uint32_t value = 0;
	bool resets;
	void *addr;

	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO, &info));
	resets = info.flags & VFIO_DEVICE_FLAGS_RESET;
	EXPECT_EQ(!variant->device, resets);
	ASSERT_EQ(0, bar_mmap(self->device, 0, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &addr));
	EXPECT_EQ(4, region_read(self->device, 0, 8, &value, 4));
	EXPECT_EQ(value, mmio_at(addr + 8));
	EXPECT_EQ(resets ? 0 : -EINVAL, irq_eventfds(self->device, MSIX, 0, 2, events));
	if (resets) {
		EXPECT_EQ(0, irq_none(self->device, MSIX, TRIGGER, 1, 1));
		EXPECT_EQ(1, event_wait(events[1], SOON));
		EXPECT_EQ(-EAGAIN, event_take(events[0]));
	}
	EXPECT_EQ(resets ? 0 : -EINVAL, vfio_ioctl(self->device, VFIO_DEVICE_RESET, NULL));
	if (resets) {
		EXPECT_EQ(0, irq_none(self->device, MSIX, TRIGGER, 0, 2));
		EXPECT_EQ(1, event_wait(events[0], SOON));
		EXPECT_EQ(1, event_wait(events[1], SOON));
		EXPECT_EQ(0, irq_disable(self->device, MSIX));
	}
	EXPECT_EQ(4, region_read(self->device, 0, 8, &value, 4));
	EXPECT_EQ(value, mmio_at(addr + 8));
	/* There is no more than there is. */
	EXPECT_EQ(-EINVAL, region_read(self->device, 0, region_size(self->device, 0), &value, 4));
	munmap(addr, PAGE_SIZE);
	close(events[0]);
	close(events[1]);
}

/* 9-13: by its node, with an iommufd. */
TEST_F(driver, node)
{
	void *memory = memory_new(PAGE_SIZE);
	int iommufd, device;
	uint32_t value = 0;
	long ioas;

	NEED_IOMMUFD();
	ASSERT_NE(MAP_FAILED, memory);
	session_close(&self->session);
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	device = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, device);
	EXPECT_EQ(-EINVAL, sys_result(pread(device, &value, 4, CONFIG_OFFSET)));
	ASSERT_LT(0, cdev_bind(device, iommufd));
	ioas = iommufd_ioas(iommufd);
	ASSERT_LT(0, ioas);
	EXPECT_LT(0, cdev_attach(device, ioas));
	EXPECT_EQ(0, iommufd_map(iommufd, ioas, memory, IOVA, PAGE_SIZE));
	EXPECT_EQ(4, region_read(device, 0, 8, &value, 4));
	EXPECT_LE(0, config_read(device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(-EAGAIN, module_unload(variant->driver.module));
	close(device);
	close(iommufd);
	munmap(memory, PAGE_SIZE);
}

/* 9-12: the module stays for as long as a file of the device does, and no longer. */
TEST_F(driver, module)
{
	char name[64];
	int again;

	EXPECT_EQ(-EAGAIN, module_unload(variant->driver.module));
	again = group_device(self->session.group, self->bdf);
	ASSERT_LE(0, again);
	close(self->device);
	self->session.device = -1;
	EXPECT_EQ(-EAGAIN, module_unload(variant->driver.module));
	close(again);
	session_close(&self->session);
	/* It takes its device with it. */
	EXPECT_EQ(0, module_users(variant->driver.module));
	ASSERT_EQ(0, module_unload(variant->driver.module));
	pci_driver(self->bdf, name, sizeof(name));
	EXPECT_STREQ("", name);
	EXPECT_EQ(-ENOENT, group_open(self->bdf));
	EXPECT_TRUE(parents_idle());
	ASSERT_EQ(0, variant_begin(&variant->driver, self->bdf));
}

/* 9-12: a driver is taken from its device once the user, who is asked to, has closed it. */
TEST_F(driver, unbinding)
{
	int request = event_new();
	pid_t pid;

	ASSERT_EQ(0, irq_eventfd(self->device, VFIO_PCI_REQ_IRQ_INDEX, 0, request));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		session_close(&self->session);
		_exit(-pci_bind(self->bdf, NULL));
	}
	EXPECT_LE(1, event_wait(request, 5000));
	EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
	EXPECT_LE(0, config_read(self->device, PCI_COMMAND, 2));
	EXPECT_EQ(0, works(&self->session));
	session_close(&self->session);
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(-ENOENT, group_open(self->bdf));
	EXPECT_EQ(0, module_users(variant->driver.module));
	EXPECT_TRUE(parents_idle());
	close(request);
}

/* ---- a device that does DMA ---- */

FIXTURE(engine)
{
	const char *bdf;
	struct vfio_session session;
	int device;
};

FIXTURE_VARIANT(engine)
{
	struct variant_driver driver;
};

FIXTURE_VARIANT_ADD(engine, virtio) { .driver = VIRTIO_DRIVER, };
FIXTURE_VARIANT_ADD(engine, xe) { .driver = XE_DRIVER, };
FIXTURE_VARIANT_ADD(engine, mlx5) { .driver = MLX5_DRIVER, };
FIXTURE_VARIANT_ADD(engine, hisi) { .driver = HISI_DRIVER, };

FIXTURE_SETUP(engine)
{
	self->session = NO_SESSION;
	NEED_VARIANT(&variant->driver);
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, variant_begin(&variant->driver, self->bdf));
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
	ASSERT_EQ(0, edu_irq_begin(self->device));
}

FIXTURE_TEARDOWN(engine)
{
	EXPECT_EQ(0, edu_irq_end(self->device));
	session_close(&self->session);
	EXPECT_EQ(0, variant_end(&variant->driver, self->bdf));
}

TEST_F(engine, dma_and_interrupts)
{
	uint8_t *memory = memory_new(2 * PAGE_SIZE);
	int event = event_new();
	int i;

	ASSERT_NE(MAP_FAILED, (void *)memory);
	for (i = 0; i < PAGE_SIZE; i++)
		memory[i] = i * 7 + i / 256;
	ASSERT_EQ(0, type1_map(self->session.container, memory, IOVA, 2 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(memory, memory + PAGE_SIZE, PAGE_SIZE));
	munmap(memory, 2 * PAGE_SIZE);

	ASSERT_EQ(0, irq_eventfd(self->device, MSI, 0, event));
	EXPECT_EQ(0, edu_write(self->device, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(event, SOON));
	EXPECT_EQ(0, edu_write(self->device, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_disable(self->device, MSI));

	ASSERT_EQ(0, irq_eventfd(self->device, INTX, 0, event));
	EXPECT_EQ(0, edu_write(self->device, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(event, SOON));
	EXPECT_EQ(0, edu_write(self->device, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_none(self->device, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(event, QUIET));
	EXPECT_EQ(0, irq_disable(self->device, INTX));
	close(event);
}

/* A mapping goes with the bit in the command register, and comes back with it. */
TEST_F(engine, memory_enable)
{
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->device, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr + EDU_ID));
	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(-SIGBUS, mmio_at(addr + EDU_ID));
	EXPECT_EQ(-EIO, edu_read(self->device, EDU_ID));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr + EDU_ID));
	munmap(addr, PAGE_SIZE);
}

/* ---- allocations that fail ---- */

FIXTURE(allocations)
{
	const char *bdf;
};

FIXTURE_VARIANT(allocations)
{
	struct variant_driver driver;
	const char *device;
};

FIXTURE_VARIANT_ADD(allocations, nvgrace) { .driver = NVGRACE_DRIVER, .device = "VGA", };
FIXTURE_VARIANT_ADD(allocations, virtio) { .driver = VIRTIO_DRIVER, };
FIXTURE_VARIANT_ADD(allocations, xe) { .driver = XE_DRIVER, };
FIXTURE_VARIANT_ADD(allocations, qat) { .driver = QAT_DRIVER, };
FIXTURE_VARIANT_ADD(allocations, mlx5) { .driver = MLX5_DRIVER, };
FIXTURE_VARIANT_ADD(allocations, hisi) { .driver = HISI_DRIVER, };
FIXTURE_VARIANT_ADD(allocations, pds) { .driver = PDS_DRIVER, };

FIXTURE_SETUP(allocations)
{
	NEED_INJECTION();
	NEED_VARIANT(&variant->driver);
	if (variant->device) {
		NEED_DEVICE(self->bdf, variant->device);
		ASSERT_EQ(0, say_ready(self->bdf));
	} else {
		self->bdf = parents_vf(0);
		ASSERT_EQ(0, parents_parameter("pds_clients", "Y"));
	}
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	ASSERT_EQ(0, module_load(variant->driver.module));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "driver_override", variant->driver.name));
}

FIXTURE_TEARDOWN(allocations)
{
	EXPECT_EQ(0, variant_end(&variant->driver, self->bdf));
}

/*
 * As many as a driver makes for its device fail, one after the other: there is a device, or there
 * is nothing. With kmemleak that takes minutes, and it reports ida_alloc_range(), once a thousand
 * devices have been there: the kernel's own.
 */
TEST_F_TIMEOUT(allocations, fail, 900)
{
	const char *bdf = self->bdf, *driver = variant->driver.name;
	char bind[128], unbind[128];
	bool failed = true;
	unsigned int nth;
	int fd;

	snprintf(bind, sizeof(bind), "/sys/bus/pci/drivers/%s/bind", driver);
	snprintf(unbind, sizeof(unbind), "/sys/bus/pci/drivers/%s/unbind", driver);
	fd = open(bind, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		char name[64];
		long ret;

		injection_begin(nth);
		ret = sys_result(write(fd, bdf, strlen(bdf)));
		failed = injection_end();
		pci_driver(bdf, name, sizeof(name));
		if (ret < 0) {
			/* The kernel takes a range that it cannot note down for one in use. */
			EXPECT_TRUE(ret == -ENOMEM || ret == -EBUSY);
			EXPECT_TRUE(failed);
			EXPECT_STREQ("", name);
			EXPECT_EQ(-ENOENT, group_open(bdf));
			EXPECT_TRUE(parents_idle());
		} else {
			/* It can do without some. */
			EXPECT_STREQ(driver, name);
			ASSERT_EQ(0, file_write(unbind, bdf));
		}
		EXPECT_EQ(0, module_users(variant->driver.module));
	}
	EXPECT_LT(10, nth);
	EXPECT_LT(nth, ATTEMPTS);
	close(fd);
}

/* ---- a driver that refuses its device when that is registered already ---- */

TEST(refused_after_registration)
{
	static const struct variant_driver pds = PDS_DRIVER;
	const char *vf = parents_vf(0);
	char name[64];
	int i;

	NEED_VARIANT(&pds);
	ASSERT_EQ(0, parents_parameter("pds_clients", "N"));
	ASSERT_EQ(0, module_load(pds.module));
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(-EUSERS, pci_bind(vf, pds.name));
		EXPECT_EQ(-ENOENT, group_open(vf));
		EXPECT_EQ(-ENOENT, cdev_name(vf, name, sizeof(name)));
	}
	EXPECT_EQ(0, module_users(pds.module));
	EXPECT_TRUE(parents_idle());
	/* It is as good as new. */
	ASSERT_EQ(0, parents_parameter("pds_clients", "Y"));
	EXPECT_EQ(0, pci_bind(vf, pds.name));
	EXPECT_EQ(1, parents_value(0, "users"));
	EXPECT_EQ(0, variant_end(&pds, vf));
	EXPECT_TRUE(parents_idle());
}

/* ---- a GPU whose memory is no BAR ---- */

/*
 * nvgrace in full: firmware says where the memory is, so that the shared memory of another
 * device can be its beginning. The driver takes 1 GiB off its end, which is another region, and
 * rounds the rest down.
 */
#define GPU_MEMORY	VFIO_PCI_BAR4_REGION_INDEX
#define GPU_RESERVED	VFIO_PCI_BAR2_REGION_INDEX
#define GPU_SIZE	(SIZE_1G + 512 * (1UL << 20) + 16 * (1UL << 20))
#define USED		(512 * (1UL << 20))

FIXTURE(gpu)
{
	const char *bdf;
	const char *memory;
	struct vfio_session session;
	int device;
};

static int tell_memory(const char *text)
{
	return file_write("/sys/kernel/debug/vfio-parents/gpu", text);
}

FIXTURE_SETUP(gpu)
{
	uint64_t start, size;
	char text[96];

	self->session = NO_SESSION;
	NEED_VARIANT(&nvgrace);
	/* It copies to the user with the lock held that its page faults take. */
	if (kernel_has_checkers())
		SKIP(return, "lockdep objects to the driver");
	NEED_DEVICE(self->bdf, "VGA");
	NEED_DEVICE(self->memory, "IVSHMEM");
	ASSERT_EQ(0, pci_bind(self->memory, "vfio-pci"));
	ASSERT_EQ(0, pci_resource(self->memory, 2, &start, &size));
	ASSERT_LE(16 * SIZE_2M, size);
	snprintf(text, sizeof(text), "%s %#lx %#lx", self->bdf, start, GPU_SIZE);
	ASSERT_EQ(0, tell_memory(text));
	ASSERT_EQ(0, say_ready(self->bdf));
	ASSERT_EQ(0, variant_begin(&nvgrace, self->bdf));
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(gpu)
{
	session_close(&self->session);
	EXPECT_EQ(0, variant_end(&nvgrace, self->bdf));
	EXPECT_EQ(0, tell_memory("\n"));
}

TEST_F(gpu, regions)
{
	static const struct {
		uint32_t index;
		uint64_t size;
		uint64_t mapped;
	} regions[] = {
		{ GPU_MEMORY, SIZE_1G, USED },
		{ GPU_RESERVED, 2 * SIZE_1G, GPU_SIZE - USED },
	};
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct region_info info;
	int i;

	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		uint32_t bar = PCI_BASE_ADDRESS_0 + 4 * regions[i].index;

		ASSERT_EQ(0, region_info(self->device, regions[i].index, &info));
		EXPECT_EQ(regions[i].size, info.head.size);
		EXPECT_EQ(REGION_OFFSET(regions[i].index), info.head.offset);
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
			  info.head.flags);
		sparse = info_cap(&info, info.head.cap_offset,
				  VFIO_REGION_INFO_CAP_SPARSE_MMAP);
		ASSERT_NE(NULL, sparse);
		ASSERT_EQ(1, sparse->nr_areas);
		EXPECT_EQ(0, sparse->areas[0].offset);
		EXPECT_EQ(regions[i].mapped, sparse->areas[0].size);

		/* A BAR of 64 bits, which tells its size. */
		EXPECT_EQ(0, config_write(self->device, bar, 4, ~0U));
		EXPECT_EQ(0, config_write(self->device, bar + 4, 4, ~0U));
		EXPECT_EQ((uint32_t)-regions[i].size | 0xc, config_read(self->device, bar, 4));
		EXPECT_EQ(~0U, config_read(self->device, bar + 4, 4));
		EXPECT_EQ(0, config_write(self->device, bar, 4, 0));
		EXPECT_EQ(0, config_write(self->device, bar + 4, 4, 0));
		EXPECT_EQ(0xc, config_read(self->device, bar, 4));
	}
	/* What it has of its own is there. */
	EXPECT_LT(0, region_size(self->device, 0));
	EXPECT_EQ(0, region_size(self->device, 5));
}

/* 9-15: by a mapping, by read() and write(), and where the memory really is: the same bytes. */
TEST_F(gpu, memory)
{
	uint32_t words[4] = { 0 }, value;
	struct vfio_session owner;
	void *addr;
	int i;

	EXPECT_EQ(-EINVAL, bar_mmap(self->device, GPU_MEMORY, USED, PAGE_SIZE, PROT_READ, &addr));
	ASSERT_EQ(0, bar_mmap(self->device, GPU_MEMORY, SIZE_2M, SIZE_2M, PROT_READ | PROT_WRITE,
			      &addr));
	for (i = 0; i < SIZE_2M; i += PAGE_SIZE)
		ASSERT_EQ(0, mmio_write(addr + i, i + 0x1234));
	ASSERT_EQ(16, region_read(self->device, GPU_MEMORY, SIZE_2M + 3 * PAGE_SIZE, words, 16));
	EXPECT_EQ(3 * PAGE_SIZE + 0x1234, words[0]);
	words[1] = 0x55aa1188;
	EXPECT_EQ(8, region_write(self->device, GPU_MEMORY, SIZE_2M + PAGE_SIZE, words, 8));
	EXPECT_EQ(words[0], mmio_at(addr + PAGE_SIZE));
	EXPECT_EQ(words[1], mmio_at(addr + PAGE_SIZE + 4));
	munmap(addr, SIZE_2M);
	session_close(&self->session);

	ASSERT_EQ(0, session_open(&owner, self->memory, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(4, region_read(owner.device, 2, SIZE_2M + PAGE_SIZE + 4, &value, 4));
	EXPECT_EQ(words[1], value);
	EXPECT_EQ(4, region_read(owner.device, 2, 2 * SIZE_2M - PAGE_SIZE, &value, 4));
	EXPECT_EQ(SIZE_2M - PAGE_SIZE + 0x1234, value);
	session_close(&owner);
}

/* The region is larger than the memory. */
TEST_F(gpu, ends)
{
	uint8_t bytes[16] = { 0 };
	int i;

	EXPECT_EQ(16, region_read(self->device, GPU_MEMORY, USED, bytes, 16));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0xff, bytes[i]);
	EXPECT_EQ(16, region_write(self->device, GPU_MEMORY, USED, bytes, 16));
	EXPECT_EQ(8, region_read(self->device, GPU_MEMORY, SIZE_1G - 8, bytes, 16));
	EXPECT_EQ(-EINVAL, region_read(self->device, GPU_MEMORY, SIZE_1G, bytes, 16));
	EXPECT_EQ(-EINVAL, region_write(self->device, GPU_MEMORY, SIZE_1G, bytes, 16));
	EXPECT_EQ(16, region_read(self->device, GPU_RESERVED, PAGE_SIZE, bytes, 16));
	EXPECT_EQ(16, region_write(self->device, GPU_RESERVED, PAGE_SIZE, bytes, 16));
	EXPECT_EQ(-EINVAL, region_read(self->device, GPU_RESERVED, 2 * SIZE_1G, bytes, 16));
}

/* The driver's own mapping goes, and comes back, with that of the BARs. */
TEST_F(gpu, memory_enable)
{
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->device, GPU_MEMORY, 0, SIZE_2M, PROT_READ | PROT_WRITE,
			      &addr));
	ASSERT_EQ(0, mmio_write(addr, 0x77665544));
	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(0x77665544, mmio_at(addr));
	munmap(addr, SIZE_2M);
}

static long export(int device, uint32_t index, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buffer;
		struct vfio_region_dma_range range;
	} request = {
		.feature.argsz = sizeof(request),
		.feature.flags = GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.buffer.region_index = index,
		.buffer.open_flags = O_RDWR | O_CLOEXEC,
		.buffer.nr_ranges = 1,
		.range = { .offset = offset, .length = length },
	};

	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, &request);
}

/*
 * 9-17: the driver says where the memory is that others may do DMA to. There has to be a BAR of
 * that number, which is smaller here, and there is none for the other region.
 */
TEST_F(gpu, dma_bufs)
{
	const uint64_t size = GPU_SIZE - USED;
	int fd = export(self->device, GPU_RESERVED, size - SIZE_1G, SIZE_1G);

	ASSERT_LE(0, fd);
	EXPECT_EQ(SIZE_1G, lseek(fd, 0, SEEK_END));
	close(fd);
	EXPECT_EQ(-EINVAL, export(self->device, GPU_RESERVED, size, PAGE_SIZE));
	EXPECT_EQ(-EINVAL, export(self->device, GPU_RESERVED, 0, size + PAGE_SIZE));
	EXPECT_EQ(-ENODEV, export(self->device, GPU_MEMORY, 0, PAGE_SIZE));
	fd = export(self->device, 0, 0, PAGE_SIZE);
	EXPECT_LE(0, fd);
	close(fd);
}

/* 6-92: nor is it mapped in low power. */
TEST_F(gpu, low_power)
{
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->device, GPU_MEMORY, 0, SIZE_2M, PROT_READ | PROT_WRITE,
			      &addr));
	ASSERT_EQ(0, mmio_write(addr, 0x11223344));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, device_feature(self->device, SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
				    NULL, 0));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_EQ(0, device_feature(self->device, SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				    NULL, 0));
	EXPECT_EQ(0x11223344, mmio_at(addr));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "auto"));
	munmap(addr, SIZE_2M);
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = { "EDU", "VGA", "IVSHMEM", NULL };

	parents_claim();
	pci_claim(claimed);
	return test_harness_run(argc, argv);
}
