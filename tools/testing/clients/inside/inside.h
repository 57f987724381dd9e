/* SPDX-License-Identifier: GPL-2.0 */
/* What inside.c and start.S have of each other. */
#ifndef INSIDE_H
#define INSIDE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

/* What devices read and write: three pages. */
extern volatile u32 memory[3][1024];

void inside(void);

#endif
