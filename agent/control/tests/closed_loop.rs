//! The laws in closed loops over plants that they do not know.

mod rig;

use rig::Family;
use rig::scenarios::ALL;

/// Plants of each family that each scenario happens to.
const PLANTS: u64 = 24;

#[test]
fn every_figure_holds_on_every_plant() {
    let mut failures = Vec::new();
    for scenario in &ALL {
        for family in Family::ALL {
            for seed in 0..PLANTS {
                let figures = (scenario.run)(family, seed);
                let broken = figures.into_iter().filter(|figure| !figure.holds());
                failures
                    .extend(broken.map(|figure| format!("{}, {family:?} {seed}: {figure:?}", scenario.name)));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} figures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
