use super::*;
use crate::dvfs::ceiling::{Ceiling, Seen};
use crate::dvfs::levels::Levels;
use machine::{CoreType, PolicySample};

fn hybrid() -> Capabilities {
    let mut small = policy("intel_pstate", &["performance", "powersave"], &[]);
    small.core_type = Some(CoreType::Efficient);
    let mut large = small.clone();
    large.id = 4;
    large.core_type = Some(CoreType::Performance);
    large.cpuinfo_max_freq = Some(KiloHertz(5_000_000));
    machine(vec![small, large])
}

#[test]
fn small_cores_follow_the_large_ones_in_proportion() {
    let machine = hybrid();
    let levels = Levels::of(&machine);
    let [small, large] = [0, 1].map(|index| &machine.policies[index]);
    assert_eq!(levels.reference(), Some(4));
    for level in 0..=levels.top() {
        let [small, large] = [small, large].map(|policy| levels.clock(policy, level).unwrap().0 as f64);
        let proportion = (large / 5e6, small / 3.4e6);
        assert!(
            small == 8e5 || (proportion.0 - proportion.1).abs() < 0.001,
            "{level} {proportion:?}"
        );
    }
    assert_eq!(levels.clock(small, levels.top()), Some(KiloHertz(3_400_000)));
}

#[test]
fn every_clock_of_a_table_is_a_level_and_leads_back_to_itself() {
    let mut only = policy("acpi-cpufreq", &["performance"], &[]);
    let table = [800_000, 1_100_000, 1_900_000, 2_600_000, 3_400_000].map(KiloHertz);
    only.scaling_available_frequencies = table.to_vec();
    let levels = Levels::of(&machine(vec![only.clone()]));
    let clocks: Vec<_> = (0..=levels.top())
        .filter_map(|level| levels.clock(&only, level))
        .collect();
    assert_eq!(clocks, table);
}

#[test]
fn a_machine_without_clocks_has_one_level_and_asks_for_none() {
    let mut blind = policy("cpufreq-dt", &[], &[]);
    blind.cpuinfo_max_freq = None;
    let levels = Levels::of(&machine(vec![blind.clone()]));
    assert_eq!(
        (levels.top(), levels.reference(), levels.clock(&blind, 0)),
        (0, None, None)
    );
}

fn seen(ceiling: &mut Ceiling, at: u64, max: u64, bios: Option<u64>) -> Seen {
    let machine = machine(vec![policy("acpi-cpufreq", &["performance"], &[])]);
    let levels = Levels::of(&machine);
    let sample = Sample {
        at_usec: BootTime(at),
        policies: vec![PolicySample {
            id: 0,
            scaling_cur_freq: None,
            scaling_min_freq: None,
            scaling_max_freq: Some(KiloHertz(max)),
            bios_limit: bios.map(KiloHertz),
            scaling_governor: None,
            energy_performance_preference: None,
        }],
        ..Sample::default()
    };
    ceiling.step(&sample, &levels, levels.top())
}

#[test]
fn firmware_and_heat_lower_the_ceiling_and_it_steadies_after_a_while() {
    let mut ceiling = Ceiling::default();
    ceiling.asked(BootTime(0), 3_400_000);
    let free = seen(&mut ceiling, 1_000_000, 3_400_000, None);
    assert!(free.steady, "{free:?}");
    let held = seen(&mut ceiling, 2_000_000, 2_000_000, None);
    assert!(held.level < free.level && !held.steady, "{held:?}");
    assert_eq!(
        seen(&mut ceiling, 4_000_000, 2_000_000, None),
        Seen { steady: true, ..held }
    );
    let firmware = seen(&mut ceiling, 5_000_000, 3_400_000, Some(1_500_000));
    assert!(firmware.level < held.level, "{firmware:?}");
    assert_eq!(seen(&mut ceiling, 6_000_000, 3_400_000, None).level, free.level);
}

#[test]
fn a_low_wish_tells_nothing_of_the_ceiling() {
    let mut ceiling = Ceiling::default();
    ceiling.asked(BootTime(0), 3_400_000);
    let free = seen(&mut ceiling, 1_000_000, 3_400_000, None);
    ceiling.asked(BootTime(1_000_000), 1_200_000);
    assert_eq!(seen(&mut ceiling, 3_000_000, 1_200_000, None).level, free.level);
    // The write of a higher wish is not in the next sample yet.
    ceiling.asked(BootTime(3_000_000), 3_400_000);
    assert_eq!(seen(&mut ceiling, 3_100_000, 1_200_000, None).level, free.level);
    assert!(seen(&mut ceiling, 3_600_000, 1_200_000, None).level < free.level);
}
