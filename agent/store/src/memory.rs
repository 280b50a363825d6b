//! Memory from the kernel: anonymous pages and mapped files. The one file of this crate with `unsafe` in it.
#![allow(
    unsafe_code,
    reason = "mapping memory and looking at it as bytes is what this file is for"
)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

#[cfg(target_endian = "big")]
compile_error!("model files and packed weights are little-endian, and are read in place");

/// What the beginning of mapped memory is aligned to: a huge page.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// What direct reads are aligned to.
pub(crate) const PAGE: usize = 4_096;

/// Address space that is given back at the end.
#[derive(Debug)]
struct Reserved {
    start: NonNull<c_void>,
    bytes: NonZeroUsize,
}

/// Zeros to write on, beginning on a huge page's boundary.
#[derive(Debug)]
pub struct Pages {
    _reserved: Reserved,
    start: NonNull<u8>,
    bytes: usize,
}

/// Bytes that are only read from now on: pages that were written on, and mapped files.
#[derive(Debug)]
pub(crate) struct Region(Pages);

// SAFETY: the memory is owned, read through `&self` and written through `&mut self` only.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Reserved {
    fn new(bytes: NonZeroUsize) -> io::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: new memory at an address of the kernel's choice touches no other.
        let start = unsafe { mmap_anonymous(None, bytes, access, flags) }?;
        Ok(Self { start, bytes })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: what was reserved is given back once; no slice of it outlives `self`.
        let given_back = unsafe { munmap(self.start, self.bytes.get()) };
        debug_assert!(given_back.is_ok(), "the arguments are those of mmap");
    }
}

impl Pages {
    /// So many zeros, in huge pages where the kernel has them.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let room = bytes.checked_add(HUGE_PAGE).and_then(NonZeroUsize::new);
        let reserved = Reserved::new(room.ok_or_else(too_large)?)?;
        let address = reserved.start.as_ptr().addr();
        let to_boundary = address.next_multiple_of(HUGE_PAGE) - address;
        // SAFETY: the boundary is less than a huge page away, and that much more was reserved.
        let start = unsafe { reserved.start.cast::<u8>().add(to_boundary) };
        let pages = Self {
            _reserved: reserved,
            start,
            bytes,
        };
        pages.advise(0..bytes, MmapAdvise::MADV_HUGEPAGE)?;
        Ok(pages)
    }

    /// Advice that this kernel does not know is none. `range` begins on a page.
    fn advise(&self, range: Range<usize>, advice: MmapAdvise) -> io::Result<()> {
        let start = NonNull::from(&self.bytes()[range.clone()]).cast();
        // SAFETY: the memory is owned; the advice changes nothing that can be read there.
        match unsafe { madvise(start, range.len(), advice) } {
            Err(Errno::EINVAL) => Ok(()),
            result => Ok(result?),
        }
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is mapped readable while `self` lives, and only `&mut self` writes to it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    /// All bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the memory is mapped writable while `self` lives, and `&mut self` is the only way to it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl From<Pages> for Region {
    fn from(pages: Pages) -> Self {
        Self(pages)
    }
}

impl Region {
    /// Maps the first `bytes` of a file from `offset` on, a multiple of a huge page, so that huge pages of the file
    /// can be mapped as such. After its end, to the next page's boundary, zeros follow.
    pub(crate) fn map(&mut self, offset: usize, file: &File, bytes: usize) -> io::Result<()> {
        let Some(length) = NonZeroUsize::new(bytes) else {
            return Ok(());
        };
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.0.bytes);
        if !inside || !offset.is_multiple_of(HUGE_PAGE) || file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let address = NonZeroUsize::new(self.0.start.as_ptr().addr() + offset);
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        // SAFETY: what is replaced is owned and lies inside; `&mut self` says that nobody looks at it. The file is
        // long enough, and files of a store are never changed, only replaced or unlinked.
        unsafe { mmap(address, length, ProtFlags::PROT_READ, flags, file, 0) }?;
        // The advice on what was there before went with it. Where the file system has large folios, the file is now read
        // in such, and they are mapped by huge pages.
        self.0.advise(offset..offset + bytes, MmapAdvise::MADV_HUGEPAGE)
    }

    /// Reads pages in, if they are not, so that a file that cannot be read is an error here and not a signal at the
    /// first touch. `range` begins on a page. Older kernels than 5.14 do not know this, and read at the first touch.
    pub(crate) fn populate(&self, range: Range<usize>) -> io::Result<()> {
        self.0.advise(range, MmapAdvise::MADV_POPULATE_READ)
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Gives back to the kernel what was freed on the heap. glibc keeps most of it for the next time otherwise: after a
/// conversation of 1,000 tokens tens of megabytes, in pieces too small or too scattered for it to let go of by itself.
/// Takes milliseconds, in which no other thread gets memory.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, what is allocated stays where it is, and it locks what it works on.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// The floats that bytes are. Bytes that are no whole or no aligned floats are a mistake of this crate.
pub(crate) fn floats(bytes: &[u8]) -> &[f32] {
    // SAFETY: every four bytes are a float.
    let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
    assert!(before.is_empty() && after.is_empty(), "vectors lie on 64 bytes");
    floats
}
