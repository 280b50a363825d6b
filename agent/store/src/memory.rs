//! Memory from the kernel: anonymous pages and mapped files. The one file of this crate with `unsafe` in it.
#![allow(
    unsafe_code,
    reason = "mapping memory and looking at it as bytes is what this file is for"
)]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

#[cfg(target_endian = "big")]
compile_error!("model files and packed weights are little-endian, and are read in place");

/// What the beginning of mapped memory is aligned to: a huge page.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// A piece of address space, all of it readable for as long as it lives, beginning on a huge page's boundary.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    bytes: usize,
    reserved: NonNull<c_void>,
    reserved_bytes: NonZeroUsize,
}

// SAFETY: a region owns its memory, which is read through `&self` and written through `&mut self` only.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Zeros, in huge pages where the kernel has them.
    pub(crate) fn anonymous(bytes: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let reserved_bytes = bytes
            .checked_add(HUGE_PAGE)
            .and_then(NonZeroUsize::new)
            .ok_or_else(too_large)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: new memory at an address of the kernel's choice touches no other.
        let reserved = unsafe {
            mmap_anonymous(
                None,
                reserved_bytes,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                flags,
            )
        }?;
        let to_boundary = reserved.as_ptr().addr().next_multiple_of(HUGE_PAGE) - reserved.as_ptr().addr();
        // SAFETY: the boundary is less than a huge page away, and that much more was reserved.
        let start = unsafe { reserved.cast::<u8>().add(to_boundary) };
        let region = Self {
            start,
            bytes,
            reserved,
            reserved_bytes,
        };
        region.advise(MmapAdvise::MADV_HUGEPAGE)?;
        Ok(region)
    }

    /// Advice that this kernel does not know is none.
    fn advise(&self, advice: MmapAdvise) -> io::Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        // SAFETY: the memory is this region's; the advice changes nothing that can be read there.
        match unsafe { madvise(self.start.cast(), self.bytes, advice) } {
            Err(nix::errno::Errno::EINVAL) => Ok(()),
            result => Ok(result?),
        }
    }

    /// All its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is mapped readable while `self` lives, and only `&mut self` writes to it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    /// All its bytes, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the memory is mapped writable while `self` lives, and `&mut self` is the only way to it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: what was reserved is given back once; no slice of it outlives `self`.
        let given_back = unsafe { munmap(self.reserved, self.reserved_bytes.get()) };
        debug_assert!(given_back.is_ok(), "the arguments are those of mmap");
    }
}

/// The floats that bytes are. Bytes that are no whole or no aligned floats are a mistake of this crate.
pub(crate) fn floats(bytes: &[u8]) -> &[f32] {
    // SAFETY: every four bytes are a float.
    let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
    assert!(before.is_empty() && after.is_empty(), "vectors lie on 64 bytes");
    floats
}
