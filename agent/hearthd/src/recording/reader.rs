//! Reading a recording, which may come from anybody.

use machine::Record;
use std::io::{self, BufRead, Read};

/// The longest line, in bytes. The largest machine's capabilities have about a tenth of that.
const LONGEST_LINE: usize = 1 << 20;

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("line {line} cannot be read")]
    Read { line: usize, source: io::Error },
    #[error("line {line} is longer than {LONGEST_LINE} bytes")]
    TooLong { line: usize },
    #[error("line {line} is no record")]
    Content { line: usize, source: serde_json::Error },
}

/// The records of a recording, with the numbers of their lines, counted from 1. Ends after an error.
#[derive(Debug)]
pub(super) struct Records<R> {
    from: R,
    line: usize,
    ended: bool,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            line: 0,
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Record>, Error> {
        let line = self.line;
        let mut text = Vec::new();
        let limit = LONGEST_LINE as u64 + 1;
        let read = self.from.by_ref().take(limit).read_until(b'\n', &mut text);
        read.map_err(|source| Error::Read { line, source })?;
        if text.len() > LONGEST_LINE {
            return Err(Error::TooLong { line });
        }
        if text.is_empty() {
            return Ok(None);
        }
        let record = serde_json::from_slice(&text);
        record.map(Some).map_err(|source| Error::Content { line, source })
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<(usize, Record), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.line += 1;
        let record = self.read();
        self.ended = !matches!(record, Ok(Some(_)));
        Some(record.transpose()?.map(|record| (self.line, record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::Wishes;

    fn problem(text: &str) -> String {
        let outcome: Result<Vec<_>, _> = Records::new(text.as_bytes()).collect();
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn records_come_with_their_lines() {
        let line = serde_json::to_string(&Record::Wishes(Wishes::default())).unwrap();
        let text = format!("{line}\n{line}");
        let read: Vec<_> = Records::new(text.as_bytes())
            .map(|record| record.unwrap().0)
            .collect();
        assert_eq!(read, [1, 2]);
        assert!(Records::new(&b""[..]).next().is_none());
    }

    #[test]
    fn problems_name_the_line() {
        let line = serde_json::to_string(&Record::Wishes(Wishes::default())).unwrap();
        assert_eq!(problem(&format!("{line}\n{{}}\n{line}")), "line 2 is no record");
        assert_eq!(problem("\n"), "line 1 is no record");
        assert!(problem(&" ".repeat(LONGEST_LINE + 1)).starts_with("line 1 is longer than"));
        let mut after = Records::new(&b"?\n{}"[..]);
        assert!(after.next().unwrap().is_err());
        assert!(after.next().is_none(), "it ends after an error");
    }
}
