/* SPDX-License-Identifier: GPL-2.0 */
/* The user interface of the sample module vfio_dma_buf_importer. */
#ifndef VFIO_DMA_BUF_IMPORTER_H
#define VFIO_DMA_BUF_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DMA_BUF_IMPORTER_PATH	"/dev/vfio-dma-buf-importer"

/* The importer can do without pages. */
#define DMA_BUF_IMPORTER_PEER_TO_PEER	(1 << 0)
/* The importer unmaps the buffer when it is told to. */
#define DMA_BUF_IMPORTER_REVOCABLE	(1 << 1)

struct dma_buf_importer_attach {
	__s32 fd;
	__u32 flags;
	/* The PCI function that the buffer is mapped for. */
	__u16 domain;
	__u8 bus;
	__u8 devfn;
	/* How long it takes to unmap the buffer when it is to be. */
	__u32 milliseconds;
};

struct dma_buf_importer_map {
	/* Address of the first entry, and length of all. */
	__u64 address;
	__u64 length;
	__u32 entries;
	__u32 reserved;
};

struct dma_buf_importer_state {
	/* How often the buffer was to be unmapped. */
	__u32 invalidations;
	__u32 mapped;
};

/*
 * Attaches to a buffer. EBUSY: the file is attached to one. ENODEV: there is no
 * such function, or what the exporter answers with.
 */
#define DMA_BUF_IMPORTER_ATTACH	_IOW('I', 0, struct dma_buf_importer_attach)
/* Maps it. ENOENT: there is none. EBUSY: it is mapped. */
#define DMA_BUF_IMPORTER_MAP	_IOR('I', 1, struct dma_buf_importer_map)
/* Unmaps it, if it is mapped. ENOENT: there is none. */
#define DMA_BUF_IMPORTER_UNMAP	_IO('I', 2)
/* ENOENT: there is none. */
#define DMA_BUF_IMPORTER_STATE	_IOR('I', 3, struct dma_buf_importer_state)

#endif
