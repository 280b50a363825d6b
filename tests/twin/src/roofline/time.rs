//! How long a step takes.

use super::{Load, Machine, Model};

/// A turn of the engine: tokens that share one reading of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Tokens that are computed: one per sequence in decode, a whole piece of a prompt in prefill.
    pub tokens: f64,
    /// Tokens in the KV caches that are read, all sequences together.
    pub kv_read: f64,
    /// Depth of the KV cache that a token attends to, on average.
    pub depth: f64,
}

/// What a step is bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Moving bytes.
    Memory,
    /// Arithmetic.
    Arithmetic,
}

impl Step {
    /// A turn of decode with so many sequences, each so deep.
    pub fn decode(sequences: f64, depth: f64) -> Self {
        Self {
            tokens: sequences,
            kv_read: sequences * depth,
            depth,
        }
    }

    /// A piece of a prompt that starts at a depth.
    pub fn prefill(tokens: f64, depth: f64) -> Self {
        Self {
            tokens,
            kv_read: depth + tokens / 2.0,
            depth: depth + tokens / 2.0,
        }
    }

    /// Bytes that it moves.
    pub fn bytes(&self, model: &Model) -> f64 {
        model.weight_bytes + self.kv_read * model.kv_bytes_per_token
    }

    fn operations(&self, model: &Model) -> f64 {
        self.tokens * (2.0 * model.parameters + 4.0 * model.layers * model.width * self.depth)
    }
}

impl Machine {
    /// Bytes per second at a clock in GHz.
    pub fn bandwidth(&self, clock: f64) -> f64 {
        let slower = (1.0 - clock / self.clock_all_cores).max(0.0);
        self.speed.bandwidth * 1e9 * (1.0 - self.speed.bandwidth_slope * slower)
    }

    fn memory_seconds(&self, model: &Model, step: &Step, clock: f64) -> f64 {
        step.bytes(model) / self.bandwidth(clock)
    }

    fn arithmetic_seconds(&self, model: &Model, step: &Step, clock: f64) -> f64 {
        let rate = self.speed.operations_per_cycle * f64::from(self.cores) * clock * 1e9;
        step.operations(model) / rate
    }

    /// Seconds that a step takes at a clock in GHz.
    pub fn seconds(&self, model: &Model, step: &Step, clock: f64) -> f64 {
        let memory = self.memory_seconds(model, step, clock);
        let arithmetic = self.arithmetic_seconds(model, step, clock);
        let hidden = (1.0 - self.speed.overlap) * memory.min(arithmetic);
        memory.max(arithmetic) + hidden + self.speed.overhead_cycles / (clock * 1e9)
    }

    /// Which roof a step is under at a clock in GHz.
    pub fn bound(&self, model: &Model, step: &Step, clock: f64) -> Bound {
        if self.arithmetic_seconds(model, step, clock) > self.memory_seconds(model, step, clock) {
            Bound::Arithmetic
        } else {
            Bound::Memory
        }
    }

    /// The share of a step's time in which cores compute rather than wait.
    pub(super) fn computing(&self, model: &Model, step: &Step, clock: f64) -> f64 {
        let arithmetic = self.arithmetic_seconds(model, step, clock);
        let own = self.speed.overhead_cycles / (clock * 1e9);
        ((arithmetic + own) / self.seconds(model, step, clock)).min(1.0)
    }

    /// The lowest clock in GHz that keeps a step's speed within a share of that at the full clock, which is the highest
    /// that the power limit leaves: what a law should find, to 1 MHz.
    pub fn lowest_clock(&self, model: &Model, step: &Step, loss: f64) -> f64 {
        let full = self.granted(Load::Engine(model, step), self.clock_max);
        let allowed = self.seconds(model, step, full) / (1.0 - loss);
        let (mut low, mut high) = (self.clock_min, full);
        while high - low > 0.001 {
            let middle = (low + high) / 2.0;
            if self.seconds(model, step, middle) <= allowed {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// Joules of a step at a clock in GHz.
    pub fn joules(&self, model: &Model, step: &Step, clock: f64) -> f64 {
        self.watts(Load::Engine(model, step), clock) * self.seconds(model, step, clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::{machines, models};

    #[test]
    fn it_gives_the_speeds_that_were_published() {
        let rate = |machine: Machine, model: &Model, step: Step| {
            step.tokens / machine.seconds(model, &step, machine.clock_all_cores)
        };
        let close = |got: f64, published: f64| {
            assert!((got / published - 1.0).abs() < 0.12, "{got} for {published}");
        };
        let decode = Step::decode(1.0, 64.0);
        close(rate(machines::n100(), &models::LLAMA_8B, decode), 3.01);
        close(rate(machines::raspberry_pi_5(), &models::LLAMA_8B, decode), 2.17);
        close(rate(machines::raspberry_pi_5(), &models::LLAMA_3B, decode), 4.88);
        let prompt = Step::prefill(512.0, 0.0);
        close(rate(machines::n100(), &models::LLAMA_8B, prompt), 6.53);
    }

    #[test]
    fn prefill_is_bound_by_arithmetic_and_one_sequence_by_memory() {
        for machine in machines::all() {
            let clock = machine.clock_all_cores;
            let one = Step::decode(1.0, 100.0);
            assert_eq!(machine.bound(&models::LLAMA_8B, &one, clock), Bound::Memory);
            let prompt = Step::prefill(256.0, 0.0);
            assert_eq!(
                machine.bound(&models::LLAMA_8B, &prompt, clock),
                Bound::Arithmetic
            );
        }
        let four = Step::decode(4.0, 100.0);
        let n100 = machines::n100();
        assert_eq!(n100.bound(&models::LLAMA_8B, &four, 2.9), Bound::Arithmetic);
        let full = n100.granted(Load::Engine(&models::LLAMA_8B, &four), 3.4);
        assert!(n100.lowest_clock(&models::LLAMA_8B, &four, 0.03) > full * 0.95);
        assert!(n100.lowest_clock(&models::LLAMA_8B, &Step::decode(1.0, 100.0), 0.03) < 2.3);
    }

    #[test]
    fn a_deeper_cache_and_a_lower_clock_are_slower() {
        let machine = machines::ryzen_5825u();
        let at =
            |depth: f64, clock: f64| machine.seconds(&models::LLAMA_3B, &Step::decode(1.0, depth), clock);
        assert!(at(4000.0, 3.0) > at(0.0, 3.0) * 1.1);
        assert!(at(100.0, 0.4) > at(100.0, 3.0) * 1.1);
    }
}
