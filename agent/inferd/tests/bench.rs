//! `inferd bench` where nobody listens.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

/// Measures a made-up model.
fn bench(folder: &Path) -> Result<Command> {
    let file = folder.join("tiny.gguf");
    engine::tiny::write(&file, 64)?;
    let mut bench = Command::new(env!("CARGO_BIN_EXE_inferd"));
    bench.args(["bench", "--no-bandwidth", "-p8", "-n0", "-r1", "-t1", "-m"]);
    bench.arg(file).env("XDG_CACHE_HOME", folder);
    Ok(bench)
}

/// A pipe that nobody reads.
fn closed() -> Result<Stdio> {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    Ok(writer.into())
}

#[test]
fn a_closed_standard_error_costs_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = bench(folder.path())?.stderr(closed()?).output()?;
    let text = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}: {text}", output.status);
    assert_eq!(text.lines().count(), 3, "{text}");
    Ok(())
}

#[test]
fn a_closed_standard_output_ends_it_quietly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for json in [None, Some("--json")] {
        let output = bench(folder.path())?.args(json).stdout(closed()?).output()?;
        let words = String::from_utf8(output.stderr)?;
        assert!(output.status.success(), "{}: {words}", output.status);
        assert!(!words.contains("error") && !words.contains("panicked"), "{words}");
    }
    Ok(())
}
