// SPDX-License-Identifier: GPL-2.0

//! A load that survives SIGBUS.
//!
//! Jumping out of a signal handler is not sound in Rust, and mapping something else over the
//! address would destroy the mapping under test. So this does what kernels do for accesses to user
//! memory: the load is one known instruction, and the handler, when it finds the program counter
//! there, moves it on to a second place that reports the failure. Any other SIGBUS ends the process
//! as it would without the handler.

use std::arch::global_asm;
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicI32,
    AtomicUsize,
    Ordering, //
};

use anyhow::{
    Context,
    Result, //
};
use nix::libc::{
    c_int,
    siginfo_t,
    ucontext_t,
    BUS_ADRERR,
    REG_RIP, //
};
use nix::sys::signal::{
    sigaction,
    SaFlags,
    SigAction,
    SigHandler,
    SigSet,
    Signal, //
};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the load below is written for x86-64");

// `vfio_demo_load(address)` returns the 32 bits at the address, or all ones in 64 bits when the
// load was answered by SIGBUS. The load has to stay the first instruction: its address is what the
// handler compares with.
global_asm!(
    ".pushsection .text.vfio_demo_load, \"ax\", @progbits",
    ".globl vfio_demo_load",
    ".type vfio_demo_load, @function",
    "vfio_demo_load:",
    "    mov eax, dword ptr [rdi]",
    "    ret",
    ".globl vfio_demo_load_failed",
    "vfio_demo_load_failed:",
    "    mov rax, -1",
    "    ret",
    ".size vfio_demo_load, . - vfio_demo_load",
    ".popsection",
);

extern "C" {
    fn vfio_demo_load(address: *const u32) -> u64;
    fn vfio_demo_load_failed();
}

static LAST_ADDRESS: AtomicUsize = AtomicUsize::new(0);
static LAST_CODE: AtomicI32 = AtomicI32::new(0);

/// A SIGBUS in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError {
    /// The address that the kernel says could not be accessed.
    pub address: usize,
    /// Why, as in `siginfo_t`.
    pub code: i32,
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.code {
            BUS_ADRERR => "BUS_ADRERR".to_string(),
            code => format!("code {code}"),
        };

        write!(f, "SIGBUS at {:#x}, {code}", self.address)
    }
}

/// Loads 32 bits, or reports the SIGBUS that the kernel sent instead.
///
/// # Safety
///
/// `address` must be aligned and inside a mapping.
///
/// # Errors
///
/// Fails when the handler cannot be installed.
pub unsafe fn load(address: NonNull<u32>) -> Result<Result<u32, BusError>> {
    install()?;
    // SAFETY: The caller promises a mapped address; should the kernel have nothing behind it, the
    // handler that was just installed makes the function return all ones.
    let value = unsafe { vfio_demo_load(address.as_ptr()) };

    Ok(u32::try_from(value).map_err(|_| BusError {
        address: LAST_ADDRESS.load(Ordering::Relaxed),
        code: LAST_CODE.load(Ordering::Relaxed),
    }))
}

fn install() -> Result<()> {
    let action = SigAction::new(
        SigHandler::SigAction(on_bus_error),
        SaFlags::SA_SIGINFO,
        SigSet::empty(),
    );
    // SAFETY: The handler uses atomics and `sigaction` only, which are async-signal-safe.
    unsafe { sigaction(Signal::SIGBUS, &action) }.context("handler for SIGBUS")?;
    Ok(())
}

extern "C" fn on_bus_error(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: The kernel hands a handler installed with SA_SIGINFO a valid `siginfo_t` and a valid
    // `ucontext_t`, both its own until it returns.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<ucontext_t>()) };
    let counter = &mut context.uc_mcontext.gregs[REG_RIP as usize];

    if *counter == vfio_demo_load as *const () as i64 {
        // SAFETY: SIGBUS from an access carries an address.
        LAST_ADDRESS.store(unsafe { info.si_addr() }.addr(), Ordering::Relaxed);
        LAST_CODE.store(info.si_code, Ordering::Relaxed);
        *counter = vfio_demo_load_failed as *const () as i64;
    } else {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: No handler is installed. The access is repeated on return, and is fatal then.
        let _ = unsafe { sigaction(Signal::SIGBUS, &default) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    use nix::sys::mman::{
        mmap,
        munmap,
        MapFlags,
        ProtFlags, //
    };

    #[test]
    fn a_file_that_is_too_short() {
        let path = std::env::temp_dir().join(format!("vfio-demo-{}", std::process::id()));
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        let length = NonZeroUsize::new(4096).unwrap();
        // SAFETY: The kernel chooses the address.
        let base = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                &file,
                0,
            )
        }
        .unwrap();

        // SAFETY: The address is mapped.
        let error = unsafe { load(base.cast()) }.unwrap().unwrap_err();
        assert_eq!(error.address, base.addr().get());
        assert_eq!(error.code, BUS_ADRERR);

        // The same mapping, now with something behind it; all ones is a value like any other.
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 4096], 0).unwrap();
        // SAFETY: The address is mapped.
        assert_eq!(unsafe { load(base.cast()) }.unwrap(), Ok(u32::MAX));
        // SAFETY: The mapping is this test's own.
        unsafe { munmap(base, 4096) }.unwrap();
    }
}
