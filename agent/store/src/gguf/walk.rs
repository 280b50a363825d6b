//! One step through a head after the other, each value checked as it is met.

use std::io::{self, BufRead};

use crate::gguf::{HeadError, MAX_ELEMENTS, MAX_NAME_BYTES, MAX_STRING_BYTES, Problem};
use crate::metadata::{Texts, Value};

/// A reader that knows where it is, and keeps a copy of what it read if asked to.
pub(super) struct Walk<R> {
    reader: R,
    position: u64,
    /// Where the value began that was read last.
    last: u64,
    elements: u64,
    kept: Option<Vec<u8>>,
}

impl<R: BufRead> Walk<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            position: 0,
            last: 0,
            elements: 0,
            kept: None,
        }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Begins to keep what is read.
    pub(super) fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// How much was kept so far.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, Vec::len)
    }

    /// Forgets what was kept beyond its first bytes.
    pub(super) fn forget(&mut self, first: usize) {
        if let Some(kept) = &mut self.kept {
            kept.truncate(first);
        }
    }

    /// Ends keeping and gives what was kept.
    pub(super) fn kept(&mut self) -> Vec<u8> {
        self.kept.take().unwrap_or_default()
    }

    /// An error about the value that was read last.
    pub(super) fn problem(&self, problem: Problem) -> HeadError {
        HeadError::at(self.last, problem)
    }

    pub(super) fn limited(&self, what: &str, found: u64, limit: u64) -> Result<u64, HeadError> {
        if found > limit {
            return Err(self.problem(Problem::Limit {
                what: what.to_owned(),
                found,
                limit,
            }));
        }
        Ok(found)
    }

    pub(super) fn u32(&mut self) -> Result<u32, HeadError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, HeadError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], HeadError> {
        self.last = self.position;
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|error| self.problem(Problem::Read(error)))?;
        self.passed(&bytes);
        Ok(bytes)
    }

    /// A key or a tensor's name.
    pub(super) fn name(&mut self) -> Result<String, HeadError> {
        let length = self.u64()?;
        let length = self.limited("the length of a name", length, MAX_NAME_BYTES)?;
        self.text("a name", length)
    }

    /// The type of a value and the value.
    pub(super) fn value(&mut self, key: &str) -> Result<Value, HeadError> {
        let kind = self.u32()?;
        Ok(match kind {
            6 | 12 => Value::Float(self.float(kind)?),
            7 => Value::Bool(self.bool(key)?),
            8 => Value::Text(self.string(key)?),
            9 => self.list(key)?,
            _ => Value::Integer(self.integer(key, kind)?),
        })
    }

    fn list(&mut self, key: &str) -> Result<Value, HeadError> {
        let kind = self.u32()?;
        let count = self.u64()?;
        self.elements = self.elements.saturating_add(count);
        self.limited(
            "the number of elements of all arrays",
            self.elements,
            MAX_ELEMENTS,
        )?;
        Ok(match kind {
            6 | 12 => Value::Floats(self.many(count, |walk| Ok(walk.float(kind)? as f32))?),
            7 => Value::Bools(self.many(count, |walk| walk.bool(key))?),
            8 => Value::Texts(self.texts(key, count)?),
            9 => {
                let problem = "is an array of arrays, which no supported model has";
                return Err(self.problem(Problem::value(key, problem)));
            }
            _ => Value::Integers(self.many(count, |walk| {
                let integer = walk.integer(key, kind)?;
                i64::try_from(integer).map_err(|_| {
                    let problem = format!("has {integer}, which is no 64-bit number with a sign");
                    walk.problem(Problem::value(key, problem))
                })
            })?),
        })
    }

    /// Grows with what is really there.
    fn many<T>(
        &mut self,
        count: u64,
        one: impl Fn(&mut Self) -> Result<T, HeadError>,
    ) -> Result<Vec<T>, HeadError> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn texts(&mut self, key: &str, count: u64) -> Result<Texts, HeadError> {
        let what = format!("the length of a text of `{key}`");
        (0..count)
            .map(|_| {
                let length = self.u64()?;
                let length = self.limited(&what, length, MAX_STRING_BYTES)?;
                self.text(key, length)
            })
            .collect()
    }

    fn float(&mut self, kind: u32) -> Result<f64, HeadError> {
        Ok(match kind {
            6 => f64::from(f32::from_le_bytes(self.array()?)),
            _ => f64::from_le_bytes(self.array()?),
        })
    }

    fn bool(&mut self, key: &str) -> Result<bool, HeadError> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => {
                let problem = format!("is {other}, neither true nor false");
                Err(self.problem(Problem::value(key, problem)))
            }
        }
    }

    fn integer(&mut self, key: &str, kind: u32) -> Result<i128, HeadError> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => u32::from_le_bytes(self.array()?).into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            10 => u64::from_le_bytes(self.array()?).into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            found => {
                let key = key.to_owned();
                return Err(self.problem(Problem::Type { key, found }));
            }
        })
    }

    fn string(&mut self, key: &str) -> Result<String, HeadError> {
        let length = self.u64()?;
        let length = self.limited(
            &format!("the length of a text of `{key}`"),
            length,
            MAX_STRING_BYTES,
        )?;
        self.text(key, length)
    }

    fn text(&mut self, what: &str, length: u64) -> Result<String, HeadError> {
        self.last = self.position;
        let bytes = self
            .bytes(length)
            .map_err(|error| self.problem(Problem::Read(error)))?;
        self.passed(&bytes);
        String::from_utf8(bytes)
            .map_err(|error| self.problem(Problem::value(what, format!("is not UTF-8: {error}"))))
    }

    /// So many bytes; no more memory is taken for them than there are.
    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let there = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            if there.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let wanted = length - bytes.len() as u64;
            let taken = usize::try_from(wanted).map_or(there.len(), |wanted| wanted.min(there.len()));
            bytes.extend_from_slice(&there[..taken]);
            self.reader.consume(taken);
        }
        Ok(bytes)
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }
}
