//! One case under each law.

use control::{Dvfs, Utilisation};
use machine::{PowerProfile, Sample, Tuning};
use twin::roofline::cpufreq::Cpufreq;
use twin::roofline::engine::Engine;
use twin::roofline::rig::{Account, Rig};
use twin::roofline::work::Work;
use twin::roofline::{Machine, Model};

/// Half the width of a step's random slowness.
const JITTER: f64 = 0.03;

/// Who sets the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    Performance,
    Schedutil,
    Powersave,
    Phase,
}

impl Law {
    pub(crate) const ALL: [Self; 4] = [Self::Performance, Self::Schedutil, Self::Powersave, Self::Phase];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Performance => "performance",
            Self::Schedutil => "schedutil",
            Self::Powersave => "powersave",
            Self::Phase => "phase-aware",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|law| *law == self).unwrap_or_default()
    }
}

/// Work for a model on a machine.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) machine: Machine,
    pub(crate) model: Model,
    pub(crate) trace: &'static str,
    pub(crate) work: Work,
}

/// What a law came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Answers' tokens per second while decoding.
    pub(crate) tokens_per_second: f64,
    /// Joules of decode per token of the answers.
    pub(crate) decode_joules: f64,
    /// All joules of package and memory, prompts and pauses too, over the same length of time, per token.
    pub(crate) whole_joules: f64,
    /// The same with the rest of the box.
    pub(crate) box_joules: f64,
    /// Seconds of prompts.
    pub(crate) prefill_seconds: f64,
}

/// What a case came to under each law.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) machine: &'static str,
    pub(crate) model: &'static str,
    pub(crate) trace: &'static str,
    figures: [Figures; 4],
}

impl Outcome {
    pub(crate) fn figures(&self, law: Law) -> Figures {
        self.figures[law.index()]
    }
}

impl Case {
    pub(crate) fn new(machine: Machine, model: Model, trace: &'static str, work: Work) -> Self {
        Self {
            machine,
            model,
            trace,
            work,
        }
    }

    /// Runs the case under each law.
    pub(crate) fn run(&self) -> Outcome {
        let accounts = Law::ALL.map(|law| self.account(law));
        // `powersave` may take hours; the others are compared over the time of the slowest of them.
        let usual = [Law::Performance, Law::Schedutil, Law::Phase].map(|law| accounts[law.index()].seconds());
        let horizon = usual.into_iter().fold(0.0, f64::max);
        Outcome {
            machine: self.machine.name,
            model: self.model.name,
            trace: self.trace,
            figures: accounts.map(|account| self.figures(&account, horizon)),
        }
    }

    fn account(&self, law: Law) -> Account {
        let cpufreq = match law {
            Law::Phase => Cpufreq::new(&self.machine),
            other => Cpufreq::governed(&self.machine, other.name()),
        };
        let engine = Engine::new(self.model.clone(), &self.work, JITTER, 1);
        let mut rig = Rig::new(self.machine.clone(), cpufreq, engine);
        let mut dvfs = (law == Law::Phase).then(Dvfs::new);
        while !rig.is_done() {
            let sample = rig.advance();
            if let Some(dvfs) = &mut dvfs {
                decide(dvfs, &mut rig, &sample);
            }
        }
        *rig.account()
    }

    fn figures(&self, account: &Account, horizon: f64) -> Figures {
        let tokens = account.decode.tokens.max(1.0);
        let seconds = account.seconds().max(horizon);
        let resting = if account.rest.seconds > 0.0 {
            account.rest.joules / account.rest.seconds
        } else {
            self.machine.power.idle
        };
        let joules = account.joules() + (seconds - account.seconds()) * resting;
        Figures {
            tokens_per_second: tokens / account.decode.seconds,
            decode_joules: account.decode.joules / tokens,
            whole_joules: joules / tokens,
            box_joules: (joules + seconds * self.machine.power.board) / tokens,
            prefill_seconds: account.prefill.seconds,
        }
    }
}

fn decide(dvfs: &mut Dvfs, rig: &mut Rig, sample: &Sample) {
    let wish = dvfs.step(
        &rig.capabilities(),
        &Tuning::default(),
        PowerProfile::Balanced,
        sample,
        &Utilisation::default(),
    );
    rig.apply(&wish.policies);
}
