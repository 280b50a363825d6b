//! `hearth thermal`: temperatures, the one that is held, and what is done about heat.

use crate::{
    cli::ThermalCommand,
    client::Client,
    screen::{self, BAD, WARN, known, line, section},
    span,
    status::uptime,
};
use api::power::{Cooling, Step, Thermal, ThermalSettings};
use machine::{Distrust, Rung, SensorState, ThermalState};

const THERMAL: &str = "/api/v1/thermal";
/// Steps that are shown; JSON has them all.
const STEPS: usize = 10;

/// Shows or changes.
pub(crate) async fn thermal(client: &Client, command: ThermalCommand) -> anyhow::Result<()> {
    let (target, json) = match command {
        ThermalCommand::Show { json } => return show(client, client.get(THERMAL).await?, json).await,
        ThermalCommand::Set { target, json } => (Some(target), json),
        ThermalCommand::Reset { json } => (None, json),
    };
    let settings = serde_json::to_vec(&ThermalSettings { target })?;
    show(client, client.put(THERMAL, settings).await?, json).await
}

async fn show(client: &Client, thermal: Thermal, json: bool) -> anyhow::Result<()> {
    if json {
        return screen::json(&thermal);
    }
    let now = if thermal.steps.is_empty() {
        None
    } else {
        uptime(client).await
    };
    screen::print(&render(&thermal, now))?;
    Ok(())
}

/// `now` is the appliance's time since its start in seconds, if that is known.
fn render(thermal: &Thermal, now: Option<f64>) -> String {
    let state = &thermal.state;
    let mut text = String::new();
    line(&mut text, "Temperature", temperature(state));
    line(&mut text, "Target", target(thermal));
    line(&mut text, "Critical", known(state.critical));
    line(&mut text, "Held back", rung(state));
    let rows = state.sensors.iter().map(sensor).collect();
    text.push_str(&section(["SENSOR", "TEMPERATURE", "BELIEVED"], rows));
    let rows = thermal.cooling.iter().map(cooling).collect();
    text.push_str(&section(["COOLING", "STATE", "SPEED"], rows));
    text.push_str(&steps(&thermal.steps, now));
    text.push_str(&distrusted(&state.sensors));
    text.push_str(&screen::warnings(&thermal.warnings));
    text
}

fn temperature(state: &ThermalState) -> String {
    let Some(assumed) = state.assumed else {
        let none = state.sensors.iter().all(|sensor| !sensor.counts);
        let why = if none {
            "there is no sensor"
        } else {
            "no sensor is believed"
        };
        return format!("{BAD}unknown: {why}{BAD:#}");
    };
    let slope = state.slope_millicelsius_per_second as f64 / 1000.0;
    let trend = if slope.abs() < 0.05 {
        "steady".to_owned()
    } else if slope > 0.0 {
        format!("rising by {slope:.1} °C/s")
    } else {
        format!("falling by {:.1} °C/s", -slope)
    };
    let sensor = screen::one_line(
        state
            .hottest
            .as_deref()
            .unwrap_or("a sensor that is not believed"),
    );
    format!("{assumed} by {sensor}, {trend}")
}

fn target(thermal: &Thermal) -> String {
    let (target, own) = (thermal.state.target, thermal.target_default);
    match thermal.target_set {
        None if target == own => format!("{target}, the firmware profile's"),
        None => format!("{target}; the firmware profile's is {own}"),
        Some(set) if set == target => format!("{target}, set by hand; the firmware profile's is {own}"),
        Some(set) => {
            format!("{target}, as safety allows of {set} set by hand; the firmware profile's is {own}")
        }
    }
}

fn rung(state: &ThermalState) -> String {
    let cap = state.clock_cap.map(|clock| format!("clock capped at {clock}"));
    let beyond = match state.rung {
        Rung::Free | Rung::ClockCap => None,
        Rung::CpuQuota => Some("the engine's processor time is rationed"),
        Rung::FewerSlots => Some("the engine answers fewer at once"),
        Rung::EngineStopped => Some("the engine is stopped"),
        Rung::PowerOff => Some("the machine is being powered off"),
    };
    let parts: Vec<String> = cap.into_iter().chain(beyond.map(str::to_owned)).collect();
    match (parts.is_empty(), state.rung) {
        (true, Rung::Free) => "by nothing".to_owned(),
        (true, _) => format!("{WARN}clock capped{WARN:#}"),
        (false, rung) => {
            let style = if rung >= Rung::EngineStopped { BAD } else { WARN };
            format!("{style}{}{style:#}", parts.join(", "))
        }
    }
}

fn sensor(sensor: &SensorState) -> [String; 3] {
    let believed = match (sensor.distrust, sensor.counts) {
        (Some(why), _) => format!("no: {}", reason(why)),
        (None, true) => "yes".to_owned(),
        (None, false) => "yes, against its own limits".to_owned(),
    };
    [sensor.name.clone(), known(sensor.temp), believed]
}

fn reason(distrust: Distrust) -> &'static str {
    match distrust {
        Distrust::Missing => "it cannot be read, or is gone",
        Distrust::Absurd => "nothing in a room is like that",
        Distrust::Frozen => "it has not moved while power did",
        Distrust::Contradicted => "others on the same silicon say otherwise",
    }
}

fn distrusted(sensors: &[SensorState]) -> String {
    let doubted = sensors.iter().filter(|sensor| sensor.counts);
    let lines = doubted.filter_map(|sensor| {
        let why = reason(sensor.distrust?);
        let name = screen::one_line(&sensor.name);
        Some(format!(
            "{WARN}warning:{WARN:#} {name} is not believed and counts as hot: {why}\n"
        ))
    });
    let text: String = lines.collect();
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

fn cooling(device: &Cooling) -> [String; 3] {
    let state = match (device.cur_state, device.max_state) {
        (None, None) => String::new(),
        (cur, max) => format!("{} of {}", known(cur), known(max)),
    };
    let speed = device.rpm.map_or_else(String::new, |rpm| format!("{rpm} rpm"));
    [device.name.clone(), state, speed]
}

/// The last steps of the ladder, newest first.
fn steps(steps: &[Step], now: Option<f64>) -> String {
    let rows = steps.iter().rev().take(STEPS).map(|step| {
        let ago = now.map(|now| format!("{} ago", span::show(now - step.at_usec as f64 / 1e6)));
        [known(ago), step.note.step.clone(), step.note.reason.clone()]
    });
    section(["WHEN", "STEP", "REASON"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{KiloHertz, MilliCelsius, Note, Warning};

    fn sensor_of(name: &str, distrust: Option<Distrust>) -> SensorState {
        SensorState {
            name: name.to_owned(),
            temp: distrust.is_none().then_some(MilliCelsius(81_500)),
            distrust,
            counts: true,
        }
    }

    fn hot() -> Thermal {
        Thermal {
            state: ThermalState {
                target: MilliCelsius(70_000),
                assumed: Some(MilliCelsius(81_500)),
                hottest: Some("x86_pkg_temp 0".to_owned()),
                slope_millicelsius_per_second: 1_230,
                critical: None,
                rung: Rung::EngineStopped,
                clock_cap: Some(KiloHertz(800_000)),
                sensors: vec![
                    sensor_of("x86_pkg_temp 0", None),
                    sensor_of("acpitz 1", Some(Distrust::Frozen)),
                ],
            },
            target_set: Some(MilliCelsius(70_000)),
            target_default: MilliCelsius(80_000),
            cooling: vec![Cooling {
                name: "Fan 3".to_owned(),
                cur_state: Some(2),
                max_state: None,
                rpm: Some(1800),
            }],
            steps: [("first", 10_000_000), ("second", 40_000_000)]
                .map(|(step, at_usec)| Step {
                    at_usec,
                    note: Note {
                        step: step.to_owned(),
                        reason: "81.5 °C".to_owned(),
                    },
                })
                .into(),
            warnings: vec![Warning {
                path: "sys/y".to_owned(),
                problem: "garbage".to_owned(),
            }],
        }
    }

    fn plain(thermal: &Thermal, now: Option<f64>) -> String {
        anstream::adapter::strip_str(&render(thermal, now)).to_string()
    }

    #[test]
    fn heat_and_what_is_done_about_it_are_shown() {
        let shown = plain(&hot(), Some(70.5));
        for wanted in [
            "81.5 °C by x86_pkg_temp 0, rising by 1.2 °C/s",
            "70.0 °C, set by hand; the firmware profile's is 80.0 °C",
            "Critical     ?",
            "clock capped at 800 MHz, the engine is stopped",
            "no: it has not moved while power did",
            "2 of ?",
            "1800 rpm",
            "warning: acpitz 1 is not believed and counts as hot",
            "warning: sys/y: garbage",
        ] {
            assert!(shown.contains(wanted), "{wanted} is not in {shown}");
        }
        let at = |text| shown.find(text).unwrap();
        assert!(at("30 s ago") < at("1 min ago"), "the newest first: {shown}");
    }

    #[test]
    fn a_cool_machine_and_one_without_sensors_are_told_apart() {
        let mut thermal = hot();
        thermal.state = ThermalState {
            target: MilliCelsius(80_000),
            ..ThermalState::default()
        };
        thermal.target_set = None;
        let shown = plain(&thermal, None);
        assert!(shown.contains("unknown: there is no sensor"), "{shown}");
        assert!(shown.contains("by nothing"), "{shown}");
        thermal.state.sensors = vec![sensor_of("acpitz 0", Some(Distrust::Absurd))];
        let shown = plain(&thermal, None);
        assert!(shown.contains("unknown: no sensor is believed"), "{shown}");
        thermal.state.assumed = Some(MilliCelsius(40_000));
        thermal.state.hottest = Some("acpitz 0".to_owned());
        assert!(plain(&thermal, None).contains("40.0 °C by acpitz 0, steady"));
    }

    #[test]
    fn a_target_that_safety_does_not_allow_is_said_so() {
        let mut thermal = hot();
        thermal.target_set = Some(MilliCelsius(95_000));
        thermal.state.target = MilliCelsius(90_000);
        let shown = plain(&thermal, None);
        assert!(
            shown.contains("90.0 °C, as safety allows of 95.0 °C set by hand"),
            "{shown}"
        );
    }
}
