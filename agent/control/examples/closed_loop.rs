//! Closes the loop over many plants drawn by lot and prints the worst figures as a Markdown table.
//!
//!     cargo run --release -p control --example closed_loop -- 200

#[path = "../tests/rig/mod.rs"]
mod rig;

use rig::Family;
use rig::figures::{Figure, Limit};
use rig::scenarios::{ALL, Scenario};

fn main() {
    let plants = std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .unwrap_or(200);
    println!("{plants} plants of each family\n");
    println!("| Scenario | Plants | Figure | Median | Worst | Of plant | Limit | Beyond it |");
    println!("|---|---|---|---|---|---|---|---|");
    for scenario in &ALL {
        for family in Family::ALL {
            print(scenario, family, plants);
        }
    }
}

/// One line for each figure of a scenario.
fn print(scenario: &Scenario, family: Family, plants: u64) {
    let runs: Vec<Vec<Figure>> = (0..plants).map(|seed| (scenario.run)(family, seed)).collect();
    for index in 0..runs.first().map_or(0, Vec::len) {
        let mut column: Vec<(usize, Figure)> = runs.iter().map(|run| run[index]).enumerate().collect();
        column.sort_by(|one, other| one.1.value.total_cmp(&other.1.value));
        let median = column[column.len() / 2].1.value;
        let beyond = column.iter().filter(|(_, figure)| !figure.holds()).count();
        let worst = column.into_iter().reduce(|worst, next| {
            if next.1.is_worse_than(&worst.1) {
                next
            } else {
                worst
            }
        });
        let Some((seed, figure)) = worst else { return };
        let limit = match figure.limit {
            Limit::AtMost(limit) => format!("≤ {limit}"),
            Limit::AtLeast(limit) => format!("≥ {limit}"),
        };
        let name = scenario.name;
        println!(
            "| {name} | {family:?} | {} | {median:.2} | {:.2} | {seed} | {limit} | {beyond} |",
            figure.name, figure.value
        );
    }
}
