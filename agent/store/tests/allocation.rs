//! How much memory a head takes while it is read: a small multiple of its bytes, whatever it claims.
#![allow(unsafe_code, reason = "counting what is allocated takes an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Bytes that this thread has allocated more than it has given back; what others do meanwhile is not the test's.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    NOW.set(NOW.get() + bytes);
    PEAK.set(PEAK.get().max(NOW.get()));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The most that is allocated beside what there was before.
fn peak_of(bytes: &[u8]) -> usize {
    let before = NOW.get();
    PEAK.set(before);
    let _any = store::gguf::read(bytes, bytes.len() as u64);
    (PEAK.get() - before) as usize
}

fn head(tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    [
        b"GGUF\x03\0\0\0",
        &tensors.to_le_bytes()[..],
        &entries.to_le_bytes(),
        rest,
    ]
    .concat()
}

/// An array whose element type and count are followed by whatever there is.
fn array(kind: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    let key = [&1_u64.to_le_bytes()[..], b"k", &9_u32.to_le_bytes()].concat();
    [&key, &kind.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

#[test]
fn memory_follows_what_is_there_and_not_what_is_claimed() {
    let zeros = vec![0; 1 << 16];
    for (what, file) in [
        ("nothing behind counts", head(65_536, 65_536, &[])),
        ("a list of bytes", head(0, 1, &array(0, 1 << 22, &zeros))),
        ("a list of empty texts", head(0, 1, &array(8, 1 << 22, &zeros))),
        ("a list of long numbers", head(0, 1, &array(10, 1 << 22, &zeros))),
        (
            "an endless text",
            head(0, 1, &array(8, 1, &(1_u64 << 20).to_le_bytes())),
        ),
        ("tensors without an end", head(65_536, 0, &zeros)),
    ] {
        let (peak, limit) = (peak_of(&file), 16 * file.len() + 4_096);
        assert!(peak <= limit, "{what}: {peak} bytes for a head of {}", file.len());
    }
}
