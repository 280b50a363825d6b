//! What is to be measured.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::place::Place;

/// What a process of its own is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Pack a GGUF file into the cache.
    Pack(PathBuf),
    /// Measure a model.
    Model(Plan),
    /// Measure the memory's bandwidth with that many threads.
    Bandwidth(u16),
}

/// One model with one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) model: Place,
    pub(super) threads: u16,
    pub(super) tests: Vec<Test>,
    /// Timed runs of each test.
    pub(super) repetitions: u32,
    /// Whether the model is loaded once before the load that is timed.
    pub(super) warm: bool,
    /// What the machine's memory gives to as many threads, if that was measured.
    pub(super) read_gib_per_second: Option<f64>,
}

/// A piece of work after `depth` tokens that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Test {
    pub(super) work: Work,
    pub(super) depth: usize,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    /// A prompt of that many tokens.
    Prompt(usize),
    /// That many tokens, one after the other.
    Generate(usize),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(file) => write!(f, "packing {}", file.display()),
            Self::Model(plan) => write!(f, "{}, {} threads", plan.model.name, plan.threads),
            Self::Bandwidth(threads) => write!(f, "bandwidth, {threads} threads"),
        }
    }
}

impl Work {
    pub(super) fn tokens(self) -> usize {
        match self {
            Self::Prompt(tokens) | Self::Generate(tokens) => tokens,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt(tokens) => write!(f, "pp{tokens}"),
            Self::Generate(tokens) => write!(f, "tg{tokens}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.depth {
            0 => write!(f, "{}", self.work),
            depth => write!(f, "{} @ d{depth}", self.work),
        }
    }
}

/// Every prompt and every generation at every depth. A length of 0 is none.
pub(super) fn tests(prompts: &[usize], generations: &[usize], depths: &[usize]) -> Vec<Test> {
    let prompts = prompts.iter().map(|&tokens| Work::Prompt(tokens));
    let works: Vec<Work> = prompts
        .chain(generations.iter().map(|&tokens| Work::Generate(tokens)))
        .filter(|work| work.tokens() > 0)
        .collect();
    let at = |depth| works.iter().map(move |&work| Test { work, depth });
    depths.iter().flat_map(|&depth| at(depth)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_llama_benchs() {
        let names: Vec<_> = tests(&[128, 0], &[32], &[0, 512])
            .iter()
            .map(Test::to_string)
            .collect();
        assert_eq!(names, ["pp128", "tg32", "pp128 @ d512", "tg32 @ d512"]);
    }

    #[test]
    fn a_plan_survives_the_way_to_its_process() {
        let order = Order::Model(Plan {
            model: Place::stored("a store".as_ref(), "a".as_ref()),
            threads: 2,
            tests: tests(&[512], &[128], &[7]),
            repetitions: 3,
            warm: true,
            read_gib_per_second: Some(12.5),
        });
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
    }
}
