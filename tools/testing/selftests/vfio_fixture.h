/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the VFIO selftests share: PCI devices by name, containers, groups and
 * device fds, register access, eventfds, and accesses that may end in SIGBUS.
 *
 * A function that can fail returns a negative errno, so a test compares its
 * result with the errno that is specified: EXPECT_EQ(-EINVAL, type1_map(...)).
 */
#ifndef VFIO_FIXTURE_H
#define VFIO_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vfio.h>

#define PAGE_SIZE	4096UL
#define SIZE_2M		(2UL << 20)
#define SIZE_1G		(1UL << 30)

/* Region offsets and register offsets of PCI that several tests use. */
#define REGION_OFFSET(index)	((uint64_t)(index) << 40)
#define CONFIG_OFFSET		REGION_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX)

/* An address that no process can have mapped, yet one that is canonical. */
#define BAD_POINTER		((void *)8UL)

/* ---- system calls ---- */

long sys_result(long ret);
long vfio_ioctl_arg(int fd, unsigned long request, unsigned long arg);
#define vfio_ioctl(fd, request, arg) \
	vfio_ioctl_arg(fd, request, (unsigned long)(arg))

long file_read(const char *path, char *buf, size_t size);
long file_write(const char *path, const char *text);
void *memory_new(size_t size);
void *memory_new_aligned(size_t size, size_t alignment);
long memory_locked_kb(void);
long memory_pinned_pages(void);
bool kernel_has_checkers(void);

/* ---- PCI devices ---- */

const char *pci_device(const char *name);
int pci_driver(const char *bdf, char *name, size_t size);
int pci_bind(const char *bdf, const char *driver);
int pci_group(const char *bdf);
int pci_vf(const char *bdf, unsigned int index, char *name, size_t size);
int pci_first_vf(const char *bdf, char *name, size_t size);
int pci_allow_vfs(bool allow);
int pci_set_vfs(const char *bdf, const char *number);
int pci_resource(const char *bdf, unsigned int index, uint64_t *start,
		 uint64_t *size);
long pci_hw_config(const char *bdf, unsigned int offset, unsigned int size);
long module_users(const char *module);
void pci_claim(const char *const *names);

/* ---- containers, groups, devices ---- */

struct vfio_session {
	const char *bdf;
	int container;
	int group;
	int device;
};

int container_open(void);
int group_open(const char *bdf);
long group_set_container(int group, int container);
long group_join(int group, int container);
long group_flags(int group);
long group_device(int group, const char *bdf);
int cdev_name(const char *bdf, char *name, size_t size);
int cdev_open(const char *bdf, int flags);
long cdev_bind(int device, int iommufd);
long cdev_attach(int device, uint32_t pt_id);
int session_of_cdev(struct vfio_session *session, const char *name, int device);
int session_join(struct vfio_session *session, const char *bdf, int iommu);
int session_open(struct vfio_session *session, const char *bdf, int iommu);
void session_close(struct vfio_session *session);
void session_keep(const char *const *names);
int session_share(struct vfio_session *session, const char *bdf);
int session_works(const struct vfio_session *session);
int session_finish(struct vfio_session *session);

bool kernel_has_iommufd(void);
int iommufd_open(void);
long iommufd_ioas(int iommufd);
long iommufd_map(int iommufd, uint32_t ioas, void *vaddr, uint64_t iova,
		 uint64_t size);

/* ---- features and power ---- */

long device_feature(int device, uint32_t flags, const void *data, size_t size);
int pci_attribute(const char *bdf, const char *name, char *text, size_t size);
int pci_set_attribute(const char *bdf, const char *name, const char *text);
bool pci_becomes(const char *bdf, const char *name, const char *text);
bool on_c_modules(void);

/* ---- type1 ---- */

#define DMA_RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

long type1_map(int container, void *vaddr, uint64_t iova, uint64_t size,
	       uint32_t flags);
long type1_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags);
void *type1_info(int container);
void *info_cap(void *info, uint32_t first, uint16_t id);
long type1_dma_avail(int container);

/* ---- registers ---- */

long config_read(int device, unsigned int offset, unsigned int size);
long config_write(int device, unsigned int offset, unsigned int size,
		  uint32_t value);
long config_cap(int device, uint8_t id);
long config_ext_cap(int device, uint16_t id);
long memory_enable(int device, bool on);
long region_size(int device, unsigned int index);
long region_read(int device, unsigned int index, uint64_t offset, void *buf,
		 size_t size);
long region_write(int device, unsigned int index, uint64_t offset,
		  const void *buf, size_t size);
long bar_mmap(int device, unsigned int index, uint64_t offset, size_t size,
	      int prot, void **addr);

/* Load or store that answers -SIGBUS or -SEGV where the CPU faults. */
int mmio_read(const volatile void *addr, uint32_t *value);
int mmio_write(volatile void *addr, uint32_t value);
/* The value at @addr, or what mmio_read() answers. */
long mmio_at(const volatile void *addr);
long fault_count(void);
long faults_of(const volatile void *addr, size_t pages);

/* ---- interrupts and eventfds ---- */

long irq_set(int device, uint32_t index, uint32_t flags, uint32_t start,
	     uint32_t count, const void *data, size_t size);
long irq_none(int device, uint32_t index, uint32_t action, uint32_t start,
	      uint32_t count);
long irq_bool(int device, uint32_t index, uint32_t action, uint32_t start,
	      uint8_t value);
long irq_fd(int device, uint32_t index, uint32_t action, int32_t fd);
bool irq_listed(const char *format, const char *bdf);
long irq_eventfd(int device, uint32_t index, uint32_t start, int fd);
long irq_eventfds(int device, uint32_t index, uint32_t start, uint32_t count,
		  const int *fds);
long irq_disable(int device, uint32_t index);
int event_new(void);
long event_take(int fd);
unsigned int events_take(const int *fds, unsigned int count);
long event_wait(int fd, int milliseconds);
long event_signal(int fd);

/* ---- processes ---- */

int child_result(pid_t pid);
int fd_send(int socket, int fd);
int fd_receive(int socket);

/* ---- what a test program ends with ---- */

void report_difference(const char *what, const char *how);

#define NEED_DEVICE(bdf, name)						\
	do {								\
		(bdf) = pci_device(name);				\
		if (!(bdf))						\
			SKIP(return, "%s names no device", name);	\
	} while (0)

/* iommufd, and with it the character devices of devices. */
#define NEED_IOMMUFD()							\
	do {								\
		if (!kernel_has_iommufd())				\
			SKIP(return, "the kernel has no iommufd");	\
	} while (0)

/* Fds of a device that VFIO_TEST_MAIN_OPEN() has opened. */
#define SHARE_DEVICE(session, name)					\
	do {								\
		const char *_bdf;					\
									\
		NEED_DEVICE(_bdf, name);				\
		ASSERT_EQ(0, session_share(session, _bdf));		\
	} while (0)

/*
 * Binds the named devices to vfio-pci. The harness ends in exit(), so
 * pci_claim() restores their drivers from there.
 */
#define VFIO_TEST_MAIN(...)						\
	int main(int argc, char **argv)					\
	{								\
		static const char *const names[] = { __VA_ARGS__, NULL };\
									\
		pci_claim(names);					\
		return test_harness_run(argc, argv);			\
	}

/*
 * The same, and opens them for as long as the program runs: first open and last
 * close take more than a second on a kernel with KASAN. For session_share().
 */
#define VFIO_TEST_MAIN_OPEN(...)					\
	int main(int argc, char **argv)					\
	{								\
		static const char *const names[] = { __VA_ARGS__, NULL };\
									\
		pci_claim(names);					\
		session_keep(names);					\
		return test_harness_run(argc, argv);			\
	}

#endif
