//! The writer on small trees: what it changes, refuses, brings back, and survives.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use linux::{Applied, Tree, Writer};
use machine::{KiloHertz, MicroWatts, PolicySetpoint, PowerLimit, PowerSetpoint, Setpoints};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const POLICY: &str = "sys/devices/system/cpu/cpufreq/policy0";

/// A machine of one policy under intel_pstate, in a folder that goes away with the test.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (file, value) in [
            ("scaling_driver", "intel_pstate"),
            ("cpuinfo_min_freq", "700000"),
            ("cpuinfo_max_freq", "3400000"),
            ("scaling_min_freq", "700000"),
            ("scaling_max_freq", "3400000"),
            ("scaling_available_governors", "performance powersave"),
            ("scaling_governor", "powersave"),
            (
                "energy_performance_available_preferences",
                "default performance balance_performance balance_power power",
            ),
            ("energy_performance_preference", "balance_performance"),
        ] {
            machine.write(&format!("{POLICY}/{file}"), value);
        }
        machine.write("sys/devices/system/cpu/intel_pstate/no_turbo", "0");
        machine
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join("root").join(file)
    }

    fn write(&self, file: &str, value: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap().trim().to_owned()
    }

    fn policy(&self, file: &str) -> String {
        self.read(&format!("{POLICY}/{file}"))
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("first-seen.json")
    }

    fn open(&self) -> (Writer, Applied) {
        Writer::open(Tree::open(self.0.path().join("root")).unwrap(), self.state()).unwrap()
    }

    fn writer(&self) -> Writer {
        let (writer, applied) = self.open();
        assert_eq!(applied, Applied::default());
        writer
    }

    /// Every file and what it holds.
    fn content(&self) -> Vec<(PathBuf, String)> {
        let mut content = Vec::new();
        let mut folders = vec![self.0.path().join("root")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = fs::read_to_string(&path).unwrap();
                    content.push((path, text.trim().to_owned()));
                }
            }
        }
        content.sort();
        content
    }
}

fn idle() -> PolicySetpoint {
    PolicySetpoint {
        id: 0,
        scaling_governor: Some("powersave".into()),
        energy_performance_preference: Some("power".into()),
        scaling_min_freq: None,
        scaling_max_freq: Some(KiloHertz(1_200_000)),
    }
}

fn policy(setpoint: PolicySetpoint) -> Setpoints {
    Setpoints {
        policies: vec![setpoint],
        ..Setpoints::default()
    }
}

fn lines(applied: &Applied) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let changes = applied.changes.iter();
    changes
        .map(|c| format!("{} {} -> {} ({})", name(&c.path), c.before, c.after, c.wanted))
        .collect()
}

#[test]
fn only_what_differs_is_written_and_told() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    let applied = writer.apply(&policy(idle()));
    assert_eq!(
        lines(&applied),
        [
            "energy_performance_preference balance_performance -> power (power)",
            "scaling_max_freq 3400000 -> 1200000 (1200000)",
        ]
    );
    assert!(applied.problems.is_empty() && applied.foreign.is_empty());
    assert_eq!(
        writer.apply(&policy(idle())),
        Applied::default(),
        "a repeated wish changes nothing"
    );
}

#[test]
fn a_wish_that_ends_returns_the_first_seen_value() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let applied = writer.apply(&Setpoints::default());
    assert_eq!(applied.changes.len(), 2, "{applied:?}");
    assert_eq!(machine.content(), before);
    // Nobody holds it now, so that others may do as they like.
    machine.write(&format!("{POLICY}/scaling_max_freq"), "2000000");
    assert_eq!(writer.apply(&Setpoints::default()), Applied::default());
}

#[test]
fn a_clean_end_leaves_nothing_behind() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    assert!(machine.state().exists());
    assert_eq!(writer.restore().changes.len(), 2);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn a_crash_is_made_good_at_the_next_start() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    drop(writer);
    assert_ne!(machine.content(), before);

    let (mut writer, applied) = machine.open();
    assert_eq!((applied, writer.inherited()), (Applied::default(), 3));
    assert_ne!(
        machine.content(),
        before,
        "nothing is freed before the first wish"
    );
    let applied = writer.apply(&Setpoints::default());
    assert_eq!(applied.changes.len(), 2, "{applied:?}");
    assert!(applied.problems.is_empty() && applied.foreign.is_empty());
    assert_eq!(machine.content(), before);
    assert_eq!(writer.apply(&policy(idle())).changes.len(), 2, "and afresh");
    writer.restore();
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn a_cap_that_outlived_a_crash_is_not_lifted_by_the_next_start() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    drop(writer);
    let (mut writer, _) = machine.open();
    let capped = |max| PolicySetpoint {
        scaling_max_freq: Some(KiloHertz(max)),
        ..PolicySetpoint::default()
    };
    let applied = writer.apply(&policy(capped(900_000)));
    let maxima: Vec<_> = applied
        .changes
        .iter()
        .filter(|change| change.path.ends_with("max_freq"))
        .collect();
    assert_eq!(maxima.len(), 1, "straight from one cap to the next: {applied:?}");
    assert_eq!((&*maxima[0].before, &*maxima[0].after), ("1200000", "900000"));
    assert_eq!(
        machine.policy("energy_performance_preference"),
        "balance_performance",
        "no longer wished"
    );
    writer.restore();
    assert_eq!(machine.policy("scaling_max_freq"), "3400000");
}

#[test]
fn first_seen_values_are_stored_before_the_first_write() {
    let machine = Machine::new();
    // No file can be written: were the values stored afterwards, they would not be there.
    let max = machine.path(&format!("{POLICY}/scaling_max_freq"));
    let mut writer = machine.writer();
    fs::remove_file(machine.path(&format!("{POLICY}/cpuinfo_max_freq"))).unwrap();
    let applied = writer.apply(&policy(PolicySetpoint {
        scaling_max_freq: Some(KiloHertz(1_000_000)),
        ..PolicySetpoint::default()
    }));
    assert!(applied.changes.is_empty());
    assert!(
        applied.problems[0].path.ends_with("cpuinfo_max_freq"),
        "{applied:?}"
    );
    let stored = fs::read_to_string(machine.state()).unwrap();
    assert!(
        stored.contains("scaling_max_freq") && stored.contains("3400000"),
        "{stored}"
    );
    assert_eq!(fs::read_to_string(max).unwrap(), "3400000\n");
}

#[test]
fn a_state_file_that_makes_no_sense_is_set_aside() {
    let machine = Machine::new();
    fs::write(machine.state(), "{\"version\":1,").unwrap();
    let (mut writer, applied) = machine.open();
    assert_eq!(applied.problems.len(), 1);
    assert!(
        applied.problems[0].problem.contains("first-seen.json.corrupt"),
        "{applied:?}"
    );
    assert!(!machine.state().exists());
    assert!(machine.0.path().join("first-seen.json.corrupt").exists());
    assert_eq!(writer.apply(&policy(idle())).changes.len(), 2);
}

#[test]
fn the_range_is_the_hardwares() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(PolicySetpoint {
        scaling_min_freq: Some(KiloHertz(1)),
        scaling_max_freq: Some(KiloHertz(u64::MAX)),
        ..PolicySetpoint::default()
    }));
    assert_eq!(machine.policy("scaling_min_freq"), "700000");
    assert_eq!(machine.policy("scaling_max_freq"), "3400000");
}

#[test]
fn what_is_not_on_offer_is_refused_by_name_every_time() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    let wish = policy(PolicySetpoint {
        scaling_governor: Some("schedutil".into()),
        energy_performance_preference: Some("warp".into()),
        ..PolicySetpoint::default()
    });
    for _ in 0..5 {
        let applied = writer.apply(&wish);
        assert!(applied.changes.is_empty());
        let told: Vec<_> = applied.problems.iter().map(|p| p.problem.as_str()).collect();
        assert_eq!(
            told[0],
            "cannot be \"schedutil\": this machine offers performance powersave"
        );
        assert!(told[1].starts_with("cannot be \"warp\""), "{told:?}");
    }
    assert_eq!(machine.policy("scaling_governor"), "powersave");
}

#[test]
fn limits_never_cross_each_other() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    let mut pin = |clock| {
        let applied = writer.apply(&policy(PolicySetpoint {
            scaling_min_freq: Some(KiloHertz(clock)),
            scaling_max_freq: Some(KiloHertz(clock)),
            ..PolicySetpoint::default()
        }));
        let name = |change: &linux::Change| change.path.rsplit('_').nth(1).unwrap().to_owned();
        applied.changes.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(pin(2_000_000), ["min", "max"], "falling: the minimum first");
    assert_eq!(pin(1_000_000), ["min", "max"]);
    assert_eq!(pin(3_000_000), ["max", "min"], "rising: the maximum first");
    assert_eq!(lines(&writer.restore()).len(), 2);
}

#[test]
fn the_governor_performance_allows_no_other_preference() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let fast = PolicySetpoint {
        scaling_governor: Some("performance".into()),
        ..idle()
    };
    let applied = writer.apply(&policy(fast.clone()));
    assert_eq!(
        lines(&applied),
        ["scaling_governor powersave -> performance (performance)"]
    );
    // The driver sets the preference along with the governor.
    machine.write(&format!("{POLICY}/energy_performance_preference"), "performance");
    let applied = writer.apply(&policy(fast));
    assert!(
        applied.problems[0].problem.contains("governor performance"),
        "{applied:?}"
    );
    assert!(applied.foreign.is_empty());
    // Nothing is wished of the preference any more: that it cannot return yet is no fault.
    let fixed = PolicySetpoint {
        scaling_governor: Some("performance".into()),
        ..PolicySetpoint::default()
    };
    assert!(writer.apply(&policy(fixed)).problems.is_empty());
    assert!(writer.restore().problems.is_empty());
    assert_eq!(
        machine.content(),
        before,
        "the governor first, then the preference"
    );
}

#[test]
fn another_writer_is_told_once_and_not_fought_at_full_speed() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let (mut told, mut written) = (0, 0);
    for _ in 0..100 {
        machine.write(&format!("{POLICY}/scaling_max_freq"), "3400000");
        let applied = writer.apply(&policy(idle()));
        told += applied.foreign.len();
        written += applied.changes.len();
    }
    assert_eq!(told, 1);
    assert!((5..=12).contains(&written), "{written}");
    let applied = writer.apply(&policy(PolicySetpoint {
        scaling_max_freq: Some(KiloHertz(1_100_000)),
        ..idle()
    }));
    assert_eq!(applied.changes.len(), 1, "a new wish is written at once");
    assert_eq!(machine.policy("scaling_max_freq"), "1100000");
}

#[test]
fn a_policy_that_comes_back_is_driven_again() {
    let machine = Machine::new();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let (here, away) = (machine.path(POLICY), machine.path("away"));
    fs::rename(&here, &away).unwrap();
    let applied = writer.apply(&policy(idle()));
    assert_eq!(applied.problems.len(), 3, "{applied:?}");
    assert!(applied.problems.iter().all(|p| p.problem == "is missing"));

    fs::rename(&away, &here).unwrap();
    machine.write(&format!("{POLICY}/scaling_max_freq"), "3400000");
    let applied = writer.apply(&policy(idle()));
    assert_eq!(lines(&applied), ["scaling_max_freq 3400000 -> 1200000 (1200000)"]);
    assert!(applied.foreign.is_empty(), "it is the driver's own value");
}

#[test]
fn what_is_gone_at_the_end_is_brought_back_by_the_next_writer() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let (here, away) = (machine.path(POLICY), machine.0.path().join("away"));
    fs::rename(&here, &away).unwrap();
    assert_eq!(writer.restore(), Applied::default());
    assert!(machine.state().exists());
    fs::rename(&away, &here).unwrap();
    let (mut writer, _) = machine.open();
    assert_eq!(writer.restore().changes.len(), 2);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn what_is_gone_after_a_crash_is_brought_back_when_it_comes() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    drop(writer);
    let (here, away) = (machine.path(POLICY), machine.0.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let (mut writer, applied) = machine.open();
    assert_eq!(applied, Applied::default());
    assert_eq!(writer.apply(&Setpoints::default()), Applied::default());
    fs::rename(&away, &here).unwrap();
    assert_eq!(writer.apply(&Setpoints::default()).changes.len(), 2);
    assert_eq!(machine.content(), before);
    writer.restore();
    assert!(!machine.state().exists());
}

#[test]
fn a_processor_that_is_offline_and_back_is_no_foreign_hand() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    // The kernel answers EBUSY for the files of a policy without processors; here a folder answers EISDIR.
    let max = machine.path(&format!("{POLICY}/scaling_max_freq"));
    let away = machine.path("away");
    fs::rename(&max, &away).unwrap();
    fs::create_dir(&max).unwrap();
    assert_eq!(writer.apply(&policy(idle())).problems.len(), 1);
    fs::remove_dir(&max).unwrap();
    fs::rename(&away, &max).unwrap();
    machine.write(&format!("{POLICY}/scaling_max_freq"), "3000000");
    let applied = writer.apply(&policy(idle()));
    assert_eq!(
        (
            applied.changes.len(),
            applied.foreign.len(),
            applied.problems.len()
        ),
        (1, 0, 0)
    );
    writer.restore();
    assert_eq!(machine.content(), before);
}

#[test]
fn what_refuses_at_the_end_is_brought_back_by_the_next_writer() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    let max = machine.path(&format!("{POLICY}/scaling_max_freq"));
    let allow = |mode| fs::set_permissions(&max, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o444);
    // Capabilities are a thread's own: only this one loses the right to write what is read-only.
    let restored = std::thread::spawn(move || {
        caps::clear(None, caps::CapSet::Effective).unwrap();
        writer.restore()
    });
    let restored = restored.join().unwrap();
    assert_eq!((restored.changes.len(), restored.problems.len()), (1, 1));
    assert!(machine.state().exists());
    allow(0o644);
    let (mut writer, _) = machine.open();
    assert_eq!(writer.restore().changes.len(), 1);
    assert_eq!(machine.content(), before);
    assert!(!machine.state().exists());
}

#[test]
fn files_that_refuse_do_not_keep_others_from_being_written() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new();
    let preference = machine.path(&format!("{POLICY}/energy_performance_preference"));
    fs::set_permissions(&preference, fs::Permissions::from_mode(0o444)).unwrap();
    let mut writer = machine.writer();
    // Capabilities are a thread's own: only this one loses the right to write what is read-only.
    let applied = std::thread::spawn(move || {
        caps::clear(None, caps::CapSet::Effective).unwrap();
        writer.apply(&policy(idle()))
    });
    let applied = applied.join().unwrap();
    assert_eq!(lines(&applied), ["scaling_max_freq 3400000 -> 1200000 (1200000)"]);
    assert_eq!(applied.problems.len(), 1);
    let problem = &applied.problems[0].problem;
    assert!(
        problem.starts_with("cannot be set to \"power\": Permission denied"),
        "{problem}"
    );
}

#[test]
fn nothing_is_created() {
    let machine = Machine::new();
    for file in [
        "scaling_governor",
        "energy_performance_preference",
        "scaling_max_freq",
    ] {
        fs::remove_file(machine.path(&format!("{POLICY}/{file}"))).unwrap();
    }
    let before = machine.content();
    let mut writer = machine.writer();
    let applied = writer.apply(&policy(idle()));
    assert_eq!((applied.changes.len(), applied.problems.len()), (0, 3));
    assert_eq!(writer.restore(), Applied::default());
    assert_eq!(machine.content(), before);
}

#[test]
fn a_machine_throttled_by_firmware_does_not_stay_slow() {
    let machine = Machine::new();
    for file in ["bios_limit", "scaling_max_freq"] {
        machine.write(&format!("{POLICY}/{file}"), "2000000");
    }
    let mut writer = machine.writer();
    writer.apply(&policy(idle()));
    writer.restore();
    // The kernel would show 2 GHz for as long as the firmware says so; a plain file cannot.
    assert_eq!(machine.policy("scaling_max_freq"), "3400000");
}

#[test]
fn boost_the_platform_profile_and_power_limits_are_written_too() {
    let machine = Machine::new();
    machine.write("sys/firmware/acpi/platform_profile", "balanced");
    machine.write(
        "sys/firmware/acpi/platform_profile_choices",
        "low-power balanced performance",
    );
    let limit = "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw";
    machine.write(limit, "15000000");
    machine.write(
        "sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw",
        "20000000",
    );
    let before = machine.content();
    let mut writer = machine.writer();
    let applied = writer.apply(&Setpoints {
        boost: Some(false),
        platform_profile: Some("low-power".into()),
        powercap: vec![PowerSetpoint {
            id: "intel-rapl:0".into(),
            limits: vec![PowerLimit {
                constraint: 0,
                power_limit_uw: Some(MicroWatts(25_000_000)),
            }],
        }],
        ..Setpoints::default()
    });
    assert_eq!(
        lines(&applied),
        [
            "no_turbo 0 -> 1 (1)",
            "platform_profile balanced -> low-power (low-power)",
            "constraint_0_power_limit_uw 15000000 -> 20000000 (20000000)",
        ]
    );
    assert_eq!(writer.restore().problems, []);
    assert_eq!(machine.content(), before);
}

#[test]
fn a_profile_that_cannot_be_chosen_again_is_left_alone() {
    let machine = Machine::new();
    machine.write("sys/firmware/acpi/platform_profile", "custom");
    machine.write("sys/firmware/acpi/platform_profile_choices", "low-power balanced");
    let mut writer = machine.writer();
    let applied = writer.apply(&Setpoints {
        platform_profile: Some("low-power".into()),
        ..Setpoints::default()
    });
    assert!(applied.changes.is_empty());
    assert!(applied.problems[0].problem.contains("\"custom\""), "{applied:?}");
}

#[test]
fn a_machine_without_a_switch_for_boost_says_so() {
    let machine = Machine::new();
    fs::remove_file(machine.path("sys/devices/system/cpu/intel_pstate/no_turbo")).unwrap();
    let applied = machine.writer().apply(&Setpoints {
        boost: Some(true),
        ..Setpoints::default()
    });
    assert_eq!(applied.problems.len(), 1);
}

#[test]
fn a_preference_that_the_governor_held_returns_as_soon_as_it_can() {
    let machine = Machine::new();
    let before = machine.content();
    machine.writer().apply(&policy(PolicySetpoint {
        energy_performance_preference: Some("power".into()),
        ..PolicySetpoint::default()
    }));
    // hearthd was killed: what it wrote last is not known.
    let mut writer = machine.open().0;
    let performance = policy(PolicySetpoint {
        scaling_governor: Some("performance".into()),
        ..PolicySetpoint::default()
    });
    for _ in 0..3 {
        assert_eq!(writer.apply(&performance).problems, []);
        assert_eq!(machine.policy("energy_performance_preference"), "power", "held");
    }
    writer.apply(&Setpoints::default());
    assert_eq!(machine.content(), before, "at the first call that lets it");
}

#[test]
fn a_state_that_cannot_be_stored_is_told_and_the_machine_is_cooled_all_the_same() {
    let machine = Machine::new();
    let before = machine.content();
    let mut writer = machine.writer();
    // Where the temporary file would be, there is a folder.
    fs::create_dir(machine.0.path().join("first-seen.json.new")).unwrap();
    let applied = writer.apply(&policy(idle()));
    assert_eq!(
        (applied.changes.len(), applied.problems.len()),
        (2, 1),
        "{applied:?}"
    );
    fs::remove_dir(machine.0.path().join("first-seen.json.new")).unwrap();
    assert_eq!(writer.apply(&policy(idle())), Applied::default(), "stored now");
    assert!(machine.state().exists());
    writer.restore();
    assert_eq!(machine.content(), before);
}

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
