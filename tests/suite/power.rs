//! The clock follows the engine, and people set what they want of both.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use api::power::{Power, Thermal};
use api::rest::Problem;
use bytes::Bytes;
use machine::{Phase, PowerProfile, Sample};
use tests::client::greedy;
use tests::host::{HostStack, Options, with_stack};
use tests::{process, wait};

use crate::models::{SMOLLM2, smollm2_store, with_tiny};

/// Longer than the laws ever wait to look again.
const SETTLED: Duration = Duration::from_secs(30);
/// Longer than an answer takes on the slowest machine.
const ANSWERED: Duration = Duration::from_secs(300);
/// Between two looks at a governor, which may be another for a few milliseconds only.
const LOOK: Duration = Duration::from_millis(2);
/// What the captured machine is found with, and goes back to when nothing is done.
const FOUND: &str = "schedutil";
const GOVERNOR: &str = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor";

#[test]
fn a_question_is_prefilled_at_full_clock_and_rest_follows_its_answer() -> Result<()> {
    let store = smollm2_store()?;
    let options = Options::models(store.path()).on("acpi-cpufreq");
    with_stack(&options.inferd("--threads", 2), |stack| {
        ensure!(
            stack.kernel_file(GOVERNOR)? == FOUND,
            "the machine was found otherwise"
        );
        let question = "What is a hearth, and what was it for? ".repeat(20);
        let request = greedy(SMOLLM2, &question, 24);
        let seen = governors_while(stack, || {
            let answer = stack.admin().post("/v1/chat/completions", &request)?;
            answer.expect(200).map(drop)
        })?;
        ensure!(
            seen.iter().any(|governor| governor == "performance"),
            "while it worked the governor was {seen:?}"
        );
        let samples = wait::until("rest after the answer", SETTLED, || at_rest(stack))?;
        let phases = phases(&samples);
        ensure!(
            phases.ends_with(&[Phase::Prefill, Phase::Decode, Phase::Idle]),
            "the engine told {phases:?}"
        );
        let decoding = samples.iter().filter_map(|sample| sample.engine.as_ref());
        let speeds: Vec<f32> = decoding.filter_map(|engine| engine.tokens_per_second).collect();
        ensure!(speeds.iter().all(|speed| *speed > 0.0), "{speeds:?}");
        wait::until("the governor that was found", SETTLED, || {
            Ok((stack.kernel_file(GOVERNOR)? == FOUND).then_some(()))
        })
    })
}

/// The recording, once its last word is that the engine has generated and rests.
fn at_rest(stack: &HostStack) -> Result<Option<Vec<Sample>>> {
    let samples = stack.samples()?;
    let last = samples.last().and_then(|sample| sample.engine.as_ref());
    let rests = last.is_some_and(|engine| engine.phase == Phase::Idle && engine.generated > 0);
    Ok(rests.then_some(samples))
}

/// The phases in their order, each once until another comes.
fn phases(samples: &[Sample]) -> Vec<Phase> {
    let told = samples.iter().filter_map(|sample| sample.engine.as_ref());
    let mut phases: Vec<Phase> = told.map(|engine| engine.phase).collect();
    phases.dedup();
    phases
}

/// The governors that were set while `work` was done, in their order. Samples tell of them too rarely for a short answer.
fn governors_while(stack: &HostStack, work: impl FnOnce() -> Result<()> + Send) -> Result<Vec<String>> {
    thread::scope(|scope| {
        let worker = scope.spawn(work);
        let mut governors = Vec::new();
        let began = Instant::now();
        while !worker.is_finished() {
            ensure!(began.elapsed() < ANSWERED, "the work does not end");
            governors.push(stack.kernel_file(GOVERNOR)?);
            governors.dedup();
            thread::sleep(LOOK);
        }
        let worked = worker.join().map_err(|_| anyhow!("the work panicked"))?;
        worked.map(|()| governors)
    })
}

#[test]
fn what_people_want_reaches_hearthd_and_is_shown() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let socket = stack.local_socket();
        let hearth = |arguments: &[&str]| -> Result<String> {
            process::output(stack.hearth()?.arg("--socket").arg(&socket).args(arguments))
        };
        hearth(&["power", "set", "power-saver"])?;
        let held: machine::Hold = serde_json::from_str(&hearth(&[
            "power",
            "hold",
            "performance",
            "--reason",
            "a test",
            "--for",
            "1h",
            "--json",
        ])?)?;
        ensure!(held.until_usec.is_some() && held.reason == "a test", "{held:?}");
        let power: Power = stack.admin().get("/api/v1/power")?.expect(200)?.json()?;
        ensure!(
            (power.profile, power.effective_profile, power.holds.len())
                == (PowerProfile::PowerSaver, PowerProfile::Performance, 1),
            "{power:?}"
        );
        let id = held.id.to_string();
        let shown = hearth(&["power", "release", &id])?;
        ensure!(
            shown.contains("power-saver") && !shown.contains("HOLD"),
            "{shown}"
        );
        stack
            .admin()
            .delete(&format!("/api/v1/power/holds/{id}"))?
            .expect(404)?;

        hearth(&["thermal", "set", "70"])?;
        let thermal: Thermal = stack.admin().get("/api/v1/thermal")?.expect(200)?.json()?;
        ensure!(
            thermal.target_set.map(|target| target.0) == Some(70_000),
            "{thermal:?}"
        );
        let absurd = Bytes::from_static(br#"{"target":500000}"#);
        let refused = stack.admin().exchange("PUT", "/api/v1/thermal", absurd)?;
        let problem: Problem = refused.expect(422)?.json()?;
        ensure!(problem.detail.starts_with("target:"), "{problem:?}");
        ensure!(
            hearth(&["thermal", "reset"])?.contains("the firmware profile's"),
            "it is not reset"
        );
        Ok(())
    })
}
