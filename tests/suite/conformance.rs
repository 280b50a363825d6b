//! The management interface beside its own document.

use anyhow::{Context, Result, ensure};
use image::Paths;
use tests::conformance::{Conformance, Extent};
use tests::host::{Options, with_stack};
use tests::report::say;

use crate::models::tiny_store;

/// Enough for the edges of every operation's values and some requests between, and short enough for every day: `just prove`
/// goes on for longer.
const EXTENT: Extent = Extent {
    examples: 20,
    time: None,
    seed: 1,
};

#[test]
fn the_interface_answers_as_its_document_says() -> Result<()> {
    let programs = Conformance::ensure(&Paths::discover())?;
    let store = tiny_store(256)?;
    let options = Options::models(store.path()).inferd("--threads", 1).on("ryzen");
    with_stack(&options, |stack| {
        ensure!(programs.validate(stack)? == "3.1.0");
        let (verdict, log) = programs.run(stack, EXTENT)?;
        let clean = verdict.must_be_clean().with_context(|| log);
        say(&format!("schemathesis: {}", verdict.summary()));
        ensure!(verdict.cases() > 1000, "{}", verdict.summary());
        stack.others()?;
        clean
    })
}
