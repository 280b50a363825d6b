//! Killing inferd in the middle of streams, at random tokens.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::client::{Event, greedy};
use crate::host::HostStack;
use crate::process::send;
use crate::report::say;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Kills<'a> {
    /// The model that is asked.
    pub model: &'a str,
    /// How often inferd is killed.
    pub count: usize,
    /// The latest token after which it is.
    pub longest: usize,
    /// Tokens of an answer that is not cut short; well above `longest`.
    pub answer: u32,
}

/// One kill, for a table.
#[derive(Clone, Debug)]
pub struct Kill {
    /// After how many tokens.
    pub tokens: usize,
    /// What the client was told.
    pub error: String,
}

impl Kills<'_> {
    /// Kills again and again. Each time that client gets an error event, the next request is answered, and neither the
    /// gateway nor hearthd restarts.
    pub fn run(&self, stack: &mut HostStack, seed: u64, mut seen: impl FnMut(Kill)) -> Result<()> {
        say(&format!("seed {seed}"));
        let mut random = Random(seed);
        let others = stack.others()?;
        for index in 0..self.count {
            let tokens = 1 + random.below(self.longest);
            let error = self.kill(stack, tokens);
            let error = error.with_context(|| format!("kill {index}, after {tokens} tokens, seed {seed}"))?;
            ensure!(
                stack.others()? == others,
                "kill {index} (seed {seed}) had others restart"
            );
            seen(Kill { tokens, error });
        }
        let starts = stack.inferd_starts();
        ensure!(
            starts == self.count + 1,
            "inferd was started {starts} times for {} kills",
            self.count
        );
        Ok(())
    }

    fn kill(&self, stack: &HostStack, tokens: usize) -> Result<String> {
        let client = stack.admin();
        let mut stream = client.stream(&greedy(self.model, "Tell me a long story.", self.answer))?;
        stream.read_tokens(tokens)?;
        send(
            stack.inferd_pid().context("inferd does not run")?,
            Signal::SIGKILL,
        )?;
        let error = stream.read_error()?;
        ensure!(
            matches!(stream.next_event(), Ok(None | Some(Event::Done))),
            "the stream goes on after its error"
        );
        let answer = client.chat(&greedy(self.model, "Say yes.", 2))?;
        ensure!(answer.usage.completion_tokens > 0, "the next answer is empty");
        Ok(error.message)
    }
}

/// A fresh seed, or the one in `HEARTH_TEST_SEED`, so that a failure can be had again.
pub fn seed() -> Result<u64> {
    match std::env::var("HEARTH_TEST_SEED") {
        Ok(seed) => seed
            .parse()
            .with_context(|| format!("HEARTH_TEST_SEED={seed} is not a number")),
        Err(_) => getrandom::u64().context("no random numbers"),
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, and the same everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_tokens_again_and_all_are_within_bounds() {
        let draw = |seed| {
            let mut random = Random(seed);
            (0..100).map(|_| random.below(7)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..7).all(|value| draw(3).contains(&value)) && draw(3).iter().all(|value| *value < 7));
    }
}
