//! hearthd itself: killed, stopped, and what it costs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::wait;

use super::figures::Limit;
use super::scene::{NOTICE, Scene};
use crate::checks::memory;

const UNIT: &str = "hearthd.service";

/// SIGKILL under full heat.
pub(crate) fn killed(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let before = scene.guest.main_pid(UNIT)?;
    // The guest's own clock, for a connection takes longer than the restart.
    let at: f64 = scene
        .guest
        .sudo(&format!(
            "cut -d ' ' -f 1 /proc/uptime; systemctl kill --kill-whom=main --signal=KILL {UNIT}"
        ))?
        .trim()
        .parse()?;
    let guest = &mut *scene.guest;
    let back = wait::until("hearthd to be back", NOTICE, || {
        let shown = guest.run(&format!(
            "systemctl show --value -p ActiveState -p MainPID -p ActiveEnterTimestampMonotonic {UNIT} | sort"
        ))?;
        let fields: Vec<&str> = shown.split_whitespace().collect();
        let numbers: Vec<u64> = fields.iter().filter_map(|field| field.parse().ok()).collect();
        let is_new = fields.contains(&"active") && !numbers.contains(&u64::from(before));
        Ok((is_new && numbers.len() == 2)
            .then(|| numbers.iter().max().copied())
            .flatten())
    })?;
    scene.observe(20.0)?;
    scene.figure(
        "back after",
        back as f64 / 1e6 - at,
        "s",
        Limit::AtMost(restart_limit(scene)),
    );
    scene.figure_over_target("hottest over target", Limit::AtMost(2.0));
    Ok(())
}

/// A second, as a processor has it. Emulated, starting a process in its sandbox takes some ten times as long.
fn restart_limit(scene: &Scene<'_>) -> f64 {
    if scene.emulated { 5.0 } else { 1.0 }
}

/// An orderly stop under heat: every file that was touched holds what it first held.
pub(crate) fn stopped(scene: &mut Scene<'_>) -> Result<()> {
    let at_rest = |scene: &mut Scene<'_>| {
        scene.guest.sudo(
            "cd /sys/devices/system/cpu && grep -r . cpufreq/policy*/scaling_governor cpufreq/policy*/scaling_min_freq \
             cpufreq/policy*/scaling_max_freq cpufreq/boost 2>/dev/null; true",
        )
    };
    scene.guest.sudo(&format!("systemctl stop {UNIT}"))?;
    let first = at_rest(scene);
    scene.guest.sudo(&format!("systemctl start {UNIT}"))?;
    let first = first?;
    scene.hold_target()?;
    let touched = at_rest(scene)?;
    ensure!(touched != first, "under heat nothing was touched: {touched}");
    scene.guest.sudo(&format!("systemctl stop {UNIT}"))?;
    let last = at_rest(scene);
    scene.stop_burning()?;
    scene.guest.sudo(&format!("systemctl start {UNIT}"))?;
    let last = last?;
    ensure!(last == first, "before:\n{first}\nafter:\n{last}");
    let differed = touched.lines().zip(first.lines()).filter(|(a, b)| a != b).count();
    scene.figure(
        "files touched and given back",
        differed as f64,
        "files",
        Limit::AtLeast(1.0),
    );
    Ok(())
}

/// What hearthd costs while nothing happens, and how fast it reacts.
pub(crate) fn cost(scene: &mut Scene<'_>) -> Result<()> {
    // Twice the idle interval after everything before it.
    scene.observe(10.0)?;
    let used = |scene: &mut Scene<'_>| -> Result<(f64, f64)> {
        let said = scene.guest.run(
            "cut -d ' ' -f 1 /proc/uptime; sed -n 's/^usage_usec //p' /sys/fs/cgroup/system.slice/hearthd.service/cpu.stat",
        )?;
        let mut numbers = said.split_whitespace().map(str::parse::<f64>);
        let mut next = || numbers.next().context("too few numbers")?.context("no number");
        Ok((next()?, next()? / 1e6))
    };
    let before = used(scene)?;
    scene.observe(40.0)?;
    let after = used(scene)?;
    let share = (after.1 - before.1) / (after.0 - before.0) * 100.0;
    let limit = if scene.emulated {
        Limit::Told
    } else {
        Limit::AtMost(0.2)
    };
    scene.figure("idle, of one core", share, "%", limit);
    let pss = memory::pss_mib(scene.guest)?;
    let own = pss.get(UNIT).context("no figure of hearthd's memory")?;
    scene.figure("PSS", own * 1.048_576, "MB", Limit::AtMost(8.0));
    Ok(())
}

/// How long after a phase record the writes that it causes are done, over an answer.
pub(crate) fn reaction(scene: &mut Scene<'_>) -> Result<f64> {
    let power = scene.power()?;
    let median = power.reaction_median_usec.context("no reaction was measured")?;
    Ok(Duration::from_micros(median).as_secs_f64() * 1000.0)
}
