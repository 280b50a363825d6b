//! What is wrong with a file, so that whoever wrote it can mend it.

use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One fault of one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// The file, or the folder that cannot be read.
    pub(crate) path: PathBuf,
    /// The line, counted from 1; `null` where the whole file is meant.
    pub(crate) line: Option<usize>,
    /// The key, as a path from the top: `match[0].sys_vendor`. `null` where none is meant.
    pub(crate) key: Option<String>,
    /// What is wrong and what would be right.
    pub(crate) problem: String,
}

/// A fault before its place is known: the key as a path, and what is wrong there.
pub(super) type Fault = (String, String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl Problem {
    /// A fault of a whole file or folder.
    pub(super) fn of(path: &Path, problem: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            key: None,
            problem: problem.into(),
        }
    }

    /// A fault that the parser found.
    pub(super) fn parsed(path: &Path, text: &str, key: Option<String>, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_at(text, span.start));
        Self {
            path: path.to_owned(),
            line,
            key,
            problem: error.message().trim().replace('\n', ", "),
        }
    }

    /// A fault of what is written, found after parsing.
    pub(super) fn written(path: &Path, text: &str, (key, problem): Fault) -> Self {
        let line = span_of(text, &key).map(|span| line_at(text, span.start));
        Self {
            path: path.to_owned(),
            line,
            key: (!key.is_empty()).then_some(key),
            problem,
        }
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    1 + before.filter(|byte| **byte == b'\n').count()
}

/// Where the value of a key stands, or as much of the way to it as is there.
fn span_of(text: &str, key: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let steps = key.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let mut place = None;
    let mut value: Option<&DeValue<'_>> = None;
    for step in steps {
        let next = match value {
            None => table.get_ref().get(step),
            Some(value) => inside(value, step),
        };
        let Some(next) = next else { break };
        place = Some(next.span());
        value = Some(next.get_ref());
    }
    place
}

fn inside<'a, 'i>(value: &'a DeValue<'i>, step: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    match value.as_table() {
        Some(table) => table.get(step),
        None => value.as_array()?.get(step.parse::<usize>().ok()?),
    }
}
