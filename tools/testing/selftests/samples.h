/* SPDX-License-Identifier: GPL-2.0 */
/* The sample modules, and the emulated devices that some of them are. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdbool.h>

#include "vfio_fixture.h"

/* What vfio_memory has: its memory, which is at the start of the device file. */
#define MEMORY_NAME	"vfio-memory"
#define MEMORY_SIZE	(16 * PAGE_SIZE)

bool samples_exist(void);
bool sample_exists(const char *name);
int module_load(const char *name);
int module_unload(const char *name);
long module_parameter(const char *module, const char *name);
void samples_claim(const char *const *names);

/* Emulated devices, by the name of their parent, or the UUID of a mediated one. */
int emulated_group(const char *name);
int emulated_group_open(const char *name);
int emulated_cdev_open(const char *name);
int emulated_join(struct vfio_session *session, const char *name, int iommu);
int emulated_open(struct vfio_session *session, const char *name, int iommu);

/* The same, for vfio_memory. */
int memory_group(void);
int memory_group_open(void);
int memory_cdev_open(void);
int memory_join(struct vfio_session *session, int iommu);
int memory_open(struct vfio_session *session, int iommu);
void *memory_mmap(int device);

/*
 * What does DMA by software as registers tell it: the sample vfio_memory, and a driver in C,
 * which both stacks load.
 */
struct emulated_driver {
	const char *name;
	const char *module;
	bool in_c;
};

#define MEMORY_DRIVER	{ .name = MEMORY_NAME, .module = "vfio_memory" }
#define PAGES_DRIVER	{ .name = "vfio-pages", .module = "vfio_pages", .in_c = true }

/* A region, and room for its capabilities. */
struct region_info {
	struct vfio_region_info head;
	char capabilities[256];
};

long region_info(int device, uint32_t index, struct region_info *info);
int session_open_by(struct vfio_session *session, const char *bdf,
		    const char *driver);

#define NEED_SAMPLES()							\
	do {								\
		if (!samples_exist())					\
			SKIP(return, "C modules: there are no samples");	\
	} while (0)

#define NEED_DRIVER(driver)						\
	do {								\
		if (!sample_exists((driver)->module))			\
			SKIP(return, "there is no module %s", (driver)->module); \
	} while (0)

/* Loads the named modules, which are unloaded when the program ends. */
#define SAMPLES_TEST_MAIN(...)						\
	int main(int argc, char **argv)					\
	{								\
		static const char *const names[] = { __VA_ARGS__, NULL };\
									\
		samples_claim(names);					\
		return test_harness_run(argc, argv);			\
	}

#endif
