// SPDX-License-Identifier: GPL-2.0
/* Opening, closing and binding of devices. */
#include <fcntl.h>
#include <unistd.h>

#include "bench.h"
#include "hot_reset.h"

/* A device that none of the others uses. */
static const char *spare(void)
{
	return pci_device("E1000E");
}

static long open_second(struct bench *bench)
{
	const char *bdf = pci_device("EDU");
	long begin = now();
	long device = group_device(bench->edu.group, bdf);

	TRY(device);
	close(device);
	return now() - begin;
}

/* Of a group that is in a container already. */
static long open_group(struct bench *bench)
{
	struct vfio_session session;
	long begin, took, device;

	TRY(session_join(&session, spare(), VFIO_TYPE1v2_IOMMU));
	begin = now();
	device = group_device(session.group, spare());
	close(device);
	took = now() - begin;
	session_close(&session);
	return device < 0 ? device : took;
}

static long open_cdev(struct bench *bench)
{
	int iommufd = iommufd_open();
	long begin = now();
	long ret = cdev_open(spare(), O_RDWR);
	int device = ret;

	TRY(iommufd);
	TRY(ret);
	ret = cdev_bind(device, iommufd);
	close(device);
	begin = now() - begin;
	close(iommufd);
	return ret < 0 ? ret : begin;
}

static long bind_unbind(struct bench *bench)
{
	long begin = now();

	TRY(pci_bind(spare(), NULL));
	TRY(pci_bind(spare(), "vfio-pci"));
	return now() - begin;
}

static long hot_reset_list(struct bench *bench)
{
	struct hot_reset_info info;

	return TIMED(1, hot_reset_info(bench->nvme.device, &info, sizeof(info)));
}

const struct operation life_operations[] = {
	{ "open-second", "second device descriptor, open and close", open_second,
	  1, 20 },
	{ "open-group", "first device descriptor of a group, open and close",
	  open_group, 1, 3 },
	{ "open-cdev", "character device, open, bind and close", open_cdev, 1,
	  3 },
	{ "bind", "unbind and bind of a driver", bind_unbind, 1, 3 },
	{ "hot-reset-info", "hot reset info", hot_reset_list, 1, 20 },
	{}
};
