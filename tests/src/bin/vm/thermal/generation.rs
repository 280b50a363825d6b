//! A long answer from a cold start: the engine's own phases, and clocks that really slow it.

use std::time::Instant;

use ::tests::client::{Event, brief};
use ::tests::report::say;
use ::tests::vm::twin::Line;
use anyhow::{Result, ensure};
use twin::trace::Trace;

use super::daemon::reaction;
use super::figures::Limit;
use super::scene::Scene;
use crate::guest::MODEL;

/// How long it goes on after the first token, in seconds of the plant: minutes of a real machine's.
const LENGTH: f64 = 40.0;
/// Most tokens of one answer; then the next is asked for.
const TOKENS: u32 = 500;
const QUESTION: &str = "Tell a long story.";
/// Windows in which tokens are counted, in seconds.
const WINDOW: f64 = 10.0;

/// Generates for as long as the heat needs to settle.
pub(crate) fn from_cold(scene: &mut Scene<'_>) -> Result<()> {
    scene.guest.sudo("systemctl stop hearth-inferd.service")?;
    let best = scene.enter_plant();
    let tokens = generate(scene)?;
    throttled(scene, &tokens, best);
    speed(scene, &tokens)?;
    scene.figure_over_target("hottest over target", Limit::AtMost(2.0));
    let reacted = reaction(scene)?;
    let limit = if scene.emulated {
        Limit::Told
    } else {
        Limit::AtMost(5.0)
    };
    scene.figure("median reaction to the engine", reacted, "ms", limit);
    Ok(())
}

/// How the clock was held down from the first token to the last.
fn throttled(scene: &mut Scene<'_>, tokens: &[f64], best: f64) {
    let floor = f64::from(scene.twin.machine().slowest());
    scene.line(Line::Megahertz(floor, "floor"));
    let ends = tokens.first().copied().zip(tokens.last().copied());
    let answering = ends.map_or_else(Trace::default, |(first, last)| scene.trace().between(first, last));
    let at_floor = answering.longest(|row| row.mean_load() > 0.5 && row.mean_megahertz() < floor + 50.0);
    scene.figure("longest at the floor", at_floor, "s", Limit::AtMost(1.0));
    let late = answering.second_half();
    scene.figure("swing in the second half", late.swing(), "K", Limit::AtMost(5.0));
    let share = late.mean_megahertz() / best;
    scene.figure("clock of the best constant one", share * 100.0, "%", Limit::Told);
}

/// How the tokens' speed kept up.
fn speed(scene: &mut Scene<'_>, tokens: &[f64]) -> Result<()> {
    let rates = rates(tokens);
    ensure!(
        rates.len() > 2,
        "{} tokens are too few to tell a speed",
        tokens.len()
    );
    let fastest = rates.iter().copied().fold(0.0, f64::max);
    let slowest = rates.iter().copied().fold(f64::MAX, f64::min);
    scene.figure("fastest 10 s", fastest, "tokens/s", Limit::Told);
    scene.figure("slowest 10 s", slowest, "tokens/s", Limit::Told);
    // The floor would leave a quarter of the full clock's speed.
    scene.figure(
        "slowest of the fastest",
        slowest / fastest * 100.0,
        "%",
        Limit::AtLeast(40.0),
    );
    Ok(())
}

/// When each token came, by the twin's time.
fn generate(scene: &mut Scene<'_>) -> Result<Vec<f64>> {
    let client = scene.guest.client();
    let began = Instant::now();
    let mut tokens: Vec<f64> = Vec::new();
    let is_over = |tokens: &[f64], now: f64| tokens.first().is_some_and(|first| now > first + LENGTH);
    while !is_over(&tokens, scene.twin.now()?.seconds) {
        let mut stream = client.stream(&brief(MODEL, QUESTION, TOKENS))?;
        let before = tokens.len();
        while let Some(event) = stream.next_event()? {
            let now = scene.twin.now()?.seconds;
            if event.text().is_some_and(|text| !text.is_empty()) {
                tokens.push(now);
                // From the first token on: an emulated engine takes long enough to load its model.
                scene.twin.arrange(|stage| stage.slow_down = true);
            }
            if is_over(&tokens, now) || matches!(event, Event::Done) {
                break;
            }
        }
        ensure!(tokens.len() > before, "an answer without a token");
    }
    say(&format!(
        "     {} tokens in {:.0} s",
        tokens.len(),
        began.elapsed().as_secs_f64()
    ));
    Ok(tokens)
}

/// Tokens per second in each whole window after the first token.
fn rates(tokens: &[f64]) -> Vec<f64> {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Vec::new();
    };
    let windows = ((last - first) / WINDOW).floor() as u32;
    let rate = |window: u32| {
        let start = first + f64::from(window) * WINDOW;
        let inside = tokens.iter().filter(|at| (start..start + WINDOW).contains(*at));
        inside.count() as f64 / WINDOW
    };
    (0..windows).map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_in_whole_windows() {
        let tokens: Vec<f64> = (0..100).map(|token| f64::from(token) * 0.25).collect();
        assert_eq!(rates(&tokens), [4.0, 4.0]);
        assert!(rates(&[]).is_empty());
    }
}
