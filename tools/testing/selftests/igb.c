// SPDX-License-Identifier: GPL-2.0
/* Using an igb; see igb.h. */
#include "igb.h"
#include "vfio_fixture.h"

/* Loads and reads the register until told to stop. */
void *igb_use(void *data)
{
	struct igb_user *user = data;

	while (!user->stop) {
		uint32_t value = 0;

		if (mmio_read(user->reg, &value) || value != IGB_VET_VALUE)
			user->wrong++;
		if (region_read(user->fd, 0, IGB_VET, &value, 4) != 4)
			user->failed++;
		else if (value != IGB_VET_VALUE)
			user->wrong++;
		user->rounds++;
	}
	return NULL;
}
