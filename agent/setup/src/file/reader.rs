//! Reading tables so that each mistake is noted with its line and the rest is read on.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// More mistakes than this are not told: the file is none of these.
const MOST_PROBLEMS: usize = 50;
/// Most entries of a list.
const LONGEST_LIST: usize = 64;

/// Notes what is wrong.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

/// A table and where it is.
#[derive(Debug)]
pub(super) struct Section<'d> {
    /// Its name with a dot behind; empty for the file itself.
    prefix: String,
    /// Where it begins, as a byte of the text.
    start: usize,
    table: &'d DeTable<'d>,
}

impl<'d> Section<'d> {
    /// The file itself.
    pub(super) fn top(table: &'d DeTable<'d>) -> Self {
        Self {
            prefix: String::new(),
            start: 0,
            table,
        }
    }

    fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(key)
    }
}

impl<'t> Reader<'t> {
    /// Of this text, in which nothing is wrong yet.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: Vec::new(),
        }
    }

    /// What was read, if nothing was wrong.
    pub(super) fn done<T>(mut self, read: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(read);
        }
        self.problems.sort_by_key(|problem| problem.line);
        self.problems.truncate(MOST_PROBLEMS);
        Err(self.problems)
    }

    /// Notes keys that there are not.
    pub(super) fn known(&mut self, section: &Section<'_>, keys: &[&str]) {
        for (key, _) in section.table {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) {
                let problem = format!("there is no such key; there are {}", keys.join(", "));
                self.note(
                    section,
                    &name.escape_debug().to_string(),
                    key.span().start,
                    problem,
                );
            }
        }
    }

    /// A table within one, if it is there.
    pub(super) fn section<'d>(&mut self, section: &Section<'d>, key: &str) -> Option<Section<'d>> {
        let (name, value) = section.table.get_key_value(key)?;
        let start = name.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.note(
                section,
                key,
                start,
                format!("it is a section; write [{key}] and its keys below"),
            );
            return None;
        };
        Some(Section {
            prefix: format!("{}{key}.", section.prefix),
            start,
            table,
        })
    }

    /// A key's value, if it is there and right.
    pub(super) fn value<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let value = section.get(key)?;
        let read = read(value.get_ref());
        read.map_err(|problem| self.note(section, key, value.span().start, problem))
            .ok()
    }

    /// A key's value, which must be there.
    pub(super) fn required<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if section.get(key).is_none() {
            self.note(section, key, section.start, "it is missing".to_owned());
        }
        self.value(section, key, read)
    }

    /// What was made of a key's value, if that could be.
    pub(super) fn checked<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        made: Result<T, String>,
    ) -> Option<T> {
        let start = section.get(key).map_or(section.start, |value| value.span().start);
        made.map_err(|problem| self.note(section, key, start, problem))
            .ok()
    }

    /// Notes a key that has no business there.
    pub(super) fn superfluous(&mut self, section: &Section<'_>, key: &str, problem: &str) {
        if let Some(value) = section.get(key) {
            self.note(section, key, value.span().start, problem.to_owned());
        }
    }

    /// The right ones of a list; each that is not is noted with its own line.
    pub(super) fn list<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(value) = section.get(key) else {
            return Vec::new();
        };
        let start = value.span().start;
        let Some(values) = value.get_ref().as_array() else {
            self.note(
                section,
                key,
                start,
                "it is a list; write it as [\"…\", \"…\"]".to_owned(),
            );
            return Vec::new();
        };
        if values.len() > LONGEST_LIST {
            self.note(
                section,
                key,
                start,
                format!("it has {} entries; {LONGEST_LIST} at the most", values.len()),
            );
            return Vec::new();
        }
        let mut all = Vec::new();
        for one in values {
            match read(one.get_ref()) {
                Ok(one) => all.push(one),
                Err(problem) => self.note(section, key, one.span().start, problem),
            }
        }
        all
    }

    fn note(&mut self, section: &Section<'_>, key: &str, at: usize, problem: String) {
        self.problems.push(Problem {
            line: Some(line_of(self.text.as_bytes(), at)),
            key: format!("{}{key}", section.prefix),
            problem,
        });
    }
}

/// What a text is that must stand in quotes.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    let wanted = || format!("it is a text; write it in quotes, not as {}", value.type_str());
    value.as_str().ok_or_else(wanted)
}

/// A text, or a number as it is written.
pub(super) fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        other => Err(format!(
            "it is a text or a whole number, not {}",
            other.type_str()
        )),
    }
}

/// What is no TOML.
pub(super) fn syntax(text: &str, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors.iter().take(MOST_PROBLEMS) {
        let line = error.span().map(|span| line_of(text.as_bytes(), span.start));
        // One slip makes the parser stumble over the rest of its line.
        if problems.iter().any(|known| known.line == line) {
            continue;
        }
        problems.push(Problem {
            line,
            key: String::new(),
            problem: format!(
                "this is not as TOML is written: {}",
                error.message().trim().replace('\n', ", ")
            ),
        });
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// The line, from 1, that a byte is in.
pub(super) fn line_of(text: &[u8], byte: usize) -> usize {
    1 + text.iter().take(byte).filter(|&&byte| byte == b'\n').count()
}
