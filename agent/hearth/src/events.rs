//! Server-sent events, as far as the gateway's streams use them: the fields `event` and `data`.

use crate::client::{Client, Reply};
use http_body_util::BodyExt;
use std::{collections::VecDeque, time::Duration};
use tokio::time::timeout;

/// The largest event that is taken.
const LARGEST: usize = 1 << 20;
/// What is followed and says nothing for so long is dead: the gateway sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// An event that is too large to be believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the answer is larger than {LARGEST} bytes")]
pub(crate) struct TooLarge;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind; empty where none was told.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: String,
}

/// Events of an answer, as they come.
pub(crate) struct Stream<'a> {
    client: &'a Client,
    reply: Reply,
    events: Events,
    ready: VecDeque<Event>,
    patience: Duration,
}

impl<'a> Stream<'a> {
    /// Those that a path tells to whoever asks, for as long as something is heard of it.
    pub(crate) async fn begin(client: &'a Client, path: &str) -> anyhow::Result<Self> {
        let stream = Self::of(client, client.follow(path).await?);
        Ok(Self {
            patience: SILENCE,
            ..stream
        })
    }

    /// Those of an answer that has begun, which may take its time.
    pub(crate) fn of(client: &'a Client, reply: Reply) -> Self {
        Self {
            client,
            reply,
            events: Events::default(),
            ready: VecDeque::new(),
            patience: Duration::MAX,
        }
    }

    /// The next; none: the answer has ended in order. Dropped while it waits, it has lost nothing.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        while self.ready.is_empty() {
            let frame = timeout(self.patience, self.reply.response.body_mut().frame()).await;
            let Some(frame) = frame.map_err(|_| self.client.silent(self.patience))? else {
                return Ok(None);
            };
            let frame = frame.map_err(|source| self.client.broken(source))?;
            self.ready
                .extend(self.events.feed(&frame.into_data().unwrap_or_default())?);
        }
        Ok(self.ready.pop_front())
    }
}

/// Collects bytes into events (WHATWG HTML, section 9.2.6), whose lines may end with CR LF or LF.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
}

impl Events {
    /// Takes bytes and gives the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                events.extend(self.end_line());
            }
        }
        if self.line.len() + self.name.len() + self.data.len() > LARGEST {
            Err(TooLarge)
        } else {
            Ok(events)
        }
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = line
            .strip_suffix(b"\n")
            .map_or(&line[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
        if let Some(value) = field(line, b"data:") {
            self.data.extend_from_slice(value);
            self.data.push(b'\n');
        } else if let Some(value) = field(line, b"event:") {
            self.name = String::from_utf8_lossy(value).into_owned();
        }
        if !line.is_empty() {
            return None;
        }
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        let data = String::from_utf8_lossy(data.strip_suffix(b"\n")?).into_owned();
        Some(Event { name, data })
    }
}

/// A field's value, of which one space in front does not count.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint::Endpoint, trust::Trust};
    use proptest::prelude::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{UnixListener, UnixStream},
        time,
    };

    /// A gateway that begins a stream, tells one event, and then says nothing more; its end is held.
    async fn falls_silent(listener: UnixListener) -> UnixStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn a_stream_that_falls_silent_is_given_up_and_an_answer_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let held = tokio::spawn(falls_silent(UnixListener::bind(&path).unwrap()));
        let client = Client::new(Endpoint::Socket(path), None, Trust::default());
        let mut stream = Stream::begin(&client, "/x").await.unwrap();
        assert_eq!(stream.next().await.unwrap(), Some(event("", "a")));
        time::pause();
        let error = stream.next().await.unwrap_err().to_string();
        assert!(error.ends_with("has said nothing for 40 s"), "{error}");
        let Stream { client, reply, .. } = stream;
        let mut answer = Stream::of(client, reply);
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, answer.next()).await.is_err());
        drop(held);
    }

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_their_data() {
        let mut events = Events::default();
        let text = b": comment\nevent: x\ndata: a\ndata:b\r\n\r\n\n\ndata: c\n\ndata: half";
        assert_eq!(events.feed(text).unwrap(), [event("x", "a\nb"), event("", "c")]);
        assert_eq!(events.feed(b"\n\n").unwrap(), [event("", "half")]);
        assert_eq!(
            events.feed(b"event: y\n\ndata:\n\n").unwrap(),
            [event("", "")],
            "a name alone is no event, and is forgotten"
        );
    }

    #[test]
    fn an_endless_event_is_given_up() {
        let mut events = Events::default();
        assert_eq!(events.feed(&vec![b'x'; LARGEST + 1]), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_are_cut(bytes in proptest::collection::vec(
            prop::sample::select(b"event:data: \r\nx\xff".to_vec()), 0..60), cut in 0usize..60)
        {
            let whole = Events::default().feed(&bytes).unwrap();
            let mut events = Events::default();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut parts = events.feed(first).unwrap();
            parts.extend(events.feed(second).unwrap());
            prop_assert_eq!(whole, parts);
        }
    }
}
