// SPDX-License-Identifier: GPL-2.0

//! What the type1 backend says about the IOMMU behind a container.

use anyhow::{
    ensure,
    Context,
    Result, //
};
use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_BASE,
    VFIO_IOMMU_INFO_CAPS,
    VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
    VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
    VFIO_TYPE, //
};
use vfio_ioctls::VfioContainer;
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::ioctl_io_nr;

use crate::report::size;

ioctl_io_nr!(VFIO_IOMMU_GET_INFO, VFIO_TYPE.into(), VFIO_BASE + 12);

/// Room for the structure and its capabilities, in units that align it.
const WORDS: usize = 512;
/// The structure without its capabilities.
const HEADER: usize = 24;

/// The answer to `VFIO_IOMMU_GET_INFO`.
#[derive(Debug, PartialEq, Eq)]
pub struct IommuInfo {
    page_sizes: u64,
    ranges: Vec<(u64, u64)>,
    mappings_left: Option<u32>,
}

impl IommuInfo {
    /// Asks the container.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses, and when its answer makes no sense.
    pub fn query(container: &VfioContainer) -> Result<Self> {
        let mut buffer = [0_u64; WORDS];
        buffer[0] = u64::try_from(size_of_val(&buffer))?;
        // SAFETY: The first 32 bits of the buffer say how many bytes the kernel may write, and that
        // is how many there are. Any bytes are valid in it.
        let result = unsafe { ioctl_with_mut_ref(container, VFIO_IOMMU_GET_INFO(), &mut buffer) };
        Errno::result(result).context("VFIO_IOMMU_GET_INFO")?;

        let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Self::parse(&bytes).context("answer of VFIO_IOMMU_GET_INFO")
    }

    /// Takes the structure apart, following the chain of its capabilities.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut info = Self {
            page_sizes: word64(bytes, 8)?,
            ranges: Vec::new(),
            mappings_left: None,
        };
        let mut next = match word32(bytes, 4)? & VFIO_IOMMU_INFO_CAPS {
            0 => 0,
            _ => usize::try_from(word32(bytes, 16)?).ok()?,
        };

        // A chain that is sound goes upwards only.
        let mut last = HEADER.checked_sub(1)?;
        while next != 0 {
            if next <= last {
                return None;
            }
            last = next;
            info.add_capability(bytes.get(next..)?)?;
            next = usize::try_from(word32(bytes, next.checked_add(4)?)?).ok()?;
        }
        Some(info)
    }

    /// Takes in one capability; its 16-bit identifier and version come first.
    fn add_capability(&mut self, bytes: &[u8]) -> Option<()> {
        match word32(bytes, 0)? & 0xffff {
            VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE => {
                let count = usize::try_from(word32(bytes, 8)?).ok()?;
                let ranges = bytes.get(16..)?.chunks_exact(16).take(count);
                for range in ranges {
                    self.ranges.push((word64(range, 0)?, word64(range, 8)?));
                }
            }
            VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL => self.mappings_left = Some(word32(bytes, 8)?),
            _ => {}
        }
        Some(())
    }

    /// Checks that a range of addresses may be mapped.
    ///
    /// # Errors
    ///
    /// Fails when it is not inside one of the ranges that the IOMMU has.
    pub fn check(&self, iova: u64, length: u64) -> Result<()> {
        let last = iova.saturating_add(length.saturating_sub(1));
        ensure!(
            self.ranges
                .iter()
                .any(|(first, end)| (*first..=*end).contains(&iova) && last <= *end),
            "iova {iova:#x} to {last:#x} cannot be mapped"
        );
        Ok(())
    }

    /// One line for the user to read.
    pub fn describe(&self) -> String {
        let ranges: Vec<String> = self
            .ranges
            .iter()
            .map(|(first, last)| format!("{first:#x}-{last:#x}"))
            .collect();
        let left = self
            .mappings_left
            .map_or_else(String::new, |left| format!("; {left} mappings left"));

        format!(
            "pages of {}; iova {}{left}",
            describe_sizes(self.page_sizes),
            ranges.join(" ")
        )
    }
}

/// Names the sizes that are bits in a mask; some IOMMUs have them all, from one on.
fn describe_sizes(mask: u64) -> String {
    let sizes: Vec<String> = (0..u64::BITS)
        .map(|bit| 1 << bit)
        .filter(|bit| mask & bit != 0)
        .map(size)
        .collect();

    match sizes.as_slice() {
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and up"),
        _ => sizes.join(", "),
    }
}

fn word32(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;

    Some(u32::from_ne_bytes(*bytes))
}

fn word64(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..)?.first_chunk()?;

    Some(u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure of 32-bit words, and after it room.
    fn answer(words: &[u32]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.resize(256, 0);
        bytes
    }

    const HEAD: [u32; 6] = [256, 3, 0x4020_1000, 0, 24, 0];

    #[test]
    fn capabilities() {
        let mut words = HEAD.to_vec();
        words.extend([0x1_0003, 40, 65535, 0]);
        words.extend([0x1_0001, 0, 2, 0]);
        words.extend([0, 0, 0xfedf_ffff, 0]);
        words.extend([0xfef0_0000, 0, 0xffff_ffff, 0x7f]);

        let info = IommuInfo::parse(&answer(&words)).unwrap();
        assert_eq!(
            info.describe(),
            "pages of 4 KiB, 2 MiB, 1 GiB; iova 0x0-0xfedfffff 0xfef00000-0x7fffffffff; \
             65535 mappings left"
        );
        assert!(info.check(0xfedf_f000, 0x1000).is_ok());
        assert!(info.check(0xfedf_f000, 0x2000).is_err());
        assert!(info.check(0xfee0_0000, 1).is_err());
        assert!(info.check(u64::MAX, 2).is_err());
    }

    #[test]
    fn no_capabilities() {
        let mut words = HEAD;
        words[1] = 1;
        let info = IommuInfo::parse(&answer(&words)).unwrap();
        assert_eq!((info.ranges, info.mappings_left), (vec![], None));
    }

    #[test]
    fn chains_that_make_no_sense() {
        for (first, next) in [(8, 0), (24, 24), (24, 8), (24, 4096), (4096, 0)] {
            let mut words = HEAD.to_vec();
            words[4] = first;
            words.extend([0x1_0002, next, 0, 0]);
            assert_eq!(IommuInfo::parse(&answer(&words)), None, "{first} {next}");
        }
        assert_eq!(IommuInfo::parse(&[0; 12]), None);
    }

    #[test]
    fn page_sizes() {
        assert_eq!(describe_sizes(0x4020_1000), "4 KiB, 2 MiB, 1 GiB");
        assert_eq!(describe_sizes(!0xfff), "4 KiB and up");
    }
}
