//! A thermal plant: how a processor warms, how its heat sink follows, and what its sensor shows of that.
//!
//! Two RC stages in a row (die → sink → room), the die's small and fast, the sink's large and slow, and a first-order
//! lag in the sensor, which is quantised and noisy. Exact stepping is not needed: the step is far below the shortest
//! time constant.
//!
//! A [`Processor`] turns clock and load into the watts that heat it; [`Dice`] draw both from a range that no law knows.

/// Numbers that look random and are the same on every machine for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for a seed.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and the state must not be nought (SplitMix64's mixer).
        let mixed = (seed.wrapping_add(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// A number from `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A number from `low` to `high`, each octave as likely as the next; both are positive.
    pub fn by_octaves(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// One of several, of which there is at least one.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[((self.uniform() * choices.len() as f64) as usize).min(choices.len() - 1)]
    }

    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a processor draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    /// Cores, each with a clock of its own.
    pub cores: u32,
    /// The clocks it has, in kHz, ascending.
    pub clocks: Vec<u64>,
    /// Power at rest, in watts.
    pub idle_watts: f64,
    /// What each core draws beyond that at its highest clock under full load, in watts.
    pub core_watts: f64,
    /// The voltage at clock 0 as a share of that at the highest: V(f) = offset + (1 − offset)·f/f_max.
    pub voltage_offset: f64,
}

impl Processor {
    /// Two cores and about 30 W, with a table of steps from 100 to 400 MHz.
    pub fn drawn(dice: &mut Dice) -> Self {
        let step = dice.one_of(&[100_000, 200_000, 400_000]);
        let steps = dice.between(1_200_000.0, 2_800_000.0) as u64 / step;
        Self {
            cores: 2,
            clocks: (0..=steps).map(|number| 800_000 + number * step).collect(),
            idle_watts: dice.between(1.0, 3.0),
            core_watts: dice.between(12.0, 16.0),
            voltage_offset: dice.between(0.45, 0.8),
        }
    }

    /// The highest clock, in kHz; 0 if it has none.
    pub fn highest(&self) -> u64 {
        self.clocks.last().copied().unwrap_or(0)
    }

    /// What all cores draw at one clock in kHz, each under the same load from 0 to 1: `C·V²·f`.
    pub fn watts(&self, clock: f64, load: f64) -> f64 {
        let ratio = clock / self.highest().max(1) as f64;
        let voltage = self.voltage_offset + (1.0 - self.voltage_offset) * ratio;
        self.idle_watts + f64::from(self.cores) * self.core_watts * load * ratio * voltage * voltage
    }

    /// The highest clock in kHz, between or on those of the table, at which full load draws no more than `watts`.
    pub fn clock_within(&self, watts: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.highest() as f64);
        if self.watts(high, 1.0) <= watts {
            return high;
        }
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if self.watts(middle, 1.0) <= watts {
                low = middle
            } else {
                high = middle
            }
        }
        low
    }
}

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

impl Parameters {
    /// A mini PC's cooling for a processor of about 30 W. Time constants are those of a real machine, or, where
    /// `shortened`, a tenth of them, for simulations that cannot wait.
    pub fn drawn(dice: &mut Dice, shortened: bool) -> Self {
        let die_resistance = dice.between(0.2, 0.6);
        let sink_resistance = dice.between(1.4, 2.8);
        let sink_seconds = if shortened {
            dice.by_octaves(5.0, 20.0)
        } else {
            dice.by_octaves(60.0, 200.0)
        };
        Self {
            ambient: dice.between(18.0, 32.0),
            die_resistance,
            die_capacity: dice.by_octaves(0.2, 1.0) / die_resistance,
            sink_resistance,
            sink_capacity: sink_seconds / sink_resistance,
            sensor_lag: dice.by_octaves(0.1, 1.0),
            sensor_noise: dice.between(0.0, 0.5),
            fan_gain: 0.25,
        }
    }
}

/// A plant at one instant.
#[derive(Clone, Debug)]
pub struct Plant {
    parameters: Parameters,
    die: f64,
    sink: f64,
    sensor: f64,
    noise: Dice,
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
            noise: Dice::new(seed),
        }
    }

    /// From now on it is made of something else: a fan that fails, a window that opens. Its temperatures stay.
    pub fn change(&mut self, parameters: Parameters) {
        self.parameters = parameters;
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
        let noise = self.noise.between(-1.0, 1.0) * self.parameters.sensor_noise;
        ((self.sensor + noise) * 10.0).round() / 10.0
    }

    /// The temperature of the die that a constant power settles at, in °C.
    pub fn settled(&self, watts: f64, fan_level: f64) -> f64 {
        let p = &self.parameters;
        p.ambient + watts * (p.die_resistance + p.sink_resistance / (1.0 + p.fan_gain * fan_level))
    }

    /// The power in watts that holds the die at a temperature in °C.
    pub fn holding(&self, temperature: f64, fan_level: f64) -> f64 {
        (temperature - self.parameters.ambient) / (self.settled(1.0, fan_level) - self.parameters.ambient)
    }

    /// The room becomes warmer by so many K.
    pub fn warm_room(&mut self, by: f64) {
        self.parameters.ambient += by;
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
    fn a_power_holds_what_it_settles_at() {
        let plant = Plant::at_rest(quiet(), 1);
        assert!((plant.holding(plant.settled(17.0, 2.0), 2.0) - 17.0).abs() < 1e-9);
    }

    #[test]
    fn power_is_convex_in_the_clock_and_can_be_turned_round() {
        let processor = Processor::drawn(&mut Dice::new(3));
        let top = processor.highest() as f64;
        let (low, middle, high) = (
            processor.watts(0.4 * top, 1.0),
            processor.watts(0.7 * top, 1.0),
            processor.watts(top, 1.0),
        );
        assert!(high - middle > middle - low && low > processor.watts(top, 0.0));
        assert!((processor.clock_within(middle) - 0.7 * top).abs() < 1.0);
        assert_eq!(processor.clock_within(2.0 * high), top);
    }

    #[test]
    fn drawn_plants_lie_in_their_range_and_differ() {
        let drawn: Vec<Parameters> = (0..50)
            .map(|seed| Parameters::drawn(&mut Dice::new(seed), seed % 2 == 0))
            .collect();
        for (one, other) in drawn.iter().zip(&drawn[1..]) {
            assert_ne!(one, other);
            let die_seconds = one.die_resistance * one.die_capacity;
            assert!(
                (0.2..=1.0).contains(&die_seconds) && (0.1..=1.0).contains(&one.sensor_lag),
                "{one:?}"
            );
        }
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
