//! `vm prove faults`: what goes wrong, when it is noticed, and when questions are answered again without anybody's hand.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::rest::Status;
use tests::client::{Stream, brief, greedy};
use tests::report::{Report, say, seconds, table};
use tests::wait;

use crate::guest::{Guest, MODEL};
use crate::parts::Parts;

const ENGINE: &str = "hearth-inferd.service";
const SHIPPED: &str = "/usr/share/hearth/models";
const ADDED: &str = "/var/lib/hearth/models";
/// What the shipped model is called there.
const COPY: &str = "copy";
/// `MESSAGE_ID`s of hearthd: a run of the engine has failed, the engine is stuck.
const FAILED: &str = "6a4d1d7f0f6c4c0f8a4c2f1be0d7b702";
const STUCK: &str = "2b0f4a1a5d0e4b7a9b8e6f7d3c5a9e01";
/// How long the guest, emulated, may take to come back.
const PATIENCE: Duration = Duration::from_secs(180);
/// The watchdog's shortest time, in seconds: `PATIENCE_USEC` of hearthd's law.
const WATCHDOG: f64 = 8.0;
/// Where a helper is put that holds a thread.
const HELPER: &str = "/run/hold";

/// A fault, as it went.
#[derive(Debug, Default)]
struct Row {
    fault: &'static str,
    noticed_by: &'static str,
    /// By the guest's clock, from the fault to the line in the journal.
    noticed: Option<Duration>,
    /// By the host's clock, from the fault to the end of an answer.
    answered: Option<Duration>,
    note: String,
}

/// A way to break something, and what came of it.
type Fault = fn(&mut Guest) -> Result<Row>;

const ALL: [(&str, Fault); 11] = [
    ("SIGKILL in the middle of an answer", killed),
    ("SIGSTOP in the middle of an answer", stopped),
    ("the model's thread stuck in the middle of an answer", stuck),
    ("SIGSTOP at rest, noticed by the next question", stopped_at_rest),
    ("more memory wanted than MemoryMax", out_of_memory),
    ("a client that hangs up in the middle of an answer", hung_up),
    ("an added model with a flipped byte", flipped),
    ("a prefill that lasts ten watchdog periods", slow_prefill),
    ("/var read-only", read_only),
    ("/var full", full),
    ("a model with which the engine fails five times", quarantined),
];

/// Boots a machine, breaks it in every way, and prints the table.
pub(crate) fn run(parts: &Parts, report: &mut Report) -> Result<()> {
    let (mut setup, _) = parts.flashed(String::new(), None)?;
    let mut machine = setup.boot(&[])?;
    let token = machine.wait_for_token()?;
    let mut guest = Guest { machine, token };
    let rows = play(&mut guest, report);
    if !report.failures().is_empty() {
        guest.machine.collect_evidence()?;
        setup.keep();
        say(&format!("evidence is in {}", setup.folder().display()));
    }
    say("\n## Faults, noticed and mended without a hand (emulated guest, 2 processors, 2 GiB)\n");
    say(&table(
        &[
            "fault",
            "noticed by",
            "noticed after",
            "answered again after",
            "seen",
        ],
        &rows.iter().map(Row::cells).collect::<Vec<_>>(),
    ));
    Ok(())
}

fn play(guest: &mut Guest, report: &mut Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, fault) in ALL {
        report.check(name, || {
            // Faults of several kinds with one model must not add up to its quarantine.
            guest.sudo("systemctl restart hearthd.service")?;
            answer(guest, MODEL)?;
            let row = fault(guest)?;
            let told = row.told();
            rows.push(Row { fault: name, ..row });
            Ok(told)
        });
    }
    rows
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let time = |time: Option<Duration>| time.map_or_else(|| "–".to_owned(), seconds);
        vec![
            self.fault.to_owned(),
            self.noticed_by.to_owned(),
            time(self.noticed),
            time(self.answered),
            self.note.clone(),
        ]
    }

    fn told(&self) -> String {
        let cells = self.cells();
        format!(
            "{}: noticed after {}, answered after {}; {}",
            cells[1], cells[2], cells[3], cells[4]
        )
    }
}

/// A stream that has begun.
fn streaming(guest: &mut Guest, model: &str) -> Result<Stream> {
    let mut stream = guest
        .client()
        .stream(&brief(model, "Tell me a long story about a river.", 300))?;
    stream.read_tokens(3)?;
    Ok(stream)
}

fn answer(guest: &mut Guest, model: &str) -> Result<()> {
    let answer = guest.client().chat(&brief(model, "Say yes.", 2))?;
    ensure!(answer.usage.completion_tokens > 0, "an empty answer");
    Ok(())
}

/// Asks until there is an answer, as a patient client does.
fn answered(guest: &mut Guest, since: Instant) -> Result<Duration> {
    wait::until("an answer", PATIENCE, || Ok(answer(guest, MODEL).ok()))?;
    Ok(since.elapsed())
}

/// Does something as root; the guest's clock just before, in seconds since boot, and the host's.
fn break_it(guest: &mut Guest, command: &str) -> Result<(f64, Instant)> {
    let begin = Instant::now();
    let text = guest.sudo(&format!("cut -d ' ' -f 1 /proc/uptime; {command}"))?;
    let line = text.lines().next().unwrap_or_default();
    let uptime = line.parse().with_context(|| format!("uptime: {line:?}"))?;
    Ok((uptime, begin))
}

/// How long after that time hearthd first told this.
fn told(guest: &mut Guest, message: &str, since: f64) -> Result<Duration> {
    let command =
        format!("journalctl --boot --no-pager --output json --output-fields MESSAGE MESSAGE_ID={message}");
    wait::until("hearthd's word in the journal", PATIENCE, || {
        let text = guest.sudo(&command)?;
        let times = text.lines().filter_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            let usec: f64 = entry["__MONOTONIC_TIMESTAMP"].as_str()?.parse().ok()?;
            Some(usec / 1e6)
        });
        let first = times.filter(|time| *time >= since).reduce(f64::min);
        Ok(first.map(|time| Duration::from_secs_f64(time - since)))
    })
}

fn status(guest: &mut Guest) -> Result<Status> {
    let text = guest.run("hearth status --json")?;
    serde_json::from_str(&text).with_context(|| format!("not a status: {text}"))
}

fn killed(guest: &mut Guest) -> Result<Row> {
    let mut stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    let (since, begin) = break_it(guest, &format!("kill -KILL {pid}"))?;
    let error = stream.read_error()?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "systemd, hearthd counts it",
        noticed: Some(told(guest, FAILED, since)?),
        answered: Some(answered),
        note: format!("the client was told: {}", error.message),
        ..Row::default()
    })
}

fn stopped(guest: &mut Guest) -> Result<Row> {
    let stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    let (since, begin) = break_it(guest, &format!("kill -STOP {pid}"))?;
    ended_as_stuck(guest, since, begin, stream)
}

fn stuck(guest: &mut Guest) -> Result<Row> {
    bring_helper(guest)?;
    let stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    let hold = format!("systemd-run --quiet --collect --unit hold {HELPER} hold {pid} model");
    let (since, begin) = break_it(guest, &hold)?;
    ended_as_stuck(guest, since, begin, stream)
}

fn ended_as_stuck(guest: &mut Guest, since: f64, begin: Instant, mut stream: Stream) -> Result<Row> {
    let error = stream.read_error()?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "hearthd's watchdog",
        noticed: Some(told(guest, STUCK, since)?),
        answered: Some(answered),
        note: format!("the client was told: {}", error.message),
        ..Row::default()
    })
}

/// Puts this program into the guest: it can hold a thread.
fn bring_helper(guest: &mut Guest) -> Result<()> {
    let own = File::open(std::env::current_exe()?).context("this program cannot be read")?;
    let put = format!("sudo sh -c 'cat > {HELPER} && chmod 755 {HELPER}'");
    guest.ssh()?.run_with(&put, own)?;
    Ok(())
}

fn stopped_at_rest(guest: &mut Guest) -> Result<Row> {
    let pid = guest.main_pid(ENGINE)?;
    let (since, begin) = break_it(guest, &format!("kill -STOP {pid}"))?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "hearthd asks when a question is announced",
        noticed: Some(told(guest, STUCK, since)?),
        answered: Some(answered),
        ..Row::default()
    })
}

fn out_of_memory(guest: &mut Guest) -> Result<Row> {
    let limit = |bytes: &str| format!("systemctl set-property --runtime {ENGINE} MemoryMax={bytes}");
    let (since, begin) = break_it(
        guest,
        &format!(
            "systemctl set-property --runtime {ENGINE} MemorySwapMax=0; {}",
            limit("16M")
        ),
    )?;
    let refused = answer(guest, MODEL).err();
    let noticed = told(guest, FAILED, since);
    guest.sudo(&limit("80%"))?;
    guest.sudo(&format!(
        "systemctl set-property --runtime {ENGINE} MemorySwapMax=infinity"
    ))?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "systemd, hearthd counts it",
        noticed: Some(noticed?),
        answered: Some(answered),
        note: match refused {
            Some(error) => format!("the limit was taken away; until then: {error:#}"),
            None => "the limit was taken away".to_owned(),
        },
        ..Row::default()
    })
}

fn hung_up(guest: &mut Guest) -> Result<Row> {
    let stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    drop(stream);
    let begin = Instant::now();
    let freed = wait::until("a free slot", PATIENCE, || {
        let engine = status(guest)?.sample.and_then(|sample| sample.engine);
        Ok(engine
            .filter(|engine| engine.active == 0)
            .map(|_| begin.elapsed()))
    })?;
    let answered = answered(guest, begin)?;
    ensure!(guest.main_pid(ENGINE)? == pid, "the engine was restarted for it");
    Ok(Row {
        noticed_by: "the engine, before its next token",
        noticed: Some(freed),
        answered: Some(answered),
        note: "as hearth status shows it over SSH".to_owned(),
        ..Row::default()
    })
}

/// Copies the shipped model to the store of added ones.
fn add_copy(guest: &mut Guest) -> Result<()> {
    let to = format!("{ADDED}/models/{COPY}");
    guest.sudo(&format!(
        "umask 022 && mkdir -p {to} && cp -r {SHIPPED}/blocks {ADDED}/ && cp {SHIPPED}/models/{MODEL}/manifest.json {to}/"
    ))?;
    Ok(())
}

fn remove_copy(guest: &mut Guest) -> Result<()> {
    guest.sudo(&format!("rm -rf {ADDED}/models/{COPY} {ADDED}/blocks"))?;
    Ok(())
}

fn flipped(guest: &mut Guest) -> Result<Row> {
    add_copy(guest)?;
    let pid = guest.main_pid(ENGINE)?;
    let block = guest.sudo(&format!("ls -S {ADDED}/blocks/*/* | head -1"))?;
    let (_, begin) = break_it(
        guest,
        &format!("printf X | dd of={block} bs=1 seek=4096 conv=notrunc status=none && sync"),
    )?;
    let refused = answer(guest, COPY).err().context("a broken model answered")?;
    let noticed = begin.elapsed();
    let refused = format!("{refused:#}");
    let name = block.rsplit('/').next().unwrap_or_default();
    let answered = answered(guest, begin)?;
    remove_copy(guest)?;
    ensure!(guest.main_pid(ENGINE)? == pid, "the engine was restarted for it");
    ensure!(
        refused.contains(&name[..12.min(name.len())]),
        "the block is not named: {refused}"
    );
    Ok(Row {
        noticed_by: "the engine, when the block is first used",
        noticed: Some(noticed),
        answered: Some(answered),
        note: "the block is refused by name".to_owned(),
        ..Row::default()
    })
}

fn slow_prefill(guest: &mut Guest) -> Result<Row> {
    let restarts = guest.show(ENGINE, "NRestarts")?;
    let pid = guest.main_pid(ENGINE)?;
    let mut words = 300;
    loop {
        let begin = Instant::now();
        // Another beginning each time: what was run before is not run again.
        let question = format!("{words} {}", "river stone ".repeat(words));
        let mut stream = guest
            .client()
            .with_limit(Duration::from_secs(400))
            .stream(&greedy(MODEL, &question, 1))?;
        while stream.next_event()?.is_some() {}
        let took = begin.elapsed();
        ensure!(
            guest.main_pid(ENGINE)? == pid,
            "the engine was ended in its prefill"
        );
        if took.as_secs_f64() >= 10.0 * WATCHDOG {
            ensure!(
                guest.show(ENGINE, "NRestarts")? == restarts,
                "the engine was restarted"
            );
            return Ok(Row {
                noticed_by: "nobody: it is not stuck",
                answered: Some(took),
                note: format!(
                    "{} watchdog periods of {WATCHDOG} s",
                    (took.as_secs_f64() / WATCHDOG) as u32
                ),
                ..Row::default()
            });
        }
        words *= 2;
        ensure!(
            words <= 1500,
            "a prompt of {words} words takes only {}",
            seconds(took)
        );
    }
}

fn read_only(guest: &mut Guest) -> Result<Row> {
    let (_, begin) = break_it(guest, "mount -o remount,ro /var")?;
    let answered = answered(guest, begin);
    let health = guest.client().get("/api/v1/status")?.status();
    guest.sudo("mount -o remount,rw /var")?;
    ensure!(health == 200, "the status is refused with {health}");
    Ok(Row {
        noticed_by: "nobody needs to: answers go on",
        answered: Some(answered?),
        ..Row::default()
    })
}

fn full(guest: &mut Guest) -> Result<Row> {
    let (_, begin) = break_it(
        guest,
        "fallocate -l $(($(df --output=avail -B1 /var | tail -1) - 4096)) /var/full; dd if=/dev/zero of=/var/full.2 bs=4k status=none 2>/dev/null; true",
    )?;
    let answered = answered(guest, begin);
    let restarted = guest
        .sudo(&format!("systemctl restart {ENGINE}"))
        .and_then(|_| answer(guest, MODEL));
    guest.sudo("rm -f /var/full /var/full.2")?;
    restarted.context("on a full disk the engine does not start again")?;
    Ok(Row {
        noticed_by: "nobody needs to: answers go on",
        answered: Some(answered?),
        note: "also after a restart of the engine".to_owned(),
        ..Row::default()
    })
}

/// Kills the engine each time that it has that model, as a model would that ends it.
fn quarantined(guest: &mut Guest) -> Result<Row> {
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), 256)?;
    guest
        .ssh()?
        .run_with("hearth model add - --name tiny", File::open(file.path())?)?;
    answer(guest, MODEL)?;
    let (mut since, mut begin) = (0.0, Instant::now());
    for _ in 0..5 {
        wait::until("an answer of the model", PATIENCE, || {
            Ok(answer(guest, "tiny").ok())
        })?;
        let pid = guest.main_pid(ENGINE)?;
        (since, begin) = break_it(guest, &format!("kill -ABRT {pid}"))?;
        told(guest, FAILED, since)?;
    }
    let noticed = told(guest, "c1f7e5b39a624b3c8f0d2a6e4b8c7d03", since)?;
    let answered = answered(guest, begin)?;
    let held = status(guest)?.supervision.context("no word of the engine")?;
    ensure!(
        held.quarantined.iter().any(|held| held.model == "tiny"),
        "not quarantined: {held:?}"
    );
    ensure!(
        held.fallback.as_deref() == Some(MODEL),
        "{:?} stands in",
        held.fallback
    );
    let screen = guest.run("hearth status")?;
    ensure!(
        screen.contains("hearth model release tiny"),
        "the screen says {screen}"
    );
    let refused = answer(guest, "tiny")
        .err()
        .context("a quarantined model answered")?;
    ensure!(
        format!("{refused:#}").contains("model_quarantined"),
        "{refused:#}"
    );
    guest.run("hearth model release tiny")?;
    wait::until("an answer of the released model", PATIENCE, || {
        Ok(answer(guest, "tiny").ok())
    })?;
    guest.run("hearth model remove tiny")?;
    Ok(Row {
        noticed_by: "hearthd, at the fifth failure",
        noticed: Some(noticed),
        answered: Some(answered),
        note: format!("{MODEL} stands in; released by hearth model release"),
        ..Row::default()
    })
}
