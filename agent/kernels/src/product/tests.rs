use std::fmt;

use half::{bf16, f16};
use proptest::prelude::*;
use proptest::test_runner::TestRng;

use super::*;
use crate::activations::quantise;
use crate::kind::Kind;
use crate::layout::{AlignedBytes, BLOCK, pack, packed_bytes};

/// A product to be computed.
struct Case {
    kind: Kind,
    rows: usize,
    columns: usize,
    packed: AlignedBytes,
    input: Activations,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, rows, columns, m) = (self.kind.name(), self.rows, self.columns, self.input.rows());
        write!(f, "{kind} {rows} × {columns} times {m} rows")
    }
}

/// How the bits of a case are drawn.
#[derive(Clone, Copy, Debug)]
enum Bits {
    /// Each as likely as not; floats that are not finite left out.
    Any,
    /// Quants, scales and activations as large as can be, so that every sum is the largest there is.
    Extreme,
    /// As [`Bits::Any`], but activations of every magnitude down to the smallest and up to what is no number.
    Wild,
}

impl Case {
    fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.kind, self.rows, self.columns, &self.packed).expect("a matrix")
    }

    fn new(kind: Kind, rows: usize, columns: usize, m: usize, bits: Bits, random: &mut TestRng) -> Self {
        let mut packed = AlignedBytes::zeros(packed_bytes(kind, rows, columns));
        pack(
            kind,
            rows,
            columns,
            &ggml_rows(kind, rows, columns, bits, random),
            &mut packed,
        );
        let input = activations(m, columns, bits, random);
        Self {
            kind,
            rows,
            columns,
            packed,
            input,
        }
    }
}

/// Rows in ggml's layout whose floats are finite.
fn ggml_rows(kind: Kind, rows: usize, columns: usize, bits: Bits, random: &mut TestRng) -> Vec<u8> {
    let mut bytes = vec![0; rows * kind.row_bytes(columns)];
    match bits {
        Bits::Any | Bits::Wild => random.fill_bytes(&mut bytes),
        Bits::Extreme => bytes.fill([0xFF, 0x00, 0x80, 0x7F][random.random_range(0..4)]),
    }
    let halves: &[usize] = match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => &[],
        Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => &[0],
        Kind::Q4_1 | Kind::Q4K | Kind::Q5K => &[0, 2],
        Kind::Q6K => &[208],
    };
    for block in bytes.chunks_exact_mut(kind.block_bytes()) {
        match kind {
            Kind::F32 => block.copy_from_slice(&random.random_range(-2.0_f32..2.0).to_le_bytes()),
            Kind::F16 => block.copy_from_slice(&finite_half(random).to_le_bytes()),
            Kind::BF16 => {
                block.copy_from_slice(&bf16::from_f32(random.random_range(-2.0..2.0)).to_le_bytes())
            }
            _ => {}
        }
        for &first in halves {
            block[first..first + 2].copy_from_slice(&finite_half(random).to_le_bytes());
        }
    }
    bytes
}

/// Any 16-bit float but infinities and what is no number: subnormal ones too.
fn finite_half(random: &mut TestRng) -> f16 {
    let any = f16::from_bits(random.random());
    if any.is_finite() { any } else { f16::ONE }
}

fn activations(rows: usize, columns: usize, bits: Bits, random: &mut TestRng) -> Activations {
    let mut input = Activations::default();
    input.reset(rows, columns);
    for mut row in input.rows_mut() {
        for block in row.values.chunks_exact_mut(BLOCK) {
            let largest = match bits {
                Bits::Any | Bits::Extreme => 10.0_f32.powf(random.random_range(-3.0..3.0)),
                Bits::Wild => f32::from_bits(random.random_range(1..=0x7FC0_0000)),
            };
            let sign = if random.random() { 1.0 } else { -1.0 };
            block.fill_with(|| match bits {
                Bits::Any => random.random_range(-largest..largest),
                Bits::Extreme => sign * largest,
                Bits::Wild => largest * random.random_range(-1.0..=1.0),
            });
        }
        quantise(Path::SCALAR, &mut row);
    }
    input
}

fn cases() -> impl Strategy<Value = Case> {
    cases_of(prop_oneof![3 => Just(Bits::Any), 1 => Just(Bits::Extreme)])
}

fn cases_of(bits: impl Strategy<Value = Bits>) -> impl Strategy<Value = Case> {
    let kinds = prop::sample::select(&Kind::ALL[..]);
    let rows = prop_oneof![1..=80_usize, Just(16), Just(64)];
    (kinds, rows, 1..=9_usize, 1..=40_usize, bits).prop_perturb(
        |(kind, rows, blocks, m, bits), mut random| {
            let columns = match kind.block_columns() {
                256 => 256 * blocks.div_ceil(3),
                _ => BLOCK * blocks,
            };
            Case::new(kind, rows, columns, m, bits, &mut random)
        },
    )
}

fn product(path: Path, case: &Case, tiles: Range<usize>) -> Vec<f32> {
    let mut output = vec![f32::NAN; case.input.rows() * tiles.len() * ROWS];
    multiply(path, &case.matrix(), tiles, &case.input, &mut output);
    output
}

fn by_definition(case: &Case, tiles: Range<usize>) -> Vec<f32> {
    let mut output = vec![f32::NAN; case.input.rows() * tiles.len() * ROWS];
    twin::multiply(&case.matrix(), tiles, &case.input, &mut output);
    output
}

/// The first element whose bits differ; all that is no number counts as the same.
fn difference(found: &[f32], expected: &[f32]) -> Option<(usize, f32, f32)> {
    let pairs = found.iter().zip(expected).enumerate();
    pairs
        .map(|(index, (&found, &expected))| (index, found, expected))
        .filter(|(_, found, expected)| !(found.is_nan() && expected.is_nan()))
        .find(|(_, found, expected)| found.to_bits() != expected.to_bits())
}

/// Half an ulp for each rounding that a term goes through: of floats one a column, of blocks three (their scales'
/// product and two additions), of K-quants two a block and two more in 256 columns.
fn bound(columns: usize, kind: Kind) -> f64 {
    let steps = if kind.is_float() {
        columns
    } else {
        4 * (columns / BLOCK) + 4
    };
    (steps + 4) as f64 * f64::from(f32::EPSILON) / 2.0
}

/// What AMX's instructions do, in plain Rust.
struct PlainTiles;

impl wide::Tiles for PlainTiles {
    fn multiply<const N: usize>(
        &self,
        rows: &[i8],
        stride: usize,
        weights: &[[i8; 4 * ROWS]; N],
        sums: &mut wide::TileSums,
    ) {
        for (m, sums) in sums.0.iter_mut().enumerate() {
            for (n, sum) in sums.iter_mut().enumerate() {
                let products = (0..4 * N)
                    .map(|k| i32::from(rows[m * stride + k]) * i32::from(weights[k / 4][4 * n + k % 4]));
                *sum = products.sum();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_path_gives_the_bits_of_the_definition(case in cases(), from: prop::sample::Index, to: prop::sample::Index) {
        let tiles = case.matrix().tiles();
        let (from, to) = (from.index(tiles + 1), to.index(tiles + 1));
        let tiles = from.min(to)..from.max(to);
        let expected = by_definition(&case, tiles.clone());
        for path in Path::offered() {
            let difference = difference(&product(path, &case, tiles.clone()), &expected);
            prop_assert_eq!(difference, None, "{}, tiles {:?}", path.instructions(), tiles);
        }
        let mut output = vec![f32::NAN; expected.len()];
        scalar::without_fma(&case.matrix(), tiles, &case.input, &mut output);
        prop_assert_eq!(difference(&output, &expected), None, "scalar without FMA");
    }

    #[test]
    fn activations_of_every_magnitude_give_the_same_on_every_path(case in cases_of(Just(Bits::Wild))) {
        let tiles = 0..case.matrix().tiles();
        let expected = by_definition(&case, tiles.clone());
        for path in Path::offered() {
            let difference = difference(&product(path, &case, tiles.clone()), &expected);
            prop_assert_eq!(difference, None, "{}", path.instructions());
        }
        let mut output = vec![f32::NAN; expected.len()];
        scalar::without_fma(&case.matrix(), tiles, &case.input, &mut output);
        prop_assert_eq!(difference(&output, &expected), None, "scalar without FMA");
    }

    /// The code for AVX-VNNI, whose own instructions few machines that run tests have.
    #[test]
    fn dot_products_of_256_bits_give_the_bits_of_the_definition(case in cases()) {
        let tiles = 0..case.matrix().tiles();
        let Some(v) = Path::offered().into_iter().find_map(avx2::Avx512Vnni::of) else {
            eprintln!("not run: this processor has no AVX-512 VNNI");
            return Ok(());
        };
        let mut output = vec![f32::NAN; case.input.rows() * tiles.len() * ROWS];
        wide::multiply(v, &case.matrix(), tiles.clone(), &case.input, &mut output);
        prop_assert_eq!(difference(&output, &by_definition(&case, tiles)), None, "{} {}×{}, {} rows",
            case.kind.name(), case.rows, case.columns, case.input.rows());
    }

    /// All that the path of AMX does, but for its instructions.
    #[test]
    fn products_by_tiles_give_the_bits_of_the_definition(case in cases()) {
        let tiles = 0..case.matrix().tiles();
        if !wide::fit_tiles(case.kind, case.input.rows()) {
            return Ok(());
        }
        let expected = by_definition(&case, tiles.clone());
        let mut output = vec![f32::NAN; expected.len()];
        for path in Path::offered() {
            output.fill(f32::NAN);
            if let Some(v) = Avx512::of(path) {
                wide::multiply_by_tiles(v, &PlainTiles, &case.matrix(), tiles.clone(), &case.input, &mut output);
            } else if let Some(v) = Avx2::of(path) {
                wide::multiply_by_tiles(v, &PlainTiles, &case.matrix(), tiles.clone(), &case.input, &mut output);
            } else {
                continue;
            }
            prop_assert_eq!(difference(&output, &expected), None, "{} with vectors of {}", case.kind.name(), path.instructions());
        }
    }

    #[test]
    fn the_definition_is_close_to_the_product_in_double_precision(case in cases()) {
        let matrix = case.matrix();
        let output = by_definition(&case, 0..matrix.tiles());
        for (index, &value) in output.iter().enumerate() {
            let (input_row, row) = (index / (matrix.tiles() * ROWS), index % (matrix.tiles() * ROWS));
            if row >= matrix.rows() {
                prop_assert_eq!(value, 0.0);
                continue;
            }
            let exact = reference::element(&matrix, row, &case.input, input_row);
            let error = (f64::from(value) - exact.value).abs();
            let allowed = bound(case.columns, case.kind) * exact.magnitude + f64::from(f32::MIN_POSITIVE);
            prop_assert!(error <= allowed, "{}: {value} is {error:e} from {}, more than {allowed:e}",
                case.kind.name(), exact.value);
        }
    }
}
