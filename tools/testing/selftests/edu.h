/* SPDX-License-Identifier: GPL-2.0 */
/* The "edu" device of QEMU: registers, interrupts by hand, a DMA engine. */
#ifndef EDU_H
#define EDU_H

#include <stdint.h>

#define EDU_BAR_SIZE		(1UL << 20)

#define EDU_ID			0x00
#define EDU_LIVENESS		0x04
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98

#define EDU_ID_VALUE		0x010000edU

#define EDU_DMA_START		0x1
#define EDU_DMA_TO_RAM		0x2
#define EDU_DMA_IRQ		0x4
#define EDU_DMA_IRQ_STATUS	0x100

#define EDU_BUFFER		0x40000UL
#define EDU_BUFFER_SIZE		4096UL

long edu_read(int device, unsigned int offset);
long edu_write(int device, unsigned int offset, uint32_t value);
long edu_dma(int device, uint64_t iova, unsigned int offset, uint64_t count,
	     uint32_t command);
long edu_load(int device, uint64_t iova, uint64_t count);
long edu_store(int device, uint64_t iova, uint64_t count);
long edu_bus_master(int device, int on);
long edu_irq_begin(int device);
long edu_irq_end(int device);

#endif
