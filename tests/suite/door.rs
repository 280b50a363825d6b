//! Who is let in, and what is refused how.

use anyhow::{Context, Result, ensure};
use api::openai::{ErrorBody, ModelList};
use api::rest::{CreatedToken, NewToken, Problem, Role, Status, TokenList};
use bytes::Bytes;
use tests::client::greedy;

use crate::models::{TINY, with_tiny};

#[test]
fn a_wrong_token_or_none_is_401_in_the_asked_interfaces_shape() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let wrong = stack
            .client()
            .with_token("hearth_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        for client in [stack.client(), wrong] {
            let openai = client
                .post("/v1/chat/completions", &greedy(TINY, "hi", 1))?
                .expect(401)?;
            let error = openai.json::<ErrorBody>()?.error;
            ensure!(error.code.as_deref() == Some("invalid_api_key"), "{error:?}");
            ensure!(openai.header("www-authenticate").is_some(), "no WWW-Authenticate");
            let problem: Problem = client.get("/api/v1/status")?.expect(401)?.json()?;
            ensure!(problem.status == 401, "{problem:?}");
        }
        ensure!(stack.inferd_starts() == 0, "a refused request woke the engine");
        stack.admin().get("/v1/models")?.expect(200)?;
        Ok(())
    })
}

#[test]
fn a_body_over_the_limit_is_413_and_one_below_is_read() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let body = |bytes: usize| Bytes::from(vec![b' '; bytes]);
        let large = stack
            .admin()
            .exchange("POST", "/v1/chat/completions", body((1 << 20) + 1))?
            .expect(413)?;
        let error = large.json::<ErrorBody>()?.error;
        ensure!(error.kind == "invalid_request_error", "{error:?}");
        let small = stack
            .admin()
            .exchange("POST", "/v1/chat/completions", body((1 << 20) - 1))?;
        ensure!(
            small.status() == 400,
            "a body within the limit: {} {}",
            small.status(),
            small.text()
        );
        Ok(())
    })
}

#[test]
fn an_unknown_model_is_404_in_openais_shape() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let answer = stack
            .admin()
            .post("/v1/chat/completions", &greedy("nobody", "hi", 1))?
            .expect(404)?;
        let error = answer.json::<ErrorBody>()?.error;
        ensure!(error.code.as_deref() == Some("model_not_found"), "{error:?}");
        ensure!(
            error.message.contains("nobody"),
            "the message does not name it: {error:?}"
        );
        let list: ModelList = stack.admin().get("/v1/models")?.expect(200)?.json()?;
        ensure!(list.data.len() == 1 && list.data[0].id == TINY, "{list:?}");
        Ok(())
    })
}

#[test]
fn roles_bound_what_a_token_may_do_and_a_revoked_one_is_worth_nothing() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let make = |role| -> Result<CreatedToken> {
            let new = NewToken {
                name: format!("{role:?}"),
                role,
            };
            stack.admin().post("/api/v1/tokens", &new)?.expect(201)?.json()
        };
        let (read, chat) = (make(Role::Read)?, make(Role::Chat)?);
        let reader = stack.client().with_token(&read.secret);
        reader.get("/api/v1/status")?.expect(200)?;
        reader.get("/v1/models")?.expect(403)?;
        let talker = stack.client().with_token(&chat.secret);
        talker.get("/v1/models")?.expect(200)?;
        talker.get("/api/v1/tokens")?.expect(403)?;
        stack
            .admin()
            .delete(&format!("/api/v1/tokens/{}", chat.token.id))?
            .expect(200)?;
        talker.get("/v1/models")?.expect(401)?;
        let list: TokenList = stack.admin().get("/api/v1/tokens")?.expect(200)?.json()?;
        ensure!(list.tokens.len() == 2, "{list:?}");
        Ok(())
    })
}

#[test]
fn the_status_has_hearthds_sample_and_does_not_wake_the_engine() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let status: Status = stack.admin().get("/api/v1/status")?.expect(200)?.json()?;
        let sample = status
            .sample
            .with_context(|| format!("no sample: {:?}", status.agent_problem))?;
        ensure!(
            sample.memory.mem_available.is_some(),
            "a sample of this host without memory: {sample:?}"
        );
        ensure!(stack.inferd_starts() == 0, "a status woke the engine");
        let status: Status = stack
            .admin()
            .get("/api/v1/status?engine=true")?
            .expect(200)?
            .json()?;
        ensure!(
            status.engine.is_some() && stack.inferd_starts() == 1,
            "{:?}",
            status.engine
        );
        Ok(())
    })
}
