//! The results of all commands, by name, printed once: at the end, or at an interruption.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value, to_value};

use crate::show::note;

/// Results that are there so far, shared with whoever prints them if there is no end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    results: Map<String, Value>,
    printed: bool,
}

impl Results {
    /// Puts a command's result in the place of what there was of it.
    pub(crate) fn set(&self, command: &str, result: &impl Serialize) -> Result<()> {
        let result = to_value(result)?;
        self.with(|state| state.results.insert(command.to_owned(), result));
        Ok(())
    }

    /// Prints the document, unless it has been.
    pub(crate) fn print(&self) -> Result<()> {
        self.with(|state| {
            if let Some(document) = state.document(false)? {
                println!("{document}");
            }
            Ok(())
        })
    }

    /// Prints what there is, unless the document has been printed.
    pub(crate) fn print_interrupted(&self) {
        self.with(|state| match state.document(true) {
            Ok(Some(document)) => println!("{document}"),
            Ok(None) => {}
            Err(error) => note(&format!("error: {error}")),
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// The document, once.
    fn document(&mut self, interrupted: bool) -> serde_json::Result<Option<String>> {
        if std::mem::replace(&mut self.printed, true) {
            return Ok(None);
        }
        let mut document = self.results.clone();
        if interrupted {
            document.insert("interrupted".to_owned(), Value::Bool(true));
        }
        serde_json::to_string_pretty(&document).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(results: &Results, interrupted: bool) -> Option<Value> {
        let text = results.with(|state| state.document(interrupted)).unwrap()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_last_of_a_command_is_printed_once() {
        let results = Results::default();
        results.set("speed", &1).unwrap();
        results.set("speed", &[1, 2]).unwrap();
        assert_eq!(
            document(&results, false),
            Some(serde_json::json!({ "speed": [1, 2] }))
        );
        assert_eq!(document(&results, true), None);
    }

    #[test]
    fn an_interruption_is_said() {
        let results = Results::default();
        results.set("memory", &0).unwrap();
        let expected = serde_json::json!({ "memory": 0, "interrupted": true });
        assert_eq!(document(&results, true), Some(expected));
    }
}
