//! What scenarios share: the guest, the simulated machine around it, and what is measured.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use api::power::{Power, Thermal};
use serde::de::DeserializeOwned;
use tests::vm::twin::{Line, Stage, Twin, draw};
use tests::wait;
use twin::plant::Parameters;
use twin::range::{Lot, best_constant_megahertz};
use twin::trace::{Row, Trace};

use super::figures::{Figure, Limit};
use crate::guest::Guest;

/// How long anything may take that waits for the guest to notice something.
pub(crate) const NOTICE: Duration = Duration::from_secs(90);

/// How long busy processors may take to warm the machine.
pub(crate) const WARM_UP: Duration = Duration::from_secs(120);

/// One scenario under way.
pub(crate) struct Scene<'a> {
    pub(crate) guest: &'a mut Guest,
    pub(crate) twin: Twin,
    pub(crate) lot: Lot,
    /// The temperature that hearthd holds, in °C.
    pub(crate) target: f64,
    /// Whether the guest's instructions are translated, some ten times slower than a processor.
    pub(crate) emulated: bool,
    name: &'static str,
    figures: Vec<Figure>,
    lines: Vec<Line>,
    start: f64,
    hot: bool,
}

/// What a scene begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) name: &'static str,
    pub(crate) target: f64,
    pub(crate) emulated: bool,
    /// The scene before has left the target held.
    pub(crate) hot: bool,
}

impl<'a> Scene<'a> {
    /// A scene with everything whole and mains on; in the open window unless the one before has left it hot.
    pub(crate) fn begin(guest: &'a mut Guest, lot: Lot, opening: Opening) -> Result<Self> {
        let twin = guest.machine.twin()?;
        let start = twin.now()?.seconds;
        let scene = Self {
            guest,
            twin,
            lot,
            target: opening.target,
            emulated: opening.emulated,
            name: opening.name,
            figures: Vec::new(),
            lines: vec![Line::Celsius(opening.target, "target")],
            start,
            hot: opening.hot,
        };
        if !scene.hot {
            scene.open_window();
        }
        Ok(scene)
    }

    /// Measures a figure, and asks something of it.
    pub(crate) fn figure(&mut self, what: impl Into<String>, value: f64, unit: &'static str, limit: Limit) {
        self.figures.push(Figure {
            scenario: self.name,
            what: what.into(),
            value,
            unit,
            limit,
        });
    }

    /// Draws a level across the picture.
    pub(crate) fn line(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Puts the machine into a plant drawn by lot, and says at which clock it holds the target for ever.
    pub(crate) fn enter_plant(&mut self) -> f64 {
        let plant = self.lot.plant(self.twin.machine(), self.target);
        let best = self.best_megahertz(&plant);
        self.line(Line::Megahertz(best, "best constant clock"));
        self.twin.arrange(|stage| stage.plant = plant);
        best
    }

    /// The fastest clock that a plant bears for ever with its fan at the fastest.
    pub(crate) fn best_megahertz(&self, plant: &Parameters) -> f64 {
        let fan = self.twin.machine().fan_rpm.len().saturating_sub(1) as f64;
        self.best_megahertz_at(plant, fan)
    }

    /// The same at a level of the fan.
    pub(crate) fn best_megahertz_at(&self, plant: &Parameters, fan_level: f64) -> f64 {
        best_constant_megahertz(self.twin.machine(), plant, self.target, fan_level)
    }

    /// Sees to it that every processor is busy in a plant that cannot bear it, and the target is held.
    pub(crate) fn hold_target(&mut self) -> Result<()> {
        let warm = self.target - 4.0;
        if self.hot {
            // What was mended may have cooled it.
            self.wait_for("the machine to warm up again", WARM_UP, |row| row.die > warm)?;
            return Ok(());
        }
        self.enter_plant();
        self.burn()?;
        self.wait_for("the machine to warm up", WARM_UP, |row| row.die > warm)?;
        self.observe(8.0)?;
        self.hot = true;
        Ok(())
    }

    /// Measures how far the die went beyond the target since the scene began.
    pub(crate) fn figure_over_target(&mut self, what: &str, limit: Limit) {
        let over = self.trace().hottest() - self.target;
        self.figure(what, over, "K", limit);
    }

    /// Keeps every processor busy, with work that is not the engine's.
    pub(crate) fn burn(&mut self) -> Result<f64> {
        let start = |number| {
            format!("systemd-run --quiet --collect --unit=burn-{number} sh -c 'while :; do :; done'")
        };
        let commands: Vec<String> = (0..self.twin.machine().processors).map(start).collect();
        self.guest.sudo(&commands.join(" && "))?;
        Ok(self.twin.now()?.seconds)
    }

    /// Ends that work; when it ended, by the twin's time.
    pub(crate) fn stop_burning(&mut self) -> Result<f64> {
        self.hot = false;
        self.guest.sudo("systemctl stop 'burn-*'")?;
        Ok(self.twin.now()?.seconds)
    }

    /// Waits until a tick is as wanted; that tick.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Row) -> bool,
    ) -> Result<Row> {
        let (machine, twin) = (&mut self.guest.machine, &self.twin);
        wait::until(what, limit, || {
            machine.check()?;
            let row = twin.now()?;
            Ok(wanted(&row).then_some(row))
        })
    }

    /// Waits until the trace holds so many seconds more; those.
    pub(crate) fn observe(&mut self, seconds: f64) -> Result<Trace> {
        let start = self.twin.now()?.seconds;
        let limit = Duration::from_secs_f64(seconds * 2.0 + 10.0);
        self.wait_for("the trace to grow", limit, |row| row.seconds >= start + seconds)?;
        Ok(self.twin.since(start))
    }

    /// Puts the machine where it cannot get hot, and mends everything.
    pub(crate) fn open_window(&self) {
        self.twin.arrange(|stage| *stage = Stage::default());
    }

    /// Opens the window and waits until the die is cool.
    fn cool_down(&mut self) -> Result<()> {
        self.open_window();
        let cool = self.target - 25.0;
        self.wait_for("the machine to cool", Duration::from_secs(60), |row| {
            row.die < cool
        })?;
        Ok(())
    }

    /// What hearthd thinks of power.
    pub(crate) fn power(&mut self) -> Result<Power> {
        power(self.guest)
    }

    /// Waits until hearthd tells something of power.
    pub(crate) fn wait_for_power(&mut self, what: &str, wanted: impl Fn(&Power) -> bool) -> Result<Power> {
        wait::until(what, NOTICE, || {
            let power = power(self.guest)?;
            Ok(wanted(&power).then_some(power))
        })
        .with_context(|| format!("hearthd says {:?}", power(self.guest)))
    }

    /// Waits until hearthd tells something of the heat.
    pub(crate) fn wait_for_thermal(
        &mut self,
        what: &str,
        wanted: impl Fn(&Thermal) -> bool,
    ) -> Result<Thermal> {
        wait::until(what, NOTICE, || {
            let thermal = thermal(self.guest)?;
            Ok(wanted(&thermal).then_some(thermal))
        })
        .with_context(|| format!("hearthd says {:?}", thermal(self.guest)))
    }

    /// The scenario's trace so far.
    pub(crate) fn trace(&self) -> Trace {
        self.twin.since(self.start)
    }

    /// Draws the scene's trace, and keeps it as a table.
    pub(crate) fn save(&self, output: &Path) -> Result<()> {
        let trace = self.trace();
        let file = |extension| output.join(format!("{}.{extension}", self.name));
        let csv = file("csv");
        std::fs::write(&csv, trace.csv()).with_context(|| format!("cannot write {}", csv.display()))?;
        draw(&trace, self.name, &self.lines, &file("png"))
    }

    /// Ends the scene, with everything mended. The guest, if it still runs, is left as it is if it is hot and `stay_hot`
    /// is wanted, else idle and cool. What was measured, and whether it is hot.
    pub(crate) fn end(mut self, stay_hot: bool) -> Result<(Vec<Figure>, bool)> {
        if self.guest.machine.has_ended()? {
            return Ok((self.figures, false));
        }
        if self.hot && stay_hot {
            self.mend();
        } else {
            self.open_window();
            self.stop_burning()?;
            self.cool_down()?;
        }
        Ok((self.figures, self.hot))
    }

    /// Mends what is broken; the plant stays.
    pub(crate) fn mend(&self) {
        self.twin.arrange(|stage| {
            let plant = stage.plant.clone();
            *stage = Stage {
                plant,
                ..Stage::default()
            };
        });
    }
}

/// What hearthd thinks of the heat, as the command tells an administrator.
pub(crate) fn thermal(guest: &mut Guest) -> Result<Thermal> {
    said(guest, "hearth thermal --json")
}

/// What hearthd thinks of power, as the command tells an administrator.
fn power(guest: &mut Guest) -> Result<Power> {
    said(guest, "hearth power --json")
}

fn said<T: DeserializeOwned>(guest: &mut Guest, command: &str) -> Result<T> {
    let json = guest.run(command)?;
    serde_json::from_str(&json).with_context(|| format!("`{command}` said {json}"))
}
