// SPDX-License-Identifier: GPL-2.0
/*
 * Exports the public Rust symbols of the `vfio_pci_core` crate to the modules
 * that use it, as nova-core does (drivers/gpu/nova-core/nova_core_exports.c).
 * The list is made from the object file at build time.
 */
#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "vfio_pci_core_exports_generated.h"
