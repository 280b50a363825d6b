//! Attention in double precision, to measure the rounding of the others by.

use std::borrow::Borrow;

use super::History;
use crate::kv::{KvBlock, POSITIONS};

/// The result, `[head_dim]`, for one query at the last of `positions` positions: softmax over all scores, and the sum
/// of the values, as they were rounded when they were written, by it. The query is not rounded.
pub fn attend<B: Borrow<KvBlock>>(
    history: History<'_, B>,
    positions: usize,
    scale: f32,
    query: &[f32],
) -> Vec<f64> {
    let head = |position: usize| history.head(position / POSITIONS);
    let score = |position: usize| {
        let keys = (0..query.len()).map(|dimension| head(position).key(position % POSITIONS, dimension));
        let products = keys
            .zip(query)
            .map(|(key, &query)| f64::from(key) * f64::from(query));
        products.sum::<f64>() * f64::from(scale)
    };
    let scores: Vec<f64> = (0..positions).map(score).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let value = |dimension: usize| {
        let values = (0..positions).map(|position| head(position).value(position % POSITIONS, dimension));
        let weighted = values
            .zip(&weights)
            .map(|(value, weight)| f64::from(value) * weight);
        weighted.sum::<f64>() / sum
    };
    (0..query.len()).map(value).collect()
}
