// SPDX-License-Identifier: GPL-2.0

//! Features of devices: VFIO_DEVICE_FEATURE, one ioctl for what only some
//! devices have.
//!
//! A feature can be read, set, or both, and each device can be asked whether
//! it has it. The header of the argument is checked here; what a feature takes
//! or gives follows it in user memory, as [`Payload`].

use crate::abstractions::{
    uaccess::UserBytes,
    uapi::{
        self,
        FeatureHeader, //
    }, //
};
use kernel::{
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    uaccess::{
        UserPtr,
        UserSliceReader, //
    }, //
};

/// Which feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The token that users of a physical function and of its virtual functions
    /// share.
    PciVfToken,
    /// What the device can do for migration.
    Migration,
    /// Where in its migration the device is.
    MigrationState,
    /// The device may go to sleep.
    LowPowerEntry,
    /// The device may go to sleep, and its user is told when it wakes up.
    LowPowerEntryWithWakeup,
    /// The device must not go to sleep any more.
    LowPowerExit,
    /// Start to remember where the device writes to.
    DmaLoggingStart,
    /// Forget it.
    DmaLoggingStop,
    /// Tell it.
    DmaLoggingReport,
    /// How much there is to migrate.
    MigrationDataSize,
    /// May the device do DMA?
    BusMaster,
    /// A file that stands for parts of the device's memory.
    DmaBuf,
    /// The second version of the information that is given before a migration.
    MigrationPrecopyInfo2,
    /// Errors of a PCI function of s390.
    ZpciError,
}

impl Feature {
    const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::PciVfToken,
            1 => Self::Migration,
            2 => Self::MigrationState,
            3 => Self::LowPowerEntry,
            4 => Self::LowPowerEntryWithWakeup,
            5 => Self::LowPowerExit,
            6 => Self::DmaLoggingStart,
            7 => Self::DmaLoggingStop,
            8 => Self::DmaLoggingReport,
            9 => Self::MigrationDataSize,
            10 => Self::BusMaster,
            11 => Self::DmaBuf,
            12 => Self::MigrationPrecopyInfo2,
            13 => Self::ZpciError,
            _ => return None,
        })
    }
}

/// Which operations were asked for. Only a probe may ask for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operations {
    get: bool,
    set: bool,
    probe: bool,
}

impl Operations {
    /// # Errors
    ///
    /// `EINVAL`: an unknown flag, or both operations at once.
    fn parse(flags: u32) -> Result<Self> {
        const KNOWN: u32 =
            FeatureHeader::NUMBER | FeatureHeader::GET | FeatureHeader::SET | FeatureHeader::PROBE;

        let this = Self {
            get: flags & FeatureHeader::GET != 0,
            set: flags & FeatureHeader::SET != 0,
            probe: flags & FeatureHeader::PROBE != 0,
        };
        if flags & !KNOWN != 0 || (this.get && this.set && !this.probe) {
            return Err(EINVAL);
        }
        Ok(this)
    }

    /// Whether the feature is to be used, and not just probed for. The caller
    /// has made sure that it has the operations.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no operation at all.
    fn is_use(self) -> Result<bool> {
        match self {
            Self { probe: true, .. } => Ok(false),
            Self {
                get: false,
                set: false,
                ..
            } => Err(EINVAL),
            _ => Ok(true),
        }
    }
}

/// What is to be done with a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is read.
    Get,
    /// It is set.
    Set,
}

/// What a user wants of a feature.
pub struct Request {
    feature: Option<Feature>,
    flags: u32,
    operations: Operations,
    payload: Payload,
}

impl Request {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// `EFAULT`: it is not readable. `EINVAL`: it is too short, has an
    /// unknown flag, or asks for both operations at once.
    pub(crate) fn parse(arg: usize) -> Result<Self> {
        let header: FeatureHeader = uapi::read(arg)?;
        // CAST: A `usize` has 64 bits where this module runs.
        let len = (header.argsz as usize)
            .checked_sub(size_of::<FeatureHeader>())
            .ok_or(EINVAL)?;
        let address = arg.checked_add(size_of::<FeatureHeader>()).ok_or(EFAULT)?;
        let payload = UserBytes::new(UserPtr::from_addr(address), len);
        Self::new(header.flags, payload)
    }

    /// What a driver in C passes on of a request: its flags, and what follows the header.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is an unknown flag, or both operations at once are asked for.
    pub fn new(flags: u32, payload: UserBytes) -> Result<Self> {
        Ok(Self {
            feature: Feature::from_number(flags & FeatureHeader::NUMBER),
            flags,
            operations: Operations::parse(flags)?,
            payload: Payload {
                address: payload.address().as_const_ptr().addr(),
                len: payload.len(),
            },
        })
    }

    /// Which feature; `None` is one that is not known.
    pub fn feature(&self) -> Option<Feature> {
        self.feature
    }

    /// The feature and the operations as the user said, which make sense together.
    pub(crate) fn flags(&self) -> u32 {
        self.flags
    }

    /// What follows the header; nothing of that has been checked.
    pub(crate) fn unchecked_payload(&self) -> &Payload {
        &self.payload
    }

    /// Checks a request for a feature that can be set, by `size` bytes, but not
    /// read. `None` was only a probe: the answer is 0.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it was to be read, or neither read nor set, or what follows
    /// the header is shorter than `size`.
    pub fn set(&self, size: usize) -> Result<Option<&Payload>> {
        if self.operations.get {
            return Err(EINVAL);
        }
        self.payload_of(size)
    }

    /// Checks a request for a feature that can be read, as `size` bytes, but not
    /// set. `None` was only a probe: the answer is 0.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it was to be set, or neither read nor set, or what follows
    /// the header is shorter than `size`.
    pub fn get(&self, size: usize) -> Result<Option<&Payload>> {
        if self.operations.set {
            return Err(EINVAL);
        }
        self.payload_of(size)
    }

    /// Checks a request for a feature that can be read and set, as `size` bytes. `None` was only a
    /// probe: the answer is 0.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it was to be neither read nor set, or what follows the header is shorter than
    /// `size`.
    pub fn get_or_set(&self, size: usize) -> Result<Option<(Operation, &Payload)>> {
        let operation = if self.operations.get {
            Operation::Get
        } else {
            Operation::Set
        };
        Ok(self.payload_of(size)?.map(|payload| (operation, payload)))
    }

    fn payload_of(&self, size: usize) -> Result<Option<&Payload>> {
        if !self.operations.is_use()? {
            return Ok(None);
        }
        if self.payload.len < size {
            return Err(EINVAL);
        }
        Ok(Some(&self.payload))
    }
}

/// What follows the header in user memory.
pub struct Payload {
    address: usize,
    len: usize,
}

impl Payload {
    /// Its length in bytes, as the user said.
    #[allow(clippy::len_without_is_empty)] // What is empty for one feature is not for another.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads the value that it begins with.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not readable.
    pub fn read<T: FromBytes>(&self) -> Result<T> {
        uapi::read(self.address)
    }

    /// Writes the value that it begins with.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not writable.
    pub fn write<T: AsBytes>(&self, value: &T) -> Result {
        uapi::write(self.address, value)
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> UserBytes {
        UserBytes::new(UserPtr::from_addr(self.address), self.len)
    }

    /// A reader of all of it.
    pub fn reader(&self) -> UserSliceReader {
        self.bytes().reader()
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_device_feature)]
mod tests {
    use super::*;

    const GET: u32 = FeatureHeader::GET;
    const SET: u32 = FeatureHeader::SET;
    const PROBE: u32 = FeatureHeader::PROBE;

    fn request(flags: u32, len: usize) -> Result<Request> {
        Ok(Request {
            feature: None,
            flags,
            operations: Operations::parse(flags)?,
            payload: Payload { address: 0, len },
        })
    }

    /// `Some(true)`: to be used, `Some(false)`: probed for, `None`: refused.
    fn set(flags: u32, len: usize, size: usize) -> Option<bool> {
        let request = request(flags, len).ok()?;
        request.set(size).ok().map(|payload| payload.is_some())
    }

    #[test]
    fn unknown_flags_and_both_operations_are_refused() {
        assert!(Operations::parse(1 << 19).is_err());
        assert!(Operations::parse(PROBE | 1 << 31).is_err());
        assert!(Operations::parse(GET | SET).is_err());
        assert!(Operations::parse(GET | SET | PROBE).is_ok());
        assert!(Operations::parse(0xffff).is_ok());
    }

    #[test]
    fn an_operation_that_a_feature_lacks_is_refused() {
        assert_eq!(set(SET, 4, 4), Some(true));
        assert_eq!(set(GET, 4, 4), None);
        assert_eq!(set(GET | PROBE, 4, 4), None);
        assert_eq!(set(SET | PROBE, 4, 4), Some(false));
        assert_eq!(set(0, 4, 4), None);
        assert!(request(SET, 4).is_ok_and(|request| request.get(4).is_err()));
        assert!(request(GET, 4).is_ok_and(|request| request.get(4).is_ok()));
    }

    #[test]
    fn a_feature_may_have_both_operations() {
        let operation = |flags, len| {
            let request = request(flags, len).ok()?;
            let found = request.get_or_set(4).ok()?;
            Some(found.map(|(operation, _)| operation))
        };
        assert_eq!(operation(GET, 4), Some(Some(Operation::Get)));
        assert_eq!(operation(SET, 4), Some(Some(Operation::Set)));
        assert_eq!(operation(GET | SET | PROBE, 0), Some(None));
        assert_eq!(operation(SET, 3), None);
        assert_eq!(operation(0, 4), None);
    }

    #[test]
    fn only_a_use_needs_the_payload() {
        assert_eq!(set(PROBE, 0, 4), Some(false));
        assert_eq!(set(SET, 3, 4), None);
        assert_eq!(set(SET, 0, 0), Some(true));
        assert_eq!(set(SET, 100, 4), Some(true));
    }
}
