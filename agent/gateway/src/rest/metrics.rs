//! `GET /metrics`: for Prometheus.

use crate::{
    agent::{self, Gauges},
    app::App,
    metrics::{Exposition, Histogram, Kind, Times},
};
use api::{
    jobs::JobState,
    power::{PolicyStatus, Power, Thermal},
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use machine::{EngineSample, Phase};
use std::sync::Arc;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is measured, in Prometheus' text format: `hearth_*` for the machine, vLLM's names for the engine.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "machine",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"))
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut told = Exposition::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    let build = "Hearth's version.";
    told.family("hearth_build_info", Kind::Gauge, build, [(version, 1.0)]);
    let gauges = agent::gauges(&app.bus).await;
    let is_up = Some(f64::from(u8::from(gauges.is_ok())));
    told.gauge("hearth_agent_up", "Whether hearthd answers.", is_up);
    if let Ok(gauges) = &gauges {
        machine(&mut told, gauges);
        engine(&mut told, gauges);
    }
    gateway(&mut told, &app);
    ([(header::CONTENT_TYPE, KIND)], told.to_string()).into_response()
}

fn machine(told: &mut Exposition, gauges: &Gauges) {
    heat(told, &gauges.thermal);
    processors(told, &gauges.power);
    let sample = &gauges.sample;
    let bytes = |bytes: Option<machine::Bytes>| bytes.map(|bytes| bytes.0 as f64);
    told.gauge(
        "hearth_memory_used_bytes",
        "Memory in use: MemTotal less MemAvailable.",
        bytes(sample.memory.used()),
    );
    told.gauge(
        "hearth_memory_total_bytes",
        "Memory that the kernel manages.",
        bytes(sample.memory.mem_total),
    );
    told.gauge(
        "hearth_warnings",
        "Files that cannot be read or believed.",
        Some(sample.warnings.len() as f64),
    );
}

fn heat(told: &mut Exposition, thermal: &Thermal) {
    let sensors = thermal.state.sensors.iter();
    let believed = sensors.filter(|sensor| sensor.distrust.is_none());
    told.family(
        "hearth_temperature_celsius",
        Kind::Gauge,
        "Temperature of each sensor that is believed.",
        believed.filter_map(|sensor| {
            let labels = [("sensor", sensor.name.as_str())];
            Some((labels, sensor.temp?.0 as f64 / 1000.0))
        }),
    );
    told.gauge(
        "hearth_temperature_target_celsius",
        "Temperature that is held.",
        Some(thermal.state.target.0 as f64 / 1000.0),
    );
    told.gauge(
        "hearth_thermal_rung",
        "How far heat is fought: 0 is not at all, 5 powers the machine off.",
        Some(f64::from(thermal.state.rung as u8)),
    );
}

fn processors(told: &mut Exposition, power: &Power) {
    let policies = power.policies.iter();
    let ids: Vec<String> = policies.map(|policy| policy.id.to_string()).collect();
    let clocks = |reading: fn(&PolicyStatus) -> Option<machine::KiloHertz>| {
        let told = power.policies.iter().zip(&ids);
        told.filter_map(move |(policy, id)| {
            Some(([("policy", id.as_str())], reading(policy)?.0 as f64 * 1000.0))
        })
    };
    told.family(
        "hearth_cpu_frequency_hertz",
        Kind::Gauge,
        "Clock of each cpufreq policy.",
        clocks(|policy| policy.scaling_cur_freq),
    );
    told.family(
        "hearth_cpu_frequency_limit_hertz",
        Kind::Gauge,
        "Highest clock that each cpufreq policy may choose.",
        clocks(|policy| policy.scaling_max_freq),
    );
    told.gauge(
        "hearth_package_power_watts",
        "Power of the processor packages.",
        power.package_watts,
    );
}

fn engine(told: &mut Exposition, gauges: &Gauges) {
    told.gauge(
        "hearth_engine_failures",
        "Failures of the engine in the last ten minutes.",
        Some(gauges.engine.failures.len() as f64),
    );
    told.gauge(
        "hearth_models_quarantined",
        "Models that are not loaded because the engine failed with them.",
        Some(gauges.engine.quarantined.len() as f64),
    );
    let heard = gauges.sample.engine.as_ref();
    let phase = heard.map(|heard| heard.phase);
    let phases = [
        ("idle", Phase::Idle),
        ("loading", Phase::Loading),
        ("prefill", Phase::Prefill),
        ("decode", Phase::Decode),
    ];
    told.family(
        "hearth_engine_phase",
        Kind::Gauge,
        "1 for what the engine is busy with; all 0 while it does not run.",
        phases.map(|(name, known)| ([("phase", name)], f64::from(u8::from(phase == Some(known))))),
    );
    told.gauge(
        "hearth_engine_tokens_per_second",
        "Tokens generated per second, all sequences together.",
        heard.and_then(|heard| heard.tokens_per_second).map(f64::from),
    );
    // Before it has a model there is nobody of whom these could be told.
    if let Some(heard) = heard.filter(|heard| !heard.model_name.is_empty()) {
        of_vllm(told, heard);
    }
}

/// Counters are the engine's, whichever models it has had since it started. Names and meanings: vLLM's `vllm/v1/metrics/loggers.py`.
fn of_vllm(told: &mut Exposition, heard: &EngineSample) {
    let labels = [("model_name", heard.model_name.as_str())];
    let prompts = heard.progress.saturating_sub(heard.generated);
    let families = [
        (
            "vllm:num_requests_running",
            Kind::Gauge,
            "Requests that are being answered.",
            f64::from(heard.active),
        ),
        (
            "vllm:num_requests_waiting",
            Kind::Gauge,
            "Requests that wait for a slot.",
            f64::from(heard.queue_depth),
        ),
        (
            "vllm:prompt_tokens_total",
            Kind::Counter,
            "Tokens of prompts since the engine started.",
            prompts as f64,
        ),
        (
            "vllm:generation_tokens_total",
            Kind::Counter,
            "Tokens generated since the engine started.",
            heard.generated as f64,
        ),
    ];
    for (name, kind, help, value) in families {
        told.family(name, kind, help, [(labels, value)]);
    }
}

fn gateway(told: &mut Exposition, app: &App) {
    let running = app
        .jobs
        .list()
        .iter()
        .filter(|job| job.state == JobState::Running)
        .count();
    told.gauge("hearth_jobs_running", "Jobs that go on.", Some(running as f64));
    let measured = app.measured.all();
    let mut of_each = |name, help, of: fn(&Times) -> &Histogram| {
        let by_model = measured
            .iter()
            .map(|(model, times)| (("model_name", model.as_str()), of(times)));
        told.histograms(name, help, by_model);
    };
    of_each(
        "vllm:time_to_first_token_seconds",
        "From a request to the first text of its streamed answer, as the gateway saw it.",
        |times| &times.first_token,
    );
    of_each(
        "vllm:e2e_request_latency_seconds",
        "From a request to the end of its answer, as the gateway saw it.",
        |times| &times.whole,
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Names of metrics in a text, without what a histogram adds to its own.
    fn names(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
        words
            .filter(|word| word.starts_with("hearth_") || word.starts_with("vllm:"))
            .map(|word| word.trim_end_matches("_bucket"))
            .collect()
    }

    #[test]
    fn the_board_shows_what_is_exported_and_nothing_else() {
        let exported = names(include_str!("metrics.rs"));
        let shown = names(include_str!("../../grafana.json"));
        assert!(shown.len() > 15);
        let unknown: Vec<_> = shown.difference(&exported).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
