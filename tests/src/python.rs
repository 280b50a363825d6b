//! Virtual environments of the tests, and in one of them OpenAI's own Python client.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use image::{Paths, ensure_venv};
use serde::{Deserialize, Serialize};

use crate::process::tail;
use crate::report;

/// The client and all that it needs, with hashes. The version is in the name, which is what a new environment goes by.
const REQUIREMENTS: &str = "openai/openai-3.54.0.txt";
const SCRIPT: &str = include_str!("../openai/ask.py");

/// The folder of an environment in the cache that holds exactly what a list in `tests/` has, by its hashes; made on the
/// first call.
pub fn environment(paths: &Paths, list: &str) -> Result<PathBuf> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(list)
        .display()
        .to_string();
    let arguments = ["--only-binary=:all:", "--require-hashes", "--requirement", &list];
    Ok(report::with_progress(|progress| {
        ensure_venv(paths, &arguments, progress)
    })?)
}

/// What to ask, and where.
#[derive(Clone, Debug, Serialize)]
pub struct Order<'a> {
    /// The address with `/v1`.
    pub base_url: String,
    /// The token.
    pub api_key: &'a str,
    /// The model's id.
    pub model: &'a str,
    /// Most tokens of each answer.
    pub max_tokens: u32,
    /// The questions, each asked twice: whole and as a stream.
    pub questions: Vec<&'a str>,
}

/// What the client got for one question.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Reply {
    /// The answer asked for at once.
    pub text: String,
    /// The answer put together from its chunks.
    pub streamed: String,
    /// How many chunks had text.
    pub chunks: usize,
    /// Tokens by the usage of the whole answer.
    pub completion_tokens: u32,
    /// Tokens by the usage of the stream.
    pub streamed_tokens: u32,
    /// The ids that the client listed.
    pub models: Vec<String>,
    /// The client's version.
    pub client: String,
}

/// A Python with the client installed.
#[derive(Clone, Debug)]
pub struct OpenAi {
    python: PathBuf,
}

impl OpenAi {
    /// The environment in the cache, made on the first call.
    pub fn ensure(paths: &Paths) -> Result<Self> {
        Ok(Self {
            python: environment(paths, REQUIREMENTS)?.join("bin/python3"),
        })
    }

    /// Asks all questions with one client, which believes the authority of a file in PEM.
    pub fn ask(&self, order: &Order<'_>, authority: &Path) -> Result<Vec<Reply>> {
        let mut command = Command::new(&self.python);
        command.args(["-I", "-c", SCRIPT]);
        command.env("SSL_CERT_FILE", authority);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.python.display()))?;
        let mut input = child.stdin.take().context("the client has no input")?;
        input.write_all(&serde_json::to_vec(order)?)?;
        drop(input);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "OpenAI's client failed:\n{}",
                tail(&String::from_utf8_lossy(&output.stderr), 15)
            );
        }
        let lines = String::from_utf8(output.stdout).context("the client's output")?;
        lines
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}
