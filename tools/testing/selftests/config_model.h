/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each bit of a device's virtual configuration space should do, worked out
 * from the hardware's configuration space by tables of the PCI capabilities.
 */
#ifndef CONFIG_MODEL_H
#define CONFIG_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_SIZE	4096

/* Which of the two drivers: they differ where rows of 12.1 say that C is wrong. */
enum config_driver {
	CONFIG_C,
	CONFIG_RUST,
};

/* What the model needs to know besides the hardware's configuration space. */
struct config_facts {
	enum config_driver driver;
	bool is_virtual;
	/* Of a virtual function, whose registers have none. */
	uint16_t vendor, device;
	/* The host can receive INTx. */
	bool has_irq;
	/* Sizes of the BARs and of the ROM; zero if there is none. */
	uint64_t sizes[7];
	/*
	 * The bits of each BAR that tell its type. A virtual function has them
	 * nowhere in its registers.
	 */
	uint8_t types[6];
};

struct config_model {
	unsigned int size;
	/* Bits that are made up, and what they read before anything is written. */
	uint8_t virt[CONFIG_SIZE];
	uint8_t shadow[CONFIG_SIZE];
	/* Bits that a write changes. */
	uint8_t write[CONFIG_SIZE];
	/* Bits that a test of this kind leaves alone: writing them does more. */
	uint8_t keep[CONFIG_SIZE];
	/* Bits of the hardware that a write may change besides those written. */
	uint8_t loose[CONFIG_SIZE];
	/* Bits in which the two drivers differ. */
	uint8_t differ[CONFIG_SIZE];
	/* Capabilities that the user sees, standard and extended. */
	unsigned int visible;
	/* Capabilities that the user does not see. */
	unsigned int hidden;
};

void config_model(struct config_model *model, const uint8_t *hardware,
		  unsigned int size, const struct config_facts *facts);

#endif
