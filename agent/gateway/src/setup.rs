//! hearth-setup, which alone changes how the machine is reached: asked over a connection of its own each time, for which
//! systemd starts a process. `api::setup` says what is spoken. Nothing of what it is asked is judged here.

use crate::refusal::{Kind, Refusal};
use api::setup::{LONGEST_REPLY, Reason, Refused, Reply, Request};
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy, sink},
    net::UnixStream,
    sync::{Semaphore, oneshot},
    time::timeout,
};

/// How long it may take: a process has to be started, and files to be on the disk.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections at a time, fewer than its socket takes (`MaxConnections=`): of one too many systemd hangs up without a word.
const CONNECTIONS: usize = 3;

/// Why it gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// Its socket takes no connection.
    #[error("hearth-setup's socket {path} takes no connection: {source}")]
    Connect { path: PathBuf, source: io::Error },
    /// It hung up before its answer.
    #[error(
        "hearth-setup ended before its answer ({0}); see \"journalctl -u 'hearth-setup@*'\" on the appliance"
    )]
    Lost(io::Error),
    /// It was silent for too long.
    #[error("hearth-setup has been silent for {} s; it may yet do what it was asked, so look before it is asked again", PATIENCE.as_secs())]
    Silent,
    /// It said something else than what was agreed.
    #[error("hearth-setup's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

/// The way to it.
#[derive(Clone, Debug)]
pub(crate) struct SetupService {
    socket: PathBuf,
    connections: Arc<Semaphore>,
}

impl SetupService {
    /// By a Unix socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Asks for something, behind those who have asked before. What it refuses is an error.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, Refusal> {
        let mut line = serde_json::to_vec(request).map_err(SetupError::from)?;
        line.push(b'\n');
        let (tell, told) = oneshot::channel();
        tokio::spawn(self.clone().converse(line, tell));
        let told = timeout(PATIENCE, told).await.map_err(|_| SetupError::Silent)?;
        match told.map_err(|_| SetupError::Lost(io::ErrorKind::UnexpectedEof.into()))?? {
            Reply::Refused(refused) => Err(refused.into()),
            reply => Ok(reply),
        }
    }

    /// A connection, in its turn. Whoever has asked may go meanwhile: to systemd a connection is one until it has ended.
    async fn converse(self, line: Vec<u8>, tell: oneshot::Sender<Result<Reply, SetupError>>) {
        let _place = self.connections.acquire().await;
        if tell.is_closed() {
            return;
        }
        let mut stream = match UnixStream::connect(&self.socket).await {
            Ok(stream) => BufReader::new(stream),
            Err(source) => {
                let path = self.socket.clone();
                let _unheard = tell.send(Err(SetupError::Connect { path, source }));
                return;
            }
        };
        let answer = timeout(PATIENCE, exchange(&mut stream, &line)).await;
        let _unheard = tell.send(answer.unwrap_or(Err(SetupError::Silent)));
        let _ended = timeout(PATIENCE, copy(&mut stream, &mut sink())).await;
    }
}

async fn exchange(stream: &mut BufReader<UnixStream>, line: &[u8]) -> Result<Reply, SetupError> {
    stream.write_all(line).await.map_err(SetupError::Lost)?;
    // Not to its end: what changes how the answer travels is done between the line and the end.
    let mut answer = Vec::new();
    let mut bounded = stream.take(LONGEST_REPLY);
    let read = bounded.read_until(b'\n', &mut answer).await;
    read.map_err(SetupError::Lost)?;
    if answer.last() != Some(&b'\n') {
        return Err(SetupError::Lost(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// It has answered something else than was asked.
pub(crate) fn unexpected() -> Refusal {
    Refusal::new(
        Kind::SetupLost,
        "hearth-setup answered something else than was asked",
    )
}

impl From<SetupError> for Refusal {
    fn from(error: SetupError) -> Self {
        let kind = match error {
            SetupError::Connect { .. } => Kind::SetupUnavailable,
            SetupError::Lost(_) | SetupError::Silent | SetupError::Answer(_) => Kind::SetupLost,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let kind = match refused.reason {
            Reason::Invalid => Kind::Unacceptable,
            Reason::Changed => Kind::Changed,
            Reason::NoTrial => Kind::Conflict,
            Reason::Failed => Kind::Internal,
        };
        Self::new(kind, refused.message)
    }
}
