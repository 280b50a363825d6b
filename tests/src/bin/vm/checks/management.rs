//! What the gateway tells of the machine, out of its sandbox.

use anyhow::{Context, Result, ensure};
use api::samples::Row;
use api::system::LogEntry;
use serde_json::Value;

use crate::guest::Guest;

/// Names that a board for the appliance and one for vLLM draw.
const METRICS: [&str; 3] = [
    "hearth_memory_used_bytes",
    "vllm:num_requests_running",
    "vllm:generation_tokens_total",
];
/// Events that are waited through until there is a sample; one comes each second.
const PATIENCE: usize = 20;

/// The journal of other users' units is read through the gateway, whose own user could not.
pub(crate) fn journal_is_read(guest: &mut Guest) -> Result<String> {
    let answer = guest.client().get("/api/v1/logs?unit=hearthd&lines=50")?;
    let text = answer.expect(200)?.text();
    let entries = text.lines().map(serde_json::from_str);
    let entries: Vec<LogEntry> = entries.collect::<Result<_, _>>().with_context(|| text.clone())?;
    ensure!(!entries.is_empty(), "the journal has nothing of hearthd");
    let is_its = |entry: &LogEntry| entry.unit.as_deref() == Some("hearthd.service");
    ensure!(entries.iter().all(is_its), "{text}");
    let kernel = guest.client().get("/api/v1/logs?lines=5000")?.expect(200)?.text();
    ensure!(
        kernel.contains("\"unit\":null"),
        "nothing of the kernel's is read"
    );
    let mut followed = guest.client().events("/api/v1/logs?lines=1&follow=true")?;
    let data = followed.next_data()?.context("the journal is not followed")?;
    let _entry: LogEntry = serde_json::from_str(&data).with_context(|| data.clone())?;
    Ok(format!("{} entries of hearthd", entries.len()))
}

/// Prometheus finds the machine's figures and the engine's.
pub(crate) fn metrics_are_told(guest: &mut Guest) -> Result<String> {
    let text = guest.client().get("/metrics")?.expect(200)?.text();
    for name in METRICS {
        let has = |line: &str| line.starts_with(name);
        ensure!(text.lines().any(has), "{name} is not among:\n{text}");
    }
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    Ok(format!("{lines} figures"))
}

/// A sample comes as an event, with the memory that was measured.
pub(crate) fn events_come(guest: &mut Guest) -> Result<String> {
    let mut events = guest.client().events("/api/v1/events")?;
    for _ in 0..PATIENCE {
        let data = events.next_data()?.context("the stream has ended")?;
        if let Ok(Row {
            memory_used: Some(used),
            ..
        }) = serde_json::from_str(&data)
        {
            return Ok(format!("{:.0} MB in use", used / 1e6));
        }
    }
    anyhow::bail!("no sample among {PATIENCE} events")
}

/// A browser gets the page, which may run no scripts but its own; programs get the interface's description.
pub(crate) fn page_is_served(guest: &mut Guest) -> Result<String> {
    let client = guest.machine.client();
    let page = client.accepting("text/html").get("/")?.expect(200)?;
    let header = |name: &str| page.header(name).map(str::to_owned).context(name.to_owned());
    let (kind, policy) = (header("content-type")?, header("content-security-policy")?);
    ensure!(kind.starts_with("text/html"), "the page is {kind}");
    ensure!(
        policy.contains("script-src 'self';") && !policy.contains("unsafe"),
        "the page may run more than its own: {policy}"
    );
    let described: Value = client.get("/api/openapi.json")?.expect(200)?.json()?;
    let paths = described["paths"].as_object().context("it describes nothing")?;
    Ok(format!("{} paths described", paths.len()))
}
