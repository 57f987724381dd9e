// SPDX-License-Identifier: GPL-2.0
/* What the processes of interleave_test share, and the containers; see interleave.h. */
#include "interleave.h"
#include "iommu_debug.h"

const struct role casting[ACTORS] = {
	{ PARENT, 0, 2 }, { PARENT, 0, 2 }, { PARENT, 0, 1 },
	{ CHILD, 2, 1 }, { CHILD, 2, 1 },
};

const char *const members[CONTAINERS] = { "EDU", "IVSHMEM", "TESTDEV" };
const int keepers[CONTAINERS] = { PARENT, PARENT, CHILD };

struct stage *stage;
struct container containers[CONTAINERS];
int iommu_type;
int device_group;
const char *device_bdf;
uint64_t bar_address;
char *areas[ACTORS];

void container_make(int index)
{
	int ret = session_join(&containers[index].session,
			       pci_device(members[index]), iommu_type);

	if (ret)
		fail("container %d cannot be made: %d", index, ret);
	containers[index].mapped = 0;
	containers[index].unmapped = 0;
}

void containers_make(int process)
{
	int i;

	for (i = 0; i < CONTAINERS; i++) {
		pthread_rwlock_init(&containers[i].lock, NULL);
		if (keepers[i] == process)
			container_make(i);
	}
}

void containers_close(int process)
{
	int i;

	for (i = 0; i < CONTAINERS; i++)
		if (keepers[i] == process)
			session_close(&containers[i].session);
}

/* ---- what must be true when nobody has the device ---- */

static void check_container(int index)
{
	struct container *container = &containers[index];
	long left;

	left = iommu_entries(pci_device(members[index]), bar_address, BAR_SIZE);
	if (left && !on_c_modules())
		fail("container %d reaches the device's memory: %ld", index,
		     left);
	left = type1_unmap(container->session.container, 0, 0,
			   VFIO_DMA_UNMAP_FLAG_ALL);
	if (container->mapped != container->unmapped + left)
		fail("container %d: mapped 0x%lx, unmapped 0x%lx and 0x%lx",
		     index, container->mapped, container->unmapped, left);
	container->mapped = 0;
	container->unmapped = 0;
	if (type1_dma_avail(container->session.container) != 65535)
		fail("container %d has no room for all mappings", index);
}

void check_process(int process)
{
	int i;

	for (i = 0; i < CONTAINERS; i++)
		if (keepers[i] == process)
			check_container(i);
	if (memory_locked_kb())
		fail("process %d is charged for %ld KiB", process,
		     memory_locked_kb());
}
