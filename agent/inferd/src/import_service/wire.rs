//! The two directions of a connection: a request and chunks come in, lines go out.

use std::io::{self, BufRead, Read, Write};
use std::sync::{Mutex, PoisonError};

use api::import::{LARGEST_CHUNK, LONGEST_REQUEST, Refused, RefusedKind, Reply, Request};
use api::models::{Phase, Progress};

/// A reason for not doing something. It may quote what came from outside, so it is made one line without control
/// characters here, before a log or a client sees it.
pub(super) fn refused(kind: RefusedKind, message: impl ToString) -> Refused {
    let harmless = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    Refused {
        kind,
        message: message.to_string().chars().map(harmless).collect(),
    }
}

/// Reads the line that says what is wanted.
pub(super) fn read_request(input: &mut impl BufRead) -> Result<Request, Refused> {
    let mut line = Vec::new();
    let read = input.take(LONGEST_REQUEST).read_until(b'\n', &mut line);
    read.map_err(|error| refused(RefusedKind::Invalid, format!("the request broke off: {error}")))?;
    if line.last() != Some(&b'\n') {
        let problem = format!("the request is not a line of at most {LONGEST_REQUEST} bytes");
        return Err(refused(RefusedKind::Invalid, problem));
    }
    serde_json::from_slice(&line).map_err(|error| {
        refused(
            RefusedKind::Invalid,
            format!("the request is not understood: {error}"),
        )
    })
}

/// What chunks carry, as one stream of bytes up to the empty chunk. Of the input no more is read than has been asked
/// for and announced.
pub(super) struct Chunks<R> {
    input: R,
    /// Bytes of this chunk that were not read yet.
    left: usize,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            ended: false,
        }
    }

    /// Whether all was read; waits for the next chunk's length to know it.
    pub(super) fn at_end(&mut self) -> io::Result<bool> {
        if self.left == 0 && !self.ended {
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            self.left = u32::from_le_bytes(length) as usize;
            self.ended = self.left == 0;
        }
        if self.left > LARGEST_CHUNK {
            let problem = format!("a chunk of {} bytes; {LARGEST_CHUNK} are the most", self.left);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(self.ended)
    }
}

impl<R: Read> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.at_end()? {
            return Ok(0);
        }
        let wanted = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
}

/// Writes replies; progress comes from several threads.
pub(super) struct Teller<W> {
    told: Mutex<Told<W>>,
}

struct Told<W> {
    output: W,
    /// Thousandths of the work of which the other end knows that they are done.
    permille: Option<u64>,
}

impl<W: Write> Teller<W> {
    pub(super) fn new(output: W) -> Self {
        let permille = None;
        Self {
            told: Mutex::new(Told { output, permille }),
        }
    }

    /// Writes a reply. An error means that the other end has gone.
    pub(super) fn tell(&self, reply: &Reply) -> io::Result<()> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(reply)
    }

    /// Tells how far the work is, where that is a thousandth further than was told before.
    pub(super) fn progress(&self, phase: Phase, done: u64, total: u64) -> io::Result<()> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let permille = (u128::from(done) * 1000 / u128::from(total.max(1))) as u64;
        if told.permille >= Some(permille) {
            return Ok(());
        }
        told.permille = Some(permille);
        told.write(&Reply::Progress(Progress { phase, done, total }))
    }
}

impl<W: Write> Told<W> {
    fn write(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.output.write_all(&line)?;
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Chunks of these lengths, the last one empty.
    pub(super) fn chunked(bytes: &[u8], lengths: &[usize]) -> Vec<u8> {
        let (mut rest, mut stream) = (bytes, Vec::new());
        let mut lengths = lengths.iter().copied().cycle();
        while !rest.is_empty() {
            let length = lengths.next().unwrap_or(1).clamp(1, rest.len());
            let (chunk, after) = rest.split_at(length);
            stream.extend((length as u32).to_le_bytes());
            stream.extend(chunk);
            rest = after;
        }
        stream.extend(0_u32.to_le_bytes());
        stream
    }

    #[test]
    fn a_reason_is_one_line_whatever_it_quotes() {
        let reason = refused(
            RefusedKind::Unusable,
            "no family \"x\n2026 root: all is well\u{1b}[2J\"",
        );
        assert_eq!(
            reason.message,
            "no family \"x\u{fffd}2026 root: all is well\u{fffd}[2J\""
        );
    }

    #[test]
    fn a_request_without_its_end_is_refused_whatever_its_length() {
        for line in [
            String::new(),
            "\"list\"".to_owned(),
            "x".repeat(LONGEST_REQUEST as usize + 1) + "\n",
        ] {
            let refused = read_request(&mut line.as_bytes()).unwrap_err();
            assert_eq!(refused.kind, RefusedKind::Invalid);
            assert!(
                refused.message.contains("not a line of at most"),
                "{}",
                refused.message
            );
        }
        assert_eq!(
            read_request(&mut b"\"list\"\nrest".as_slice()).unwrap(),
            Request::List
        );
    }

    #[test]
    fn a_chunk_beyond_its_limit_is_not_read() {
        let mut input = ((LARGEST_CHUNK + 1) as u32).to_le_bytes().to_vec();
        input.extend([7; 100]);
        let mut rest = input.as_slice();
        let error = Chunks::new(&mut rest).read(&mut [0; 8]).unwrap_err();
        assert_eq!((error.kind(), rest.len()), (io::ErrorKind::InvalidData, 100));
    }

    #[test]
    fn progress_is_told_by_thousandths_and_never_backwards() {
        let teller = Teller::new(Vec::new());
        for done in [0, 1, 5_000, 4_000, 5_001, 10_000] {
            teller.progress(Phase::Packing, done, 10_000).unwrap();
        }
        let lines = String::from_utf8(teller.told.into_inner().unwrap().output).unwrap();
        let done: Vec<u64> = lines
            .lines()
            .map(|line| match serde_json::from_str(line).unwrap() {
                Reply::Progress(progress) => progress.done,
                reply => panic!("{reply:?}"),
            })
            .collect();
        assert_eq!(done, [0, 5_000, 10_000]);
    }

    proptest! {
        #[test]
        fn bytes_come_out_of_chunks_as_they_went_in(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            lengths in proptest::collection::vec(1_usize..50, 1..6),
            after in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let mut stream = chunked(&bytes, &lengths);
            stream.extend(&after);
            let (mut rest, mut read) = (stream.as_slice(), Vec::new());
            Chunks::new(&mut rest).read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, bytes);
            prop_assert_eq!(rest, after);
        }

        #[test]
        fn a_stream_that_is_cut_off_is_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            lengths in proptest::collection::vec(1_usize..50, 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let stream = chunked(&bytes, &lengths);
            let cut = &stream[..cut.index(stream.len())];
            let error = Chunks::new(cut).read_to_end(&mut Vec::new()).unwrap_err();
            prop_assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }

        #[test]
        fn no_bytes_make_the_readers_panic_or_invent(
            ended in any::<bool>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            // Chance alone hardly ever begins with the end of a stream.
            let bytes = if ended { [&[0; 4], &bytes[..]].concat() } else { bytes };
            let mut rest = bytes.as_slice();
            let outcome = read_request(&mut rest);
            prop_assert!(outcome.is_ok() || outcome.is_err_and(|refused| refused.kind == RefusedKind::Invalid));
            let mut read = Vec::new();
            let outcome = Chunks::new(bytes.as_slice()).read_to_end(&mut read);
            prop_assert!(read.len() < bytes.len().max(1));
            prop_assert!(outcome.is_ok() || bytes.len() < 4 || !read.is_empty() || bytes[..4] != [0; 4]);
        }

        #[test]
        fn any_request_is_read_as_it_was_written(name in ".{0,40}", bytes in proptest::option::of(any::<u64>())) {
            let file = api::import::NewFile { name: name.clone(), bytes };
            let files = vec![file];
            for request in [
                Request::Add(api::import::NewModel { name: name.clone(), files }),
                Request::Verify(name.clone()),
                Request::Remove(name),
            ] {
                let line = serde_json::to_string(&request).unwrap() + "\n";
                prop_assert_eq!(read_request(&mut line.as_bytes()).unwrap(), request);
            }
        }
    }
}
