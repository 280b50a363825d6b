//! How far one engine's predictions are from another's.

use serde::{Deserialize, Serialize};

/// Natural logarithms of the softmax of logits, in f64.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = logits.iter().map(|&logit| f64::from(logit) - f64::from(largest));
    let sum: f64 = shifted.clone().map(f64::exp).sum();
    shifted.map(|logit| logit - sum.ln()).collect()
}

/// The Kullback-Leibler divergence of `q` from `p`, both natural log-probabilities: Σ p (ln p − ln q), in nats.
pub fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// The likeliest token.
fn likeliest(log_probabilities: &[f64]) -> usize {
    let by_value = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
    log_probabilities
        .iter()
        .enumerate()
        .max_by(by_value)
        .map_or(0, |(token, _)| token)
}

/// Divergence over many positions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Positions.
    pub positions: usize,
    /// Mean, nats.
    pub mean: f64,
    /// Largest, nats.
    pub largest: f64,
    /// Share of positions at which the likeliest token is the same.
    pub same_likeliest: f64,
}

impl Divergence {
    /// Counts a position.
    pub fn add(&mut self, p: &[f64], q: &[f64]) {
        let divergence = divergence(p, q);
        let same = f64::from(u8::from(likeliest(p) == likeliest(q)));
        let before = self.positions as f64;
        self.positions += 1;
        self.mean = (self.mean * before + divergence) / (before + 1.0);
        self.same_likeliest = (self.same_likeliest * before + same) / (before + 1.0);
        self.largest = self.largest.max(divergence);
    }
}

/// Perplexity over many positions: the exponential of the mean negative log-probability of the tokens that came.
#[derive(Clone, Debug, Default)]
pub struct Perplexity {
    positions: usize,
    sum: f64,
}

impl Perplexity {
    /// Counts a position whose next token had that natural log-probability.
    pub fn add(&mut self, log_probability: f64) {
        self.positions += 1;
        self.sum -= log_probability;
    }

    /// The perplexity so far; NaN of nothing.
    pub fn value(&self) -> f64 {
        (self.sum / self.positions as f64).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_distributions_do_not_diverge() {
        let p = log_softmax(&[1.0, 2.0, 3.0]);
        assert!((p.iter().map(|p| p.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(divergence(&p, &p), 0.0);
    }

    #[test]
    fn a_divergence_worked_out_by_hand() {
        let (p, q) = ([0.5_f64.ln(), 0.5_f64.ln()], [0.25_f64.ln(), 0.75_f64.ln()]);
        let expected = 0.5 * 2_f64.ln() + 0.5 * (2.0_f64 / 3.0).ln();
        assert!((divergence(&p, &q) - expected).abs() < 1e-12);
    }

    #[test]
    fn means_over_positions() {
        let (a, b) = (log_softmax(&[0.0, 1.0]), log_softmax(&[1.0, 0.0]));
        let mut seen = Divergence::default();
        seen.add(&a, &a);
        seen.add(&a, &b);
        assert_eq!((seen.positions, seen.same_likeliest), (2, 0.5));
        assert!((seen.mean * 2.0 - seen.largest).abs() < 1e-12);
    }

    #[test]
    fn a_coin_has_a_perplexity_of_two() {
        let mut coin = Perplexity::default();
        (0..10).for_each(|_| coin.add(0.5_f64.ln()));
        assert!((coin.value() - 2.0).abs() < 1e-12);
    }
}
