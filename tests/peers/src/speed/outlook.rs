//! What remains of a comparison, and for about how long.

use std::collections::BTreeMap;
use std::time::Duration;

use peers::engines::Engine;

/// How many tokens of a prompt take about as long as one that is generated.
const AT_ONCE: f64 = 8.0;

/// About how much a turn asks for: bytes of weights that are read, if tokens of a prompt share a reading.
pub(super) fn work(weights: u64, prompts: usize, depth: usize, generated: usize) -> f64 {
    weights as f64 * ((prompts + depth) as f64 / AT_ONCE + generated as f64)
}

/// Turns of the engines, done and to come.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    turns: usize,
    done: usize,
    to_come: BTreeMap<Engine, f64>,
    /// Time and work of turns that are done.
    known: BTreeMap<Engine, (f64, f64)>,
}

impl Outlook {
    /// Counts a turn to come.
    pub(super) fn plan(&mut self, engine: Engine, work: f64) {
        self.turns += 1;
        *self.to_come.entry(engine).or_default() += work;
    }

    /// Counts a turn that took so long.
    pub(super) fn finish(&mut self, engine: Engine, work: f64, took: Duration) {
        let (seconds, known) = self.known.entry(engine).or_default();
        *seconds += took.as_secs_f64();
        *known += work;
        self.skip(engine, work);
    }

    /// Counts a turn that there will not be.
    pub(super) fn skip(&mut self, engine: Engine, work: f64) {
        self.done += 1;
        if let Some(to_come) = self.to_come.get_mut(&engine) {
            *to_come = (*to_come - work).max(0.0);
        }
    }

    /// How long what is to come takes if each engine goes on as it did; `None` before all of them had a turn.
    fn remaining(&self) -> Option<Duration> {
        let seconds = self.to_come.iter().map(|(engine, &work)| {
            if work == 0.0 {
                return Some(0.0);
            }
            let (seconds, known) = self.known.get(engine)?;
            Some(work * seconds / known)
        });
        Duration::try_from_secs_f64(seconds.sum::<Option<f64>>()?).ok()
    }

    /// The turn that is next, of how many, and the time that they take.
    pub(super) fn words(&self) -> String {
        let turn = format!("turn {} of {}", self.done + 1, self.turns);
        match self.remaining() {
            Some(time) if time.as_secs() < 60 => format!("{turn}, less than a minute left"),
            Some(time) => format!("{turn}, about {} min left", time.as_secs().div_ceil(60)),
            None => turn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_less_work_than_an_answer() {
        assert_eq!(work(1000, 16, 8, 2), 5000.0);
    }

    #[test]
    fn engines_go_on_as_they_did() {
        let mut outlook = Outlook::default();
        for work in [1.0, 1.0, 9.0] {
            outlook.plan(Engine::Hearth, work);
            outlook.plan(Engine::Candle, work);
        }
        assert_eq!(outlook.words(), "turn 1 of 6");
        outlook.finish(Engine::Hearth, 1.0, Duration::from_secs(10));
        assert_eq!(outlook.words(), "turn 2 of 6");
        outlook.finish(Engine::Candle, 1.0, Duration::from_secs(60));
        assert_eq!(outlook.words(), "turn 3 of 6, about 12 min left");
        outlook.skip(Engine::Candle, 1.0);
        outlook.skip(Engine::Candle, 9.0);
        assert_eq!(outlook.words(), "turn 5 of 6, about 2 min left");
        outlook.finish(Engine::Hearth, 1.0, Duration::from_secs(0));
        assert_eq!(outlook.words(), "turn 6 of 6, less than a minute left");
    }
}
