// SPDX-License-Identifier: GPL-2.0

//! What virtual functions need of their physical function, if both are ours.

use crate::{
    abstractions::pci::Function,
    memory::MemoryLock,
    vf_token::SharedToken, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::sync::static_mutex::StaticMutex,
    static_mutex, //
};

/// A physical function whose virtual functions are enabled.
pub(crate) struct Entry {
    /// The function.
    pub(crate) physical: Function,
    /// Its token.
    pub(crate) token: Arc<SharedToken>,
    /// Its memory lock.
    pub(crate) memory: Arc<MemoryLock>,
}

/// All of those. A leaf lock.
static PHYSICAL: StaticMutex<KVec<Entry>> = static_mutex!(KVec::new(), c"vfio_pci_sriov_physical");

/// Returns what `part` takes of the entry of a physical function, if it has one.
fn find<T>(physical: &Function, part: impl FnOnce(&Entry) -> T) -> Option<T> {
    let entries = PHYSICAL.lock();

    entries
        .iter()
        .find(|entry| entry.physical.is_same(physical))
        .map(part)
}

/// Returns the token of a physical function, if we have enabled its virtual functions.
pub(crate) fn token_of(physical: &Function) -> Option<Arc<SharedToken>> {
    find(physical, |entry| entry.token.clone())
}

/// Returns the memory lock of a physical function, if we have enabled its virtual functions.
pub(crate) fn memory_above(physical: &Function) -> Option<Arc<MemoryLock>> {
    find(physical, |entry| entry.memory.clone())
}

/// Lets virtual functions find what they need of their physical one.
pub(crate) struct Listed(Function);

impl Listed {
    /// Has them find `entry`, until this is dropped.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new(entry: Entry) -> Result<Self> {
        let physical = entry.physical.clone();
        PHYSICAL.lock().push(entry, GFP_KERNEL)?;

        Ok(Self(physical))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut entries = PHYSICAL.lock();
        entries.retain(|entry| !entry.physical.is_same(&self.0));
        if entries.is_empty() {
            // A static is not dropped when the module goes: leave nothing allocated in it.
            *entries = KVec::new();
        }
    }
}
