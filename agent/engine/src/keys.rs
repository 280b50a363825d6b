//! Metadata of one model, read with errors that name the file and the key.

use std::ops::RangeInclusive;
use std::path::Path;

use store::metadata::{Metadata, Texts, Value};

use crate::error::LoadError;
use crate::quote::quoted;

/// Metadata of one model.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    metadata: &'a Metadata,
    /// Where it comes from.
    path: &'a Path,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(metadata: &'a Metadata, path: &'a Path) -> Self {
        Self { metadata, path }
    }

    pub(crate) fn problem(&self, key: &str, problem: impl Into<String>) -> LoadError {
        LoadError::Key {
            path: self.path.to_owned(),
            key: quoted(key),
            problem: problem.into(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.metadata.get(key)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, LoadError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.problem(key, format!("is {}, not text", other.type_name()))),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, LoadError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                Err(self.problem(key, format!("is {}, neither true nor false", other.type_name())))
            }
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i128>, LoadError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integer(value)) => Ok(Some(*value)),
            Some(other) => Err(self.problem(key, format!("is {}, not a whole number", other.type_name()))),
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, key: &str) -> Result<&'a Texts, LoadError> {
        match self.get(key) {
            Some(Value::Texts(texts)) => Ok(texts),
            None => Err(self.problem(key, "is missing")),
            Some(other) => Err(self.problem(key, format!("is {}, not a list of texts", other.type_name()))),
        }
    }

    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, LoadError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) => Ok(Some(*value)),
            Some(other) => Err(self.problem(key, format!("is {}, not a float", other.type_name()))),
        }
    }

    /// A float within bounds, both excluded. NaN is in none.
    pub(crate) fn float_between(&self, key: &str, low: f64, high: f64) -> Result<Option<f64>, LoadError> {
        match self.float(key)? {
            Some(value) if !(value > low && value < high) => {
                let problem = format!("is {value}; above {low} and below {high} is allowed");
                Err(self.problem(key, problem))
            }
            found => Ok(found),
        }
    }

    /// A whole number within bounds.
    pub(crate) fn count(&self, key: &str, allowed: RangeInclusive<usize>) -> Result<usize, LoadError> {
        let found = self.optional_count(key, allowed)?;
        found.ok_or_else(|| self.problem(key, "is missing"))
    }

    /// A whole number within bounds, if it is there.
    pub(crate) fn optional_count(
        &self,
        key: &str,
        allowed: RangeInclusive<usize>,
    ) -> Result<Option<usize>, LoadError> {
        let Some(found) = self.integer(key)? else {
            return Ok(None);
        };
        match usize::try_from(found)
            .ok()
            .filter(|count| allowed.contains(count))
        {
            Some(count) => Ok(Some(count)),
            None => {
                let problem = format!("is {found}; {} to {} is allowed", allowed.start(), allowed.end());
                Err(self.problem(key, problem))
            }
        }
    }

    /// A token's id, if the key is there.
    pub(crate) fn token(&self, key: &str, count: usize) -> Result<Option<u32>, LoadError> {
        match self.integer(key)? {
            None => Ok(None),
            Some(id) => match u32::try_from(id).ok().filter(|&id| (id as usize) < count) {
                Some(id) => Ok(Some(id)),
                None => Err(self.problem(key, format!("is {id}, and the vocabulary has {count} tokens"))),
            },
        }
    }
}
