//! Answers on their way out: whole, or as server-sent events.

use std::time::Duration;

use api::openai::{
    ChatChunk, ChatCompletion, Choice, ChunkChoice, Content, Delta, ErrorBody, FinishReason, Message,
    PromptTokensDetails, Usage,
};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use engine::request::{Answer, Event, Summary};
use futures_util::stream;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::log::RequestLine;
use crate::refusal::Refusal;

/// How long a client may take nothing of its answer before its slot is given to others.
const STALL: Duration = Duration::from_secs(60);

/// What all parts of an answer say of it.
#[derive(Clone)]
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
}

/// Collects an answer into one body.
pub(crate) async fn whole(
    heading: Heading,
    mut answer: Answer,
    mut line: RequestLine,
) -> Result<Response, Refusal> {
    let mut text = String::new();
    let summary = loop {
        match answer.next().await {
            Some(Event::Started {
                prompt_tokens,
                loading,
            }) => line.started(prompt_tokens, loading),
            Some(Event::Text(more)) => {
                line.text();
                text += &more;
            }
            Some(Event::Finished(summary)) => break summary,
            Some(Event::Failed(error)) => {
                line.failed(&error);
                return Err(error.into());
            }
            None => {
                line.failed("the engine ended");
                return Err(Refusal::engine_ended());
            }
        }
    };
    line.finished(summary);
    let message = Message {
        role: "assistant".to_owned(),
        content: Content::Text(text),
    };
    let choice = Choice {
        index: 0,
        message,
        finish_reason: finish_reason(&summary),
    };
    let completion = ChatCompletion {
        id: heading.id,
        object: "chat.completion".to_owned(),
        created: heading.created,
        model: heading.model,
        choices: vec![choice],
        usage: usage(&summary),
    };
    Ok(Json(completion).into_response())
}

/// Waits until the request has a slot, so that a refusal has its own status, and streams the answer from then on.
pub(crate) async fn streamed(
    heading: Heading,
    mut answer: Answer,
    mut line: RequestLine,
    include_usage: bool,
) -> Result<Response, Refusal> {
    match answer.next().await {
        Some(Event::Started {
            prompt_tokens,
            loading,
        }) => line.started(prompt_tokens, loading),
        Some(Event::Failed(error)) => {
            line.failed(&error);
            return Err(error.into());
        }
        _ => {
            line.failed("the engine ended");
            return Err(Refusal::engine_ended());
        }
    }
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let events = Events {
        heading,
        include_usage,
        sender,
    };
    tokio::spawn(events.pump(answer, line));
    let body = stream::poll_fn(move |context| {
        receiver
            .poll_recv(context)
            .map(|event| event.map(Ok::<_, axum::Error>))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The sending end of a stream of events.
struct Events {
    heading: Heading,
    include_usage: bool,
    sender: mpsc::Sender<Bytes>,
}

/// The client has gone, or takes nothing.
struct Gone;

impl Events {
    /// Passes the answer on until it ends or the client goes; either way the answer is dropped, which cancels it.
    async fn pump(self, mut answer: Answer, mut line: RequestLine) {
        let role = Delta {
            role: Some("assistant".to_owned()),
            content: Some(String::new()),
        };
        let mut sent = self.send(&self.chunk(role, None)).await;
        while sent.is_ok() {
            let event = tokio::select! {
                event = answer.next() => event,
                () = self.sender.closed() => return,
            };
            sent = match event {
                Some(Event::Started { .. }) => Ok(()),
                Some(Event::Text(text)) => {
                    line.text();
                    self.send(&self.chunk(
                        Delta {
                            role: None,
                            content: Some(text),
                        },
                        None,
                    ))
                    .await
                }
                Some(Event::Finished(summary)) => {
                    line.finished(summary);
                    self.finish(&summary).await
                }
                Some(Event::Failed(error)) => {
                    line.failed(&error);
                    self.fail(error.into()).await
                }
                None => {
                    line.failed("the engine ended");
                    self.fail(Refusal::engine_ended()).await
                }
            };
        }
    }

    /// Sends the end of the answer, after which there is nothing to do.
    async fn finish(&self, summary: &Summary) -> Result<(), Gone> {
        self.send(&self.chunk(Delta::default(), Some(finish_reason(summary))))
            .await?;
        if self.include_usage {
            let chunk = self.chunk_of(Vec::new(), Some(usage(summary)));
            self.send(&chunk).await?;
        }
        self.write("data: [DONE]\n\n".to_owned()).await?;
        Err(Gone)
    }

    /// Tells a client in the middle of its stream that there will be no more.
    async fn fail(&self, refusal: Refusal) -> Result<(), Gone> {
        let ErrorBody { error } = refusal.body;
        self.write(format!("data: {}\n\n", json!({ "error": error })))
            .await?;
        Err(Gone)
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<FinishReason>) -> ChatChunk {
        self.chunk_of(
            vec![ChunkChoice {
                index: 0,
                delta,
                finish_reason,
            }],
            None,
        )
    }

    fn chunk_of(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> ChatChunk {
        ChatChunk {
            id: self.heading.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.heading.created,
            model: self.heading.model.clone(),
            choices,
            usage,
        }
    }

    async fn send(&self, chunk: &ChatChunk) -> Result<(), Gone> {
        match serde_json::to_string(chunk) {
            Ok(json) => self.write(format!("data: {json}\n\n")).await,
            Err(error) => {
                tracing::error!("an event cannot be written as JSON: {error}");
                Err(Gone)
            }
        }
    }

    async fn write(&self, event: String) -> Result<(), Gone> {
        match timeout(STALL, self.sender.send(event.into())).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}

fn finish_reason(summary: &Summary) -> FinishReason {
    match summary.reason {
        engine::request::FinishReason::Stop => FinishReason::Stop,
        engine::request::FinishReason::Length => FinishReason::Length,
    }
}

fn usage(summary: &Summary) -> Usage {
    let (prompt, completion) = (summary.prompt_tokens as u32, summary.completion_tokens as u32);
    Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: prompt + completion,
        prompt_tokens_details: PromptTokensDetails {
            cached_tokens: summary.reused_tokens as u32,
        },
    }
}
