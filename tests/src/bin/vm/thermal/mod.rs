//! `vm twin`: the image in a simulated machine whose heat is real to its kernel. All scenarios share one boot.

mod figures;
mod hold;
mod scene;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tests::report::{Report, say, step};
use tests::vm::Setup;
use twin::range::Lot;

use crate::guest::Guest;
use crate::parts::Parts;
use figures::{Figure, as_table, save};
use scene::Scene;

/// One thing that must be seen in a simulated machine.
struct Scenario {
    name: &'static str,
    /// What it shows.
    what: &'static str,
    run: fn(&mut Scene<'_>) -> Result<()>,
}

/// In their order.
const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "drivers",
        what: "the kernel's drivers run on the simulated machine",
        run: hold::drivers,
    },
    Scenario {
        name: "control",
        what: "without hearthd busy processors pass the limit",
        run: hold::without_hearthd,
    },
    Scenario {
        name: "hold",
        what: "with hearthd they hold the target",
        run: hold::with_hearthd,
    },
];

/// What is asked of a run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Run this scenario only; may be given more than once
    #[arg(long = "scenario", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    only: Vec<String>,
    /// What the plants are drawn by
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

impl Wanted {
    /// All scenarios, with the usual seed.
    pub(crate) fn all() -> Self {
        Self {
            only: Vec::new(),
            seed: 1,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// Runs the scenarios; the figures that they measured.
pub(crate) fn run(parts: &Parts, wanted: &Wanted, report: &mut Report) -> Result<Vec<Figure>> {
    let output = output_folder(parts)?;
    let mut setup = parts.copied()?;
    setup.simulate(wanted.seed);
    let before = report.failures().len();
    let figures = in_the_twin(&setup, wanted, &output, report);
    if figures.is_err() || report.failures().len() > before {
        setup.keep();
        say(&format!("evidence is in {}", setup.folder().display()));
    }
    let figures = figures?;
    save(&figures, &output.join("figures.json"))?;
    say(&format!(
        "pictures, traces and figures are in {}",
        output.display()
    ));
    Ok(figures)
}

/// The figures as a table.
pub(crate) fn table(figures: &[Figure]) -> String {
    as_table(figures)
}

/// Where pictures, traces and figures stay, until the next run.
fn output_folder(parts: &Parts) -> Result<PathBuf> {
    let folder = parts.paths.cache().join("vm").join("thermal");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn in_the_twin(setup: &Setup, wanted: &Wanted, output: &Path, report: &mut Report) -> Result<Vec<Figure>> {
    let credentials = [setup.keys().credential()];
    say(&format!("the plants' seed is {}", wanted.seed));
    let mut machine = step("boot in the simulated machine", || setup.boot(&credentials))?;
    let token = machine.wait_for_token()?;
    let mut guest = Guest { machine, token };
    let mut figures = Vec::new();
    let before = report.failures().len();
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        if wanted.has(scenario.name) {
            let lot = Lot::new(wanted.seed.wrapping_mul(1000).wrapping_add(number as u64));
            play(&mut guest, scenario, lot, output, &mut figures, report);
        }
    }
    if report.failures().len() > before
        && let Err(error) = guest.machine.collect_evidence()
    {
        say(&format!("the guest cannot be asked for evidence: {error:#}"));
    }
    report.check("the simulated machine's power button", || {
        Ok(tests::report::seconds(guest.machine.power_off()?))
    });
    Ok(figures)
}

/// Plays one scenario; a figure that misses what is asked of it fails it.
fn play(
    guest: &mut Guest,
    scenario: &Scenario,
    lot: Lot,
    output: &Path,
    figures: &mut Vec<Figure>,
    report: &mut Report,
) {
    let start = Instant::now();
    let result = perform(guest, scenario, lot, output).and_then(|measured| {
        let sentences: Vec<String> = measured.iter().map(Figure::sentence).collect();
        let missed = measured.iter().any(|figure| !figure.holds());
        figures.extend(measured);
        if missed {
            bail!("missed: {}", sentences.join(", "));
        }
        Ok(sentences.join(", "))
    });
    let name = format!("{}: {}", scenario.name, scenario.what);
    report.record(&name, start.elapsed(), result);
}

fn perform(guest: &mut Guest, scenario: &Scenario, lot: Lot, output: &Path) -> Result<Vec<Figure>> {
    let target = scene::thermal(guest).map_or(80.0, |thermal| thermal.state.target.0 as f64 / 1000.0);
    let mut scene = Scene::begin(guest, scenario.name, lot, target)?;
    let played = (scenario.run)(&mut scene);
    let measured = scene.end(output);
    played?;
    measured
}
