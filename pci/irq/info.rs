// SPDX-License-Identifier: GPL-2.0

//! `VFIO_DEVICE_GET_IRQ_INFO`: what interrupts a device has.

use super::request::Index;
use crate::abstractions::{
    pci::Function,
    uapi::{
        irq::{
            IrqInfo,
            VFIO_IRQ_INFO_AUTOMASKED,
            VFIO_IRQ_INFO_EVENTFD,
            VFIO_IRQ_INFO_MASKABLE,
            VFIO_IRQ_INFO_NORESIZE, //
        },
        pci::VFIO_PCI_NUM_IRQS, //
    }, //
};
use kernel::{
    bindings,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use vfio::abstractions::nospec;

/// What the INTx of an open device is like.
#[derive(Clone, Copy, Default)]
pub(crate) struct IntxSupport {
    /// There is one: the virtual interrupt pin is not zero.
    pub(crate) present: bool,
    /// It can be masked, and seen pending, in the function itself.
    pub(crate) maskable: bool,
}

/// Checks the number of an index that the user gave. It is within the bounds from then on, even
/// where a processor speculates.
///
/// # Errors
///
/// `EINVAL` if there is no such index.
pub(super) fn known_index(number: u32) -> Result<Index> {
    // CAST: Widen.
    let number = nospec::checked_index(number as usize, VFIO_PCI_NUM_IRQS as usize);

    number
        .and_then(|number| Index::new(u32::try_from(number).ok()?))
        .ok_or(EINVAL)
}

/// Offset of Message Control in the MSI capability.
const MSI_CONTROL: u16 = bindings::PCI_MSI_FLAGS as u16;
/// The same in the MSI-X capability.
const MSIX_CONTROL: u16 = bindings::PCI_MSIX_FLAGS as u16;
/// MSI: the binary logarithm of the number of vectors.
const MSI_LOG2_VECTORS: u16 = bindings::PCI_MSI_FLAGS_QMASK as u16;
/// MSI-X: the number of vectors less one.
const MSIX_LAST_VECTOR: u16 = bindings::PCI_MSIX_FLAGS_QSIZE as u16;

/// Returns the number of interrupts of an index.
pub(super) fn count(function: &Function, intx: IntxSupport, index: Index) -> u32 {
    let control =
        |capability: u16, offset| function.read_config_word(capability.saturating_add(offset));

    match index {
        Index::Intx => u32::from(intx.present),
        Index::Msi => function.msi_capability().map_or(0, |capability| {
            1 << ((control(capability, MSI_CONTROL) & MSI_LOG2_VECTORS) >> 1)
        }),
        Index::Msix => function.msix_capability().map_or(0, |capability| {
            u32::from(control(capability, MSIX_CONTROL) & MSIX_LAST_VECTOR) + 1
        }),
        Index::Error | Index::Request => 1,
    }
}

/// Returns what an index can do.
fn flags(index: Index, dynamic_msix: bool) -> u32 {
    match index {
        Index::Intx => VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED,
        Index::Msix if dynamic_msix => VFIO_IRQ_INFO_EVENTFD,
        // To use more of them, all have to be disabled first.
        _ => VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
    }
}

/// Answers the ioctl whose argument is at the user's address `arg`.
///
/// # Errors
///
/// `EFAULT`; `EINVAL` if the structure is too small or there is no such index.
pub(super) fn answer(
    function: &Function,
    intx: IntxSupport,
    dynamic_msix: bool,
    arg: usize,
) -> Result<isize> {
    let size = core::mem::size_of::<IrqInfo>();
    let (mut reader, mut writer) = UserSlice::new(UserPtr::from_addr(arg), size).reader_writer();

    let mut info: IrqInfo = reader.read()?;
    if !usize::try_from(info.argsz).is_ok_and(|argsz| argsz >= size) {
        return Err(EINVAL);
    }
    let index = known_index(info.index)?;
    info.flags = flags(index, dynamic_msix);
    info.count = count(function, intx, index);
    writer.write(&info)?;
    Ok(0)
}
