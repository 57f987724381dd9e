// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's sample mtty, a mediated device: a C driver that both stacks load (9-3, 9-7).
 * What is tested is the core below it, by what the driver does through it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "fault_injection.h"
#include "interrupts.h"
#include "kselftest_harness.h"
#include "mtty.h"
#include "waiter.h"

#define CONFIG_SIZE	255
#define PORT_SIZE	8
#define FIFO_SIZE	16
/* How long to see that somebody waits. */
#define A_WHILE		300

/* ---- a device that is open ---- */

FIXTURE(mtty)
{
	struct vfio_session session;
	int device;
};

FIXTURE_VARIANT(mtty)
{
	bool cdev;
};

FIXTURE_VARIANT_ADD(mtty, group) { .cdev = false };
FIXTURE_VARIANT_ADD(mtty, cdev) { .cdev = true };

FIXTURE_SETUP(mtty)
{
	NEED_C_DRIVER("mtty");
	if (variant->cdev)
		NEED_IOMMUFD();
	CREATE_MDEV(MTTY, TWO_PORTS, UUID_1);
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(mtty)
{
	session_close(&self->session);
	EXPECT_EQ(0, mdev_remove(UUID_1));
	EXPECT_FALSE(mdev_exists(UUID_1));
}

static long irq_info(int device, uint32_t index, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){ .argsz = sizeof(*info), .index = index };
	return vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, info);
}

TEST_F(mtty, says_what_it_is)
{
	struct vfio_device_info info = { .argsz = 8 };
	struct vfio_irq_info irq;
	int device = self->device;

	EXPECT_EQ(-EINVAL, vfio_ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_INFO, BAD_POINTER));
	/* It has asked nobody yet. */
	EXPECT_EQ(-EINVAL, irq_info(device, INTX, &irq));
	info.argsz = sizeof(info);
	ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI, info.flags);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);

	ASSERT_EQ(0, irq_info(device, INTX, &irq));
	EXPECT_EQ(1, irq.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			  VFIO_IRQ_INFO_AUTOMASKED,
		  irq.flags);
	ASSERT_EQ(0, irq_info(device, MSI, &irq));
	EXPECT_EQ(1, irq.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, irq.flags);
	EXPECT_EQ(-EINVAL, irq_info(device, MSIX, &irq));
	EXPECT_EQ(-EINVAL, irq_info(device, VFIO_PCI_NUM_IRQS, &irq));
}

/* The core reads the request and writes the answer, the driver only fills it in. */
TEST_F(mtty, has_regions)
{
	static const size_t sizes[VFIO_PCI_NUM_REGIONS] = {
		[VFIO_PCI_BAR0_REGION_INDEX] = PORT_SIZE,
		[VFIO_PCI_BAR1_REGION_INDEX] = PORT_SIZE,
		[VFIO_PCI_CONFIG_REGION_INDEX] = CONFIG_SIZE,
	};
	struct vfio_region_info *at_end;
	struct region_info info;
	int device = self->device;
	char *pages;
	uint32_t i;

	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		ASSERT_EQ(0, region_info(device, i, &info));
		EXPECT_EQ(sizeof(info), info.head.argsz);
		EXPECT_EQ(i, info.head.index);
		EXPECT_EQ(sizes[i], info.head.size);
		EXPECT_EQ(REGION_OFFSET(i), info.head.offset);
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
			  info.head.flags);
		EXPECT_EQ(0, info.head.cap_offset);
	}
	EXPECT_EQ(-EINVAL, region_info(device, VFIO_PCI_NUM_REGIONS, &info));
	EXPECT_EQ(-EINVAL, region_info(device, UINT32_MAX, &info));
	info.head.index = 0;
	info.head.argsz = sizeof(info.head) - 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, BAD_POINTER));

	/* An answer that ends with the page, one that begins at its end, one in read-only memory. */
	pages = memory_new(2 * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	at_end = (void *)(pages + PAGE_SIZE - sizeof(*at_end));
	at_end->argsz = sizeof(*at_end);
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, at_end));
	EXPECT_EQ(PORT_SIZE, at_end->size);
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO,
				      (char *)at_end + 8));
	ASSERT_EQ(0, mprotect(pages, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, at_end));
	munmap(pages, PAGE_SIZE);
}

TEST_F(mtty, has_config_space)
{
	int device = self->device;
	char text[16] = "";

	EXPECT_EQ(0x4348, config_read(device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0x3253, config_read(device, PCI_DEVICE_ID, 2));
	EXPECT_EQ(0x32534348, config_read(device, PCI_VENDOR_ID, 4));
	EXPECT_EQ(0x07000210, config_read(device, PCI_CLASS_REVISION, 4));
	EXPECT_EQ(0x0200, config_read(device, PCI_STATUS, 2));
	EXPECT_EQ(1, config_read(device, PCI_INTERRUPT_PIN, 1));
	ASSERT_EQ(15, region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 0x60, text, 15));
	EXPECT_STREQ("PCI Serial/UART", text);

	EXPECT_EQ(0, config_write(device, PCI_INTERRUPT_LINE, 1, 11));
	EXPECT_EQ(11, config_read(device, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(0, config_write(device, PCI_INTERRUPT_PIN, 1, 3));
	EXPECT_EQ(1, config_read(device, PCI_INTERRUPT_PIN, 1));
	EXPECT_EQ(0, config_write(device, PCI_BASE_ADDRESS_1, 4, UINT32_MAX));
	EXPECT_EQ(0xfffffff9, config_read(device, PCI_BASE_ADDRESS_1, 4));
	EXPECT_EQ(0, config_write(device, PCI_BASE_ADDRESS_1, 4, 0xc000));
	EXPECT_EQ(0xc001, config_read(device, PCI_BASE_ADDRESS_1, 4));
	EXPECT_EQ(0, config_write(device, PCI_BASE_ADDRESS_2, 4, UINT32_MAX));
	EXPECT_EQ(0, config_read(device, PCI_BASE_ADDRESS_2, 4));
}

/* The driver gets the user's own pointer, and the offset that it moves. */
TEST_F(mtty, reads_and_writes)
{
	const uint64_t config = CONFIG_OFFSET;
	int device = self->device;
	uint8_t one[64], many[64];
	int i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(1, pread(device, one + i, 1, config + i));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(64 - 2 * i, pread(device, many, 64 - 2 * i, config + i));
		EXPECT_EQ(0, memcmp(one + i, many, 64 - 2 * i));
	}
	EXPECT_EQ(0, pread(device, many, 0, config));
	EXPECT_EQ(0, pwrite(device, many, 0, config));
	EXPECT_EQ(-EFAULT, region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				       BAD_POINTER, 8));
	EXPECT_EQ(-EFAULT, region_write(device, VFIO_PCI_CONFIG_REGION_INDEX, 0,
					BAD_POINTER, 8));
	EXPECT_EQ(-EFAULT, region_read(device, VFIO_PCI_ROM_REGION_INDEX, 0, many, 4));
	EXPECT_EQ(-EFAULT, region_write(device, VFIO_PCI_VGA_REGION_INDEX, 0, many, 4));
	EXPECT_EQ(-EINVAL, sys_result(pread(device, many, 4, -8)));
}

/* What the driver has not. */
TEST_F(mtty, lacks)
{
	struct vfio_device_gfx_plane_info plane = { .argsz = sizeof(plane) };
	struct vfio_pci_hot_reset_info reset = { .argsz = sizeof(reset) };
	int device = self->device;

	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, device, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &reset));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT_EQ(-ENOTTY, device_feature(device, VFIO_DEVICE_FEATURE_PROBE |
					  VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, NULL, 0));
	EXPECT_EQ(-ENOTTY, device_feature(device, VFIO_DEVICE_FEATURE_PROBE |
					  VFIO_DEVICE_FEATURE_DMA_BUF, NULL, 0));
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
}

/* Of its two ports each has its own. */
TEST_F(mtty, loops_back)
{
	int device = self->device;
	int port, i;

	for (port = 0; port < 2; port++)
		ASSERT_EQ(0, port_begin(device, port, 0));
	for (i = 0; i < FIFO_SIZE - 1; i++)
		for (port = 0; port < 2; port++)
			ASSERT_EQ(0, port_put(device, port, UART_TX, 10 * port + i));
	for (port = 0; port < 2; port++) {
		EXPECT_EQ(UART_LSR_DR, port_get(device, port, UART_LSR));
		for (i = 0; i < FIFO_SIZE - 1; i++)
			EXPECT_EQ(10 * port + i, port_get(device, port, UART_RX));
		EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE,
			  port_get(device, port, UART_LSR));
	}
	/* More than fits. */
	for (i = 0; i < FIFO_SIZE + 1; i++)
		ASSERT_EQ(0, port_put(device, 1, UART_TX, i));
	EXPECT_EQ(UART_LSR_OE, port_get(device, 1, UART_LSR) & UART_LSR_OE);
	EXPECT_EQ(0, port_get(device, 0, UART_LSR) & UART_LSR_OE);
}

/* ---- interrupts ---- */

TEST_F(mtty, raises_msi)
{
	int device = self->device;
	int event = event_new(), other = event_new();

	ASSERT_EQ(0, mtty_info(device));
	ASSERT_EQ(0, port_begin(device, 0, UART_IER_RDI));
	ASSERT_EQ(0, irq_eventfd(device, MSI, 0, event));
	ASSERT_EQ(0, port_put(device, 0, UART_TX, 0x5a));
	EXPECT_EQ(1, event_wait(event, SOON));
	EXPECT_EQ(UART_IIR_RDI, port_get(device, 0, UART_IIR) & UART_IIR_ID);
	EXPECT_EQ(0x5a, port_get(device, 0, UART_RX));
	EXPECT_EQ(UART_IIR_NO_INT, port_get(device, 0, UART_IIR) & 0xf);
	/* The other port raises the same one. */
	ASSERT_EQ(0, port_begin(device, 1, UART_IER_THRI));
	EXPECT_EQ(1, event_wait(event, SOON));
	/* Another eventfd takes its place. */
	ASSERT_EQ(0, irq_eventfd(device, MSI, 0, other));
	ASSERT_EQ(0, irq_none(device, MSI, TRIGGER, 0, 1));
	ASSERT_EQ(0, irq_bool(device, MSI, TRIGGER, 0, 0));
	ASSERT_EQ(0, irq_bool(device, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(2, event_take(other));
	EXPECT_EQ(-EAGAIN, event_take(event));
	/* None, and none at all. */
	ASSERT_EQ(0, irq_eventfd(device, MSI, 0, -1));
	EXPECT_EQ(-EINVAL, irq_none(device, MSI, TRIGGER, 0, 1));
	ASSERT_EQ(0, irq_eventfd(device, MSI, 0, event));
	ASSERT_EQ(0, irq_disable(device, MSI));
	EXPECT_EQ(-EINVAL, irq_disable(device, MSI));
	ASSERT_EQ(0, port_begin(device, 0, UART_IER_THRI));
	EXPECT_EQ(-EAGAIN, event_take(event));
	close(event);
	close(other);
}

TEST_F(mtty, raises_intx)
{
	int device = self->device;
	int event = event_new();

	ASSERT_EQ(0, mtty_info(device));
	ASSERT_EQ(0, port_begin(device, 0, UART_IER_RDI));
	ASSERT_EQ(0, irq_eventfd(device, INTX, 0, event));
	ASSERT_EQ(0, port_put(device, 0, UART_TX, 1));
	EXPECT_EQ(1, event_wait(event, SOON));
	/* It was masked by that. */
	ASSERT_EQ(0, irq_none(device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(-EAGAIN, event_take(event));
	ASSERT_EQ(0, irq_none(device, INTX, UNMASK, 0, 1));
	ASSERT_EQ(0, irq_none(device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(event));
	ASSERT_EQ(0, irq_bool(device, INTX, UNMASK, 0, 1));
	ASSERT_EQ(0, irq_bool(device, INTX, MASK, 0, 0));
	ASSERT_EQ(0, irq_bool(device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(event));
	ASSERT_EQ(0, irq_none(device, INTX, UNMASK, 0, 1));
	ASSERT_EQ(0, irq_none(device, INTX, MASK, 0, 1));
	ASSERT_EQ(0, irq_none(device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(-EAGAIN, event_take(event));
	/* Not at the same time as MSI. */
	EXPECT_EQ(-EINVAL, irq_eventfd(device, MSI, 0, event));
	ASSERT_EQ(0, irq_disable(device, INTX));
	EXPECT_EQ(0, irq_eventfd(device, MSI, 0, event));
	close(event);
}

/* 9-7: the core tells the driver how much data there is, or refuses. */
TEST_F(mtty, wrong_interrupts)
{
	static const struct {
		uint32_t flags;
		uint32_t index;
		uint32_t start;
		uint32_t count;
		size_t size;
	} requests[] = {
		{ 0, MSI, 0, 1, 0 },
		{ NONE | BOOL | TRIGGER, MSI, 0, 1, 4 },
		{ BOOL | EVENTFD | TRIGGER, MSI, 0, 1, 4 },
		{ NONE | BOOL | EVENTFD | TRIGGER, MSI, 0, 1, 4 },
		{ TRIGGER, MSI, 0, 1, 4 },
		{ EVENTFD | TRIGGER | 1 << 6, MSI, 0, 1, 4 },
		{ EVENTFD | TRIGGER | 1U << 31, MSI, 0, 1, 4 },
		{ EVENTFD | TRIGGER, VFIO_PCI_NUM_IRQS, 0, 1, 4 },
		{ EVENTFD | TRIGGER, UINT32_MAX, 0, 1, 4 },
		/* Data that is not there. */
		{ EVENTFD | TRIGGER, MSI, 0, 1, 3 },
		{ EVENTFD | TRIGGER, MSI, 0, 2, 4 },
		{ BOOL | TRIGGER, MSI, 0, 1, 0 },
		/* More of them than there are. */
		{ EVENTFD | TRIGGER, MSI, 0, VFIO_PCI_NUM_IRQS + 1, 64 },
		{ EVENTFD | TRIGGER, MSI, VFIO_PCI_NUM_IRQS, 0, 4 },
		{ NONE | TRIGGER, MSI, UINT32_MAX, 1, 0 },
		{ NONE | TRIGGER, MSI, 1, UINT32_MAX, 0 },
		{ NONE | TRIGGER, MSI, 0, UINT32_MAX, 0 },
		{ EVENTFD | TRIGGER, MSI, 0, 1 << 30, 4 },
		/* The core has no objection, but the driver. */
		{ EVENTFD | TRIGGER, MSI, 1, 1, 4 },
		{ EVENTFD | TRIGGER, MSI, 0, 2, 8 },
	};
	const int event = event_new();
	const int32_t fds[16] = { event, event };
	int device = self->device;
	int i;

	/* As long as it has asked for nothing, it has none. */
	EXPECT_EQ(-EINVAL, irq_eventfd(device, MSI, 0, event));
	ASSERT_EQ(0, mtty_info(device));
	for (i = 0; i < ARRAY_SIZE(requests); i++)
		EXPECT_EQ(-EINVAL, irq_set(device, requests[i].index, requests[i].flags,
					   requests[i].start, requests[i].count,
					   fds, requests[i].size)) {
			TH_LOG("request %d", i);
		}
	/* Two actions are none that the driver knows. */
	EXPECT_EQ(0, irq_set(device, MSI, EVENTFD | TRIGGER | MASK, 0, 1, fds, 4));
	EXPECT_EQ(-EINVAL, irq_none(device, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(-ENOTTY, irq_none(device, MSI, MASK, 0, 1));
	EXPECT_EQ(-ENOTTY, irq_eventfd(device, MSIX, 0, event));
	EXPECT_EQ(-ENOTTY, irq_eventfd(device, VFIO_PCI_REQ_IRQ_INDEX, 0, event));
	EXPECT_EQ(-EBADF, irq_eventfd(device, MSI, 0, 1000));
	EXPECT_EQ(-EINVAL, irq_eventfd(device, MSI, 0, device));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, BAD_POINTER));
	EXPECT_EQ(0, irq_eventfd(device, MSI, 0, event));
	EXPECT_EQ(0, irq_none(device, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(event));
	close(event);
}

/* ---- open and closed ---- */

/* The next user finds no interrupts of the one before. */
TEST_F(mtty, killed)
{
	int event = event_new();
	int ready[2];
	char byte;
	pid_t pid;

	session_close(&self->session);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid) {
		struct vfio_session session;

		REQUIRE(!mdev_open(&session, UUID_1, variant->cdev));
		REQUIRE(!mtty_info(session.device));
		REQUIRE(!irq_eventfd(session.device, INTX, 0, event));
		REQUIRE(!port_begin(session.device, 0, UART_IER_THRI));
		REQUIRE(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(1, event_take(event));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, child_result(pid));
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	EXPECT_EQ(-EINVAL, irq_none(self->session.device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(0, irq_eventfd(self->session.device, MSI, 0, event));
	close(ready[0]);
	close(ready[1]);
	close(event);
}

/* 9-3: who removes it waits for the user, for whom it goes on. */
TEST_F(mtty, removed_while_open)
{
	int device = self->device;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		session_close(&self->session);
		_exit(mdev_remove(UUID_1) != 0);
	}
	EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
	EXPECT_EQ(0x4348, config_read(device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, port_begin(device, 0, 0));
	EXPECT_EQ(0, mtty_info(device));
	/* Nobody else gets it. */
	if (variant->cdev) {
		EXPECT_GT(0, emulated_cdev_open(UUID_1));
	} else {
		EXPECT_EQ(-ENODEV, group_device(self->session.group, UUID_1));
	}
	/* Nor can it be called off. */
	EXPECT_EQ(0, kill(pid, SIGTERM));
	EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
	EXPECT_EQ(0, mtty_info(device));
	EXPECT_EQ(-EAGAIN, module_unload("mtty"));
	close(device);
	self->session.device = -1;
	EXPECT_EQ(-SIGTERM, child_result(pid));
	session_close(&self->session);
	EXPECT_FALSE(mdev_exists(UUID_1));
	ASSERT_EQ(0, mdev_create(MTTY, TWO_PORTS, UUID_1));
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	EXPECT_EQ(0, mtty_info(self->session.device));
}

/* A file of the device keeps the driver's module. */
TEST_F(mtty, unloaded_while_open)
{
	long users = module_users("mtty");

	EXPECT_EQ(-EAGAIN, module_unload("mtty"));
	EXPECT_EQ(-EAGAIN, module_unload("vfio"));
	EXPECT_EQ(-EAGAIN, module_unload("mdev"));
	EXPECT_EQ(0, mtty_info(self->device));
	session_close(&self->session);
	EXPECT_EQ(users - 1, module_users("mtty"));
	/* With it the device goes. */
	EXPECT_EQ(0, module_unload("mtty"));
	EXPECT_FALSE(mdev_exists(UUID_1));
	ASSERT_EQ(0, module_load("mtty"));
	ASSERT_EQ(0, mdev_create(MTTY, TWO_PORTS, UUID_1));
}

/* ---- of the group ---- */

FIXTURE(created)
{
	int unused;
};

FIXTURE_SETUP(created)
{
	NEED_C_DRIVER("mtty");
	CREATE_MDEV(MTTY, ONE_PORT, UUID_1);
}

FIXTURE_TEARDOWN(created)
{
	if (mdev_exists(UUID_1))
		EXPECT_EQ(0, mdev_remove(UUID_1));
}

/* 1-29, 10-14: a group is made up for it, and goes with it. */
TEST_F(created, has_a_group)
{
	char path[64], name[64];
	int group = emulated_group(UUID_1);
	struct vfio_session session;
	int second;

	ASSERT_LE(0, group);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", group);
	ASSERT_LT(0, file_read(path, name, sizeof(name)));
	EXPECT_STREQ("vfio-noiommu\n", name);
	ASSERT_EQ(0, emulated_open(&session, UUID_1, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_flags(session.group));
	EXPECT_EQ(-EBUSY, emulated_group_open(UUID_1));
	EXPECT_EQ(-ENODEV, group_device(session.group, UUID_2));
	EXPECT_EQ(-ENODEV, group_device(session.group, MTTY));
	/* It can be opened twice by its group. */
	second = group_device(session.group, UUID_1);
	ASSERT_LE(0, second);
	close(session.device);
	session.device = second;
	EXPECT_EQ(0, port_begin(second, 0, 0));
	session_close(&session);
	EXPECT_EQ(0, mdev_remove(UUID_1));
	EXPECT_NE(0, access(path, F_OK));
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	EXPECT_NE(0, access(path, F_OK));
}

/* Without a container there is no device. */
TEST_F(created, opens_in_order)
{
	int group = emulated_group_open(UUID_1);
	int container = container_open();
	int device;

	ASSERT_LE(0, group);
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(group));
	EXPECT_EQ(-EINVAL, group_device(group, UUID_1));
	ASSERT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(-EINVAL, group_device(group, UUID_1));
	ASSERT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	device = group_device(group, UUID_1);
	ASSERT_LE(0, device);
	EXPECT_EQ(-EBUSY, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	close(container);
	close(group);
	EXPECT_EQ(0, port_begin(device, 0, 0));
	close(device);
	group = emulated_group_open(UUID_1);
	EXPECT_LE(0, group);
	close(group);
}

/* By its own node, once; as a device without an IOMMU it can join any address space. */
TEST_F(created, opens_by_iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	int iommufd, device, second;
	long ioas;

	NEED_IOMMUFD();
	iommufd = iommufd_open();
	device = emulated_cdev_open(UUID_1);
	ASSERT_LE(0, device);
	EXPECT_EQ(-EINVAL, mtty_info(device));
	bind.iommufd = device;
	EXPECT_EQ(-EBADFD, vfio_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-EINVAL, cdev_bind(device, -1));
	ASSERT_LT(0, cdev_bind(device, iommufd));
	EXPECT_EQ(-EINVAL, cdev_bind(device, iommufd));
	EXPECT_EQ(0, mtty_info(device));
	second = emulated_cdev_open(UUID_1);
	ASSERT_LE(0, second);
	EXPECT_EQ(-EINVAL, cdev_bind(second, iommufd));
	close(second);
	EXPECT_EQ(-EBUSY, emulated_group_open(UUID_1));
	ioas = iommufd_ioas(iommufd);
	EXPECT_EQ(-ENOENT, cdev_attach(device, ioas + 1));
	EXPECT_EQ(ioas, cdev_attach(device, ioas));
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(ioas, cdev_attach(device, ioas));
	close(device);
	close(iommufd);
}

/* ---- made and removed ---- */

TEST_F(created, once)
{
	EXPECT_EQ(-EEXIST, mdev_create(MTTY, ONE_PORT, UUID_1));
	EXPECT_EQ(-EEXIST, mdev_create(MTTY, TWO_PORTS, UUID_1));
	EXPECT_EQ(-EINVAL, mdev_create(MTTY, ONE_PORT, "83b8f4f2"));
	EXPECT_EQ(MOST_PORTS - 1, mdev_available(MTTY, ONE_PORT));
	EXPECT_EQ((MOST_PORTS - 1) / 2, mdev_available(MTTY, TWO_PORTS));
	EXPECT_EQ(0, mdev_remove(UUID_1));
	EXPECT_EQ(-ENOENT, mdev_remove(UUID_1));
	EXPECT_EQ(MOST_PORTS, mdev_available(MTTY, ONE_PORT));
}

static const char *nth_uuid(int nth)
{
	static char uuid[64];

	snprintf(uuid, sizeof(uuid), "83b8f4f2-509f-382f-3c1e-e6bfe0fb%04d", nth);
	return uuid;
}

/* 9-3: the driver's init fails, when it has no more, and nothing is left of the device. */
TEST_F(created, too_many)
{
	int most = (MOST_PORTS - 1) / 2;
	int i;

	for (i = 0; i < most; i++)
		ASSERT_EQ(0, mdev_create(MTTY, TWO_PORTS, nth_uuid(i)));
	for (i = most; i < most + 3; i++) {
		EXPECT_EQ(-ENOSPC, mdev_create(MTTY, TWO_PORTS, nth_uuid(i)));
		EXPECT_FALSE(mdev_exists(nth_uuid(i)));
	}
	EXPECT_EQ(1, mdev_available(MTTY, ONE_PORT));
	for (i = 0; i < most; i++)
		EXPECT_EQ(0, mdev_remove(nth_uuid(i)));
	EXPECT_EQ(MOST_PORTS - 1, mdev_available(MTTY, ONE_PORT));
}

/*
 * 9-3: allocations fail, one after the other, and nothing is left of it. With kmemleak that takes
 * a minute on a quiet host.
 */
TEST_F_TIMEOUT(created, without_memory, 900)
{
	bool failed = true;
	unsigned int nth;
	int fd;

	NEED_INJECTION();
	/* They release a group that could not be made as one that is used. */
	if (on_c_modules())
		SKIP(return, "C modules: the kernel warns");
	fd = open("/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create",
		  O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		long ret;

		injection_begin(nth);
		ret = write(fd, UUID_2, sizeof(UUID_2) - 1);
		failed = injection_end();
		if (ret < 0) {
			ASSERT_EQ(ENOMEM, errno);
			EXPECT_TRUE(failed);
			EXPECT_FALSE(mdev_exists(UUID_2));
		} else {
			/* It can do without some. */
			ASSERT_EQ(0, mdev_remove(UUID_2));
		}
		ASSERT_EQ(MOST_PORTS - 1, mdev_available(MTTY, ONE_PORT));
	}
	EXPECT_LT(10, nth);
	EXPECT_LT(nth, ATTEMPTS);
	close(fd);
}

SAMPLES_TEST_MAIN("mtty")
