//! `/api/v1/logs`: the journal, read by `journalctl` in a process of its own, which may read it and nothing more than the
//! gateway may.

use super::{
    Lines, answer,
    events::ServerSentEvent,
    listener::{Heard, Listener},
};
use crate::{
    app::App,
    bounded_lines::{BoundedLines, Line},
    openapi::{OfQuery, OfState},
    redaction::redacted,
    refusal::{Kind, Refusal},
};
use api::system::LogEntry;
use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{Extensions, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::{io, path::Path, process::Stdio, sync::Arc};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::BufReader,
    process::{Child, ChildStdout, Command},
    sync::{OwnedSemaphorePermit, mpsc::channel},
};

/// Entries that may be asked for at once.
const MOST_LINES: u32 = 5000;
/// The longest entry that is read, in bytes: a dump in the journal is nobody's line.
const LONGEST: usize = 256 << 10;

/// What may follow the `?`.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// Only entries of this unit, as `hearthd` or `ssh.service`.
    #[serde(default)]
    #[param(required = false)]
    unit: String,
    /// Only entries as grave as this or graver: 0 to 7.
    #[serde(default = "all")]
    #[param(required = false, minimum = 0, maximum = 7, default = 7)]
    priority: u8,
    /// How many, the newest.
    #[serde(default = "some")]
    #[param(required = false, minimum = 1, maximum = 5000, default = 200)]
    lines: u32,
    /// Whether what comes from now on is told, too, as server-sent events.
    #[serde(default)]
    #[param(required = false)]
    follow: bool,
}

fn all() -> u8 {
    7
}

fn some() -> u32 {
    200
}

/// The journal: an entry a line, oldest first; with `follow=true` an entry an event, and it goes on.
#[utoipa::path(
    get,
    path = "/api/v1/logs",
    tag = "system",
    params(Wish),
    responses(
        (status = 200, description = "The entries", content(
            (LogEntry = "application/x-ndjson"),
            (ServerSentEvent = "text/event-stream")
        )),
        OfQuery, OfState
    )
)]
pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    uri: Uri,
    wish: Result<Query<Wish>, QueryRejection>,
    extensions: Extensions,
) -> Response {
    match begin(&app, wish, &extensions).await {
        Ok(response) => response,
        Err(refusal) => answer::<()>(&uri, Err(refusal)),
    }
}

async fn begin(
    app: &Arc<App>,
    wish: Result<Query<Wish>, QueryRejection>,
    extensions: &Extensions,
) -> Result<Response, Refusal> {
    let Query(wish) = wish.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    check(&wish).map_err(|problem| Refusal::new(Kind::Invalid, problem))?;
    let turn = app.readers.clone().try_acquire_owned().map_err(|_| {
        let detail = "as many read the journal already as may at once; try again";
        Refusal::new(Kind::Conflict, detail)
    })?;
    let (lines, body) = channel(16);
    let listener = Listener::new(app, extensions, lines)?;
    let mut child = command(&app.journalctl, &wish).spawn().map_err(|error| {
        let detail = format!("cannot start {}: {error}", app.journalctl.display());
        Refusal::new(Kind::Internal, detail)
    })?;
    let output = child.stdout.take();
    let output = output.ok_or_else(|| Refusal::new(Kind::Internal, "journalctl has no output"))?;
    let mut output = BoundedLines::new(BufReader::new(output), LONGEST);
    if !wish.follow {
        begins(&mut child, &mut output).await?;
    }
    let reader = Reader {
        follow: wish.follow,
        listener,
        child,
        _turn: turn,
    };
    tokio::spawn(reader.relay(output));
    let kind = if wish.follow {
        "text/event-stream"
    } else {
        "application/x-ndjson"
    };
    Ok(([(header::CONTENT_TYPE, kind)], Body::new(Lines(body))).into_response())
}

type Output = BoundedLines<BufReader<ChildStdout>>;

/// Waits for the first that is told. A journal of which nothing is told because it cannot be read is not an empty one.
async fn begins(child: &mut Child, output: &mut Output) -> Result<(), Refusal> {
    let unread = |why: io::Error| {
        let detail =
            format!("the journal cannot be read: {why}; \"journalctl -u hearth-gateway\" may say more");
        Refusal::new(Kind::Internal, detail)
    };
    if output.is_empty().await.map_err(unread)? {
        ended(child).await.map_err(unread)
    } else {
        Ok(())
    }
}

/// Waits for journalctl's end. One that failed has not told all.
async fn ended(child: &mut Child) -> io::Result<()> {
    let status = child.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("journalctl ended with {status}")))
    }
}

fn check(wish: &Wish) -> Result<(), String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "@._:-\\".contains(c);
    if wish.unit.len() > 256 || wish.unit.starts_with('-') || !wish.unit.chars().all(sound) {
        Err(format!("unit: {:?} is no unit's name", wish.unit))
    } else if wish.priority > 7 {
        Err("priority: 0 to 7 are known".to_owned())
    } else if !(1..=MOST_LINES).contains(&wish.lines) {
        Err(format!("lines: 1 to {MOST_LINES} can be told"))
    } else {
        Ok(())
    }
}

fn command(journalctl: &Path, wish: &Wish) -> Command {
    let mut command = Command::new(journalctl);
    // Without --all a message of more than 4 KiB is told as none.
    command.args(["--output=json", "--all", "--quiet", "--no-pager"]);
    command.arg("--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT");
    command.arg(format!("--lines={}", wish.lines));
    command.arg(format!("--priority={}", wish.priority));
    if !wish.unit.is_empty() {
        command.arg(format!("--unit={}", wish.unit));
    }
    if wish.follow {
        // Else it would show this boot's entries alone, and look for the boot's identifier where the sandbox has none.
        command.args(["--follow", "--merge"]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    command
}

/// Hands entries on; the process ends with it.
struct Reader {
    follow: bool,
    listener: Listener,
    child: Child,
    _turn: OwnedSemaphorePermit,
}

impl Reader {
    async fn relay(mut self, mut output: Output) {
        while let Some(heard) = self.listener.hear(output.next()).await {
            let said = match heard {
                Heard::Said(Ok(None)) => {
                    if let Err(error) = ended(&mut self.child).await {
                        self.listener.break_off(error).await;
                    }
                    return;
                }
                Heard::Said(Ok(Some(line))) => self.shown(&line),
                Heard::Said(Err(error)) => return self.listener.break_off(error).await,
                Heard::Nothing => self.follow.then(|| Bytes::from_static(b": keep-alive\n\n")),
            };
            if let Some(said) = said
                && !self.listener.say(said).await
            {
                return;
            }
        }
    }

    /// A line of journalctl's as it is told; nothing of one that is no entry.
    fn shown(&self, line: &Line) -> Option<Bytes> {
        let entry = match line {
            Line::Whole(line) => entry(&serde_json::from_slice(line).ok()?)?,
            Line::Cut(line) => too_long(line)?,
        };
        // Strings and numbers always become JSON.
        let json = serde_json::to_string(&entry).unwrap_or_default();
        Some(if self.follow {
            format!("data: {json}\n\n").into()
        } else {
            format!("{json}\n").into()
        })
    }
}

/// When an entry was made, in microseconds since 1970.
const TIME: &str = "__REALTIME_TIMESTAMP";

fn time(micros: &str) -> Option<String> {
    let micros: i128 = micros.parse().ok()?;
    let time = OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1000)?).ok()?;
    time.format(&Rfc3339).ok()
}

/// That there is an entry which is not shown; nothing where its beginning does not tell when it was made.
fn too_long(begin: &[u8]) -> Option<LogEntry> {
    let begin = String::from_utf8_lossy(begin);
    let micros = begin.split_once(&format!("\"{TIME}\":\""))?.1;
    Some(LogEntry {
        time: time(micros.split_once('"')?.0)?,
        unit: None,
        priority: 6,
        message: format!("(an entry of more than {LONGEST} bytes; \"journalctl\" on the appliance shows it)"),
    })
}

/// An entry of journalctl's JSON: numbers are texts there, and what is no text is a list of bytes.
fn entry(fields: &Value) -> Option<LogEntry> {
    let text = |name: &str| match fields.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes
                .iter()
                .map(|byte| byte.as_u64().and_then(|byte| byte.try_into().ok()))
                .collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    };
    Some(LogEntry {
        time: time(&text(TIME)?)?,
        // Of what systemd says of a unit, UNIT is the unit and _SYSTEMD_UNIT is systemd's own.
        unit: text("UNIT").or_else(|| text("_SYSTEMD_UNIT")),
        priority: text("PRIORITY")
            .and_then(|priority| priority.parse().ok())
            .unwrap_or(6),
        message: redacted(&text("MESSAGE").unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_is_told_whatever_its_message_is_made_of() {
        let told = entry(
            &json!({"__REALTIME_TIMESTAMP": "1000000", "PRIORITY": "4", "MESSAGE": [104, 255],
            "_SYSTEMD_UNIT": "init.scope", "UNIT": "a.service"}),
        );
        let told = told.unwrap();
        assert_eq!(told.time, "1970-01-01T00:00:01Z");
        assert_eq!((told.unit.as_deref(), told.priority), (Some("a.service"), 4));
        assert_eq!(told.message, "h\u{fffd}");
        let bare = entry(&json!({"__REALTIME_TIMESTAMP": "1", "MESSAGE": null})).unwrap();
        assert_eq!((bare.unit, bare.priority, bare.message.as_str()), (None, 6, ""));
        assert_eq!(entry(&json!({"MESSAGE": "x"})), None);
    }

    #[test]
    fn no_unit_is_an_option_of_journalctls() {
        let wish = |unit: &str, priority, lines| Wish {
            unit: unit.to_owned(),
            priority,
            lines,
            follow: false,
        };
        for good in [
            "",
            "hearthd",
            "hearth-import@1-2.service",
            "dev-disk\\x2d1.device",
        ] {
            assert_eq!(check(&wish(good, 0, 5000)), Ok(()));
        }
        for bad in ["--root=/", "a b", "a\nb", "a/b", "é"] {
            assert!(check(&wish(bad, 7, 1)).is_err(), "{bad}");
        }
        assert!(check(&wish("", 8, 1)).is_err() && check(&wish("", 7, 0)).is_err());
        assert!(check(&wish("", 7, 5001)).is_err());
    }

    #[test]
    fn queries_that_are_nearly_right() {
        let words: [&[u8]; 12] = [
            b"unit=",
            b"&priority=",
            b"&lines=",
            b"&follow=true",
            b"&",
            b"%00",
            b"%2F",
            b"%0a--root=/",
            b"--",
            b"+",
            b"65536",
            b"*",
        ];
        let seeds: [&[u8]; 3] = [
            b"unit=hearthd.service&priority=4&lines=5000&follow=false",
            b"unit=hearth-import@1-2.service&follow=true",
            b"",
        ];
        let campaign = fuzz::Campaign {
            name: "logs-query",
            seeds: seeds.map(<[u8]>::to_vec).to_vec(),
            executions: 50_000,
            change: &|input, others, noise| fuzz::mutate::bytes(input, others, &words, noise),
        };
        let report = campaign.run(&std::env::temp_dir(), taken_query);
        report.show();
        assert!(report.taken > 1000 && report.outcomes > 10, "{report}");
    }

    /// What becomes of a query: what journalctl is told is among what it may be told.
    fn taken_query(input: &[u8]) -> Result<String, String> {
        let query = std::str::from_utf8(input).map_err(|_| "no UTF-8")?;
        let uri: Uri = format!("/api/v1/logs?{query}").parse().map_err(|_| "no URI")?;
        let Query(wish) = Query::<Wish>::try_from_uri(&uri).map_err(kind)?;
        // Which of them is wrong, without what it was.
        check(&wish).map_err(|problem| problem.split(':').next().unwrap_or_default().to_owned())?;
        let command = command(Path::new("journalctl"), &wish);
        let arguments: Vec<&str> = command
            .as_std()
            .get_args()
            .filter_map(|one| one.to_str())
            .collect();
        let known = [
            "--output",
            "--all",
            "--quiet",
            "--no-pager",
            "--lines=",
            "--priority=",
            "--unit=",
            "--follow",
            "--merge",
        ];
        for argument in &arguments {
            assert!(
                known.iter().any(|known| argument.starts_with(known)),
                "{argument}"
            );
            assert!(!argument.contains(['/', '\n', '*', ' ']), "{argument}");
        }
        assert!(
            (1..=MOST_LINES).contains(&wish.lines) && wish.priority <= 7,
            "{wish:?}"
        );
        Ok(format!(
            "{} arguments, follow {}",
            "x".repeat(arguments.len()),
            wish.follow
        ))
    }

    /// What is wrong, without where.
    fn kind(error: QueryRejection) -> String {
        let text = error.body_text();
        text.rsplit(": ").next().unwrap_or(&text).to_owned()
    }

    #[test]
    fn entries_that_are_nearly_right() {
        let token = format!("hearth_{}", "aB3_-".repeat(9));
        let seeds = [
            json!({"__REALTIME_TIMESTAMP": "1763800000000000", "PRIORITY": "4", "MESSAGE": format!("by {token}."),
                "_SYSTEMD_UNIT": "init.scope", "UNIT": "a.service"}),
            json!({"__REALTIME_TIMESTAMP": "1", "MESSAGE": [104, 101, 255, 0], "_SYSTEMD_UNIT": null}),
        ];
        let campaign = fuzz::Campaign {
            name: "logs-entry",
            seeds: seeds.map(|seed| seed.to_string().into_bytes()).to_vec(),
            executions: 50_000,
            change: &fuzz::json::change,
        };
        let report = campaign.run(&std::env::temp_dir(), |input| {
            let fields: Value = serde_json::from_slice(input).map_err(|error| error.to_string())?;
            let told = entry(&fields).ok_or("no entry")?;
            assert!(OffsetDateTime::parse(&told.time, &Rfc3339).is_ok(), "{told:?}");
            assert!(!told.message.contains(&token), "{told:?}");
            Ok(format!("{} {}", told.unit.is_some(), told.message.is_empty()))
        });
        report.show();
        assert!(report.taken > 1000 && report.outcomes > 5, "{report}");
    }
}
