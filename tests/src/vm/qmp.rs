//! QEMU's control socket, as far as it is needed: one command a connection.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Presses the guest's power button.
pub(super) fn power_button(socket: &Path) -> Result<()> {
    execute(socket, "system_powerdown")
}

fn execute(socket: &Path, command: &str) -> Result<()> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("cannot reach QEMU at {}", socket.display()))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    read(&mut lines).context("QEMU's greeting")?;
    for command in ["qmp_capabilities", command] {
        writeln!(stream, "{}", json!({ "execute": command }))?;
        answer(&mut lines).with_context(|| format!("QEMU's answer to {command}"))?;
    }
    Ok(())
}

/// Reads on to the answer; events in between are nobody's business.
fn answer(lines: &mut impl BufRead) -> Result<()> {
    loop {
        let message = read(lines)?;
        if let Some(error) = message.get("error") {
            bail!("{error}");
        }
        if message.get("return").is_some() {
            return Ok(());
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
        let mut good = &b"{\"event\":\"SHUTDOWN\"}\n{\"return\":{}}\n"[..];
        answer(&mut good).unwrap();
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
