//! Busy processors in a machine that cannot cool its own full clock: without hearthd, and with it.

use anyhow::{Context, Result, ensure};
use tests::vm::twin::Line;
use twin::trace::{Row, Trace};

use super::figures::Limit;
use super::scene::{Scene, WARM_UP};

/// The twin really is around the guest: its drivers are at work, and the zone shows what the plant says.
pub(crate) fn drivers(scene: &mut Scene<'_>) -> Result<()> {
    let driver = scene
        .guest
        .run("cat /sys/devices/system/cpu/cpufreq/policy*/scaling_driver | sort | uniq -c")?;
    let processors = scene.twin.machine().processors;
    ensure!(
        driver.trim() == format!("{processors} acpi-cpufreq"),
        "cpufreq drivers: {driver}"
    );
    let zone = scene.guest.run(
        "grep -l acpitz /sys/class/thermal/thermal_zone*/type | xargs dirname | xargs -I{} cat {}/temp",
    )?;
    let shown = zone.trim().parse::<f64>()? / 1000.0;
    let die = scene.twin.now()?.die;
    ensure!(
        (shown - die).abs() < 4.0,
        "the guest's zone shows {shown} °C, the die has {die:.1} °C"
    );
    let fan = scene.guest.run("cat /sys/class/thermal/cooling_device*/type")?;
    ensure!(fan.lines().any(|kind| kind == "Fan"), "no fan among {fan}");
    let supplies = scene.guest.run("cat /sys/class/power_supply/*/type")?;
    ensure!(
        supplies.contains("Mains") && supplies.contains("Battery"),
        "supplies: {supplies}"
    );
    scene.figure("zone against die", shown - die, "K", Limit::Told);
    Ok(())
}

/// The negative control: without hearthd, busy processors pass the limit, and go on.
pub(crate) fn without_hearthd(scene: &mut Scene<'_>) -> Result<()> {
    scene.guest.sudo("systemctl stop hearthd.service")?;
    scene.enter_plant();
    scene.burn()?;
    let limit = scene.target + 2.0;
    scene.line(Line::Celsius(limit, "limit"));
    let beyond = limit + 3.0;
    let passed = scene.wait_for("busy processors to pass the limit", WARM_UP, |row| {
        row.die > beyond
    });
    // Nobody but the kernel holds the heat now, and it would power off.
    scene.open_window();
    scene.stop_burning()?;
    scene.guest.sudo("systemctl start hearthd.service")?;
    let passed = passed?;
    let over = passed.die - scene.target;
    scene.figure("die over target, and rising", over, "K", Limit::Told);
    scene.figure("clock", passed.mean_megahertz(), "MHz", Limit::Told);
    Ok(())
}

/// With hearthd: the target is held, smoothly, at the clock that the plant bears; and full clock comes back.
pub(crate) fn with_hearthd(scene: &mut Scene<'_>) -> Result<()> {
    let best = scene.enter_plant();
    scene.line(Line::Celsius(scene.target + 2.0, "limit"));
    scene.burn()?;
    let warm = scene.target - 5.0;
    scene.wait_for("the machine to warm up", WARM_UP, |row| row.die > warm)?;
    let reads = scene.twin.temperature_reads()?;
    let trace = scene.observe(32.0)?;
    let reads =
        f64::from(scene.twin.temperature_reads()?.wrapping_sub(reads)) / (trace.end() - trace.start());
    held(scene, &trace, best);
    scene.figure(
        "readings of the zone, the kernel's own among them",
        reads,
        "a second",
        Limit::Told,
    );
    full_clock_again(scene)
}

/// How well the target was held, and at which clock.
fn held(scene: &mut Scene<'_>, trace: &Trace, best: f64) {
    let late = trace.second_half();
    scene.figure(
        "hottest over target",
        trace.hottest() - scene.target,
        "K",
        Limit::AtMost(2.0),
    );
    scene.figure("swing in the second half", late.swing(), "K", Limit::AtMost(5.0));
    let share = late.mean_megahertz() / best;
    scene.figure(
        "clock of the best constant one",
        share * 100.0,
        "%",
        Limit::AtLeast(95.0),
    );
    scene.figure(
        "load",
        late.mean(Row::mean_load) * 100.0,
        "%",
        Limit::AtLeast(90.0),
    );
}

/// After the load: how long until the whole clock may be used again.
fn full_clock_again(scene: &mut Scene<'_>) -> Result<()> {
    let ended = scene.stop_burning()?;
    let full = scene.twin.machine().fastest() * 1000;
    let asked = scene.guest.run(&until_clock(full));
    let took = scene.twin.now()?.seconds - ended;
    asked.context("the full clock is not allowed again")?;
    scene.figure("full clock after the load", took, "s", Limit::AtMost(10.0));
    Ok(())
}

/// A script for bash that ends when every policy may use a clock in kHz. It is asked from inside and without starting a
/// process, for a connection or a process each time would be the load whose end is waited for.
fn until_clock(full: u32) -> String {
    format!(
        "exec 9<> <(:); while [ $SECONDS -lt 60 ]; do capped=; \
         for file in /sys/devices/system/cpu/cpufreq/policy*/scaling_max_freq; do \
         read clock <$file; [ $clock = {full} ] || capped=1; done; \
         [ $capped ] || exit 0; read -t 0.5 -u 9; done; exit 1"
    )
}
