//! Joules per token of the phase-aware law against the kernel's governors, **simulated**: recorded work
//! (`tests/traces/`) on modelled machines (`twin::roofline`, where each parameter has its source).

mod run;
mod table;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use run::{Case, Law, Outcome};
use serde_json::{Value, json};
use twin::roofline::work::{Request, Work};
use twin::roofline::{Bound, Group, Load, Machine, Model, Step, machines, models};

const EXAMPLES: &str = "Examples:
  energy                       the tables
  energy --json | jq .cases    the same for programs";

/// Not recorded: one answer under which the KV cache grows deep.
const DEEP: Request = Request {
    gap_ms: 1000,
    prompt_tokens: 128,
    answer_tokens: 8000,
};

/// Joules per token under each law, simulated.
#[derive(Debug, Parser)]
#[command(about, after_help = EXAMPLES)]
struct Arguments {
    /// The folder with the recorded work.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/traces"))]
    traces: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match report(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("energy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(arguments: &Arguments) -> Result<(), trace::Error> {
    let traces = trace::read_all(&arguments.traces)?;
    let mut cases = Vec::new();
    for machine in machines::all() {
        for (name, work) in &traces {
            cases.push(Case::new(machine.clone(), models::LLAMA_3B, name, work.clone()));
        }
        cases.push(Case::new(
            machine,
            models::LLAMA_3B,
            "deep*",
            Work::repeated(1, DEEP),
        ));
    }
    let image = traces.iter().find(|(name, _)| *name == "long");
    cases.extend(
        image.map(|(name, work)| Case::new(machines::n100(), models::SMOLLM2_135M, name, work.clone())),
    );
    let outcomes: Vec<Outcome> = cases.iter().map(Case::run).collect();
    let shaken: Vec<(&'static str, Group, [Outcome; 2])> = cases
        .iter()
        .filter(|case| case.trace == "chat")
        .flat_map(|case| Group::ALL.map(|group| (case.machine.name, group, shake(case, group))))
        .collect();
    if arguments.json {
        println!("{:#}", as_json(&outcomes, &shaken));
    } else {
        table::parameters(&cases);
        table::outcomes(&outcomes);
        table::depths(&machines::all(), &models::LLAMA_3B);
        table::shaken(&shaken);
    }
    Ok(())
}

/// A case with a group of parameters 30 % smaller and 30 % larger.
fn shake(case: &Case, group: Group) -> [Outcome; 2] {
    [0.7, 1.3].map(|factor| {
        let machine = group.scaled(case.machine.clone(), factor);
        Case {
            machine,
            ..case.clone()
        }
        .run()
    })
}

fn as_json(outcomes: &[Outcome], shaken: &[(&'static str, Group, [Outcome; 2])]) -> Value {
    let case = |outcome: &Outcome| {
        let laws = Law::ALL.map(|law| {
            let figures = outcome.figures(law);
            json!({
                "law": law.name(),
                "decode_tokens_per_second": figures.tokens_per_second,
                "decode_joules_per_token": figures.decode_joules,
                "whole_joules_per_token": figures.whole_joules,
                "prefill_seconds": figures.prefill_seconds,
            })
        });
        json!({"machine": outcome.machine, "model": outcome.model, "trace": outcome.trace, "laws": laws})
    };
    let sensitivity = |(machine, group, pair): &(&str, Group, [Outcome; 2])| {
        json!({"machine": machine, "group": group.name(), "factors": [0.7, 1.3],
            "outcomes": pair.iter().map(case).collect::<Vec<_>>()})
    };
    json!({
        "simulated": true,
        "cases": outcomes.iter().map(case).collect::<Vec<_>>(),
        "sensitivity": shaken.iter().map(sensitivity).collect::<Vec<_>>(),
    })
}

/// What a law should find for decode.
pub(crate) struct Optimum {
    /// What it is bound by at the full clock.
    pub(crate) bound: Bound,
    /// The full clock in GHz: the highest that the power limit leaves.
    pub(crate) full: f64,
    /// Tokens per second there, all sequences together.
    pub(crate) rate: f64,
    /// The lowest clock that loses at most 3 %, in GHz.
    pub(crate) lowest: f64,
    /// Joules per token there, relative to those at the full clock.
    pub(crate) joules: f64,
}

/// The optimum for so many sequences, each so deep.
pub(crate) fn optimum(machine: &Machine, model: &Model, sequences: f64, depth: f64) -> Optimum {
    let step = Step::decode(sequences, depth);
    let full = machine.granted(Load::Engine(model, &step), machine.clock_max);
    let lowest = machine.lowest_clock(model, &step, 0.03);
    Optimum {
        bound: machine.bound(model, &step, full),
        full,
        rate: sequences / machine.seconds(model, &step, full),
        lowest,
        joules: machine.joules(model, &step, lowest) / machine.joules(model, &step, full),
    }
}
