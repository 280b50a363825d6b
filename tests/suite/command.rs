//! The command `hearth`, by both of its ways.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use api::openai::ModelList;
use api::rest::{CreatedToken, Status, TokenList};
use tests::client::{greedy, said};
use tests::host::HostStack;
use tests::process::output;

use crate::models::{TINY, with_tiny};

/// Runs a test once over the local socket and once over the network with a token.
fn both_ways(test: impl Fn(&HostStack, &dyn Fn() -> Result<Command>) -> Result<()>) -> Result<()> {
    with_tiny(2048, 4, |stack| {
        let local = || {
            let mut hearth = stack.hearth()?;
            hearth.arg("--socket").arg(stack.local_socket());
            Ok(hearth)
        };
        test(stack, &local).context("over the local socket")?;
        let remote = || {
            let mut hearth = stack.hearth()?;
            hearth
                .args(["--host", &stack.url()])
                .env("HEARTH_TOKEN", stack.token());
            Ok(hearth)
        };
        test(stack, &remote).context("over the network")
    })
}

#[test]
fn ask_prints_what_the_model_says() -> Result<()> {
    both_ways(|stack, hearth| {
        let expected = stack.admin().chat(&greedy(TINY, "hello there", 20))?;
        let printed = output(hearth()?.args(["ask", "--json", "--max-tokens", "20", "hello there"]))?;
        let completion = serde_json::from_str(&printed)?;
        ensure!(said(&completion)? == said(&expected)?, "{printed}");
        let streamed = output(hearth()?.args(["ask", "--max-tokens", "20", "hello there"]))?;
        ensure!(!streamed.trim().is_empty(), "nothing was printed");
        Ok(())
    })
}

#[test]
fn status_and_models_are_for_people_and_programs() -> Result<()> {
    both_ways(|_, hearth| {
        let status: Status = serde_json::from_str(&output(hearth()?.args(["status", "--json"]))?)?;
        ensure!(status.sample.is_some(), "{:?}", status.agent_problem);
        let screen = output(hearth()?.arg("status"))?;
        ensure!(screen.contains(&status.hostname), "{screen}");
        let models: ModelList = serde_json::from_str(&output(hearth()?.args(["models", "--json"]))?)?;
        ensure!(models.data.iter().any(|model| model.id == TINY), "{models:?}");
        ensure!(
            output(hearth()?.arg("models"))?.contains(TINY),
            "the table lacks the model"
        );
        Ok(())
    })
}

#[test]
fn tokens_are_made_listed_and_revoked() -> Result<()> {
    both_ways(|stack, hearth| {
        let made = output(hearth()?.args(["token", "new", "laptop", "--role", "chat", "--json"]))?;
        let made: CreatedToken = serde_json::from_str(&made)?;
        let laptop = stack.client().with_token(&made.secret);
        laptop.get("/v1/models")?.expect(200)?;
        let list = || -> Result<TokenList> {
            Ok(serde_json::from_str(&output(
                hearth()?.args(["token", "list", "--json"]),
            )?)?)
        };
        ensure!(
            list()?.tokens.iter().any(|token| token.id == made.token.id),
            "{:?}",
            list()?
        );
        output(hearth()?.args(["token", "revoke", &made.token.id]))?;
        laptop.get("/v1/models")?.expect(401)?;
        ensure!(
            list()?.tokens.iter().all(|token| token.id != made.token.id),
            "{:?}",
            list()?
        );
        Ok(())
    })
}

#[test]
fn failures_have_their_exit_codes_and_say_why() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let refused = stack
            .hearth()?
            .args(["--host", &stack.url(), "models"])
            .env("HEARTH_TOKEN", "hearth_x")
            .output()?;
        ensure!(refused.status.code() == Some(1), "{refused:?}");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(words.contains("token"), "a wrong token: {words}");
        let misused = stack
            .hearth()?
            .args(["ask", "--temperature", "9", "x"])
            .output()?;
        ensure!(misused.status.code() == Some(2), "{misused:?}");
        let nowhere = stack.folder().join("nowhere.sock");
        let lost = stack
            .hearth()?
            .arg("--socket")
            .arg(&nowhere)
            .arg("status")
            .output()?;
        let words = String::from_utf8_lossy(&lost.stderr).into_owned();
        ensure!(
            lost.status.code() == Some(1) && words.contains("nowhere.sock"),
            "{lost:?}"
        );
        Ok(())
    })
}
