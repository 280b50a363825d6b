//! The laws in closed loops over plants that they do not know.

mod rig;

/// Plants of each family that each scenario happens to.
const PLANTS: u64 = 24;

#[test]
fn every_figure_holds_on_every_plant() {
    let table = rig::table::of(PLANTS);
    assert!(
        table.broken.is_empty(),
        "{}\n{}",
        table.broken.join("\n"),
        table.markdown
    );
}
