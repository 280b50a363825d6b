//! The import service, which alone opens model files: asked over a connection of its own each time, for which systemd
//! starts a process. `api::import` says what is spoken.

use api::import::{LARGEST_CHUNK, LONGEST_REPLY, Reply, Request};
use bytes::{Buf, BufMut, BytesMut};
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// How long the service may be silent, or take no byte: it writes to a disk that may be slow, behind all others.
const PATIENCE: Duration = Duration::from_secs(600);
/// What waits of a file to be taken by the service before no more of it is read.
const BUFFER: usize = 128 << 10;

/// Why the service gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// Its socket takes no connection.
    #[error("the import service's socket {path} takes no connection: {source}")]
    Connect { path: PathBuf, source: io::Error },
    /// It hung up before its last word.
    #[error(
        "the import service ended before its last word ({0}); it serves a few at a time, so try again later, or see \
        \"journalctl -u 'hearth-import@*'\" on the appliance"
    )]
    Lost(io::Error),
    /// It was silent for too long.
    #[error("the import service has been silent for {} s", PATIENCE.as_secs())]
    Silent,
    /// It said something else than what was agreed.
    #[error("the import service's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

/// The way to the service.
#[derive(Clone, Debug)]
pub(crate) struct ImportService {
    socket: PathBuf,
}

/// One request, its files and its replies. Dropping it hangs up, whereupon the service leaves off and cleans up.
#[derive(Debug)]
pub(crate) struct Conversation {
    input: BufReader<OwnedReadHalf>,
    output: OwnedWriteHalf,
    /// What the service has not taken yet: whole chunks, of the first of which a part may have gone.
    waiting: BytesMut,
    finished: bool,
}

impl ImportService {
    /// By a Unix socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks for something.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Conversation, ImportError> {
        let connected = UnixStream::connect(&self.socket).await;
        let stream = connected.map_err(|source| ImportError::Connect {
            path: self.socket.clone(),
            source,
        })?;
        let (input, output) = stream.into_split();
        let mut conversation = Conversation {
            input: BufReader::new(input),
            output,
            waiting: BytesMut::new(),
            finished: false,
        };
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let sent = conversation.output.write_all(&line).await;
        sent.map_err(ImportError::Lost)?;
        Ok(conversation)
    }
}

impl Conversation {
    /// Waits until there is room for more of a file. Whoever gives up waiting has broken nothing: the next goes on. An error
    /// only says that the service takes no more; why, its next reply says.
    pub(crate) async fn room(&mut self) -> io::Result<()> {
        self.drain_to(BUFFER).await
    }

    /// Puts bytes of a file behind what waits, at once, so that they are either all in the conversation or not at all.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(LARGEST_CHUNK) {
            self.waiting.put_u32_le(chunk.len() as u32);
            self.waiting.put_slice(chunk);
        }
    }

    /// Says that the files have ended, and waits until all has been taken. Who asks again goes on with it.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.finished, true) {
            self.waiting.put_u32_le(0);
        }
        self.drain_to(0).await
    }

    /// Waits until no more waits than that.
    async fn drain_to(&mut self, most: usize) -> io::Result<()> {
        while self.waiting.len() > most {
            let taken = timeout(PATIENCE, self.output.write(&self.waiting)).await??;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.waiting.advance(taken);
        }
        Ok(())
    }

    /// The next reply.
    pub(crate) async fn next(&mut self) -> Result<Reply, ImportError> {
        let mut line = Vec::new();
        let mut input = (&mut self.input).take(LONGEST_REPLY);
        let read = timeout(PATIENCE, input.read_until(b'\n', &mut line)).await;
        read.map_err(|_| ImportError::Silent)?
            .map_err(ImportError::Lost)?;
        if line.last() != Some(&b'\n') {
            return Err(ImportError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(serde_json::from_slice(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::net::UnixListener;

    /// What a service reads of the files to their end.
    async fn files(mut service: BufReader<UnixStream>) -> Vec<u8> {
        let mut files = Vec::new();
        loop {
            let length = service.read_u32_le().await.unwrap() as usize;
            if length == 0 {
                return files;
            }
            assert!(length <= LARGEST_CHUNK, "{length}");
            let begin = files.len();
            files.resize(begin + length, 0);
            service.read_exact(&mut files[begin..]).await.unwrap();
        }
    }

    /// A conversation with a service that has read the request.
    async fn talking() -> (Conversation, BufReader<UnixStream>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("import.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let conversation = ImportService::new(socket).ask(&Request::List).await.unwrap();
        let mut service = BufReader::new(listener.accept().await.unwrap().0);
        service.read_until(b'\n', &mut Vec::new()).await.unwrap();
        (conversation, service)
    }

    #[tokio::test]
    async fn who_gives_up_waiting_for_a_slow_service_has_broken_nothing() {
        let (mut conversation, service) = talking().await;
        let file: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 251) as u8).collect();
        let mut pieces = file.chunks(10_007);
        let mut stuck = None;
        for piece in &mut pieces {
            if conversation.room().now_or_never().is_none() {
                stuck = Some(piece);
                break;
            }
            conversation.push(piece);
        }
        let stuck = stuck.expect("the service reads nothing");
        for _ in 0..3 {
            assert!(conversation.room().now_or_never().is_none());
        }
        let received = tokio::spawn(files(service));
        for piece in std::iter::once(stuck).chain(pieces) {
            conversation.room().await.unwrap();
            conversation.push(piece);
        }
        drop(conversation.finish().now_or_never());
        conversation.finish().await.unwrap();
        assert_eq!(received.await.unwrap(), file);
    }
}
