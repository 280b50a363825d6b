//! Commands in the guest, through this host's ssh.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Keys;
use crate::process::{Process, tail, tethered};
use crate::wait;

/// The file with the host's key, in a machine's folder.
pub(super) const KNOWN_HOSTS: &str = "known_hosts";
/// The longest that one command may take, in seconds: filling all memory takes two minutes in a quiet emulated machine, and
/// four times as long where others use the processors.
const LIMIT: &str = "1500";

/// A connection as one user with one key. Commands share it, for under emulation each handshake takes seconds.
#[derive(Debug)]
pub struct Ssh {
    address: SocketAddr,
    user: String,
    key: PathBuf,
    known_hosts: PathBuf,
    control: PathBuf,
    master: Process,
}

impl Ssh {
    /// Connects as `user`; an error if the guest does not let it in.
    pub fn connect(address: SocketAddr, user: &str, keys: &Keys, folder: &Path) -> Result<Self> {
        let control = folder.join(format!("ssh-{user}"));
        let known_hosts = folder.join(KNOWN_HOSTS);
        let mut command = tethered("ssh");
        command.args(options(address, keys.private(), &known_hosts));
        command
            .arg("-S")
            .arg(&control)
            .args(["-M", "-N"])
            .arg(format!("{user}@127.0.0.1"));
        let log = folder.join("ssh.log");
        // Each attempt is judged by its own words.
        std::fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        let mut master = Process::start("ssh", command, &log)?;
        let what = format!("an SSH connection as {user}");
        wait::until(&what, Duration::from_secs(60), || {
            master.check()?;
            Ok(control.exists().then_some(()))
        })?;
        let key = keys.private().to_owned();
        Ok(Self {
            address,
            user: user.to_owned(),
            key,
            known_hosts,
            control,
            master,
        })
    }

    /// Whether it still stands.
    pub fn stands(&mut self) -> Result<bool> {
        Ok(self.master.ended()?.is_none())
    }

    /// Runs a shell command; its standard output, or an error with all that it wrote.
    pub fn run(&self, command: &str) -> Result<String> {
        self.run_with(command, Stdio::null())
    }

    /// The same, with a file or a pipe as the command's standard input.
    pub fn run_with(&self, command: &str, input: impl Into<Stdio>) -> Result<String> {
        let output = self
            .begin(command)
            .stdin(input)
            .output()
            .context("cannot start ssh")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`{command}` in the guest: {}\n{}\n{}",
                output.status,
                tail(&text, 20),
                tail(&errors, 20)
            );
        }
        Ok(text)
    }

    /// Runs a shell command as root.
    pub fn sudo(&self, command: &str) -> Result<String> {
        self.run(&format!("sudo sh -c {}", quote(command)))
    }

    /// Runs a shell command and returns whatever becomes of it.
    pub fn attempt(&self, command: &str) -> Result<Output> {
        self.begin(command).output().context("cannot start ssh")
    }

    fn begin(&self, command: &str) -> Command {
        let mut ssh = Command::new("timeout");
        ssh.args([LIMIT, "ssh"])
            .args(options(self.address, &self.key, &self.known_hosts));
        ssh.arg("-S")
            .arg(&self.control)
            .arg(format!("{}@127.0.0.1", self.user))
            .arg("--")
            .arg(command);
        ssh
    }
}

/// Takes the host's key on trust anew at the next connection.
pub(super) fn forget_host(folder: &Path) -> Result<()> {
    let path = folder.join(KNOWN_HOSTS);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Tries to log in with these further options and no shared connection; what ssh says.
pub(super) fn try_login(
    address: SocketAddr,
    user: &str,
    key: &Path,
    known_hosts: &Path,
    extra: &[&str],
) -> Result<Output> {
    let mut ssh = Command::new("timeout");
    // The first value of an option counts.
    ssh.args([LIMIT, "ssh"])
        .args(extra)
        .args(options(address, key, known_hosts));
    ssh.arg(format!("{user}@127.0.0.1")).arg("--").arg("true");
    ssh.output().context("cannot start ssh")
}

/// Options of every call. The first host key is taken on trust and must stay the same from then on.
fn options(address: SocketAddr, key: &Path, known_hosts: &Path) -> Vec<String> {
    let fixed = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
        "ConnectTimeout=30",
        "ServerAliveInterval=30",
    ];
    let mut options = vec![
        "-F".to_owned(),
        "none".to_owned(),
        "-p".to_owned(),
        address.port().to_string(),
    ];
    options.extend(["-i".to_owned(), key.display().to_string()]);
    let known = format!("UserKnownHostsFile={}", known_hosts.display());
    let trust = [
        "HostKeyAlias=guest".to_owned(),
        "StrictHostKeyChecking=accept-new".to_owned(),
        known,
    ];
    options.extend(
        fixed
            .map(str::to_owned)
            .into_iter()
            .chain(trust)
            .flat_map(|option| ["-o".to_owned(), option]),
    );
    options
}

/// A text as one word of a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_word() {
        let text = "it's $HOME; `ls`";
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("printf %s {}", quote(text)))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}
