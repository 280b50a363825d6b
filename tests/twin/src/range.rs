//! Plants drawn by lot: a range of machines that no law has been told.
//!
//! Time constants are a tenth of a real machine's, whose heat sink takes minutes: so a test takes as many seconds.

use crate::description::Description;
use crate::plant::Parameters;

/// The seeds of one run: every scenario has a plant of its own, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Lot(u64);

impl Lot {
    /// A lot that always draws the same.
    pub fn new(seed: u64) -> Self {
        // Small seeds differ in few bits.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A plant on which the machine's processors, all busy, hold `target` for ever at a clock somewhere between 50 %
    /// and 80 % of the full one, with the fan at its fastest.
    pub fn plant(&mut self, machine: &Description, target: f64) -> Parameters {
        let full = f64::from(machine.fastest());
        let bearable = machine.busy_watts(self.between(0.50, 0.80) * full);
        let ambient = self.between(18.0, 32.0);
        let resistance = (target - ambient) / bearable;
        let die_resistance = resistance * self.between(0.15, 0.35);
        let fan_gain = self.between(0.1, 0.3);
        let fastest_fan = machine.fan_rpm.len().saturating_sub(1) as f64;
        let cooled = resistance - die_resistance;
        Parameters {
            ambient,
            die_resistance,
            die_capacity: self.between(0.2, 0.8) / die_resistance,
            sink_resistance: cooled * (1.0 + fan_gain * fastest_fan),
            sink_capacity: self.between(6.0, 18.0) / cooled,
            sensor_lag: self.between(0.05, 0.3),
            sensor_noise: self.between(0.05, 0.4),
            fan_gain,
        }
    }

    /// A plant in the open window: it bears everything, and cools in a few seconds.
    pub fn airy() -> Parameters {
        Parameters {
            ambient: 30.0,
            die_resistance: 0.2,
            die_capacity: 2.0,
            sink_resistance: 0.3,
            sink_capacity: 6.0,
            sensor_lag: 0.1,
            sensor_noise: 0.2,
            fan_gain: 0.1,
        }
    }

    /// A seed for what else is drawn.
    pub fn seed(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.seed() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// The fastest clock in MHz that busy processors can hold for ever without passing `target`, on a plant whose fan runs
/// at `fan_level`. Between two P-states it is what switching between them gives.
pub fn best_constant_megahertz(
    machine: &Description,
    plant: &Parameters,
    target: f64,
    fan_level: f64,
) -> f64 {
    let out = plant.sink_resistance / (1.0 + plant.fan_gain * fan_level);
    let bearable = (target - plant.ambient) / (plant.die_resistance + out);
    let (mut low, mut high) = (f64::from(machine.slowest()), f64::from(machine.fastest()));
    if machine.busy_watts(high) <= bearable {
        return high;
    }
    while high - low > 0.1 {
        let middle = (low + high) / 2.0;
        if machine.busy_watts(middle) <= bearable {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::Plant;

    #[test]
    fn every_plant_must_be_throttled_and_can_be() {
        let machine = Description::mini_pc(2);
        for seed in 0..500 {
            let plant = Lot::new(seed).plant(&machine, 80.0);
            let settled =
                |megahertz, fan| Plant::at_rest(plant.clone(), 1).settled(machine.busy_watts(megahertz), fan);
            assert!(settled(3200.0, 3.0) > 88.0, "{seed}: {plant:?}");
            assert!(settled(800.0, 0.0) < 75.0, "{seed}: {plant:?}");
            let best = best_constant_megahertz(&machine, &plant, 80.0, 3.0);
            assert!((1600.0..=2600.0).contains(&best), "{seed}: {best}");
            assert!((settled(best, 3.0) - 80.0).abs() < 0.1, "{seed}: {plant:?}");
        }
    }

    #[test]
    fn seeds_tell_plants_apart_and_repeat_them() {
        let machine = Description::mini_pc(2);
        let draw = |seed| Lot::new(seed).plant(&machine, 80.0);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn an_open_window_bears_everything() {
        let machine = Description::mini_pc(2);
        let plant = Plant::at_rest(Lot::airy(), 1);
        assert!(plant.settled(machine.busy_watts(3200.0), 0.0) < 50.0);
    }
}
