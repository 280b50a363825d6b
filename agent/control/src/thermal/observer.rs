//! An observer of the heat: what the temperature is, and how fast it would change if no power were drawn.
//!
//! The plant is taken for an integrator with an unknown rest, `dT/dt = b·p + d`: `p` is the share of full power that is
//! drawn, `b` how fast full power alone would heat, and `d` everything else — losses to the room, the fan, the sink's
//! own warmth, and every error of `b`. `d` is estimated beside `T`. This is the extended state observer of active
//! disturbance rejection control (Han, "From PID to Active Disturbance Rejection Control", IEEE Trans. Ind. Electron.
//! 56(3), 2009) with both poles in one place (Gao, "Scaling and bandwidth-parameterization", ACC 2003), in its exact
//! discrete form, so that it may be stepped at any interval.

/// Estimates, in °C and K/s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observer {
    /// The temperature.
    pub(super) temperature: f64,
    /// How fast it would change without any power: the `d` of `dT/dt = b·p + d`.
    pub(super) drift: f64,
}

impl Observer {
    /// At rest at a temperature.
    pub(super) fn at_rest(temperature: f64) -> Self {
        Self {
            temperature,
            drift: 0.0,
        }
    }

    /// Lets `dt` seconds pass under a heating of `heating` K/s, then takes in a reading. `bandwidth` is in rad/s.
    ///
    /// Both estimates rise with the reading, whatever the interval: the gains are never negative.
    pub(super) fn step(&mut self, dt: f64, heating: f64, reading: f64, bandwidth: f64) {
        let pole = libm::exp(-bandwidth * dt);
        self.temperature += dt * (heating + self.drift);
        let error = reading - self.temperature;
        self.temperature += (1.0 - pole * pole) * error;
        self.drift += (1.0 - pole) * (1.0 - pole) / dt * error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_a_drift_that_nobody_told_it() {
        let mut observer = Observer::at_rest(40.0);
        let mut truth = 40.0;
        for step in 0..100 {
            let dt = if step % 3 == 0 { 0.05 } else { 0.3 };
            truth += dt * (6.0 - 4.5);
            observer.step(dt, 6.0, truth, 1.5);
        }
        assert!((observer.temperature - truth).abs() < 0.01, "{observer:?}");
        assert!((observer.drift + 4.5).abs() < 0.01, "{observer:?}");
    }
}
