//! Files on their way to the gateway: one after the other as one body, read on a thread of their own, for a pipe may
//! keep its reader waiting for ever.

use anyhow::{Context as _, bail};
use api::models::MOST_FILES;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    thread,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What a GGUF file begins with.
const MAGIC: &[u8] = b"GGUF";
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Pieces that may wait to be sent.
const WAITING: usize = 4;

/// A file to send.
pub(crate) struct Part {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its name without folders.
    pub(crate) name: String,
    /// Its size, unless it is a pipe.
    pub(crate) bytes: Option<u64>,
    reader: Box<dyn Read + Send>,
}

impl Part {
    /// Opens files in their order, as of one model.
    pub(crate) fn open_all(paths: &[PathBuf], stdin_name: Option<&str>) -> anyhow::Result<Vec<Self>> {
        if paths.len() > MOST_FILES {
            bail!(
                "a model of {} files is not taken; {MOST_FILES} are the most: join some, for example with \"llama-gguf-split --merge\"",
                paths.len()
            );
        }
        let parts: Vec<Self> = paths
            .iter()
            .map(|path| Self::open(path, stdin_name))
            .collect::<Result<_, _>>()?;
        match parts.iter().find(|part| part.bytes.is_none()) {
            Some(part) if parts.len() > 1 => {
                bail!("{} has no size; of several parts each must be a file", part.name)
            }
            _ => Ok(parts),
        }
    }

    /// Opens a file and reads its first bytes, both of which may wait for whoever writes a pipe; "-" is standard input,
    /// which is called by the name given.
    fn open(path: &Path, stdin_name: Option<&str>) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Self::stdin(stdin_name.context("what is the model called? Give --name with \"-\"")?);
        }
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let metadata = file
            .metadata()
            .with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            bail!("{} is a folder; a GGUF file is wanted", path.display());
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            bytes: metadata.is_file().then_some(metadata.len()),
            reader: begun_as_gguf(file, path)?,
            path: path.to_owned(),
        })
    }

    fn stdin(name: &str) -> anyhow::Result<Self> {
        if io::stdin().is_terminal() {
            bail!(
                "standard input is a terminal; give it a file: hearth model add - --name {name} < FILE.gguf"
            );
        }
        Ok(Self {
            path: "-".into(),
            name: format!("{name}.gguf"),
            bytes: None,
            reader: begun_as_gguf(io::stdin(), Path::new("standard input"))?,
        })
    }
}

/// What reads a file from its beginning, if it begins as GGUF files do: others need not be sent to be refused.
fn begun_as_gguf(mut file: impl Read + Send + 'static, path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::with_capacity(MAGIC.len());
    file.by_ref()
        .take(MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if magic != MAGIC {
        bail!(
            "{}: byte 0: not a GGUF file: it does not begin with `GGUF`",
            path.display()
        );
    }
    Ok(Box::new(io::Cursor::new(magic).chain(file)))
}

/// The body of all parts together.
pub(crate) struct Upload {
    pieces: Receiver<io::Result<Bytes>>,
    left: Option<u64>,
}

impl Upload {
    /// Begins to read. `seen` is told of each piece that was handed over to be sent.
    pub(crate) fn begin(parts: Vec<Part>, seen: impl Fn(u64) + Send + 'static) -> Self {
        let left = total(&parts);
        let (sender, pieces) = channel(WAITING);
        thread::spawn(move || {
            for part in parts {
                // Nobody takes what is read any more: the gateway has answered or hung up, or the reader was told why.
                if read(part, &sender, &seen).is_err() {
                    return;
                }
            }
        });
        Self { pieces, left }
    }
}

/// Bytes of all parts, if all are known.
pub(crate) fn total(parts: &[Part]) -> Option<u64> {
    parts.iter().map(|part| part.bytes).sum()
}

/// Why no more is read.
struct Ended;

fn read(mut part: Part, sender: &Sender<io::Result<Bytes>>, seen: &impl Fn(u64)) -> Result<(), Ended> {
    let mut left = part.bytes.unwrap_or(u64::MAX);
    while left > 0 {
        let mut piece = Vec::with_capacity(PIECE);
        let wanted = left.min(PIECE as u64);
        let outcome = match part.reader.by_ref().take(wanted).read_to_end(&mut piece) {
            Ok(0) if part.bytes.is_none() => return Ok(()),
            Ok(0) => Err(io::Error::other("it became shorter while it was read")),
            outcome => outcome,
        };
        let path = &part.path;
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
        };
        let read = outcome.map_err(named).map(|read| read as u64);
        let failed = read.is_err();
        let bytes = *read.as_ref().unwrap_or(&0);
        sender
            .blocking_send(read.map(|_| piece.into()))
            .map_err(|_| Ended)?;
        if failed {
            return Err(Ended);
        }
        seen(bytes);
        left -= bytes;
    }
    Ok(())
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = self.pieces.poll_recv(cx);
        if let (Poll::Ready(Some(Ok(piece))), Some(left)) = (&piece, &mut self.left) {
            *left -= piece.len() as u64;
        }
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::{
        fs,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    #[tokio::test]
    async fn parts_are_sent_one_after_the_other_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&first, [b"GGUF".as_slice(), &[1; PIECE + 3]].concat()).unwrap();
        fs::write(&second, "GGUF end").unwrap();
        let parts = [&first, &second].map(|path| Part::open(path, None).unwrap());
        assert_eq!([parts[0].name.as_str(), parts[1].name.as_str()], ["a", "b"]);
        let count = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&count);
        let upload = Upload::begin(parts.into(), move |bytes| {
            seen.fetch_add(bytes, Ordering::Relaxed);
        });
        assert_eq!(upload.size_hint().exact(), Some(PIECE as u64 + 15));
        let sent = upload.collect().await.unwrap().to_bytes();
        assert_eq!(sent.len(), PIECE + 15);
        assert!(sent.ends_with(b"\x01GGUF end"));
        while count.load(Ordering::Relaxed) < PIECE as u64 + 15 {
            thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "GGUF and more").unwrap();
        let part = Part::open(file.path(), None).unwrap();
        fs::write(file.path(), "").unwrap();
        let error = Upload::begin(vec![part], |_| ()).collect().await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("shorter") && words.contains(&file.path().display().to_string()),
            "{words}"
        );
    }

    #[test]
    fn what_is_no_file_is_refused_before_anything_is_sent() {
        let problem = |path: &str, name| {
            Part::open(Path::new(path), name)
                .err()
                .map(|error| format!("{error:#}"))
        };
        assert!(
            problem("/nowhere/x.gguf", None)
                .unwrap()
                .contains("/nowhere/x.gguf")
        );
        assert!(problem("/", None).unwrap().contains("folder"));
        assert!(problem("-", None).unwrap().contains("--name"));
        let zip = tempfile::NamedTempFile::new().unwrap();
        fs::write(zip.path(), "PK zip").unwrap();
        let problem = problem(&zip.path().display().to_string(), None).unwrap();
        assert!(problem.contains("not a GGUF file"), "{problem}");
    }
}
