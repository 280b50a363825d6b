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

/// What can say what it expects all along a text.
pub trait Predictor {
    /// Reads a text anew and returns the logits after each token from the one at `first` on to the last but one,
    /// `[tokens - 1 - first][vocabulary]`.
    fn predictions(&mut self, tokens: &[u32], first: usize) -> Result<Vec<Vec<f32>>>;
}

/// Token by token.
impl<S: Subject> Predictor for S {
    fn predictions(&mut self, tokens: &[u32], first: usize) -> Result<Vec<Vec<f32>>> {
        self.start()?;
        let mut predictions = vec![self.run(&tokens[..=first])?];
        for &token in &tokens[first + 1..tokens.len() - 1] {
            predictions.push(self.run(&[token])?);
        }
        Ok(predictions)
    }
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

    /// Counts the tokens that it has seen.
    struct Counter(usize);

    impl Subject for Counter {
        fn start(&mut self) -> Result<()> {
            self.0 = 0;
            Ok(())
        }

        fn run(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
            self.0 += tokens.len();
            Ok(vec![self.0 as f32])
        }
    }

    #[test]
    fn predictions_are_of_every_token_but_the_last() {
        let mut counter = Counter(9);
        assert_eq!(
            counter.predictions(&[7; 6], 2).unwrap(),
            [[3.0], [4.0], [5.0]].map(Vec::from)
        );
    }

    #[test]
    fn the_first_of_equals_with_no_margin() {
        assert_eq!(greedy(&[1.0, 3.0, 0.5, 3.0]).unwrap(), (1, 0.0));
        assert_eq!(greedy(&[5.0, 3.0, 4.0]).unwrap(), (0, 1.0));
    }
}
