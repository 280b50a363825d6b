//! `hearth ask`.

use crate::{
    cli::{Cli, Question},
    client::{Client, Reply},
    events::Stream,
    screen::{self, Answer, WARN},
};
use anyhow::{Context, bail};
use api::openai::{
    ChatChunk, ChatCompletion, ChatRequest, Content, ErrorBody, FinishReason, Message, ModelList,
};
use clap::{CommandFactory, error::ErrorKind};
use std::io::{self, IsTerminal, Read};

const CHAT: &str = "/v1/chat/completions";
/// More than the gateway takes; what is beyond it need not be read to be refused.
const LONGEST_QUESTION: u64 = 2 << 20;

/// Asks, and prints the answer as it comes.
pub(crate) async fn ask(client: &Client, question: Question) -> anyhow::Result<()> {
    let model = match &question.model {
        Some(model) => model.clone(),
        None => first_model(client).await?,
    };
    let json = question.json;
    let body = serde_json::to_vec(&request(question, model))?;
    if json {
        let completion: ChatCompletion = client.post(CHAT, body).await?;
        return screen::json(&completion);
    }
    let reply = client.stream(CHAT, body).await?;
    print_as_it_comes(client, reply).await
}

async fn first_model(client: &Client) -> anyhow::Result<String> {
    let models: ModelList = client.get("/v1/models").await?;
    let first = models.data.into_iter().next();
    first
        .map(|model| model.id)
        .context("the appliance has no model; add one: hearth model add FILE.gguf")
}

fn request(question: Question, model: String) -> ChatRequest {
    let message = |role: &str, text| Message {
        role: role.to_owned(),
        content: Content::Text(text),
    };
    let system = question.system.map(|text| message("system", text));
    let user = question.text.map(|text| message("user", text));
    ChatRequest {
        model,
        messages: system.into_iter().chain(user).collect(),
        stream: !question.json,
        max_tokens: question.max_tokens,
        temperature: Some(question.temperature),
        seed: question.seed,
        ..ChatRequest::default()
    }
}

/// The question as it was typed, or all of standard input.
pub(crate) fn read_question(given: Option<String>) -> anyhow::Result<String> {
    match given {
        Some(text) if text != "-" => Ok(text),
        None if io::stdin().is_terminal() => {
            let missing = "what is the question? hearth ask \"…\", or pipe it in";
            Cli::command()
                .error(ErrorKind::MissingRequiredArgument, missing)
                .exit()
        }
        _ => {
            let mut text = String::new();
            let input = io::stdin()
                .lock()
                .take(LONGEST_QUESTION)
                .read_to_string(&mut text);
            input.context("cannot read the question from standard input")?;
            if text.trim().is_empty() {
                bail!("the question on standard input is empty");
            }
            Ok(text)
        }
    }
}

async fn print_as_it_comes(client: &Client, reply: Reply) -> anyhow::Result<()> {
    let (answer, mut events) = (Answer::new(), Stream::of(client, reply));
    let mut progress = Progress::default();
    while let Some(event) = events.next().await? {
        let text = progress.take(&event.data);
        if let Some(text) = text.inspect_err(|_| end_line(&answer, &progress))? {
            answer.write(&text)?;
        }
    }
    end_line(&answer, &progress);
    progress.conclude(&answer)
}

/// What comes next begins on a line of its own.
fn end_line(answer: &Answer, progress: &Progress) {
    if progress.open_line {
        // Whoever reads the output has gone, and the next write finds out.
        drop(answer.write("\n"));
    }
}

/// How far a streamed answer is.
#[derive(Debug, Default)]
struct Progress {
    open_line: bool,
    reason: Option<FinishReason>,
    done: bool,
}

impl Progress {
    /// The text that an event brings.
    fn take(&mut self, event: &str) -> anyhow::Result<Option<String>> {
        if event == "[DONE]" {
            self.done = true;
            return Ok(None);
        }
        if let Ok(body) = serde_json::from_str::<ErrorBody>(event) {
            bail!("the answer broke off: {}", screen::one_line(&body.error.message));
        }
        let chunk: ChatChunk =
            serde_json::from_str(event).context("an event of the answer is not understood")?;
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(None);
        };
        self.reason = choice.finish_reason.or(self.reason);
        let text = choice.delta.content.filter(|text| !text.is_empty());
        if let Some(text) = &text {
            self.open_line = !text.ends_with('\n');
        }
        Ok(text)
    }

    /// An answer without its end is an error; one that was cut at a limit is told to whoever watches.
    fn conclude(&self, answer: &Answer) -> anyhow::Result<()> {
        if !self.done {
            bail!("the answer broke off without an error");
        }
        if self.reason == Some(FinishReason::Length) && answer.is_watched() {
            screen::tell(format_args!(
                "{WARN}(cut at the limit of tokens; see --max-tokens){WARN:#}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(choices: &str) -> String {
        format!(
            r#"{{"id":"x","object":"chat.completion.chunk","created":0,"model":"m","choices":[{choices}]}}"#
        )
    }

    #[test]
    fn an_answer_is_its_pieces() {
        let mut progress = Progress::default();
        let event =
            chunk(r#"{"index":0,"delta":{"role":"assistant","content":"Paris"},"finish_reason":null}"#);
        assert_eq!(progress.take(&event).unwrap().as_deref(), Some("Paris"));
        assert!(progress.open_line && progress.conclude(&Answer::new()).is_err());
        let event = chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#);
        assert_eq!(progress.take(&event).unwrap(), None);
        assert_eq!(progress.take(&chunk("")).unwrap(), None);
        assert_eq!(progress.take("[DONE]").unwrap(), None);
        assert_eq!(progress.reason, Some(FinishReason::Stop));
        progress.conclude(&Answer::new()).unwrap();
    }

    #[test]
    fn an_error_event_is_an_error() {
        let event =
            r#"{"error":{"message":"the engine\nended","type":"server_error","param":null,"code":null}}"#;
        let error = Progress::default().take(event).unwrap_err().to_string();
        assert_eq!(error, "the answer broke off: the engine ended");
        assert!(Progress::default().take("nonsense").is_err());
    }
}
