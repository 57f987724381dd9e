// SPDX-License-Identifier: GPL-2.0
/* Mappings of device memory: refusals, faults, zapping (section 8). */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define PAGES	64

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
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(0, session_finish(&self->session));
}

static long map_errno(int fd, uint64_t offset, size_t size, int flags)
{
	void *addr = mmap(NULL, size, PROT_READ, flags, fd, offset);

	if (addr == MAP_FAILED)
		return -errno;
	munmap(addr, size);
	return 0;
}

/* 8-2, 8-4 */
TEST_F(edu, refusals)
{
	const uint64_t bar = REGION_OFFSET(0);

	EXPECT_EQ(-EINVAL, map_errno(self->fd, bar, PAGE_SIZE, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, CONFIG_OFFSET, PAGE_SIZE,
				     MAP_SHARED));
	EXPECT_EQ(-EINVAL,
		  map_errno(self->fd, REGION_OFFSET(VFIO_PCI_ROM_REGION_INDEX),
			    PAGE_SIZE, MAP_SHARED));
	EXPECT_EQ(-EINVAL,
		  map_errno(self->fd, REGION_OFFSET(VFIO_PCI_VGA_REGION_INDEX),
			    PAGE_SIZE, MAP_SHARED));
	EXPECT_EQ(-EINVAL,
		  map_errno(self->fd, REGION_OFFSET(VFIO_PCI_NUM_REGIONS),
			    PAGE_SIZE, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, REGION_OFFSET(1000), PAGE_SIZE,
				     MAP_SHARED));
	/* A BAR that is not there, and beyond the one that is. */
	EXPECT_EQ(-EINVAL, map_errno(self->fd, REGION_OFFSET(1), PAGE_SIZE,
				     MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, bar, EDU_BAR_SIZE + PAGE_SIZE,
				     MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, bar + EDU_BAR_SIZE, PAGE_SIZE,
				     MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, bar + EDU_BAR_SIZE - PAGE_SIZE,
				     2 * PAGE_SIZE, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_errno(self->fd, bar + (1UL << 39), PAGE_SIZE,
				     MAP_SHARED));
	EXPECT_EQ(0, map_errno(self->fd, bar + EDU_BAR_SIZE - PAGE_SIZE,
			       PAGE_SIZE, MAP_SHARED));
	EXPECT_EQ(0, map_errno(self->fd, bar, EDU_BAR_SIZE, MAP_SHARED));
}

/* 8-6, 8-14: pages come when they are touched, and stay. */
TEST_F(edu, faults)
{
	void *addr;
	long faults;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, EDU_BAR_SIZE, PROT_READ, &addr));
	faults_of(addr, 0);
	faults = faults_of(addr, PAGES);
	EXPECT_LE(1, faults);
	EXPECT_GE(PAGES + 2, faults);
	EXPECT_EQ(0, faults_of(addr, PAGES));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
}

/* 8-13, 8-17, 8-20: disabled memory is gone at once, and comes back. */
TEST_F(edu, memory_disabled)
{
	uint32_t *regs;
	void *addr;
	int i;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, EDU_BAR_SIZE,
			      PROT_READ | PROT_WRITE, &addr));
	regs = addr;
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
	for (i = 1; i < 4; i++) {
		EXPECT_EQ(0, mmio_write(&regs[1], i));
		EXPECT_EQ(0, memory_enable(self->fd, false));
		EXPECT_EQ(-SIGBUS, mmio_at(addr));
		EXPECT_EQ(-SIGBUS, mmio_write(&regs[1], 0));
		EXPECT_EQ(-SIGBUS, mmio_at(addr + EDU_BAR_SIZE - PAGE_SIZE));
		EXPECT_EQ(0, memory_enable(self->fd, true));
		EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
		EXPECT_EQ(~i, regs[1]);
	}
	/* 7-25: writing the bit once more, though it was off already. */
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
}

/* 8-8 */
TEST_F(edu, mapped_while_disabled)
{
	void *addr;

	EXPECT_EQ(0, memory_enable(self->fd, false));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
}

/* Only a write that turns memory off zaps: 8-28. */
TEST_F(edu, other_writes_do_not_zap)
{
	long command = config_read(self->fd, PCI_COMMAND, 2);
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, EDU_BAR_SIZE, PROT_READ, &addr));
	faults_of(addr, PAGES);
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  command | PCI_COMMAND_MASTER));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND + 1, 1, command >> 8));
	EXPECT_EQ(0, config_write(self->fd, PCI_BASE_ADDRESS_0, 4, 0xffffffff));
	EXPECT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSI_IRQ_INDEX, 0, event_new()));
	EXPECT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSI_IRQ_INDEX));
	EXPECT_EQ(0, faults_of(addr, PAGES));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
}

/* Several mappings, of different parts, through different fds, all zapped. */
TEST_F(edu, every_mapping)
{
	int second = group_device(self->session.group, self->session.bdf);
	int copy = dup(self->fd);
	void *addr[4];
	int i;

	ASSERT_LE(0, second);
	ASSERT_LE(0, copy);
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr[0]));
	ASSERT_EQ(0, bar_mmap(second, 0, 0, EDU_BAR_SIZE, PROT_READ, &addr[1]));
	ASSERT_EQ(0, bar_mmap(copy, 0, 0, 2 * PAGE_SIZE, PROT_READ, &addr[2]));
	ASSERT_EQ(0, bar_mmap(second, 0, EDU_BUFFER, PAGE_SIZE, PROT_READ,
			      &addr[3]));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr[i]));
	EXPECT_LE(0, mmio_at(addr[3]));
	EXPECT_EQ(0, memory_enable(second, false));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-SIGBUS, mmio_at(addr[i]));
	close(second);
	close(copy);
	EXPECT_EQ(0, memory_enable(self->fd, true));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr[i]));
	for (i = 0; i < 4; i++)
		munmap(addr[i], i == 1 ? EDU_BAR_SIZE : PAGE_SIZE);
	munmap(addr[2] + PAGE_SIZE, PAGE_SIZE);
}

/* 8-6: a child has the mapping too, and it is zapped there as well. */
TEST_F(edu, fork)
{
	int go[2], ready[2];
	void *addr;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, EDU_BAR_SIZE, PROT_READ, &addr));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
	pid = fork();
	if (!pid) {
		int failures = mmio_at(addr) != EDU_ID_VALUE;

		failures += write(ready[1], "r", 1) != 1;
		failures += read(go[0], &byte, 1) != 1;
		failures += mmio_at(addr) != -SIGBUS;
		failures += write(ready[1], "r", 1) != 1;
		failures += read(go[0], &byte, 1) != 1;
		failures += mmio_at(addr) != EDU_ID_VALUE;
		_exit(failures);
	}
	EXPECT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_EQ(1, write(go[1], "g", 1));
	EXPECT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(1, write(go[1], "g", 1));
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
}

/* An fd that was passed to another process zaps what this one has mapped. */
TEST_F(edu, passed_fd)
{
	int sockets[2];
	void *addr;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
	pid = fork();
	if (!pid) {
		void *theirs;
		int fd;

		close(self->fd);
		munmap(addr, PAGE_SIZE);
		fd = fd_receive(sockets[1]);
		if (fd < 0 || bar_mmap(fd, 0, 0, PAGE_SIZE, PROT_READ, &theirs))
			_exit(1);
		if (mmio_at(theirs) != EDU_ID_VALUE)
			_exit(2);
		if (memory_enable(fd, false))
			_exit(3);
		_exit(mmio_at(theirs) == -SIGBUS ? 0 : 4);
	}
	EXPECT_EQ(0, fd_send(sockets[0], self->fd));
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
}

/* 8-6: it does not grow, moves as a whole, and can be cut. */
TEST_F(edu, shape)
{
	void *addr;
	void *moved;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, 4 * PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(MAP_FAILED, mremap(addr, 4 * PAGE_SIZE, 8 * PAGE_SIZE,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
	moved = memory_new_aligned(4 * PAGE_SIZE, PAGE_SIZE);
	ASSERT_EQ(moved, mremap(addr, 4 * PAGE_SIZE, 4 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, moved));
	EXPECT_EQ(-SIGSEGV, mmio_at(addr));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(moved));
	EXPECT_EQ(0, munmap(moved + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(moved));
	EXPECT_EQ(-SIGSEGV, mmio_at(moved + PAGE_SIZE));
	EXPECT_LE(0, mmio_at(moved + 2 * PAGE_SIZE));
	/* Zapped in its new place, in both parts. */
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(moved));
	EXPECT_EQ(-SIGBUS, mmio_at(moved + 2 * PAGE_SIZE));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(moved));
}

/* Protection is what was asked for, and may be changed. */
TEST_F(edu, protection)
{
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
	EXPECT_EQ(-SIGSEGV, mmio_write(addr + EDU_LIVENESS, 1));
	ASSERT_EQ(0, mprotect(addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mmio_write(addr + EDU_LIVENESS, 0x77));
	EXPECT_EQ(~0x77U, edu_read(self->fd, EDU_LIVENESS));
	ASSERT_EQ(0, mprotect(addr, PAGE_SIZE, PROT_NONE));
	EXPECT_EQ(-SIGSEGV, mmio_at(addr));
}

/* 8-15: a first access that writes is as good as one that reads. */
TEST_F(edu, write_first)
{
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			      &addr));
	EXPECT_EQ(0, mmio_write(addr + EDU_LIVENESS, 0x1234));
	EXPECT_EQ(~0x1234U, edu_read(self->fd, EDU_LIVENESS));
}

/* 8-19: nobody may pin what is no memory of the machine. */
TEST_F(edu, no_pinning)
{
	char copy[16];
	struct iovec local = { .iov_base = copy, .iov_len = sizeof(copy) };
	struct iovec remote = { .iov_len = sizeof(copy) };
	int pipes[2];
	void *addr;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, EDU_BUFFER, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &addr));
	EXPECT_LE(0, mmio_at(addr));
	remote.iov_base = addr;
	EXPECT_EQ(-EFAULT, sys_result(vmsplice(pipes[1], &remote, 1, 0)));
	EXPECT_EQ(-EFAULT, sys_result(process_vm_readv(getpid(), &local, 1,
						       &remote, 1, 0)));
}

/*
 * Faults against zapping: who gets through sees the register, who does not gets
 * SIGBUS, and nobody ever reads from a device that does not answer.
 */
TEST_F(edu, faults_against_zapping)
{
	pid_t pids[2];
	void *addr;
	int i, j;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (j = 0; j < 2000; j++) {
			long value = mmio_at(addr);

			if (value != EDU_ID_VALUE && value != -SIGBUS)
				_exit(1);
		}
		_exit(0);
	}
	for (j = 0; j < 300; j++) {
		EXPECT_EQ(0, memory_enable(self->fd, false));
		EXPECT_EQ(-SIGBUS, mmio_at(addr));
		EXPECT_EQ(0, memory_enable(self->fd, true));
		EXPECT_EQ(EDU_ID_VALUE, mmio_at(addr));
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, child_result(pids[i]));
}

/* Which of the other BARs may be mapped at all: 6-10, 8-4. */
TEST(io_bar)
{
	struct vfio_session session;

	SHARE_DEVICE(&session, "TESTDEV");
	EXPECT_EQ(0, map_errno(session.device, REGION_OFFSET(0), PAGE_SIZE,
			       MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_errno(session.device, REGION_OFFSET(1), PAGE_SIZE,
				     MAP_SHARED));
	session_close(&session);
}

/* 4 GiB of device memory, and a place in the address space that suits it. */
FIXTURE(large)
{
	struct vfio_session session;
	uint8_t *place;
};

FIXTURE_SETUP(large)
{
	SHARE_DEVICE(&self->session, "TESTDEV");
	if (region_size(self->session.device, 2) < (long)(2 * SIZE_1G))
		SKIP(return, "BAR 2 is not large");
	self->place = memory_new_aligned(2 * SIZE_1G, SIZE_1G);
	ASSERT_NE(MAP_FAILED, (void *)self->place);
}

FIXTURE_TEARDOWN(large)
{
	session_close(&self->session);
}

static bool map_large(int fd, uint8_t *at, uint64_t offset, size_t size)
{
	return mmap(at, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
		    REGION_OFFSET(2) + offset) == at;
}

/* 8-11, 8-12: where all is aligned, one fault gives 2 MiB, or 1 GiB. */
TEST_F(large, huge_pages)
{
	int fd = self->session.device;

	ASSERT_TRUE(map_large(fd, self->place, 0, 8 * SIZE_2M));
	EXPECT_GE(3, faults_of(self->place, 512));
	EXPECT_EQ(0, faults_of(self->place, 512));
	ASSERT_TRUE(map_large(fd, self->place, SIZE_1G, SIZE_1G));
	EXPECT_GE(3, faults_of(self->place, 8 * 512));
	/* One command write takes them all away. */
	EXPECT_EQ(0, memory_enable(fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(self->place));
	EXPECT_EQ(-SIGBUS, mmio_at(self->place + SIZE_1G - PAGE_SIZE));
	EXPECT_EQ(0, memory_enable(fd, true));
	EXPECT_LE(0, mmio_at(self->place + SIZE_1G - PAGE_SIZE));
}

/* The least faults for that many small pages: 8-14, fault_around_test has more. */
static long small_faults(long pages)
{
	return on_c_modules() ? pages : (pages + 15) / 16;
}

/* 8-10, 8-12: a mapping that is off by a page is made of small pages. */
TEST_F(large, misaligned)
{
	int fd = self->session.device;
	uint8_t *at = self->place + PAGE_SIZE;

	ASSERT_TRUE(map_large(fd, at, 0, 4 * SIZE_2M));
	EXPECT_LE(small_faults(PAGES), faults_of(at, PAGES));
	EXPECT_EQ(0, faults_of(at, PAGES));
	EXPECT_EQ(0, memory_enable(fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(at + (PAGES - 1) * PAGE_SIZE));
	EXPECT_EQ(0, memory_enable(fd, true));
	EXPECT_LE(0, mmio_at(at + (PAGES - 1) * PAGE_SIZE));
}

/* 8-12: huge pages only where they fit between the ends of the mapping. */
TEST_F(large, ends)
{
	int fd = self->session.device;
	uint8_t *at = self->place + SIZE_2M - 8 * PAGE_SIZE;

	ASSERT_TRUE(map_large(fd, at, SIZE_2M - 8 * PAGE_SIZE,
			      SIZE_2M + 16 * PAGE_SIZE));
	EXPECT_LE(small_faults(8), faults_of(at, 8));
	EXPECT_GE(3, faults_of(self->place + SIZE_2M, 512));
	EXPECT_LE(small_faults(8), faults_of(self->place + 2 * SIZE_2M, 8));
}

/* 8-11 */
TEST_F(large, no_huge_pages_wanted)
{
	int fd = self->session.device;

	ASSERT_TRUE(map_large(fd, self->place, 0, 4 * SIZE_2M));
	ASSERT_EQ(0, madvise(self->place, 4 * SIZE_2M, MADV_NOHUGEPAGE));
	EXPECT_LE(small_faults(PAGES), faults_of(self->place, PAGES));
}

/* What zaps, together; each for itself is in zap_test. */
FIXTURE(zap)
{
	struct vfio_session session;
	int fd;
	uint8_t *addr;
};

FIXTURE_VARIANT(zap)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(zap, nvme)
{
	.name = "NVME",
};

FIXTURE_VARIANT_ADD(zap, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(zap)
{
	void *addr;

	SHARE_DEVICE(&self->session, variant->name);
	self->fd = self->session.device;
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	self->addr = addr;
	ASSERT_LE(0, mmio_at(addr));
	ASSERT_EQ(0, faults_of(self->addr, 1));
}

FIXTURE_TEARDOWN(zap)
{
	munmap(self->addr, PAGE_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 6-61: RESET does not give back what the user has switched off. */
TEST_F(zap, reset_while_disabled)
{
	ASSERT_EQ(0, memory_enable(self->fd, false));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(-SIGBUS, mmio_at(self->addr));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_LE(0, mmio_at(self->addr));
}

/* 6-61: it wakes the device up, though. */
TEST_F(zap, reset_in_d3)
{
	long cap = config_cap(self->fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, cap);
	ASSERT_EQ(0, config_write(self->fd, cap + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(-SIGBUS, mmio_at(self->addr));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(0, config_read(self->fd, cap + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_LE(0, mmio_at(self->addr));
}

/* 8-28: D1 takes nothing away; a device that does not have it stays in D0. */
TEST_F(zap, light_sleep)
{
	long cap = config_cap(self->fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, cap);
	ASSERT_EQ(0, config_write(self->fd, cap + PCI_PM_CTRL, 2, 1));
	EXPECT_EQ(0, faults_of(self->addr, 1));
	ASSERT_EQ(0, config_write(self->fd, cap + PCI_PM_CTRL, 2, 0));
	EXPECT_EQ(0, faults_of(self->addr, 1));
}

VFIO_TEST_MAIN_OPEN("EDU", "TESTDEV", "NVME", "IGB")
