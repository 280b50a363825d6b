//! Lines of another program, each bounded.

use std::{io, mem};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The lines of an output. Of one that is longer than may be, the beginning.
#[derive(Debug)]
pub(crate) struct BoundedLines<R> {
    output: R,
    longest: usize,
    line: Vec<u8>,
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// One that was too long: its beginning.
    Cut(Vec<u8>),
}

impl<R: AsyncBufRead + Unpin> BoundedLines<R> {
    /// Of an output, with so many bytes a line at most.
    pub(crate) fn new(output: R, longest: usize) -> Self {
        Self {
            output,
            longest,
            line: Vec::new(),
        }
    }

    /// Waits until there is something to read, or the output has ended: tells which.
    pub(crate) async fn is_empty(&mut self) -> io::Result<bool> {
        Ok(self.output.fill_buf().await?.is_empty())
    }

    /// The next line; nothing once the output has ended. Whoever gives up waiting loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let there = self.output.fill_buf().await?;
            if there.is_empty() {
                return Ok(None);
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let piece = &there[..end.unwrap_or(there.len())];
            // One byte more than may be tells that it was too long.
            let room = self.longest + 1 - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            let taken = piece.len() + usize::from(end.is_some());
            self.output.consume(taken);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        let mut line = mem::take(&mut self.line);
        if line.len() <= self.longest {
            return Line::Whole(line);
        }
        line.truncate(self.longest);
        Line::Cut(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_cut_and_the_next_is_whole() {
        let text = b"\nabcd\nabcde\nabcdefghijk\nxy\nunfinished".as_slice();
        for buffer in [1, 3, 64] {
            let mut lines = BoundedLines::new(BufReader::with_capacity(buffer, text), 4);
            let [whole, cut] = [Line::Whole as fn(Vec<u8>) -> Line, Line::Cut];
            for (line, text) in [
                (whole, ""),
                (whole, "abcd"),
                (cut, "abcd"),
                (cut, "abcd"),
                (whole, "xy"),
            ] {
                assert_eq!(lines.next().await.unwrap(), Some(line(text.into())));
            }
            assert_eq!(lines.next().await.unwrap(), None, "it never ended");
        }
    }
}
