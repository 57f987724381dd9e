// SPDX-License-Identifier: GPL-2.0
/* A virtual function of a device that vfio-pci drives; see compare.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "compare.h"

#define ENABLE_SRIOV	"/sys/module/vfio_pci/parameters/enable_sriov"

const uint8_t function_token[16] = { 0x14, 0x91, 0xd6, 0xeb, 0x00, 0x11,
				     0x42, 0x33, 0x84, 0x55, 0x66, 0x77,
				     0x88, 0x99, 0xaa, 0xbb };
static const char token_text[] = "1491d6eb-0011-4233-8455-66778899aabb";

static long functions_set(const char *bdf, const char *count)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", bdf);
	return file_write(path, count);
}

/* The token stays when the file is closed again. */
static long token_set(const char *bdf)
{
	struct {
		struct vfio_device_feature feature;
		uint8_t token[sizeof(function_token)];
	} request = {
		.feature.argsz = sizeof(request),
		.feature.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};
	struct vfio_session session;
	long ret = session_open(&session, bdf, VFIO_TYPE1v2_IOMMU);

	if (ret)
		return ret;
	memcpy(request.token, function_token, sizeof(function_token));
	ret = vfio_ioctl(session.device, VFIO_DEVICE_FEATURE, &request);
	session_close(&session);
	return ret;
}

/* Makes a virtual function of @parent, which then is the device @name. */
int function_enable(struct layout *layout, const char *name, const char *parent)
{
	char path[128], target[128];
	const char *bdf;
	long ret;

	file_write(ENABLE_SRIOV, "1");
	ret = token_set(parent);
	if (!ret)
		ret = functions_set(parent, "1");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn0", parent);
	ret = sys_result(readlink(path, target, sizeof(target) - 1));
	if (ret < 0)
		return ret;
	target[ret] = '\0';
	bdf = strrchr(target, '/');
	if (!bdf)
		return -ENODEV;
	layout->token = true;
	snprintf(layout->open_name, sizeof(layout->open_name),
		 "%.12s vf_token=%s", bdf + 1, token_text);
	return layout_read(layout, name, bdf + 1);
}

void function_disable(const char *parent)
{
	functions_set(parent, "0");
}
