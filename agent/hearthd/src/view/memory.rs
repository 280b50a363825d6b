//! The answer to `Memory`.

use api::memory::{Goal, MemoryUse, Reclaiming};
use control::MemoryGoal;
use machine::{MemoryBreakdown, PressureDecision};

/// Who holds memory, and what is done about it.
pub(crate) fn memory(
    breakdown: MemoryBreakdown,
    goal: MemoryGoal,
    reclaim: Reclaiming,
    pressure: PressureDecision,
) -> MemoryUse {
    MemoryUse {
        used: breakdown.used(),
        parts: breakdown.used_parts(),
        goal: Goal {
            aim: goal.aim,
            limit: goal.limit,
        },
        reclaim,
        pressure,
        breakdown,
    }
}
