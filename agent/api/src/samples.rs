//! What the machine showed over a while, as the bus tells it (JSON of `Samples` of `org.hearth.Agent1`) and as
//! `/api/v1/samples` does.

use machine::Phase;
use serde::{Deserialize, Serialize};

/// The longest span that is kept, in seconds: seven days.
pub const LONGEST_SPAN: u32 = 7 * 86_400;

/// The columns of [`Samples`], in the order of a [`Values`].
pub const COLUMNS: [&str; 7] = [
    "time",
    "temperature",
    "clock",
    "power",
    "memory_used",
    "tokens_per_second",
    "phase",
];

/// Answer to `GET /api/v1/samples`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Samples {
    /// Seconds that lie between two rows at most while the machine is looked after. A longer time is a gap: nothing was
    /// measured.
    pub step_seconds: u32,
    /// What each place of a row holds.
    pub columns: Vec<String>,
    /// The rows, oldest first. See [`Row`] for their units.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<serde_json::Value>>))]
    pub rows: Vec<Values>,
}

/// A row without the names of its columns: [`COLUMNS`] has them.
pub type Values = (
    u64,
    Option<f32>,
    Option<f32>,
    Option<f32>,
    Option<f32>,
    Option<f32>,
    Option<Phase>,
);

/// What the machine showed in a second, or on average in a longer time. `null`: it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Row {
    /// When it began, in Unix seconds.
    pub time: u64,
    /// The hottest believed sensor's, in °C.
    pub temperature: Option<f32>,
    /// The clock in Hz, the mean over the processors.
    pub clock: Option<f32>,
    /// Power of the processor packages in watts.
    pub power: Option<f32>,
    /// Memory in use, in bytes.
    pub memory_used: Option<f32>,
    /// Tokens generated per second, all sequences together, while some were.
    pub tokens_per_second: Option<f32>,
    /// What the engine was busy with most; `null` while it does not run.
    pub phase: Option<Phase>,
}

impl From<Row> for Values {
    fn from(row: Row) -> Self {
        (
            row.time,
            row.temperature,
            row.clock,
            row.power,
            row.memory_used,
            row.tokens_per_second,
            row.phase,
        )
    }
}

impl From<Values> for Row {
    fn from(values: Values) -> Self {
        let (time, temperature, clock, power, memory_used, tokens_per_second, phase) = values;
        Self {
            time,
            temperature,
            clock,
            power,
            memory_used,
            tokens_per_second,
            phase,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_place_for_each_column() {
        let row = Row {
            time: 5,
            power: Some(6.5),
            phase: Some(Phase::Decode),
            ..Row::default()
        };
        let json = serde_json::to_string(&Values::from(row)).unwrap();
        assert_eq!(json, r#"[5,null,null,6.5,null,null,"decode"]"#);
        let named = serde_json::to_value(row).unwrap();
        assert!(COLUMNS.iter().all(|column| named.get(column).is_some()));
        assert_eq!(Row::from(serde_json::from_str::<Values>(&json).unwrap()), row);
    }
}
