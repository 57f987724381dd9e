// SPDX-License-Identifier: GPL-2.0

//! Tests, a module for each part.

mod availability_cases;
mod capability_chain;
mod channel_cases;
mod config_cases;
mod config_fuzz;
mod config_laws;
mod intx_disable;
mod irq_cases;
mod irq_laws;
mod migration_state;
// Miri has no threads that are switched by hand, as loom does.
#[cfg(not(miri))]
mod model;
mod nearest_ranges;
mod type1_dirty;
mod type1_iova;
mod type1_runs;
