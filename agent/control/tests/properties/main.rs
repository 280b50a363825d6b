//! What must hold of the laws on any machine, under any samples.

mod draw;

use control::Controller;
use draw::{Setup, any_trace, sane_trace, set_temperatures, setup};
use machine::{
    BootTime, Capabilities, Decision, Distrust, EngineLimits, KiloHertz, MilliCelsius, Policy,
    PolicySetpoint, Sample, Setpoints,
};
use proptest::prelude::*;

fn controller(setup: &Setup) -> Controller {
    let mut controller = Controller::new(setup.machine.clone(), setup.tuning.clone());
    controller.set_wishes(setup.wishes.clone());
    controller
}

/// What all samples lead to, and the state after them.
fn run(setup: &Setup, samples: &[Sample]) -> (Controller, Vec<Decision>) {
    let mut controller = controller(setup);
    let decisions = samples.iter().map(|sample| controller.step(sample)).collect();
    (controller, decisions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the samples, times that run backwards and extreme values among them: every wish is one that the machine
    /// can fulfil.
    #[test]
    fn wishes_lie_within_what_the_machine_can(setup in setup(), samples in any_trace()) {
        for decision in run(&setup, &samples).1 {
            within(&setup.machine, &decision.setpoints)?;
            prop_assert!(decision.engine.slots.is_none_or(|slots| slots > 0));
            prop_assert!(decision.engine.cpu_quota_percent.is_none_or(|quota| quota > 0));
        }
    }

    #[test]
    fn the_same_trace_leads_to_the_same_decisions(setup in setup(), samples in any_trace()) {
        prop_assert_eq!(run(&setup, &samples).1, run(&setup, &samples).1);
    }

    /// A step is not repeated in the log, and changes nothing else.
    #[test]
    fn a_sample_twice_is_a_sample_once(setup in setup(), samples in any_trace()) {
        let mut controller = controller(&setup);
        for sample in &samples {
            let once = controller.step(sample);
            let twice = controller.step(sample);
            prop_assert_eq!(&twice.notes, &vec![]);
            prop_assert_eq!(Decision { notes: vec![], ..once }, twice);
        }
    }

    /// In the same state a hotter sample never permits more.
    #[test]
    fn hotter_never_permits_more(
        setup in setup(),
        samples in sane_trace(),
        kelvin in 0.0..60.0_f64,
    ) {
        let (before, last) = samples.split_at(samples.len() - 1);
        let (controller, _) = run(&setup, before);
        let hotter = warmed(&last[0], kelvin);
        let cool = controller.clone().step(&last[0]);
        let hot = controller.clone().step(&hotter);
        clocks_no_higher(&setup.machine, &hot, &cool)?;
        engine_no_freer(&hot, &cool)?;
        prop_assert!(hot.thermal.rung >= cool.thermal.rung);
    }

    /// Where a sensor stood and one that is gone, or tells nonsense, instead: clocks are no higher, and no rung of the
    /// ladder is given back.
    #[test]
    fn a_lost_sensor_never_cools_less(
        setup in setup(),
        samples in sane_trace(),
        nonsense in prop_oneof![Just(None), Just(Some(-274_000)), Just(Some(0)), Just(Some(255_000))],
        which in any::<prop::sample::Index>(),
        lone in any::<bool>(),
    ) {
        let samples: Vec<Sample> = samples.into_iter().map(|sample| if lone { alone(sample) } else { sample }).collect();
        let (controller, before) = run(&setup, &samples);
        let (Some(last), Some(before)) = (samples.last(), before.last()) else { return Ok(()) };
        let later = Sample { at_usec: BootTime(last.at_usec.0 + 200_000), ..last.clone() };
        let mut lost = later.clone();
        let index = which.index(lost.zones.len());
        lost.zones[index].temp = nonsense.map(MilliCelsius);
        let kept = controller.clone().step(&later);
        let lost = controller.clone().step(&lost);
        clocks_no_higher(&setup.machine, &lost, &kept)?;
        // What was due to be given back anyway may be.
        engine_no_freer(&lost, before).or_else(|_| engine_no_freer(&lost, &kept))?;
    }

    /// A machine is never powered off, nor its engine held back, by sensors that have never moved, wherever they stand.
    #[test]
    fn a_stuck_sensor_never_stops_anything(setup in setup(), samples in sane_trace()) {
        let first = samples[0].clone();
        let stuck = |sample: &Sample| {
            Sample { zones: first.zones.clone(), hwmon: first.hwmon.clone(), ..sample.clone() }
        };
        let samples: Vec<Sample> = samples.iter().map(stuck).collect();
        for decision in run(&setup, &samples).1 {
            prop_assert_eq!(decision.power_off, None);
            prop_assert_eq!(decision.engine, EngineLimits::default());
        }
    }

    /// Every sensor has a name of its own, and what is not believed is warned of.
    #[test]
    fn what_is_not_believed_is_named(setup in setup(), samples in any_trace()) {
        for decision in run(&setup, &samples).1 {
            let names: Vec<&str> = decision.thermal.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
            for (index, sensor) in decision.thermal.sensors.iter().enumerate() {
                prop_assert!(!names[..index].contains(&sensor.name.as_str()), "{:?}", names);
                let named = decision.warnings.iter().any(|warning| warning.problem.starts_with(&sensor.name));
                prop_assert!(sensor.distrust.is_none() || named, "{:?}", sensor);
                let unread = matches!(sensor.distrust, Some(Distrust::Missing));
                prop_assert!(!unread || sensor.temp.is_none());
            }
        }
    }
}

/// Every temperature higher by so many K, as far as it remains one that silicon can have.
fn warmed(sample: &Sample, kelvin: f64) -> Sample {
    let more = (kelvin * 1000.0) as i64;
    let mut warmed = sample.clone();
    set_temperatures(&mut warmed, |milli| {
        milli.max((milli + more).min(MilliCelsius::HOTTEST_PLAUSIBLE.0))
    });
    warmed
}

/// With one sensor only, the one that a virtual machine and many a mini PC has.
fn alone(mut sample: Sample) -> Sample {
    sample.zones.truncate(1);
    sample.hwmon.clear();
    sample
}

fn clocks_no_higher(machine: &Capabilities, less: &Decision, more: &Decision) -> Result<(), TestCaseError> {
    for policy in &machine.policies {
        let (low, high) = (setpoint(less, policy.id), setpoint(more, policy.id));
        let clock = |clock: Option<KiloHertz>| clock.or(policy.cpuinfo_max_freq);
        let (low_max, high_max) = (clock(low.scaling_max_freq), clock(high.scaling_max_freq));
        prop_assert!(
            low_max <= high_max,
            "policy {}: {:?} > {:?}",
            policy.id,
            low_max,
            high_max
        );
        prop_assert!(low.scaling_min_freq <= high.scaling_min_freq);
    }
    Ok(())
}

fn engine_no_freer(less: &Decision, more: &Decision) -> Result<(), TestCaseError> {
    let quota = |decision: &Decision| decision.engine.cpu_quota_percent.unwrap_or(u32::MAX);
    let slots = |decision: &Decision| decision.engine.slots.unwrap_or(u32::MAX);
    prop_assert!(quota(less) <= quota(more) && slots(less) <= slots(more));
    prop_assert!(less.engine.stopped >= more.engine.stopped);
    prop_assert!(less.power_off.is_some() >= more.power_off.is_some());
    Ok(())
}

fn setpoint(decision: &Decision, id: u32) -> PolicySetpoint {
    let found = decision.setpoints.policies.iter().find(|policy| policy.id == id);
    found.cloned().unwrap_or_default()
}

fn within(machine: &Capabilities, setpoints: &Setpoints) -> Result<(), TestCaseError> {
    for setpoint in &setpoints.policies {
        let policy = machine.policies.iter().find(|policy| policy.id == setpoint.id);
        let Some(policy) = policy else {
            return Err(TestCaseError::fail(format!("there is no policy {}", setpoint.id)));
        };
        offered(
            &policy.scaling_available_governors,
            setpoint.scaling_governor.as_ref(),
        )?;
        let preferences = &policy.energy_performance_available_preferences;
        offered(preferences, setpoint.energy_performance_preference.as_ref())?;
        for clock in [setpoint.scaling_min_freq, setpoint.scaling_max_freq]
            .into_iter()
            .flatten()
        {
            prop_assert!(can_run(policy, clock), "{:?} of {:?}", clock, policy);
        }
        if let (Some(low), Some(high)) = (setpoint.scaling_min_freq, setpoint.scaling_max_freq) {
            prop_assert!(low <= high);
        }
    }
    prop_assert!(setpoints.boost.is_none() || machine.boost.is_some());
    offered(
        &machine.platform_profile_choices,
        setpoints.platform_profile.as_ref(),
    )?;
    for domain in &setpoints.powercap {
        let found = machine.powercap.iter().find(|found| found.id == domain.id);
        for limit in &domain.limits {
            let constraint =
                found.map(|found| found.constraints.iter().any(|one| one.id == limit.constraint));
            prop_assert_eq!(constraint, Some(true));
        }
    }
    Ok(())
}

fn offered(choices: &[String], wanted: Option<&String>) -> Result<(), TestCaseError> {
    prop_assert!(
        wanted.is_none_or(|wanted| choices.contains(wanted)),
        "{:?} of {:?}",
        wanted,
        choices
    );
    Ok(())
}

fn can_run(policy: &Policy, clock: KiloHertz) -> bool {
    policy.cpuinfo_min_freq.is_none_or(|lowest| clock >= lowest)
        && policy.cpuinfo_max_freq.is_none_or(|highest| clock <= highest)
}
