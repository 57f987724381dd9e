// SPDX-License-Identifier: GPL-2.0

//! What the kernel counts for this process, and a child that shares its mappings.

use std::fs::{
    self,
    File, //
};
use std::io::{
    Read,
    Write, //
};

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use nix::sys::resource::{
    getrusage,
    UsageWho, //
};
use nix::sys::signal::Signal;
use nix::sys::wait::{
    waitpid,
    WaitStatus, //
};
use nix::unistd::{
    fork,
    pipe,
    ForkResult,
    Pid, //
};

/// How many page faults this process has taken that needed no I/O.
///
/// # Errors
///
/// Fails when the kernel does not say.
pub fn page_faults() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;

    Ok(u64::try_from(usage.minor_page_faults())?)
}

/// How many KiB of memory are accounted to this process as locked; pages mapped for DMA are.
///
/// # Errors
///
/// Fails when the kernel does not say.
pub fn locked_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;

    parse_locked(&status).context("VmLck in /proc/self/status")
}

fn parse_locked(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))?;

    line.split_whitespace().next()?.parse().ok()
}

/// What this process holds of VFIO.
pub struct Usage {
    /// What its file descriptors of VFIO point at. There may be some that were inherited.
    pub files: Vec<String>,
    /// How many KiB it has locked.
    pub locked: u64,
}

impl Usage {
    /// Takes stock.
    ///
    /// # Errors
    ///
    /// Fails when the kernel does not say.
    pub fn now() -> Result<Self> {
        Ok(Self {
            files: vfio_files()?,
            locked: locked_memory()?,
        })
    }
}

fn vfio_files() -> Result<Vec<String>> {
    let entries = fs::read_dir("/proc/self/fd").context("/proc/self/fd")?;

    Ok(entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|target| target.display().to_string())
        .filter(|target| target.contains("vfio"))
        .collect())
}

/// A child process that has the same mappings, and waits to be told to use them.
pub struct Child {
    pid: Pid,
    ready: File,
    go: File,
}

impl Child {
    /// Starts a child that runs `first`, reports, waits for [`Child::go_on`], and runs `second`.
    ///
    /// # Errors
    ///
    /// Fails when there is no process for it.
    pub fn start(first: impl FnOnce(), second: impl FnOnce()) -> Result<Self> {
        let (ready, mut report) = file_pipe()?;
        let (mut wait, go) = file_pipe()?;

        // SAFETY: This program has one thread, so the child may do all that the parent may.
        match unsafe { fork() }.context("fork")? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                ready,
                go,
            }),
            ForkResult::Child => {
                drop((ready, go));
                first();
                let told = report.write_all(b"r").is_ok() && wait.read_exact(&mut [0]).is_ok();
                if told {
                    second();
                }
                // Nothing of the parent's may be undone here, so no destructor may run.
                // SAFETY: `_exit` only ends the process.
                unsafe { nix::libc::_exit(i32::from(!told)) }
            }
        }
    }

    /// Waits until the child has run its first part.
    ///
    /// # Errors
    ///
    /// Fails when the child ended before that.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.ready
            .read_exact(&mut [0])
            .context("the child process ended early")
    }

    /// Has the child run its second part, and returns the signal that ended it, if one did.
    ///
    /// # Errors
    ///
    /// Fails when the child did not get that far.
    pub fn go_on(mut self) -> Result<Option<Signal>> {
        self.go.write_all(b"g").context("pipe to the child")?;

        match waitpid(self.pid, None).context("waitpid")? {
            WaitStatus::Signaled(_, signal, _) => Ok(Some(signal)),
            WaitStatus::Exited(_, code) => {
                ensure!(code == 0, "the child process ended with status {code}");
                Ok(None)
            }
            status => bail!("the child process is in state {status:?}"),
        }
    }
}

/// The reading and the writing end of a new pipe.
fn file_pipe() -> Result<(File, File)> {
    let (read, write) = pipe().context("pipe")?;

    Ok((read.into(), write.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked() {
        let status = "VmPeak:\t  100 kB\nVmLck:\t      16 kB\nVmPin:\t       0 kB\n";
        assert_eq!(parse_locked(status), Some(16));
        assert_eq!(parse_locked("VmPeak: 1 kB\n"), None);
    }
}
