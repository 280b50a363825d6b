//! How fast a model is imported, verified and loaded: `cargo bench -p store -- FILE.gguf`.
//!
//! The store is made beside the file and removed at the end. Files are in the page cache by then: loads are warm.
#![allow(clippy::unwrap_used, reason = "a failure ends the measurement")]

use std::path::Path;
use std::time::Instant;

use store::packed::Packed;
use store::source::Source;
use store::{ModelId, Progress, Store};

const REPETITIONS: usize = 9;

fn silent(_: Progress) {}

fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// The median of many.
fn median(mut work: impl FnMut()) -> f64 {
    let mut all: Vec<f64> = (0..REPETITIONS).map(|_| seconds(&mut work).1).collect();
    all.sort_by(f64::total_cmp);
    all[REPETITIONS / 2]
}

/// One token's way through a model: every layer once, then the output.
fn pass(packed: &Packed) {
    for layer in 0..packed.layers() {
        packed.layer(layer).unwrap();
    }
    let tensors = packed.tensors();
    let output = tensors
        .find("output.weight")
        .or(tensors.find("token_embd.weight"))
        .unwrap();
    packed.pieces(output).for_each(|piece| drop(piece.unwrap()));
}

/// Reads one byte of each page of the layers, as a kernel touches all of them.
fn touch(packed: &Packed) -> u8 {
    let matrices = packed.tensors().iter().filter(|(_, tensor)| !tensor.is_vector());
    matrices.fold(0, |sum, (id, tensor)| {
        let Some(layer) = tensor.layer() else { return sum };
        let layer = packed.layer(layer).unwrap();
        let matrix = layer.matrix(id);
        let bytes = (0..matrix.tiles()).flat_map(|tile| matrix.tile(tile).iter().step_by(4096));
        bytes.fold(sum, |sum, byte| sum.wrapping_add(*byte))
    })
}

/// What this process has in huge pages, in MB: of files and of its own.
fn huge_pages() -> String {
    let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let of = |key| {
        smaps
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    format!(
        "{}; {}; {}",
        of("Rss:"),
        of("FilePmdMapped:"),
        of("AnonHugePages:")
    )
}

fn main() {
    let Some(file) = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
    else {
        println!("usage: cargo bench -p store -- FILE.gguf");
        return;
    };
    let file = Path::new(&file);
    let folder = tempfile::tempdir_in(file.parent().unwrap()).unwrap();
    let id: ModelId = "measured".parse().unwrap();
    let store = Store::new(folder.path());
    let import = || store.import(&Source::open(file).unwrap(), &id, &silent).unwrap();
    let (manifest, first) = seconds(import);
    let (_, again) = seconds(import);
    let bytes = manifest.model.stored() as f64;
    println!(
        "blocks    {} of {:.1} MB together",
        manifest.model.blocks().count(),
        bytes / 1e6
    );
    println!(
        "import    {first:.2} s, {:.0} MB/s; again {again:.2} s",
        bytes / first / 1e6
    );
    let verify = median(|| assert!(store.verify(&id, &silent).unwrap().is_empty()));
    println!("verify    {:.2} GB/s", bytes / verify / 1e9);
    let fresh = median(|| drop(Store::new(folder.path()).load(&id).unwrap()));
    let known = median(|| drop(store.load(&id).unwrap()));
    println!(
        "load      {:.1} ms; {:.1} ms where verified before",
        fresh * 1e3,
        known * 1e3
    );
    let first_touch = median(|| {
        let packed = store.load(&id).unwrap();
        std::hint::black_box(touch(&packed));
    });
    println!("load and touch all layers {:.1} ms", first_touch * 1e3);
    let packed = store.load(&id).unwrap();
    touch(&packed);
    println!("{}", huge_pages());
    drop(packed);
    for share in [35, 60] {
        let budget = manifest.model.bytes() as usize / 100 * share;
        let streamed = store.load_within(&id, budget).unwrap();
        let token = median(|| pass(&streamed));
        println!(
            "budget {share} %: {:.0} ms for a pass without arithmetic",
            token * 1e3
        );
    }
}
