//! A trace as a picture: temperatures, clocks and loads, one below the other.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use twin::trace::{Row, Trace};

/// Where distributions put DejaVu Sans.
const FONTS: [&str; 3] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
];
const SIZE: (u32, u32) = (1200, 900);
/// Where the charts end, in pixels from above.
const SPLITS: [u32; 2] = [430, 670];
const FONT: (&str, u32) = ("sans-serif", 15);
/// Temperatures outside are absurd, and would leave no room for the others.
const SHOWN: std::ops::Range<f64> = 0.0..130.0;
/// The colours of levels, in their order.
const LEVELS: [RGBColor; 3] = [RGBColor(0, 120, 60), RGBColor(200, 90, 0), RGBColor(130, 0, 150)];
const GRID: RGBColor = RGBColor(225, 225, 225);

/// A level that the trace is measured by, drawn across it.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// A temperature in °C, and what it is.
    Celsius(f64, &'static str),
    /// A clock in MHz, and what it is.
    Megahertz(f64, &'static str),
}

/// Draws a trace to a PNG: temperatures, clocks, and what loads and cools.
pub fn draw(trace: &Trace, title: &str, lines: &[Line], path: &Path) -> Result<()> {
    ensure!(
        !trace.rows.is_empty(),
        "there is nothing to draw to {}",
        path.display()
    );
    ensure_font()?;
    let area = BitMapBackend::new(path, SIZE).into_drawing_area();
    let charts = [temperatures(trace, lines), clocks(trace, lines), loads(trace)];
    let drawn = (|| {
        area.fill(&WHITE)?;
        let below = area.titled(title, FONT)?;
        for (chart, place) in charts.iter().zip(below.split_by_breakpoints([0; 0], SPLITS)) {
            chart.draw(trace.end() - trace.start(), &place)?;
        }
        area.present()
    })();
    drawn.map_err(|error: Failure| anyhow!("cannot draw {}: {error}", path.display()))
}

type Failure<'a> = DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>;
type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// One of the charts that share the time.
struct Chart {
    unit: &'static str,
    series: Vec<Series>,
}

/// One line of a chart.
struct Series {
    name: &'static str,
    colour: RGBColor,
    /// Seconds since the trace began, and values; broken where there is none.
    runs: Vec<Vec<(f64, f64)>>,
    dashed: bool,
}

fn temperatures(trace: &Trace, lines: &[Line]) -> Chart {
    let reading = |row: &Row| row.reading.filter(|reading| SHOWN.contains(reading));
    let mut series = vec![
        Series::of(trace, "sensor", RGBColor(240, 160, 60), reading),
        Series::of(trace, "die", RGBColor(190, 20, 20), |row| Some(row.die)),
    ];
    series.extend(levels(trace, lines, |line| match line {
        Line::Celsius(value, name) => Some((value, name)),
        Line::Megahertz(..) => None,
    }));
    Chart { unit: "°C", series }
}

fn clocks(trace: &Trace, lines: &[Line]) -> Chart {
    let blue = RGBColor(20, 70, 170);
    let mut series = vec![Series::of(trace, "mean clock", blue, |row| {
        Some(row.mean_megahertz())
    })];
    series.extend(levels(trace, lines, |line| match line {
        Line::Megahertz(value, name) => Some((value, name)),
        Line::Celsius(..) => None,
    }));
    Chart { unit: "MHz", series }
}

fn loads(trace: &Trace) -> Chart {
    let load = |row: &Row| Some(row.mean_load() * 100.0);
    let series = vec![
        Series::of(trace, "load, %", RGBColor(90, 150, 90), load),
        Series::of(trace, "power, W", RGBColor(190, 20, 20), |row| Some(row.watts)),
        Series::of(trace, "fan's level × 10", RGBColor(120, 120, 200), |row| {
            Some(row.fan_level * 10.0)
        }),
    ];
    Chart { unit: "%, W", series }
}

fn levels(
    trace: &Trace,
    lines: &[Line],
    wanted: impl Fn(Line) -> Option<(f64, &'static str)>,
) -> Vec<Series> {
    let length = trace.end() - trace.start();
    let level = |((value, name), colour)| Series {
        name,
        colour,
        runs: vec![vec![(0.0, value), (length, value)]],
        dashed: true,
    };
    let wanted = lines.iter().copied().filter_map(wanted);
    wanted.zip(LEVELS.into_iter().cycle()).map(level).collect()
}

impl Series {
    fn of(trace: &Trace, name: &'static str, colour: RGBColor, value: impl Fn(&Row) -> Option<f64>) -> Self {
        let start = trace.start();
        let points: Vec<Option<(f64, f64)>> = trace
            .rows
            .iter()
            .map(|row| Some((row.seconds - start, value(row)?)))
            .collect();
        let runs = points.split(Option::is_none);
        Self {
            name,
            colour,
            runs: runs.map(|run| run.iter().copied().flatten().collect()).collect(),
            dashed: false,
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.runs.iter().flatten().map(|(_, value)| *value)
    }
}

impl Chart {
    fn draw<'a>(&self, seconds: f64, area: &Area<'a>) -> Result<(), Failure<'a>> {
        let (low, high) = self.range();
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(42)
            .y_label_area_size(64)
            // Room for the names at the right.
            .build_cartesian_2d(0.0..(seconds * 1.22).max(1.0), low..high)?;
        chart
            .configure_mesh()
            .label_style(FONT)
            .y_labels(6)
            .x_desc("seconds")
            .y_desc(self.unit)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .draw()?;
        for series in &self.series {
            let colour = series.colour;
            for (index, run) in series.runs.iter().enumerate() {
                let points = run.iter().copied();
                let drawn = if series.dashed {
                    chart.draw_series(DashedLineSeries::new(points, 8, 5, colour.into()))?
                } else {
                    chart.draw_series(LineSeries::new(points, &colour))?
                };
                if index == 0 {
                    drawn
                        .label(series.name)
                        .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
                }
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(GRID)
            .label_font(FONT)
            .draw()
    }

    /// The values from the lowest to the highest, with a little room.
    fn range(&self) -> (f64, f64) {
        let values = || self.series.iter().flat_map(Series::values);
        let (low, high) = (
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        );
        let room = ((high - low) * 0.05).max(1.0);
        (low - room, high + room)
    }
}

/// Gives the drawing library the font that the machine has, once.
fn ensure_font() -> Result<()> {
    static DONE: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| register().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

fn register() -> Result<()> {
    let path = FONTS.into_iter().find(|path| Path::new(path).is_file());
    let path =
        path.context("no font is installed; on Debian and Ubuntu: apt-get install fonts-dejavu-core")?;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    // It is wanted until the process ends.
    register_font(FONT.0, FontStyle::Normal, bytes.leak()).map_err(|_| anyhow!("{path} is no usable font"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_becomes_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.png");
        let row = |tick: u32| Row {
            seconds: f64::from(tick) / 10.0,
            reading: (!tick.is_multiple_of(7)).then_some(60.0 + f64::from(tick) / 10.0),
            die: 61.0 + f64::from(tick) / 10.0,
            megahertz: vec![3200.0, 1600.0],
            load: vec![1.0, 0.5],
            watts: 20.0,
            fan_level: 2.0,
        };
        let trace = Trace {
            rows: (0..100).map(row).collect(),
        };
        let lines = [Line::Celsius(80.0, "target"), Line::Megahertz(2000.0, "best")];
        draw(&trace, "a test", &lines, &path).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
        assert!(draw(&Trace::default(), "nothing", &[], &path).is_err());
    }
}
