//! What attention costs on one thread, over the keys and values of a whole model, layer after layer, as a step reads
//! them.
//!
//! `cargo bench --package kernels --bench attention -- [decode|prefill] [path …]`. Figures are the fastest tenth of
//! interleaved rounds, because on a busy machine the median measures the others. Beside decode stands what it takes to read the same bytes once.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kernels::attention::{
    History, Queries, Scratch, combine, decode_range, partial_len, prefill_tile, ranges,
};
use kernels::kv::{KvBlock, KvKind, KvShape, POSITIONS};
use kernels::path::Path;

/// Rows of a tile of prefill.
const TILE_ROWS: usize = 16;
/// How long each figure is measured.
const BUDGET: Duration = Duration::from_millis(600);

struct Model {
    name: &'static str,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

const MODELS: [Model; 2] = [
    Model {
        name: "SmolLM2-135M",
        layers: 30,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
    },
    Model {
        name: "Qwen2.5-1.5B",
        layers: 28,
        heads: 12,
        kv_heads: 2,
        head_dim: 128,
    },
];

impl Model {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// A sequence with all positions written.
    fn sequence(&self, kind: KvKind, positions: usize, layers: usize) -> Vec<KvBlock> {
        let shape = KvShape::new(layers, self.kv_heads, self.head_dim, kind).expect("a model's shape");
        let write = Path::offered()[Path::offered().len() - 1];
        let mut blocks: Vec<_> = (0..positions.div_ceil(POSITIONS))
            .map(|_| KvBlock::new(shape))
            .collect();
        for (index, block) in blocks.iter_mut().enumerate() {
            for layer in 0..layers {
                for mut head in block.layer_mut(layer) {
                    for position in 0..POSITIONS {
                        let row = wave(self.head_dim, index * POSITIONS + position + layer);
                        head.write(write, position, &row, &row);
                    }
                }
            }
        }
        blocks
    }
}

fn wave(columns: usize, seed: usize) -> Vec<f32> {
    (0..columns)
        .map(|column| (((column * 31 + seed * 17) % 101) as f32 - 50.0) / 50.0)
        .collect()
}

/// One decode step's attention in one layer.
fn decode(path: Path, model: &Model, blocks: &[KvBlock], positions: usize, layer: usize, room: &mut Room) {
    let columns = model.group() * model.head_dim;
    let partial = partial_len(model.group(), model.head_dim);
    room.partials.resize(ranges(positions) * partial, 0.0);
    for kv_head in 0..model.kv_heads {
        let history = History {
            blocks,
            layer,
            kv_head,
        };
        let queries = &room.queries[kv_head * columns..][..columns];
        for (range, partial) in room.partials.chunks_mut(partial).enumerate() {
            decode_range(path, history, positions, range, model.scale(), queries, partial);
        }
        combine(path, model.head_dim, &room.partials, &mut room.output[..columns]);
    }
    black_box(&room.output);
}

/// Reads all bytes of one layer once.
fn read(model: &Model, blocks: &[KvBlock], layer: usize) -> u64 {
    let sum = |block: &KvBlock| {
        let bytes = block.bytes().len() / model.layers;
        let (lines, _) = block.bytes()[layer * bytes..][..bytes].as_chunks::<64>();
        let sums = lines.iter().fold([0_u64; 8], |mut sums, line| {
            for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
                *sum ^= u64::from_ne_bytes(*word);
            }
            sums
        });
        sums.into_iter().fold(0, |a, b| a ^ b)
    };
    blocks.iter().map(sum).fold(0, |a, b| a ^ b)
}

/// The attention of a prompt from position 0, one layer.
fn prefill(path: Path, model: &Model, blocks: &[KvBlock], rows: usize, room: &mut Room) {
    let columns = model.group() * model.head_dim;
    let stride = model.heads * model.head_dim;
    for first in (0..rows).step_by(TILE_ROWS) {
        for kv_head in 0..model.kv_heads {
            let history = History {
                blocks,
                layer: 0,
                kv_head,
            };
            let queries = Queries {
                values: &room.queries[kv_head * columns..],
                stride,
                rows: TILE_ROWS,
                group: model.group(),
                first_position: first,
            };
            let output = &mut room.output[..TILE_ROWS * columns];
            prefill_tile(path, history, model.scale(), queries, output, &mut room.scratch);
        }
    }
    black_box(&room.output);
}

#[derive(Default)]
struct Room {
    queries: Vec<f32>,
    partials: Vec<f32>,
    output: Vec<f32>,
    scratch: Scratch,
}

impl Room {
    fn new(model: &Model) -> Self {
        let columns = model.heads * model.head_dim;
        Self {
            queries: wave(TILE_ROWS * columns, 5),
            output: vec![0.0; TILE_ROWS * columns],
            ..Self::default()
        }
    }
}

/// What is measured, told the round, so that each round can take another layer.
type Work<'a> = Box<dyn FnMut(usize) + 'a>;

/// Seconds that the fastest tenth took of all of `works`, each run in turn until the budget is used.
fn interleaved(works: &mut [Work<'_>]) -> Vec<f64> {
    let mut times = vec![Vec::new(); works.len()];
    works.iter_mut().for_each(|work| work(0));
    let began = Instant::now();
    while began.elapsed() < BUDGET * works.len() as u32 || times[0].len() < 5 {
        let round = times[0].len();
        for (work, times) in works.iter_mut().zip(&mut times) {
            let began = Instant::now();
            work(round);
            times.push(began.elapsed().as_secs_f64());
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 10]
        })
        .collect()
}

fn decode_table(paths: &[Path], depths: &[usize]) {
    println!("decode, one thread: µs a layer (GB/s of keys and values); reading alone");
    for model in &MODELS {
        for kind in [KvKind::F16, KvKind::Q8] {
            for &depth in depths {
                let blocks = model.sequence(kind, depth, model.layers);
                let bytes = blocks.len() * blocks[0].bytes().len() / model.layers;
                let mut rooms: Vec<_> = paths.iter().map(|_| Room::new(model)).collect();
                let mut works: Vec<Work<'_>> = vec![Box::new(|round| {
                    black_box(read(model, &blocks, round % model.layers));
                })];
                for (&path, room) in paths.iter().zip(&mut rooms) {
                    let blocks = &blocks;
                    works.push(Box::new(move |round| {
                        decode(path, model, blocks, depth, round % model.layers, room);
                    }));
                }
                let seconds = interleaved(&mut works);
                print!("{} {kind:?} {depth:>5}", model.name);
                let names = paths.iter().map(|path| path.instructions().name());
                for (name, seconds) in names
                    .chain(["read"])
                    .zip(seconds[1..].iter().chain(&seconds[..1]))
                {
                    print!(
                        "  {name} {:8.2} ({:5.2})",
                        seconds * 1e6,
                        bytes as f64 / seconds / 1e9
                    );
                }
                println!();
            }
        }
    }
}

fn prefill_table(paths: &[Path], depths: &[usize]) {
    println!("prefill from position 0, one thread, one layer: GFLOP/s");
    for model in &MODELS {
        for kind in [KvKind::F16, KvKind::Q8] {
            for &depth in depths {
                let blocks = model.sequence(kind, depth, 1);
                let mut rooms: Vec<_> = paths.iter().map(|_| Room::new(model)).collect();
                let mut works: Vec<Work<'_>> = Vec::new();
                for (&path, room) in paths.iter().zip(&mut rooms) {
                    let blocks = &blocks;
                    works.push(Box::new(move |_| prefill(path, model, blocks, depth, room)));
                }
                let seconds = interleaved(&mut works);
                // A product and a sum, for the score and for the value, for each pair of a row and what it sees.
                let pairs = (depth * (depth + 1) / 2) as f64;
                let operations = 4.0 * pairs * (model.heads * model.head_dim) as f64;
                print!("{} {kind:?} {depth:>5}", model.name);
                for (path, seconds) in paths.iter().zip(seconds) {
                    print!("  {} {:7.2}", path.instructions(), operations / seconds / 1e9);
                }
                println!();
            }
        }
    }
}

fn main() {
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |word: &str| words.iter().any(|other| other == word);
    let mut paths = Path::offered();
    if paths.iter().any(|path| wanted(path.instructions().name())) {
        paths.retain(|path| wanted(path.instructions().name()));
    }
    let named: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let depths = |usual: &[usize]| {
        if named.is_empty() {
            usual.to_vec()
        } else {
            named.clone()
        }
    };
    if wanted("decode") || !wanted("prefill") {
        decode_table(&paths, &depths(&[128, 512, 2048, 8192]));
    }
    if wanted("prefill") || !wanted("decode") {
        prefill_table(&paths, &depths(&[128, 512, 2048]));
    }
}
