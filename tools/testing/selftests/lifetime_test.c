// SPDX-License-Identifier: GPL-2.0
/* Who keeps what alive: closing, dying, passing on, unloading (2, 3, 5). */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define LARGE	(4UL << 20)
#define STACK	(64 * 1024)

FIXTURE(edu)
{
	const char *bdf;
	struct vfio_session session;
	void *page;
};

FIXTURE_SETUP(edu)
{
	self->session.container = -1;
	self->session.group = -1;
	self->session.device = -1;
	NEED_DEVICE(self->bdf, "EDU");
	self->page = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, self->page);
}

/* Whatever happened, the next user gets a device and a container that work. */
FIXTURE_TEARDOWN(edu)
{
	struct vfio_session next;

	session_close(&self->session);
	ASSERT_EQ(0, session_join(&next, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_works(&next));
	session_close(&next);
}

/* 2-18, 3-40: six orders of closing three fds, a mapping in each kind of table. */
TEST_F(edu, closing_orders)
{
	static const uint8_t orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	long pinned = memory_pinned_pages();
	int i, j;

	for (i = 0; i < 6; i++) {
		struct vfio_session session;
		void *bar;

		ASSERT_EQ(0, session_open(&session, self->bdf,
					  i < 3 ? VFIO_TYPE1_IOMMU :
						  VFIO_TYPE1v2_IOMMU));
		ASSERT_EQ(0, type1_map(session.container, self->page, IOVA,
				       PAGE_SIZE, DMA_RW));
		ASSERT_EQ(0, bar_mmap(session.device, 0, 0, PAGE_SIZE, PROT_READ,
				      &bar));
		EXPECT_EQ(EDU_ID_VALUE, *(volatile uint32_t *)bar);
		if (i & 1)
			munmap(bar, PAGE_SIZE);
		for (j = 0; j < 3; j++) {
			const int fds[3] = { session.container, session.group,
					     session.device };

			EXPECT_EQ(0, close(fds[orders[i][j]]));
		}
		if (!(i & 1)) {
			EXPECT_EQ(EDU_ID_VALUE, *(volatile uint32_t *)bar);
			munmap(bar, PAGE_SIZE);
		}
		EXPECT_EQ(pinned, settled_pinned_pages(pinned));
	}
}

/* 8-18: a mapping keeps the device open; its end closes it. */
TEST_F(edu, mapping_outlives_the_fd)
{
	struct vfio_session *session = &self->session;
	void *addr;

	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(session->device, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	close(session->device);
	session->device = -1;
	EXPECT_EQ(EDU_ID_VALUE, *(volatile uint32_t *)addr);
	EXPECT_EQ(-EBUSY, vfio_ioctl(session->group, VFIO_GROUP_UNSET_CONTAINER,
				     0));
	close(session->group);
	EXPECT_EQ(-EBUSY, group_open(self->bdf));
	EXPECT_EQ(EDU_ID_VALUE, *(volatile uint32_t *)addr);
	EXPECT_EQ(0, munmap(addr, PAGE_SIZE));
	session->group = group_open(self->bdf);
	EXPECT_LE(0, session->group);
}

/* 6-59, 7-29, 10-18, 10-22: the next user finds nothing of the one before. */
TEST_F(edu, last_close)
{
	struct vfio_session *session = &self->session;
	long cap, line, bar, fd;

	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	fd = session->device;
	cap = config_cap(fd, PCI_CAP_ID_MSI);
	line = config_read(fd, PCI_INTERRUPT_LINE, 1);
	bar = config_read(fd, PCI_BASE_ADDRESS_0, 4);
	EXPECT_EQ(PCI_COMMAND_MEMORY,
		  config_read(fd, PCI_COMMAND, 2) &
		  (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		   PCI_COMMAND_INTX_DISABLE));
	EXPECT_EQ(0, config_write(fd, PCI_INTERRUPT_LINE, 1, line ^ 0xff));
	EXPECT_EQ(0, config_write(fd, PCI_BASE_ADDRESS_0, 4, 0));
	EXPECT_EQ(0, config_write(fd, PCI_COMMAND, 2,
				  PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
	ASSERT_EQ(0, irq_eventfd(fd, VFIO_PCI_MSI_IRQ_INDEX, 0, event_new()));
	EXPECT_NE(0, pci_hw_config(self->bdf, cap + PCI_MSI_FLAGS, 2) &
		     PCI_MSI_FLAGS_ENABLE);
	close(fd);
	EXPECT_EQ(0, pci_hw_config(self->bdf, cap + PCI_MSI_FLAGS, 2) &
		     PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
	EXPECT_FALSE(irq_listed("(%s)", self->bdf));

	fd = group_device(session->group, self->bdf);
	session->device = fd;
	ASSERT_LE(0, fd);
	EXPECT_EQ(line, config_read(fd, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(bar, config_read(fd, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(PCI_COMMAND_MEMORY,
		  config_read(fd, PCI_COMMAND, 2) &
		  (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		   PCI_COMMAND_INTX_DISABLE));
	EXPECT_EQ(-EINVAL, irq_disable(fd, VFIO_PCI_MSI_IRQ_INDEX));
}

/* A number that is not open, or open for something else. */
TEST_F(edu, bad_fds)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_session session;
	int null = open("/dev/null", O_RDWR);

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(session.group, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(session.container, VFIO_DEVICE_GET_INFO,
				      &info));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(session.device, VFIO_SET_IOMMU,
				      VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(null, VFIO_DEVICE_GET_INFO, &info));
	close(session.device);
	EXPECT_EQ(-EBADF, vfio_ioctl(session.device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EBADF, config_read(session.device, 0, 4));
	session.device = -1;
	session_close(&session);
}

/* 3-39: many fds of one device, closed in another order than opened. */
TEST_F(edu, many_fds)
{
	struct vfio_session *session = &self->session;
	int fds[101];
	unsigned int i;

	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = group_device(session->group, self->bdf);
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		unsigned int j = i * 37 % ARRAY_SIZE(fds);

		EXPECT_EQ(EDU_ID_VALUE, edu_read(fds[j], EDU_ID));
		EXPECT_EQ(0, close(fds[j]));
	}
	EXPECT_EQ(EDU_ID_VALUE, edu_read(session->device, EDU_ID));
}

/* A user with everything that a user can have; it says so and waits for death. */
static void whole_user(const char *bdf, int ready)
{
	struct vfio_session session;
	void *memory = memory_new(LARGE);
	void *bar;
	bool ok;

	ok = memory != MAP_FAILED &&
	     !session_open(&session, bdf, VFIO_TYPE1v2_IOMMU) &&
	     !type1_map(session.container, memory, IOVA, LARGE, DMA_RW) &&
	     !bar_mmap(session.device, 0, 0, EDU_BAR_SIZE,
		       PROT_READ | PROT_WRITE, &bar) &&
	     *(volatile uint32_t *)bar == EDU_ID_VALUE &&
	     !edu_bus_master(session.device, true) &&
	     !irq_eventfd(session.device, VFIO_PCI_MSI_IRQ_INDEX, 0,
			  event_new()) &&
	     !irq_eventfd(session.device, VFIO_PCI_REQ_IRQ_INDEX, 0,
			  event_new());
	if (write(ready, ok ? "y" : "n", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* A killed process leaves nothing pinned, mapped, enabled or held. */
TEST_F(edu, killed)
{
	long pinned = memory_pinned_pages();
	int group, ready[2];
	char byte = 0;
	pid_t pid;

	NEED_IOMMU_TABLE();
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid)
		whole_user(self->bdf, ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ('y', byte);
	EXPECT_EQ(pinned + LARGE / PAGE_SIZE, memory_pinned_pages());
	EXPECT_EQ(LARGE, iommu_mapped(self->bdf, IOVA, LARGE));
	EXPECT_TRUE(irq_listed("(%s)", self->bdf));
	EXPECT_NE(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
	EXPECT_EQ(-EBUSY, group_open(self->bdf));

	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, child_result(pid));
	group = group_open(self->bdf);
	EXPECT_LE(0, group);
	close(group);
	EXPECT_EQ(pinned, settled_pinned_pages(pinned));
	EXPECT_EQ(0, iommu_mapped(self->bdf, IOVA, LARGE));
	EXPECT_FALSE(irq_listed("(%s)", self->bdf));
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
}

/* Death may come in the middle of mapping. */
TEST_F(edu, killed_while_mapping)
{
	long pinned = memory_pinned_pages();
	int i;

	for (i = 0; i < 4; i++) {
		int ready[2];
		char byte;
		pid_t pid;

		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid) {
			struct vfio_session session;
			void *memory = memory_new(LARGE);

			if (session_join(&session, self->bdf,
					 VFIO_TYPE1v2_IOMMU))
				_exit(1);
			if (write(ready[1], "y", 1) != 1)
				_exit(1);
			for (;;) {
				if (type1_map(session.container, memory, IOVA,
					      LARGE, DMA_RW))
					_exit(2);
				if (type1_unmap(session.container, IOVA, LARGE,
						0) != LARGE)
					_exit(3);
			}
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		usleep(3000 + 7000 * i);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_result(pid));
		EXPECT_EQ(pinned, settled_pinned_pages(pinned));
		close(ready[0]);
		close(ready[1]);
	}
}

struct sharer {
	const char *bdf;
	void *memory;
	int ready;
};

static int share_memory(void *data)
{
	struct sharer *sharer = data;
	struct vfio_session session;
	bool ok = !session_join(&session, sharer->bdf, VFIO_TYPE1v2_IOMMU) &&
		  !type1_map(session.container, sharer->memory, IOVA, LARGE,
			     DMA_RW);

	if (write(sharer->ready, ok ? "y" : "n", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* 5-34: the charge is the memory's, and is given back if its maker dies. */
TEST_F(edu, killed_with_shared_memory)
{
	struct sharer sharer = { .bdf = self->bdf };
	long locked = memory_locked_kb();
	char *stack = memory_new(STACK);
	int ready[2];
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	sharer.memory = memory_new(LARGE);
	sharer.ready = ready[1];
	pid = clone(share_memory, stack + STACK, CLONE_VM | SIGCHLD, &sharer);
	ASSERT_LT(0, pid);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ('y', byte);
	EXPECT_EQ(locked + LARGE / 1024, memory_locked_kb());
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, child_result(pid));
	EXPECT_EQ(locked, settled_locked_kb(locked));
}

/* The child goes on with what its parent has opened, mapped and closed. */
TEST_F(edu, fork)
{
	struct vfio_session *session = &self->session;
	pid_t pid;

	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(session->container, self->page, IOVA, PAGE_SIZE,
			       DMA_RW));
	pid = fork();
	if (!pid) {
		/* The parent's fds are closed by now, or soon. */
		usleep(20000);
		if (edu_read(session->device, EDU_ID) != EDU_ID_VALUE)
			_exit(1);
		if (session_works(session))
			_exit(2);
		if (type1_unmap(session->container, IOVA, PAGE_SIZE, 0) !=
		    PAGE_SIZE)
			_exit(3);
		_exit(group_open(self->bdf) == -EBUSY ? 0 : 4);
	}
	session_close(session);
	EXPECT_EQ(-EBUSY, group_open(self->bdf));
	EXPECT_EQ(0, child_result(pid));
}

/* Fds that travel: the receiver has all that the sender had. */
TEST_F(edu, passed_fds)
{
	struct vfio_session *session = &self->session;
	int sockets[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	if (!pid) {
		struct vfio_session theirs = { .bdf = self->bdf };
		char byte;

		theirs.container = fd_receive(sockets[1]);
		theirs.group = fd_receive(sockets[1]);
		theirs.device = fd_receive(sockets[1]);
		/* Wait until the sender has closed its own. */
		if (read(sockets[1], &byte, 1) != 1)
			_exit(1);
		if (edu_read(theirs.device, EDU_ID) != EDU_ID_VALUE)
			_exit(2);
		if (type1_unmap(theirs.container, IOVA, PAGE_SIZE, 0) !=
		    PAGE_SIZE)
			_exit(3);
		if (session_works(&theirs))
			_exit(4);
		close(theirs.device);
		_exit(vfio_ioctl(theirs.group, VFIO_GROUP_UNSET_CONTAINER, 0));
	}
	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(session->container, self->page, IOVA, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, fd_send(sockets[0], session->container));
	EXPECT_EQ(0, fd_send(sockets[0], session->group));
	EXPECT_EQ(0, fd_send(sockets[0], session->device));
	session_close(session);
	EXPECT_EQ(1, write(sockets[0], "c", 1));
	EXPECT_EQ(0, child_result(pid));
}

/* An fd that nobody has received yet keeps the device open; and then not. */
TEST_F(edu, fd_in_flight)
{
	struct vfio_session *session = &self->session;
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, fd_send(sockets[0], session->device));
	close(session->device);
	session->device = -1;
	EXPECT_EQ(-EBUSY, vfio_ioctl(session->group, VFIO_GROUP_UNSET_CONTAINER,
				     0));
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_EQ(0, vfio_ioctl(session->group, VFIO_GROUP_UNSET_CONTAINER, 0));
}

static long unload(const char *name)
{
	return sys_result(syscall(__NR_delete_module, name, O_NONBLOCK));
}

/* 1-2, 1-5: nothing is unloaded under a user, and no reference stays. */
TEST_F(edu, modules)
{
	static const char *const names[] = { "vfio", "vfio_iommu_type1",
					     "vfio_pci", "vfio_pci_core" };
	struct vfio_session *session = &self->session;
	long users[ARRAY_SIZE(names)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		users[i] = module_users(names[i]);
		if (users[i] < 0)
			SKIP(return, "%s is not a module", names[i]);
	}
	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(-EAGAIN, unload(names[i])) {
			TH_LOG("%s", names[i]);
		}
	}
	EXPECT_LT(users[1], module_users("vfio_iommu_type1"));
	EXPECT_LT(users[2], module_users("vfio_pci"));
	close(session->container);
	close(session->group);
	/* The device alone keeps everything. */
	EXPECT_EQ(-EAGAIN, unload("vfio_iommu_type1"));
	EXPECT_EQ(-EAGAIN, unload("vfio_pci"));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(session->device, EDU_ID));
	session->container = -1;
	session->group = -1;
	session_close(session);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(users[i], module_users(names[i])) {
			TH_LOG("%s", names[i]);
		}
	}
}

/* 1-5: a file that has not bound the device yet keeps the driver as well. */
TEST_F(edu, unbound_cdev)
{
	long users = module_users("vfio_pci");
	int fd;

	if (on_c_modules())
		SKIP(return, "C modules: unloading waits for the file");
	NEED_IOMMUFD();
	if (users < 0)
		SKIP(return, "vfio_pci is not a module");
	fd = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EAGAIN, unload("vfio_pci"));
	close(fd);
	EXPECT_EQ(users, module_users("vfio_pci"));
}

/* Many openers at once: one has it, the others are told so. */
TEST_F(edu, concurrent_openers)
{
	pid_t pids[4];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (j = 0; j < 20; j++) {
			struct vfio_session session;
			int ret = session_join(&session, self->bdf,
					       VFIO_TYPE1v2_IOMMU);

			if (ret == -EBUSY)
				continue;
			if (ret || session_works(&session))
				_exit(1);
			session_close(&session);
		}
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		EXPECT_EQ(0, child_result(pids[i]));
	}
}

/* Several processes map and unmap the same range of one container. */
TEST_F(edu, concurrent_mappers)
{
	struct vfio_session *session = &self->session;
	long pinned = memory_pinned_pages();
	pid_t pids[3];
	unsigned int i, j;

	ASSERT_EQ(0, session_join(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (j = 0; j < 100; j++) {
			long ret = type1_map(session->container, self->page,
					     IOVA, PAGE_SIZE, DMA_RW);

			if (ret && ret != -EEXIST)
				_exit(1);
			ret = type1_unmap(session->container, IOVA, PAGE_SIZE, 0);
			if (ret && ret != PAGE_SIZE)
				_exit(2);
		}
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		EXPECT_EQ(0, child_result(pids[i]));
	}
	EXPECT_EQ(0, type1_unmap(session->container, IOVA, PAGE_SIZE, 0));
	EXPECT_EQ(pinned, settled_pinned_pages(pinned));
}

VFIO_TEST_MAIN("EDU")
