//! Files that come in parts. Nothing of them lies here: each part is handed on to the import service at once, in one
//! conversation that lasts from the first to the last. So a file is on the disk once, and an upload ends with the gateway.

use crate::{
    import::Conversation,
    intake::{Fault, Intake},
    refusal::{Kind, Refusal},
};
use api::uploads::NewUpload;
use http_body_util::BodyExt;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long an upload may rest: until somebody has found the cable. The import service waits a little longer.
const REST: Duration = Duration::from_secs(3600);

/// The uploads under way, and those that have come whole within the last hour: who has lost the answer to the last part
/// learns from them which job it began.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    open: Mutex<Vec<Arc<Upload>>>,
}

/// A file that comes in parts.
#[derive(Debug)]
pub(crate) struct Upload {
    /// For sending its parts.
    pub(crate) id: String,
    /// What it is.
    pub(crate) new: NewUpload,
    offset: AtomicU64,
    touched: Mutex<Instant>,
    /// `None`: the last part has come.
    conversation: tokio::sync::Mutex<Option<Conversation>>,
    /// Where the job is that it has become.
    job: OnceLock<String>,
    /// Fires when it is given up, also while a part is under way.
    given_up: CancellationToken,
}

/// What a part has come to.
pub(crate) enum Part<T> {
    /// More is to come.
    Taken(u64),
    /// It was the last, or the service takes no more; what it makes of the file is heard in this conversation, whose files
    /// are to be finished first.
    Last(Conversation, T),
}

impl Uploads {
    /// An upload of the same file that is under way. Of a file whose identity is not told it is not known which it is: half
    /// of one and half of another would make a model that nobody could tell from a whole one.
    pub(crate) fn same(&self, new: &NewUpload) -> Option<Arc<Upload>> {
        new.identity.as_ref()?;
        let all = self.lock();
        all.iter()
            .find(|upload| upload.is_open() && upload.new == *new)
            .cloned()
    }

    /// An upload.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Upload>, Refusal> {
        self.lock()
            .iter()
            .find(|upload| upload.id == id)
            .cloned()
            .ok_or_else(|| {
                let detail = format!("there is no upload {id:?}; one that has rested for an hour is gone");
                Refusal::new(Kind::NotFound, detail)
            })
    }

    /// Any that is under way.
    pub(crate) fn any(&self) -> Option<Arc<Upload>> {
        self.lock().iter().find(|upload| upload.is_open()).cloned()
    }

    /// Begins one. It is forgotten when it has rested for too long.
    pub(crate) fn begin(
        self: &Arc<Self>,
        new: NewUpload,
        conversation: Conversation,
    ) -> Result<Arc<Upload>, Refusal> {
        let id = getrandom::u64()
            .map_err(|error| Refusal::new(Kind::Internal, format!("cannot name an upload: {error}")))?;
        let upload = Arc::new(Upload {
            id: format!("{:012x}", id >> 16),
            new,
            offset: AtomicU64::new(0),
            touched: Mutex::new(Instant::now()),
            conversation: tokio::sync::Mutex::new(Some(conversation)),
            job: OnceLock::new(),
            given_up: CancellationToken::new(),
        });
        self.lock().push(upload.clone());
        let (id, touched) = (upload.id.clone(), upload.touched());
        tokio::spawn(expire(self.clone(), id, Arc::downgrade(&upload), touched));
        Ok(upload)
    }

    /// Forgets one, whereupon the import service forgets its file.
    pub(crate) fn forget(&self, id: &str) {
        let is_it = |upload: &mut Arc<Upload>| upload.id == id;
        let forgotten = self.lock().extract_if(.., is_it).collect::<Vec<_>>();
        forgotten.iter().for_each(|upload| upload.given_up.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets an upload that has rested for too long. It holds none itself: one that is over must hang up.
async fn expire(uploads: Arc<Uploads>, id: String, upload: Weak<Upload>, begun: Instant) {
    let mut until = begun + REST;
    loop {
        sleep_until(until).await;
        let Some(upload) = upload.upgrade() else {
            return;
        };
        let now = upload.touched() + REST;
        if now == until {
            if upload.is_open() {
                let name = &upload.new.name;
                tracing::info!(
                    upload = id,
                    "upload {id} of {name} is given up: it has rested too long"
                );
            }
            return uploads.forget(&id);
        }
        until = now;
    }
}

impl Upload {
    /// How many bytes are there.
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::SeqCst)
    }

    /// Where the job is that it has become, if it has come whole.
    pub(crate) fn job(&self) -> Option<&str> {
        self.job.get().map(String::as_str)
    }

    /// Notes that it has come whole.
    pub(crate) fn became(&self, job: String) {
        self.job.get_or_init(|| job);
    }

    fn is_open(&self) -> bool {
        self.job.get().is_none()
    }

    fn touched(&self) -> Instant {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Takes a part in that begins at an offset. Who sends another at the same time waits, and comes too late. `begin`
    /// begins what follows the last part; where it cannot be, the upload stays, and an empty part tries again.
    pub(crate) async fn take<T>(
        &self,
        offset: u64,
        mut body: Intake,
        begin: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<Part<T>, Broken> {
        self.touch();
        let mut place = self.conversation.lock().await;
        let there = self.offset();
        let conversation = place.as_mut().filter(|_| offset == there).ok_or_else(|| {
            let detail = format!("{there} bytes are there, and the part begins at {offset}");
            Broken::Part(Refusal::new(Kind::Conflict, detail))
        })?;
        let taken = self
            .given_up
            .run_until_cancelled(self.pass_on(&mut body, conversation));
        let taken = taken.await.ok_or_else(|| {
            let detail = format!("the upload {} was given up meanwhile", self.id);
            Broken::Part(Refusal::new(Kind::NotFound, detail))
        })??;
        if taken && self.offset() < self.new.size {
            return Ok(Part::Taken(self.offset()));
        }
        let begun = begin().map_err(Broken::Part)?;
        place.take().map(|whole| Part::Last(whole, begun)).ok_or_else(|| {
            let detail = "the last part has come already";
            Broken::Part(Refusal::new(Kind::Conflict, detail))
        })
    }

    /// Hands a part on as it comes. Tells whether the service takes all of it. Wherever this is dropped, as it is when the
    /// client hangs up, the offset says what is in the conversation.
    async fn pass_on(&self, body: &mut Intake, conversation: &mut Conversation) -> Result<bool, Broken> {
        while let Some(frame) = body.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            let now = self.offset() + data.len() as u64;
            if now > self.new.size {
                let announced = self.new.size;
                let detail = format!("the file has more than the {announced} bytes that were announced");
                return Err(Broken::Whole(Refusal::new(Kind::Invalid, detail)));
            }
            if conversation.room().await.is_err() {
                return Ok(false);
            }
            conversation.push(&data);
            self.offset.store(now, Ordering::SeqCst);
            self.touch();
        }
        Ok(true)
    }
}

/// Why a part was not taken in.
pub(crate) enum Broken {
    /// It was this part's fault; the upload goes on.
    Part(Refusal),
    /// The upload is at its end.
    Whole(Refusal),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Part(fault.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::ImportService;
    use api::{import::Request, uploads::LARGEST_PART};
    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::{FutureExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, BufReader},
        net::{UnixListener, UnixStream},
    };

    /// An upload of so many bytes, and the service's end.
    async fn begun(size: u64) -> (Arc<Upload>, BufReader<UnixStream>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("import.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let conversation = ImportService::new(socket).ask(&Request::List).await.unwrap();
        let mut service = BufReader::new(listener.accept().await.unwrap().0);
        service.read_until(b'\n', &mut Vec::new()).await.unwrap();
        let new = NewUpload {
            name: "m".to_owned(),
            file: "a.gguf".to_owned(),
            size,
            identity: None,
        };
        let uploads = Arc::new(Uploads::default());
        (uploads.begin(new, conversation).unwrap(), service)
    }

    /// A part as it comes over a network: in pieces.
    fn part(bytes: &[u8]) -> Intake {
        let frames: Vec<_> = bytes
            .chunks(16 << 10)
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        Intake::new(Body::new(StreamBody::new(stream::iter(frames))), LARGEST_PART).unwrap()
    }

    async fn received(mut service: BufReader<UnixStream>, size: usize) -> Vec<u8> {
        let mut file = Vec::new();
        while file.len() < size {
            let length = service.read_u32_le().await.unwrap() as usize;
            let begin = file.len();
            file.resize(begin + length, 0);
            service.read_exact(&mut file[begin..]).await.unwrap();
        }
        assert_eq!(service.read_u32_le().await.unwrap(), 0, "the file has ended");
        file
    }

    #[tokio::test]
    async fn a_client_that_goes_while_the_service_is_slow_goes_on_where_it_was() {
        let file: Vec<u8> = (0..3_u32 << 20).map(|n| (n % 251) as u8).collect();
        let (upload, service) = begun(file.len() as u64).await;
        let gone = upload.take(0, part(&file), || Ok(())).now_or_never();
        assert!(gone.is_none(), "the service takes nothing");
        let there = upload.offset() as usize;
        assert!((1..file.len()).contains(&there), "{there}");
        let received = tokio::spawn(received(service, file.len()));
        let last = upload.take(there as u64, part(&file[there..]), || Ok(())).await;
        let Ok(Part::Last(mut conversation, ())) = last else {
            panic!("it was the last part");
        };
        conversation.finish().await.unwrap();
        assert!(
            received.await.unwrap() == file,
            "not a byte is lost or there twice"
        );
    }

    #[tokio::test]
    async fn an_upload_that_is_given_up_takes_no_more_of_a_part_that_is_under_way() {
        let (upload, _service) = begun(8).await;
        let uploads = Uploads::default();
        uploads.lock().push(upload.clone());
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let never = Intake::new(Body::new(never), LARGEST_PART).unwrap();
        let mut under_way = Box::pin(upload.take(0, never, || Ok(())));
        assert!((&mut under_way).now_or_never().is_none());
        uploads.forget(&upload.id);
        let refused = under_way.await;
        assert!(matches!(refused, Err(Broken::Part(refusal)) if refusal.kind == Kind::NotFound));
        let whole = upload.take(0, part(b"GGUF1234"), || Ok(())).await;
        assert!(!matches!(whole, Ok(Part::Last(..))), "nothing begins with it");
    }

    #[tokio::test]
    async fn a_file_that_has_come_whole_is_kept_until_what_follows_can_begin() {
        let (upload, _service) = begun(4).await;
        let busy = || Err::<(), _>(Refusal::new(Kind::Conflict, "busy"));
        for (offset, rest) in [(0, "GGUF"), (4, "")] {
            let refused = upload.take(offset, part(rest.as_bytes()), busy).await;
            assert!(matches!(refused, Err(Broken::Part(refusal)) if refusal.kind == Kind::Conflict));
            assert_eq!(upload.offset(), 4);
        }
        let begun = upload.take(4, part(b""), || Ok(())).await;
        assert!(matches!(begun, Ok(Part::Last(..))));
        let again = upload.take(4, part(b""), || Ok(())).await;
        assert!(matches!(again, Err(Broken::Part(_))), "it is begun once");
    }
}
