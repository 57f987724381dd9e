// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel log says in the life of a device, line by line: people, and scripts,
 * read it to find out what has happened (1-39).
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kernel_log.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "vfio_fixture.h"
#include "waiter.h"

#define RESET		"4 resetting\n4 reset done\n"
#define NO_CHANNEL	"4 No device request channel registered, blocked until released by user\n"
#define REQUEST		"5 Relaying device request to user (#0)\n"
#define TOKEN		"vf_token=01234567-89ab-cdef-0123-456789abcdef"
/* Longer than anything here takes. */
#define LONG		60000

/* A device, and a place of its own in the log. */
struct speaker {
	const char *bdf;
	int log;
	char text[2048];
};

static int speaker_new(struct speaker *speaker, const char *bdf)
{
	speaker->bdf = bdf;
	speaker->log = log_open();
	return speaker->log;
}

/*
 * What the driver, and the PCI core in its name, has said. Whether memory is enabled
 * before the first open is up to the firmware.
 */
static const char *said(struct speaker *speaker)
{
	char source[64], all[sizeof(speaker->text)];
	char *line, *next = all;

	snprintf(source, sizeof(source), "vfio-pci %s", speaker->bdf);
	log_of(speaker->log, source, all, sizeof(all));
	speaker->text[0] = '\0';
	while ((line = strsep(&next, "\n")) && *line) {
		if (strstr(line, "enabling device"))
			continue;
		strcat(speaker->text, line);
		strcat(speaker->text, "\n");
	}
	return speaker->text;
}

/* The same, up to the line @last, for which it waits. */
static const char *says(struct speaker *speaker, const char *last)
{
	uint64_t end = milliseconds() + LONG;
	char text[sizeof(speaker->text)] = "";

	do {
		strcat(text, said(speaker));
	} while (!strstr(text, last) && milliseconds() < end && !usleep(10000));
	return strcpy(speaker->text, text);
}

FIXTURE(life)
{
	struct speaker igb;
	struct vfio_session session;
};

FIXTURE_SETUP(life)
{
	const char *bdf;

	NEED_DEVICE(bdf, "IGB");
	ASSERT_EQ(0, pci_bind(bdf, NULL));
	ASSERT_LE(0, speaker_new(&self->igb, bdf));
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
}

FIXTURE_TEARDOWN(life)
{
	EXPECT_EQ(0, pci_bind(self->igb.bdf, NULL));
	EXPECT_STREQ("", said(&self->igb));
	close(self->igb.log);
}

/* 1-39: with these lines people find out who has lost what, and when. */
TEST_F(life, open_and_resets)
{
	int device;
	long cap;

	EXPECT_STREQ("", said(&self->igb));
	ASSERT_EQ(0, session_open(&self->session, self->igb.bdf,
				  VFIO_TYPE1v2_IOMMU));
	EXPECT_STREQ(RESET, said(&self->igb));
	device = self->session.device;

	ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, 0));
	EXPECT_STREQ(RESET, said(&self->igb));
	cap = config_cap(device, PCI_CAP_ID_EXP);
	ASSERT_LT(0, cap);
	ASSERT_EQ(0, config_write(device, cap + PCI_EXP_DEVCTL, 2,
				  PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_STREQ(RESET, said(&self->igb));
	ASSERT_EQ(0, pci_set_attribute(self->igb.bdf, "reset", "1"));
	EXPECT_STREQ(RESET, said(&self->igb));
	session_close(&self->session);
	EXPECT_STREQ("", said(&self->igb));

	/* Nobody has it any more. */
	ASSERT_EQ(0, pci_set_attribute(self->igb.bdf, "reset", "1"));
	EXPECT_STREQ(RESET, said(&self->igb));
}

static long unbind(void *bdf)
{
	/* It must not keep what it waits for. */
	close_range(3, ~0U, 0);
	return pci_bind(bdf, NULL);
}

/* Somebody wants the device back: the user, who has no ear for it, keeps it. */
TEST_F(life, asked_for_without_a_channel)
{
	char line[256];
	int status;
	pid_t pid;

	ASSERT_EQ(0, session_open(&self->session, self->igb.bdf,
				  VFIO_TYPE1v2_IOMMU));
	said(&self->igb);
	pid = waiter_start(unbind, (void *)self->igb.bdf);
	ASSERT_LT(0, pid);
	EXPECT_STREQ(NO_CHANNEL, says(&self->igb, NO_CHANNEL));
	/* Who waits cannot be killed, and the log says what for. */
	kill(pid, SIGTERM);
	snprintf(line, sizeof(line),
		 "4 Device is currently in use, task \"device_log_test\" (%d) blocked until device is released\n",
		 pid);
	EXPECT_STREQ(line, says(&self->igb, line));
	session_close(&self->session);
	EXPECT_TRUE(waiter_ends(pid, LONG, &status));
	EXPECT_STREQ("", said(&self->igb));
}

TEST_F(life, asked_for_by_eventfd)
{
	int event = event_new();
	int status;
	pid_t pid;

	ASSERT_EQ(0, session_open(&self->session, self->igb.bdf,
				  VFIO_TYPE1v2_IOMMU));
	said(&self->igb);
	ASSERT_EQ(0, irq_eventfd(self->session.device, VFIO_PCI_REQ_IRQ_INDEX, 0,
				 event));
	pid = waiter_start(unbind, (void *)self->igb.bdf);
	ASSERT_LT(0, pid);
	EXPECT_EQ(1, event_wait(event, LONG));
	EXPECT_STREQ(REQUEST, says(&self->igb, REQUEST));
	session_close(&self->session);
	EXPECT_TRUE(waiter_ends(pid, LONG, &status));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("", said(&self->igb));
	close(event);
}

/* The driver says that it keeps others away from virtual functions. */
TEST(virtual_function)
{
	char vf[16], line[64];
	struct speaker igb;
	const char *bdf;

	NEED_DEVICE(bdf, "PORT_IGB");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_LE(0, speaker_new(&igb, bdf));
	ASSERT_EQ(0, pci_set_attribute(bdf, "sriov_numvfs", "1"));
	EXPECT_EQ(0, pci_first_vf(bdf, vf, sizeof(vf)));
	snprintf(line, sizeof(line), "6 Captured SR-IOV VF %s driver_override\n", vf);
	EXPECT_STREQ(line, said(&igb));
	ASSERT_EQ(0, pci_set_attribute(bdf, "sriov_numvfs", "0"));
	EXPECT_EQ(0, pci_bind(bdf, NULL));
	EXPECT_STREQ("", said(&igb));
	close(igb.log);
}

/* Both functions of a device, which are reset together. */
TEST(hot_reset)
{
	struct {
		struct vfio_pci_hot_reset header;
		int32_t groups[2];
	} reset = { .header.argsz = sizeof(reset), .header.count = 2 };
	struct speaker speakers[2];
	struct vfio_session sessions[2];
	const char *bdf;
	int i;

	for (i = 0; i < 2; i++) {
		NEED_DEVICE(bdf, i ? "DUAL_IGB_1" : "DUAL_IGB_0");
		ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
		ASSERT_EQ(0, session_open(&sessions[i], bdf, VFIO_TYPE1v2_IOMMU));
		reset.groups[i] = sessions[i].group;
	}
	for (i = 0; i < 2; i++)
		ASSERT_LE(0, speaker_new(&speakers[i], sessions[i].bdf));
	ASSERT_EQ(0, vfio_ioctl(sessions[0].device, VFIO_DEVICE_PCI_HOT_RESET,
				&reset));
	for (i = 0; i < 2; i++) {
		EXPECT_STREQ(RESET, said(&speakers[i]));
		session_close(&sessions[i]);
		EXPECT_EQ(0, pci_bind(sessions[i].bdf, NULL));
		close(speakers[i].log);
	}
}

/* 1-39: a device that cannot be reset has nothing to say, but when a user is refused. */
TEST(refused_to_a_user)
{
	struct vfio_session session;
	struct speaker edu;
	char name[128];
	const char *bdf;
	int log;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_LE(0, speaker_new(&edu, bdf));
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_STREQ("", said(&edu));
	snprintf(name, sizeof(name), "%s " TOKEN, bdf);
	EXPECT_EQ(-EINVAL, group_device(session.group, name));
	EXPECT_STREQ("6 VF token incorrectly provided, not a PF or VF\n",
		     said(&edu));

	log = log_open();
	ASSERT_LE(0, log);
	ASSERT_TRUE(ipc_lock_drop());
	ASSERT_EQ(0, locked_limit(getpid(), 0));
	EXPECT_EQ(-ENOMEM, type1_map(session.container, memory_new(PAGE_SIZE), 0,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(1, log_count(log, ": RLIMIT_MEMLOCK (0) exceeded"));
	session_close(&session);
	EXPECT_STREQ("", said(&edu));
	EXPECT_EQ(0, pci_bind(bdf, NULL));
	close(edu.log);
	close(log);
}

TEST_HARNESS_MAIN
