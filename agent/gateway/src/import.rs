//! The import service, which alone opens model files: asked over a connection of its own each time, for which systemd
//! starts a process. `api::import` says what is spoken.

use api::import::{LARGEST_CHUNK, LONGEST_REPLY, Reply, Request};
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// How long the service may be silent, or take no byte: it writes to a disk that may be slow, behind all others.
const PATIENCE: Duration = Duration::from_secs(600);
/// What is collected of a file before it is passed on.
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
    output: BufWriter<OwnedWriteHalf>,
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
            output: BufWriter::with_capacity(BUFFER, output),
        };
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let output = &mut conversation.output;
        let sent = async {
            output.write_all(&line).await?;
            output.flush().await
        };
        sent.await.map_err(ImportError::Lost)?;
        Ok(conversation)
    }
}

impl Conversation {
    /// Passes bytes of a file on. An error only says that the service takes no more; why, its next reply says.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(LARGEST_CHUNK) {
            let sent = async {
                self.output.write_all(&(chunk.len() as u32).to_le_bytes()).await?;
                self.output.write_all(chunk).await
            };
            timeout(PATIENCE, sent).await??;
        }
        Ok(())
    }

    /// Says that the files have ended.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        let sent = async {
            self.output.write_all(&0_u32.to_le_bytes()).await?;
            self.output.flush().await
        };
        timeout(PATIENCE, sent).await?
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
