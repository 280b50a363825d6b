//! Which quants can be tried: Bochs has a fault.

use kernels::activations::{Activations, quantise};
use kernels::kind::Kind;
use kernels::layout::{BLOCK, ROWS};
use kernels::path::{Instructions, Path};

use crate::case::Case;

/// The quants that are multiplied, less what stands for zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quants {
    /// All that there are.
    Any,
    /// Those that are the same as signed and as unsigned bytes.
    NotNegative,
}

/// Those whose products are right on that path. Bochs 3.0 takes the signed bytes of `tdpbssd` for unsigned
/// (`DPBDSS` in its `cpu/avx/amx.cc`). `None` if neither signed nor unsigned bytes explain what comes out.
pub(crate) fn quants_of_tiles(path: Path) -> Option<Quants> {
    if path.instructions() != Instructions::Amx {
        return Some(Quants::Any);
    }
    let product = ones().product(path);
    let all = |weight: i32| {
        product
            .iter()
            .all(|&sum| sum == (BLOCK as i32 * 127 * weight) as f32)
    };
    match (all(-1), all(255)) {
        (true, _) => Some(Quants::Any),
        (_, true) => Some(Quants::NotNegative),
        _ => None,
    }
}

/// Weights of −1 times activations of 127.
fn ones() -> Case {
    let one = half::f16::ONE.to_le_bytes();
    let block: Vec<u8> = one.into_iter().chain([0xFF; BLOCK]).collect();
    let mut input = Activations::default();
    input.reset(ROWS, BLOCK);
    for mut row in input.rows_mut() {
        row.values.fill(127.0);
        quantise(Path::SCALAR, &mut row);
    }
    Case::of(Kind::Q8_0, (ROWS, BLOCK), &block.repeat(ROWS), input)
}

impl Quants {
    /// Changes the quants of a block in ggml's layout that are not among these.
    pub(crate) fn restrict_weights(self, kind: Kind, block: &mut [u8]) {
        if self == Self::Any {
            return;
        }
        match kind {
            Kind::F32 | Kind::F16 | Kind::BF16 | Kind::Q4_1 | Kind::Q4K | Kind::Q5K => {}
            Kind::Q4_0 => block[2..].iter_mut().for_each(|pair| *pair |= 0x88),
            Kind::Q5_0 => block[2..6].fill(0xFF),
            Kind::Q8_0 => block[2..].iter_mut().for_each(|quant| *quant &= 0x7F),
            Kind::Q6K => block[128..192].iter_mut().for_each(|four| *four |= 0b1010_1010),
        }
    }

    /// Changes an activation whose quant is not among these.
    pub(crate) fn restrict_activation(self, value: f32) -> f32 {
        match self {
            Self::Any => value,
            Self::NotNegative => value.abs(),
        }
    }
}
