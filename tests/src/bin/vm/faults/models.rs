//! Models that are damaged, or that end the engine.

use std::fs::File;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tests::wait;

use super::{ENGINE, FAILED, PATIENCE, Row, answer, answered, break_it, status, told};
use crate::guest::{Guest, MODEL};

const SHIPPED: &str = "/usr/share/hearth/models";
const ADDED: &str = "/var/lib/hearth/models";
/// What the shipped model is called there.
const COPY: &str = "copy";

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

pub(super) fn flipped(guest: &mut Guest) -> Result<Row> {
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

/// Kills the engine each time that it has that model, as a model would that ends it.
pub(super) fn quarantined(guest: &mut Guest) -> Result<Row> {
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
