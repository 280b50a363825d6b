//! `hearth power`: the profile, who holds which, and what the clocks do.

use crate::{
    cli::PowerCommand,
    client::Client,
    screen::{self, WARN, known, line, section},
    span,
    status::uptime,
};
use api::power::{NewHold, PolicyStatus, Power, PowerSettings};
use machine::{BoostSwitch, EngineLimits, EngineSample, Hold, Phase};

const POWER: &str = "/api/v1/power";
const HOLDS: &str = "/api/v1/power/holds";

/// Shows or changes.
pub(crate) async fn power(client: &Client, command: PowerCommand) -> anyhow::Result<()> {
    match command {
        PowerCommand::Show { json } => show(client, client.get(POWER).await?, json).await,
        PowerCommand::Set { profile, json } => {
            let settings = serde_json::to_vec(&PowerSettings { profile })?;
            show(client, client.put(POWER, settings).await?, json).await
        }
        PowerCommand::Hold {
            profile,
            reason,
            span,
            json,
        } => {
            let seconds = span.map(|span| span.as_secs());
            let new = NewHold {
                profile,
                reason,
                seconds,
            };
            hold(client, &new, json).await
        }
        PowerCommand::Release { id, json } => {
            show(client, client.delete(&format!("{HOLDS}/{id}")).await?, json).await
        }
    }
}

async fn hold(client: &Client, new: &NewHold, json: bool) -> anyhow::Result<()> {
    let hold: Hold = client.begin(HOLDS, serde_json::to_vec(new)?).await?;
    if json {
        return screen::json(&hold);
    }
    let until = match new.seconds {
        Some(seconds) => format!("for {}", span::show(seconds as f64)),
        None => "until it is released or hearthd restarts".to_owned(),
    };
    screen::print(&format!(
        "{} is held {until}; \"hearth power release {}\" ends it\n",
        hold.profile, hold.id
    ))?;
    Ok(())
}

async fn show(client: &Client, power: Power, json: bool) -> anyhow::Result<()> {
    if json {
        return screen::json(&power);
    }
    let ends = power.holds.iter().any(|hold| hold.until_usec.is_some());
    let now = if ends { uptime(client).await } else { None };
    screen::print(&render(&power, now))?;
    Ok(())
}

/// `now` is the appliance's time since its start in seconds, if that is known.
fn render(power: &Power, now: Option<f64>) -> String {
    let mut text = String::new();
    line(&mut text, "Profile", profile(power));
    line(&mut text, "Firmware", screen::one_line(&power.firmware_profile));
    line(&mut text, "Engine", engine(power.engine.as_ref()));
    if let Some(held) = held_back(&power.engine_limits) {
        line(&mut text, "Held back", format!("{WARN}{held}{WARN:#}"));
    }
    if let Some(watts) = power.package_watts {
        line(&mut text, "Processor", format!("{watts:.1} W"));
    }
    if let Some(on_battery) = power.on_battery {
        line(&mut text, "Supply", if on_battery { "battery" } else { "mains" });
    }
    if let Some(switch) = power.boost_switch {
        line(&mut text, "Boost", boost(switch, power.boost));
    }
    if let Some(platform) = &power.platform_profile {
        line(&mut text, "Platform", screen::one_line(platform));
    }
    if let Some(usec) = power.reaction_median_usec {
        let milliseconds = usec as f64 / 1000.0;
        line(
            &mut text,
            "Reaction",
            format!("{milliseconds:.1} ms from a phase to the clock"),
        );
    }
    text.push_str(&holds(&power.holds, now));
    let rows = power.policies.iter().map(policy).collect();
    text.push_str(&section(
        [
            "POLICY",
            "CLOCK",
            "LIMIT",
            "HARDWARE",
            "GOVERNOR",
            "ASKED FOR",
            "DRIVER",
        ],
        rows,
    ));
    text.push_str(&screen::warnings(&power.foreign_writers));
    text
}

fn profile(power: &Power) -> String {
    let mut text = power.effective_profile.to_string();
    if power.effective_profile != power.profile {
        let why = if power.holds.is_empty() {
            "on battery"
        } else {
            "held"
        };
        text.push_str(&format!(" ({why}; chosen is {})", power.profile));
    }
    if !power.performance_degraded.is_empty() {
        let why = screen::one_line(&power.performance_degraded);
        text.push_str(&format!(", {WARN}degraded: {why}{WARN:#}"));
    }
    text
}

fn engine(engine: Option<&EngineSample>) -> String {
    let Some(engine) = engine else {
        return "does not run".to_owned();
    };
    let phase = match engine.phase {
        Phase::Idle => return "idle".to_owned(),
        Phase::Loading => "loading a model",
        Phase::Prefill => "prefill",
        Phase::Decode => "decode",
    };
    let (active, queued) = (engine.active, engine.queue_depth);
    let speed = engine.tokens_per_second;
    let speed = speed.map_or_else(String::new, |speed| format!(", {speed:.1} tokens/s"));
    format!("{phase}, {active} answering, {queued} waiting{speed}")
}

fn held_back(limits: &EngineLimits) -> Option<String> {
    let quota = limits.cpu_quota_percent;
    let parts = [
        quota.map(|percent| format!("{percent} % of one processor")),
        limits.slots.map(|slots| format!("{slots} answered at once")),
        limits.stopped.then(|| "stopped".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn boost(switch: BoostSwitch, allowed: Option<bool>) -> String {
    let state = match allowed {
        Some(true) => "allowed",
        Some(false) => "forbidden",
        None => "unknown",
    };
    let switch = match switch {
        BoostSwitch::CpufreqBoost => "cpufreq/boost",
        BoostSwitch::IntelNoTurbo => "intel_pstate/no_turbo",
    };
    format!("{state} (by {switch})")
}

fn holds(holds: &[Hold], now: Option<f64>) -> String {
    let rows = holds.iter().map(|hold| {
        let ends = match (hold.until_usec, now) {
            (None, _) => "when released".to_owned(),
            (Some(until), Some(now)) => format!("in {}", span::show(until.0 as f64 / 1e6 - now)),
            (Some(_), None) => "?".to_owned(),
        };
        [
            hold.id.to_string(),
            hold.profile.to_string(),
            hold.holder.clone(),
            ends,
            hold.reason.clone(),
        ]
    });
    section(["HOLD", "PROFILE", "HOLDER", "ENDS", "REASON"], rows.collect())
}

fn policy(policy: &PolicyStatus) -> [String; 7] {
    let names = [&policy.scaling_governor, &policy.energy_performance_preference];
    [
        policy.id.to_string(),
        known(policy.scaling_cur_freq),
        known(policy.scaling_max_freq),
        format!(
            "{} to {}",
            known(policy.cpuinfo_min_freq),
            known(policy.cpuinfo_max_freq)
        ),
        screen::words(names),
        asked(policy),
        screen::words([&policy.scaling_driver]),
    ]
}

/// What hearthd asks of a policy; what it leaves as it was is not said.
fn asked(policy: &PolicyStatus) -> String {
    let Some(wish) = &policy.setpoint else {
        return "left alone".to_owned();
    };
    let parts = [
        wish.scaling_governor.clone(),
        wish.energy_performance_preference.clone(),
        wish.scaling_min_freq.map(|clock| format!("at least {clock}")),
        wish.scaling_max_freq.map(|clock| format!("at most {clock}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "as found".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{BootTime, KiloHertz, PolicySetpoint, PowerProfile, Warning};

    fn sample() -> Power {
        Power {
            profile: PowerProfile::Balanced,
            effective_profile: PowerProfile::Performance,
            performance_degraded: "high-operating-temperature".to_owned(),
            holds: vec![Hold {
                id: 3,
                profile: PowerProfile::Performance,
                reason: "a build\u{1b}[2J".to_owned(),
                holder: "desk".to_owned(),
                until_usec: Some(BootTime(3_760_000_000)),
            }],
            firmware_profile: "generic/intel-n".to_owned(),
            engine: Some(EngineSample {
                phase: Phase::Decode,
                active: 1,
                tokens_per_second: Some(12.34),
                ..EngineSample::default()
            }),
            engine_limits: EngineLimits {
                cpu_quota_percent: Some(150),
                slots: Some(1),
                stopped: false,
            },
            policies: vec![PolicyStatus {
                id: 0,
                scaling_driver: Some("intel_cpufreq".to_owned()),
                cpuinfo_min_freq: Some(KiloHertz(700_000)),
                cpuinfo_max_freq: Some(KiloHertz(3_400_000)),
                scaling_cur_freq: None,
                scaling_max_freq: Some(KiloHertz(1_200_000)),
                bios_limit: None,
                scaling_governor: Some("schedutil".to_owned()),
                energy_performance_preference: None,
                setpoint: Some(PolicySetpoint {
                    scaling_max_freq: Some(KiloHertz(1_200_000)),
                    ..PolicySetpoint::default()
                }),
            }],
            boost_switch: Some(BoostSwitch::IntelNoTurbo),
            boost: Some(false),
            platform_profile: None,
            on_battery: None,
            package_watts: Some(6.04),
            foreign_writers: vec![Warning {
                path: "sys/x".to_owned(),
                problem: "changed by somebody else".to_owned(),
            }],
            reaction_median_usec: Some(1_240),
        }
    }

    fn plain(power: &Power, now: Option<f64>) -> String {
        anstream::adapter::strip_str(&render(power, now)).to_string()
    }

    #[test]
    fn everything_that_is_known_is_shown() {
        let shown = plain(&sample(), Some(100.0));
        for wanted in [
            "performance (held; chosen is balanced), degraded: high-operating-temperature",
            "decode, 1 answering, 0 waiting, 12.3 tokens/s",
            "150 % of one processor, 1 answered at once",
            "6.0 W",
            "forbidden (by intel_pstate/no_turbo)",
            "1.2 ms",
            "in 1 h 1 min",
            "a build\u{fffd}[2J",
            "700 MHz to 3400 MHz",
            "at most 1200 MHz",
            "warning: sys/x: changed by somebody else",
        ] {
            assert!(shown.contains(wanted), "{wanted} is not in {shown}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_nought() {
        let mut power = sample();
        power.engine = None;
        power.package_watts = None;
        power.reaction_median_usec = None;
        power.engine_limits = EngineLimits::default();
        let shown = plain(&power, None);
        assert!(
            shown.contains("does not run") && !shown.contains(" W\n"),
            "{shown}"
        );
        assert!(
            !shown.contains("Reaction") && !shown.contains("Held back"),
            "{shown}"
        );
        let policy = shown.lines().find(|line| line.contains("intel_cpufreq")).unwrap();
        assert!(policy.contains('?'), "{policy}");
    }
}
