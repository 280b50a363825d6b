//! How a scene is drawn: measures with their course, and below them what is at work and what is wrong. It takes any size;
//! where there is too little room the last lines are left out.

use super::scene::Scene;
use crate::{
    history::{MEASURES, Measure},
    screen, watch,
};
use api::jobs::JobState;
use machine::Bytes;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Sparkline},
};
use std::time::Instant;

/// Columns of a measure's name and value: with them, 40 columns leave 17 seconds of its course.
const LEGEND: u16 = 23;
/// Lines of a measure at most.
const TALLEST: u16 = 4;
/// Lines of the rest: title, engine, a job, an alert, keys.
const REST: u16 = 5;
/// What a course spans at least, in the measures' order: what is calm shall look calm. °C, Hz, W, bytes, tokens/s.
const LEAST_SPANS: [f32; MEASURES.len()] = [10.0, 0.5e9, 5.0, 64.0 * 1024.0 * 1024.0, 5.0];
/// Steps of a course's height: eight for each line.
const STEPS: f32 = 8.0 * TALLEST as f32;

/// Draws it as it is now.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene, now: Instant) {
    let area = frame.area();
    let count = MEASURES.len() as u16;
    let height = (area.height.saturating_sub(REST) / count).clamp(1, TALLEST);
    let [title, measures, rest] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height * count),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(headline(scene, now, title.width), title);
    let rows: [Rect; MEASURES.len()] =
        Layout::vertical([Constraint::Length(height); MEASURES.len()]).areas(measures);
    for ((measure, row), span) in MEASURES.iter().zip(rows).zip(LEAST_SPANS) {
        self::measure(frame, scene, measure, span, row);
    }
    frame.render_widget(Paragraph::new(lines(scene, rest)), rest);
}

/// The machine on the left, and on the right since when, or that nothing comes any more.
fn headline(scene: &Scene, now: Instant, width: u16) -> Line<'static> {
    let right = match &scene.lost {
        Some(_) => "no connection".to_owned(),
        None => format!("up {}", scene.up(now)),
    };
    let room = usize::from(width).saturating_sub(right.chars().count() + 1);
    let left: String = scene.title.chars().take(room).collect();
    let gap = " ".repeat(room + 1 - left.chars().count());
    let style = Style::new().add_modifier(Modifier::BOLD);
    let right_style = if scene.is_lost() {
        style.patch(colour(scene, Color::Red))
    } else {
        Style::new()
    };
    Line::from(vec![
        Span::styled(left, style),
        Span::raw(gap),
        Span::styled(right, right_style),
    ])
}

/// A colour, where colours are wanted.
fn colour(scene: &Scene, colour: Color) -> Style {
    if scene.colour {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}

fn measure(frame: &mut Frame<'_>, scene: &Scene, measure: &Measure, least_span: f32, area: Rect) {
    let [legend, chart] = Layout::horizontal([Constraint::Length(LEGEND), Constraint::Min(0)]).areas(area);
    let course = scene.course(chart.width.into(), measure.of);
    let last = course.last().copied().flatten();
    let value = last.map_or_else(|| "-".to_owned(), measure.said);
    let first = Line::from(format!("{:<12}{value:>10}", measure.name));
    let second = range(scene, measure, &course).unwrap_or_default();
    frame.render_widget(
        Paragraph::new(vec![first, Line::from(second).style(dim())]),
        legend,
    );
    let bars = Sparkline::default()
        .data(heights(&course, least_span))
        .max(STEPS as u64)
        .absent_value_symbol(" ")
        .style(colour(scene, Color::Cyan));
    frame.render_widget(bars, chart);
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// What it lay between, or of how much memory it is.
fn range(scene: &Scene, measure: &Measure, course: &[Option<f32>]) -> Option<String> {
    if let ("Memory", Some(Bytes(total))) = (measure.name, scene.memory_total) {
        return Some(format!("{:>22}", format!("of {}", Bytes(total))));
    }
    let known = || course.iter().flatten().copied();
    let (least, most) = (known().reduce(f32::min)?, known().reduce(f32::max)?);
    let (least, most) = ((measure.said)(least), (measure.said)(most));
    // The unit is said once.
    let least = least.split([' ', '/']).next().unwrap_or_default();
    Some(format!("{:>22}", format!("{least} to {most}")))
}

/// A course as heights of 1 to [`STEPS`], so that the least is seen, too; it fills the middle if it spans little.
fn heights(course: &[Option<f32>], least_span: f32) -> Vec<Option<u64>> {
    let known = || course.iter().flatten().copied().filter(|value| value.is_finite());
    let (least, most) = (
        known().fold(f32::INFINITY, f32::min),
        known().fold(f32::NEG_INFINITY, f32::max),
    );
    let span = (most - least).max(least_span);
    let bottom = (least + most - span) / 2.0;
    let height = |value: f32| (1.0 + (value - bottom) / span * (STEPS - 1.0)).round() as u64;
    course
        .iter()
        .map(|value| value.filter(|value| value.is_finite()).map(height))
        .collect()
}

/// Engine, jobs that go on, what is wrong, jobs that have ended, keys: as many as there is room for.
fn lines(scene: &Scene, area: Rect) -> Vec<Line<'static>> {
    let room = usize::from(area.height).saturating_sub(1);
    let engine = scene
        .engine
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), watch::engine);
    let mut lines = vec![labelled("Engine", engine, Style::new())];
    let running = |job: &&api::jobs::Job| job.state == JobState::Running;
    let job = |job| labelled("Job", watch::job(job), Style::new());
    lines.extend(
        scene
            .lost
            .iter()
            .map(|why| labelled("Gateway", why.clone(), colour(scene, Color::Red))),
    );
    lines.extend(scene.jobs.iter().filter(running).map(job));
    lines.extend(scene.alerts.iter().map(|alert| {
        let style = if alert.level == "info" {
            Style::new()
        } else {
            colour(scene, Color::Red)
        };
        let time = alert.time.get(11..16).unwrap_or_default();
        labelled(
            "Alert",
            format!("{time} {}", screen::one_line(&alert.message))
                .trim()
                .to_owned(),
            style,
        )
    }));
    lines.extend(scene.jobs.iter().filter(|job| !running(job)).map(job));
    lines.truncate(room);
    lines.resize(room, Line::default());
    lines.push(Line::from("q leaves").style(dim()));
    lines
}

fn labelled(label: &str, text: String, style: Style) -> Line<'static> {
    Line::from(vec![Span::raw(format!("{label:<8}")), Span::styled(text, style)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{
        engine::{EngineActivity, Life},
        samples::Row,
    };
    use ratatui::{
        Terminal, TerminalOptions, Viewport,
        backend::{CrosstermBackend, TestBackend},
    };
    use std::{
        cell::RefCell,
        io::{self, Write},
        rc::Rc,
    };

    fn scene() -> Scene {
        let row = |time: u64| Row {
            time,
            temperature: Some(50.0 + (time % 7) as f32),
            clock: Some(1.8e9),
            power: (time != 90).then_some(6.0),
            memory_used: Some(120e6),
            ..Row::default()
        };
        Scene {
            title: "kitchen  Hearth 0.1.0".to_owned(),
            memory_total: Some(Bytes(8 << 30)),
            rows: (1..=90).map(row).collect(),
            engine: Some(EngineActivity {
                state: Life::Ready,
                model: Some("coder".to_owned()),
                ..EngineActivity::default()
            }),
            ..Scene::default()
        }
    }

    fn drawn(scene: &Scene, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, scene, Instant::now())).unwrap();
        let cells = terminal.backend().buffer().content().chunks(width.into());
        cells
            .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
            .collect()
    }

    #[test]
    fn a_telephone_shows_all_that_counts() {
        let lines = drawn(&scene(), 40, 20);
        assert!(
            lines[0].starts_with("kitchen  Hearth 0.1.0") && lines[0].contains("up "),
            "{lines:#?}"
        );
        let has = |text: &str| lines.iter().any(|line| line.contains(text));
        for text in [
            "Temperature    56.0 °C",
            "1.80 GHz",
            "Power                -",
            "114.4 MiB",
            "of 8.0 GiB",
        ] {
            assert!(has(text), "{text}: {lines:#?}");
        }
        assert!(
            has("50.0 to 56.0 °C") && has("Engine  ready, coder") && has("q leaves"),
            "{lines:#?}"
        );
        assert!(has("█"), "the course is drawn: {lines:#?}");
    }

    #[test]
    fn any_size_can_be_drawn() {
        let mut scene = scene();
        scene.lose("the line is broken");
        for width in [1, 2, 10, 23, 24, 40, 80, 200, 700] {
            for height in [1, 2, 5, 6, 10, 24, 60] {
                assert_eq!(drawn(&scene, width, height).len(), usize::from(height));
            }
        }
        assert!(drawn(&scene, 200, 60)[0].ends_with("no connection"));
    }

    #[test]
    fn what_was_not_measured_is_a_gap_and_no_number() {
        let lines = drawn(&scene(), 60, 10);
        let power = lines.iter().find(|line| line.starts_with("Power")).unwrap();
        assert!(
            power.contains(" - ") && power.ends_with(' '),
            "the last second is not known: {power:?}"
        );
        let tokens = lines.iter().find(|line| line.starts_with("Tokens")).unwrap();
        assert_eq!(tokens.trim_end().trim_start_matches("Tokens").trim(), "-");
    }

    #[test]
    fn what_is_calm_looks_calm() {
        let middle = heights(&[Some(50.0), Some(50.5)], 10.0);
        assert!(
            middle.iter().flatten().all(|height| (14..=19).contains(height)),
            "{middle:?}"
        );
        assert_eq!(
            heights(&[Some(0.0), None, Some(100.0)], 10.0),
            [Some(1), None, Some(STEPS as u64)]
        );
        assert_eq!(heights(&[None, Some(f32::NAN)], 10.0), [None, None]);
    }

    /// What goes over the line.
    #[derive(Clone, Default)]
    struct Sent(Rc<RefCell<Vec<u8>>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// How many bytes a second more costs over the line, and all of them.
    fn cost(scene: &mut Scene, colour: bool) -> (usize, Vec<u8>) {
        scene.colour = colour;
        let options = TerminalOptions {
            viewport: Viewport::Fixed(Rect::new(0, 0, 80, 24)),
        };
        let sent = Sent::default();
        let mut terminal = Terminal::with_options(CrosstermBackend::new(sent.clone()), options).unwrap();
        terminal.draw(|frame| draw(frame, scene, Instant::now())).unwrap();
        let whole = sent.0.borrow().len();
        let row = Row {
            time: 91,
            ..scene.rows[88]
        };
        scene.rows.push_back(row);
        terminal.draw(|frame| draw(frame, scene, Instant::now())).unwrap();
        let bytes = sent.0.take();
        (bytes.len() - whole, bytes)
    }

    #[test]
    fn a_second_more_costs_few_bytes() {
        let (bytes, _) = cost(&mut scene(), true);
        assert!(bytes < 4096, "{bytes}");
    }

    #[test]
    fn without_colours_there_is_none() {
        let sets_colour = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.split("\u{1b}[").any(|sequence| {
                let codes = sequence.split('m').next().unwrap_or_default();
                codes
                    .split(';')
                    .any(|code| code.parse().is_ok_and(|code: u8| (30..=38).contains(&code)))
            })
        };
        assert!(!sets_colour(&cost(&mut scene(), false).1));
        assert!(sets_colour(&cost(&mut scene(), true).1));
    }
}
