//! Recorded work, read from JSON lines (`tests/traces/README.md`).

use std::fmt;
use std::path::Path;

use serde_json::Value;
use twin::roofline::work::{Request, Work};

/// The traces, in the order of the tables.
const NAMES: [&str; 4] = ["chat", "long", "agent", "batch"];

/// Why a trace cannot be used: file, line and reason.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All traces of a folder.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<(&'static str, Work)>, Error> {
    NAMES
        .into_iter()
        .map(|name| Ok((name, read(folder, name)?)))
        .collect()
}

fn read(folder: &Path, name: &str) -> Result<Work, Error> {
    let path = folder.join(name).with_extension("jsonl");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error(format!("cannot read {}: {error}; see --traces", path.display())))?;
    parse(&text).map_err(|(line, reason)| Error(format!("{}:{line}: {reason}", path.display())))
}

fn parse(text: &str) -> Result<Work, (usize, String)> {
    let mut work = Work::default();
    for (index, line) in text.lines().enumerate() {
        let (session, request) = request(line).map_err(|reason| (index + 1, reason))?;
        if work.sessions.len() <= session {
            work.sessions.resize(session + 1, Vec::new());
        }
        work.sessions[session].push(request);
    }
    Ok(work)
}

fn request(line: &str) -> Result<(usize, Request), String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let number = |key: &str| value[key].as_u64().ok_or_else(|| format!("{key} is no number"));
    let small = |key: &str| u32::try_from(number(key)?).map_err(|_| format!("{key} is too large"));
    let session = number("session")?;
    if session >= 64 {
        return Err("session is 64 or more".into());
    }
    let request = Request {
        gap_ms: number("gap_ms")?,
        prompt_tokens: small("prompt_tokens")?,
        answer_tokens: small("answer_tokens")?,
    };
    Ok((session as usize, request))
}
