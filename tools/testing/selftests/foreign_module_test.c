// SPDX-License-Identifier: GPL-2.0
/* Modules of one stack that are loaded where the others are those of the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "samples.h"

/* Where the guest has the modules of both. */
#define C_DIRECTORY	"/stack/c/lib/modules/%s/kernel/drivers/vfio/%s"
#define C_UPDATES	"/stack/c/lib/modules/%s/updates/%s"
#define OUR_DIRECTORY	"/stack/rust/lib/modules/%s/updates/%s"

static int module_open(const char *directory, const char *file)
{
	struct utsname name;
	char path[256];

	if (uname(&name))
		return -errno;
	snprintf(path, sizeof(path), directory, name.release, file);
	return sys_result(open(path, O_RDONLY | O_CLOEXEC));
}

static int module_insert(int file)
{
	int ret = sys_result(syscall(SYS_finit_module, file, "", 0));

	close(file);
	return ret;
}

FIXTURE(stack)
{
	int type1;
	int pci_core;
	int pci;
};

/* The modules of the other stack, and nothing of this one above vfio.ko. */
FIXTURE_SETUP(stack)
{
	if (on_c_modules()) {
		self->type1 = module_open(OUR_DIRECTORY, "vfio_iommu_type1.ko");
		self->pci_core = module_open(OUR_DIRECTORY, "vfio-pci-core.ko");
		self->pci = module_open(OUR_DIRECTORY, "vfio-pci.ko");
	} else {
		self->type1 = module_open(C_DIRECTORY, "vfio_iommu_type1.ko");
		self->pci_core = module_open(C_DIRECTORY, "pci/vfio-pci-core.ko");
		/* Built for the tests, in place of the one of this kernel. */
		self->pci = module_open(C_UPDATES, "vfio-pci.ko");
	}
	if (self->type1 < 0 || self->pci_core < 0 || self->pci < 0)
		SKIP(return, "the modules of the other stack are not here");
	ASSERT_EQ(0, module_unload("vfio_pci"));
	/* A sample may have been loaded that needs it. */
	module_unload("vfio_pci_edu");
	ASSERT_EQ(0, module_unload("vfio_pci_core"));
	ASSERT_EQ(0, module_unload("vfio_iommu_type1"));
}

FIXTURE_TEARDOWN(stack)
{
	module_unload("vfio_pci");
	module_unload("vfio_pci_core");
	module_unload("vfio_iommu_type1");
	EXPECT_EQ(0, module_load("vfio_iommu_type1"));
	EXPECT_EQ(0, module_load("vfio-pci"));
	EXPECT_EQ(0, pci_allow_vfs(true));
}

/* A backend is made for one core, and finds the symbols of no other. */
TEST_F(stack, backend_is_refused)
{
	EXPECT_EQ(-ENOENT, module_insert(self->type1));
	close(self->pci_core);
	close(self->pci);
}

/*
 * 9-3, 9-4, 9-5: to vfio.ko the C modules of PCI devices are drivers as others are. Ours do not
 * find what they need in C.
 */
TEST_F(stack, pci_core_is_a_driver)
{
	struct vfio_session session;
	const char *bdf;

	close(self->type1);
	if (on_c_modules()) {
		EXPECT_EQ(-ENOENT, module_insert(self->pci_core));
		EXPECT_EQ(-ENOENT, module_insert(self->pci));
		return;
	}
	NEED_DEVICE(bdf, "IVSHMEM");
	ASSERT_EQ(0, module_insert(self->pci_core));
	ASSERT_EQ(0, module_insert(self->pci));
	ASSERT_EQ(0, module_load("vfio_iommu_type1"));
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(pci_hw_config(bdf, PCI_VENDOR_ID, 4), config_read(session.device, 0, 4));
	session_close(&session);
	EXPECT_EQ(0, pci_bind(bdf, NULL));
}

VFIO_TEST_MAIN("IVSHMEM")
