//! `hearth logs`: the journal.

use crate::{
    cli::Logs,
    client::{Client, Reply},
    events::Stream,
    screen::{self, Answer, BAD, NAME, WARN},
};
use anyhow::Context;
use api::system::LogEntry;
use http_body_util::BodyExt;

/// Longer than any entry that the gateway tells.
const LONGEST: usize = 4 << 20;

/// Shows entries; with `--follow` until the gateway ends.
pub(crate) async fn logs(client: &Client, wanted: Logs) -> anyhow::Result<()> {
    let path = path(&wanted);
    if wanted.follow {
        let mut stream = Stream::begin(client, &path).await?;
        while let Some(event) = stream.next().await? {
            show(&event.data, wanted.json)?;
        }
        anyhow::bail!("the gateway has ended the stream")
    }
    let reply = client.follow(&path).await?;
    print_all(client, reply, wanted.json).await
}

fn path(wanted: &Logs) -> String {
    let mut path = format!("/api/v1/logs?lines={}", wanted.lines);
    if let Some(unit) = &wanted.unit {
        path.push_str(&format!("&unit={unit}"));
    }
    if let Some(priority) = wanted.priority {
        path.push_str(&format!("&priority={priority}"));
    }
    if wanted.follow {
        path.push_str("&follow=true");
    }
    path
}

async fn print_all(client: &Client, mut reply: Reply, json: bool) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    while let Some(frame) = reply.response.body_mut().frame().await {
        let frame = frame.map_err(|source| client.broken(source))?;
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = bytes.drain(..=end).collect();
            show(String::from_utf8_lossy(&line).trim_end(), json)?;
        }
        if bytes.len() > LONGEST {
            anyhow::bail!("an entry of the journal has no end");
        }
    }
    Ok(())
}

fn show(line: &str, json: bool) -> anyhow::Result<()> {
    if json {
        Answer::new().write(&format!("{line}\n"))?;
    } else {
        let entry = serde_json::from_str(line).context("an entry of the journal is not understood")?;
        screen::print(&shown(&entry))?;
    }
    Ok(())
}

/// As `journalctl` shows it: a message of several lines stays one entry, its lines below one another.
fn shown(entry: &LogEntry) -> String {
    let style = match entry.priority {
        0..=3 => BAD,
        4 => WARN,
        5 => NAME,
        _ => anstyle::Style::new(),
    };
    let unit = entry.unit.as_deref().unwrap_or("kernel");
    let unit = screen::one_line(unit.strip_suffix(".service").unwrap_or(unit));
    let mut lines = entry.message.lines().map(screen::one_line);
    let first = lines.next().unwrap_or_default();
    let rest: String = lines.map(|line| format!("\n    {line}")).collect();
    format!("{} {unit}: {style}{first}{rest}{style:#}\n", second(&entry.time))
}

/// An instant without what is below seconds: `2026-01-02T03:04:05Z`.
fn second(time: &str) -> String {
    let time = screen::one_line(time);
    match time.split_once('.') {
        Some((second, rest)) => format!(
            "{second}{}",
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        ),
        None => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_line_and_steers_nothing() {
        let mut entry = LogEntry {
            time: "2026-01-02T03:04:05.678901Z".to_owned(),
            unit: Some("hearthd.service".to_owned()),
            priority: 6,
            message: "a\u{1b}[2Jb".to_owned(),
        };
        assert_eq!(shown(&entry), "2026-01-02T03:04:05Z hearthd: a\u{fffd}[2Jb\n");
        entry.priority = 3;
        entry.message = "one\ntwo".to_owned();
        let plain = anstream::adapter::strip_str(&shown(&entry)).to_string();
        assert_eq!(plain, "2026-01-02T03:04:05Z hearthd: one\n    two\n");
        assert!(shown(&entry).contains('\u{1b}'), "errors have a colour");
        (entry.unit, entry.time) = (None, "2026-01-02T03:04:05Z".to_owned());
        assert!(shown(&entry).starts_with("2026-01-02T03:04:05Z kernel: "));
    }

    #[test]
    fn what_is_wanted_is_asked_for() {
        let wanted = Logs {
            unit: Some("ssh.service".to_owned()),
            priority: Some(4),
            lines: 5,
            follow: true,
            json: false,
        };
        assert_eq!(
            path(&wanted),
            "/api/v1/logs?lines=5&unit=ssh.service&priority=4&follow=true"
        );
    }
}
