//! Which path is run: the fastest by measurement, or the one that was asked for.
//!
//! Flags alone do not tell it: QEMU's emulator offers AVX2, and code in it was seen there at a thirtieth of the speed of
//! plain code, and other code at its equal; and there are processors that lower their clock for wide vectors.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::activations::{Activations, quantise};
use crate::kind::Kind;
use crate::layout::{AlignedBytes, ROWS, pack, packed_bytes};
use crate::matrix::Matrix;
use crate::path::Path;
use crate::product;

/// The path that is run and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The path.
    pub path: Path,
    /// What was measured, in order of [`Path::offered`]; nothing if the path was forced.
    pub measured: Vec<Measured>,
    /// Whether it was asked for by name.
    pub forced: bool,
}

/// How fast a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The path.
    pub path: Path,
    /// Million multiply-accumulates per second on one thread, weights and activations in the cache.
    pub speed: u64,
}

impl Choice {
    /// The path that was asked for.
    pub fn forced(path: Path) -> Self {
        Self {
            path,
            measured: Vec::new(),
            forced: true,
        }
    }
}

/// Measures all paths that this processor has, a few milliseconds in all, and takes the fastest.
pub fn choose() -> Choice {
    let probe = Probe::new();
    let mut best = Duration::MAX;
    let measured: Vec<_> = Path::offered()
        .into_iter()
        .map(|path| {
            let glance = probe.time(path, &probe.glance);
            best = best.min(glance);
            let hopeless = glance > best * HOPELESS;
            let speed = if hopeless {
                speed(probe.glance.work(), glance)
            } else {
                probe.speed(path)
            };
            Measured { path, speed }
        })
        .collect();
    let fastest = measured.iter().max_by_key(|measured| measured.speed);
    Choice {
        path: fastest.map_or(Path::SCALAR, |measured| measured.path),
        measured,
        forced: false,
    }
}

/// A path that is so many times slower at first glance is looked at no more: emulated, a proper look would take long.
const HOPELESS: u32 = 3;
/// How long each of three pieces of work is repeated.
const LOOK: Duration = Duration::from_micros(700);
/// Runs of which the fastest counts, at least.
const LEAST: usize = 3;

const KIND: Kind = Kind::Q4_1;
const COLUMNS: usize = 256;
const ROWS_OF_WEIGHTS: usize = 4 * ROWS;
const ROWS_AT_ONCE: usize = 32;

/// What is measured.
struct Probe {
    packed: AlignedBytes,
    glance: Piece,
    decode: Piece,
    prefill: Piece,
}

/// A product.
struct Piece {
    tiles: usize,
    input: Activations,
}

impl Piece {
    fn new(tiles: usize, rows: usize) -> Self {
        let mut input = Activations::default();
        input.reset(rows, COLUMNS);
        for mut row in input.rows_mut() {
            for (column, value) in row.values.iter_mut().enumerate() {
                *value = (column % 19) as f32 - 9.0;
            }
            quantise(Path::SCALAR, &mut row);
        }
        Self { tiles, input }
    }

    /// Multiply-accumulates.
    fn work(&self) -> usize {
        self.tiles * ROWS * COLUMNS * self.input.rows()
    }
}

impl Probe {
    fn new() -> Self {
        let source: Vec<u8> = (0..ROWS_OF_WEIGHTS * KIND.row_bytes(COLUMNS))
            .map(|byte| byte as u8)
            .collect();
        let mut packed = AlignedBytes::zeros(packed_bytes(KIND, ROWS_OF_WEIGHTS, COLUMNS));
        pack(KIND, ROWS_OF_WEIGHTS, COLUMNS, &source, &mut packed);
        Self {
            packed,
            glance: Piece::new(1, 1),
            decode: Piece::new(ROWS_OF_WEIGHTS / ROWS, 1),
            prefill: Piece::new(ROWS_OF_WEIGHTS / ROWS, ROWS_AT_ONCE),
        }
    }

    /// The speed where half of the work comes row by row and half in many rows at once.
    fn speed(&self, path: Path) -> u64 {
        let decode = self.time(path, &self.decode);
        let prefill = self.time(path, &self.prefill);
        speed(2 * self.prefill.work(), decode * ROWS_AT_ONCE as u32 + prefill)
    }

    /// The fastest of several runs: what other processes take away is no property of the path.
    fn time(&self, path: Path, piece: &Piece) -> Duration {
        let matrix = self.matrix();
        let mut output = vec![0.0; piece.tiles * ROWS * piece.input.rows()];
        let mut run = || {
            let begin = Instant::now();
            product::multiply(path, &matrix, 0..piece.tiles, &piece.input, &mut output);
            std::hint::black_box(&mut output);
            begin.elapsed()
        };
        // An emulator translates the code as it runs for the first time.
        run();
        let (mut fastest, begin, mut runs) = (Duration::MAX, Instant::now(), 0);
        while runs < LEAST || begin.elapsed() < LOOK {
            fastest = fastest.min(run());
            runs += 1;
        }
        fastest
    }

    fn matrix(&self) -> Matrix<'_> {
        match Matrix::new(KIND, ROWS_OF_WEIGHTS, COLUMNS, &self.packed) {
            Ok(matrix) => matrix,
            Err(error) => unreachable!("the shape that was packed: {error}"),
        }
    }
}

/// Million multiply-accumulates per second.
fn speed(work: usize, time: Duration) -> u64 {
    (work as f64 / time.as_secs_f64().max(1e-9) / 1e6) as u64
}

/// A text that is no choice for this processor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no choice of a path of this processor, as in `avx2: scalar 3700, avx2 51000` or `avx2: forced`"
)]
pub struct NoChoice(String);

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.instructions(), self.speed)
    }
}

impl FromStr for Measured {
    type Err = NoChoice;

    fn from_str(text: &str) -> Result<Self, NoChoice> {
        let error = || NoChoice(text.to_owned());
        let (path, speed) = text.split_once(' ').ok_or_else(error)?;
        Ok(Self {
            path: Path::from_environment(path).map_err(|_| error())?,
            speed: speed.parse().map_err(|_| error())?,
        })
    }
}

/// `avx2: scalar 3700, avx2 51000`, the speeds in million multiply-accumulates per second, or `avx2: forced`; it can be
/// kept for the next start beside [`crate::cpu::identity`] and read back.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measured: Vec<_> = self.measured.iter().map(Measured::to_string).collect();
        let why = if self.forced { FORCED } else { &measured.join(", ") };
        write!(f, "{}: {why}", self.path.instructions())
    }
}

impl FromStr for Choice {
    type Err = NoChoice;

    fn from_str(text: &str) -> Result<Self, NoChoice> {
        let error = || NoChoice(text.to_owned());
        let (path, why) = text.split_once(": ").ok_or_else(error)?;
        let path = Path::from_environment(path).map_err(|_| error())?;
        if why == FORCED {
            return Ok(Self::forced(path));
        }
        let measured: Result<Vec<Measured>, _> = why.split(", ").map(str::parse).collect();
        Ok(Self {
            path,
            measured: measured.map_err(|_| error())?,
            forced: false,
        })
    }
}

const FORCED: &str = "forced";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_measured_and_the_fastest_taken() {
        let choice = choose();
        let paths: Vec<_> = choice.measured.iter().map(|measured| measured.path).collect();
        assert_eq!(paths, Path::offered());
        let fastest = choice.measured.iter().map(|measured| measured.speed).max();
        let taken = choice
            .measured
            .iter()
            .find(|measured| measured.path == choice.path);
        assert_eq!(taken.map(|measured| measured.speed), fastest);
        assert!(!choice.forced && choice.measured.iter().all(|measured| measured.speed > 0));
    }

    #[test]
    fn a_choice_is_read_back_as_it_was_written() {
        for choice in [choose(), Choice::forced(Path::SCALAR)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let known: Choice = "scalar: scalar 400".parse().unwrap();
        let measured = Measured {
            path: Path::SCALAR,
            speed: 400,
        };
        assert_eq!((known.path, known.measured), (Path::SCALAR, vec![measured]));
    }

    #[test]
    fn what_is_no_choice_is_told_so() {
        for text in [
            "",
            "scalar",
            "scalar: ",
            "neon: neon 5",
            "scalar: scalar",
            "scalar: scalar -5",
            "scalar:forced",
        ] {
            assert_eq!(text.parse::<Choice>(), Err(NoChoice(text.to_owned())));
        }
    }
}
