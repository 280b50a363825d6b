//! What a machine draws.

use super::{Machine, Model, Step};

/// What the processor is doing.
#[derive(Clone, Copy, Debug)]
pub enum Load<'a> {
    /// Nothing but what a system does in the background: a share of one core's time.
    Rest {
        /// For example 0.01.
        background: f64,
    },
    /// Steps of the engine, one after another.
    Engine(&'a Model, &'a Step),
}

impl Machine {
    /// Volts at a clock in GHz.
    pub fn volts(&self, clock: f64) -> f64 {
        let points = self.power.voltage;
        let above = points
            .iter()
            .position(|(at, _)| *at >= clock)
            .unwrap_or(points.len() - 1);
        let ((x0, y0), (x1, y1)) = (points[above.max(1) - 1], points[above.max(1)]);
        y0 + (y1 - y0) * ((clock - x0) / (x1 - x0)).clamp(0.0, 1.0)
    }

    fn core_watts(&self, clock: f64, activity: f64) -> f64 {
        let volts = self.volts(clock);
        let highest = self.power.voltage.last().map_or(volts, |(_, volts)| *volts);
        self.power.capacitance * volts * volts * clock * activity + self.power.leakage * volts / highest
    }

    /// Watts of the package and its memory at a clock in GHz.
    pub fn watts(&self, load: Load<'_>, clock: f64) -> f64 {
        match load {
            Load::Rest { background } => {
                self.power.idle + background * (self.core_watts(clock, 1.0) + self.power.uncore)
            }
            Load::Engine(model, step) => {
                let seconds = self.seconds(model, step, clock);
                let bits = 8.0 * step.bytes(model) / seconds;
                let computing = self.computing(model, step, clock);
                let activity = self.power.stalled + (1.0 - self.power.stalled) * computing;
                self.power.idle
                    + self.power.uncore
                    + bits * self.power.memory_picojoules_per_bit * 1e-12
                    + f64::from(self.cores) * self.core_watts(clock, activity)
            }
        }
    }

    /// The clock that the hardware really runs, in GHz, when it is asked for one: all cores together reach less than one
    /// alone, and the sustained power is held.
    pub fn granted(&self, load: Load<'_>, asked: f64) -> f64 {
        let asked = asked.clamp(self.clock_min, self.clock_max);
        let Load::Engine(..) = load else {
            return asked;
        };
        let mut clock = asked.min(self.clock_all_cores);
        while clock > self.clock_min && self.watts(load, clock) > self.power.sustained {
            clock = (clock - 0.025).max(self.clock_min);
        }
        clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::{machines, models};

    #[test]
    fn a_core_draws_what_was_published() {
        let ryzen = machines::ryzen_5825u();
        assert!((ryzen.volts(3.2) - 1.059).abs() < 1e-9);
        assert!(
            (ryzen.core_watts(3.2, 1.0) - 2.85).abs() < 0.1,
            "{}",
            ryzen.core_watts(3.2, 1.0)
        );
    }

    #[test]
    fn at_the_plug_it_draws_what_was_published() {
        // HPL, 26 W: arithmetic on all cores.
        let n100 = machines::n100();
        let prompt = Step::prefill(512.0, 0.0);
        let plug = n100.power.board + n100.watts(Load::Engine(&models::LLAMA_8B, &prompt), 2.9) / 0.85;
        assert!((plug - 26.0).abs() < 3.0, "{plug}");
        let pi = machines::raspberry_pi_5();
        let decode = Step::decode(1.0, 64.0);
        let plug = pi.power.board + pi.watts(Load::Engine(&models::LLAMA_8B, &decode), 2.4) / 0.9;
        assert!((plug - 11.6).abs() < 2.5, "{plug}");
    }

    #[test]
    fn power_rises_with_the_clock_and_the_sustained_limit_holds_it() {
        for machine in machines::all() {
            let step = Step::decode(1.0, 64.0);
            let load = Load::Engine(&models::LLAMA_8B, &step);
            let low = machine.watts(load, machine.clock_min);
            assert!(
                machine.watts(load, machine.clock_all_cores) > low * 1.2,
                "{}",
                machine.name
            );
            let granted = machine.granted(load, machine.clock_max);
            assert!(
                machine.watts(load, granted) <= machine.power.sustained,
                "{}",
                machine.name
            );
            assert!(machine.watts(Load::Rest { background: 0.01 }, machine.clock_min) < low);
        }
    }
}
