//! What the guest uses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::oracle::Answer;
use tests::report::seconds;
use tests::wait;

use super::answers;
use super::sandbox::DAEMONS;
use crate::guest::Guest;

const ENGINE: &str = "hearth-inferd.service";

/// The most that an idle guest may use, MiB: 200 MB.
const LIMIT_MIB: f64 = 200e6 / 1_048_576.0;

/// Memory in use, MiB: MemTotal − MemAvailable.
pub(crate) fn used_mib(guest: &mut Guest) -> Result<f64> {
    let text = guest.run("cat /proc/meminfo")?;
    let value = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.with_context(|| format!("no {name} in meminfo"))?.parse()?)
    };
    Ok((value("MemTotal:")? - value("MemAvailable:")?) / 1024.0)
}

/// Proportional set size of each running unit's main process, MiB.
pub(crate) fn pss_mib(guest: &mut Guest) -> Result<BTreeMap<&'static str, f64>> {
    let mut sizes = BTreeMap::new();
    for unit in DAEMONS {
        if guest.show(unit, "MainPID")? == "0" {
            continue;
        }
        let pid = guest.main_pid(unit)?;
        let kib = guest.sudo(&format!(
            "sed -n 's/^Pss: *\\([0-9]*\\) kB/\\1/p' /proc/{pid}/smaps_rollup"
        ))?;
        sizes.insert(
            unit,
            kib.parse::<f64>()
                .with_context(|| format!("Pss of {unit}: {kib:?}"))?
                / 1024.0,
        );
    }
    Ok(sizes)
}

/// The engine has read the limit that systemd gives it: what it holds for conversations follows from that.
pub(crate) fn engine_knows_its_limit(guest: &mut Guest) -> Result<String> {
    guest.main_pid(ENGINE)?;
    let journal = guest.sudo(&format!(
        "journalctl --boot --unit {ENGINE} --output cat --no-pager"
    ))?;
    let said = journal
        .lines()
        .rfind(|line| line.contains("bytes of memory that there are"));
    let said = said.context("the engine does not say how much memory there is")?;
    let group = guest.show(ENGINE, "ControlGroup")?;
    let limit = guest.run(&format!("cat /sys/fs/cgroup{group}/memory.max"))?;
    ensure!(
        said.split_whitespace()
            .any(|word| word == format!("limit={limit}")),
        "memory.max is {limit}, and the engine says {said:?}"
    );
    Ok(format!("{limit} bytes"))
}

/// Memory in use while nothing is asked, with the model loaded and without.
pub(crate) fn idle(guest: &mut Guest) -> Result<String> {
    let loaded = used_mib(guest)?;
    guest.sudo("systemctl stop hearth-inferd.service")?;
    let idle = wait::until("an idle guest within its memory", Duration::from_secs(60), || {
        let used = used_mib(guest)?;
        Ok((used < LIMIT_MIB).then_some(used))
    });
    let idle = idle.with_context(|| format!("{loaded:.0} MiB with the model loaded"))?;
    Ok(format!(
        "{idle:.0} MiB used without the engine, {loaded:.0} MiB with the model loaded"
    ))
}

/// Units that outlive any lack of memory.
const SURVIVORS: [&str; 5] = [
    "hearthd.service",
    "hearth-gateway.service",
    "ssh.service",
    "dbus-broker.service",
    "systemd-journald.service",
];
/// A program that takes all memory, of a kind that cannot be compressed, in a unit of its own without any limit. `tail`
/// keeps what it was told to print last until its input ends, which this one does not; from a pipe, as it would seek in
/// the device itself.
const HOG: &str = "systemd-run --wait --collect --unit=hog sh -c 'cat /dev/urandom | tail --bytes 64G'";
/// The most that it may take from the hog's end to an answer: under pressure requests are refused for a while.
const RELIEF: Duration = Duration::from_secs(180);

/// How all memory was taken, and what became of the appliance.
#[derive(Debug)]
pub(crate) struct Outlived {
    /// From the hog's start to its end.
    pub(crate) lasted: Duration,
    /// From there to an answer.
    pub(crate) recovery: Duration,
    /// What became of the engine.
    pub(crate) engine: &'static str,
}

/// Memory runs out: whoever took it goes, or the engine; all others stay, and the next question is answered.
pub(crate) fn runs_out(guest: &mut Guest, expected: &Answer) -> Result<String> {
    let ask = |guest: &mut Guest| answers::first_token(guest, expected).map(drop);
    let outlived = outlive(guest, HOG, ask)?;
    Ok(format!(
        "the hog was killed after {}, the engine {}, an answer {} later",
        seconds(outlived.lasted),
        outlived.engine,
        seconds(outlived.recovery)
    ))
}

/// Has `hog` take all memory. The kernel must end it, nobody else but the engine may be ended for it, and it must be
/// possible to `ask` again after that.
pub(crate) fn outlive(
    guest: &mut Guest,
    hog: &str,
    ask: impl Fn(&mut Guest) -> Result<()>,
) -> Result<Outlived> {
    ask(guest)?;
    let survivors = pids(guest)?;
    let engine = guest.main_pid(ENGINE)?;
    let start = Instant::now();
    let words = guest.sudo(&format!("{hog} 2>&1 || true"))?;
    let lasted = start.elapsed();
    ensure!(words.contains("oom-kill"), "the hog ended otherwise: {words}");
    let recovery = Instant::now();
    wait::until("an answer after the hog's end", RELIEF, || match ask(guest) {
        Err(refused) if format!("{refused:#}").contains("503") => Ok(None),
        asked => asked.map(Some),
    })?;
    let recovery = recovery.elapsed();
    let now = pids(guest)?;
    ensure!(now == survivors, "{survivors:?} became {now:?}");
    let engine = if guest.main_pid(ENGINE)? == engine {
        "lives on"
    } else {
        "was ended and is back"
    };
    Ok(Outlived {
        lasted,
        recovery,
        engine,
    })
}

fn pids(guest: &mut Guest) -> Result<Vec<(&'static str, u32)>> {
    SURVIVORS
        .iter()
        .map(|unit| Ok((*unit, guest.main_pid(unit)?)))
        .collect()
}

/// The daemons' own memory.
pub(crate) fn daemons(guest: &mut Guest) -> Result<String> {
    let sizes = pss_mib(guest)?;
    ensure!(sizes.len() == DAEMONS.len(), "not all run: {sizes:?}");
    Ok(sizes
        .iter()
        .map(|(unit, mib)| format!("{unit} {mib:.1} MiB"))
        .collect::<Vec<_>>()
        .join(", "))
}
