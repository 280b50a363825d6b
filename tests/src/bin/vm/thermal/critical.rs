//! Heat that nothing lowers: the ladder is climbed to its end, and the next boot tells why.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::vm::Machine;
use tests::vm::twin::{Line, Stage};
use tests::wait;

use super::figures::Limit;
use super::scene::Scene;

/// How fast the heat is driven up, in K/s.
const RISE: f64 = 0.7;
/// Below the critical trip point by this much it stays, in K: only hearthd powers off there, not the kernel.
const SHORT_OF_CRITICAL: f64 = 1.0;
/// How long the whole climb and the power-off may take.
const LIMIT: Duration = Duration::from_secs(240);

/// Warms the machine from outside, whatever is done inside, until it powers itself off.
pub(crate) fn approach(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let critical = f64::from(scene.twin.machine().trips.critical);
    scene.line(Line::Celsius(critical, "critical"));
    let from = scene.target;
    let start = scene.twin.now()?.seconds;
    let twin = scene.twin.clone();
    let machine = &mut scene.guest.machine;
    wait::until("the machine to power itself off", LIMIT, || {
        if machine.has_ended()? {
            return Ok(Some(()));
        }
        let elapsed = twin.elapsed()? - start;
        let wanted = (from + RISE * elapsed).min(critical - SHORT_OF_CRITICAL);
        twin.arrange(|stage| warm_to(stage, wanted));
        Ok(None)
    })?;
    let trace = scene.trace();
    scene.figure("powered off after", trace.end() - start, "s", Limit::Told);
    scene.figure(
        "hottest under critical",
        critical - trace.hottest(),
        "K",
        Limit::AtLeast(0.0),
    );
    Ok(())
}

/// Arranges an ambient temperature at which an idle machine settles at `wanted`, and that comes close to it soon: the
/// air is hot, and there is a lot of it.
fn warm_to(stage: &mut Stage, wanted: f64) {
    stage.plant.ambient = wanted;
    stage.plant.sink_resistance = 0.05;
    stage.plant.die_resistance = 0.05;
}

/// The journal of the boot before tells the steps, and this boot's tells why it ended.
pub(crate) fn reason(machine: &mut Machine) -> Result<String> {
    let ssh = machine.ssh()?;
    let steps = ssh.sudo("journalctl --boot -1 --unit hearthd.service --output cat --no-pager")?;
    let powered_off = "powering the machine off";
    ensure!(
        steps.contains(powered_off),
        "the boot before says nothing of it:\n{steps}"
    );
    let told = ssh.sudo("journalctl --boot --unit hearthd.service --output cat --no-pager")?;
    let line = told.lines().find(|line| line.contains("was powered off at"));
    let Some(line) = line else {
        anyhow::bail!("this boot does not say why the one before ended:\n{told}");
    };
    for step in ["capped", "rationed", "stopped"] {
        ensure!(
            steps.contains(step),
            "no step of the ladder says {step:?}:\n{steps}"
        );
    }
    Ok(line.trim().to_owned())
}
