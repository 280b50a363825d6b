//! The image in a simulated machine whose heat is real to its kernel. All scenarios share one boot: their own, or the
//! second of `vm test`.

mod critical;
mod daemon;
mod faults;
mod figures;
mod firmware;
mod generation;
mod hold;
mod scene;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tests::report::{Report, say, seconds, step};
use tests::vm::accel::Accel;
use tests::vm::{Machine, Setup};
use tests::wait;
use twin::range::Lot;

use crate::guest::Guest;
use crate::parts::Parts;
use figures::{Figure, as_table, save};
use scene::{Opening, Scene};

/// One thing that must be seen in a simulated machine.
struct Scenario {
    name: &'static str,
    /// What it shows.
    what: &'static str,
    run: fn(&mut Scene<'_>) -> Result<()>,
    /// It begins with the target held, so that the one before may leave it so.
    hot: bool,
}

/// In their order. The last ends the guest.
const SCENARIOS: [Scenario; 15] = [
    Scenario {
        name: "drivers",
        what: "the kernel's drivers run on the simulated machine",
        run: hold::drivers,
        hot: false,
    },
    Scenario {
        name: "cost",
        what: "hearthd costs next to nothing while nothing happens",
        run: daemon::cost,
        hot: false,
    },
    Scenario {
        name: "control",
        what: "without hearthd busy processors pass the limit",
        run: hold::without_hearthd,
        hot: false,
    },
    Scenario {
        name: "hold",
        what: "with hearthd they hold the target, and have the full clock again after",
        run: hold::with_hearthd,
        hot: false,
    },
    Scenario {
        name: "fan",
        what: "a fan that fails under heat is named, and the target held",
        run: faults::fan_fails,
        hot: true,
    },
    Scenario {
        name: "stuck",
        what: "a sensor that sticks under heat is not believed",
        run: faults::sensor_stuck,
        hot: true,
    },
    Scenario {
        name: "absurd",
        what: "a sensor that shows 0 K under heat is not believed",
        run: faults::sensor_absurd,
        hot: true,
    },
    Scenario {
        name: "failing",
        what: "a sensor whose reading fails under heat counts as hot",
        run: faults::sensor_fails,
        hot: true,
    },
    Scenario {
        name: "vanished",
        what: "a zone that vanishes under heat counts as hot",
        run: faults::sensor_vanishes,
        hot: true,
    },
    Scenario {
        name: "killed",
        what: "SIGKILL to hearthd under heat lets nothing overheat",
        run: daemon::killed,
        hot: true,
    },
    Scenario {
        name: "stopped",
        what: "hearthd stopped under heat gives back what it touched",
        run: daemon::stopped,
        hot: true,
    },
    Scenario {
        name: "limit",
        what: "the firmware's limit is obeyed and shown",
        run: firmware::limit,
        hot: false,
    },
    Scenario {
        name: "battery",
        what: "mains and battery choose the profile",
        run: firmware::battery,
        hot: false,
    },
    Scenario {
        name: "generation",
        what: "a long answer is throttled smoothly, never to the floor",
        run: generation::from_cold,
        hot: false,
    },
    Scenario {
        name: "critical",
        what: "heat that nothing lowers ends in an orderly power-off",
        run: critical::approach,
        hot: false,
    },
];
/// What the plants are drawn by unless something else is asked for.
const USUAL_SEED: u64 = 1;
/// The one that ends the guest.
const LAST: &str = "critical";

/// What is asked of a run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Run this scenario only; may be given more than once
    #[arg(long = "scenario", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    only: Vec<String>,
    /// What the plants are drawn by
    #[arg(long, default_value_t = USUAL_SEED)]
    seed: u64,
    /// Leave the guest running after the scenarios, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

impl Wanted {
    /// The seed of the plants and of the noise.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// All scenarios, with the usual seed.
    pub(crate) fn all() -> Self {
        Self {
            only: Vec::new(),
            seed: USUAL_SEED,
            stay: false,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// Plays the scenarios in a machine of their own; the figures that they measured.
pub(crate) fn run(parts: &Parts, wanted: &Wanted, report: &mut Report) -> Result<Vec<Figure>> {
    let mut setup = parts.copied()?;
    setup.simulate(wanted.seed);
    let before = report.failures().len();
    let figures = in_its_own_boot(parts, &setup, wanted, report);
    if figures.is_err() || report.failures().len() > before {
        setup.keep();
        say(&format!("evidence is in {}", setup.folder().display()));
    }
    figures
}

fn in_its_own_boot(
    parts: &Parts,
    setup: &Setup,
    wanted: &Wanted,
    report: &mut Report,
) -> Result<Vec<Figure>> {
    let credentials = [setup.keys().credential()];
    let mut machine = step("boot in the simulated machine", || setup.boot(&credentials))?;
    let token = machine.wait_for_token()?;
    let (figures, guest) = play(parts, setup, Guest { machine, token }, wanted, report)?;
    press_power_button(guest.machine, report);
    Ok(figures)
}

/// Plays the scenarios in a guest of a simulated machine; the figures that they measured, and the guest of the next boot
/// where this one has ended itself.
pub(crate) fn play(
    parts: &Parts,
    setup: &Setup,
    mut guest: Guest,
    wanted: &Wanted,
    report: &mut Report,
) -> Result<(Vec<Figure>, Guest)> {
    say(&format!("the plants' seed is {}", wanted.seed));
    let output = output_folder(parts)?;
    let mut theatre = Theatre {
        emulated: setup.accel() == Accel::Tcg,
        output: &output,
        figures: Vec::new(),
        report,
        hot: false,
    };
    let played = theatre.play_all(&mut guest, wanted);
    let figures = theatre.figures;
    save(&figures, &output.join("figures.json"))?;
    say(&format!(
        "pictures, traces and figures are in {}",
        output.display()
    ));
    played?;
    if wanted.stay {
        say(&format!(
            "\n{}\nThe machine runs until Ctrl-C.",
            setup.ssh_command(&guest.machine)
        ));
        wait::for_interrupt()?;
    }
    Ok((figures, survivor(setup, guest, wanted, report)?))
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

/// The guest; if it has ended itself, that of the next boot, which must know why.
fn survivor(setup: &Setup, mut guest: Guest, wanted: &Wanted, report: &mut Report) -> Result<Guest> {
    if guest.machine.has_ended()? {
        ensure!(wanted.has(LAST), "the guest has ended on its own");
        let token = guest.token.clone();
        drop(guest);
        let mut machine = step("boot again", || setup.boot(&[setup.keys().credential()]))?;
        report.check("critical: the next boot tells why the one before ended", || {
            critical::reason(&mut machine)
        });
        return Ok(Guest { machine, token });
    }
    if !report.failures().is_empty()
        && let Err(error) = guest.machine.collect_evidence()
    {
        say(&format!("the guest cannot be asked for evidence: {error:#}"));
    }
    Ok(guest)
}

/// Ends a machine as a person does.
pub(crate) fn press_power_button(machine: Machine, report: &mut Report) {
    report.check("the power button", || {
        Ok(format!("off after {}", seconds(machine.power_off()?)))
    });
}

/// Where scenarios are played, and what came of them.
struct Theatre<'a> {
    emulated: bool,
    output: &'a Path,
    figures: Vec<Figure>,
    report: &'a mut Report,
    /// The last scenario has left the target held.
    hot: bool,
}

impl Theatre<'_> {
    /// Plays what is wanted, in its order.
    fn play_all(&mut self, guest: &mut Guest, wanted: &Wanted) -> Result<()> {
        let numbered = (1..).zip(&SCENARIOS);
        let mut program = numbered
            .filter(|(_, scenario)| wanted.has(scenario.name))
            .peekable();
        while let Some((number, scenario)) = program.next() {
            ensure!(
                !guest.machine.has_ended()?,
                "the guest has ended before the scenario {}",
                scenario.name
            );
            let lot = Lot::new(wanted.seed.wrapping_mul(1000).wrapping_add(number));
            let stay_hot = program.peek().is_some_and(|(_, next)| next.hot);
            self.play(guest, scenario, lot, stay_hot);
        }
        Ok(())
    }

    /// Plays one scenario; a figure that misses what is asked of it fails it.
    fn play(&mut self, guest: &mut Guest, scenario: &Scenario, lot: Lot, stay_hot: bool) {
        let start = Instant::now();
        let result = self.perform(guest, scenario, lot, stay_hot).and_then(|measured| {
            let sentences: Vec<String> = measured.iter().map(Figure::sentence).collect();
            let missed = measured.iter().any(|figure| !figure.holds());
            self.figures.extend(measured);
            if missed {
                bail!("missed: {}", sentences.join(", "));
            }
            Ok(sentences.join(", "))
        });
        let name = format!("{}: {}", scenario.name, scenario.what);
        self.report.record(&name, start.elapsed(), result);
    }

    fn perform(
        &mut self,
        guest: &mut Guest,
        scenario: &Scenario,
        lot: Lot,
        stay_hot: bool,
    ) -> Result<Vec<Figure>> {
        let opening = Opening {
            name: scenario.name,
            target: scene::thermal(guest)?.state.target.0 as f64 / 1000.0,
            emulated: self.emulated,
            hot: std::mem::take(&mut self.hot),
        };
        let mut scene = Scene::begin(guest, lot, opening)?;
        let played = (scenario.run)(&mut scene);
        let saved = scene.save(self.output);
        // What failed may have left anything behind.
        let ended = scene.end(stay_hot && played.is_ok());
        played.and(saved)?;
        let (figures, hot) = ended?;
        self.hot = hot;
        Ok(figures)
    }
}
