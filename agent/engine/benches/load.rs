//! How long it takes until a stored model answers, and what of: `cargo bench -p engine --bench load -- FILE.gguf`.
//!
//! The file is packed into a store in a temporary folder first, and so its blocks are in the page cache: what is
//! measured is a second load. Each load is of a new `Store`, which has verified no block yet, as in a new process.
#![allow(clippy::unwrap_used, reason = "a failure ends the measurement")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use engine::catalog::Source;
use engine::graph::{Graph, Part};
use engine::model;
use engine::vocabulary::Vocabulary;
use kernels::compute::{Compute, Fusions};
use kernels::kv::KvKind;
use kernels::path::choose;
use kernels::pool::Pool;
use store::source::Source as Gguf;
use store::{ModelId, Store};

const REPETITIONS: usize = 15;
const CONTEXT: usize = 4_096;

/// Milliseconds that some work takes, and what comes of it.
fn milliseconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64() * 1e3, result)
}

/// Milliseconds of each step, one after the other, and of the load in which they overlap.
fn steps(folder: &Path, id: &ModelId, compute: &mut Compute) -> [(&'static str, f64); 6] {
    let source = Source::Stored(Arc::new(Store::new(folder)), id.clone());
    let (whole, (model, mut graph)) =
        milliseconds(|| model::load(&source, None, CONTEXT, KvKind::F16).unwrap());
    let mut kv = model.new_kv();
    let (first, ()) = milliseconds(|| one_token(&mut graph, compute, &mut kv));
    let store = Store::new(folder);
    let (open, opened) = milliseconds(|| store.open(id).unwrap());
    let (vocabulary, _) = milliseconds(|| Vocabulary::read(opened.metadata(), folder).unwrap());
    let (verified, _) = milliseconds(|| opened.load(None).unwrap());
    let (mapped, _) = milliseconds(|| opened.load(None).unwrap());
    [
        ("metadata read", open),
        ("vocabulary made", vocabulary),
        ("weights mapped and verified", verified),
        ("weights mapped, known to be whole", mapped),
        ("model loaded, all of this at once", whole),
        ("first token after that", first),
    ]
}

fn one_token(graph: &mut Graph, compute: &mut Compute, kv: &mut engine::kv::KvCache) {
    let (tokens, logits) = (&[1], true);
    graph
        .forward(compute, &mut [Part { tokens, kv, logits }])
        .unwrap();
}

fn main() {
    let Some(file) = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
    else {
        println!("usage: cargo bench -p engine --bench load -- FILE.gguf");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let id: ModelId = "model".parse().unwrap();
    let source = Gguf::open(Path::new(&file)).unwrap();
    Store::new(folder.path()).import(&source, &id, &|_| {}).unwrap();
    let (chosen, choice) = milliseconds(choose);
    let mut compute = Compute::new(choice.path, Pool::new(2).unwrap(), Fusions::ALL);
    let all: Vec<_> = (0..REPETITIONS)
        .map(|_| steps(folder.path(), &id, &mut compute))
        .collect();
    println!(
        "{file}: milliseconds, medians of {REPETITIONS}; {} computes on 2 threads",
        choice.path.instructions().name()
    );
    println!("{chosen:>8.1}  instructions chosen, where that is not kept");
    for step in 0..all[0].len() {
        let mut times: Vec<f64> = all.iter().map(|steps| steps[step].1).collect();
        times.sort_by(f64::total_cmp);
        println!("{:>8.1}  {}", times[REPETITIONS / 2], all[0][step].0);
    }
}
