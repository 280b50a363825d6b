//! A machine of a few files to write to, and wishes for it.

use std::fs;
use std::path::PathBuf;

use linux::{Applied, Tree, Writer};
use machine::{KiloHertz, PolicySetpoint, Setpoints};
use tempfile::TempDir;

pub(crate) const POLICY: &str = "sys/devices/system/cpu/cpufreq/policy0";

/// A machine of one policy under intel_pstate, in a folder that goes away with the test.
pub(crate) struct Machine(pub(crate) TempDir);

impl Machine {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join("root").join(file)
    }

    pub(crate) fn write(&self, file: &str, value: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap().trim().to_owned()
    }

    pub(crate) fn policy(&self, file: &str) -> String {
        self.read(&format!("{POLICY}/{file}"))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.path().join("first-seen.json")
    }

    pub(crate) fn open(&self) -> (Writer, Applied) {
        Writer::open(Tree::open(self.0.path().join("root")).unwrap(), self.state()).unwrap()
    }

    pub(crate) fn writer(&self) -> Writer {
        let (writer, applied) = self.open();
        assert_eq!(applied, Applied::default());
        writer
    }

    /// Every file and what it holds.
    pub(crate) fn content(&self) -> Vec<(PathBuf, String)> {
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

/// What the machine idles at.
pub(crate) fn idle() -> PolicySetpoint {
    PolicySetpoint {
        id: 0,
        scaling_governor: Some("powersave".into()),
        energy_performance_preference: Some("power".into()),
        scaling_min_freq: None,
        scaling_max_freq: Some(KiloHertz(1_200_000)),
    }
}

/// The wish for the one policy.
pub(crate) fn policy(setpoint: PolicySetpoint) -> Setpoints {
    Setpoints {
        policies: vec![setpoint],
        ..Setpoints::default()
    }
}

/// The changes in short: file, before, after, and what was wanted.
pub(crate) fn lines(applied: &Applied) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let changes = applied.changes.iter();
    changes
        .map(|c| format!("{} {} -> {} ({})", name(&c.path), c.before, c.after, c.wanted))
        .collect()
}

/// Does something on a thread that may not write what is read-only: capabilities are a thread's own.
pub(crate) fn without_capabilities<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let act = || {
        caps::clear(None, caps::CapSet::Effective).unwrap();
        act()
    };
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}
