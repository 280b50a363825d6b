//! What a test has arranged: the plant, and what is broken in it.

use twin::plant::Parameters;
use twin::range::Lot;

/// What the sensor shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sensor {
    /// The plant's temperature, late and noisy.
    #[default]
    Honest,
    /// One value for ever, in °C, believable or not.
    Shows(f64),
    /// Nothing: reading it fails.
    Gone,
}

/// Everything that a test can change while the guest runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What the plant is made of.
    pub plant: Parameters,
    /// What its sensor shows.
    pub sensor: Sensor,
    /// The fan stands still, whatever level it is set to.
    pub fan_failed: bool,
    /// Heat that comes from elsewhere, in watts, that no clock can lower.
    pub further_watts: f64,
    /// The guest's processors really run slower at lower clocks.
    pub slow_down: bool,
}

impl Default for Stage {
    /// A plant in the open window, everything whole: how a guest boots.
    fn default() -> Self {
        Self {
            plant: Lot::airy(),
            sensor: Sensor::Honest,
            fan_failed: false,
            further_watts: 0.0,
            slow_down: false,
        }
    }
}
