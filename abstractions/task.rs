// SPDX-License-Identifier: GPL-2.0

//! What the current task is and may do.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::abstractions::bindings;
use kernel::{
    prelude::*,
    task::Task, //
};

/// A capability, as in `capabilities(7)`.
#[derive(Clone, Copy)]
pub enum Capability {
    /// `CAP_IPC_LOCK`: lock memory beyond `RLIMIT_MEMLOCK`.
    IpcLock,
    /// `CAP_SYS_RAWIO`: reach hardware without protection.
    SysRawio,
}

/// Whether the current task has `capability` in the initial user namespace.
///
/// Marks the task as having used super-user privileges if so.
pub fn capable(capability: Capability) -> bool {
    let number = match capability {
        Capability::IpcLock => bindings::CAP_IPC_LOCK,
        Capability::SysRawio => bindings::CAP_SYS_RAWIO,
    };
    // SAFETY: `capable()` may be called by any task at any time.
    unsafe { bindings::capable(number as c_int) }
}

/// The name of the current task, up to its first NUL.
pub struct Comm([u8; 16]);

impl Comm {
    /// Reads the name of the current task.
    pub fn current() -> Self {
        let mut name = [0u8; 16];
        // SAFETY: The current task exists while it runs. The name may change
        // under our eyes, which is harmless: every byte is a valid byte.
        let comm = unsafe { &raw const (*Task::current_raw()).comm };
        for (index, byte) in name.iter_mut().enumerate().take(15) {
            // SAFETY: `comm` has 16 bytes, `index` is below 15.
            *byte = unsafe { comm.cast::<u8>().add(index).read_volatile() };
        }
        Self(name)
    }
}

use kernel::fmt::Write;

impl kernel::fmt::Display for Comm {
    fn fmt(&self, formatter: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        for byte in name {
            formatter.write_char(char::from(*byte))?;
        }
        Ok(())
    }
}
