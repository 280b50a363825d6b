//! What the firmware and the cable say: limits on the clock, mains and battery.

use anyhow::{Result, ensure};
use machine::{KiloHertz, PowerProfile};
use tests::vm::twin::Line;
use twin::trace::Row;

use super::figures::Limit;
use super::scene::Scene;

/// The firmware's limit, in MHz.
const LIMITED: u32 = 1600;

/// `_PPC` forbids the upper half of the clocks, and allows them again.
pub(crate) fn limit(scene: &mut Scene<'_>) -> Result<()> {
    scene.burn()?;
    let full = scene.twin.machine().fastest();
    let fast = f64::from(full) - 50.0;
    scene.wait_for("the full clock", super::scene::NOTICE, |row| {
        row.mean_megahertz() > fast
    })?;
    scene.line(Line::Megahertz(f64::from(LIMITED), "the firmware's limit"));
    let start = scene.twin.now()?.seconds;
    scene.twin.limit_clock(LIMITED)?;
    let obeyed = scene.wait_for("the kernel to obey the firmware", super::scene::NOTICE, |row| {
        row.mean_megahertz() <= f64::from(LIMITED)
    })?;
    shows_limit(scene, LIMITED)?;
    let under_it = scene.observe(5.0)?;
    let ended = scene.twin.now()?.seconds;
    scene.twin.limit_clock(full)?;
    let again = scene.wait_for("the full clock after the limit", super::scene::NOTICE, |row| {
        row.mean_megahertz() > fast
    })?;
    shows_limit(scene, full)?;
    let obeyed = obeyed.seconds - start;
    scene.figure("limit obeyed after", obeyed, "s", Limit::AtMost(5.0));
    let fastest = |row: &Row| row.megahertz.iter().copied().fold(0.0, f64::max);
    // A mean over a tick is not exact in its last bit.
    let most = under_it.rows.iter().map(fastest).fold(0.0, f64::max).round();
    scene.figure("fastest under it", most, "MHz", Limit::AtMost(f64::from(LIMITED)));
    let again = again.seconds - ended;
    scene.figure("full clock after it", again, "s", Limit::AtMost(10.0));
    Ok(())
}

/// Waits until hearthd shows a limit of the firmware's.
fn shows_limit(scene: &mut Scene<'_>, megahertz: u32) -> Result<()> {
    let limit = Some(KiloHertz(u64::from(megahertz) * 1000));
    scene.wait_for_power(&format!("hearthd to show a limit of {megahertz} MHz"), |power| {
        !power.policies.is_empty() && power.policies.iter().all(|policy| policy.bios_limit == limit)
    })?;
    Ok(())
}

/// Mains is pulled, and plugged again.
pub(crate) fn battery(scene: &mut Scene<'_>) -> Result<()> {
    scene.wait_for_power("mains", |power| power.on_battery == Some(false))?;
    let start = scene.twin.now()?.seconds;
    scene.twin.set_mains(false)?;
    let pulled = scene.wait_for_power("hearthd to notice the battery", |power| {
        power.on_battery == Some(true)
    })?;
    let noticed = scene.twin.now()?.seconds - start;
    ensure!(
        pulled.effective_profile == PowerProfile::PowerSaver && pulled.profile == PowerProfile::Balanced,
        "on battery the profile is {}, chosen was {}",
        pulled.effective_profile,
        pulled.profile
    );
    scene.burn()?;
    let trace = scene.observe(10.0)?;
    scene.twin.set_mains(true)?;
    let plugged = scene.wait_for_power("hearthd to notice the mains", |power| {
        power.on_battery == Some(false)
    })?;
    ensure!(
        plugged.effective_profile == PowerProfile::Balanced,
        "on mains the profile is {}",
        plugged.effective_profile
    );
    scene.figure("battery noticed after", noticed, "s", Limit::AtMost(5.0));
    let saved = trace.second_half().mean_megahertz() / f64::from(scene.twin.machine().fastest());
    scene.figure(
        "clock on battery",
        saved * 100.0,
        "% of full",
        Limit::AtMost(80.0),
    );
    Ok(())
}
