//! The tests of one model with one number of threads, in the process that is measured.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use super::plan::{Plan, Test, Work};
use super::row::{Row, gib, statistics};
use super::subject::Subject;
use crate::screen;

/// Measures all of a plan.
pub(super) fn all(plan: &Plan) -> Result<Vec<Row>> {
    if plan.warm {
        let (store, id) = plan.model.open()?;
        store.load(&id)?;
    }
    let loading = Instant::now();
    let mut subject = Subject::load(&plan.model, positions(&plan.tests), plan.threads)?;
    let load_seconds = loading.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    for test in &plan.tests {
        let row = row(&mut subject, plan, *test, load_seconds)?;
        screen::note(format_args!(
            "{}, {} threads: {test}: {:.2} t/s",
            row.model, row.threads, row.tokens_per_second
        ));
        rows.push(row);
    }
    Ok(rows)
}

/// Most tokens that a sequence has in any of the tests.
fn positions(tests: &[Test]) -> usize {
    tests
        .iter()
        .map(|test| test.depth.saturating_add(test.work.tokens()))
        .max()
        .unwrap_or(0)
}

fn row(subject: &mut Subject, plan: &Plan, test: Test, load_seconds: f64) -> Result<Row> {
    let seconds = times(subject, test, plan.repetitions)?;
    let tokens = test.work.tokens() as f64;
    let samples: Vec<f64> = seconds.iter().map(|seconds| tokens / seconds).collect();
    let (tokens_per_second, stddev) = statistics(&samples);
    let (seconds, _) = statistics(&seconds);
    Ok(Row {
        model: plan.model.name.clone(),
        kind: subject.kind().to_owned(),
        model_bytes: subject.file_bytes(),
        path: subject.path(),
        test: test.work.to_string(),
        depth: test.depth,
        threads: plan.threads,
        tokens_per_second,
        stddev,
        samples,
        gib_per_second: gib(bytes(subject, test) / seconds),
        read_gib_per_second: plan.read_gib_per_second,
        load_seconds,
        peak_rss_bytes: peak_rss()?,
    })
}

/// What a test has to read at the least: the weights once for each batch, and by each token what those before it have
/// left (by a prompt's tokens together, once).
fn bytes(subject: &Subject, test: Test) -> f64 {
    let (depth, tokens) = (test.depth, test.work.tokens());
    let bytes = match test.work {
        Work::Prompt(_) => subject.weight_bytes() + subject.kv_bytes(depth + tokens),
        Work::Generate(_) => (0..tokens)
            .map(|done| subject.weight_bytes() + subject.kv_bytes(depth + done + 1))
            .sum(),
    };
    bytes as f64
}

/// Seconds of each repetition, after one that is not counted.
fn times(subject: &mut Subject, test: Test, repetitions: u32) -> Result<Vec<f64>> {
    let mut tokens = Tokens(1);
    let before = tokens.take(test.depth, subject.vocabulary());
    let timed = tokens.take(test.work.tokens(), subject.vocabulary());
    let seen = subject.fill(&before)?;
    let mut run = || -> Result<f64> {
        subject.start_after(&seen);
        let start = Instant::now();
        match test.work {
            Work::Prompt(_) => subject.prompt(&timed)?,
            Work::Generate(_) => timed.iter().try_for_each(|&token| subject.prompt(&[token]))?,
        }
        Ok(start.elapsed().as_secs_f64())
    };
    run()?;
    (0..repetitions).map(|_| run()).collect()
}

/// Tokens drawn from the whole vocabulary, the same each time (Lehmer's generator modulo 2³¹ − 1).
struct Tokens(u64);

impl Tokens {
    fn take(&mut self, count: usize, vocabulary: usize) -> Vec<u32> {
        let next = || {
            self.0 = self.0 * 48_271 % 0x7fff_ffff;
            (self.0 % vocabulary as u64) as u32
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}

/// Bytes of memory that this process had at most.
fn peak_rss() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("cannot ask for this process's memory")?;
    ensure!(
        usage.max_rss() > 0,
        "the kernel does not say how much memory this process had"
    );
    Ok(usage.max_rss() as u64 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::place::Place;
    use crate::bench::plan;
    use std::path::Path;

    #[test]
    fn tokens_are_of_the_vocabulary_and_always_the_same() {
        let draw = || Tokens(1).take(1000, 50);
        assert_eq!(draw(), draw());
        assert!(draw().iter().all(|&token| token < 50));
        assert!((0..50).all(|token| draw().contains(&token)));
    }

    fn tiny(folder: &Path) -> Place {
        let file = folder.join("tiny.gguf");
        engine::tiny::write(&file, 64).unwrap();
        Place::packed(&file, &folder.join("cache")).unwrap()
    }

    #[test]
    fn a_small_model_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let model = tiny(folder.path());
        let plan = Plan {
            model,
            threads: 1,
            tests: plan::tests(&[8], &[4], &[0, 16]),
            repetitions: 2,
            warm: true,
            read_gib_per_second: None,
        };
        let rows = all(&plan).unwrap();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.test.as_str(), row.depth, row.samples.len()))
            .collect();
        assert_eq!(
            seen,
            [("pp8", 0, 2), ("tg4", 0, 2), ("pp8", 16, 2), ("tg4", 16, 2)]
        );
        for row in rows {
            assert!(row.tokens_per_second > 0.0 && row.gib_per_second > 0.0);
            assert!(row.peak_rss_bytes > row.model_bytes);
        }
    }

    #[test]
    fn a_test_beyond_the_models_context_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let model = tiny(folder.path());
        for (prompt, depth) in [(65, 0), (16, usize::MAX)] {
            let plan = Plan {
                model: model.clone(),
                threads: 1,
                tests: plan::tests(&[prompt], &[], &[depth]),
                repetitions: 1,
                warm: false,
                read_gib_per_second: None,
            };
            let error = all(&plan).unwrap_err().to_string();
            assert!(error.contains("was trained for 64 tokens"), "{error}");
        }
    }
}
