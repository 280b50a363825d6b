//! Rotary positions (Su and others, <https://arxiv.org/abs/2104.09864>).

use std::f64::consts::PI;

use crate::path::on_each_path;

/// Which dimensions of a head are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// `2i` and `2i + 1`: the llama family in GGUF files.
    Interleaved,
    /// `i` and `dimensions / 2 + i`: the qwen families.
    Halves,
}

/// How angles are changed for a longer context than a model was first trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    None,
    /// Positions are divided by a factor (`linear` in GGUF).
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Each frequency is divided by a factor of its own (the tensor `rope_freqs` of Llama 3), `[dimensions / 2]`.
    Factors(Vec<f32>),
    /// YaRN (Peng and others, <https://arxiv.org/abs/2309.00071>): slow frequencies are divided by the factor, fast
    /// ones are kept, those between are mixed; what is turned is also lengthened by `1 + 0.1 · ln factor`.
    Yarn {
        /// The factor.
        factor: f64,
        /// Positions that the model was first trained on.
        original_context: f64,
        /// Rotations over that context from which a frequency is fast: 32 in GGUF files that say nothing.
        beta_fast: f64,
        /// Rotations over that context up to which a frequency is slow: 1 in GGUF files that say nothing.
        beta_slow: f64,
        /// What the lengthening is multiplied by: 1 in GGUF files that say nothing.
        attention_factor: f64,
    },
}

/// Why there are no such angles.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RopeError {
    /// Dimensions are turned in pairs.
    #[error("{0} dimensions cannot be turned in pairs")]
    Odd(usize),
    /// There are more or fewer factors than pairs.
    #[error("{found} frequency factors for {pairs} pairs of dimensions")]
    Factors {
        /// Pairs of dimensions.
        pairs: usize,
        /// Factors.
        found: usize,
    },
    /// A parameter is no positive number.
    #[error("{name} of rotary positions is {value}: it must be a positive number")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What it is.
        value: f64,
    },
}

/// The angles of a model, from which those of a position are computed in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Radians for each position, `[dimensions / 2]`.
    frequencies: Vec<f64>,
    /// What sines and cosines are multiplied by.
    length: f64,
}

impl Rope {
    /// The angles of heads whose first `dimensions` are turned: pair `i` by `base^(−2i / dimensions)` for each
    /// position, changed by `scaling`.
    pub fn new(dimensions: usize, base: f64, scaling: &RopeScaling) -> Result<Self, RopeError> {
        if !dimensions.is_multiple_of(2) {
            return Err(RopeError::Odd(dimensions));
        }
        positive("the base", base)?;
        let plain = (0..dimensions / 2).map(|pair| libm::pow(base, -2.0 * pair as f64 / dimensions as f64));
        let mut frequencies: Vec<f64> = plain.collect();
        let length = scale(&mut frequencies, dimensions as f64, base, scaling)?;
        Ok(Self { frequencies, length })
    }

    /// Dimensions of a head that are turned.
    pub fn dimensions(&self) -> usize {
        2 * self.frequencies.len()
    }

    /// Cosines and sines for a position, both `[dimensions / 2]`, rounded once.
    pub fn angles(&self, position: usize, cosines: &mut [f32], sines: &mut [f32]) {
        let pairs = self.frequencies.len();
        assert_eq!(
            (cosines.len(), sines.len()),
            (pairs, pairs),
            "pairs of dimensions"
        );
        for ((frequency, cosine), sine) in self.frequencies.iter().zip(cosines).zip(sines) {
            // libm's, for the system's differ in the last place from processor to processor.
            let (sin, cos) = libm::sincos(position as f64 * frequency);
            (*cosine, *sine) = ((cos * self.length) as f32, (sin * self.length) as f32);
        }
    }
}

/// Changes frequencies; gives what is turned its length.
fn scale(
    frequencies: &mut [f64],
    dimensions: f64,
    base: f64,
    scaling: &RopeScaling,
) -> Result<f64, RopeError> {
    match *scaling {
        RopeScaling::None => Ok(1.0),
        RopeScaling::Linear { factor } => {
            positive("the scaling factor", factor)?;
            frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
            Ok(1.0)
        }
        RopeScaling::Factors(ref factors) => {
            let (pairs, found) = (frequencies.len(), factors.len());
            if pairs != found {
                return Err(RopeError::Factors { pairs, found });
            }
            for (frequency, &factor) in frequencies.iter_mut().zip(factors) {
                *frequency /= positive("a frequency factor", f64::from(factor))?;
            }
            Ok(1.0)
        }
        RopeScaling::Yarn {
            factor,
            original_context,
            beta_fast,
            beta_slow,
            attention_factor,
        } => {
            positive("the scaling factor", factor)?;
            positive("the original context", original_context)?;
            positive("beta_fast", beta_fast)?;
            positive("beta_slow", beta_slow)?;
            positive("the attention factor", attention_factor)?;
            // The pair that turns so many times over the original context.
            let pair = |turns: f64| {
                dimensions * libm::log(original_context / (turns * 2.0 * PI)) / (2.0 * libm::log(base))
            };
            let first = libm::floor(pair(beta_fast)).max(0.0);
            let last = libm::ceil(pair(beta_slow)).min(dimensions - 1.0);
            for (index, frequency) in frequencies.iter_mut().enumerate() {
                let slow = ((index as f64 - first) / (last - first).max(0.001)).clamp(0.0, 1.0);
                *frequency *= slow / factor + (1.0 - slow);
            }
            Ok((1.0 + 0.1 * libm::log(factor)) * attention_factor)
        }
    }
}

fn positive(name: &'static str, value: f64) -> Result<f64, RopeError> {
    match value > 0.0 && value.is_finite() {
        true => Ok(value),
        false => Err(RopeError::Parameter { name, value }),
    }
}

on_each_path! {
    /// Turns each head of `row`, `[heads, head_dim]`: the pair `(a, b)` becomes
    /// `(fma(a, cosine, −(b · sine)), fma(b, cosine, a · sine))`. `cosines` and `sines` are those of the row's
    /// position ([`Rope::angles`]); dimensions of a head beyond twice their number stay.
    pub fn rotate(convention: Convention, cosines: &[f32], sines: &[f32], head_dim: usize, row: &mut [f32]) = rotate_body
}

#[inline(always)]
fn rotate_body(convention: Convention, cosines: &[f32], sines: &[f32], head_dim: usize, row: &mut [f32]) {
    let pairs = cosines.len();
    assert_eq!(pairs, sines.len(), "pairs of dimensions");
    assert!(
        2 * pairs <= head_dim,
        "{pairs} pairs in heads of {head_dim} dimensions"
    );
    for head in row.chunks_exact_mut(head_dim) {
        match convention {
            Convention::Interleaved => {
                let (pairs, _) = head.as_chunks_mut::<2>();
                for (([a, b], &cosine), &sine) in pairs.iter_mut().zip(cosines).zip(sines) {
                    (*a, *b) = turned(*a, *b, cosine, sine);
                }
            }
            Convention::Halves => {
                let (first, second) = head.split_at_mut(pairs);
                let angles = cosines.iter().zip(sines);
                for ((a, b), (&cosine, &sine)) in first.iter_mut().zip(second).zip(angles) {
                    (*a, *b) = turned(*a, *b, cosine, sine);
                }
            }
        }
    }
}

#[inline(always)]
fn turned(a: f32, b: f32, cosine: f32, sine: f32) -> (f32, f32) {
    (a.mul_add(cosine, -(b * sine)), b.mul_add(cosine, a * sine))
}
