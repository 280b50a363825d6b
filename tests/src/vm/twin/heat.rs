//! The loop that ties the plant to the guest: ten times a second.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use twin::plant::Plant;
use twin::registers::{Register, deci_kelvin};
use twin::trace::Row;

use super::Shared;
use super::clocks::{Clock, Span, mean};
use super::loads::Processor;
use super::stage::{Sensor, Stage};

/// Time between two ticks.
const TICK: Duration = Duration::from_millis(100);

/// The loop's own state.
#[derive(Debug)]
pub(super) struct Heat {
    clocks: Vec<Clock>,
    processors: Vec<Processor>,
    plant: Plant,
    begun: Instant,
    last: Instant,
}

impl Heat {
    /// A loop over processors that run already, on a plant at rest.
    pub(super) fn new(clocks: Vec<Clock>, processors: Vec<Processor>, stage: &Stage, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            clocks,
            processors,
            plant: Plant::at_rest(stage.plant.clone(), seed),
            begun: now,
            last: now,
        }
    }

    /// Ticks until the other end of `stop` is dropped, or QEMU has ended.
    pub(super) fn run(&mut self, shared: &Shared, stop: &Receiver<()>) -> Result<()> {
        let mut next = self.last;
        loop {
            next += TICK;
            let pause = next.saturating_duration_since(Instant::now());
            match stop.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => self.tick(shared)?,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn tick(&mut self, shared: &Shared) -> Result<()> {
        let now = Instant::now();
        let seconds = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        let stage = shared.stage();
        let loads: Vec<f64> = self
            .processors
            .iter_mut()
            .map(Processor::load)
            .collect::<Result<_>>()?;
        let spans = self.clocks.iter().map(|clock| clock.take(now));
        let spans: Vec<Vec<Span>> = spans.collect::<Result<_>>()?;
        let fan_level = self.fan(shared, &stage)?;
        let watts = shared.watts(&spans, &loads) + stage.further_watts;
        self.plant.change(stage.plant.clone());
        let turning = if stage.fan_failed { 0.0 } else { fan_level };
        self.plant.advance(seconds, watts, turning);
        let reading = self.show(shared, stage.sensor)?;
        self.slow(shared, &stage, &spans)?;
        shared.push(Row {
            seconds: now.duration_since(self.begun).as_secs_f64(),
            reading,
            die: self.plant.die(),
            megahertz: spans
                .iter()
                .map(|spans| mean(spans, |megahertz| megahertz))
                .collect(),
            load: loads,
            watts,
            fan_level,
        });
        Ok(())
    }

    /// The level that the guest has set, and the speed that it is told.
    fn fan(&self, shared: &Shared, stage: &Stage) -> Result<f64> {
        let level = shared.page.read(Register::FAN_LEVEL)?;
        let speeds = &shared.machine.fan_rpm;
        let index = usize::try_from(level)?.min(speeds.len().saturating_sub(1));
        let rpm = speeds.get(index).copied().unwrap_or(0);
        shared
            .page
            .write(Register::FAN_RPM, if stage.fan_failed { 0 } else { rpm })?;
        Ok(f64::from(level))
    }

    fn show(&mut self, shared: &Shared, sensor: Sensor) -> Result<Option<f64>> {
        let honest = self.plant.reading();
        let reading = match sensor {
            Sensor::Honest => Some(honest),
            Sensor::Shows(value) => Some(value),
            Sensor::Gone => None,
        };
        shared
            .page
            .write(Register::SENSOR_FAULT, u32::from(reading.is_none()))?;
        if let Some(reading) = reading {
            shared.page.write(Register::TEMPERATURE, deci_kelvin(reading))?;
        }
        Ok(reading)
    }

    /// Lets each processor really run at the share of its speed that its clock gives.
    fn slow(&mut self, shared: &Shared, stage: &Stage, spans: &[Vec<Span>]) -> Result<()> {
        let full = f64::from(shared.machine.fastest());
        for (processor, spans) in self.processors.iter_mut().zip(spans) {
            if stage.slow_down {
                let clock = spans.last().map_or(full, |span| span.megahertz);
                processor.slow_to(clock / full).context(
                    "the guest's processors cannot be slowed here: that takes root and SCHED_DEADLINE",
                )?;
            } else {
                processor.release()?;
            }
        }
        Ok(())
    }
}
