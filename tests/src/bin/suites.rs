//! Runs all suites and tells of each how it went and how long it took.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ::tests::host::build;
use ::tests::oracle;
use ::tests::report::{Report, exit_code, say, seconds, step, table, with_progress};
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use image::{Paths, ensure_browser, ensure_setup};

/// Runs all suites: on this host, and the image in a virtual machine.
#[derive(Debug, Parser)]
#[command(version, after_help = "Examples:\n  suites\n  suites --only host")]
struct Cli {
    /// Run this suite only
    #[arg(long, value_enum)]
    only: Option<Suite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// All that cargo tests: what lies beside the code, the daemons on this host, the page in a browser
    Host,
    /// The image in a virtual machine
    Vm,
}

impl Suite {
    const ALL: [Self; 2] = [Self::Host, Self::Vm];

    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Vm => "vm",
        }
    }

    /// The virtual machine's program lies beside this one: cargo has built both with the tests.
    fn command(self) -> Result<Command> {
        match self {
            Self::Host => {
                let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                cargo.args(["test", "--release", "--workspace", "--no-fail-fast"]);
                Ok(cargo)
            }
            Self::Vm => {
                let own = std::env::current_exe().context("cannot tell where this program lies")?;
                let mut vm = Command::new(own.with_file_name("vm"));
                vm.arg("test");
                Ok(vm)
            }
        }
    }

    /// The counts in a line of the suite's output, if it is one that counts.
    fn counts(self, line: &str) -> Option<Counts> {
        let rest = match self {
            Self::Host => line.strip_prefix("test result: ")?.split_once(". ")?.1,
            Self::Vm => line,
        };
        let mut fields = rest.split([';', ',']);
        let passed = fields.next()?.trim().strip_suffix(" passed")?.parse().ok()?;
        let failed = fields.next()?.trim().strip_suffix(" failed")?.parse().ok()?;
        Some(Counts { passed, failed })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

/// How a suite went.
struct Outcome {
    suite: Suite,
    counts: Counts,
    took: Duration,
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let start = Instant::now();
    let paths = Paths::discover();
    let wanted = |suite: &Suite| cli.only.is_none_or(|only| only == *suite);
    with_progress(|progress| ensure_setup(&paths, progress))?;
    if wanted(&Suite::Host) {
        with_progress(|progress| ensure_browser(&paths, progress))?;
    }
    step("build the daemons", build)?;
    step("build the oracle", oracle::build)?;
    let outcomes: Vec<Outcome> = Suite::ALL
        .into_iter()
        .filter(wanted)
        .map(run_suite)
        .collect::<Result<_>>()?;
    Ok(summary(&outcomes, start.elapsed()))
}

/// Runs a suite, passing on what it writes. One that fails without having counted a failure counts as one.
fn run_suite(suite: Suite) -> Result<Outcome> {
    say(&format!("\n== {} ==", suite.name()));
    let start = Instant::now();
    let mut command = suite.command()?;
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let output = child.stdout.take().context("a suite without output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        say(&line);
        if let Some(new) = suite.counts(&line) {
            counts.passed += new.passed;
            counts.failed += new.failed;
        }
    }
    if !child.wait()?.success() {
        counts.failed = counts.failed.max(1);
    }
    Ok(Outcome {
        suite,
        counts,
        took: start.elapsed(),
    })
}

fn summary(outcomes: &[Outcome], took: Duration) -> ExitCode {
    let mut report = Report::new();
    let rows = outcomes.iter().map(|Outcome { suite, counts, took }| {
        report.add(counts.passed, vec![suite.name().to_owned(); counts.failed]);
        let result = if counts.failed == 0 && counts.passed > 0 {
            "passed"
        } else {
            "FAILED"
        };
        [
            suite.name(),
            result,
            &counts.passed.to_string(),
            &counts.failed.to_string(),
            &seconds(*took),
        ]
        .map(str::to_owned)
        .to_vec()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    say(&format!(
        "\n{}",
        table(&["suite", "result", "passed", "failed", "time"], &rows)
    ));
    say(&format!("\nall suites in {}", seconds(took)));
    report.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_count_are_counted() {
        let cargo = "test result: FAILED. 14 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        let counts = Counts {
            passed: 14,
            failed: 2,
        };
        assert_eq!(Suite::Host.counts(cargo), Some(counts));
        assert_eq!(Suite::Vm.counts("14 passed, 2 failed"), Some(counts));
        assert_eq!(Suite::Host.counts("14 passed, 2 failed"), None);
        assert_eq!(
            Suite::Vm.counts("ok  1.0 s  two clients passed, none failed"),
            None
        );
    }
}
