//! A model file on its way over the network, in parts: where the line breaks, it goes on from what has arrived.

use crate::{
    client::{Answer, Client, ClientError, Payload},
    identity::Identity,
    patience::Patience,
    progress::Bar,
    screen,
    upload::Part,
};
use anyhow::{Context as _, bail};
use api::uploads::{LARGEST_PART, NewUpload, Upload};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Method, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{HeaderName, LOCATION},
};
use indicatif::ProgressBar;
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::task::spawn_blocking;

const UPLOADS: &str = "/api/v1/uploads";
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Bytes that are handed to the connection at once.
const PIECE: usize = 64 << 10;
/// What to do where the line stays broken.
const WAY_OUT: &str = "what has arrived is kept for an hour: give the same command again to go on";
/// What has become of an upload that is not known any more.
const FORGOTTEN: &str = "the upload is not known any more: somebody has given it up, or the appliance has restarted; give the \
                         same command again to begin anew";

/// Sends a file and gives the id of the job that adds it. What has come of the same file before is not sent again.
pub(crate) async fn send(client: &Client, part: &Part, name: String, size: u64) -> anyhow::Result<String> {
    let file = part.path.clone();
    let identity = spawn_blocking(move || Identity::of(&file)).await?;
    let identity = identity.with_context(|| format!("cannot read {}", part.path.display()))?;
    let new = NewUpload {
        name,
        file: part.name.clone(),
        size,
        identity: Some(identity.text()),
    };
    let body = serde_json::to_vec(&new)?;
    let upload: Upload = client.begin(UPLOADS, body).await?;
    if upload.offset > 0 {
        screen::tell(format_args!(
            "{} of {} bytes have arrived before; going on",
            upload.offset, new.size
        ));
    }
    let bar = Bar::new(Some(new.size), "sending");
    let (id, name) = (&upload.id, &new.name);
    bar.counter().println(format!(
        "sending {name} as the upload {id}: broken off, it is kept for an hour, the same command goes on with it, and \
         \"hearth model give-up {id}\" throws it away"
    ));
    let mut sending = Sending {
        client,
        part,
        identity,
        path: path(&upload.id),
        new,
        offset: upload.offset,
        bar: bar.counter(),
    };
    sending.finish().await
}

/// An upload under way.
struct Sending<'a> {
    client: &'a Client,
    part: &'a Part,
    identity: Identity,
    path: String,
    new: NewUpload,
    offset: u64,
    bar: ProgressBar,
}

/// What a part has come to.
enum Taken {
    /// So many bytes are there.
    UpTo(u64),
    /// It was the last; the job has this id.
    Last(String),
}

impl Sending<'_> {
    async fn finish(&mut self) -> anyhow::Result<String> {
        let mut patience = Patience::default();
        loop {
            self.bar.set_position(self.offset);
            let outcome = match self.send_part().await? {
                Err(error) => self.after(error).await,
                taken => taken,
            };
            match outcome {
                Ok(Taken::Last(job)) => return Ok(job),
                Ok(Taken::UpTo(offset)) => (self.offset, patience) = (offset, Patience::default()),
                Err(error) => patience.endure(error, &self.bar, WAY_OUT).await?,
            }
        }
    }

    /// Sends the next part. The outer error is the file's.
    async fn send_part(&self) -> anyhow::Result<Result<Taken, ClientError>> {
        let bytes = self.read().await?;
        let body = Counted {
            bytes,
            bar: self.bar.clone(),
        };
        let payload: Payload = body.boxed_unsync();
        let payload = Some((payload, "application/offset+octet-stream"));
        let offset = self.offset.to_string();
        let headers = [(OFFSET, offset.as_str())];
        let sent = self.client.call(Method::PATCH, &self.path, &headers, payload);
        Ok(sent.await.and_then(|answer| self.taken(&answer)))
    }

    /// Reads the next part, on a thread of its own: a disk may keep its reader waiting.
    async fn read(&self) -> anyhow::Result<Bytes> {
        let (path, identity, offset) = (self.part.path.clone(), self.identity, self.offset);
        let length = (self.new.size - offset.min(self.new.size)).min(LARGEST_PART) as usize;
        let reading = spawn_blocking(move || {
            let mut bytes = vec![0; length];
            let read = File::open(&path).and_then(|file| {
                file.read_exact_at(&mut bytes, offset)?;
                identity.may_be_of(&file)
            });
            let is_same = read.with_context(|| {
                format!(
                    "cannot read {length} bytes at byte {offset} of {}",
                    path.display()
                )
            })?;
            if !is_same {
                bail!("{} was changed while it was sent", path.display());
            }
            Ok(Bytes::from(bytes))
        });
        reading.await?
    }

    fn taken(&self, answer: &Answer) -> Result<Taken, ClientError> {
        if let Some(job) = answer.header(&LOCATION).and_then(|job| job.rsplit('/').next()) {
            return Ok(Taken::Last(job.to_owned()));
        }
        let offset = answer.header(&OFFSET).and_then(|offset| offset.parse().ok());
        let missing = || {
            self.client
                .unexpected(&self.path, "it does not tell how much has arrived")
        };
        offset.map(Taken::UpTo).ok_or_else(missing)
    }

    /// After a part that was not taken: how much has arrived, where that is why or may be otherwise. An upload that is
    /// whole tells its job, for as long as it is known.
    async fn after(&self, error: ClientError) -> Result<Taken, ClientError> {
        let is_conflict = matches!(
            &error,
            ClientError::Refused {
                status: StatusCode::CONFLICT,
                ..
            }
        );
        if !error.is_passing() && !is_conflict {
            return Err(error);
        }
        match self.client.call(Method::HEAD, &self.path, &[], None).await {
            Ok(answer) => match self.taken(&answer)? {
                // Nothing has arrived: it counts as a failure.
                Taken::UpTo(offset) if offset <= self.offset => Err(error),
                taken => Ok(taken),
            },
            Err(ClientError::Refused {
                endpoint,
                status: status @ StatusCode::NOT_FOUND,
                ..
            }) => Err(ClientError::Refused {
                endpoint,
                status,
                message: FORGOTTEN.to_owned(),
            }),
            Err(again) => Err(again),
        }
    }
}

/// Gives an upload up.
pub(crate) async fn give_up(client: &Client, id: &str, json: bool) -> anyhow::Result<()> {
    client.call(Method::DELETE, &path(id), &[], None).await?;
    if json {
        return screen::json(&serde_json::json!({"id": id}));
    }
    Ok(screen::print(&format!("the upload {id} is given up\n"))?)
}

fn path(id: &str) -> String {
    format!("{UPLOADS}/{id}")
}

/// A body that is counted as it is taken.
struct Counted {
    bytes: Bytes,
    bar: ProgressBar,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = PIECE.min(self.bytes.len());
        let piece = self.bytes.split_to(length);
        self.bar.inc(length as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
