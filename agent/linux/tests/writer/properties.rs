//! Any wishes, crashes and foreign hands in any order.

use crate::host::{Machine, POLICY};
use machine::{KiloHertz, PolicySetpoint, Setpoints};
use proptest::prelude::*;

/// A wish that the laws or a mistake in them could have.
fn wish() -> impl Strategy<Value = Setpoints> {
    let name = |names: &'static [&'static str]| {
        prop::option::of(prop::sample::select(names).prop_map(str::to_owned))
    };
    let clock = || {
        let clocks = prop_oneof![0u64..5_000_000, Just(u64::MAX), Just(1_000_000)];
        prop::option::of(clocks.prop_map(KiloHertz))
    };
    let governor = name(&["performance", "powersave", "schedutil", ""]);
    let preference = name(&["power", "performance", "balance_performance", "128", "no such"]);
    let policy = (0u32..2, governor, preference, clock(), clock()).prop_map(
        |(id, scaling_governor, energy_performance_preference, scaling_min_freq, scaling_max_freq)| {
            PolicySetpoint {
                id,
                scaling_governor,
                energy_performance_preference,
                scaling_min_freq,
                scaling_max_freq,
            }
        },
    );
    let policies = prop::collection::vec(policy, 0..3);
    (policies, prop::option::of(any::<bool>())).prop_map(|(policies, boost)| Setpoints {
        policies,
        boost,
        ..Setpoints::default()
    })
}

/// Something that happens between two wishes.
#[derive(Clone, Debug)]
enum Incident {
    Nothing,
    /// hearthd is killed, and started again.
    Crash,
    /// Another program sets the maximum.
    Foreign(u32),
}

fn incident() -> impl Strategy<Value = Incident> {
    prop_oneof![
        3 => Just(Incident::Nothing),
        1 => Just(Incident::Crash),
        2 => (700_000u32..=3_400_000).prop_map(Incident::Foreign),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_limits_hold_and_all_comes_back(
        steps in prop::collection::vec((wish(), incident()), 1..12)
    ) {
        let machine = Machine::new();
        let before = machine.content();
        let mut writer = machine.writer();
        let mut foreign = false;
        for (wish, incident) in steps {
            writer.apply(&wish);
            let limit = |file: &str| machine.policy(file).parse::<u64>().unwrap();
            let (min, max) = (limit("scaling_min_freq"), limit("scaling_max_freq"));
            prop_assert!((700_000..=3_400_000).contains(&min) && (700_000..=3_400_000).contains(&max));
            match incident {
                Incident::Nothing => {
                    let repeated = writer.apply(&wish);
                    // What another program contests is put right, and told, only after a pause.
                    prop_assert!(foreign || (repeated.foreign.is_empty() && repeated.changes.is_empty()));
                }
                Incident::Crash => {
                    drop(writer);
                    writer = machine.open().0;
                }
                Incident::Foreign(clock) => {
                    foreign = true;
                    machine.write(&format!("{POLICY}/scaling_max_freq"), &clock.to_string());
                }
            }
        }
        writer.restore();
        if !foreign {
            prop_assert_eq!(machine.content(), before);
        }
        prop_assert!(!machine.state().exists());
    }
}
