//! A trace as a picture: temperature above, clock below.

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
const SIZE: (u32, u32) = (1200, 800);
const FONT: (&str, u32) = ("sans-serif", 15);

/// A level that the trace is measured by, drawn across it.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// A temperature in °C, and what it is.
    Celsius(f64, &'static str),
    /// A clock in MHz, and what it is.
    Megahertz(f64, &'static str),
}

/// Draws a trace to a PNG.
pub fn draw(trace: &Trace, title: &str, lines: &[Line], path: &Path) -> Result<()> {
    ensure!(
        !trace.rows.is_empty(),
        "there is nothing to draw to {}",
        path.display()
    );
    ensure_font()?;
    let area = BitMapBackend::new(path, SIZE).into_drawing_area();
    let drawn = (|| {
        area.fill(&WHITE)?;
        let (above, below) = area.split_vertically(SIZE.1 * 3 / 5);
        temperatures(trace, title, lines, &above)?;
        clocks(trace, lines, &below)?;
        area.present()
    })();
    drawn.map_err(|error: Failure| anyhow!("cannot draw {}: {error}", path.display()))
}

type Failure<'a> = DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>;
type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// One series: its points, colour and name.
struct Series<'a> {
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    name: &'a str,
}

fn temperatures<'a>(trace: &Trace, title: &str, lines: &[Line], area: &Area<'a>) -> Result<(), Failure<'a>> {
    let points = |of: fn(&Row) -> Option<f64>| {
        let point = |row: &Row| Some((row.seconds, of(row)?));
        trace.rows.iter().filter_map(point).collect::<Vec<_>>()
    };
    let mut series = vec![
        Series {
            // Absurd readings would leave no room for the others.
            points: points(|row| row.reading.filter(|reading| (0.0..130.0).contains(reading))),
            colour: RGBColor(240, 160, 60),
            name: "sensor, °C",
        },
        Series {
            points: points(|row| Some(row.die)),
            colour: RGBColor(190, 20, 20),
            name: "die, °C",
        },
    ];
    let levels = lines.iter().filter_map(|line| match line {
        Line::Celsius(value, name) => Some((*value, *name)),
        Line::Megahertz(..) => None,
    });
    series.extend(levels.map(|(value, name)| level(trace, value, name)));
    chart(&series, trace, title, area)
}

fn clocks<'a>(trace: &Trace, lines: &[Line], area: &Area<'a>) -> Result<(), Failure<'a>> {
    let points = |of: &dyn Fn(&Row) -> f64| trace.rows.iter().map(|row| (row.seconds, of(row))).collect();
    let mut series = vec![
        Series {
            points: points(&Row::mean_megahertz),
            colour: RGBColor(20, 70, 170),
            name: "clock, MHz",
        },
        Series {
            points: points(&|row| row.mean_load() * 1000.0),
            colour: RGBColor(170, 200, 170),
            name: "load, ‰",
        },
        Series {
            points: points(&|row| row.fan_level * 100.0),
            colour: RGBColor(120, 120, 200),
            name: "fan level, × 100",
        },
    ];
    let levels = lines.iter().filter_map(|line| match line {
        Line::Megahertz(value, name) => Some((*value, *name)),
        Line::Celsius(..) => None,
    });
    series.extend(levels.map(|(value, name)| level(trace, value, name)));
    chart(&series, trace, "", area)
}

fn level<'a>(trace: &Trace, value: f64, name: &'a str) -> Series<'a> {
    Series {
        points: vec![(trace.start(), value), (trace.end(), value)],
        colour: RGBColor(90, 90, 90),
        name,
    }
}

fn chart<'a>(series: &[Series<'_>], trace: &Trace, title: &str, area: &Area<'a>) -> Result<(), Failure<'a>> {
    let values = || {
        series
            .iter()
            .flat_map(|series| series.points.iter().map(|point| point.1))
    };
    let (low, high) = (
        values().fold(f64::MAX, f64::min),
        values().fold(f64::MIN, f64::max),
    );
    let room = ((high - low) * 0.05).max(1.0);
    let mut chart = ChartBuilder::on(area)
        .caption(title, FONT)
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(
            // Room for the names at the right.
            trace.start()..trace.end() + ((trace.end() - trace.start()) * 0.22).max(1.0),
            low - room..high + room,
        )?;
    chart
        .configure_mesh()
        .label_style(FONT)
        .x_desc("seconds")
        .light_line_style(RGBColor(235, 235, 235))
        .draw()?;
    for Series { points, colour, name } in series {
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), &colour))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(200, 200, 200))
        .label_font(FONT)
        .draw()
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
