//! The management interface beside its own document: openapi-spec-validator says whether that is OpenAPI, and schemathesis
//! makes requests of it, right ones and wrong ones, and compares what is answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use image::Paths;
use serde::Deserialize;

use crate::host::HostStack;
use crate::process::{output, tail};
use crate::python::environment;

/// Both programs with all that they need. The version is in the name, which is what a new environment goes by.
const REQUIREMENTS: &str = "schemathesis/schemathesis-4.32.5.txt";
/// What schemathesis is to know beside the document, from `tests/`.
const SETTINGS: &str = "schemathesis/schemathesis.toml";
/// The document, at the gateway.
const DOCUMENT: &str = "/api/openapi.json";
/// What a run leaves in the stack's folder.
const VERDICT: &str = "schemathesis.json";

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Most requests that are made up of each operation, beside those at the edges of what its values may be.
    pub examples: u32,
    /// How long it goes on with others; once through all operations where nothing is said.
    pub time: Option<Duration>,
    /// What the made-up requests come of: the same ones for the same number.
    pub seed: u32,
}

/// What a run has found.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    operations: Operations,
    test_cases: Cases,
    failures: Vec<Failure>,
    errors: Vec<Trouble>,
    phases: BTreeMap<String, Phase>,
    running_time: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct Operations {
    total: usize,
    tested: usize,
}

#[derive(Clone, Debug, Deserialize)]
struct Cases {
    generated: usize,
    without_checks: usize,
}

#[derive(Clone, Debug, Deserialize)]
struct Failure {
    title: String,
    count: usize,
    operations: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Trouble {
    title: String,
    count: usize,
}

#[derive(Clone, Debug, Deserialize)]
struct Phase {
    status: String,
}

impl Verdict {
    /// What was done, in a line.
    pub fn summary(&self) -> String {
        let phases: Vec<String> = self
            .phases
            .iter()
            .map(|(name, phase)| format!("{name} {}", phase.status))
            .collect();
        format!(
            "{} requests of {} operations in {:.0} s ({})",
            self.cases(),
            self.operations.tested,
            self.running_time,
            phases.join(", ")
        )
    }

    /// How many requests were made and their answers compared.
    pub fn cases(&self) -> usize {
        self.test_cases.generated - self.test_cases.without_checks
    }

    /// An error unless every operation was tested and nothing was found.
    pub fn must_be_clean(&self) -> Result<()> {
        let failures = self.failures.iter().map(|failure| {
            format!(
                "{} ({} times): {}",
                failure.title,
                failure.count,
                failure.operations.join(", ")
            )
        });
        let errors = self
            .errors
            .iter()
            .map(|error| format!("{} ({} times)", error.title, error.count));
        let found: Vec<String> = failures.chain(errors).collect();
        ensure!(found.is_empty(), "{}", found.join("; "));
        let Operations { total, tested } = self.operations;
        ensure!(
            tested == total && total > 0,
            "{tested} of {total} operations were tested"
        );
        Ok(())
    }
}

/// The programs.
#[derive(Clone, Debug)]
pub struct Conformance {
    programs: PathBuf,
}

impl Conformance {
    /// The environment in the cache, made on the first call.
    pub fn ensure(paths: &Paths) -> Result<Self> {
        Ok(Self {
            programs: environment(paths, REQUIREMENTS)?.join("bin"),
        })
    }

    /// An error unless the gateway's document is OpenAPI. Returns its version of that.
    pub fn validate(&self, stack: &HostStack) -> Result<String> {
        let document = stack.client().get(DOCUMENT)?.expect(200)?;
        let file = stack.folder().join("openapi.json");
        std::fs::write(&file, document.text()).with_context(|| format!("cannot write {}", file.display()))?;
        output(Command::new(self.programs.join("openapi-spec-validator")).arg(&file))?;
        let document: serde_json::Value = document.json()?;
        let version = document.get("openapi").and_then(serde_json::Value::as_str);
        Ok(version.context("a document without a version")?.to_owned())
    }

    /// Makes requests of all operations as an administrator, by TLS. Returns what was found, and the whole story.
    pub fn run(&self, stack: &HostStack, extent: Extent) -> Result<(Verdict, String)> {
        let place = stack.folder();
        let Output { stdout, .. } = self
            .command(stack, extent)?
            .output()
            .context("cannot start schemathesis")?;
        let log = String::from_utf8_lossy(&stdout).into_owned();
        match std::fs::read(place.join(VERDICT)) {
            Ok(verdict) => Ok((
                serde_json::from_slice(&verdict).context("schemathesis' verdict")?,
                log,
            )),
            Err(error) => bail!("schemathesis left no verdict ({error}):\n{}", tail(&log, 30)),
        }
    }

    fn command(&self, stack: &HostStack, extent: Extent) -> Result<Command> {
        let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join(SETTINGS);
        let mut command = Command::new(self.programs.join("schemathesis"));
        command.arg("--config-file").arg(settings).arg("run");
        command.args(["--max-examples", &extent.examples.to_string()]);
        if let Some(time) = extent.time {
            command.args(["--max-time", &time.as_secs().max(1).to_string()]);
        }
        command.args(["--seed", &extent.seed.to_string()]);
        command.args(["--no-color", "--report", "json", "--report-json-path", VERDICT]);
        command.arg("--tls-verify").arg(stack.authority());
        command.arg(format!("{}{DOCUMENT}", stack.url()));
        command.current_dir(stack.folder());
        command.env("HEARTH_TOKEN", stack.token());
        Ok(command)
    }
}
