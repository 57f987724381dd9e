// SPDX-License-Identifier: GPL-2.0
/*
 * Exports the public Rust symbols of crate vfio for the crates that use it.
 * Their types are of no interest here, only their names.
 */

#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "vfio_exports_generated.h"
