//! Greedy answers, token by token, with how sure each token was.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::subject::{Subject, greedy};

/// What prompts there are: prose, code, a list, another language.
pub const PROMPTS: [&str; 6] = [
    "The capital of France is",
    "Once upon a time, in a village at the edge of a great forest, there lived",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "Water boils at 100 degrees Celsius. At high altitude it boils at a lower temperature because",
    "Ingredients for bread:\n- flour\n- water\n-",
    "Die Hauptstadt von Deutschland ist",
];

/// A prompt's tokens and what followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The prompt.
    pub prompt: Vec<u32>,
    /// The most likely token, again and again.
    pub tokens: Vec<u32>,
    /// By how much each one's logit was above the next best.
    pub margins: Vec<f32>,
}

/// Continues a prompt by `count` tokens, ends of text included.
pub fn answer(subject: &mut impl Subject, prompt: &[u32], count: usize) -> Result<Answer> {
    let mut answer = Answer {
        prompt: prompt.to_vec(),
        tokens: Vec::new(),
        margins: Vec::new(),
    };
    subject.start()?;
    let mut logits = subject.run(prompt)?;
    for done in 1..=count {
        let (token, margin) = greedy(&logits)?;
        answer.tokens.push(token);
        answer.margins.push(margin);
        if done < count {
            logits = subject.run(&[token])?;
        }
    }
    Ok(answer)
}

/// Where two answers to a prompt part: the index of the first token that differs, `None` if none does.
pub fn parting(ours: &[u32], theirs: &[u32]) -> Option<usize> {
    let same = ours
        .iter()
        .zip(theirs)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    (same < ours.len().min(theirs.len())).then_some(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always likes the token after the last one, and that by the last one's number.
    struct Counter;

    impl Subject for Counter {
        fn start(&mut self) -> Result<()> {
            Ok(())
        }

        fn run(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
            let last = tokens[tokens.len() - 1] as usize;
            let mut logits = vec![0.0; 16];
            logits[last + 1] = last as f32;
            Ok(logits)
        }
    }

    #[test]
    fn each_token_goes_in_again() {
        let answer = answer(&mut Counter, &[9, 2], 3).unwrap();
        assert_eq!(
            (&answer.tokens[..], &answer.margins[..]),
            (&[3, 4, 5][..], &[2.0, 3.0, 4.0][..])
        );
    }

    #[test]
    fn answers_part_at_the_first_difference() {
        assert_eq!(parting(&[1, 2, 3], &[1, 2, 3]), None);
        assert_eq!(parting(&[1, 2, 3], &[1, 5, 3]), Some(1));
        assert_eq!(parting(&[1, 2, 3], &[1, 2]), None);
    }
}
