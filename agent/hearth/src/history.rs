//! `hearth history`: what the machine showed over a while.

use crate::{cli::History, client::Client, screen, span};
use api::samples::{Row, Samples};
use machine::Bytes;

/// Characters of a line that shows how a measure went, where there is room for them.
const WIDTH: usize = 40;
/// Head of the column with such lines.
const COURSE: &str = "HOW IT WENT";
/// Eighths of a character's height, the least first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A measure: its name, where it is in a row, and how it is said.
pub(crate) struct Measure {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Its value in a row; nothing where it was not measured.
    pub(crate) of: fn(&Row) -> Option<f32>,
    /// A value with its unit.
    pub(crate) said: fn(f32) -> String,
}

/// All measures, in the order in which they are shown.
pub(crate) const MEASURES: [Measure; 5] = [
    Measure {
        name: "Temperature",
        of: |row| row.temperature,
        said: |value| format!("{value:.1} °C"),
    },
    Measure {
        name: "Clock",
        of: |row| row.clock,
        said: |value| format!("{:.2} GHz", value / 1e9),
    },
    Measure {
        name: "Power",
        of: |row| row.power,
        said: |value| format!("{value:.1} W"),
    },
    Measure {
        name: "Memory",
        of: |row| row.memory_used,
        said: |value| Bytes(value.max(0.0) as u64).to_string(),
    },
    Measure {
        name: "Tokens",
        of: |row| row.tokens_per_second,
        said: |value| format!("{value:.1}/s"),
    },
];

/// Shows the history.
pub(crate) async fn history(client: &Client, wanted: History) -> anyhow::Result<()> {
    let samples: Samples = client.get(&path(wanted.seconds)).await?;
    if wanted.json {
        return screen::json(&samples);
    }
    Ok(screen::print(&render(&samples, screen::columns()))?)
}

/// Where so many seconds of history are.
pub(crate) fn path(seconds: u32) -> String {
    format!("/api/v1/samples?seconds={seconds}")
}

/// `columns`: what the terminal has; nothing where there is none.
fn render(samples: &Samples, columns: Option<usize>) -> String {
    let rows: Vec<Row> = samples.rows.iter().copied().map(Row::from).collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return "nothing has been measured yet\n".to_owned();
    };
    let span = (last.time + u64::from(samples.step_seconds)).saturating_sub(first.time);
    let head = ["", "LEAST", "MEAN", "MOST", "LAST", COURSE];
    let shown = |width| screen::table(head, MEASURES.iter().map(|measure| line(measure, &rows, width)));
    // The other columns take what lies before the last one's head.
    let bare = anstream::adapter::strip_str(&shown(0)).to_string();
    let taken = bare.find(COURSE).unwrap_or_default();
    let table = shown(columns.map_or(WIDTH, |columns| columns.saturating_sub(taken).min(WIDTH)));
    let step = samples.step_seconds;
    format!("{table}\n{} by {step} s\n", span::show(span as f64))
}

fn line(measure: &Measure, rows: &[Row], width: usize) -> [String; 6] {
    let course: Vec<Option<f32>> = rows.iter().map(measure.of).collect();
    let values: Vec<f32> = course.iter().flatten().copied().collect();
    let said = |value: Option<f32>| screen::known(value.map(measure.said));
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    [
        measure.name.to_owned(),
        said(values.iter().copied().reduce(f32::min)),
        said(Some(mean).filter(|mean| mean.is_finite())),
        said(values.iter().copied().reduce(f32::max)),
        said(course.last().copied().flatten()),
        bars(&means(&course, width)),
    ]
}

/// A course in at most so many steps, each the mean of what was measured in its part.
pub(crate) fn means(course: &[Option<f32>], steps: usize) -> Vec<Option<f32>> {
    let steps = steps.min(course.len());
    let part = |step: usize| &course[step * course.len() / steps..(step + 1) * course.len() / steps];
    (0..steps)
        .map(|step| {
            let (sum, count) = part(step)
                .iter()
                .flatten()
                .fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
            (count > 0).then(|| sum / count as f32)
        })
        .collect()
}

/// A course between its least and its most; a blank where nothing was measured.
fn bars(course: &[Option<f32>]) -> String {
    let known = || course.iter().flatten().copied();
    let (least, most) = (
        known().fold(f32::INFINITY, f32::min),
        known().fold(f32::NEG_INFINITY, f32::max),
    );
    let bar = |value: &Option<f32>| {
        let Some(value) = value else { return ' ' };
        let height = (value - least) / (most - least).max(f32::MIN_POSITIVE);
        BARS[(height * (BARS.len() - 1) as f32).round() as usize]
    };
    course.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(temperatures: &[Option<f32>]) -> Samples {
        let row = |(time, temperature): (usize, &Option<f32>)| {
            let (time, temperature) = (time as u64, *temperature);
            Row {
                time,
                temperature,
                ..Row::default()
            }
            .into()
        };
        Samples {
            step_seconds: 1,
            columns: Vec::new(),
            rows: temperatures.iter().enumerate().map(row).collect(),
        }
    }

    #[test]
    fn what_was_not_measured_is_no_number() {
        let shown = render(&rows(&[Some(40.0), None, Some(60.0)]), None);
        let shown = anstream::adapter::strip_str(&shown).to_string();
        let line = shown
            .lines()
            .find(|line| line.starts_with("Temperature"))
            .unwrap();
        let words: Vec<_> = line
            .split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        assert_eq!(
            words,
            ["Temperature", "40.0 °C", "50.0 °C", "60.0 °C", "60.0 °C", "▁ █"]
        );
        let power = shown.lines().find(|line| line.starts_with("Power")).unwrap();
        assert_eq!(power.matches('?').count(), 4, "{power}");
        assert!(shown.ends_with("3 s by 1 s\n"), "{shown}");
        assert!(render(&rows(&[]), None).contains("nothing"));
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        let temperatures: Vec<_> = (0..600).map(|value| Some((value % 97) as f32)).collect();
        let longest = |columns| {
            let shown = render(&rows(&temperatures), columns);
            let shown = anstream::adapter::strip_str(&shown).to_string();
            shown.lines().map(|line| line.chars().count()).max()
        };
        assert_eq!(longest(Some(80)), Some(80));
        assert_eq!(longest(Some(72)), Some(72));
        assert_eq!(longest(Some(500)), longest(None));
    }

    #[test]
    fn a_long_course_is_told_by_means_of_its_parts() {
        let course: Vec<_> = (0..100).map(|value| Some(value as f32)).collect();
        assert_eq!(
            means(&course, 4),
            [Some(12.0), Some(37.0), Some(62.0), Some(87.0)]
        );
        assert_eq!(means(&[None, Some(3.0)], 40), [None, Some(3.0)]);
        assert_eq!(means(&[], 40), []);
    }

    #[test]
    fn a_course_that_stays_is_flat() {
        assert_eq!(bars(&[Some(5.0), Some(5.0)]), "▁▁");
        assert_eq!(bars(&[None]), " ");
    }
}
