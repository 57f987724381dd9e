// SPDX-License-Identifier: GPL-2.0
/*
 * compare -s SEED -n OPERATIONS -o DIRECTORY [-l LENGTH] [-k SESSION] [-x]
 *	   DEVICE...
 *
 * Drives each device by a process of its own, all at the same time: most of what
 * takes long is waiting. Each writes DIRECTORY/DEVICE.log. A device is the name
 * of an environment variable that holds its address; "VF" is a virtual function
 * of PORT_IGB, "MTTY" a mediated device of the kernel's sample. See compare.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compare.h"
#include "samples.h"

#define PARENT	"PORT_IGB"
#define NAMES	16

static struct layout layouts[NAMES];
static pid_t workers[NAMES];

static bool is_function(const char *name)
{
	return !strcmp(name, "VF");
}

static bool is_mtty(const char *name)
{
	return !strcmp(name, MTTY_DEVICE);
}

/* So that a splat in the kernel's log can be led back to what was done. */
static void announce(const struct options *options, const char *name,
		     unsigned long session)
{
	char text[96];

	snprintf(text, sizeof(text), "compare: %s seed %llu session %lu\n",
		 name, (unsigned long long)options->seed, session);
	file_write("/dev/kmsg", text);
}

/* Returns how many sessions there were that could open the device. */
static unsigned long sessions_run(const struct options *options,
				  const struct layout *layout, const char *name, FILE *log)
{
	unsigned long sessions =
		(options->operations + options->length - 1) / options->length;
	unsigned long session = options->only < 0 ? 0 : options->only;
	unsigned long opened = 0;

	if (options->only >= 0)
		sessions = session + 1;
	for (; session < sessions; session++) {
		if (options->fuzz)
			announce(options, name, session);
		opened += is_mtty(name) ? mtty_session(options, log, session) :
					  session_run(options, layout, log, session);
	}
	return opened;
}

/* Returns 0, or -1 if nothing could be done. */
static int device_run(const struct options *options, const struct layout *layout,
		      const char *name)
{
	unsigned long opened;
	char path[256];
	FILE *log;

	snprintf(path, sizeof(path), "%s/%s.log", options->directory, name);
	log = fopen(path, "we");
	if (!log)
		return -1;
	setvbuf(log, NULL, _IOFBF, 1 << 18);
	log_layout(log, layout);
	if (is_mtty(name)) {
		opened = sessions_run(options, layout, name, log);
	} else {
		layout_power(layout, true);
		layout_restore(layout);
		opened = sessions_run(options, layout, name, log);
		layout_power(layout, false);
	}
	if (fclose(log) || !opened)
		return -1;
	return 0;
}

static void options_parse(struct options *options, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:n:o:l:k:x")) != -1) {
		switch (option) {
		case 's':
			options->seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			options->operations = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			options->directory = optarg;
			break;
		case 'l':
			options->length = strtoul(optarg, NULL, 0);
			break;
		case 'k':
			options->only = strtol(optarg, NULL, 0);
			break;
		case 'x':
			options->fuzz = true;
			break;
		default:
			exit(2);
		}
	}
}

/* The devices are bound to vfio-pci, and given back when this process ends. So are modules. */
static void devices_claim(char **names)
{
	static const char *const module[] = { "mtty", NULL };
	const char *claimed[NAMES + 1] = { NULL };
	unsigned int i, count = 0;

	for (i = 0; names[i] && i < NAMES; i++) {
		if (is_mtty(names[i]))
			samples_claim(module);
		else
			claimed[count++] = is_function(names[i]) ? PARENT : names[i];
	}
	pci_claim(claimed);
}

static int device_find(struct layout *layout, const char *name)
{
	const char *bdf;

	if (is_mtty(name))
		return 0;
	bdf = pci_device(is_function(name) ? PARENT : name);
	if (!bdf)
		return -1;
	if (is_function(name))
		return function_enable(layout, name, bdf);
	return layout_read(layout, name, bdf);
}

static void device_start(const struct options *options, unsigned int i,
			 const char *name)
{
	int ret = device_find(&layouts[i], name);

	if (ret) {
		printf("# %s: %s\n", name, strerror(-ret));
		return;
	}
	fflush(stdout);
	workers[i] = fork();
	if (!workers[i])
		_exit(device_run(options, &layouts[i], name) ? 1 : 0);
}

int main(int argc, char **argv)
{
	struct options options = {
		.seed = time(NULL),
		.operations = 1000,
		.length = 250,
		.only = -1,
		.directory = "/tmp",
	};
	int status, failed = 0;
	unsigned int i;
	char **names;

	options_parse(&options, argc, argv);
	names = argv + optind;
	printf("# seed %llu\n", (unsigned long long)options.seed);
	devices_claim(names);
	for (i = 0; names[i] && i < NAMES; i++)
		device_start(&options, i, names[i]);
	printf("1..%u\n", i);
	for (i = 0; names[i] && i < NAMES; i++) {
		bool ok = workers[i] > 0 &&
			  waitpid(workers[i], &status, 0) == workers[i] &&
			  !status;

		printf("%sok %u - %s: all operations\n", ok ? "" : "not ", i + 1,
		       names[i]);
		failed += !ok;
		if (is_function(names[i]) && pci_device(PARENT))
			function_disable(pci_device(PARENT));
	}
	return failed ? 1 : 0;
}
