//! The worst figures of many plants, as a Markdown table.

use super::Family;
use super::figures::{Figure, Limit};
use super::scenarios::{ALL, Scenario};

/// What every scenario came to on some plants of every family.
pub(crate) struct Table {
    pub(crate) markdown: String,
    /// The lines of figures that did not hold on every plant.
    pub(crate) broken: Vec<String>,
}

/// Lets everything happen to the first `plants` plants of every family.
pub(crate) fn of(plants: u64) -> Table {
    let mut table = Table {
        markdown: "| Scenario | Plants | Figure | Median | Worst | Of plant | Limit | Beyond it |\n\
                   |---|---|---|---|---|---|---|---|\n"
            .into(),
        broken: Vec::new(),
    };
    let pairs = || {
        ALL.iter()
            .flat_map(|scenario| Family::ALL.map(|family| (scenario, family)))
    };
    std::thread::scope(|scope| {
        let run = |(scenario, family): (&'static Scenario, Family)| {
            scope.spawn(move || runs(scenario, family, plants))
        };
        let running: Vec<_> = pairs().map(run).collect();
        for ((scenario, family), running) in pairs().zip(running) {
            match running.join() {
                Ok(runs) => table.add(scenario, family, &runs),
                Err(_) => table
                    .broken
                    .push(format!("{}, {family:?}: panicked", scenario.name)),
            }
        }
    });
    table
}

/// What a scenario comes to on each plant.
fn runs(scenario: &Scenario, family: Family, plants: u64) -> Vec<Vec<Figure>> {
    (0..plants).map(|seed| (scenario.run)(family, seed)).collect()
}

impl Table {
    /// One line for each figure of a scenario.
    fn add(&mut self, scenario: &Scenario, family: Family, runs: &[Vec<Figure>]) {
        for index in 0..runs.first().map_or(0, Vec::len) {
            let column: Vec<Figure> = runs.iter().map(|run| run[index]).collect();
            let (line, holds) = line(&column);
            let line = format!("| {} | {family:?} | {line} |", scenario.name);
            self.markdown += &format!("{line}\n");
            if !holds {
                self.broken.push(line);
            }
        }
    }
}

/// What one figure was over many plants, and whether it held on all.
fn line(column: &[Figure]) -> (String, bool) {
    let mut order: Vec<(usize, Figure)> = column.iter().copied().enumerate().collect();
    order.sort_by(|one, other| one.1.value.total_cmp(&other.1.value));
    let median = order[order.len() / 2].1.value;
    let beyond = column.iter().filter(|figure| !figure.holds()).count();
    let (seed, worst) = match column[0].limit {
        Limit::AtMost(_) => order[order.len() - 1],
        Limit::AtLeast(_) => order[0],
    };
    let limit = match worst.limit {
        Limit::AtMost(limit) => format!("≤ {limit}"),
        Limit::AtLeast(limit) => format!("≥ {limit}"),
    };
    let text = format!(
        "{} | {median:.2} | {:.2} | {seed} | {limit} | {beyond}",
        worst.name, worst.value
    );
    (text, beyond == 0)
}
