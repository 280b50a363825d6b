//! A machine with an engine that does as it is told and a hog beside it, and a kernel under which tasks wait the longer the
//! less is available. Made up: it shows what the law does, not what a real machine does.

use super::{TOTAL, stall};
use control::{PressureLaw, WHOLE_CONTEXT};
use machine::{BootTime, Bytes, Memory, PressureLevel, PressureSample};

const SECOND: u64 = 1_000_000;
const MB: u64 = 1_000_000;
/// The kernel and all other programs.
const BASE: u64 = 200 * MB;
/// The engine without any conversation, its weights being pages of files.
const ENGINE: u64 = 300 * MB;
/// What idle conversations' keys and values hold, when nobody asks for it back.
const IDLE: u64 = 1600 * MB;
/// The same of those that are answered, for each token of a sequence that may be.
const TOKEN: u64 = MB / 2;

/// A program that takes memory, and is gone after a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hog {
    rate: u64,
    seconds: u64,
}

pub(crate) struct Plant {
    law: PressureLaw,
    hog: Hog,
    second: u64,
    some: u64,
    full: u64,
    level: PressureLevel,
    highest: PressureLevel,
    context: Option<u32>,
    engine: Option<Engine>,
    ended: u32,
    ran_out: bool,
}

/// What the engine holds beside its weights.
struct Engine {
    context: u32,
    idle: u64,
    answered: u64,
}

impl Hog {
    /// So many MB a second, for so many seconds.
    pub(crate) fn new(rate: u64, seconds: u64) -> Self {
        Self { rate, seconds }
    }

    fn holds(self, second: u64) -> u64 {
        if second < self.seconds {
            second * self.rate * MB
        } else {
            0
        }
    }
}

impl Plant {
    pub(crate) fn new(hog: Hog) -> Self {
        Self {
            law: PressureLaw::default(),
            hog,
            second: 0,
            some: 0,
            full: 0,
            level: PressureLevel::None,
            highest: PressureLevel::None,
            context: None,
            engine: Some(Engine::new(None)),
            ended: 0,
            ran_out: false,
        }
    }

    pub(crate) fn level(&self) -> PressureLevel {
        self.level
    }

    /// The highest level there was.
    pub(crate) fn highest(&self) -> PressureLevel {
        self.highest
    }

    pub(crate) fn context(&self) -> Option<u32> {
        self.context
    }

    /// How many times the engine was ended.
    pub(crate) fn ended(&self) -> u32 {
        self.ended
    }

    /// Whether memory has run out.
    pub(crate) fn has_run_out(&self) -> bool {
        self.ran_out
    }

    pub(crate) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            self.lose();
            let decision = self.law.step(&self.sample());
            self.level = decision.level;
            self.context = decision.context;
            self.highest = self.highest.max(self.level);
            self.obey();
        }
    }

    fn available(&self) -> u64 {
        let engine = self.engine.as_ref().map_or(0, Engine::holds);
        TOTAL.saturating_sub(BASE + engine + self.hog.holds(self.second))
    }

    /// Time is lost from a tenth of the memory on: half of it where nothing is left.
    fn lose(&mut self) {
        let enough = TOTAL / 10;
        let missing = enough.saturating_sub(self.available());
        self.some += SECOND / 2 * (missing / MB) / (enough / MB);
        self.full += SECOND / 5 * (missing / MB) / (enough / MB);
        self.ran_out |= missing == enough;
    }

    fn obey(&mut self) {
        match &mut self.engine {
            Some(_) if self.level == PressureLevel::Shrink => {
                self.engine = None;
                self.ended += 1;
            }
            Some(engine) => engine.obey(self.level),
            None if self.level < PressureLevel::Refuse => self.engine = Some(Engine::new(self.context)),
            None => {}
        }
    }

    fn sample(&self) -> PressureSample {
        PressureSample {
            at_usec: BootTime(self.second * SECOND),
            memory: Memory {
                mem_total: Some(Bytes(TOTAL)),
                mem_available: Some(Bytes(self.available())),
                ..Memory::default()
            },
            stall: Some(stall(self.some, self.full)),
            engine_runs: self.engine.is_some(),
            context: self.engine.as_ref().map(|engine| engine.context),
        }
    }
}

impl Engine {
    fn new(context: Option<u32>) -> Self {
        let context = context.unwrap_or(WHOLE_CONTEXT);
        Self {
            context,
            idle: IDLE,
            answered: u64::from(context) * TOKEN,
        }
    }

    fn holds(&self) -> u64 {
        ENGINE + self.idle + self.answered
    }

    /// Where new requests are refused, those that are being answered end within a while.
    fn obey(&mut self, level: PressureLevel) {
        self.idle = match level {
            PressureLevel::None => IDLE,
            PressureLevel::Trim => IDLE / 2,
            _ => 0,
        };
        if level >= PressureLevel::Refuse {
            self.answered -= self.answered / 32;
        }
    }
}
