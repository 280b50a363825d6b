//! The interface to read.

use super::request::{Request, Requests};
use crate::view::Published;
use api::samples::LONGEST_SPAN;
use tokio::sync::watch;
use zbus::{fdo, interface};

pub(super) struct Read {
    pub(super) published: watch::Receiver<Published>,
    pub(super) requests: Requests,
}

#[interface(name = "org.hearth.Agent1")]
impl Read {
    /// Reads the machine, or answers with a sample of the last quarter of a second. JSON of `machine::Sample`.
    async fn sample(&self) -> fdo::Result<String> {
        json(&self.requests.ask(Request::Sample).await?)
    }

    /// What was found on the machine. JSON of `machine::Capabilities`.
    async fn capabilities(&self) -> fdo::Result<String> {
        json(&self.requests.ask(Request::Capabilities).await?)
    }

    /// Power and clocks. JSON of `api::power::Power`.
    async fn power(&self) -> fdo::Result<String> {
        json(&self.requests.ask(Request::Power).await?)
    }

    /// Heat and what is done about it. JSON of `api::power::Thermal`.
    async fn thermal(&self) -> fdo::Result<String> {
        json(&self.requests.ask(Request::Thermal).await?)
    }

    /// Who holds memory, and what is done about it. JSON of `api::memory::MemoryUse`.
    async fn memory(&self) -> fdo::Result<String> {
        json(&self.requests.ask(Request::Memory).await?)
    }

    /// What the machine showed over so many seconds, seven days at most, and now. JSON of `api::samples::Samples`.
    async fn samples(&self, seconds: u32) -> fdo::Result<String> {
        if !(1..=LONGEST_SPAN).contains(&seconds) {
            let wanted = format!("1 to {LONGEST_SPAN} seconds can be told, not {seconds}");
            return Err(fdo::Error::InvalidArgs(wanted));
        }
        let samples = self.requests.ask(|reply| Request::Samples(seconds, reply));
        json(&samples.await?)
    }

    /// How the engine fares: its unit, its failures, quarantined models. JSON of `api::engine::Engine`.
    async fn engine(&self) -> fdo::Result<String> {
        json(&self.requests.ask(Request::Engine).await?)
    }

    /// What the engine's unit may have, as systemd tells it now. JSON of `api::engine::EngineLimits`.
    async fn engine_limits(&self) -> fdo::Result<String> {
        json(&self.requests.engine_limits().await?)
    }

    /// hearthd's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// Longest time between two samples, in milliseconds.
    #[zbus(property)]
    fn sample_interval(&self) -> u64 {
        self.published.borrow().readings.sample_interval
    }

    /// Physical memory that the kernel manages, in bytes.
    #[zbus(property)]
    fn memory_total(&self) -> fdo::Result<u64> {
        known(self.published.borrow().readings.memory_total)
    }

    /// Memory that new work can have, in bytes.
    #[zbus(property)]
    fn memory_available(&self) -> fdo::Result<u64> {
        known(self.published.borrow().readings.memory_available)
    }

    /// Type and temperature in thousandths of a degree Celsius of each thermal zone that could be read.
    #[zbus(property)]
    fn zone_temperatures(&self) -> Vec<(String, i32)> {
        self.published.borrow().readings.zone_temperatures.clone()
    }

    /// Number and clock in kHz of each cpufreq policy that could be read.
    #[zbus(property)]
    fn policy_frequencies(&self) -> Vec<(u32, u64)> {
        self.published.borrow().readings.policy_frequencies.clone()
    }

    /// How many files cannot be read or believed; `Sample` and `Capabilities` name them.
    #[zbus(property)]
    fn warning_count(&self) -> u32 {
        self.published.borrow().readings.warning_count
    }
}

fn json(value: &impl serde::Serialize) -> fdo::Result<String> {
    serde_json::to_string(value).map_err(|error| fdo::Error::Failed(error.to_string()))
}

/// D-Bus has no null: a reading that is missing is an error to `Get`, and absent from `GetAll`.
fn known(value: Option<u64>) -> fdo::Result<u64> {
    value.ok_or_else(|| fdo::Error::Failed("this could not be read; Sample says why".to_owned()))
}
