//! QEMU's control socket, as far as it is needed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection to it. QEMU serves one at a time on each socket.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and greets.
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot reach QEMU at {}", socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut lines = BufReader::new(stream.try_clone()?);
        read(&mut lines).context("QEMU's greeting")?;
        let mut qmp = Self { stream, lines };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command; what it returned.
    pub(super) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let message = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream, "{message}")?;
        answer(&mut self.lines).with_context(|| format!("QEMU's answer to {command}"))
    }

    /// Writes a byte to an I/O port of the guest, as if the guest had.
    pub(super) fn write_port(&mut self, port: u16, byte: u8) -> Result<()> {
        let line = format!("o/b {port:#x} {byte}");
        self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(())
    }

    /// The host's thread of each of the guest's processors, by number.
    pub(super) fn processor_threads(&mut self) -> Result<Vec<u32>> {
        let answer = self.execute("query-cpus-fast", json!({}))?;
        let threads = answer.as_array().context("no list of processors")?.iter();
        let id = |processor: &Value| u32::try_from(processor["thread-id"].as_u64()?).ok();
        threads
            .map(|thread| id(thread).context("a processor without a thread"))
            .collect()
    }
}

/// Presses the guest's power button.
pub(super) fn power_button(socket: &Path) -> Result<()> {
    Qmp::connect(socket)?.execute("system_powerdown", json!({}))?;
    Ok(())
}

/// Reads on to the answer; events in between are nobody's business.
fn answer(lines: &mut impl BufRead) -> Result<Value> {
    loop {
        let message = read(lines)?;
        if let Some(error) = message.get("error") {
            bail!("{error}");
        }
        if let Some(value) = message.get("return") {
            return Ok(value.clone());
        }
    }
}

fn read(lines: &mut impl BufRead) -> Result<Value> {
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        bail!("QEMU closed its control socket");
    }
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_passed_over_and_errors_told() {
        let mut good = &b"{\"event\":\"SHUTDOWN\"}\n{\"return\":{\"x\":1}}\n"[..];
        assert_eq!(answer(&mut good).unwrap(), json!({ "x": 1 }));
        let mut bad = &b"{\"error\":{\"class\":\"CommandNotFound\"}}\n"[..];
        assert!(
            answer(&mut bad)
                .unwrap_err()
                .to_string()
                .contains("CommandNotFound")
        );
        assert!(answer(&mut &b""[..]).is_err());
    }
}
