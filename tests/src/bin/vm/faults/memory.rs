//! Memory runs out: the engine's own, or all that there is.

use anyhow::{Context, Result, ensure};
use api::openai::ErrorBody;
use tests::client::greedy;
use tests::report::seconds;

use super::{ENGINE, FAILED, Row, answer, answered, break_it, status, told};
use crate::checks::memory;
use crate::guest::{Guest, MODEL};

/// `MESSAGE_ID` of systemd: the kernel has ended a process of a unit for want of memory.
const OUT_OF_MEMORY: &str = "fe6faa94e7774663a0da52717891d8ef";
/// What is left to the engine beside what it has already, bytes: less than the keys and values of a prompt of [`WORDS`]
/// words take, 7 MB. Those of the model's pages that are charged to it the kernel takes back first.
const LEFT: u64 = 3 << 20;
const WORDS: usize = 300;

/// The limit falls below what the next question takes. Swap would put the end off, but not change it.
pub(super) fn past_the_limit(guest: &mut Guest) -> Result<Row> {
    let pid = guest.main_pid(ENGINE)?;
    let max = own_bytes(guest)? + LEFT;
    let (since, begin) = break_it(guest, &limit(&max.to_string(), "0"))?;
    let question = "river stone ".repeat(WORDS / 2);
    let refused = guest
        .client()
        .post("/v1/chat/completions", &greedy(MODEL, &question, 1));
    let ended = told(guest, OUT_OF_MEMORY, since);
    let noticed = told(guest, FAILED, since);
    guest.sudo(&limit("80%", "infinity"))?;
    let refused: ErrorBody = refused?.expect(502)?.json()?;
    let (ended, noticed) = (ended?, noticed?);
    let answered = answered(guest, begin)?;
    ensure!(guest.main_pid(ENGINE)? != pid, "the engine was not ended");
    Ok(Row {
        noticed_by: "the kernel; systemd, hearthd counts it",
        noticed: Some(noticed.saturating_sub(ended)),
        answered: Some(answered),
        note: format!(
            "ended {} after the limit was lowered, which was taken away then; the client was told: {}",
            seconds(ended),
            refused.error.message
        ),
        ..Row::default()
    })
}

/// What the engine has in memory that the kernel can take back only by swapping.
fn own_bytes(guest: &mut Guest) -> Result<u64> {
    let group = guest.show(ENGINE, "ControlGroup")?;
    let file = format!("/sys/fs/cgroup{group}/memory.stat");
    let text = guest.run(&format!("cat {file}"))?;
    let field = |name: &str| -> Result<u64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no {name} in {file}"))?.parse()?)
    };
    Ok(field("anon")? + field("kernel")?)
}

fn limit(max: &str, swap: &str) -> String {
    format!("systemctl set-property --runtime {ENGINE} MemoryMax={max} MemorySwapMax={swap}")
}

/// Processes of 16 MiB each that cannot be compressed, ever more of them, in a unit without any limit of its own. `tail`
/// keeps what it was told to print last until its input ends, which this one does not.
const HOGS: &str = "systemd-run --wait --collect --unit=hogs sh -c '\
    while :; do (head --bytes 16M /dev/urandom; exec sleep infinity) | tail --bytes 64G & done'";

/// As a fork bomb does it: there is not one that the kernel could end and be done.
pub(super) fn hogs(guest: &mut Guest) -> Result<Row> {
    let outlived = memory::outlive(guest, HOGS, |guest| answer(guest, MODEL))?;
    let engine = status(guest)?.supervision.context("no word of the engine")?;
    ensure!(
        engine.quarantined.is_empty(),
        "a model is blamed for it: {engine:?}"
    );
    Ok(Row {
        noticed_by: "the kernel, systemd",
        answered: Some(outlived.recovery),
        note: format!(
            "from their end on, {} after their start; the engine {}; hearthd, the gateway, sshd, the bus and the journal \
             live on",
            seconds(outlived.lasted),
            outlived.engine
        ),
        ..Row::default()
    })
}
