//! Settings by the environment: on the appliance, what the owner wrote into `hearth.toml` on CONFIG (`agent/setup`).
//!
//! They are put before the command line's own, each after it was tried alone: one bad line must not keep the engine from
//! starting, as nobody could then ask the machine what is wrong.

use std::ffi::OsString;

use clap::Parser;

use crate::arguments::Arguments;

/// Variables, and the options of `inferd serve` that they stand for.
const SETTINGS: [(&str, &str); 11] = [
    ("HEARTH_MODEL", "--model"),
    ("HEARTH_MEMORY_BUDGET", "--memory-budget"),
    ("HEARTH_THREADS", "--threads"),
    ("HEARTH_CPU", "--cpu"),
    ("HEARTH_KV", "--kv"),
    ("HEARTH_KV_MEMORY", "--kv-memory"),
    ("HEARTH_KV_PARK_QUOTA", "--kv-park-quota"),
    ("HEARTH_KEEP_ALIVE", "--keep-alive"),
    ("HEARTH_EXIT_IDLE", "--exit-idle"),
    ("HEARTH_SLOTS", "--slots"),
    ("HEARTH_CONTEXT", "--context"),
];
/// How variables begin that are meant for Hearth.
const PREFIX: &str = "HEARTH_";

/// A command line with what the environment sets, and what of that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) arguments: Vec<OsString>,
    /// A line each, with the variable and the way out.
    pub(crate) problems: Vec<String>,
}

/// Adds to the command line of `inferd serve` what variables set and it does not say itself. Other commands are left as
/// they are.
pub(crate) fn settle(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Settled {
    let mut settled = Settled {
        arguments: arguments.into_iter().collect(),
        problems: Vec::new(),
    };
    if settled.arguments.get(1).is_none_or(|command| command != "serve") {
        return settled;
    }
    for (name, value) in variables {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            continue;
        };
        if name.starts_with(PREFIX) && !value.is_empty() {
            settled.add(name, value);
        }
    }
    settled
}

impl Settled {
    fn add(&mut self, name: &str, value: &str) {
        let Some((_, option)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
            let known = SETTINGS.map(|(name, _)| name).join(", ");
            self.problems
                .push(format!("{name} sets nothing; there are {known}"));
            return;
        };
        if self.says(option) {
            return;
        }
        let setting = format!("{option}={value}");
        match Arguments::try_parse_from(["inferd", "serve", &setting]) {
            Ok(_) => self.arguments.push(setting.into()),
            Err(error) => self.problems.push(format!(
                "{name} is passed over, as if it were not set: {}",
                first_line(&error.to_string())
            )),
        }
    }

    /// Whether the command line has an option already.
    fn says(&self, option: &str) -> bool {
        self.arguments
            .iter()
            .filter_map(|argument| argument.to_str())
            .any(|argument| argument.split('=').next() == Some(option))
    }
}

/// What clap says is wrong, and which values there are, without its advice on how to call.
fn first_line(error: &str) -> String {
    let lines = error.lines().map(str::trim).take_while(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Command, Kv, Serve};
    use crate::life::KeepAlive;
    use crate::size::Size;

    fn settled(arguments: &[&str], variables: &[(&str, &str)]) -> Settled {
        let arguments = ["inferd"].iter().chain(arguments).map(OsString::from);
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        settle(arguments, variables)
    }

    fn serve(settled: &Settled) -> Serve {
        match Arguments::try_parse_from(&settled.arguments).unwrap().command {
            Command::Serve(serve) => serve,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_setting_reaches_the_engine() {
        let settled = settled(
            &["serve"],
            &[
                ("HEARTH_MEMORY_BUDGET", "800M"),
                ("HEARTH_THREADS", "3"),
                ("HEARTH_CPU", "scalar"),
                ("HEARTH_KV", "q8"),
                ("HEARTH_KV_MEMORY", "0"),
                ("HEARTH_KV_PARK_QUOTA", "1G"),
                ("HEARTH_KEEP_ALIVE", "-1"),
                ("HEARTH_EXIT_IDLE", "0"),
                ("HEARTH_SLOTS", "2"),
                ("HEARTH_CONTEXT", "8192"),
                ("HEARTH_MODEL", "coder"),
                ("PATH", "/bin"),
            ],
        );
        assert_eq!(settled.problems, Vec::<String>::new());
        let serve = serve(&settled);
        assert_eq!(serve.memory_budget, Some(Size(800 << 20)));
        assert_eq!(serve.cpu, Some(kernels::path::Path::SCALAR));
        assert!(matches!(serve.kv, Kv::Q8));
        assert_eq!(serve.keep_alive, KeepAlive::Ever);
        assert_eq!(serve.exit_idle, KeepAlive::For(std::time::Duration::ZERO));
        assert_eq!((serve.kv_memory, serve.kv_park_quota), (Size(0), Size(1 << 30)));
        assert_eq!((serve.threads, serve.slots, serve.context), (Some(3), 2, 8192));
        assert_eq!(serve.model.as_deref(), Some("coder"));
    }

    #[test]
    fn what_hearth_toml_can_set_is_taken() {
        let values = ["800M", "3", "scalar", "q8", "0", "1G", "1h30m", "-1", "2", "8192"];
        let keys = setup::settings::ENGINE_KEYS.iter().zip(values);
        let lines: String = keys
            .map(|(key, value)| format!("{key} = \"{value}\"\n"))
            .collect();
        let file = format!("model = \"coder\"\n[engine]\n{lines}");
        let read = setup::parse(file.as_bytes(), |_| true).unwrap();
        let rendered = setup::render::rest(&read);
        let environment = rendered
            .iter()
            .find_map(|file| match &file.content {
                setup::render::Content::Text(text, _) if file.path.ends_with("engine.env") => Some(text),
                _ => None,
            })
            .unwrap();
        let variables: Vec<(&str, &str)> = environment
            .lines()
            .map(|line| line.split_once('=').unwrap())
            .collect();
        assert_eq!(variables.len(), SETTINGS.len());
        assert_eq!(settled(&["serve"], &variables).problems, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_used_is_told_by_name_and_the_rest_holds() {
        for (name, value) in [
            ("HEARTH_KV", "Q8"),
            ("HEARTH_MEMORY_BUDGET", "2GB"),
            ("HEARTH_THREADS", "0"),
            ("HEARTH_SLOTS", "2 # two"),
            ("HEARTH_CPU", "neon"),
            ("HEARTH_KEEP_ALIVE", "soon"),
            ("HEARTH_MEMORYBUDGET", "2G"),
        ] {
            let settled = settled(&["serve"], &[(name, value), ("HEARTH_CONTEXT", "512")]);
            assert_eq!(settled.problems.len(), 1, "{name}");
            assert!(
                settled.problems[0].starts_with(name) && !settled.problems[0].contains('\n'),
                "{settled:?}"
            );
            assert_eq!(serve(&settled).context, 512, "{name}");
        }
        let names = &settled(&["serve"], &[("HEARTH_KV", "Q8")]).problems[0];
        assert!(names.contains("f16") && names.contains("q8"), "{names}");
    }

    #[test]
    fn the_command_line_comes_first_and_an_empty_value_is_none() {
        let variables = [("HEARTH_SLOTS", "2"), ("HEARTH_KV", "")];
        for arguments in [&["serve", "--slots", "3"][..], &["serve", "--slots=3"]] {
            let settled = settled(arguments, &variables);
            assert_eq!((serve(&settled).slots, settled.problems.len()), (3, 0));
        }
        let other = settled(&["bench", "-m", "x"], &variables);
        assert_eq!(other.arguments, ["inferd", "bench", "-m", "x"]);
    }

    #[test]
    fn the_unit_takes_them_from_where_setup_puts_them() {
        let unit = include_str!("../../../systemd/system/hearth-inferd.service");
        assert!(
            unit.lines()
                .any(|line| line == format!("EnvironmentFile=-/{}/engine.env", setup::render::STATE))
        );
    }
}
