//! The program under test.

use crate::gateway::Gateway;
use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// `hearth` with arguments and none of the caller's settings, its output caught.
pub(crate) fn hearth(arguments: &[&str]) -> Command {
    // What a shell starts in the background ignores Ctrl-C, and would hand that on.
    let mut command = Command::new("env");
    command
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_hearth")])
        .env_remove("HEARTH_HOST")
        .env_remove("HEARTH_TOKEN")
        .env_remove("HEARTH_CA")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("HOME")
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A gateway on a socket, and `hearth` told to use it.
pub(crate) struct Local {
    folder: TempDir,
    pub(crate) gateway: Gateway,
}

impl Local {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Gateway::unix(&folder.path().join("gateway.sock"));
        Self { folder, gateway }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("gateway.sock")
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        hearth(arguments)
            .arg("--socket")
            .arg(self.socket())
            .spawn()
            .unwrap()
    }
}

/// What a program wrote and how it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Waits for a program's end.
pub(crate) fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}
