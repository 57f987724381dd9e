// SPDX-License-Identifier: GPL-2.0
/* Operations on what confines the device's DMA; see compare.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "compare.h"
#include "dirty_pages.h"

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
		return run->memory + BUFFER_SIZE - PAGE_SIZE;
	if (kind > 3)
		return run->memory;
	if (!mapping->address)
		return run->memory;
	if (*size > mapping->size)
		*size = mapping->size;
	return mapping->address;
}

static uint32_t any_map_flags(struct run *run)
{
	static const uint32_t flags[] = { DMA_RW, DMA_RW, DMA_RW, DMA_RW, DMA_RW,
					  VFIO_DMA_MAP_FLAG_READ,
					  VFIO_DMA_MAP_FLAG_WRITE, 0, 0x10,
					  VFIO_DMA_MAP_FLAG_VADDR,
					  VFIO_DMA_MAP_FLAG_VADDR,
					  VFIO_DMA_MAP_FLAG_VADDR | DMA_RW };

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
	if (size > 2 * BUFFER_SIZE)
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
	uint32_t all = random_chance(&run->random, 10) ?
		VFIO_DMA_UNMAP_FLAG_ALL : 0;
	uint32_t flags = all | (random_chance(&run->random, 25) ?
				VFIO_DMA_UNMAP_FLAG_VADDR : 0);
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap) };

	if (all && random_chance(&run->random, 80))
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

/* Sizes of the arguments of MAP, UNMAP and DIRTY_PAGES that are not theirs. */
static void dma_argsz(struct run *run)
{
	static const struct {
		const char *name;
		unsigned long request;
	} calls[] = {
		{ "map", VFIO_IOMMU_MAP_DMA },
		{ "unmap", VFIO_IOMMU_UNMAP_DMA },
		{ "dirty", VFIO_IOMMU_DIRTY_PAGES },
	};
	unsigned int call = random_below(&run->random, ARRAY_SIZE(calls));
	uint32_t argsz = random_below(&run->random, 56);
	uint32_t flags = random_below(&run->random, 9);
	uint64_t argument[8] = { 0 };

	memcpy(argument, &argsz, sizeof(argsz));
	memcpy((char *)argument + sizeof(argsz), &flags, sizeof(flags));
	log_operation(run, "dma %s argsz %u flags %#x", calls[call].name, argsz,
		      flags);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	log_result(run, vfio_ioctl(run->container, calls[call].request, argument));
}

static void dirty_tracking_any(struct run *run)
{
	static const uint32_t flags[] = { DIRTY_START, DIRTY_START, DIRTY_STOP };
	uint32_t flag = random_pick(&run->random, flags);

	log_operation(run, "dirty tracking %u", flag);
	if (has_container(run))
		log_result(run, dirty_tracking(run->container, flag));
	else
		log_more(run, " = no container");
}

/* How many words of bitmap are looked at. */
#define DIRTY_WORDS	32

static uint64_t any_page_size(struct run *run)
{
	switch (random_below(&run->random, 10)) {
	case 0:
		/* Zero is undefined on the C modules: 12-33. */
		return random_value(&run->random) ?: 1;
	case 1:
		return 2 * PAGE_SIZE;
	default:
		return PAGE_SIZE;
	}
}

static void *any_bitmap(struct run *run, uint64_t *bits)
{
	switch (random_below(&run->random, 20)) {
	case 0:
		return BAD_POINTER;
	case 1:
		return (void *)(1UL << 63);
	case 2:
		/* Nothing behind the first words can be touched. */
		return run->memory + BUFFER_SIZE - 16;
	default:
		return bits;
	}
}

/*
 * A report of dirty pages, with or without unmapping them. Tracking begins anew before
 * that: row 5-74 of differences.rst tells what a second report has on the C modules.
 */
static void dirty_report(struct run *run)
{
	struct random *random = &run->random;
	bool unmap = random_chance(random, 30);
	bool anew = random_chance(random, 90);
	uint64_t before = random_chance(random, 50) ? 0 : random_next(random);
	uint64_t bits[DIRTY_WORDS];
	struct dirty_request request = {
		.iova = any_iova(run),
		.size = any_length(run),
		.page_size = any_page_size(run),
	};
	unsigned int i;

	if (random_chance(random, 50)) {
		request.iova -= request.iova % IOVA_STEP + IOVA_STEP;
		request.size = IOVA_STEP * (1 + random_below(random, 40));
	}
	request.bytes = random_chance(random, 90) ? sizeof(bits) :
						    random_value(random);
	request.data = any_bitmap(run, bits);
	for (i = 0; i < DIRTY_WORDS; i++)
		bits[i] = before;
	log_operation(run, "dirty %s %#llx+%#llx page %#llx bytes %#llx",
		      unmap ? "unmap" : "report",
		      (unsigned long long)request.iova,
		      (unsigned long long)request.size,
		      (unsigned long long)request.page_size,
		      (unsigned long long)request.bytes);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	/* What does not fit would be written behind the end. */
	if (request.data == bits && request.bytes > sizeof(bits))
		request.data = BAD_POINTER;
	dirty_tracking(run->container, DIRTY_STOP);
	if (anew)
		dirty_tracking(run->container, DIRTY_START);
	log_result(run, unmap ? dirty_unmap(run->container, &request) :
				dirty_get(run->container, &request));
	log_bytes(run, bits, sizeof(bits));
}

static void check_extension(struct run *run)
{
	static const int extensions[] = { VFIO_TYPE1_IOMMU, VFIO_SPAPR_TCE_IOMMU,
					  VFIO_TYPE1v2_IOMMU, VFIO_DMA_CC_IOMMU,
					  VFIO_EEH, 6, 7, VFIO_NOIOMMU_IOMMU,
					  VFIO_UNMAP_ALL, VFIO_UPDATE_VADDR, 11,
					  12, -1 };
	int extension = random_pick(&run->random, extensions);

	log_operation(run, "check extension %d", extension);
	if (!has_container(run)) {
		log_more(run, " = no container");
		return;
	}
	log_result(run, vfio_ioctl(run->container, VFIO_CHECK_EXTENSION,
				   extension));
}

/* What the container says of itself. */
static void container_info(struct run *run)
{
	static const uint32_t sizes[] = { 0, 8, 15, 16, 20, 24, 4096, 4096, 4096 };
	static const uint16_t ids[] = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
					VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
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
	log_more(run, " argsz %u sizes %#llx", answer.info.argsz,
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
	{ 4, dma_argsz },
	{ 4, dirty_tracking_any },
	{ 10, dirty_report },
	{ 4, check_extension },
	{ 4, container_info },
	{ 3, container_other },
	{ 8, group_any },
	{ 6, cdev_any },
	{ 0, NULL },
};
