/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program that drives VFIO devices through long sequences of operations and
 * logs every result. The sequence depends on a seed, on the device's name and on
 * what the hardware is, but never on a result; so two VFIO stacks that are given
 * the same seed do the same things, and their logs can be compared line by line.
 *
 * A sequence consists of sessions: open the device in one of several ways, do a
 * few hundred operations, close everything. What a session finds does not depend
 * on the one before: a difference cannot spoil more than the session it is in.
 */
#ifndef COMPARE_H
#define COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kselftest.h"
#include "vfio_fixture.h"

/* ---- random.c: choices ---- */

struct random {
	uint64_t state;
};

void random_seed(struct random *random, uint64_t seed, const char *name,
		 uint64_t session);
uint64_t random_next(struct random *random);
uint32_t random_below(struct random *random, uint32_t limit);
bool random_chance(struct random *random, unsigned int percent);
uint64_t random_value(struct random *random);
void random_bytes(struct random *random, void *buf, size_t size);

#define random_pick(random, array) \
	((array)[random_below((random), ARRAY_SIZE(array))])

/* ---- layout.c: what the hardware is, whatever stack drives it ---- */

#define CONFIG_SIZE	4096
#define CAPABILITIES	64
#define BARS		6

struct capability {
	unsigned int offset;
	unsigned int length;
	unsigned int id;
	bool extended;
};

/* Registers or memory whose contents only the driver of the device changes. */
struct window {
	unsigned int region;
	uint64_t offset;
	uint64_t size;
	bool write;
};

struct layout {
	const char *name;
	char bdf[16];
	/* What to open by the group: the address, or that and a token. */
	char open_name[80];
	bool token;
	int config_fd;
	unsigned int config_size;
	uint8_t config[CONFIG_SIZE];
	struct capability caps[CAPABILITIES];
	unsigned int nr_caps;
	uint64_t bar_size[BARS];
	bool bar_io[BARS];
	const struct window *windows;
	unsigned int nr_windows;
};

int layout_read(struct layout *layout, const char *name, const char *bdf);
const struct capability *layout_cap(const struct layout *layout,
				    unsigned int id, bool extended);
bool layout_volatile(const struct layout *layout, unsigned int offset);
uint32_t layout_hardware(const struct layout *layout, unsigned int offset);
void layout_power(const struct layout *layout, bool on);
void layout_restore(const struct layout *layout);

/* ---- function.c: a virtual function to open ---- */

extern const uint8_t function_token[16];

int function_enable(struct layout *layout, const char *name,
		    const char *parent);
void function_disable(const char *parent);

/* ---- session.c ---- */

#define EVENTS		8
#define DEVICES		4
#define MAPPINGS	6
/* The last two events start something; the others are told of something. */
#define EVENT_START	6
#define BUFFER_SIZE	(1UL << 20)
/* No process has that many files open. */
#define FD_CLOSED	900

enum path {
	PATH_TYPE1,
	PATH_TYPE1_V2,
	PATH_IOMMUFD_CONTAINER,
	PATH_CDEV,
};

struct mapping {
	char *address;
	size_t size;
	unsigned int region;
	uint64_t offset;
};

struct options {
	uint64_t seed;
	/* Operations per device, and per session. */
	unsigned long operations;
	unsigned int length;
	/* Only this session of each device. */
	long only;
	/* Where one log per device goes. */
	const char *directory;
	/* Look for crashes only: results may depend on the time. */
	bool fuzz;
};

/* One session, and where it is logged. */
struct run {
	const struct options *options;
	const struct layout *layout;
	struct random random;
	FILE *log;
	unsigned long session;
	unsigned long number;
	enum path path;
	int container;
	int iommufd;
	int group;
	uint32_t ioas;
	int devices[DEVICES];
	int events[EVENTS];
	int epoll;
	int null;
	struct mapping mappings[MAPPINGS];
	char *memory;
	/* What takes long is done only so often. */
	unsigned int resets;
	unsigned int hot_resets;
	unsigned int waits;
	/* The device may be suspended between any two accesses. */
	bool low_power;
	bool child;
	/* The process that takes the device away from its driver. */
	pid_t remover;
};

bool session_run(const struct options *options, const struct layout *layout,
		 FILE *log, unsigned long session);
int run_device(struct run *run);
bool run_may_reset(struct run *run);

/* ---- mtty.c: a device that is none of PCI's, under a driver in C ---- */

#define MTTY_DEVICE	"MTTY"

bool mtty_session(const struct options *options, FILE *log, unsigned long session);

/* ---- log.c ---- */

#define log_operation(run, ...)	log_text((run), true, __VA_ARGS__)
#define log_more(run, ...)	log_text((run), false, __VA_ARGS__)
__printf(3, 4)
void log_text(struct run *run, bool begin, const char *format, ...);
void log_result(struct run *run, long ret);
void log_fd(struct run *run, long fd);
void log_all_bytes(struct run *run, const void *buf, size_t size);
void log_bytes(struct run *run, const void *buf, size_t size);
void log_end(struct run *run);
void log_layout(FILE *log, const struct layout *layout);

/* ---- operations ---- */

struct operation {
	unsigned int weight;
	void (*run)(struct run *run);
};

extern const struct operation config_operations[];
extern const struct operation region_operations[];
extern const struct operation interrupt_operations[];
extern const struct operation info_operations[];
extern const struct operation mapping_operations[];
extern const struct operation reset_operations[];
extern const struct operation feature_operations[];
extern const struct operation container_operations[];
extern const struct operation file_operations[];
extern const struct operation fuzz_operations[];
void remove_in_use(struct run *run);

const struct operation *operation_pick(struct run *run);
void operation_run(struct run *run);

/* A structure in memory of which a part, or all, cannot be reached. */
void *argument_place(struct run *run, const void *from, size_t size);
const struct window *window_pick(struct run *run, bool write);

#endif
