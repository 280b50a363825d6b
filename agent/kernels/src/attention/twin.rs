//! The definition in plain code, every access checked: what all paths are held to, bit by bit.

use std::borrow::Borrow;

use super::{History, RANGE, STATE};
use crate::activations::{Activations, quantise};
use crate::kv::{KvBlock, KvHead, KvKind, POSITIONS};
use crate::layout::BLOCK;
use crate::ops::exp::exp;
use crate::ops::sum::sum;
use crate::path::Path;

/// The result, `[head_dim]`, for one query at the last of `positions` positions.
pub fn attend<B: Borrow<KvBlock>>(
    history: History<'_, B>,
    positions: usize,
    scale: f32,
    query: &[f32],
) -> Vec<f32> {
    let mut total: Option<Vec<f32>> = None;
    for first in (0..positions).step_by(RANGE) {
        let mut state = vec![0.0; STATE + query.len()];
        state[0] = f32::NEG_INFINITY;
        for begin in (first..positions.min(first + RANGE)).step_by(POSITIONS) {
            let visible = (positions - begin).min(POSITIONS);
            visit(history, begin / POSITIONS, visible, scale, query, &mut state);
        }
        total = Some(match total {
            None => state,
            Some(total) => fold(&total, &state),
        });
    }
    let total = total.unwrap_or_default();
    let inverse = 1.0 / total[1];
    total[STATE..].iter().map(|value| value * inverse).collect()
}

fn visit<B: Borrow<KvBlock>>(
    history: History<'_, B>,
    block: usize,
    visible: usize,
    scale: f32,
    query: &[f32],
    state: &mut [f32],
) {
    let kind = history.blocks[block].borrow().shape().kind();
    let head = history.head(block);
    let mut weights = [f32::NEG_INFINITY; POSITIONS];
    for (position, weight) in weights[..visible].iter_mut().enumerate() {
        *weight = scale
            * match kind {
                KvKind::F16 => score(head, position, query),
                KvKind::Q8 => rounded_score(head, position, query),
            };
    }
    let maximum = weights.iter().copied().fold(state[0], f32::max);
    let correction = exp(state[0] - maximum);
    for weight in &mut weights {
        *weight = exp(*weight - maximum);
    }
    state[0] = maximum;
    state[1] = state[1].mul_add(correction, sum(&weights));
    for (dimension, value) in state[STATE..].iter_mut().enumerate() {
        *value *= correction;
        for (position, &weight) in weights[..visible].iter().enumerate() {
            let (factor, scale) = head.value_parts(position, dimension);
            *value = (weight * scale).mul_add(factor, *value);
        }
    }
}

fn score(head: KvHead<'_>, position: usize, query: &[f32]) -> f32 {
    let keys = (0..query.len()).map(|dimension| head.key_parts(position, dimension).0);
    keys.zip(query)
        .fold(0.0, |sum, (key, &query)| query.mul_add(key, sum))
}

fn rounded_score(head: KvHead<'_>, position: usize, query: &[f32]) -> f32 {
    let mut rounded = Activations::default();
    rounded.reset(1, query.len());
    for mut row in rounded.rows_mut() {
        row.values.copy_from_slice(query);
        quantise(Path::SCALAR, &mut row);
    }
    let row = rounded.row(0);
    (0..query.len() / BLOCK).fold(0.0, |sum, part| {
        let dimensions = part * BLOCK..(part + 1) * BLOCK;
        let dot: i32 = dimensions
            .clone()
            .map(|dimension| i32::from(row.quants[dimension]) * head.key_parts(position, dimension).0 as i32)
            .sum();
        let (_, scale) = head.key_parts(position, dimensions.start);
        (dot as f32).mul_add(row.scales[part] * scale, sum)
    })
}

fn fold(total: &[f32], state: &[f32]) -> Vec<f32> {
    let maximum = total[0].max(state[0]);
    let (a, b) = (exp(total[0] - maximum), exp(state[0] - maximum));
    let rest = total[1..].iter().zip(&state[1..]);
    let folded = rest.map(|(total, state)| total.mul_add(a, state * b));
    std::iter::once(maximum).chain(folded).collect()
}
