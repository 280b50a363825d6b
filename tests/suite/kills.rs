//! The engine dies in the middle of answers.

use anyhow::Result;
use tests::kills::{Kills, seed};

use crate::models::{TINY, with_tiny};

#[test]
fn twenty_kills_at_random_tokens_cost_one_answer_each() -> Result<()> {
    let kills = Kills {
        model: TINY,
        count: 20,
        longest: 400,
        answer: 6000,
    };
    with_tiny(8192, 2, |stack| kills.run(stack, seed()?, |_| {}))
}
