//! `hearth memory`: what is used, who holds it, and what is done about it.

use crate::{
    client::Client,
    screen::{self, BAD, WARN, known, line, section},
};
use api::memory::{MemoryUse, Reclaiming};
use machine::{
    Bytes, CgroupStat, MemoryZone, PressureDecision, PressureLevel, ReclaimState, UsedParts, Zram,
};

/// Shows who holds memory.
pub(crate) async fn memory(client: &Client, json: bool) -> anyhow::Result<()> {
    let memory: MemoryUse = client.get("/api/v1/memory").await?;
    if json {
        return screen::json(&memory);
    }
    screen::print(&render(&memory))?;
    Ok(())
}

fn render(memory: &MemoryUse) -> String {
    let seen = &memory.breakdown;
    let mut text = String::new();
    line(&mut text, "Used", used(memory));
    let goal = memory.goal;
    line(
        &mut text,
        "While quiet",
        format!("{} are aimed at, {} at most", goal.aim, goal.limit),
    );
    line(&mut text, "Swap", swap(memory));
    line(&mut text, "Given back", given_back(&memory.reclaim));
    line(&mut text, "Pressure", pressure(&memory.pressure));
    let rows = memory.parts.as_ref().map_or_else(Vec::new, parts);
    text.push_str(&section(["HELD BY", "MEMORY", "WHAT"], rows));
    text.push_str(&section(["AVAILABLE", "MEMORY"], available(memory)));
    let rows = seen.cgroups.iter().map(unit).collect();
    let head = [
        "UNIT",
        "ALL",
        "PROGRAMS",
        "FILES",
        "TMPFS",
        "KERNEL",
        "SWAPPED",
        "MISSED PAGES",
    ];
    text.push_str(&section(head, rows));
    let rows = seen.zram.iter().map(zram).collect();
    text.push_str(&section(["ZRAM", "HOLDS", "COMPRESSED", "TAKES", "BY"], rows));
    let rows = seen.memory_zones.iter().filter(|zone| zone.managed.0 > 0);
    let rows = rows.map(|zone| self::zone(zone, seen.page_size)).collect();
    let head = ["ZONE", "SIZE", "FREE", "MIN", "LOW", "HIGH", "PROTECTED"];
    text.push_str(&section(head, rows));
    text.push_str(&screen::warnings(&seen.warnings));
    text
}

fn used(memory: &MemoryUse) -> String {
    let total = known(memory.breakdown.meminfo.memory.mem_total);
    let Some(used) = memory.used else {
        return format!("{BAD}unknown{BAD:#} of {total}");
    };
    let style = if used > memory.goal.limit {
        WARN
    } else {
        anstyle::Style::new()
    };
    format!("{style}{used}{style:#} of {total}: what new work cannot have (MemTotal − MemAvailable)")
}

fn swap(memory: &MemoryUse) -> String {
    let meminfo = &memory.breakdown.meminfo.memory;
    let total = meminfo.swap_total;
    let taken = total
        .zip(meminfo.swap_free)
        .and_then(|(total, free)| total.0.checked_sub(free.0));
    format!("{} used of {}", known(taken.map(Bytes)), known(total))
}

fn given_back(reclaim: &Reclaiming) -> String {
    let now = match reclaim.state {
        ReclaimState::Unknown => "something that it takes to decide cannot be read",
        ReclaimState::Waiting => "nothing is taken, as the engine works or has just worked",
        ReclaimState::AtGoal => "nothing is taken, as no more is used than is aimed at",
        ReclaimState::NoSwap => "nothing can be taken, as swap has no room",
        ReclaimState::Reclaiming => "more is being taken",
        ReclaimState::Spent => "nothing is taken, as what is left is in use",
    };
    format!(
        "{} by idle programs, of {} asked for; {now}",
        reclaim.yielded, reclaim.asked
    )
}

fn pressure(pressure: &PressureDecision) -> String {
    let now = match pressure.level {
        PressureLevel::None => "none".to_owned(),
        PressureLevel::Trim => format!("{WARN}idle conversations may hold half as much{WARN:#}"),
        PressureLevel::Park => format!("{WARN}idle conversations are on the disk{WARN:#}"),
        PressureLevel::Refuse => format!("{BAD}new requests are refused{BAD:#}"),
        PressureLevel::Shrink => format!("{BAD}the engine ends to come back smaller{BAD:#}"),
    };
    let share =
        |share: Option<f32>| share.map_or_else(|| "unknown".to_owned(), |share| format!("{share:.1} %"));
    let seen = pressure.seen;
    let context = pressure
        .context
        .map(|context| format!("; contexts have {context} tokens for a while"));
    format!(
        "{now}; some task waited for memory {} of the time, all {}{}",
        share(seen.some),
        share(seen.full),
        context.unwrap_or_default()
    )
}

fn parts(parts: &UsedParts) -> Vec<[String; 3]> {
    let row = |name: &str, bytes: Bytes, what: &str| [name.to_owned(), bytes.to_string(), what.to_owned()];
    let sign = if parts.rest < 0 { "-" } else { "" };
    let rest = format!("{sign}{}", Bytes(parts.rest.unsigned_abs()));
    vec![
        row("programs", parts.anon, "memory that no file backs"),
        row("tmpfs", parts.shmem, "and shared memory"),
        row("zram", parts.zram, "programs' memory, compressed"),
        row(
            "slabs",
            parts.slab,
            "the kernel's objects that it cannot give back",
        ),
        row("threads", parts.threads, "their kernel stacks and page tables"),
        row(
            "tables",
            parts.tables,
            "modules, large tables, what each processor has",
        ),
        row(
            "reserve",
            parts.reserve,
            "free, and kept back: lowmem_reserve and high watermarks",
        ),
        row(
            "withheld",
            parts.withheld,
            "files and slabs that could go, up to the low watermarks",
        ),
        ["rest".to_owned(), rest, "what nothing above explains".to_owned()],
    ]
}

/// What is not among the used, but for what is kept back of it.
fn available(memory: &MemoryUse) -> Vec<[String; 2]> {
    let meminfo = &memory.breakdown.meminfo;
    let file = meminfo.active_file.zip(meminfo.inactive_file);
    let rows = [
        (
            "pages of files",
            file.and_then(|(active, rest)| active.0.checked_add(rest.0))
                .map(Bytes),
        ),
        ("  mapped by programs", meminfo.mapped),
        (
            "slabs that can go",
            meminfo.k_reclaimable.or(meminfo.s_reclaimable),
        ),
        ("free", meminfo.memory.mem_free),
    ];
    rows.map(|(name, bytes)| [name.to_owned(), known(bytes)]).into()
}

fn unit(group: &CgroupStat) -> [String; 8] {
    let name = group.path.rsplit('/').next().unwrap_or(&group.path);
    let missed = group.workingset_refault_anon.zip(group.workingset_refault_file);
    let missed = missed.map(|(anon, file)| anon.0.saturating_add(file.0));
    [
        name.to_owned(),
        known(group.current),
        known(group.anon),
        known(group.file),
        known(group.shmem),
        known(group.kernel),
        known(group.swap_current),
        known(missed),
    ]
}

fn zram(zram: &Zram) -> [String; 5] {
    [
        format!("zram{}", zram.id),
        format!("{} of {}", zram.orig_data_size, known(zram.disksize)),
        zram.compr_data_size.to_string(),
        zram.mem_used_total.to_string(),
        known(zram.comp_algorithm.as_deref()),
    ]
}

fn zone(zone: &MemoryZone, page: Option<Bytes>) -> [String; 7] {
    let bytes = |pages: u64| known(page.and_then(|page| page.0.checked_mul(pages)).map(Bytes));
    let protected = zone.protection.iter().max().map_or(0, |pages| pages.0);
    [
        format!("{} of node {}", zone.name, zone.node),
        bytes(zone.managed.0),
        bytes(zone.free.0),
        bytes(zone.min.0),
        bytes(zone.low.0),
        bytes(zone.high.0),
        bytes(protected),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::memory::Goal;
    use machine::{Meminfo, Memory, MemoryBreakdown, Pages, PressureSeen, Warning};

    const MIB: u64 = 1 << 20;

    fn machine() -> MemoryUse {
        let breakdown = MemoryBreakdown {
            page_size: Some(Bytes(4096)),
            meminfo: Meminfo {
                memory: Memory {
                    mem_total: Some(Bytes(2048 * MIB)),
                    mem_available: Some(Bytes(1848 * MIB)),
                    swap_total: Some(Bytes(1024 * MIB)),
                    swap_free: Some(Bytes(1000 * MIB)),
                    ..Memory::default()
                },
                ..Meminfo::default()
            },
            memory_zones: vec![MemoryZone {
                name: "DMA32".to_owned(),
                managed: Pages(2048 * MIB / 4096),
                low: Pages(256),
                ..MemoryZone::default()
            }],
            zram: vec![Zram {
                mem_used_total: Bytes(9 * MIB),
                ..Zram::default()
            }],
            cgroups: vec![CgroupStat {
                path: "system.slice/bad\u{1b}[2J.service".to_owned(),
                current: Some(Bytes(7 * MIB)),
                ..CgroupStat::default()
            }],
            warnings: vec![Warning {
                path: "/proc/x".to_owned(),
                problem: "is missing".to_owned(),
            }],
            ..MemoryBreakdown::default()
        };
        MemoryUse {
            used: breakdown.used(),
            parts: None,
            goal: Goal {
                aim: Bytes(120_000_000),
                limit: Bytes(200_000_000),
            },
            reclaim: Reclaiming {
                state: ReclaimState::Spent,
                asked: Bytes(20 * MIB),
                yielded: Bytes(15 * MIB),
            },
            pressure: PressureDecision {
                level: PressureLevel::Refuse,
                context: Some(2048),
                seen: PressureSeen {
                    some: Some(21.5),
                    ..PressureSeen::default()
                },
                ..PressureDecision::default()
            },
            breakdown,
        }
    }

    fn plain(memory: &MemoryUse) -> String {
        anstream::adapter::strip_str(&render(memory)).to_string()
    }

    #[test]
    fn what_is_used_and_who_holds_it_is_shown() {
        let shown = plain(&machine());
        for wanted in [
            "200.0 MiB of 2.0 GiB: what new work cannot have",
            "114.4 MiB are aimed at, 190.7 MiB at most",
            "24.0 MiB used of 1.0 GiB",
            "15.0 MiB by idle programs, of 20.0 MiB asked for; nothing is taken, as what is left is in use",
            "new requests are refused; some task waited for memory 21.5 % of the time, all unknown; contexts have 2048",
            "DMA32 of node 0",
            "1.0 MiB",
            "zram0",
            "warning: /proc/x: is missing",
        ] {
            assert!(shown.contains(wanted), "{wanted} is not in {shown}");
        }
        assert!(
            !shown.contains("HELD BY"),
            "parts that are not known are not made up: {shown}"
        );
        assert!(
            shown.contains("bad\u{fffd}[2J.service"),
            "no unit steers the terminal: {shown:?}"
        );
    }

    #[test]
    fn parts_are_shown_with_what_is_left_over() {
        let mut memory = machine();
        memory.parts = Some(UsedParts {
            reserve: Bytes(30 * MIB),
            rest: -(2 * MIB as i64),
            ..UsedParts::default()
        });
        let shown = plain(&memory);
        for wanted in ["reserve", "30.0 MiB", "-2.0 MiB"] {
            assert!(shown.contains(wanted), "{wanted} is not in {shown}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_nought() {
        let mut memory = machine();
        memory.used = None;
        memory.breakdown.meminfo.memory = Memory::default();
        let shown = plain(&memory);
        assert!(
            shown.contains("unknown of ?") && shown.contains("? used of ?"),
            "{shown}"
        );
    }
}
