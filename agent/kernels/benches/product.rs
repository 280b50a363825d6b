//! How fast products are: weights read per second and multiplications per second, for each kind of weights, each path
//! that this processor has, and several numbers of rows, beside the rate at which one thread just reads as many bytes.
//!
//! `cargo bench -p kernels --bench product -- [WORD…]` measures the lines that have all the words, such as `Q4_K`,
//! `8960×1536` or `m=1`.

use std::hint::black_box;

use kernels::activations::{Activations, quantise};
use kernels::kind::Kind;
use kernels::layout::{AlignedBytes, ROWS, pack_tile, tile_bytes};
use kernels::matrix::Matrix;
use kernels::path::Path;
use kernels::product::multiply;
use nix::time::{ClockId, clock_gettime};

/// Bytes of weights that are gone through in turn, so that they come from memory and not from the cache.
const WEIGHTS: usize = 160 << 20;
/// The most rows with which a product is measured on weights that come from memory.
const MEMORY_BOUND: usize = 16;
/// Row tiles that are multiplied in one call, as threads take them.
const CHUNK: usize = 16;
/// Measurements of each path.
const TIMES: usize = 7;

/// Matrices of real models: SmolLM2's, then Qwen2.5 1.5B's.
const SHAPES: [(usize, usize, &[Kind]); 8] = [
    (576, 576, &Kind::ALL),
    (1536, 576, &[Kind::Q4_0, Kind::Q4_1, Kind::Q5_0, Kind::Q8_0]),
    (576, 1536, &[Kind::Q4_0, Kind::Q4_1, Kind::Q5_0, Kind::Q8_0]),
    (49152, 576, &[Kind::Q8_0]),
    (1536, 1536, &Kind::ALL),
    (8960, 1536, &[Kind::Q4K, Kind::Q5K, Kind::Q6K]),
    (1536, 8960, &[Kind::Q4K, Kind::Q5K, Kind::Q6K]),
    (151_936, 1536, &[Kind::Q6K]),
];
/// Rows of activations.
const INPUT_ROWS: [usize; 9] = [1, 2, 3, 4, 8, 16, 32, 128, 512];

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    println!("kind   rows×columns   m=rows path      GB/s of weights  of reading  GMAC/s");
    for (rows, columns, kinds) in SHAPES {
        for &kind in kinds {
            if !columns.is_multiple_of(kind.block_columns()) {
                continue;
            }
            for m in INPUT_ROWS {
                let line = format!("{:<6} {:<14} m={m:<4}", kind.name(), format!("{rows}×{columns}"));
                let paths = asked(&line, &words);
                if !paths.is_empty() {
                    measure(&line, &Case::new(kind, rows, columns, m), &paths);
                }
            }
        }
    }
}

/// The paths whose lines have all words.
fn asked(line: &str, words: &[String]) -> Vec<Path> {
    let mut paths = Path::offered();
    paths.retain(|path| {
        let path = path.instructions().name();
        let parts = line.split_whitespace().chain([path]);
        path != "scalar" && words.iter().all(|word| parts.clone().any(|part| part == word))
    });
    paths
}

/// Copies of a matrix and rows of activations.
struct Case {
    kind: Kind,
    rows: usize,
    columns: usize,
    bytes: AlignedBytes,
    input: Activations,
}

impl Case {
    fn new(kind: Kind, rows: usize, columns: usize, m: usize) -> Self {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let matrix = rows.div_ceil(ROWS) * tile_bytes(kind, columns);
        let copies = if m <= MEMORY_BOUND {
            WEIGHTS.div_ceil(matrix)
        } else {
            1
        };
        let mut bytes = AlignedBytes::zeros(matrix * copies);
        let tile = tile(kind, columns, &mut random);
        for place in bytes.chunks_exact_mut(tile.len()) {
            place.copy_from_slice(&tile);
        }
        Self {
            kind,
            rows,
            columns,
            bytes,
            input: activations(m, columns, &mut random),
        }
    }

    /// Multiplies all copies.
    fn multiply(&self, path: Path, output: &mut [f32]) {
        let matrix = self.rows.div_ceil(ROWS) * tile_bytes(self.kind, self.columns);
        for bytes in self.bytes.chunks_exact(matrix) {
            let matrix = Matrix::new(self.kind, self.rows, self.columns, bytes).expect("a matrix");
            for first in (0..matrix.tiles()).step_by(CHUNK) {
                let tiles = first..matrix.tiles().min(first + CHUNK);
                let output = &mut output[..self.input.rows() * tiles.len() * ROWS];
                multiply(path, &matrix, tiles, &self.input, output);
                black_box(output);
            }
        }
    }

    fn products(&self) -> f64 {
        let copies = self.bytes.len() / (self.rows.div_ceil(ROWS) * tile_bytes(self.kind, self.columns));
        (copies * self.rows * self.columns * self.input.rows()) as f64
    }
}

/// A row tile of random weights whose floats are small numbers.
fn tile(kind: Kind, columns: usize, random: &mut Random) -> AlignedBytes {
    let mut rows = vec![0_u8; ROWS * kind.row_bytes(columns)];
    rows.fill_with(|| random.next() as u8);
    let half = half_floats(kind);
    for block in rows.chunks_exact_mut(kind.block_bytes()) {
        for &(first, high) in half {
            block[first + 1] = block[first + 1] & 0x83 | high;
        }
        if kind == Kind::F32 || kind == Kind::BF16 {
            let last = block.len() - 1;
            block[last] = block[last] & 0x80 | 0x3C;
        }
    }
    let mut tile = AlignedBytes::zeros(tile_bytes(kind, columns));
    pack_tile(kind, columns, &rows, &mut tile);
    tile
}

/// Where a block has 16-bit floats, and an exponent for each.
fn half_floats(kind: Kind) -> &'static [(usize, u8)] {
    match kind {
        Kind::F32 | Kind::BF16 => &[],
        Kind::F16 | Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => &[(0, 0x20)],
        Kind::Q4_1 | Kind::Q4K | Kind::Q5K => &[(0, 0x20), (2, 0x20)],
        Kind::Q6K => &[(208, 0x20)],
    }
}

fn activations(rows: usize, columns: usize, random: &mut Random) -> Activations {
    let mut input = Activations::default();
    input.reset(rows, columns);
    for mut row in input.rows_mut() {
        row.values
            .fill_with(|| random.next() as i32 as f32 / i32::MAX as f32);
        quantise(Path::SCALAR, &mut row);
    }
    input
}

/// Measures each path in turn, several times, and prints medians.
fn measure(line: &str, case: &Case, paths: &[Path]) {
    let mut output = vec![0.0; case.input.rows() * CHUNK * ROWS];
    let mut seconds = vec![Vec::new(); paths.len()];
    let mut reading = Vec::new();
    let repeat = (WEIGHTS as f64 / case.bytes.len() as f64 / case.input.rows() as f64 / 4.0).ceil() as usize;
    for _ in 0..TIMES {
        reading.push(time(repeat, || {
            black_box(read(&case.bytes));
        }));
        for (seconds, &path) in seconds.iter_mut().zip(paths) {
            seconds.push(time(repeat, || case.multiply(path, &mut output)));
        }
    }
    let reading = median(&mut reading);
    for (seconds, path) in seconds.iter_mut().zip(paths) {
        let seconds = median(seconds);
        println!(
            "{line} {:<9} {:>15.1} {:>10.0}% {:>7.1}",
            path.instructions().name(),
            case.bytes.len() as f64 / seconds / 1e9,
            100.0 * reading / seconds,
            case.products() / seconds / 1e9,
        );
    }
}

/// Seconds that this thread computes in one run: what else the machine does is left out as far as it can be.
fn time(repeat: usize, mut run: impl FnMut()) -> f64 {
    let start = computed();
    for _ in 0..repeat {
        run();
    }
    (computed() - start) / repeat as f64
}

fn computed() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has");
    std::time::Duration::from(time).as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Reads all bytes.
fn read(bytes: &[u8]) -> u64 {
    let mut sums = [0_u64; 16];
    for line in bytes.as_chunks::<8>().0.as_chunks::<16>().0 {
        for (sum, &word) in sums.iter_mut().zip(line) {
            *sum = sum.wrapping_add(u64::from_ne_bytes(word));
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
