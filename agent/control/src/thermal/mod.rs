//! The thermal law: how much of its full power the processor may draw so that a target temperature is held.
//!
//! Predictive, and without knowing the machine. An observer ([`observer`]) tells the temperature `T` and the drift `d`
//! it would have without power. The law ([`law`]) wants the gap to the target to close like `e^(−k·t)`, that is a slope
//! of `k·(target − T)`, and permits the power that gives it: `p = (k·(target − T) − d) / b`. A die that warms by 10 K/s
//! is so throttled from `10/k` below the target on, a slow one only when it is there; a plant at rest on its target has
//! `p` at the very power that holds it there, which nobody needs to know beforehand. Clocks come of it by [`caps`].

mod caps;
mod dither;
mod law;
mod observer;
mod reach;

pub(crate) use caps::Caps;
pub(crate) use law::{Heat, Law};
