//! The ordered writes that a few wishes cause on each tree in `tests/machines`, against what was reviewed.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use linux::{Applied, Tree, Writer, discover};
use machine::{Capabilities, KiloHertz, Policy, PolicySetpoint, PowerLimit, PowerSetpoint, Setpoints};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, kind) = entry
            .map(|entry| (entry.path(), entry.file_type().unwrap()))
            .unwrap();
        let target = to.join(source.file_name().unwrap());
        if kind.is_symlink() {
            symlink(fs::read_link(&source).unwrap(), &target).unwrap();
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// Every file below a folder, and its bytes.
fn content(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, kind) = entry
                .map(|entry| (entry.path(), entry.file_type().unwrap()))
                .unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let text = fs::read(&path).unwrap();
                content.insert(path, text.trim_ascii().to_vec());
            }
        }
    }
    content
}

/// The files that differ, by their names and what they hold.
fn differences(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    let files: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let differ = files
        .into_iter()
        .filter(|file| before.get(*file) != after.get(*file));
    differ
        .map(|file| {
            let name = file.file_name().unwrap().display();
            format!(
                "{name}: {:?} -> {:?}",
                text(before.get(file)),
                text(after.get(file))
            )
        })
        .collect()
}

fn every(found: &Capabilities, setpoint: impl Fn(&Policy) -> PolicySetpoint) -> Setpoints {
    let setpoint = |policy| PolicySetpoint {
        id: Policy::clone(policy).id,
        ..setpoint(policy)
    };
    Setpoints {
        policies: found.policies.iter().map(setpoint).collect(),
        ..Setpoints::default()
    }
}

/// Drivers that choose the clock themselves take a preference; for the others a governor chooses.
fn chosen(policy: &Policy, governor: &str, preference: &str) -> PolicySetpoint {
    let active = matches!(
        policy.scaling_driver.as_deref(),
        Some("intel_pstate" | "amd-pstate-epp")
    );
    PolicySetpoint {
        scaling_governor: Some(if active { "powersave" } else { governor }.to_owned()),
        energy_performance_preference: active.then(|| preference.to_owned()),
        ..PolicySetpoint::default()
    }
}

/// What is wanted in the phases of an answer, roughly as the laws want it.
fn wishes(found: &Capabilities) -> Vec<(&'static str, Setpoints)> {
    let idle = every(found, |policy| chosen(policy, "schedutil", "power"));
    let prefill = every(found, |policy| PolicySetpoint {
        scaling_min_freq: policy.cpuinfo_max_freq,
        scaling_max_freq: policy.cpuinfo_max_freq,
        ..chosen(policy, "performance", "performance")
    });
    let decode = every(found, |policy| PolicySetpoint {
        scaling_min_freq: Some(KiloHertz(1_600_000)),
        scaling_max_freq: Some(KiloHertz(1_600_000)),
        ..chosen(policy, "schedutil", "balance_performance")
    });
    let limits = |id: &str| PowerSetpoint {
        id: id.to_owned(),
        limits: vec![PowerLimit {
            constraint: 0,
            power_limit_uw: Some(machine::MicroWatts(5_000_000)),
        }],
    };
    let packages = found
        .powercap
        .iter()
        .filter(|domain| domain.id.matches(':').count() == 1);
    let frugal = Setpoints {
        boost: found.boost.map(|_| false),
        platform_profile: (!found.platform_profile_choices.is_empty()).then(|| "low-power".into()),
        powercap: packages.map(|domain| limits(&domain.id)).collect(),
        ..every(found, |policy| PolicySetpoint {
            scaling_max_freq: Some(KiloHertz(1)),
            ..chosen(policy, "powersave", "power")
        })
    };
    vec![
        ("idle", idle),
        ("prefill", prefill),
        ("decode", decode),
        ("power-saver", frugal),
    ]
}

fn tell(log: &mut String, step: &str, applied: &Applied) {
    let short = |path: &str| {
        path.rsplit('/')
            .take(2)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("/")
    };
    writeln!(log, "{step}").unwrap();
    for change in &applied.changes {
        let (path, before, after) = (short(&change.path), &change.before, &change.after);
        writeln!(log, "  {path}: {before} -> {after}").unwrap();
    }
    for problem in &applied.problems {
        writeln!(log, "  problem: {} {}", short(&problem.path), problem.problem).unwrap();
    }
    assert!(applied.foreign.is_empty(), "{applied:?}");
}

/// Applies all wishes to a copy of a machine, and restores it.
fn writes(root: &Path, state: &Path) -> String {
    let tree = || Tree::open(root).unwrap();
    let found = discover(&tree());
    let (mut writer, applied) = Writer::open(tree(), state.to_owned()).unwrap();
    assert_eq!(applied, Applied::default());
    let mut log = String::new();
    for (step, wish) in wishes(&found) {
        tell(&mut log, step, &writer.apply(&wish));
        assert!(
            writer.apply(&wish).changes.is_empty(),
            "{step} again changes nothing"
        );
    }
    tell(&mut log, "restore", &writer.restore());
    log
}

fn machine(name: &str) -> (tempfile::TempDir, PathBuf) {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/machines");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy(&machines.join(name), &root);
    (dir, root)
}

#[test]
fn each_machine_is_written_in_order_and_given_back() {
    for name in [
        "acpi-cpufreq",
        "amd-guided",
        "bad-critical-as-current",
        "bad-epp",
        "bad-firmware",
        "bad-no-governor",
        "bad-stuck-zone",
        "bad-zero-kelvin",
        "cppc",
        "hybrid",
        "intel-passive",
        "n100",
        "qemu",
        "rpi5",
        "ryzen",
    ] {
        let (dir, root) = machine(name);
        let state = dir.path().join("first-seen.json");
        let before = content(&root);
        insta::assert_snapshot!(format!("{name}"), writes(&root, &state));
        let left = differences(&before, &content(&root));
        if name == "acpi-cpufreq" {
            // Firmware's limit is no setting that is brought back: the kernel shows it for as long as it stands.
            let lifted = "scaling_max_freq: Some(\"1100000\") -> Some(\"1501000\")";
            assert_eq!(left, [lifted; 2]);
        } else {
            assert!(left.is_empty(), "{name}: {left:?}");
        }
        assert!(!state.exists(), "{name}");
    }
}

/// Drivers that let nobody write, or files that were mounted so. Capabilities are a thread's own: only this one loses
/// the right to write what is read-only.
#[test]
fn a_read_only_machine_is_left_as_it_is_and_says_so() {
    let (dir, root) = machine("acpi-cpufreq");
    let before = content(&root);
    for file in before.keys() {
        fs::set_permissions(file, fs::Permissions::from_mode(0o444)).unwrap();
    }
    let (state, folder) = (dir.path().join("first-seen.json"), root.clone());
    let log = std::thread::spawn(move || {
        caps::clear(None, caps::CapSet::Effective).unwrap();
        writes(&folder, &state)
    });
    insta::assert_snapshot!("read-only", log.join().unwrap());
    assert!(differences(&before, &content(&root)).is_empty());
}
