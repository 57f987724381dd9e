// SPDX-License-Identifier: GPL-2.0

//! What debugfs tells of devices: a directory for each in `/sys/kernel/debug/vfio`.

use crate::{
    abstractions::{
        debugfs::{
            DataDirectory,
            Directory,
            TextFile, //
        },
        sync::static_mutex::StaticMutex, //
    },
    device::{
        migration::{
            state::State,
            Migration, //
        },
        Device, //
    },
    static_mutex,
    LocalModule, //
};
use kernel::{
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc,
    ThisModule, //
};

/// There while the module is loaded.
static ROOT: StaticMutex<Option<Arc<Directory>>> = static_mutex!(None, c"vfio_debugfs");

/// The directory of all devices, until this is dropped.
pub(crate) struct Root(());

impl Root {
    /// Makes the directory. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        *ROOT.lock() = Some(Arc::new(Directory::new(None, c"vfio"), GFP_KERNEL)?);
        Ok(Self(()))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        *ROOT.lock() = None;
    }
}

/// Makes the directory of `device`, with all that there is to tell of it. May sleep.
pub(crate) fn show(device: &Arc<Device>) -> Option<DataDirectory<Device>> {
    let root = ROOT.lock().clone()?;
    let directory = DataDirectory::new(root, device.parent().name(), device.clone());
    if device.ops().migration().is_some() {
        let migration = directory.subdirectory(c"migration");
        migration.add_text::<MigrationState>(c"state");
        migration.add_text::<MigrationFeatures>(c"features");
    }
    device.ops().show_in_debugfs(&directory);
    Some(directory)
}

/// How `device` is migrated. Only files of those that can be ask.
fn migration(device: &Device) -> Result<&dyn Migration> {
    device.ops().migration().ok_or(ENODEV)
}

/// The file that tells where in its migration a device is.
struct MigrationState;

impl TextFile for MigrationState {
    type Data = Device;
    const MODULE: &'static ThisModule = this_module::<LocalModule>();

    fn show(device: &Device, output: &SeqFile) -> Result {
        let state = migration(device)?.state().map_err(|_| EINVAL)?;
        let name = match state {
            State::Error => "ERROR",
            State::Stop => "STOP",
            State::Running => "RUNNING",
            State::StopCopy => "STOP_COPY",
            State::Resuming => "RESUMING",
            State::RunningP2p => "RUNNING_P2P",
            State::PreCopy => "PRE_COPY",
            State::PreCopyP2p => "PRE_COPY_P2P",
        };
        seq_print!(output, "{name}\n");
        Ok(())
    }
}

/// The file that tells how a device can be migrated.
struct MigrationFeatures;

impl TextFile for MigrationFeatures {
    type Data = Device;
    const MODULE: &'static ThisModule = this_module::<LocalModule>();

    fn show(device: &Device, output: &SeqFile) -> Result {
        let support = migration(device)?.support();
        // All can do that.
        seq_print!(output, "stop-copy\n");
        if support.p2p {
            seq_print!(output, "p2p\n");
        }
        if support.pre_copy {
            seq_print!(output, "pre-copy\n");
        }
        if device.ops().dma_logging().is_some() {
            seq_print!(output, "dirty-tracking\n");
        }
        Ok(())
    }
}
