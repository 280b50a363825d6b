//! What parking a conversation costs and saves: `cargo bench -p engine --bench park -- FILE.gguf`.
//!
//! A text of 1,024 tokens is read, and the keys and values that come of it are compressed in every way that was thought of;
//! the ways that [`engine::parking`] does not take are there to show why. Then an engine is asked the same with and
//! without it, from memory, from disk and in a new engine, and what it takes until the first token is compared with reading
//! the prompt.
#![allow(clippy::unwrap_used, reason = "a failure ends the measurement")]

use std::path::Path;
use std::time::{Duration, Instant};

use engine::capacity::Limit;
use engine::catalog::Source;
use engine::engine::{Ended, Engine, Settings};
use engine::parking;
use engine::request::{Event, Request, Summary};
use engine::sampler::Sampling;
use engine::solo::Solo;
use engine::template::renderer::Renderer;
use engine::template::{Message, Role};
use kernels::compute::{Compute, Fusions};
use kernels::kv::{KvKind, POSITIONS};
use kernels::path::choose;
use kernels::pool::Pool;
use store::Store;
use store::source::Source as Gguf;

const TOKENS: usize = 1_024;
const THREADS: usize = 2;
const REPETITIONS: usize = 5;
/// A text that is there wherever this is built.
const TEXT: &str = include_str!("../../../README.md");

fn milliseconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64() * 1e3, result)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// All first bytes of elements of two, then all second ones.
fn grouped(bytes: &[u8]) -> Vec<u8> {
    let plane = |place: usize| bytes.iter().skip(place).step_by(2).copied();
    plane(0).chain(plane(1)).collect()
}

type Way = (&'static str, fn(&[u8]) -> Vec<u8>, fn(&[u8], usize) -> Vec<u8>);

const WAYS: [Way; 4] = [
    ("lz4", lz4_flex::block::compress, |bytes, length| {
        lz4_flex::block::decompress(bytes, length).unwrap()
    }),
    ("zstd-1", |bytes| zstd(bytes, 1), unzstd),
    ("zstd-3", |bytes| zstd(bytes, 3), unzstd),
    ("zstd-9", |bytes| zstd(bytes, 9), unzstd),
];

fn zstd(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(bytes, level).unwrap()
}

fn unzstd(bytes: &[u8], length: usize) -> Vec<u8> {
    zstd::bulk::decompress(bytes, length).unwrap()
}

/// Ratio and times of each way, block by block.
fn ratios(name: &str, blocks: &[Vec<u8>]) {
    let bytes: usize = blocks.iter().map(Vec::len).sum();
    let megabytes = bytes as f64 / 1e6;
    for (way, compress, decompress) in WAYS {
        let (there, packed) = milliseconds(|| blocks.iter().map(|block| compress(block)).collect::<Vec<_>>());
        let length = |(packed, block): (&Vec<u8>, &Vec<u8>)| decompress(packed, block.len()).len();
        let (back, lengths) = milliseconds(|| packed.iter().zip(blocks).map(length).sum::<usize>());
        assert_eq!(lengths, bytes);
        let packed: usize = packed.iter().map(Vec::len).sum();
        println!(
            "{name:<14} {way:<7} {:>6.1} % {:>8.2} {:>8.2}",
            100.0 * packed as f64 / bytes as f64,
            there / megabytes,
            back / megabytes
        );
    }
}

/// Keys and values of the text.
fn blocks(file: &Path, kv: KvKind) -> Vec<Vec<u8>> {
    let compute = Compute::new(choose().path, Pool::new(THREADS).unwrap(), Fusions::ALL);
    let mut solo = Solo::load(&Source::Gguf(file.to_owned()), None, 2 * TOKENS, kv, compute).unwrap();
    let tokens = solo.model().vocabulary.encode(TEXT).unwrap();
    solo.read(&tokens[..TOKENS]).unwrap();
    let seen = solo.seen();
    seen.blocks().iter().map(|block| block.bytes().to_vec()).collect()
}

fn settings(models: &Path, kv: KvKind, parking: parking::Settings) -> Settings {
    Settings {
        folders: vec![models.to_owned()],
        slots: 1,
        queue: 1,
        context: 4 * TOKENS,
        path: choose().path,
        threads: THREADS,
        fused: Fusions::ALL,
        kv,
        memory_budget: None,
        available: None,
        limit: Limit::default(),
        parking,
        renderer: Renderer::Here,
    }
}

/// About 1,000 tokens of the text, and one token of an answer: how long that takes, and what the engine says of it.
fn ask(engine: &Engine) -> (f64, Summary) {
    let end = (0..=4 * TOKENS).rev().find(|&end| TEXT.is_char_boundary(end));
    let request = Request {
        model: "model".to_owned(),
        context: None,
        messages: vec![Message {
            role: Role::User,
            content: TEXT[..end.unwrap_or_default()].to_owned(),
        }],
        sampling: Sampling {
            temperature: 0.0,
            top_p: 1.0,
            seed: 1,
        },
        max_tokens: Some(1),
        stops: Vec::new(),
    };
    milliseconds(|| {
        let mut answer = engine.submit(request);
        loop {
            match answer.blocking_next() {
                Some(Event::Finished(summary)) => return summary,
                Some(Event::Started { .. } | Event::Text(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    })
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

/// What this process has in memory that is no file's, MB.
fn anonymous() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.unwrap().trim().parse::<f64>().unwrap() / 1e3
}

/// An engine that has the model loaded, and its end.
fn begun(models: &Path, kv: KvKind, parking: parking::Settings) -> (Engine, Ended) {
    let (engine, ended) = Engine::start(settings(models, kv, parking)).unwrap();
    wait(engine.load("model", None)).unwrap();
    (engine, ended)
}

/// Milliseconds of each repetition.
#[derive(Default)]
struct Times {
    read: Vec<f64>,
    hot: Vec<f64>,
    parks: Vec<f64>,
    mapped: Vec<f64>,
    cold: Vec<f64>,
    process: Vec<f64>,
}

/// Times of one conversation on its way to disk and back.
fn turns(models: &Path, kv: KvKind) {
    let state = tempfile::tempdir().unwrap();
    let kept = parking::Settings {
        memory: 1 << 30,
        pack_after: Duration::MAX,
        write_after: Duration::MAX,
        disk: Some(parking::Disk {
            folder: state.path().join("kv"),
            quota: 1 << 30,
        }),
    };
    let mut times = Times::default();
    let (plain, mut ended) = begun(models, kv, parking::Settings::NONE);
    times.read = (0..REPETITIONS).map(|_| ask(&plain).0).collect();
    let tokens = ask(&plain).1.prompt_tokens;
    drop(plain);
    wait(ended.wait());
    let (engine, _ended) = begun(models, kv, kept.clone());
    ask(&engine);
    for _ in 0..REPETITIONS {
        park_and_go_on(&engine, tokens, &mut times, || begun(models, kv, kept.clone()));
    }
    wait(engine.park()).unwrap();
    let file = std::fs::read_dir(state.path().join("kv"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    println!(
        "{kv:?}: {tokens} tokens, {} bytes on disk; milliseconds, medians of {REPETITIONS}",
        file.metadata().unwrap().len()
    );
    show(times);
}

/// Parks the conversation of so many tokens and goes on with it: from disk, from memory, and in an engine that begins.
fn park_and_go_on(engine: &Engine, tokens: usize, times: &mut Times, begin: impl Fn() -> (Engine, Ended)) {
    let reused = (tokens - 1) / POSITIONS * POSITIONS;
    let before = anonymous();
    let (time, _) = milliseconds(|| assert!(wait(engine.park()).unwrap()));
    times.parks.push(time);
    println!("anonymous memory: {before:.1} MB, parked {:.1} MB", anonymous());
    let mapping = milliseconds(|| wait(engine.load("model", None)).unwrap());
    times.mapped.push(mapping.0);
    let (time, summary) = ask(engine);
    assert_eq!(summary.reused_tokens, reused);
    times.cold.push(time);
    times.hot.push(ask(engine).0);
    wait(engine.park()).unwrap();
    let (next, mut ended) = begin();
    let (time, summary) = ask(&next);
    assert_eq!(summary.reused_tokens, reused);
    times.process.push(time);
    drop(next);
    wait(ended.wait());
    wait(engine.load("model", None)).unwrap();
    ask(engine);
}

fn show(times: Times) {
    for (name, times) in [
        ("prompt read, first token", times.read),
        ("gone on from memory, first token", times.hot),
        ("parked: written, model let go of", times.parks),
        ("model mapped again", times.mapped),
        ("gone on from disk, first token", times.cold),
        ("the same in a new engine", times.process),
    ] {
        println!("{:>8.1}  {name}", median(times));
    }
}

fn main() {
    let Some(file) = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
    else {
        println!("usage: cargo bench -p engine --bench park -- FILE.gguf");
        return;
    };
    let (file, models) = (Path::new(&file), tempfile::tempdir().unwrap());
    let source = Gguf::open(file).unwrap();
    Store::new(models.path())
        .import(&source, &"model".parse().unwrap(), &|_| {})
        .unwrap();
    println!("{TOKENS} tokens of text           size  ms/MB to, from");
    for (name, kv) in [("f16", KvKind::F16), ("q8", KvKind::Q8)] {
        let blocks = blocks(file, kv);
        ratios(&format!("{name} as it is"), &blocks);
        ratios(
            &format!("{name} grouped"),
            &blocks.iter().map(|block| grouped(block)).collect::<Vec<_>>(),
        );
    }
    for kv in [KvKind::F16, KvKind::Q8] {
        turns(models.path(), kv);
    }
}
