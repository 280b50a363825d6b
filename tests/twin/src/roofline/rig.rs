//! A machine, its cpufreq and an engine on it, run together; with the energy that they take.

use super::cpufreq::Cpufreq;
use super::engine::Engine;
use super::{Load, Machine};
use machine::{
    BootTime, Capabilities, CpuSample, MicroJoules, MicroSeconds, PolicySetpoint, PowerDomain, PowerSample,
    Sample,
};

/// The package's powercap domain.
const DOMAIN: &str = "intel-rapl:0";
/// The simulation's step.
const STEP_USEC: u64 = 5_000;
/// What a system does in the background: a share of one core's time (**assumption**).
const BACKGROUND: f64 = 0.01;

/// Time, energy and tokens of one kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Seconds that it took.
    pub seconds: f64,
    /// Joules of the package and its memory.
    pub joules: f64,
    /// Tokens that it made.
    pub tokens: f64,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Account {
    /// Prompts.
    pub prefill: Sum,
    /// Answers.
    pub decode: Sum,
    /// Pauses.
    pub rest: Sum,
}

impl Account {
    /// All seconds.
    pub fn seconds(&self) -> f64 {
        self.prefill.seconds + self.decode.seconds + self.rest.seconds
    }

    /// All joules.
    pub fn joules(&self) -> f64 {
        self.prefill.joules + self.decode.joules + self.rest.joules
    }
}

/// All of it, running.
#[derive(Clone, Debug)]
pub struct Rig {
    machine: Machine,
    cpufreq: Cpufreq,
    engine: Engine,
    now: u64,
    clock: f64,
    busy_usec: u64,
    account: Account,
}

impl Rig {
    /// One that has just begun.
    pub fn new(machine: Machine, cpufreq: Cpufreq, engine: Engine) -> Self {
        Self {
            clock: machine.clock_min,
            machine,
            cpufreq,
            engine,
            now: STEP_USEC,
            busy_usec: 0,
            account: Account::default(),
        }
    }

    /// Whether all is answered.
    pub fn is_done(&self) -> bool {
        self.engine.is_done()
    }

    /// What the machine can do.
    pub fn capabilities(&self) -> Capabilities {
        let domain = PowerDomain {
            id: DOMAIN.into(),
            name: Some("package-0".into()),
            max_energy_range_uj: None,
            constraints: Vec::new(),
        };
        Capabilities {
            powercap: self.machine.metered.then_some(domain).into_iter().collect(),
            ..self.cpufreq.capabilities()
        }
    }

    /// The machine, to change it under way.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// The clock that the hardware runs, in GHz.
    pub fn clock(&self) -> f64 {
        self.clock
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What the run has come to.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What a policy is set to.
    pub fn apply(&mut self, setpoints: &[PolicySetpoint]) {
        for setpoint in setpoints {
            self.cpufreq.apply(setpoint);
        }
    }

    /// Lets time pass until something happens that a law is woken for: a phase record, an arrival, or one second.
    pub fn advance(&mut self) -> Sample {
        let until = self.now + 1_000_000;
        loop {
            let announced = self.engine.announced();
            self.step();
            let reported = self.engine.report(self.now).is_some();
            if reported || self.engine.announced() != announced || self.now >= until || self.is_done() {
                return self.sample();
            }
        }
    }

    fn step(&mut self) {
        let was_prefill = self.engine.is_prefill();
        let generated = self.engine.generated();
        let current = self.engine.current();
        let busy = if current.is_some() { 1.0 } else { BACKGROUND };
        let asked = self.cpufreq.advance(&self.machine, STEP_USEC, busy, self.clock);
        let load = current.map_or(
            Load::Rest {
                background: BACKGROUND,
            },
            |(model, step)| Load::Engine(model, step),
        );
        self.clock = self.machine.granted(load, asked);
        let joules = self.machine.watts(load, self.clock) * STEP_USEC as f64 / 1e6;
        let sum = match (current.is_some(), was_prefill) {
            (false, _) => &mut self.account.rest,
            (true, true) => &mut self.account.prefill,
            (true, false) => &mut self.account.decode,
        };
        sum.seconds += STEP_USEC as f64 / 1e6;
        sum.joules += joules;
        self.busy_usec += (busy * STEP_USEC as f64) as u64;
        self.engine
            .advance(&self.machine, self.now, STEP_USEC, self.clock);
        self.account.decode.tokens += (self.engine.generated() - generated) as f64;
        self.now += STEP_USEC;
    }

    fn sample(&self) -> Sample {
        let cpu = |id| CpuSample {
            id,
            busy_usec: MicroSeconds(self.busy_usec),
            idle_usec: MicroSeconds(self.now - self.busy_usec.min(self.now)),
        };
        Sample {
            at_usec: BootTime(self.now),
            policies: vec![self.cpufreq.sample(self.clock)],
            cpus: (0..self.machine.cores).map(cpu).collect(),
            powercap: vec![PowerSample {
                id: DOMAIN.into(),
                energy_uj: Some(MicroJoules((self.account.joules() * 1e6) as u64)),
                limits: Vec::new(),
            }],
            engine: Some(self.engine.reported().clone()),
            announced_at_usec: self.engine.announced().map(BootTime),
            ..Sample::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::work::{Request, Work};
    use crate::roofline::{machines, models};

    const WORK: Request = Request {
        gap_ms: 1000,
        prompt_tokens: 200,
        answer_tokens: 60,
    };

    fn run(governor: &str) -> Account {
        let machine = machines::n100();
        let engine = Engine::new(models::LLAMA_3B, &Work::repeated(2, WORK), 0.0, 1);
        let mut rig = Rig::new(machine.clone(), Cpufreq::governed(&machine, governor), engine);
        while !rig.is_done() {
            rig.advance();
        }
        *rig.account()
    }

    #[test]
    fn all_work_is_done_in_the_rooflines_time() {
        let account = run("performance");
        assert_eq!(account.decode.tokens, 120.0);
        let rate = account.decode.tokens / account.decode.seconds;
        assert!((6.0..8.0).contains(&rate), "{rate}");
        assert!((1.9..2.2).contains(&account.rest.seconds), "{account:?}");
    }

    #[test]
    fn schedutil_takes_waiting_for_work_and_runs_full_and_powersave_crawls() {
        let (full, following, floor) = (run("performance"), run("schedutil"), run("powersave"));
        assert!((following.decode.seconds / full.decode.seconds - 1.0).abs() < 0.02);
        assert!(following.rest.joules <= full.rest.joules);
        assert!(floor.prefill.seconds > full.prefill.seconds * 3.0);
    }
}
