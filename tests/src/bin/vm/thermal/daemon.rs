//! hearthd itself: killed, stopped, and what it costs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::host::{self, HostStack, Options, with_stack};
use tests::wait;

use super::figures::Limit;
use super::scene::{NOTICE, Scene};
use crate::checks::memory;

const UNIT: &str = "hearthd.service";
/// The most that it may use of a core while nothing happens, in per cent.
const IDLE_PERCENT: f64 = 0.2;

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

/// A second, as a processor has it. Emulated, with two busy loops beside it, systemd alone takes four to start the
/// sandbox; hearthd's own part is half a second.
fn restart_limit(scene: &Scene<'_>) -> f64 {
    if scene.emulated { 10.0 } else { 1.0 }
}

/// An orderly stop under heat: every file that was touched holds what it first held.
pub(crate) fn stopped(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let touched = files(scene)?;
    // Without hearthd the heat would end the guest.
    scene.open_window();
    scene.guest.sudo(&format!("systemctl stop {UNIT}"))?;
    let last = files(scene);
    let at_boot = first_seen(scene);
    scene.stop_burning()?;
    scene.guest.sudo(&format!("systemctl start {UNIT}"))?;
    let (last, at_boot) = (last?, at_boot?);
    ensure!(last == at_boot, "at boot:\n{at_boot}\nafter:\n{last}");
    let differed = touched.lines().zip(last.lines()).filter(|(a, b)| a != b).count();
    scene.figure(
        "files touched and given back",
        differed as f64,
        "files",
        Limit::AtLeast(1.0),
    );
    Ok(())
}

/// What cpufreq's files hold that hearthd may write.
fn files(scene: &mut Scene<'_>) -> Result<String> {
    scene.guest.run(
        "cd /sys/devices/system/cpu/cpufreq && grep . policy*/scaling_governor policy*/scaling_m??_freq | LC_ALL=C sort",
    )
}

/// What they held before hearthd's first start: nothing else in the image writes them, so it is what the kernel gives to
/// every policy: its default governor and the hardware's limits.
fn first_seen(scene: &mut Scene<'_>) -> Result<String> {
    scene.guest.run(
        "cd /sys/devices/system/cpu/cpufreq && grep . policy*/cpuinfo_m??_freq | sed s/cpuinfo/scaling/ >/tmp/first; \
         for policy in policy*; do echo $policy/scaling_governor:schedutil; done >>/tmp/first; \
         LC_ALL=C sort /tmp/first",
    )
}

/// What hearthd costs while nothing happens: in the guest, and at the same time on this host's own processor.
pub(crate) fn cost(scene: &mut Scene<'_>) -> Result<()> {
    // The image's build has left them there; a given image may come without.
    if host::daemon("hearthd").and(host::daemon("gateway")).is_err() {
        host::build()?;
    }
    with_stack(&Options::default(), |stack| idle(scene, stack))?;
    let pss = memory::pss_mib(scene.guest)?;
    let own = pss.get(UNIT).context("no figure of hearthd's memory")?;
    scene.figure("PSS", own * 1.048_576, "MB", Limit::AtMost(8.0));
    Ok(())
}

fn idle(scene: &mut Scene<'_>, stack: &mut HostStack) -> Result<()> {
    // The start's work is over.
    scene.observe(6.0)?;
    let [hearthd, _] = stack.others()?;
    let (inside, outside) = (used_inside(scene)?, used_here(hearthd)?);
    let seconds = 30.0;
    scene.observe(seconds)?;
    let share = (used_here(hearthd)? - outside) / seconds * 100.0;
    scene.figure(
        "idle on this host, of one core",
        share,
        "%",
        Limit::AtMost(IDLE_PERCENT),
    );
    let now = used_inside(scene)?;
    let share = (now.1 - inside.1) / (now.0 - inside.0) * 100.0;
    let limit = if scene.emulated {
        Limit::Told
    } else {
        Limit::AtMost(IDLE_PERCENT)
    };
    scene.figure("idle in the guest, of one core", share, "%", limit);
    Ok(())
}

/// The guest's time and hearthd's use of its processors, in seconds.
fn used_inside(scene: &mut Scene<'_>) -> Result<(f64, f64)> {
    let said = scene.guest.run(
        "cut -d ' ' -f 1 /proc/uptime; sed -n 's/^usage_usec //p' /sys/fs/cgroup/system.slice/hearthd.service/cpu.stat",
    )?;
    let mut numbers = said.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next().context("too few numbers")?.context("no number");
    Ok((next()?, next()? / 1e6))
}

/// What a process of one thread has used of this host's processors, in seconds.
fn used_here(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/schedstat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ran = text.split_whitespace().next().context("an empty schedstat")?;
    Ok(ran.parse::<f64>()? / 1e9)
}

/// How long after a phase record the writes that it causes are done, over an answer.
pub(crate) fn reaction(scene: &mut Scene<'_>) -> Result<f64> {
    let power = scene.power()?;
    let median = power.reaction_median_usec.context("no reaction was measured")?;
    Ok(Duration::from_micros(median).as_secs_f64() * 1000.0)
}
