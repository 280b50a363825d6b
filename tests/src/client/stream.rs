//! Server-sent events of one answer.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::openai::{ChatChunk, Error, ErrorBody};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Runtime;

use super::within;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A part of the answer.
    Chunk(ChatChunk),
    /// The stream failed, and says why.
    Error(Error),
    /// The closing `[DONE]`.
    Done,
}

impl Event {
    fn parse(data: &str) -> Result<Self> {
        if data == "[DONE]" {
            return Ok(Self::Done);
        }
        if let Ok(body) = serde_json::from_str::<ErrorBody>(data) {
            return Ok(Self::Error(body.error));
        }
        let chunk = serde_json::from_str(data).with_context(|| format!("not a chunk: {data}"))?;
        Ok(Self::Chunk(chunk))
    }

    /// The new text that it carries, if any.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Chunk(chunk) => chunk
                .choices
                .first()?
                .delta
                .content
                .as_deref()
                .filter(|text| !text.is_empty()),
            _ => None,
        }
    }
}

/// An answer that arrives in events. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    // Before the runtime, so that the body goes first.
    body: Incoming,
    runtime: Runtime,
    buffer: Vec<u8>,
    limit: Duration,
}

impl Stream {
    pub(super) fn new(runtime: Runtime, body: Incoming, limit: Duration) -> Self {
        Self {
            body,
            runtime,
            buffer: Vec::new(),
            limit,
        }
    }

    /// The next event of an answer; `None` when the server has ended the stream; an error when the connection broke.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        self.next_data()?.map(|data| Event::parse(&data)).transpose()
    }

    /// The data of the next event, whatever they are; `None` when the server has ended the stream.
    pub fn next_data(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(data) = take_event(&mut self.buffer)? {
                return Ok(Some(data));
            }
            let body = &mut self.body;
            let frame = within(&self.runtime, self.limit, "an event", async {
                Ok(body.frame().await.transpose()?)
            })?;
            match frame.map(|frame| frame.into_data()) {
                Some(Ok(data)) => self.buffer.extend_from_slice(&data),
                Some(Err(_trailers)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Reads on until `count` events with text have come. An error if the stream ends before.
    pub fn read_tokens(&mut self, count: usize) -> Result<String> {
        let mut text = String::new();
        for had in 0..count {
            match self.next_text()? {
                Some(new) => text.push_str(&new),
                None => bail!("the stream ended after {had} tokens instead of {count}: {text:?}"),
            }
        }
        Ok(text)
    }

    /// Everything to the closing `[DONE]`, as text. An error if the stream ends otherwise.
    pub fn read_all(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(event) = self.next_event()? {
            match &event {
                Event::Done => return Ok(text),
                Event::Error(error) => bail!("the stream failed after {text:?}: {}", error.message),
                Event::Chunk(_) => text.push_str(event.text().unwrap_or_default()),
            }
        }
        bail!("the stream ended without [DONE] after {text:?}")
    }

    /// Reads on to the error event. An error if the stream ends without one.
    pub fn read_error(&mut self) -> Result<Error> {
        while let Some(event) = self.next_event()? {
            match event {
                Event::Error(error) => return Ok(error),
                Event::Done => bail!("the stream ended well instead of with an error event"),
                Event::Chunk(_) => {}
            }
        }
        bail!("the stream ended without an error event")
    }

    fn next_text(&mut self) -> Result<Option<String>> {
        while let Some(event) = self.next_event()? {
            match &event {
                Event::Error(error) => bail!("the stream failed: {}", error.message),
                Event::Done => return Ok(None),
                Event::Chunk(_) => {}
            }
            if let Some(text) = event.text() {
                return Ok(Some(text.to_owned()));
            }
        }
        Ok(None)
    }
}

/// Cuts the first whole event that has data off the buffer. Comments and other fields are passed over.
fn take_event(buffer: &mut Vec<u8>) -> Result<Option<String>> {
    while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
        let event: Vec<u8> = buffer.drain(..end + 2).collect();
        let event = String::from_utf8(event).context("an event that is not UTF-8")?;
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        let data: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        if !data.is_empty() {
            return Ok(Some(data.join("\n")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_where_they_end() {
        let mut buffer = b": hello\n\ndata: {\"a\":\ndata:1}\n\ndata: [DO".to_vec();
        assert_eq!(take_event(&mut buffer).unwrap().as_deref(), Some("{\"a\":\n1}"));
        assert_eq!(take_event(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"NE]\n\n");
        assert_eq!(take_event(&mut buffer).unwrap().as_deref(), Some("[DONE]"));
    }

    #[test]
    fn an_error_event_is_told_from_a_chunk() {
        let event = Event::parse(
            r#"{"error":{"message":"m","type":"server_error","param":null,"code":"engine_lost"}}"#,
        );
        let Event::Error(error) = event.unwrap() else {
            panic!("not an error")
        };
        assert_eq!(
            (error.message.as_str(), error.code.as_deref()),
            ("m", Some("engine_lost"))
        );
    }
}
