//! A thermal plant: how a processor warms, how its heat sink follows, and what its sensor shows of that.
//!
//! Two RC stages in a row (die → sink → room), the die's small and fast, the sink's large and slow, and a first-order
//! lag in the sensor, which is quantised and noisy. Exact stepping is not needed: the step is far below the shortest
//! time constant.

/// What a plant is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Temperature of the room, in °C.
    pub ambient: f64,
    /// Thermal resistance from the die to the sink, in K/W.
    pub die_resistance: f64,
    /// Heat capacity of the die, in J/K.
    pub die_capacity: f64,
    /// Thermal resistance from the sink to the room with the fan at rest, in K/W.
    pub sink_resistance: f64,
    /// Heat capacity of the sink, in J/K.
    pub sink_capacity: f64,
    /// Time constant of the sensor, in seconds.
    pub sensor_lag: f64,
    /// Half the width of the sensor's uniform noise, in K.
    pub sensor_noise: f64,
    /// How much each fan level lowers the sink's resistance: `R / (1 + gain · level)`.
    pub fan_gain: f64,
}

/// A plant at one instant.
#[derive(Clone, Debug)]
pub struct Plant {
    parameters: Parameters,
    die: f64,
    sink: f64,
    sensor: f64,
    noise: u64,
}

impl Plant {
    /// A plant that has rested in its room; `seed` is the noise's.
    pub fn at_rest(parameters: Parameters, seed: u64) -> Self {
        let ambient = parameters.ambient;
        Self {
            parameters,
            die: ambient,
            sink: ambient,
            sensor: ambient,
            noise: seed | 1,
        }
    }

    /// Lets `seconds` pass under a constant power in watts and a fan level.
    pub fn advance(&mut self, seconds: f64, watts: f64, fan_level: f64) {
        let p = &self.parameters;
        let shortest = (p.die_resistance * p.die_capacity).min(p.sensor_lag.max(0.01));
        let steps = (seconds / (shortest / 10.0)).ceil().max(1.0);
        let dt = seconds / steps;
        let out = p.sink_resistance / (1.0 + p.fan_gain * fan_level);
        for _ in 0..steps as u64 {
            let flow = (self.die - self.sink) / p.die_resistance;
            self.die += dt * (watts - flow) / p.die_capacity;
            self.sink += dt * (flow - (self.sink - p.ambient) / out) / p.sink_capacity;
            self.sensor += dt * (self.die - self.sensor) / p.sensor_lag.max(dt);
        }
    }

    /// The true temperature of the die, in °C.
    pub fn die(&self) -> f64 {
        self.die
    }

    /// What the sensor shows, in °C: late, noisy, and whole tenths as ACPI tells them.
    pub fn reading(&mut self) -> f64 {
        let noise = (self.uniform() * 2.0 - 1.0) * self.parameters.sensor_noise;
        ((self.sensor + noise) * 10.0).round() / 10.0
    }

    /// The temperature of the die that a constant power settles at, in °C.
    pub fn settled(&self, watts: f64, fan_level: f64) -> f64 {
        let p = &self.parameters;
        p.ambient + watts * (p.die_resistance + p.sink_resistance / (1.0 + p.fan_gain * fan_level))
    }

    /// xorshift64*: enough for noise, and the same on every machine.
    fn uniform(&mut self) -> f64 {
        self.noise ^= self.noise >> 12;
        self.noise ^= self.noise << 25;
        self.noise ^= self.noise >> 27;
        (self.noise.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Parameters {
        Parameters {
            ambient: 25.0,
            die_resistance: 0.6,
            die_capacity: 0.8,
            sink_resistance: 2.0,
            sink_capacity: 4.0,
            sensor_lag: 0.2,
            sensor_noise: 0.0,
            fan_gain: 0.25,
        }
    }

    #[test]
    fn it_settles_where_its_resistances_say() {
        let mut plant = Plant::at_rest(quiet(), 1);
        plant.advance(200.0, 20.0, 0.0);
        assert!((plant.die() - 77.0).abs() < 0.1, "{}", plant.die());
        assert!((plant.settled(20.0, 0.0) - 77.0).abs() < 1e-9);
        assert!((plant.reading() - plant.die()).abs() < 0.2);
        assert!(plant.settled(20.0, 3.0) < 65.0, "a fan cools");
    }

    #[test]
    fn the_sensor_is_late() {
        let mut plant = Plant::at_rest(quiet(), 1);
        plant.advance(0.3, 30.0, 0.0);
        assert!(plant.die() > plant.reading() + 1.0, "{plant:?}");
    }

    #[test]
    fn noise_is_bounded_and_the_same_for_the_same_seed() {
        let noisy = Parameters {
            sensor_noise: 0.5,
            ..quiet()
        };
        let mut one = Plant::at_rest(noisy.clone(), 7);
        let mut two = Plant::at_rest(noisy, 7);
        let readings: Vec<f64> = (0..200).map(|_| one.reading()).collect();
        assert!(readings.iter().all(|reading| (reading - 25.0).abs() <= 0.56));
        assert!(readings.iter().any(|reading| (reading - 25.0).abs() > 0.3));
        assert!(readings.iter().all(|reading| *reading == two.reading()));
    }
}
