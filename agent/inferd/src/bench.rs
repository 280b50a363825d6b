//! `inferd bench`: how fast models are on this machine, in tests of llama-bench's form (`pp512`, `tg128 @ d2048`), how
//! much of the memory's bandwidth that is, and how much memory it takes. What is measured is a packed model, as on the
//! appliance.
//!
//! Each model is measured with each number of threads in a process of its own, and so is the bandwidth, so that neither
//! memory nor threads are mixed with another's. (A process begins with its parent's most memory as its own.)

mod bandwidth;
mod measure;
mod place;
mod plan;
mod row;
mod subject;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

use crate::arguments::Bench;
use crate::cpu;
use crate::screen;
use place::Place;
use plan::{Order, Plan};
use row::Row;

/// Measures and prints.
pub(crate) fn run(arguments: &Bench) -> Result<()> {
    if let Some(order) = &arguments.order {
        return obey(&serde_json::from_str(order).context("the order of a measurement")?);
    }
    let mut rows: Vec<Row> = Vec::new();
    for plan in plans(arguments)? {
        rows.extend(in_a_process::<Vec<Row>>(&Order::Model(plan))?);
    }
    if arguments.json {
        return screen::json(&rows);
    }
    Ok(write!(io::stdout(), "{}", row::table(&rows))?)
}

/// Carries out an order and prints what comes of it as JSON.
fn obey(order: &Order) -> Result<()> {
    let said = match order {
        Order::Pack(file) => serde_json::to_string(&Place::packed(file, &place::cache()?)?)?,
        Order::Model(plan) => serde_json::to_string(&measure::all(plan)?)?,
        Order::Bandwidth(threads) => {
            cpu::place(usize::from(*threads));
            let bandwidth = bandwidth::measure(usize::from(*threads));
            serde_json::to_string(&bandwidth.context("cannot measure the memory's bandwidth")?)?
        }
    };
    Ok(writeln!(io::stdout(), "{said}")?)
}

fn plans(arguments: &Bench) -> Result<Vec<Plan>> {
    let mut threads = arguments.threads.clone();
    if threads.is_empty() {
        threads.push(u16::try_from(cpu::threads()?)?);
    }
    let tests = plan::tests(&arguments.prompt, &arguments.generate, &arguments.depth);
    ensure!(!tests.is_empty(), "nothing to measure: both -p and -n are 0");
    let models: Vec<Place> = places(arguments)?;
    let mut plans = Vec::new();
    for threads in threads {
        let bandwidth = (!arguments.no_bandwidth).then(|| in_a_process::<f64>(&Order::Bandwidth(threads)));
        let read_gib_per_second = bandwidth.transpose()?.map(row::gib);
        plans.extend(models.iter().map(|model| Plan {
            model: model.clone(),
            threads,
            tests: tests.clone(),
            repetitions: arguments.repetitions,
            warm: arguments.warm,
            read_gib_per_second,
        }));
    }
    Ok(plans)
}

/// Where the models are.
fn places(arguments: &Bench) -> Result<Vec<Place>> {
    let place = |model: &PathBuf| match &arguments.store {
        Some(store) => Ok(Place::stored(store, model)),
        None => in_a_process(&Order::Pack(model.clone())),
    };
    arguments.models.iter().map(place).collect()
}

/// Has this program, started anew, carry out an order.
fn in_a_process<T: DeserializeOwned>(order: &Order) -> Result<T> {
    let program = env::current_exe().context("cannot find this program's own file")?;
    let output = Command::new(program)
        .args(["bench", "--order", &serde_json::to_string(order)?])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start this program anew")?;
    ensure!(
        output.status.success(),
        "a measurement ({order}) failed ({}); its words are above",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("what a measurement said")
}
