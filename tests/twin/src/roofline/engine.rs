//! An engine that works through requests in the time that the roofline gives it.

use super::work::{Request, Work};
use super::{Machine, Model, Step};
use machine::{BootTime, EngineSample, Phase};
use std::collections::VecDeque;

/// Tokens of a prompt that share one reading of the weights.
const PIECE: f64 = 128.0;
/// Answers that are made at the same time.
const SLOTS: usize = 4;
/// The longest silence of a working engine, as `api::phase` has it.
const REPORT_USEC: u64 = 250_000;

#[derive(Clone, Debug)]
struct Sequence {
    session: usize,
    prompt_left: f64,
    answer_left: u32,
    depth: f64,
}

/// The engine with the people who use it.
#[derive(Clone, Debug)]
pub struct Engine {
    model: Model,
    tag: u64,
    waiting: Vec<VecDeque<Request>>,
    next: Vec<Option<u64>>,
    queue: VecDeque<Sequence>,
    active: Vec<Sequence>,
    /// The step under way, the share of it that is left, and how much longer than it should it takes.
    step: Option<(Step, f64, f64)>,
    jitter: f64,
    random: u64,
    generated: u64,
    progress: u64,
    token_usec: u64,
    reported: EngineSample,
    reported_token: (u64, u64),
    announced: Option<u64>,
}

impl Engine {
    /// An engine at rest, with work to come. `jitter` is half the width of a step's random slowness, relative.
    pub fn new(model: Model, work: &Work, jitter: f64, seed: u64) -> Self {
        let waiting: Vec<VecDeque<Request>> = work
            .sessions
            .iter()
            .map(|all| all.iter().copied().collect())
            .collect();
        let next = waiting
            .iter()
            .map(|all| all.front().map(|request| request.gap_ms * 1000))
            .collect();
        Self {
            tag: model.parameters as u64,
            model,
            waiting,
            next,
            queue: VecDeque::new(),
            active: Vec::new(),
            step: None,
            jitter,
            random: seed | 1,
            generated: 0,
            progress: 0,
            token_usec: 0,
            reported: EngineSample::default(),
            reported_token: (0, 0),
            announced: None,
        }
    }

    /// Whether all is answered.
    pub fn is_done(&self) -> bool {
        self.active.is_empty() && self.queue.is_empty() && self.next.iter().all(Option::is_none)
    }

    /// The step under way and its model; `None` at rest.
    pub fn current(&self) -> Option<(&Model, &Step)> {
        self.step.as_ref().map(|(step, _, _)| (&self.model, step))
    }

    /// Whether a prompt is run; decode otherwise.
    pub fn is_prefill(&self) -> bool {
        self.active.iter().any(|sequence| sequence.prompt_left > 0.0)
    }

    /// Tokens generated so far.
    pub fn generated(&self) -> u64 {
        self.generated
    }

    /// When the last request was announced, in µs.
    pub fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// Works from `now` for `usec` at a clock in GHz.
    pub fn advance(&mut self, machine: &Machine, now: u64, usec: u64, clock: f64) {
        self.arrive(now);
        let mut at = now as f64;
        let end = at + usec as f64;
        while at < end {
            self.admit();
            let Some((step, left, slowness)) = self.step.take().or_else(|| self.plan()) else {
                return;
            };
            let whole = machine.seconds(&self.model, &step, clock) * 1e6 * slowness;
            if at + whole * left > end {
                self.step = Some((step, left - (end - at) / whole, slowness));
                return;
            }
            at += whole * left;
            self.commit(&step, at as u64);
        }
    }

    fn arrive(&mut self, now: u64) {
        for session in 0..self.waiting.len() {
            if self.next[session].is_none_or(|at| at > now) {
                continue;
            }
            self.next[session] = None;
            if let Some(request) = self.waiting[session].pop_front() {
                self.announced = Some(now);
                self.queue.push_back(Sequence {
                    session,
                    prompt_left: f64::from(request.prompt_tokens),
                    answer_left: request.answer_tokens,
                    depth: 0.0,
                });
            }
        }
    }

    fn admit(&mut self) {
        while self.step.is_none() && self.active.len() < SLOTS {
            let Some(sequence) = self.queue.pop_front() else {
                return;
            };
            self.active.push(sequence);
        }
    }

    fn plan(&mut self) -> Option<(Step, f64, f64)> {
        let prompt = self.active.iter().find(|sequence| sequence.prompt_left > 0.0);
        let step = match prompt {
            Some(sequence) => Step::prefill(sequence.prompt_left.min(PIECE), sequence.depth),
            None if self.active.is_empty() => return None,
            None => {
                let deep: f64 = self.active.iter().map(|sequence| sequence.depth).sum();
                let sequences = self.active.len() as f64;
                Step::decode(sequences, deep / sequences)
            }
        };
        let slowness = 1.0 + self.jitter * (2.0 * self.uniform() - 1.0);
        Some((step, 1.0, slowness))
    }

    fn commit(&mut self, step: &Step, at: u64) {
        self.progress += step.tokens as u64;
        if let Some(sequence) = self.active.iter_mut().find(|sequence| sequence.prompt_left > 0.0) {
            sequence.prompt_left -= step.tokens;
            sequence.depth += step.tokens;
            return;
        }
        for sequence in &mut self.active {
            sequence.depth += 1.0;
            sequence.answer_left = sequence.answer_left.saturating_sub(1);
        }
        self.generated += self.active.len() as u64;
        self.token_usec = at;
        let done = self.active.iter().filter(|sequence| sequence.answer_left == 0);
        for session in done.map(|sequence| sequence.session) {
            self.next[session] = self.waiting[session]
                .front()
                .map(|request| at + request.gap_ms * 1000);
        }
        self.active.retain(|sequence| sequence.answer_left > 0);
    }

    /// A new phase record, if one is due: at every change, and every quarter of a second while there is work.
    pub fn report(&mut self, now: u64) -> Option<&EngineSample> {
        let phase = match () {
            () if self.active.is_empty() => Phase::Idle,
            () if self.is_prefill() => Phase::Prefill,
            () => Phase::Decode,
        };
        let state = (phase, self.queue.len() as u32, self.active.len() as u32);
        let before = (
            self.reported.phase,
            self.reported.queue_depth,
            self.reported.active,
        );
        let silent = now.saturating_sub(self.reported.at_usec.0);
        if state == before && (phase == Phase::Idle || silent < REPORT_USEC) {
            return None;
        }
        let (tokens, usec) = self.reported_token;
        let fresh = self.generated - tokens;
        let span = self.token_usec.saturating_sub(usec);
        let rate = (phase == Phase::Decode && fresh > 0 && span > 0 && before.0 == Phase::Decode)
            .then(|| (fresh as f64 * 1e6 / span as f64) as f32);
        if fresh > 0 {
            self.reported_token = (self.generated, self.token_usec);
        }
        let deepest = self
            .active
            .iter()
            .map(|sequence| sequence.depth)
            .fold(0.0, f64::max);
        self.reported = EngineSample {
            at_usec: BootTime(now),
            phase,
            queue_depth: state.1,
            active: state.2,
            progress: self.progress,
            generated: self.generated,
            model: self.tag,
            tokens_per_second: rate,
            kv_tokens: deepest as u32,
            ..EngineSample::default()
        };
        Some(&self.reported)
    }

    /// The newest record.
    pub fn reported(&self) -> &EngineSample {
        &self.reported
    }

    /// xorshift64*, as in [`crate::plant`].
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}
