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

/// The least probability of the rest in [`coarsened`]: what f32 leaves of a sum of 1.
const LEAST_REST: f64 = 1e-6;

/// The `kept` tokens' natural log-probabilities, and behind them that of all others together: what can be compared with
/// a distribution of which no more is known.
pub fn coarsened(log_probabilities: &[f64], kept: &[usize]) -> Vec<f64> {
    let mut coarse: Vec<f64> = kept.iter().map(|&token| log_probabilities[token]).collect();
    let sum: f64 = coarse.iter().map(|log| log.exp()).sum();
    coarse.push((1.0 - sum).max(LEAST_REST).ln());
    coarse
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

/// Values, of which the mean counts.
#[derive(Clone, Debug, Default)]
pub struct Mean {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Mean {
    /// Counts a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// The mean; NaN of nothing.
    pub fn value(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// By how much another sample's mean would be off, typically: the square root of variance over number. NaN of fewer
    /// than two.
    pub fn standard_error(&self) -> f64 {
        let count = self.count as f64;
        let variance = (self.squares - self.sum * self.sum / count) / (count - 1.0);
        (variance.max(0.0) / count).sqrt()
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
    fn what_is_not_kept_is_one_token() {
        let p = [0.5, 0.25, 0.125, 0.125].map(f64::ln);
        let coarse = coarsened(&p, &[2, 0]);
        let expected = [0.125, 0.5, 0.375].map(f64::ln);
        assert!(coarse.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
        // Rounded to more than 1 altogether.
        assert_eq!(
            coarsened(&[0.75_f64.ln(), 0.26_f64.ln()], &[0, 1])[2],
            LEAST_REST.ln()
        );
    }

    #[test]
    fn a_mean_and_its_error() {
        let mut mean = Mean::default();
        [1.0, 2.0, 3.0, 6.0].into_iter().for_each(|value| mean.add(value));
        assert_eq!(mean.value(), 3.0);
        assert!((mean.standard_error() - (14.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert!(Mean::default().value().is_nan());
    }
}
