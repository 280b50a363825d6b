//! The tables.

use crate::optimum;
use crate::run::{Case, Law, Outcome};
use twin::roofline::{Group, Machine, Model};

/// What is simulated, and what decode is bound by.
pub(crate) fn parameters(cases: &[Case]) {
    println!(
        "SIMULATED. Recorded work (tests/traces) on modelled machines (tests/twin/src/roofline/machines.rs);"
    );
    println!(
        "no figure below was measured on hardware. Joules are those of the processor's package and its memory."
    );
    println!(
        "schedutil and powersave are the kernel's generic governors, whatever driver the machine has.\n"
    );
    println!(
        "Decode at depth 400: what binds it at the full clock (the highest that the power limit leaves), the lowest"
    );
    println!("clock that loses at most 3 %, and the joules per token there: what a law could reach at best");
    println!(
        "{:<15} {:<20} {:>9}  {:<10} {:>6} {:>8} {:>9}",
        "machine", "model", "sequences", "bound by", "full", "lowest", "J/token"
    );
    for (index, case) in cases.iter().enumerate() {
        let same =
            |other: &Case| (other.machine.name, other.model.name) == (case.machine.name, case.model.name);
        if cases[..index].iter().any(same) {
            continue;
        }
        for sequences in [1.0, 4.0] {
            let best = optimum(&case.machine, &case.model, sequences, 400.0);
            println!(
                "{:<15} {:<20} {sequences:>9}  {:<10} {:>6.2} {:>8.2} {:>9}",
                case.machine.name,
                case.model.name,
                format!("{:?}", best.bound).to_lowercase(),
                best.full,
                best.lowest,
                change(best.joules, 1.0),
            );
        }
    }
    println!();
}

/// Each case under each law.
pub(crate) fn outcomes(outcomes: &[Outcome]) {
    println!(
        "{:<15} {:<20} {:<6} {:<12} {:>8} {:>7} {:>9} {:>7} {:>8} {:>7} {:>8}",
        "machine", "model", "trace", "law", "tok/s", "", "J/token", "", "J/token", "", "prefill"
    );
    println!(
        "{:56} {:>8} {:>7} {:>9} {:>7} {:>8} {:>7} {:>8}",
        "", "decode", "", "decode", "", "whole", "", "s"
    );
    for outcome in outcomes {
        for law in Law::ALL {
            row(outcome, law);
        }
    }
    println!("(per cent: against performance; whole: prompts and pauses too, over the same time)");
    println!("(* not recorded: one answer of 8000 tokens, under which the KV cache grows deep)\n");
    totals(outcomes);
}

fn row(outcome: &Outcome, law: Law) {
    let (full, it) = (outcome.figures(Law::Performance), outcome.figures(law));
    let head = if law == Law::Performance {
        format!(
            "{:<15} {:<20} {:<6}",
            outcome.machine, outcome.model, outcome.trace
        )
    } else {
        format!("{:<43}", "")
    };
    println!(
        "{head} {:<12} {:>8.2} {:>7} {:>9.3} {:>7} {:>8.3} {:>7} {:>8.1}",
        law.name(),
        it.tokens_per_second,
        change(it.tokens_per_second, full.tokens_per_second),
        it.decode_joules,
        change(it.decode_joules, full.decode_joules),
        it.whole_joules,
        change(it.whole_joules, full.whole_joules),
        it.prefill_seconds,
    );
}

fn totals(outcomes: &[Outcome]) {
    let slowest = outcomes.iter().map(loss).fold(0.0, f64::max);
    println!(
        "Largest loss of decode speed under the phase-aware law: {:.1} %",
        slowest * 100.0
    );
    for rival in [Law::Performance, Law::Schedutil, Law::Powersave] {
        let worse = |outcome: &&Outcome| {
            outcome.figures(Law::Phase).decode_joules > outcome.figures(rival).decode_joules * 1.0005
        };
        let lost: Vec<String> = outcomes
            .iter()
            .filter(worse)
            .map(|outcome| format!("{} ({}) {}", outcome.machine, outcome.model, outcome.trace))
            .collect();
        let lost = if lost.is_empty() {
            " nowhere".into()
        } else {
            format!("\n  {}", lost.join("\n  "))
        };
        println!("More joules per decoded token than {}:{lost}", rival.name());
    }
    let boxed = |outcome: &Outcome, law| outcome.figures(law).box_joules;
    for outcome in outcomes.iter().filter(|outcome| outcome.trace == "chat") {
        let saved = change(boxed(outcome, Law::Phase), boxed(outcome, Law::Performance));
        println!(
            "{}, chat, with the rest of the box: {saved} joules per token against performance",
            outcome.machine
        );
    }
    println!();
}

fn loss(outcome: &Outcome) -> f64 {
    1.0 - outcome.figures(Law::Phase).tokens_per_second / outcome.figures(Law::Performance).tokens_per_second
}

/// How a growing KV cache moves the clock that a law should find.
pub(crate) fn depths(machines: &[Machine], model: &Model) {
    println!(
        "Growing KV cache, {}, one sequence: speed at the full clock, the lowest clock that loses 3 %, joules",
        model.name
    );
    println!(
        "{:<15} {:>7} {:>8} {:>9} {:>9}",
        "machine", "depth", "tok/s", "GHz", "J/token"
    );
    for machine in machines {
        for depth in [128.0, 2048.0, 8192.0] {
            let best = optimum(machine, model, 1.0, depth);
            let joules = change(best.joules, 1.0);
            println!(
                "{:<15} {depth:>7} {:>8.2} {:>9.2} {joules:>9}",
                machine.name, best.rate, best.lowest
            );
        }
    }
    println!();
}

/// What the law is worth if a group of parameters is wrong.
pub(crate) fn shaken(shaken: &[(&'static str, Group, [Outcome; 2])]) {
    println!(
        "Sensitivity, trace chat: phase-aware law against performance, with parameters 30 % smaller and larger"
    );
    println!(
        "{:<15} {:<33} {:>16} {:>16}   {:>15}",
        "machine", "parameters", "J/token decode", "J/token whole", "decode speed"
    );
    for (machine, group, pair) in shaken {
        let figures = pair
            .each_ref()
            .map(|outcome| (outcome.figures(Law::Phase), outcome.figures(Law::Performance)));
        let [low, high] = figures;
        println!(
            "{machine:<15} {:<33} {:>7} {:>8} {:>7} {:>8}   {:>7} {:>7}",
            group.name(),
            change(low.0.decode_joules, low.1.decode_joules),
            change(high.0.decode_joules, high.1.decode_joules),
            change(low.0.whole_joules, low.1.whole_joules),
            change(high.0.whole_joules, high.1.whole_joules),
            change(low.0.tokens_per_second, low.1.tokens_per_second),
            change(high.0.tokens_per_second, high.1.tokens_per_second),
        );
    }
}

fn change(new: f64, old: f64) -> String {
    format!("{:+.1} %", (new / old - 1.0) * 100.0)
}
