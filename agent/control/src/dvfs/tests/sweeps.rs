//! Whole runs on simulated machines.

extern crate std;

use super::*;
use crate::dvfs::Dvfs;
use crate::utilisation::Utilisation;
use machine::{PolicySetpoint, PowerProfile, Tuning};
use proptest::prelude::*;
use twin::roofline::cpufreq::Cpufreq;
use twin::roofline::engine::Engine;
use twin::roofline::rig::{Account, Rig};
use twin::roofline::work::{Request, Work};
use twin::roofline::{Machine, Model, Step, machines, models};

const LOSS: f64 = 0.03;

fn answer(tokens: u32) -> Request {
    Request {
        gap_ms: 2000,
        prompt_tokens: 100,
        answer_tokens: tokens,
    }
}

/// A machine without a power limit: what the law finds can be compared with the roofline's own optimum.
fn unlimited(mut machine: Machine) -> Machine {
    machine.power.sustained = 1000.0;
    machine
}

fn rig(machine: &Machine, model: &Model, work: &Work, jitter: f64, seed: u64) -> Rig {
    let engine = Engine::new(model.clone(), work, jitter, seed);
    Rig::new(machine.clone(), Cpufreq::new(machine), engine)
}

/// Runs the law on a rig until all is answered, calling `each` after every step.
fn run(rig: &mut Rig, mut each: impl FnMut(&mut Rig, &Sample, &mut PolicySetpoint)) {
    let mut dvfs = Dvfs::new();
    let capabilities = rig.capabilities();
    while !rig.is_done() {
        let sample = rig.advance();
        let wish = dvfs.step(
            &capabilities,
            &Tuning::default(),
            PowerProfile::Balanced,
            &sample,
            &Utilisation::default(),
        );
        let mut setpoint = wish.policies[0].clone();
        each(rig, &sample, &mut setpoint);
        rig.apply(&[setpoint]);
    }
}

fn rate(account: &Account) -> f64 {
    account.decode.tokens / account.decode.seconds
}

fn full_rate(machine: &Machine, model: &Model, work: &Work, jitter: f64, seed: u64) -> f64 {
    let engine = Engine::new(model.clone(), work, jitter, seed);
    let mut rig = Rig::new(machine.clone(), Cpufreq::governed(machine, "performance"), engine);
    while !rig.is_done() {
        rig.advance();
    }
    rate(rig.account())
}

/// The mean clock of decode in the last part of a run, in GHz, and what was lost of the full clock's rate.
fn settled(machine: &Machine, model: &Model, work: &Work, jitter: f64, seed: u64) -> (f64, f64) {
    let mut rig = rig(machine, model, work, jitter, seed);
    let mut clocks = Vec::new();
    run(&mut rig, |rig, sample, _| {
        if sample.engine.as_ref().unwrap().phase == Phase::Decode {
            clocks.push(rig.clock());
        }
    });
    let late = &clocks[clocks.len() * 3 / 4..];
    let mean = late.iter().sum::<f64>() / late.len() as f64;
    let loss = 1.0 - rate(rig.account()) / full_rate(machine, model, work, jitter, seed);
    (mean, loss)
}

#[test]
fn decode_bound_by_memory_is_swept_down_to_the_clock_that_still_holds() {
    for machine in machines::all().map(unlimited) {
        let work = Work::repeated(3, answer(400));
        let (clock, loss) = settled(&machine, &models::LLAMA_3B, &work, 0.02, 5);
        let best = machine.lowest_clock(&models::LLAMA_3B, &Step::decode(1.0, 300.0), LOSS);
        assert!(clock < best * 1.12, "{}: {clock} for {best}", machine.name);
        assert!(clock > best * 0.95, "{}: {clock} for {best}", machine.name);
        assert!(loss <= LOSS, "{}: {loss}", machine.name);
    }
}

#[test]
fn decode_bound_by_arithmetic_is_found_out_and_left_at_the_full_clock() {
    let machine = unlimited(machines::n100());
    let work = Work::together(4, answer(600));
    let (clock, loss) = settled(&machine, &models::LLAMA_3B, &work, 0.02, 5);
    assert!(clock > machine.clock_all_cores * 0.95, "{clock}");
    assert!(loss <= 0.02, "{loss}");
}

#[test]
fn a_cache_that_grows_deep_stays_within_the_loss() {
    let machine = unlimited(machines::n100());
    let work = Work::repeated(1, answer(4000));
    let (_, loss) = settled(&machine, &models::SMOLLM2_135M, &work, 0.02, 5);
    assert!(loss <= LOSS, "{loss}");
}

#[test]
fn a_machine_that_changes_is_learned_anew() {
    let machine = unlimited(machines::n100());
    let mut changed = machine.clone();
    changed.speed.operations_per_cycle /= 4.0;
    let mut rig = rig(
        &machine,
        &models::LLAMA_3B,
        &Work::repeated(1, answer(3000)),
        0.01,
        5,
    );
    let mut lowest = f64::INFINITY;
    let mut clocks = Vec::new();
    run(&mut rig, |rig, sample, _| {
        let engine = sample.engine.as_ref().unwrap();
        if engine.phase == Phase::Decode && engine.generated < 1000 {
            lowest = lowest.min(rig.clock());
        } else if engine.generated >= 1000 {
            *rig.machine() = changed.clone();
        }
        if engine.generated > 2700 && engine.phase == Phase::Decode {
            clocks.push(rig.clock());
        }
    });
    assert!(lowest < 2.5, "it was bound by memory: {lowest}");
    let mean = clocks.iter().sum::<f64>() / clocks.len() as f64;
    assert!(mean > 2.7, "it is bound by arithmetic now: {mean}");
}

#[test]
fn a_cap_from_elsewhere_does_not_poison_what_is_learned() {
    let machine = unlimited(machines::n100());
    let mut rig = rig(
        &machine,
        &models::LLAMA_3B,
        &Work::repeated(1, answer(2400)),
        0.01,
        5,
    );
    let mut clocks = Vec::new();
    run(&mut rig, |rig, sample, setpoint| {
        let generated = sample.engine.as_ref().unwrap().generated;
        let heat = KiloHertz(1_200_000);
        if (400..800).contains(&generated) && setpoint.scaling_max_freq.is_none_or(|cap| cap > heat) {
            setpoint.scaling_max_freq = Some(heat);
        }
        if generated > 1800 {
            clocks.push(rig.clock());
        }
    });
    let mean = clocks.iter().sum::<f64>() / clocks.len() as f64;
    let best = machine.lowest_clock(&models::LLAMA_3B, &Step::decode(1.0, 2000.0), LOSS);
    assert!((best * 0.95..best * 1.12).contains(&mean), "{mean} for {best}");
}

#[test]
fn a_clock_that_saves_no_energy_is_not_taken() {
    let mut machine = unlimited(machines::ryzen_5825u());
    // Almost all power is spent beside the cores: whatever takes longer takes more.
    machine.power.capacitance /= 50.0;
    machine.power.leakage = 0.0;
    machine.power.uncore = 12.0;
    let (clock, loss) = settled(
        &machine,
        &models::LLAMA_3B,
        &Work::repeated(2, answer(300)),
        0.01,
        5,
    );
    assert!(loss < 0.015 && clock > 3.4, "{clock} {loss}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_binds_decode_the_loss_is_kept(
        which in 0usize..3,
        bandwidth in 0.4f64..2.5,
        arithmetic in 0.3f64..3.0,
        slope in 0.0f64..4.0,
        sessions in 1usize..5,
        jitter in 0.0f64..0.08,
        seed in any::<u64>(),
    ) {
        let mut machine = machines::all()[which].clone();
        machine.speed.bandwidth *= bandwidth;
        machine.speed.operations_per_cycle *= arithmetic;
        machine.speed.bandwidth_slope *= slope;
        let work = Work::together(sessions, answer(1500));
        let (_, loss) = settled(&machine, &models::LLAMA_3B, &work, jitter, seed);
        prop_assert!(loss <= LOSS + 0.005, "{loss} on {machine:?}");
    }
}
