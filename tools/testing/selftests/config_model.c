// SPDX-License-Identifier: GPL-2.0
/* The tables and the walk behind config_model.h (7.3 to 7.5). */
#include <stddef.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "config_model.h"

#define ALL	0xffffffffu
#define NONE	0u

/* A register: which bits are made up, and which can be written. */
struct row {
	uint16_t offset;
	uint16_t size;
	uint32_t virt;
	uint32_t write;
};

#define END	{ 0, 0, 0, 0 }

/* 7-23 to 7-41; BARs and ROM depend on their sizes. */
static const struct row header[] = {
	{ PCI_VENDOR_ID, 4, ALL, NONE },
	{ PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, ALL },
	{ PCI_STATUS, 2, PCI_STATUS_CAP_LIST, NONE },
	{ PCI_CACHE_LINE_SIZE, 1, NONE, ALL },
	{ PCI_LATENCY_TIMER, 1, NONE, ALL },
	{ PCI_BIST, 1, NONE, ALL },
	{ PCI_CAPABILITY_LIST, 1, ALL, NONE },
	{ PCI_INTERRUPT_LINE, 1, ALL, ALL },
	{ PCI_INTERRUPT_PIN, 1, ALL, NONE },
	END
};

/* 7-46 */
#define PME	(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS)

static const struct row power_management[] = {
	{ PCI_PM_PMC, 2, PCI_PM_CAP_PME_MASK, NONE },
	{ PCI_PM_CTRL, 4, PME, ~(PME | PCI_PM_CTRL_STATE_MASK) },
	END
};

/* 7-49 */
static const struct row vital_product_data[] = {
	{ PCI_VPD_ADDR, 2, ALL, ALL },
	{ PCI_VPD_DATA, 4, ALL, ALL },
	END
};

/* 7-50: the message; masks follow behind. */
static const struct row msi_32[] = {
	{ PCI_MSI_ADDRESS_LO, 4, ALL, ALL },
	{ PCI_MSI_DATA_32, 2, ALL, ALL },
	{ PCI_MSI_MASK_32, 4, NONE, ALL },
	{ PCI_MSI_PENDING_32, 4, NONE, ALL },
	END
};

static const struct row msi_64[] = {
	{ PCI_MSI_ADDRESS_LO, 4, ALL, ALL },
	{ PCI_MSI_ADDRESS_HI, 4, ALL, ALL },
	{ PCI_MSI_DATA_64, 2, ALL, ALL },
	{ PCI_MSI_MASK_64, 4, NONE, ALL },
	{ PCI_MSI_PENDING_64, 4, NONE, ALL },
	END
};

/* 7-53 */
static const struct row pci_x[] = {
	{ PCI_X_CMD, 2, NONE, ALL },
	{ PCI_X_ECC_CSR, 4, NONE, ALL },
	END
};

/* 7-55 */
static const struct row express[] = {
	{ PCI_EXP_DEVCTL, 2,
	  PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD |
	  PCI_EXP_DEVCTL_READRQ, ~PCI_EXP_DEVCTL_PHANTOM },
	{ PCI_EXP_DEVCTL2, 2, NONE, ~PCI_EXP_DEVCTL2_ARI },
	END
};

/* 7-59 */
static const struct row advanced_features[] = {
	{ PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR, PCI_AF_CTRL_FLR },
	END
};

/* 7-62 */
#define UNCORRECTABLE							\
	(PCI_ERR_UNC_UND | PCI_ERR_UNC_DLP | PCI_ERR_UNC_SURPDN |	\
	 PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP |			\
	 PCI_ERR_UNC_COMP_TIME | PCI_ERR_UNC_COMP_ABORT |		\
	 PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER |			\
	 PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP |	\
	 PCI_ERR_UNC_ACSV | PCI_ERR_UNC_INTN | PCI_ERR_UNC_MCBTLP |	\
	 PCI_ERR_UNC_ATOMEG | PCI_ERR_UNC_TLPPRE)
#define CORRECTABLE							\
	(PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP |\
	 PCI_ERR_COR_REP_ROLL | PCI_ERR_COR_REP_TIMER |			\
	 PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL |			\
	 PCI_ERR_COR_LOG_OVER)

static const struct row error_reporting[] = {
	{ PCI_ERR_UNCOR_STATUS, 4, NONE, UNCORRECTABLE },
	{ PCI_ERR_UNCOR_MASK, 4, NONE, UNCORRECTABLE },
	{ PCI_ERR_UNCOR_SEVER, 4, NONE, UNCORRECTABLE },
	{ PCI_ERR_COR_STATUS, 4, NONE, CORRECTABLE },
	{ PCI_ERR_COR_MASK, 4, NONE, CORRECTABLE },
	{ PCI_ERR_CAP, 4, NONE, PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE },
	END
};

/* 7-63, 12-3: C opens the register behind the one that selects. */
static const struct row power_budgeting[] = {
	{ PCI_PWR_DSR, 1, NONE, ALL },
	END
};

static const struct row power_budgeting_c[] = {
	{ PCI_PWR_DATA, 1, NONE, ALL },
	END
};

static const struct row read_only[] = {
	END
};

struct walk {
	struct config_model *model;
	const uint8_t *hardware;
	const struct config_facts *facts;
	/* Lanes that the link can have. */
	unsigned int lanes;
};

static uint32_t get(const struct walk *walk, unsigned int offset,
		    unsigned int size)
{
	uint32_t value = 0;

	if (offset + size <= walk->model->size)
		memcpy(&value, walk->hardware + offset, size);
	return value;
}

static void put(uint8_t *bytes, unsigned int offset, unsigned int size,
		uint32_t value)
{
	if (offset + size <= CONFIG_SIZE)
		memcpy(bytes + offset, &value, size);
}

/* One register; the bytes around it stay as they are. */
static void add_row(struct config_model *model, unsigned int start,
		    const struct row *row)
{
	put(model->virt, start + row->offset, row->size, row->virt);
	put(model->write, start + row->offset, row->size, row->write);
}

/*
 * A capability with a table: what the table does not name is read from the
 * hardware, and not written. Without a table, all of it is raw.
 */
static void add_table(struct config_model *model, unsigned int start,
		      unsigned int size, const struct row *rows)
{
	if (!rows)
		return;
	memset(model->virt + start, 0, size);
	memset(model->write + start, 0, size);
	for (; rows->size; rows++) {
		if (rows->offset + rows->size <= size)
			add_row(model, start, rows);
	}
}

/* ---- standard capabilities ---- */

static unsigned int msi_size(uint32_t flags)
{
	return 10 + (flags & PCI_MSI_FLAGS_64BIT ? 4 : 0) +
	       (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
}

static unsigned int express_size(uint32_t flags)
{
	bool linked = (flags & PCI_EXP_FLAGS_TYPE) >> 4 != PCI_EXP_TYPE_RC_END;

	if ((flags & PCI_EXP_FLAGS_VERS) == 1)
		return linked ? 0x14 : 0x0c;
	return linked ? 0x34 : 0x2c;
}

/* Length of a capability and its table; 0 if users do not see it. */
static unsigned int identify(const struct walk *walk, uint8_t id,
			     unsigned int start, const struct row **rows)
{
	*rows = read_only;
	switch (id) {
	case PCI_CAP_ID_PM:
		*rows = power_management;
		return 8;
	case PCI_CAP_ID_AGP:
	case PCI_CAP_ID_MSIX:
		return 12;
	case PCI_CAP_ID_VPD:
		*rows = vital_product_data;
		return 8;
	case PCI_CAP_ID_MSI:
		*rows = get(walk, start + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT ?
			msi_64 : msi_32;
		return msi_size(get(walk, start + PCI_MSI_FLAGS, 2));
	case PCI_CAP_ID_PCIX:
		*rows = pci_x;
		return PCI_X_CMD_VERSION(get(walk, start + PCI_X_CMD, 2)) ? 24 : 8;
	case PCI_CAP_ID_HT:
		return get(walk, start + 3, 1) & HT_3BIT_CAP_MASK ? 24 : 28;
	case PCI_CAP_ID_VNDR:
		*rows = NULL;
		return get(walk, start + 2, 1);
	case PCI_CAP_ID_EXP:
		*rows = express;
		return express_size(get(walk, start + PCI_EXP_FLAGS, 2));
	case PCI_CAP_ID_SATA:
		return (get(walk, start + PCI_SATA_REGS, 1) & PCI_SATA_REGS_MASK) ==
		       PCI_SATA_REGS_INLINE ? 16 : 8;
	case PCI_CAP_ID_AF:
		*rows = advanced_features;
		return 6;
	default:
		return 0;
	}
}

/* 12-4: the length of a capability that ours hides for good, C only unlinks. */
static unsigned int hidden_size(const struct walk *walk, uint8_t id,
				unsigned int start)
{
	unsigned int entries, size;

	switch (id) {
	case PCI_CAP_ID_SHPC:
	case PCI_CAP_ID_SSVID:
		return 8;
	case PCI_CAP_ID_SLOTID:
	case PCI_CAP_ID_CHSWP:
	case PCI_CAP_ID_DBG:
		return 4;
	case PCI_CAP_ID_EA:
		size = 4;
		for (entries = get(walk, start + 2, 1) & 0x3f; entries; entries--)
			size += 4 + 4 * (get(walk, start + size, 1) & 0x7);
		return size;
	default:
		return 2;
	}
}

/* A write to these bits does more than to change them. */
static void add_effects(struct walk *walk, uint8_t id, unsigned int start)
{
	struct config_model *model = walk->model;
	unsigned int flags = start + PCI_MSI_FLAGS;

	switch (id) {
	case PCI_CAP_ID_PM:
		model->shadow[start + PCI_PM_PMC + 1] &= ~(PCI_PM_CAP_PME_MASK >> 8);
		model->shadow[start + PCI_PM_CTRL + 1] &= ~(PME >> 8);
		model->keep[start + PCI_PM_CTRL] = PCI_PM_CTRL_STATE_MASK;
		break;
	case PCI_CAP_ID_VPD:
		model->keep[start + PCI_VPD_ADDR + 1] = 0xff;
		break;
	case PCI_CAP_ID_MSI:
		/* 7-51: off, with one vector, as long as no ioctl says else. */
		model->virt[flags] = 0xff;
		model->shadow[flags] &= ~(PCI_MSI_FLAGS_ENABLE |
					  PCI_MSI_FLAGS_QSIZE);
		/* 12-2: C lets users edit what describes the device. */
		model->write[flags] = walk->facts->driver == CONFIG_C ? 0x8e : 0;
		model->differ[flags] = 0x8e;
		break;
	case PCI_CAP_ID_EXP:
		/* 7-56, 7-57: a reset; a size that is programmed on the way. */
		model->keep[start + PCI_EXP_DEVCTL + 1] =
			PCI_EXP_DEVCTL_BCR_FLR >> 8;
		model->loose[start + PCI_EXP_DEVCTL + 1] =
			PCI_EXP_DEVCTL_READRQ >> 8;
		break;
	case PCI_CAP_ID_AF:
		model->keep[start + PCI_AF_CTRL] = PCI_AF_CTRL_FLR;
		break;
	}
}

/* Ours reads as if a hidden capability had nothing in it; C unlinks it only. */
static void hide(struct walk *walk, unsigned int start, unsigned int size)
{
	struct config_model *model = walk->model;

	model->hidden++;
	if (start + size > model->size)
		return;
	memset(model->differ + start, 0xff, size);
	if (walk->facts->driver == CONFIG_C)
		return;
	memset(model->virt + start, 0xff, size);
	memset(model->write + start, 0, size);
	memset(model->shadow + start, 0, size);
}

/* Returns whether extended capabilities may follow. */
static bool walk_standard(struct walk *walk)
{
	struct config_model *model = walk->model;
	unsigned int link = PCI_CAPABILITY_LIST;
	unsigned int start = get(walk, link, 1) & ~3;
	unsigned int visible = 0, budget = 48;
	bool extended = false;

	if (!(get(walk, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return false;
	while (start && budget--) {
		uint8_t id = get(walk, start, 1);
		const struct row *rows;
		unsigned int size = identify(walk, id, start, &rows);

		if (size) {
			add_table(model, start, size, rows);
			model->virt[start + PCI_CAP_LIST_NEXT] = 0xff;
			model->write[start] = 0;
			model->write[start + PCI_CAP_LIST_NEXT] = 0;
			model->shadow[link] = start;
			link = start + PCI_CAP_LIST_NEXT;
			add_effects(walk, id, start);
			if (id == PCI_CAP_ID_EXP) {
				walk->lanes = (get(walk, start + PCI_EXP_LNKCAP, 4) &
					       PCI_EXP_LNKCAP_MLW) >> 4;
				extended = true;
			}
			extended |= id == PCI_CAP_ID_PCIX && size == 24;
			visible++;
		} else {
			hide(walk, start, hidden_size(walk, id, start));
		}
		start = get(walk, start + PCI_CAP_LIST_NEXT, 1) & ~3;
	}
	model->shadow[link] = 0;
	if (!visible)
		model->shadow[PCI_STATUS] &= ~PCI_STATUS_CAP_LIST;
	model->visible += visible;
	return extended;
}

/* ---- extended capabilities ---- */

static unsigned int vc_size(const struct walk *walk, unsigned int start)
{
	unsigned int channels = 1 + (get(walk, start + PCI_VC_PORT_CAP1, 1) &
				     PCI_VC_CAP1_EVCC);
	uint32_t phases = get(walk, start + PCI_VC_PORT_CAP2, 4);
	unsigned int size = PCI_CAP_VC_BASE_SIZEOF +
			    channels * PCI_CAP_VC_PER_VC_SIZEOF;
	unsigned int table;

	if (phases & PCI_VC_CAP2_128_PHASE)
		table = 64;
	else if (phases & PCI_VC_CAP2_64_PHASE)
		table = 32;
	else if (phases & PCI_VC_CAP2_32_PHASE)
		table = 16;
	else
		return size;
	return (size + 15) / 16 * 16 + table;
}

static unsigned int acs_size(const struct walk *walk, unsigned int start)
{
	unsigned int bits = get(walk, start + PCI_ACS_EGRESS_BITS, 1);

	if (!(get(walk, start + PCI_ACS_CAP, 1) & PCI_ACS_EC))
		return 8;
	return 8 + (bits ? (bits + 31) / 32 * 4 : 32);
}

static unsigned int tph_size(const struct walk *walk, unsigned int start)
{
	uint32_t cap = get(walk, start + PCI_TPH_CAP, 4);

	if ((cap & PCI_TPH_CAP_LOC_MASK) != PCI_TPH_LOC_CAP)
		return PCI_TPH_BASE_SIZEOF;
	return PCI_TPH_BASE_SIZEOF +
	       2 * (((cap & PCI_TPH_CAP_ST_MASK) >> PCI_TPH_CAP_ST_SHIFT) + 1);
}

static unsigned int rebar_size(const struct walk *walk, unsigned int start)
{
	return 4 + 8 * ((get(walk, start + PCI_REBAR_CTRL, 1) &
			 PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT);
}

static unsigned int identify_extended(const struct walk *walk, uint16_t id,
				      unsigned int start,
				      const struct row **rows)
{
	*rows = read_only;
	switch (id) {
	case PCI_EXT_CAP_ID_ERR:
		*rows = error_reporting;
		return 0x2c;
	case PCI_EXT_CAP_ID_VC:
	case PCI_EXT_CAP_ID_VC9:
	case PCI_EXT_CAP_ID_MFVC:
		return vc_size(walk, start);
	case PCI_EXT_CAP_ID_DSN:
		return 12;
	case PCI_EXT_CAP_ID_PWR:
		*rows = walk->facts->driver == CONFIG_C ? power_budgeting_c :
			power_budgeting;
		return 16;
	case PCI_EXT_CAP_ID_VNDR:
	case PCI_EXT_CAP_ID_DVSEC:
		*rows = NULL;
		return get(walk, start + 4, 4) >> 20;
	case PCI_EXT_CAP_ID_ACS:
		return acs_size(walk, start);
	case PCI_EXT_CAP_ID_ARI:
	case PCI_EXT_CAP_ID_ATS:
	case PCI_EXT_CAP_ID_LTR:
		return 8;
	case PCI_EXT_CAP_ID_SRIOV:
		return 64;
	case PCI_EXT_CAP_ID_MCAST:
		return 40;
	case PCI_EXT_CAP_ID_PRI:
		return 16;
	case PCI_EXT_CAP_ID_REBAR:
		return rebar_size(walk, start);
	case PCI_EXT_CAP_ID_DPA:
		return 17 + (get(walk, start + PCI_DPA_CAP, 1) &
			     PCI_DPA_CAP_SUBSTATE_MASK);
	case PCI_EXT_CAP_ID_TPH:
		return tph_size(walk, start);
	default:
		return 0;
	}
}

static unsigned int dpc_size(const struct walk *walk, unsigned int start)
{
	uint32_t cap = get(walk, start + PCI_EXP_DPC_CAP, 2);
	unsigned int log = (cap & PCI_EXP_DPC_RP_PIO_LOG_SIZE) >> 8 |
			   (cap & PCI_EXP_DPC_RP_PIO_LOG_SIZE4) >> 9;

	return cap & PCI_EXP_DPC_CAP_RP_EXT ?
	       PCI_EXP_DPC_RP_PIO_HEADER_LOG + 4 * log : PCI_EXP_DPC_RP_PIO_STATUS;
}

static unsigned int ide_size(const struct walk *walk, unsigned int start)
{
	uint32_t cap = get(walk, start + PCI_IDE_CAP, 4);
	unsigned int size = PCI_IDE_LINK_STREAM_0, streams;

	if (cap & PCI_IDE_CAP_LINK)
		size += PCI_IDE_LINK_BLOCK_SIZE * (1 + (cap >> 13 & 0x7));
	if (!(cap & PCI_IDE_CAP_SELECTIVE))
		return size;
	for (streams = 1 + (cap >> 16 & 0xff); streams; streams--)
		size += PCI_IDE_SEL_RID_2 + 4 + PCI_IDE_SEL_ADDR_BLOCK_SIZE *
			(get(walk, start + size + PCI_IDE_SEL_CAP, 4) & 0xf);
	return size;
}

/* What follows @base is for each lane, in whole dwords. */
static unsigned int lanes_size(const struct walk *walk, unsigned int base,
			       unsigned int size)
{
	return base + (walk->lanes * size + 3) / 4 * 4;
}

static unsigned int hidden_extended_size(const struct walk *walk, uint16_t id,
					 unsigned int start)
{
	switch (id) {
	case PCI_EXT_CAP_ID_VF_REBAR:
		return rebar_size(walk, start);
	case PCI_EXT_CAP_ID_SECPCI:
		return lanes_size(walk, PCI_SECPCI_LE_CTRL, 2);
	case PCI_EXT_CAP_ID_DPC:
		return dpc_size(walk, start);
	case 0x27: /* Lane Margining at the Receiver */
		return lanes_size(walk, 8, 4);
	case PCI_EXT_CAP_ID_PASID:
		return 8;
	case PCI_EXT_CAP_ID_L1SS:
	case PCI_EXT_CAP_ID_NPEM:
	case PCI_EXT_CAP_ID_DEV3:
		return 16;
	case PCI_EXT_CAP_ID_PTM:
	case PCI_EXT_CAP_ID_DLF:
		return 12;
	case PCI_EXT_CAP_ID_IDE:
		return ide_size(walk, start);
	case PCI_EXT_CAP_ID_DOE:
		return PCI_DOE_CAP_SIZEOF;
	case PCI_EXT_CAP_ID_PL_16GT:
	case PCI_EXT_CAP_ID_PL_32GT:
	case PCI_EXT_CAP_ID_PL_64GT:
		return lanes_size(walk, PCI_PL_16GT_LE_CTRL, 1);
	default:
		return 4;
	}
}

static void walk_extended(struct walk *walk)
{
	struct config_model *model = walk->model;
	unsigned int link = 0, start = PCI_CFG_SPACE_SIZE;
	unsigned int visible = 0, budget = 960;
	uint32_t value;

	if (model->size <= start || !get(walk, start, 4))
		return;
	while (start >= PCI_CFG_SPACE_SIZE && budget--) {
		uint32_t entry = get(walk, start, 4);
		uint16_t id = PCI_EXT_CAP_ID(entry);
		const struct row *rows;
		unsigned int size = identify_extended(walk, id, start, &rows);

		if (!size)
			hide(walk, start, hidden_extended_size(walk, id, start));
		if (id == PCI_EXT_CAP_ID_PWR)
			memset(model->differ + start, 0xff, size);
		if (size || !link) {
			/* 7-67: the first one stays as an anchor. */
			add_table(model, start, size ? size : 4,
				  size ? rows : read_only);
			put(model->virt, start, 4, ALL);
			put(model->write, start, 4, NONE);
			put(model->shadow, start, 4, size ? entry & 0xfffff : 0);
			if (link)
				put(model->shadow, link + 2, 2,
				    (get(walk, link + 2, 2) & 0xf) | start << 4);
			link = start;
			visible += !!size;
		}
		start = PCI_EXT_CAP_NEXT(entry);
	}
	/* 7-68 */
	memcpy(&value, model->shadow + link, 4);
	put(model->shadow, link, 4, visible ? value & 0xfffff : 0);
	model->visible += visible;
}

/* ---- the header ---- */

static uint32_t upper(uint64_t value)
{
	return value >> 32;
}

/* 7-35, 7-36: the address can be written, down to the size. */
static void add_bars(struct walk *walk)
{
	struct config_model *model = walk->model;
	const uint64_t *sizes = walk->facts->sizes;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * i;
		uint32_t bar = get(walk, offset, 4);
		uint64_t mask = -sizes[i];
		uint8_t type = walk->facts->types[i];

		put(model->virt, offset, 4, ALL);
		put(model->write, offset, 4, sizes[i] ? mask : 0);
		put(model->shadow, offset, 4,
		    sizes[i] ? (bar & mask) | type : 0);
		if (!sizes[i] || type & PCI_BASE_ADDRESS_SPACE_IO ||
		    !(type & PCI_BASE_ADDRESS_MEM_TYPE_64) || i == 5)
			continue;
		i++;
		offset += 4;
		put(model->virt, offset, 4, ALL);
		put(model->write, offset, 4, upper(mask));
		put(model->shadow, offset, 4, get(walk, offset, 4) & upper(mask));
	}
}

/* 7-38 */
static void add_rom(struct walk *walk)
{
	struct config_model *model = walk->model;
	uint64_t size = walk->facts->sizes[6];
	uint32_t mask = size ? -size | PCI_ROM_ADDRESS_ENABLE : 0;

	put(model->virt, PCI_ROM_ADDRESS, 4, ALL);
	put(model->write, PCI_ROM_ADDRESS, 4, mask);
	put(model->shadow, PCI_ROM_ADDRESS, 4,
	    get(walk, PCI_ROM_ADDRESS, 4) & mask);
}

static void add_header(struct walk *walk)
{
	struct config_model *model = walk->model;
	const struct config_facts *facts = walk->facts;

	add_table(model, 0, PCI_STD_HEADER_SIZEOF, header);
	add_bars(walk);
	add_rom(walk);
	/* What the bits of COMMAND do is tested one by one elsewhere. */
	put(model->keep, PCI_COMMAND, 2, ALL);
	if (facts->is_virtual) {
		put(model->shadow, PCI_VENDOR_ID, 2, facts->vendor);
		put(model->shadow, PCI_DEVICE_ID, 2, facts->device);
		/* 7-30: on, whatever the hardware says. */
		model->virt[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
		model->shadow[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	}
	if (facts->is_virtual || !facts->has_irq)
		model->shadow[PCI_INTERRUPT_PIN] = 0;
}

void config_model(struct config_model *model, const uint8_t *hardware,
		  unsigned int size, const struct config_facts *facts)
{
	struct walk walk = {
		.model = model,
		.hardware = hardware,
		.facts = facts,
	};

	memset(model, 0, sizeof(*model));
	model->size = size < CONFIG_SIZE ? size : CONFIG_SIZE;
	memcpy(model->shadow, hardware, model->size);
	/* 7-16, 7-42: what is no known capability is raw. */
	memset(model->write, 0xff, model->size);
	add_header(&walk);
	if (walk_standard(&walk))
		walk_extended(&walk);
}
