//! What breaks while the machine is hot: sensors, a fan.

use anyhow::{Result, ensure};
use api::power::Thermal;
use machine::Distrust;
use tests::vm::twin::{Line, Sensor};

use super::figures::Limit;
use super::scene::Scene;

/// Sets the sensor to a value that it keeps while the heat goes on.
pub(crate) fn sensor_stuck(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let reading = scene.twin.now()?.reading.unwrap_or(scene.target);
    let seen = broken(scene, Sensor::Shows(reading), Distrust::Frozen)?;
    scene.figure("stuck sensor seen after", seen, "s", Limit::AtMost(60.0));
    // Until it is noticed, the law can only believe it.
    scene.figure_over_target("hottest over target", Limit::AtMost(10.0));
    healed(scene)
}

/// Has the sensor show 0 K, as bad firmware does.
pub(crate) fn sensor_absurd(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let seen = broken(scene, Sensor::Shows(-273.2), Distrust::Absurd)?;
    scene.figure("absurd sensor seen after", seen, "s", Limit::AtMost(10.0));
    scene.figure_over_target("hottest over target", Limit::AtMost(2.0));
    healed(scene)
}

/// Has each reading of the sensor fail.
pub(crate) fn sensor_fails(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let seen = broken(scene, Sensor::Gone, Distrust::Missing)?;
    scene.figure("failing sensor seen after", seen, "s", Limit::AtMost(10.0));
    scene.figure_over_target("hottest over target", Limit::AtMost(2.0));
    healed(scene)
}

/// Takes the driver from the zone, so that its folder is gone, and gives it back.
pub(crate) fn sensor_vanishes(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let driver = "/sys/bus/acpi/drivers/thermal";
    let device = scene
        .guest
        .run(&format!("basename $(ls -d {driver}/LNXTHERM*)"))?;
    let start = scene.twin.now()?.seconds;
    scene.guest.sudo(&format!("echo {device} > {driver}/unbind"))?;
    let watched = watch(scene, start, Distrust::Missing);
    scene.guest.sudo(&format!("echo {device} > {driver}/bind"))?;
    scene.figure("vanished sensor seen after", watched?, "s", Limit::AtMost(10.0));
    scene.figure_over_target("hottest over target", Limit::AtMost(2.0));
    healed(scene)
}

/// Breaks the sensor until hearthd says how, and then as long as heat needs to build up; how long hearthd took.
fn broken(scene: &mut Scene<'_>, sensor: Sensor, distrust: Distrust) -> Result<f64> {
    let start = scene.twin.now()?.seconds;
    scene.twin.arrange(|stage| stage.sensor = sensor);
    watch(scene, start, distrust)
}

fn watch(scene: &mut Scene<'_>, start: f64, distrust: Distrust) -> Result<f64> {
    let is_told = |thermal: &Thermal| {
        thermal
            .state
            .sensors
            .iter()
            .any(|sensor| sensor.distrust == Some(distrust))
    };
    let what = format!("hearthd to distrust the sensor as {distrust:?}");
    let told = scene.wait_for_thermal(&what, is_told)?;
    let seen = scene.twin.now()?.seconds - start;
    ensure!(!told.warnings.is_empty(), "no warning among {told:?}");
    scene.observe(6.0)?;
    Ok(seen)
}

/// Mends the sensor; hearthd believes it again, and the machine is held at its target as before.
fn healed(scene: &mut Scene<'_>) -> Result<()> {
    scene.twin.arrange(|stage| stage.sensor = Sensor::Honest);
    let start = scene.twin.now()?.seconds;
    scene.wait_for_thermal("hearthd to believe the sensor again", |thermal| {
        thermal.state.sensors.iter().any(|sensor| sensor.counts)
            && thermal
                .state
                .sensors
                .iter()
                .all(|sensor| sensor.distrust.is_none())
    })?;
    let took = scene.twin.now()?.seconds - start;
    scene.figure("believed again after", took, "s", Limit::AtMost(60.0));
    Ok(())
}

/// Stops the fan under heat.
pub(crate) fn fan_fails(scene: &mut Scene<'_>) -> Result<()> {
    scene.hold_target()?;
    let best = scene.best_megahertz_at(&scene.twin.stage().plant, 0.0);
    scene.line(Line::Megahertz(best, "best constant clock without a fan"));
    scene.twin.arrange(|stage| stage.fan_failed = true);
    let start = scene.twin.now()?.seconds;
    let told = scene.wait_for_thermal("hearthd to name the fan", |thermal| {
        thermal
            .warnings
            .iter()
            .any(|warning| warning.path.contains("fan"))
    })?;
    let seen = scene.twin.now()?.seconds - start;
    ensure!(
        told.cooling.iter().any(|fan| fan.rpm == Some(0)),
        "no fan stands still among {:?}",
        told.cooling
    );
    scene.figure("failed fan named after", seen, "s", Limit::AtMost(20.0));
    scene.observe(8.0)?;
    let late = scene.twin.since(scene.twin.now()?.seconds - 5.0);
    let share = late.mean_megahertz() / best;
    // Less than of a plant that has settled: this one has begun to.
    scene.figure(
        "clock of the best constant one",
        share * 100.0,
        "%",
        Limit::AtLeast(90.0),
    );
    scene.figure_over_target("hottest over target", Limit::AtMost(2.0));
    scene.mend();
    Ok(())
}
