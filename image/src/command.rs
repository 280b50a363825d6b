//! Running outside programs: their output goes to a log, its latest line to the progress.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use crate::error::{AtPath, Error, Result};
use crate::progress::Progress;

/// Lines of a failed program's output that its error carries.
const TAIL: usize = 25;

/// Variables that a program started through sudo still gets: without them no download works behind a proxy.
const KEPT: [&str; 6] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Runs `command` to its end, without input. Everything it writes goes to `log`.
pub(crate) fn run(mut command: Command, log: &Path, progress: Progress<'_>) -> Result<()> {
    let program = describe(&command);
    let start = |source| Error::Start {
        program: program.clone(),
        source,
    };
    let (reader, writer) = io::pipe().map_err(start)?;
    let mut file = create_log(log)?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(start)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(start)?;
    // Holds the pipe's writing end: while it lives the reader sees no end.
    drop(command);
    let tail = follow(reader, &mut file, progress).at("write", log)?;
    let status = child.wait().map_err(start)?;
    if status.success() {
        return Ok(());
    }
    let tail = Vec::from(tail).join("\n");
    Err(Error::Program {
        program,
        status,
        tail,
        log: log.to_owned(),
    })
}

/// Runs `command` and gives what it wrote to its standard output.
pub(crate) fn output(mut command: Command, log: &Path) -> Result<Vec<u8>> {
    let program = describe(&command);
    let start = |source| Error::Start {
        program: program.clone(),
        source,
    };
    let output = command.stdin(Stdio::null()).output().map_err(start)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    create_log(log)?.write_all(&output.stderr).at("write", log)?;
    let tail = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Program {
        program,
        status: output.status,
        tail,
        log: log.to_owned(),
    })
}

/// Whether `program` is in the search path or in the folders of the administrator's programs.
pub(crate) fn is_installed(program: &str) -> bool {
    installed(program).is_some()
}

/// Where a program lies that can be run by name.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut places = folders.map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Asks sudo for its password, if it wants one, before any progress is drawn. `why` is shown first. Nothing for root.
pub fn authorise(why: &str, progress: Progress<'_>) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    if !is_installed("sudo") {
        return Err(Error::NeedsRoot { why: why.to_owned() });
    }
    progress.note(&format!("sudo: {why}"));
    let mut sudo = Command::new("sudo");
    let status = sudo.arg("true").status().map_err(|source| Error::Start {
        program: "sudo".to_owned(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::NeedsRoot { why: why.to_owned() })
    }
}

/// `program` as root: as it is for root, through sudo for others. `env` are variables set for it.
pub(crate) fn as_root(program: impl AsRef<OsStr>, env: &[(&str, &OsStr)]) -> Command {
    if is_root() {
        let mut command = Command::new(program);
        command.envs(env.iter().copied());
        return command;
    }
    let mut command = Command::new("sudo");
    command.arg("env");
    let kept = KEPT
        .iter()
        .filter_map(|name| std::env::var_os(name).map(|value| (*name, value)));
    let given = env.iter().map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in kept.chain(given) {
        let mut assignment = std::ffi::OsString::from(name);
        assignment.push("=");
        assignment.push(value);
        command.arg(assignment);
    }
    command.arg(program);
    command
}

/// Removes a folder and everything in it, whoever owns it. Nothing if it is not there.
pub(crate) fn remove_as_root(folder: &Path, log: &Path, progress: Progress<'_>) -> Result<()> {
    if folder.symlink_metadata().is_err() {
        return Ok(());
    }
    let mut command = as_root("rm", &[]);
    command
        .args(["--recursive", "--force", "--one-file-system", "--"])
        .arg(folder);
    run(command, log, progress)
}

fn create_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    File::create(log).at("create", log)
}

fn follow(reader: PipeReader, log: &mut File, progress: Progress<'_>) -> io::Result<VecDeque<String>> {
    let mut reader = BufReader::new(reader);
    let mut tail = VecDeque::new();
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        log.write_all(&bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // A carriage return redraws the line: its last state is what counts.
        let line = text.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
        bytes.clear();
        if line.is_empty() {
            continue;
        }
        progress.line(&line);
        tail.push_back(line);
        if tail.len() > TAIL {
            tail.pop_front();
        }
    }
    Ok(tail)
}

fn describe(command: &Command) -> String {
    let name = |text: &OsStr| {
        Path::new(text)
            .file_name()
            .unwrap_or(text)
            .to_string_lossy()
            .into_owned()
    };
    let program = name(command.get_program());
    if program != "sudo" {
        return program;
    }
    let real = command
        .get_args()
        .skip(1)
        .find(|argument| !argument.to_string_lossy().contains('='));
    real.map_or(program, |real| format!("sudo {}", name(real)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_goes_to_the_log_and_its_lines_to_the_progress() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/x.log");
        let lines = RefCell::new(Vec::new());
        let sink = |event: crate::progress::Event<'_>| {
            if let crate::progress::Event::Line { text } = event {
                lines.borrow_mut().push(text.to_owned());
            }
        };
        run(
            shell("echo one; printf '10%%\\r20%%\\n' >&2"),
            &log,
            Progress::new(&sink),
        )
        .unwrap();
        assert_eq!(*lines.borrow(), ["one", "20%"]);
        assert_eq!(fs::read_to_string(&log).unwrap(), "one\n10%\r20%\n");
    }

    #[test]
    fn a_failure_carries_the_last_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let error = run(shell("seq 100; exit 3"), &log, Progress::silent()).unwrap_err();
        let Error::Program {
            program,
            status,
            tail,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((program.as_str(), status.code()), ("sh", Some(3)));
        assert_eq!(tail.lines().next(), Some("76"));
        assert_eq!(tail.lines().last(), Some("100"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let command = Command::new("hearth-no-such-program");
        let error = run(command, &folder.path().join("x.log"), Progress::silent()).unwrap_err();
        assert!(error.to_string().contains("hearth-no-such-program"), "{error}");
    }

    #[test]
    fn sudo_is_described_by_what_it_runs() {
        let mut command = Command::new("sudo");
        command.args(["env", "A=b", "/usr/bin/apt-get", "install"]);
        assert_eq!(describe(&command), "sudo apt-get");
    }
}
