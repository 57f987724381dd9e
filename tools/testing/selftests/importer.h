/* SPDX-License-Identifier: GPL-2.0 */
/* The sample module that imports dma-bufs. */
#ifndef IMPORTER_H
#define IMPORTER_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>

#include "vfio_dma_buf_importer.h"
#include "vfio_fixture.h"

static inline int importer_open(void)
{
	return sys_result(open(DMA_BUF_IMPORTER_PATH, O_RDWR | O_CLOEXEC));
}

/* Attaches @importer to @fd for the device at @bdf. */
static inline long importer_attach(int importer, int fd, uint32_t flags,
				   uint32_t milliseconds, const char *bdf)
{
	struct dma_buf_importer_attach attach = {
		.fd = fd,
		.flags = flags,
		.milliseconds = milliseconds,
	};
	unsigned int domain, bus, slot, function;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return -ENOENT;
	attach.domain = domain;
	attach.bus = bus;
	attach.devfn = slot << 3 | function;
	return vfio_ioctl(importer, DMA_BUF_IMPORTER_ATTACH, &attach);
}

#endif
