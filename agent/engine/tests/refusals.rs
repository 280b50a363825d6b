//! Model files that are wrong in one thing: each is refused with the file, the place and the reason, and with hardly more
//! memory than the file has bytes.
#![allow(unsafe_code, reason = "counting what is allocated takes an allocator")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use engine::model;
use engine::template::renderer::Renderer;
use engine::tiny::Model;
use engine::tiny::bad::{self, Bad};
use store::source::Source;

/// Memory that a refusal may take beside a multiple of the file: buffers for reading and for the message.
const MARGIN: usize = 64 << 10;

struct Counting;

thread_local! {
    /// Bytes that this thread has allocated more than it has given back.
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

/// What a result took at the most beside what there was before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

/// Why a file is not taken, as the import service tells it.
fn refusal(path: &Path) -> Option<String> {
    match Source::open(path) {
        Err(error) => Some(error.to_string()),
        Ok(source) => model::check(&source, Renderer::Here).err(),
    }
}

fn is_refused(folder: &Path, bad: &Bad) {
    let path = folder.join(format!("{}.gguf", bad.name));
    fs::write(&path, &bad.bytes).unwrap();
    let (refusal, peak) = peak_of(|| refusal(&path));
    let message = refusal.unwrap_or_else(|| panic!("{} is taken", bad.name));
    assert!(
        message.starts_with(path.to_str().unwrap()),
        "{}: {message}",
        bad.name
    );
    for words in &bad.says {
        assert!(
            message.contains(words),
            "{}: {message}\nand not: {words}",
            bad.name
        );
    }
    assert!(message.len() < 1_000, "{}: {message}", bad.name);
    let limit = 16 * bad.bytes.len() + MARGIN;
    assert!(
        peak <= limit,
        "{}: {peak} bytes for a file of {}",
        bad.name,
        bad.bytes.len()
    );
}

#[test]
fn heads_that_are_wrong_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    bad::heads().iter().for_each(|bad| is_refused(folder.path(), bad));
}

#[test]
fn what_is_no_model_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    bad::models()
        .iter()
        .for_each(|bad| is_refused(folder.path(), bad));
}

/// Else the others could be refused for anything.
#[test]
fn the_model_that_they_are_made_of_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.gguf");
    fs::write(&path, Model::new(64).bytes()).unwrap();
    assert_eq!(refusal(&path), None);
}
