//! What both of the engines that can be called from here have in common.

use anyhow::{Context, Result};

/// A loaded model with one sequence.
pub trait Subject {
    /// Begins a sequence anew.
    fn start(&mut self) -> Result<()>;

    /// Appends tokens, of which there is at least one, and returns the logits after the last, one for each token of
    /// the vocabulary.
    fn run(&mut self, tokens: &[u32]) -> Result<Vec<f32>>;
}

/// The most likely token, the first of equals, and by how much its logit is above the next best.
pub fn greedy(logits: &[f32]) -> Result<(u32, f32)> {
    let (mut best, mut second) = ((0, f32::NEG_INFINITY), f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            (best, second) = ((token, logit), best.1);
        } else if logit > second {
            second = logit;
        }
    }
    let token = u32::try_from(best.0).context("a vocabulary beyond u32")?;
    Ok((token, best.1 - second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_with_no_margin() {
        assert_eq!(greedy(&[1.0, 3.0, 0.5, 3.0]).unwrap(), (1, 0.0));
        assert_eq!(greedy(&[5.0, 3.0, 4.0]).unwrap(), (0, 1.0));
    }
}
