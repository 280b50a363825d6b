//! From logits to a token.

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token always; higher makes unlikely ones likelier.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability are taken; 1 takes all.
    pub top_p: f32,
    /// The same seed gives the same choices.
    pub seed: u64,
}

/// Chooses tokens for one sequence.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: SplitMix,
}

impl Sampler {
    /// One that chooses in this way.
    pub fn new(sampling: Sampling) -> Self {
        let random = SplitMix { state: sampling.seed };
        Self { sampling, random }
    }

    /// Chooses a token.
    pub fn sample(&mut self, logits: &[f32]) -> u32 {
        if self.sampling.temperature <= 0.0 {
            return greedy(logits);
        }
        let mut candidates = self.probabilities(logits);
        if self.sampling.top_p < 1.0 {
            keep_likeliest(&mut candidates, self.sampling.top_p);
        }
        let total: f32 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut rest = self.random.next_unit() * total;
        for &(token, weight) in &candidates {
            rest -= weight;
            if rest < 0.0 {
                return token;
            }
        }
        candidates
            .last()
            .map_or_else(|| greedy(logits), |&(token, _)| token)
    }

    /// Tokens with weights relative to the likeliest's. Those below a hundred-millionth of it are left out: all of a
    /// vocabulary's together would not be noticed.
    fn probabilities(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        let highest = logits
            .iter()
            .copied()
            .filter(|logit| !logit.is_nan())
            .fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| ((logit - highest) / self.sampling.temperature).exp();
        let weighted = logits
            .iter()
            .enumerate()
            .map(|(token, &logit)| (token as u32, weight(logit)));
        weighted.filter(|&(_, weight)| weight >= 1e-8).collect()
    }
}

/// The likeliest token; the first of equals. NaN is never likeliest.
pub fn greedy(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (token as u32, logit);
        }
    }
    best.0
}

fn keep_likeliest(candidates: &mut Vec<(u32, f32)>, top_p: f32) {
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f32 = candidates.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    let needed = candidates.iter().position(|(_, weight)| {
        sum += weight;
        sum >= top_p * total
    });
    if let Some(last) = needed {
        candidates.truncate(last + 1);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): any seed is as good as any other.
#[derive(Debug)]
struct SplitMix {
    state: u64,
}

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, 1.
    fn next_unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f32, top_p: f32, seed: u64) -> Sampler {
        Sampler::new(Sampling {
            temperature,
            top_p,
            seed,
        })
    }

    #[test]
    fn zero_temperature_is_greedy() {
        assert_eq!(sampler(0.0, 1.0, 1).sample(&[0.0, 3.0, f32::NAN, 3.0]), 1);
        assert_eq!(greedy(&[]), 0);
    }

    #[test]
    fn a_seed_repeats_its_choices() {
        let logits = [0.0, 0.1, 0.2, 0.3];
        let choices = |seed| {
            let mut sampler = sampler(1.0, 1.0, seed);
            (0..50).map(|_| sampler.sample(&logits)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }

    #[test]
    fn choices_follow_the_probabilities() {
        let logits = [0.0, 1.0_f32, 3_f32.ln() + 1.0, f32::NEG_INFINITY];
        let mut sampler = sampler(1.0, 1.0, 3);
        let mut counts = [0_u32; 4];
        for _ in 0..40_000 {
            counts[sampler.sample(&logits) as usize] += 1;
        }
        let total = 1.0 + 4.0 * std::f64::consts::E;
        let expected = [
            1.0 / total,
            std::f64::consts::E / total,
            3.0 * std::f64::consts::E / total,
            0.0,
        ];
        for (count, expected) in counts.into_iter().zip(expected) {
            assert!(
                (f64::from(count) / 40_000.0 - expected).abs() < 0.01,
                "{counts:?}"
            );
        }
    }

    #[test]
    fn top_p_leaves_out_the_unlikely() {
        let logits = [2_f32.ln(), 0.0, 7_f32.ln()];
        let mut sampler = sampler(1.0, 0.8, 5);
        for _ in 0..500 {
            assert_ne!(sampler.sample(&logits), 1);
        }
        assert_eq!(
            Sampler::new(Sampling {
                temperature: 1.0,
                top_p: 0.0,
                seed: 5
            })
            .sample(&logits),
            2
        );
    }

    #[test]
    fn nothing_but_nan_is_survived() {
        assert_eq!(sampler(1.0, 0.5, 1).sample(&[f32::NAN, f32::NAN]), 0);
    }
}
