// SPDX-License-Identifier: GPL-2.0

//! How a driver in C gets at the memory and at config space of its device.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::{
    abstractions::{
        exports::{
            pci_core_device::binding_of_pci,
            pci_operations::{
                parts,
                to_ssize, //
            }, //
        },
        io::mem::{
            IoMem,
            Unmap,
            Width, //
        }, //
    },
    overlap::Span,
    region,
    transfer::{
        first_access,
        Registers, //
    }, //
};
use kernel::{
    error::from_result,
    prelude::*,
    uaccess::UserPtr, //
};
use vfio::{
    abstractions::{
        bindings::{
            self,
            vfio_pci_core_device, //
        },
        exports::{
            mapping,
            signature::signatures, //
        },
        uaccess::UserBytes, //
    },
    device::ops::DeviceOps, //
};

signatures!(
    __vfio_pci_memory_enabled,
    vfio_pci_config_rw_single,
    vfio_pci_core_do_io_rw,
    vfio_pci_core_ioread16,
    vfio_pci_core_ioread32,
    vfio_pci_core_ioread64,
    vfio_pci_core_ioread8,
    vfio_pci_core_iowrite16,
    vfio_pci_core_iowrite32,
    vfio_pci_core_iowrite64,
    vfio_pci_core_iowrite8,
    vfio_pci_core_range_intersect_range,
    vfio_pci_vmf_insert_pfn,
);

/// May the memory of a device be touched, now and as long as the caller holds its lock?
///
/// # Safety
///
/// `device` must be initialised, and the caller hold its `memory_lock`.
#[no_mangle]
pub unsafe extern "C" fn __vfio_pci_memory_enabled(device: *mut vfio_pci_core_device) -> bool {
    // SAFETY: By this function's contract.
    unsafe { binding_of_pci(device) }
        .is_some_and(|binding| binding.core().memory().is_enabled_for_driver())
}

/// Maps `1 << order` page frames from `pfn` on for a page fault, and returns what becomes of that:
/// SIGBUS if the device may be suspended, or its memory is disabled.
///
/// # Safety
///
/// `device` must be open, and the caller hold its `memory_lock` for reading. `vmf` must be a fault
/// that is being handled, in an area of page frame numbers that a file of the device has been
/// mapped to. The page frames must be memory of the device, and the block of that order around the
/// address lie in the area.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_vmf_insert_pfn(
    device: *mut vfio_pci_core_device,
    vmf: *mut bindings::vm_fault,
    pfn: c_ulong,
    order: c_uint,
) -> bindings::vm_fault_t {
    // SAFETY: By this function's contract.
    unsafe {
        bindings::vfio_rust_pci_assert_memory_locked(device);
        if (*device).pm_runtime_engaged || !__vfio_pci_memory_enabled(device) {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS as bindings::vm_fault_t;
        }
        mapping::insert_frames(vmf, pfn, order)
    }
}

/// Calls `access` with `len` bytes of registers, which tests whether the memory of the device is
/// enabled if it is to.
///
/// # Safety
///
/// `device` must be open, and `cookie` be mapped for at least `len` bytes, or I/O ports.
unsafe fn with_registers<R>(
    device: *mut vfio_pci_core_device,
    tests_memory: bool,
    cookie: *mut c_void,
    len: usize,
    access: impl FnOnce(&Registers<'_>) -> Result<R>,
    hidden: core::ops::Range<usize>,
    widest: Width,
) -> Result<R> {
    // SAFETY: By this function's contract.
    let (binding, io) = unsafe {
        let binding = binding_of_pci(device).ok_or(ENODEV)?;
        (
            binding,
            IoMem::new(cookie, len, Unmap::ByOther).ok_or(EINVAL)?,
        )
    };

    access(&Registers {
        io: &io,
        memory: tests_memory.then(|| &**binding.core().memory()),
        hidden,
        widest,
    })
}

/// Reads registers to the user's memory, or writes them from there: `count` bytes at `offset`, by
/// accesses no wider than `max_width`. What is between `hidden_start` and `hidden_end` reads as
/// ones, and is not written.
///
/// Returns how many bytes that were, or as `Registers::read()` does.
///
/// # Safety
///
/// `device` must be open, and `io` be mapped up to the end of the transfer, or I/O ports.
// The parameters are those of the header.
#[allow(clippy::too_many_arguments)]
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_do_io_rw(
    device: *mut vfio_pci_core_device,
    test_mem: bool,
    io: *mut c_void,
    buffer: *mut c_char,
    offset: bindings::loff_t,
    count: usize,
    hidden_start: usize,
    hidden_end: usize,
    is_write: bool,
    max_width: bindings::vfio_pci_io_width,
) -> isize {
    let bytes = UserBytes::new(UserPtr::from_ptr(buffer.cast()), count);
    let transfer = || {
        let offset = usize::try_from(offset)?;
        let end = offset.checked_add(count).ok_or(EINVAL)?;
        let widest = Width::of_bytes(usize::try_from(max_width)?).ok_or(EINVAL)?;
        let access = |registers: &Registers<'_>| {
            if is_write {
                registers.write(offset, count, &mut bytes.reader())
            } else {
                registers.read(offset, count, &mut bytes.writer())
            }
        };
        let hidden = hidden_start..hidden_end;
        // SAFETY: By this function's contract.
        unsafe { with_registers(device, test_mem, io, end, access, hidden, widest) }
    };

    to_ssize(transfer())
}

/// Functions that read and write one register.
macro_rules! accessors {
    ($($type:ty, $width:expr, $read:ident, $write:ident;)+) => {
        $(
            /// Reads a register to `value`.
            ///
            /// Returns EIO if the memory of the device is to be tested, and disabled; EINTR if the
            /// task is killed while it waits for a reset.
            ///
            /// # Safety
            ///
            /// `device` must be open, `value` valid, and `io` be mapped, or an I/O port.
            #[no_mangle]
            pub unsafe extern "C" fn $read(
                device: *mut vfio_pci_core_device,
                test_mem: bool,
                value: *mut $type,
                io: *mut c_void,
            ) -> c_int {
                from_result(|| {
                    let access = |registers: &Registers<'_>| registers.load(0, $width);
                    // SAFETY: By this function's contract.
                    unsafe {
                        let len = size_of::<$type>();
                        let read =
                            with_registers(device, test_mem, io, len, access, 0..0, $width)?;
                        // CAST: It is no wider than that.
                        value.write(read as $type);
                    }

                    Ok(0)
                })
            }

            /// Writes `value` to a register.
            ///
            /// Returns EIO if the memory of the device is to be tested, and disabled; EINTR if the
            /// task is killed while it waits for a reset.
            ///
            /// # Safety
            ///
            /// `device` must be open, and `io` be mapped, or an I/O port.
            #[no_mangle]
            pub unsafe extern "C" fn $write(
                device: *mut vfio_pci_core_device,
                test_mem: bool,
                value: $type,
                io: *mut c_void,
            ) -> c_int {
                from_result(|| {
                    let access =
                        |registers: &Registers<'_>| registers.store(0, $width, value.into());
                    let len = size_of::<$type>();
                    // SAFETY: By this function's contract.
                    unsafe { with_registers(device, test_mem, io, len, access, 0..0, $width)? };

                    Ok(0)
                })
            }
        )+
    };
}

accessors!(
    u8, Width::Byte, vfio_pci_core_ioread8, vfio_pci_core_iowrite8;
    u16, Width::Word, vfio_pci_core_ioread16, vfio_pci_core_iowrite16;
    u32, Width::Dword, vfio_pci_core_ioread32, vfio_pci_core_iowrite32;
    u64, Width::Qword, vfio_pci_core_ioread64, vfio_pci_core_iowrite64;
);

/// Reads or writes config space, from `position` in it on, as much of `count` bytes as is one
/// access. The position does not change.
///
/// Returns how many bytes that were; EFAULT unless all `count` are in config space; or as
/// [`DeviceOps::read`] does.
///
/// # Safety
///
/// `device` must be open, and `position` valid.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_config_rw_single(
    device: *mut vfio_pci_core_device,
    buffer: *mut c_char,
    count: usize,
    position: *mut bindings::loff_t,
    is_write: bool,
) -> isize {
    let bytes = UserBytes::new(UserPtr::from_ptr(buffer.cast()), count);
    // SAFETY: By this function's contract.
    let (parts, position) = unsafe { (parts(&raw mut (*device).vdev), *position) };
    let transfer = || {
        let (core, device) = parts?;
        let offset = usize::try_from(position).map_err(|_| EFAULT)?;
        let end = offset.checked_add(count).ok_or(EFAULT)?;
        let size = core.function().config_size();
        if offset >= size || end > size {
            return Err(EFAULT);
        }
        if count == 0 {
            return Ok(0);
        }
        let len = first_access(offset, count, Width::Dword).bytes();
        let bytes = UserBytes::new(bytes.address(), len);
        let mut position = region::config_position(offset).ok_or(EFAULT)?;
        if is_write {
            core.write(device, bytes, &mut position)
        } else {
            core.read(device, bytes, &mut position)
        }
    };

    to_ssize(transfer())
}

/// Finds out what a transfer and a register have in common: `common` bytes, `in_transfer` bytes
/// behind the start of the one, and `in_register` bytes behind that of the other.
///
/// Returns whether that is anything; the results are set then only.
///
/// # Safety
///
/// The pointers must be valid.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_range_intersect_range(
    transfer_start: bindings::loff_t,
    transfer_len: usize,
    register_start: bindings::loff_t,
    register_len: usize,
    in_transfer: *mut bindings::loff_t,
    common: *mut usize,
    in_register: *mut usize,
) -> bool {
    let transfer = Span {
        start: transfer_start,
        len: transfer_len,
    };
    let overlap = transfer.overlap(Span {
        start: register_start,
        len: register_len,
    });
    let Some(overlap) = overlap else {
        return false;
    };
    let Ok(distance) = bindings::loff_t::try_from(overlap.in_first) else {
        return false;
    };
    // SAFETY: By this function's contract.
    unsafe {
        in_transfer.write(distance);
        common.write(overlap.len);
        in_register.write(overlap.in_second);
    }

    true
}
