//! Figures that a scenario measured, each beside what is asked of it.

use std::path::Path;

use ::tests::report::table;
use anyhow::{Context, Result};
use serde::Serialize;

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    /// This much, or less.
    AtMost(f64),
    /// This much, or more.
    AtLeast(f64),
    /// Nothing: it is only told.
    Told,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// The scenario that measured it.
    pub(crate) scenario: &'static str,
    /// What it is.
    pub(crate) what: String,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What is asked of it.
    pub(crate) limit: Limit,
}

impl Figure {
    /// Whether it is as asked.
    pub(crate) fn holds(&self) -> bool {
        match self.limit {
            Limit::AtMost(most) => self.value <= most,
            Limit::AtLeast(least) => self.value >= least,
            Limit::Told => self.value.is_finite(),
        }
    }

    /// `hottest over target 1.2 K (at most 2 K)`.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            what, value, unit, ..
        } = self;
        match self.asked() {
            asked if asked.is_empty() => format!("{what} {value:.2} {unit}"),
            asked => format!("{what} {value:.2} {unit} ({asked})"),
        }
    }

    fn asked(&self) -> String {
        match self.limit {
            Limit::AtMost(most) => format!("at most {most} {}", self.unit),
            Limit::AtLeast(least) => format!("at least {least} {}", self.unit),
            Limit::Told => String::new(),
        }
    }
}

/// All figures as a table in Markdown.
pub(crate) fn as_table(figures: &[Figure]) -> String {
    let row = |figure: &Figure| {
        vec![
            figure.scenario.to_owned(),
            figure.what.clone(),
            format!("{:.2} {}", figure.value, figure.unit),
            figure.asked(),
            if figure.holds() { "ok" } else { "MISSED" }.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    table(&["scenario", "what", "measured", "asked", ""], &rows)
}

/// Writes all figures as JSON.
pub(crate) fn save(figures: &[Figure], path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, limit: Limit) -> Figure {
        Figure {
            scenario: "hold",
            what: "hottest over target".to_owned(),
            value,
            unit: "K",
            limit,
        }
    }

    #[test]
    fn a_figure_beyond_its_limit_does_not_hold() {
        assert!(figure(2.0, Limit::AtMost(2.0)).holds());
        assert!(!figure(2.1, Limit::AtMost(2.0)).holds());
        assert!(!figure(1.9, Limit::AtLeast(2.0)).holds());
        assert!(
            !figure(f64::NAN, Limit::AtMost(2.0)).holds(),
            "what is no number is no proof"
        );
        assert!(!figure(f64::NAN, Limit::Told).holds());
        assert_eq!(
            figure(2.1, Limit::AtMost(2.0)).sentence(),
            "hottest over target 2.10 K (at most 2 K)"
        );
    }
}
