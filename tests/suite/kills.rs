//! The engine dies in the middle of answers.

use anyhow::Result;
use tests::host::{Options, with_stack};
use tests::kills::{Kills, seed};

use crate::models::{TINY, tiny};

#[test]
fn twenty_kills_at_random_tokens_cost_one_answer_each() -> Result<()> {
    let models = tiny(8192)?;
    let kills = Kills {
        model: TINY,
        count: 20,
        longest: 400,
        answer: 6000,
    };
    with_stack(
        &Options::models(models.path()).inferd("--context", 8192),
        |stack| kills.run(stack, seed()?, |_| {}),
    )
}
