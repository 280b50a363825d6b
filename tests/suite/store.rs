//! Models in a store that others write to.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use api::openai::ModelList;
use tests::client::{greedy, said};
use tests::host::{HostStack, Options, daemon, import, remove, with_stack};
use tests::report::say;

use crate::models::{SMOLLM2, TINY, smollm2_store, tiny_store, with_smollm2};

/// Less than SmolLM2's weights.
const BUDGET: &str = "48M";

fn listed(stack: &HostStack) -> Result<Vec<String>> {
    let models: ModelList = stack.admin().get("/v1/models")?.expect(200)?.json()?;
    Ok(models.data.into_iter().map(|model| model.id).collect())
}

#[test]
fn models_come_and_go_while_the_engine_runs() -> Result<()> {
    let store = tiny_store(256)?;
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), 128)?;
    with_stack(&Options::models(store.path()).inferd("--threads", 1), |stack| {
        let ask = |model: &str| stack.admin().chat(&greedy(model, "hello", 20));
        ask(TINY)?;
        ensure!(listed(stack)? == [TINY], "{:?}", listed(stack)?);
        import(store.path(), "another", file.path())?;
        ensure!(listed(stack)? == ["another", TINY], "{:?}", listed(stack)?);
        remove(store.path(), TINY)?;
        ensure!(listed(stack)? == ["another"], "{:?}", listed(stack)?);
        stack
            .admin()
            .post("/v1/chat/completions", &greedy(TINY, "hello", 1))?
            .expect(404)?;
        ask("another")?;
        ensure!(stack.inferd_starts() == 1, "the engine was started again");
        Ok(())
    })
}

#[test]
fn a_model_larger_than_the_memory_budget_says_the_same() -> Result<()> {
    let request = greedy(SMOLLM2, "Why is the sky blue?", 24);
    let mapped = with_smollm2(|stack| Ok(said(&stack.admin().chat(&request)?)?.to_owned()))?;
    let store = smollm2_store()?;
    let options = Options::models(store.path()).inferd("--threads", 2);
    with_stack(&options.inferd("--memory-budget", BUDGET), |stack| {
        let streamed = stack.admin().chat(&request)?;
        ensure!(
            said(&streamed)? == mapped,
            "{:?} instead of {mapped:?}",
            said(&streamed)?
        );
        let pid = stack.inferd_pid().context("inferd does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        say(&format!(
            "peak memory with a budget of {BUDGET}: {}",
            peak.context("no peak")?.trim()
        ));
        Ok(())
    })
}

#[test]
fn a_budget_that_is_no_size_is_refused_with_the_forms_that_are() -> Result<()> {
    let mut serve = Command::new(daemon("inferd")?);
    let Output { status, stderr, .. } = serve.args(["serve", "--memory-budget", "much"]).output()?;
    let words = String::from_utf8_lossy(&stderr);
    ensure!(status.code() == Some(2), "{status}: {words}");
    ensure!(words.contains("400M") && words.contains("much"), "{words}");
    Ok(())
}
