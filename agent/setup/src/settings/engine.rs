//! Settings of the engine: what `inferd serve` takes from its environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings by the names of their variables. The engine looks at each again, and tells the journal of one that it cannot
/// use; what is checked here is what can be said before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Engine(BTreeMap<String, String>);

/// Tells what a setting must look like, where a value does not.
type Check = fn(&str) -> Result<(), &'static str>;

/// Keys of `[engine]`; the variable of each is its name in capitals behind `HEARTH_`.
pub const KEYS: [&str; 10] = [
    "memory_budget",
    "threads",
    "cpu",
    "kv",
    "kv_memory",
    "kv_park_quota",
    "keep_alive",
    "exit_idle",
    "slots",
    "context",
];

impl Engine {
    /// Sets one of [`KEYS`].
    ///
    /// # Errors
    /// In words, what the value should be.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        check(key)(value).map_err(|wanted| format!("`{}` is not {wanted}", value.escape_debug()))?;
        self.0.insert(variable(key), value.to_owned());
        Ok(())
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A file for systemd's `EnvironmentFile=`. No value has a character that means anything there.
    pub fn environment(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    }

    pub(super) fn overlaid(mut self, later: Self) -> Self {
        self.0.extend(later.0);
        self
    }
}

fn variable(key: &str) -> String {
    format!("HEARTH_{}", key.to_ascii_uppercase())
}

fn check(key: &str) -> Check {
    match key {
        "memory_budget" => size,
        "kv_memory" | "kv_park_quota" => |value| if value == "0" { Ok(()) } else { size(value) },
        "keep_alive" | "exit_idle" => time,
        "threads" => |value| number(value, 1, 1024, "a number of threads, 1 or more"),
        "slots" => |value| number(value, 1, 64, "a number from 1 to 64"),
        "context" => |value| number(value, 64, 1 << 20, "a number of tokens from 64 to 1048576"),
        "kv" => |value| one_of(value, &["f16", "q8"], "f16 or q8"),
        _ => |value| {
            one_of(
                value,
                &["scalar", "avx2", "avxvnni", "avx512", "amx"],
                "scalar, avx2, avxvnni, avx512 or amx",
            )
        },
    }
}

fn size(value: &str) -> Result<(), &'static str> {
    let number = value.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(value);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let above_nought = number
        .parse::<f64>()
        .is_ok_and(|number| number > 0.0 && number < 1e18);
    (digits && above_nought)
        .then_some(())
        .ok_or("a size, such as 400M or 1.5G")
}

fn time(value: &str) -> Result<(), &'static str> {
    let amount = value.strip_prefix('-').unwrap_or(value);
    let of_time = |byte: u8| byte.is_ascii_digit() || b".hmsun".contains(&byte);
    let begins = amount.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let is_number = amount.parse::<u32>().is_ok();
    let has_unit = amount
        .bytes()
        .next_back()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    (begins && amount.bytes().all(of_time) && (is_number || has_unit))
        .then_some(())
        .ok_or("a time, such as 30s, 5m or 1h30m, 0 or -1")
}

fn number(value: &str, least: u32, most: u32, wanted: &'static str) -> Result<(), &'static str> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.filter(|_| digits).map(drop).ok_or(wanted)
}

fn one_of(value: &str, all: &[&str], wanted: &'static str) -> Result<(), &'static str> {
    all.contains(&value).then_some(()).ok_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_before_the_engine_sees_them() {
        for (key, good, bad) in [
            (
                "memory_budget",
                &["800M", "1.5G", "1073741824"][..],
                &["0", "2GB", "-1M", "", "1e9", "M", "2 # two"][..],
            ),
            ("threads", &["1", "16"], &["0", "-1", "+1", "two"]),
            ("cpu", &["scalar", "avx512"], &["neon", ""]),
            ("kv", &["f16", "q8"], &["Q8", "q4"]),
            ("kv_memory", &["0", "256M"], &["none"]),
            ("kv_park_quota", &["0", "1G"], &["00 M"]),
            (
                "keep_alive",
                &["5m", "1h30m", "0", "-1", "90"],
                &["soon", "5 minutes", "", "5.5", "m"],
            ),
            ("exit_idle", &["10m"], &["10x"]),
            ("slots", &["4"], &["0", "65"]),
            ("context", &["8192"], &["63", "1048577"]),
        ] {
            for value in good {
                let mut engine = Engine::default();
                engine.set(key, value).unwrap();
                assert_eq!(
                    engine.environment(),
                    format!("HEARTH_{}={value}\n", key.to_uppercase())
                );
            }
            for value in bad {
                assert!(Engine::default().set(key, value).is_err(), "{key} = {value}");
            }
        }
    }
}
