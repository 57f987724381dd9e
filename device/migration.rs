// SPDX-License-Identifier: GPL-2.0

//! Migration: a device is stopped, its state is read, and written to another device.
//!
//! A driver carries out the steps from one [`State`] to another, and gives users a stream to read
//! the state of the device from or to write one to. What users say and are told is read and written
//! here.

pub mod state;

use crate::{
    abstractions::{
        fs::file::{
            FileOperations,
            FileTable, //
        },
        module_ref::{
            DriverModule,
            ModuleRef, //
        },
        uaccess::UserBytes,
        uapi::{
            self,
            migration as uapi_migration, //
        }, //
    },
    device::feature::{
        Feature,
        Operation,
        Payload,
        Request, //
    },
    LocalModule, //
};
use kernel::{
    bindings,
    fs::{
        file::{
            flags,
            FileDescriptorReservation, //
        },
        File, //
    },
    module::this_module,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
use state::{
    State,
    Support, //
};

/// A device that can be migrated.
///
/// Nothing is locked here: calls may be concurrent, and those of streams with them.
pub trait Migration: Send + Sync {
    /// What it can do of what is optional. Does not change.
    fn support(&self) -> Support;

    /// Where in its migration it is. A device that is reset or opened is [`State::Running`].
    ///
    /// # Errors
    ///
    /// What keeps the driver from finding out.
    fn state(&self) -> Result<State>;

    /// Brings it to a state that it has, by the steps that [`State::next`] tells, and returns a
    /// stream if that begins a transfer. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is no way, or what was written to a stream is not a state of this device.
    /// Otherwise what keeps the device from a step; it may have gone a part of the way then.
    fn set_state(&self, to: State) -> Result<Option<Stream>>;

    /// About how many bytes it takes to save it once it is stopped, in any state.
    ///
    /// # Errors
    ///
    /// What keeps the driver from finding out.
    fn data_size(&self) -> Result<u64>;

    /// The user understands that a first round of reading may begin anew, or has closed the
    /// device: the next one does not. Of use to a driver with [files](Stream::File) of its own.
    fn knows_new_rounds(&self, _knows: bool) {}
}

/// What a transfer goes through. It may outlive the transfer, and the time for which the device is
/// open; it keeps the module of the driver loaded.
pub enum Stream {
    /// The state is read from it.
    Saving(KBox<dyn SavingStream>),
    /// The state is written to it.
    Resuming(KBox<dyn ResumingStream>),
    /// A file of the driver's own, which answers what its user does.
    File(ARef<File>),
}

/// A stream that the state of a device is read from.
pub trait SavingStream: Send + Sync {
    /// Reads on, and returns the number of bytes; zero at the end. `None`: the device runs, and
    /// there is nothing more for now.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the transfer has ended. `EFAULT`.
    fn read(&self, buffer: &mut UserSliceWriter) -> Result<Option<usize>>;

    /// How much there is to read while the device runs.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the device does not run, or its state cannot be read before it is stopped.
    fn precopy_info(&self) -> Result<PrecopyInfo> {
        Err(EINVAL)
    }
}

/// A stream that the state of a device is written to.
pub trait ResumingStream: Send + Sync {
    /// Writes on, and returns the number of bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL`: this is more than a state has. `ENODEV`: the transfer has ended. `EFAULT`.
    fn write(&self, buffer: &mut UserSliceReader) -> Result<usize>;
}

/// How much there is to read of a device that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrecopyInfo {
    /// Bytes of the first round that are left.
    pub initial_bytes: u64,
    /// Bytes that have changed since they were read.
    pub dirty_bytes: u64,
    /// The first round has begun anew.
    pub is_new_round: bool,
}

/// What a device keeps for the user's side of migration.
pub(crate) struct UserSide {
    /// Does the user understand that a first round may begin anew?
    knows_new_rounds: Arc<Atomic<bool>>,
}

impl UserSide {
    /// That of a device nobody has used.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            knows_new_rounds: Arc::new(Atomic::new(false), GFP_KERNEL)?,
        })
    }

    /// The next user of the device, which can be migrated or not, has chosen nothing yet.
    pub(crate) fn forget(&self, migration: Option<&dyn Migration>) {
        self.knows_new_rounds.store(false, Relaxed);
        if let Some(migration) = migration {
            migration.knows_new_rounds(false);
        }
    }

    /// Answers a request for a feature of migration of a device whose driver is in `module`.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: it is another feature. `EINVAL`: it cannot be read or set, there is no such state
    /// or no way to it. `EMFILE`, `ENFILE`, `ENOMEM`: there is no room for one more file. `EFAULT`,
    /// or that of the driver.
    pub(crate) fn answer(
        &self,
        migration: &dyn Migration,
        module: &DriverModule,
        request: &Request,
    ) -> Result<isize> {
        match request.feature() {
            Some(Feature::Migration) => Self::tell_support(migration, request),
            Some(Feature::MigrationState) => self.answer_state(migration, module, request),
            Some(Feature::MigrationDataSize) => Self::tell_data_size(migration, request),
            Some(Feature::MigrationPrecopyInfo2) => self.choose_precopy_info(migration, request),
            _ => Err(ENOTTY),
        }
    }

    /// VFIO_DEVICE_FEATURE_MIGRATION
    fn tell_support(migration: &dyn Migration, request: &Request) -> Result<isize> {
        if let Some(payload) = request.get(size_of::<uapi_migration::Migration>())? {
            payload.write(&uapi_migration::Migration {
                flags: migration.support().flags(),
            })?;
        }
        Ok(0)
    }

    /// VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
    fn tell_data_size(migration: &dyn Migration, request: &Request) -> Result<isize> {
        if let Some(payload) = request.get(size_of::<uapi_migration::MigrationDataSize>())? {
            payload.write(&uapi_migration::MigrationDataSize {
                stop_copy_length: migration.data_size()?,
            })?;
        }
        Ok(0)
    }

    /// VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2
    fn choose_precopy_info(&self, migration: &dyn Migration, request: &Request) -> Result<isize> {
        if !migration.support().pre_copy {
            return Err(EINVAL);
        }
        if request.set(0)?.is_some() {
            self.knows_new_rounds.store(true, Relaxed);
            migration.knows_new_rounds(true);
        }
        Ok(0)
    }

    /// VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
    fn answer_state(
        &self,
        migration: &dyn Migration,
        module: &DriverModule,
        request: &Request,
    ) -> Result<isize> {
        let size = size_of::<uapi_migration::MigrationState>();
        let Some((operation, payload)) = request.get_or_set(size)? else {
            return Ok(0);
        };
        let asked: uapi_migration::MigrationState = payload.read()?;
        match operation {
            Operation::Get => write_state(payload, migration.state()?.number(), -1)?,
            Operation::Set => self.set_state(migration, module, payload, asked.device_state)?,
        }
        Ok(0)
    }

    fn set_state(
        &self,
        migration: &dyn Migration,
        module: &DriverModule,
        payload: &Payload,
        number: u32,
    ) -> Result {
        let support = migration.support();
        let to = State::from_number(number)
            .filter(|to| *to != State::Error && support.has(*to))
            .ok_or(EINVAL);
        match to.and_then(|to| migration.set_state(to)) {
            Ok(Some(stream)) => give(self.create(stream, module)?, payload, number),
            Ok(None) => write_state(payload, number, -1),
            Err(error) => {
                // Whoever does not look at the errno must not take what he passed for a file.
                write_state(payload, number, -1)?;
                Err(error)
            }
        }
    }

    fn create(&self, stream: Stream, module: &DriverModule) -> Result<ARef<File>> {
        let module = module.hold()?;
        match stream {
            Stream::File(file) => Ok(file),
            Stream::Saving(stream) => {
                let knows_new_rounds = self.knows_new_rounds.clone();
                let file = SavingFile {
                    stream,
                    knows_new_rounds,
                    _module: module,
                };
                let file = KBox::new(file, GFP_KERNEL_ACCOUNT)?;
                SAVING
                    .create_stream(c"[vfio-saving]", file)
                    .map_err(|(error, _)| error)
            }
            Stream::Resuming(stream) => {
                let file = ResumingFile {
                    stream,
                    _module: module,
                };
                let file = KBox::new(file, GFP_KERNEL_ACCOUNT)?;
                RESUMING
                    .create_stream(c"[vfio-resuming]", file)
                    .map_err(|(error, _)| error)
            }
        }
    }
}

/// Gives the user a descriptor of a stream.
fn give(file: ARef<File>, payload: &Payload, number: u32) -> Result {
    let fd = FileDescriptorReservation::get_unused_fd_flags(flags::O_CLOEXEC)?;
    write_state(payload, number, i32::try_from(fd.reserved_fd())?)?;
    fd.fd_install(file);
    Ok(())
}

fn write_state(payload: &Payload, device_state: u32, data_fd: i32) -> Result {
    payload.write(&uapi_migration::MigrationState {
        device_state,
        data_fd,
    })
}

/// A file that a state is read from.
///
/// Fields are dropped in order: the stream is the driver's, whose module goes after it.
struct SavingFile {
    stream: KBox<dyn SavingStream>,
    knows_new_rounds: Arc<Atomic<bool>>,
    _module: ModuleRef,
}

static SAVING: FileTable<SavingFile> = FileTable::new(this_module::<LocalModule>());

#[vtable]
impl FileOperations for SavingFile {
    type Data = KBox<Self>;

    fn read(this: &Self, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let mut buffer = bytes.writer();
        // CAST: A small number.
        let nothing_yet = || Error::from_errno(-(bindings::ENOMSG as c_int));
        let done = this.stream.read(&mut buffer)?.ok_or_else(nothing_yet)?;
        *position = position.saturating_add(i64::try_from(done)?);
        Ok(done)
    }

    /// VFIO_MIG_GET_PRECOPY_INFO
    fn ioctl(this: &Self, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        if cmd != uapi_migration::VFIO_MIG_GET_PRECOPY_INFO {
            return Err(ENOTTY);
        }
        let mut answer: uapi_migration::PrecopyInfo = uapi::read(arg)?;
        // CAST: A `usize` has 64 bits where this module runs.
        if (answer.argsz as usize) < size_of::<uapi_migration::PrecopyInfo>() {
            return Err(EINVAL);
        }
        let info = this.stream.precopy_info()?;
        // Others find in the flags what they put there.
        if this.knows_new_rounds.load(Relaxed) {
            answer.flags = if info.is_new_round {
                uapi_migration::PrecopyInfo::REINIT
            } else {
                0
            };
        }
        answer.initial_bytes = info.initial_bytes;
        answer.dirty_bytes = info.dirty_bytes;
        uapi::write(arg, &answer)?;
        Ok(0)
    }
}

/// A file that a state is written to.
///
/// Fields are dropped in order, as above.
struct ResumingFile {
    stream: KBox<dyn ResumingStream>,
    _module: ModuleRef,
}

static RESUMING: FileTable<ResumingFile> = FileTable::new(this_module::<LocalModule>());

#[vtable]
impl FileOperations for ResumingFile {
    type Data = KBox<Self>;

    fn write(this: &Self, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let mut buffer = bytes.reader();
        let done = this.stream.write(&mut buffer)?;
        *position = position.saturating_add(i64::try_from(done)?);
        Ok(done)
    }
}
