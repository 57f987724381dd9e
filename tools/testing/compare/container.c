// SPDX-License-Identifier: GPL-2.0
/* Operations on what confines the device's DMA; see compare.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "compare.h"

#define IOVA_STEP	0x10000

static uint64_t any_iova(struct run *run)
{
	struct random *random = &run->random;
	uint64_t iova = IOVA_STEP * (1 + random_below(random, 32));

	switch (random_below(random, 16)) {
	case 0:
		return iova + random_below(random, PAGE_SIZE);
	case 1:
		return random_value(random);
	case 2:
		/* Where the host's interrupts are: reserved. */
		return 0xfee00000 - IOVA_STEP * random_below(random, 2);
	case 3:
		return iova + PAGE_SIZE * random_below(random, 16);
	default:
		return iova;
	}
}

static uint64_t any_length(struct run *run)
{
	struct random *random = &run->random;

	switch (random_below(random, 12)) {
	case 0:
		return random_value(random);
	case 1:
		return 0;
	case 2:
		return PAGE_SIZE + random_below(random, 64);
	default:
		return PAGE_SIZE * (1 + random_below(random, 32));
	}
}

/* Which memory to map: this program's, or what a mapping of the device shows. */
static char *any_memory(struct run *run, uint64_t *size)
{
	struct random *random = &run->random;
	unsigned int slot = random_below(random, MAPPINGS);
	unsigned int kind = random_below(random, 10);
	const struct mapping *mapping = &run->mappings[slot];

	log_more(run, " memory %u.%u", kind, slot);
	if (kind == 0)
		return (char *)BAD_POINTER;
	if (kind == 1)
		return run->memory + MEMORY_SIZE - PAGE_SIZE;
	if (kind > 3)
		return run->memory;
	if (!mapping->address)
		return run->memory;
	if (*size > mapping->size)
		*size = mapping->size;
	return mapping->address;
}

/* Flags that this project has are those of version 1; see README.rst. */
static uint32_t any_map_flags(struct run *run)
{
	static const uint32_t flags[] = { DMA_RW, DMA_RW, DMA_RW, DMA_RW,
					  VFIO_DMA_MAP_FLAG_READ,
					  VFIO_DMA_MAP_FLAG_WRITE, 0, 0x10 };

	return random_pick(&run->random, flags);
}

static bool has_container(struct run *run)
{
	return run->path != PATH_CDEV;
}

static void dma_map(struct run *run)
{
	uint64_t iova = any_iova(run);
	uint64_t size = any_length(run);
	uint32_t flags = any_map_flags(run);
	char *memory;

	/* iommufd takes a mapping that allows nothing, and IOMMU code warns of it. */
	if (run->path == PATH_IOMMUFD_CONTAINER && !(flags & DMA_RW))
		flags |= VFIO_DMA_MAP_FLAG_READ;
	log_operation(run, "dma map %#llx+%#llx flags %#x",
		      (unsigned long long)iova, (unsigned long long)size, flags);
	memory = any_memory(run, &size);
	/* A whole address space takes long to pin. */
	if (size > 2 * MEMORY_SIZE)
		size |= 1ULL << 63;
	if (has_container(run))
		log_result(run, type1_map(run->container, memory, iova, size,
					  flags));
	else
		log_result(run, iommufd_map(run->iommufd, run->ioas, memory, iova,
					    size));
}

static void dma_unmap(struct run *run)
{
	uint64_t iova = any_iova(run);
	uint64_t size = any_length(run);
	uint32_t flags = random_chance(&run->random, 10) ?
		VFIO_DMA_UNMAP_FLAG_ALL : 0;
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap) };

	if (flags && random_chance(&run->random, 80))
		iova = size = 0;
	log_operation(run, "dma unmap %#llx+%#llx flags %#x",
		      (unsigned long long)iova, (unsigned long long)size, flags);
	if (has_container(run)) {
		log_result(run, type1_unmap(run->container, iova, size, flags));
		return;
	}
	unmap.ioas_id = run->ioas;
	unmap.iova = iova;
	unmap.length = size;
	log_result(run, vfio_ioctl(run->iommufd, IOMMU_IOAS_UNMAP, &unmap));
}

/* Sizes of the arguments of MAP and UNMAP that are not theirs. */
static void dma_argsz(struct run *run)
{
	uint64_t argument[8] = { 0 };
	bool map = random_chance(&run->random, 50);
	uint32_t argsz = random_below(&run->random, 40);

	memcpy(argument, &argsz, sizeof(argsz));
	log_operation(run, "dma %s argsz %u", map ? "map" : "unmap", argsz);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	log_result(run, vfio_ioctl(run->container, map ? VFIO_IOMMU_MAP_DMA :
				   VFIO_IOMMU_UNMAP_DMA, argument));
}

static void check_extension(struct run *run)
{
	static const int extensions[] = { VFIO_TYPE1_IOMMU, VFIO_SPAPR_TCE_IOMMU,
					  VFIO_TYPE1v2_IOMMU, VFIO_DMA_CC_IOMMU,
					  VFIO_EEH, 6, 7, VFIO_NOIOMMU_IOMMU,
					  VFIO_UNMAP_ALL, 11, 12, -1 };
	int extension = random_pick(&run->random, extensions);

	log_operation(run, "check extension %d", extension);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	log_result(run, vfio_ioctl(run->container, VFIO_CHECK_EXTENSION,
				   extension));
}

/*
 * What the container says of itself. Dirty tracking is not among the features of
 * this project, so its capability, and the size of all, are not looked at.
 */
static void container_info(struct run *run)
{
	static const uint32_t sizes[] = { 0, 8, 15, 16, 20, 24, 4096, 4096, 4096 };
	static const uint16_t ids[] = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
					VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL };
	uint32_t argsz = random_pick(&run->random, sizes);
	static union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[4096];
	} answer;
	long ret;
	int i;

	memset(&answer, 0, sizeof(answer));
	answer.info.argsz = argsz;
	log_operation(run, "container info argsz %u", argsz);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	ret = vfio_ioctl(run->container, VFIO_IOMMU_GET_INFO, &answer);
	log_result(run, ret);
	log_more(run, " flags %#x", answer.info.flags);
	if (ret || argsz < 16)
		return;
	log_more(run, " sizes %#llx",
		 (unsigned long long)answer.info.iova_pgsizes);
	for (i = 0; i < ARRAY_SIZE(ids) && answer.info.cap_offset; i++) {
		uint8_t *cap = info_cap(&answer, answer.info.cap_offset, ids[i]);

		log_more(run, " cap %u", ids[i]);
		if (cap)
			log_bytes(run, cap + 8, 24);
	}
}

static void container_other(struct run *run)
{
	static const unsigned long requests[] = {
		VFIO_GET_API_VERSION, VFIO_SET_IOMMU, VFIO_IOMMU_ENABLE,
		VFIO_IOMMU_DISABLE, VFIO_DEVICE_RESET, _IO(VFIO_TYPE, 140),
	};
	unsigned long request = random_pick(&run->random, requests);

	log_operation(run, "container ioctl %lu", request & 0xff);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	log_result(run, vfio_ioctl(run->container, request,
				   VFIO_TYPE1v2_IOMMU));
}

static void group_any(struct run *run)
{
	struct vfio_group_status status = {
		.argsz = random_chance(&run->random, 70) ?
			sizeof(status) : random_below(&run->random, 9),
	};
	unsigned int kind = random_below(&run->random, 7);
	char name[64] = "0000:ff:1f.7";
	long ret;

	log_operation(run, "group %u argsz %u", kind, status.argsz);
	switch (kind) {
	case 0:
		ret = vfio_ioctl(run->group, VFIO_GROUP_GET_STATUS, &status);
		log_result(run, ret);
		log_more(run, " flags %#x", status.flags);
		return;
	case 1:
		log_result(run, group_set_container(run->group, run->container));
		return;
	case 2:
		log_result(run, group_set_container(run->group, run->null));
		return;
	case 3:
		log_result(run, vfio_ioctl(run->group,
					   VFIO_GROUP_GET_DEVICE_FD, BAD_POINTER));
		return;
	case 4:
		log_fd(run, group_device(run->group, name));
		return;
	case 5:
		log_result(run, vfio_ioctl(run->group, _IO(VFIO_TYPE, 140), 0));
		return;
	default:
		/* With iommufd this succeeds, and the session would be over. */
		if (run->path == PATH_IOMMUFD_CONTAINER)
			log_more(run, " = not now");
		else
			log_result(run, vfio_ioctl(run->group,
						   VFIO_GROUP_UNSET_CONTAINER, 0));
	}
}

/* BIND, ATTACH and DETACH on any device file. */
static void cdev_any(struct run *run)
{
	struct random *random = &run->random;
	unsigned int kind = random_below(random, 3);
	bool usual = random_chance(random, 60);
	uint32_t argsz = random_below(random, 40);
	uint32_t flags = random_chance(random, 90) ? 0 : random_below(random, 4);
	uint32_t id = random_chance(random, 80) ? run->ioas :
						  random_below(random, 9);
	uint32_t argument[16] = { 0 };

	/* What was detached has to be attached again some time. */
	if (kind == 2 && random_chance(random, 50))
		kind = 1;
	log_operation(run, "cdev %u %s argsz %u flags %u id %u", kind,
		      usual ? "usual" : "odd", argsz, flags, id);
	argument[1] = flags;
	if (kind == 0) {
		argument[0] = usual ? sizeof(struct vfio_device_bind_iommufd) :
				      argsz;
		argument[2] = run->iommufd;
		log_result(run, vfio_ioctl(run_device(run),
					   VFIO_DEVICE_BIND_IOMMUFD, argument));
	} else if (kind == 1) {
		argument[0] = usual ?
			sizeof(struct vfio_device_attach_iommufd_pt) : argsz;
		argument[2] = id;
		log_result(run, vfio_ioctl(run_device(run),
					   VFIO_DEVICE_ATTACH_IOMMUFD_PT,
					   argument));
	} else {
		argument[0] = usual ?
			sizeof(struct vfio_device_detach_iommufd_pt) : argsz;
		log_result(run, vfio_ioctl(run_device(run),
					   VFIO_DEVICE_DETACH_IOMMUFD_PT,
					   argument));
	}
}

const struct operation container_operations[] = {
	{ 20, dma_map },
	{ 15, dma_unmap },
	{ 3, dma_argsz },
	{ 4, check_extension },
	{ 4, container_info },
	{ 3, container_other },
	{ 8, group_any },
	{ 6, cdev_any },
	{ 0, NULL },
};
