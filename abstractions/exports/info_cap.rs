// SPDX-License-Identifier: GPL-2.0

//! Chains of capabilities, for the INFO ioctls of drivers in C.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        exports::signature::signatures, //
    },
    capability::{
        chain,
        CapabilityChain, //
    }, //
};
use core::ptr;
use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*,
    warn_on, //
};

signatures!(
    vfio_info_add_capability,
    vfio_info_cap_add,
    vfio_info_cap_shift,
);

/// Takes the bytes of a chain, which has none then.
///
/// # Safety
///
/// `caps` must be a chain that starts as zeroes and is changed by the functions of this file only.
unsafe fn take(caps: &mut bindings::vfio_info_cap) -> KVec<u8> {
    let buffer = core::mem::replace(&mut caps.buf, ptr::null_mut());
    let size = core::mem::take(&mut caps.size);
    if buffer.is_null() {
        return KVec::new();
    }
    // SAFETY: By this function's contract `put()` gave up a vector that has this many bytes, and
    // room for at least as many.
    unsafe { KVec::from_raw_parts(buffer.cast(), size, size) }
}

/// Gives a chain its bytes. Whoever has the chain frees them with `kfree()`.
fn put(caps: &mut bindings::vfio_info_cap, bytes: KVec<u8>) {
    let (buffer, size, capacity) = bytes.into_raw_parts();
    if capacity != 0 {
        caps.buf = buffer.cast();
        caps.size = size;
    }
}

/// Appends a capability of `size` bytes, all zero behind its header. On failure of an allocation
/// there is no chain any more.
///
/// # Safety
///
/// As of [`take()`].
unsafe fn add<'a>(
    caps: &'a mut bindings::vfio_info_cap,
    size: usize,
    id: u16,
    version: u16,
) -> Result<&'a mut [u8]> {
    let payload = size.checked_sub(chain::HEADER_SIZE);
    let size = chain::size(payload.ok_or(EINVAL)?)?;
    // SAFETY: By this function's contract.
    let mut bytes = unsafe { take(caps) };
    let start = bytes.len();
    bytes.resize(start.checked_add(size).ok_or(ENOMEM)?, 0, GFP_KERNEL)?;
    let appended = chain::append(&mut bytes, start, id, version);
    if appended.is_err() {
        bytes.truncate(start);
    }
    put(caps, bytes);
    appended?;
    // SAFETY: `put()` has just put these bytes there, and they are borrowed like the chain.
    let bytes = unsafe { core::slice::from_raw_parts_mut(caps.buf.cast::<u8>(), caps.size) };
    bytes.get_mut(start..).ok_or(EINVAL)
}

/// Appends a capability of `size` bytes, with its header, and returns where it is until the
/// next one is added.
///
/// Returns ENOMEM, and the chain is freed then, or EINVAL if there is not even room for a header.
///
/// # Safety
///
/// `caps` must be valid, start as zeroes, and be changed by functions of its header only.
#[no_mangle]
pub unsafe extern "C" fn vfio_info_cap_add(
    caps: *mut bindings::vfio_info_cap,
    size: usize,
    id: u16,
    version: u16,
) -> *mut bindings::vfio_info_cap_header {
    // SAFETY: By this function's contract.
    match unsafe { add(&mut *caps, size, id, version) } {
        Ok(capability) => capability.as_mut_ptr().cast(),
        Err(error) => error.to_ptr(),
    }
}

/// Appends a chain to another one. On failure of an allocation there is no chain any more.
///
/// # Errors
///
/// `ENOMEM`. `EOVERFLOW`: an offset does not fit into 32 bits.
///
/// # Safety
///
/// As of [`vfio_info_cap_add()`].
pub unsafe fn append(caps: *mut bindings::vfio_info_cap, chain: CapabilityChain) -> Result {
    // SAFETY: By this function's contract.
    let caps = unsafe { &mut *caps };
    // SAFETY: As above.
    let mut bytes = unsafe { take(caps) };
    let joined = chain.join(&mut bytes);
    put(caps, bytes);
    joined
}

/// Appends to a chain what `add` adds to an empty one. It is as it was if that fails.
///
/// # Errors
///
/// `ENOMEM`. `EOVERFLOW`: an offset does not fit into 32 bits. That of `add`.
///
/// # Safety
///
/// `add` must change what it is called with by functions of its header only.
pub unsafe fn extend(
    chain: &mut CapabilityChain,
    add: &mut dyn FnMut(*mut bindings::vfio_info_cap) -> Result,
) -> Result {
    let mut caps = bindings::vfio_info_cap::default();
    let added = add(&mut caps);
    // SAFETY: The chain starts as zeroes, and by this function's contract. Whatever has become of
    // it, it is freed here.
    let bytes = unsafe { take(&mut caps) };
    added?;
    chain.append(bytes)
}

/// Appends a copy of the capability at `cap`, of which `size` bytes are valid. Only its offset is
/// not copied.
///
/// Returns ENOMEM, and the chain is freed then, or EINVAL if there is not even room for a header.
///
/// # Safety
///
/// `caps` must be valid, start as zeroes, and be changed by functions of its header only; `cap`
/// must be valid for reads of `size` bytes and of a header.
#[no_mangle]
pub unsafe extern "C" fn vfio_info_add_capability(
    caps: *mut bindings::vfio_info_cap,
    cap: *mut bindings::vfio_info_cap_header,
    size: usize,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let (id, version) = unsafe { ((*cap).id, (*cap).version) };
        // SAFETY: By this function's contract.
        let room = unsafe { add(&mut *caps, size, id, version) }?;
        // SAFETY: By this function's contract.
        let bytes = unsafe { core::slice::from_raw_parts(cap.cast::<u8>(), size) };
        let payload = chain::HEADER_SIZE..size;
        if let (Some(to), Some(from)) = (room.get_mut(payload.clone()), bytes.get(payload)) {
            to.copy_from_slice(from);
        }
        Ok(0)
    })
}

/// Makes the offsets of a chain count from `offset` bytes in front of it.
///
/// # Safety
///
/// `caps` must be valid, and as [`vfio_info_cap_add()`] left it.
#[no_mangle]
pub unsafe extern "C" fn vfio_info_cap_shift(caps: *mut bindings::vfio_info_cap, offset: usize) {
    // SAFETY: By this function's contract.
    let caps = unsafe { &mut *caps };
    // The user reads capabilities where they are.
    warn_on!(offset % chain::ALIGNMENT != 0);
    if !caps.buf.is_null() {
        // SAFETY: By this function's contract.
        let bytes = unsafe { core::slice::from_raw_parts_mut(caps.buf.cast::<u8>(), caps.size) };
        warn_on!(chain::shift(bytes, offset).is_err());
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_exports_info_cap)]
mod tests {
    use super::*;
    use crate::abstractions::bindings::{
        vfio_info_cap,
        vfio_info_cap_header, //
    };
    use kernel::error::from_err_ptr;

    #[repr(C)]
    struct Own {
        header: vfio_info_cap_header,
        payload: [u64; 2],
    }

    /// The headers and where they are, for who has `offset` bytes in front of the chain.
    fn headers(caps: &vfio_info_cap, offset: u32) -> Result<KVec<(u16, u16, u32)>> {
        let mut found = KVec::new();
        let mut at = offset;
        loop {
            // SAFETY: The chain has a header there.
            let header = unsafe { &*caps.buf.byte_add((at - offset) as usize) };
            found.push((header.id, header.version, at), GFP_KERNEL)?;
            at = header.next;
            if at == 0 {
                return Ok(found);
            }
        }
    }

    fn free(mut caps: vfio_info_cap) {
        // SAFETY: The chain is what the functions left.
        drop(unsafe { take(&mut caps) });
    }

    // Row 9-7.
    #[test]
    fn capabilities_are_aligned_and_linked() -> Result {
        let mut caps = vfio_info_cap::default();
        // SAFETY: The chain starts as zeroes.
        let first = unsafe { from_err_ptr(vfio_info_cap_add(&mut caps, 12, 7, 2)) }?;
        assert_eq!(first, caps.buf);
        assert_eq!(caps.size, 16);
        let mut own = Own {
            header: vfio_info_cap_header {
                id: 9,
                version: 1,
                next: 5,
            },
            payload: [10, 11],
        };
        let own = (&raw mut own).cast();
        // SAFETY: The chain was added to; the capability is as large as that.
        let rc = unsafe { vfio_info_add_capability(&mut caps, own, 24) };
        assert_eq!(rc, 0);
        assert_eq!(caps.size, 40);
        assert_eq!(headers(&caps, 0)?[..], [(7, 2, 0), (9, 1, 16)]);
        // SAFETY: That is all of the chain.
        let words = unsafe { core::slice::from_raw_parts(caps.buf.cast::<u64>(), 5) };
        assert_eq!((words[1], words[3], words[4]), (0, 10, 11));
        // SAFETY: The chain is as the functions left it.
        unsafe { vfio_info_cap_shift(&mut caps, 32) };
        assert_eq!(headers(&caps, 32)?[..], [(7, 2, 32), (9, 1, 48)]);
        free(caps);
        Ok(())
    }

    // Row 9-14: the core's capabilities and the driver's, whoever comes first.
    #[test]
    fn chains_are_joined() -> Result {
        let mut caps = vfio_info_cap::default();
        // SAFETY: The chain starts as zeroes.
        unsafe { from_err_ptr(vfio_info_cap_add(&mut caps, 12, 7, 2)) }?;
        let mut chain = CapabilityChain::new();
        chain.add(9, 1, &[1; 8])?;
        // SAFETY: The chain was added to.
        unsafe { append(&mut caps, chain)? };
        // SAFETY: As above.
        unsafe { append(&mut caps, CapabilityChain::new())? };
        assert_eq!(headers(&caps, 0)?[..], [(7, 2, 0), (9, 1, 16)]);
        free(caps);

        let mut chain = CapabilityChain::new();
        chain.add(9, 1, &[1; 8])?;
        let mut add = |caps: *mut vfio_info_cap| {
            // SAFETY: The chain starts as zeroes.
            unsafe { from_err_ptr(vfio_info_cap_add(caps, 12, 7, 2)) }?;
            // SAFETY: The chain was added to.
            unsafe { from_err_ptr(vfio_info_cap_add(caps, 12, 8, 3)) }.map(|_| ())
        };
        // SAFETY: The function is of its header.
        unsafe { extend(&mut chain, &mut add)? };
        // SAFETY: Nothing is changed.
        unsafe { extend(&mut chain, &mut |_| Ok(()))? };
        // SAFETY: As above.
        assert!(unsafe { extend(&mut chain, &mut |_| Err(EPERM)) }.is_err());
        let mut caps = vfio_info_cap::default();
        // SAFETY: The chain starts as zeroes.
        unsafe { append(&mut caps, chain)? };
        assert_eq!(headers(&caps, 0)?[..], [(9, 1, 0), (7, 2, 16), (8, 3, 32)]);
        free(caps);
        Ok(())
    }

    // Row 9-7: no room for a header, where C would write behind its end.
    #[test]
    fn a_capability_has_a_header() {
        let mut caps = vfio_info_cap::default();
        for size in [0, 7, usize::MAX] {
            // SAFETY: The chain starts as zeroes.
            let header = unsafe { vfio_info_cap_add(&mut caps, size, 7, 2) };
            assert!(from_err_ptr(header).is_err());
            assert!(caps.buf.is_null());
        }
        // SAFETY: The chain is empty.
        unsafe { vfio_info_cap_shift(&mut caps, 8) };
    }
}
