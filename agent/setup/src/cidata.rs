//! cloud-init's NoCloud: `user-data` and `meta-data` on a drive named `cidata`, as makers of virtual machines hand them over.
//!
//! Of cloud-config what the appliance has a place for is taken: the host name and SSH keys. Nothing is run. Source:
//! cloud-init's `reference/datasources/nocloud` and `reference/modules` (Set Hostname, SSH, Users and Groups).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::file::{LONGEST, Problem};
use crate::settings::{HostName, Settings, SshKey};

/// What is told of settings that are not taken.
const TAKEN: &str = "hostname, ssh_authorized_keys and those of users are taken";
/// How `user-data` of this kind begins.
const HEADER: &str = "#cloud-config";
/// Keys of `user-data` that are taken.
const KEYS: [&str; 4] = ["hostname", "fqdn", "ssh_authorized_keys", "users"];

/// What is taken of `user-data`.
#[derive(Debug, Default, Deserialize)]
struct UserData {
    hostname: Option<String>,
    fqdn: Option<String>,
    #[serde(default)]
    ssh_authorized_keys: Vec<String>,
    #[serde(default)]
    users: Vec<User>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum User {
    /// `default`, or an account's name alone.
    Name(
        #[expect(
            dead_code,
            reason = "it is told from an entry by its kind, and comes with no key"
        )]
        String,
    ),
    Entry {
        #[serde(default)]
        ssh_authorized_keys: Vec<String>,
    },
}

/// What is taken of `meta-data`.
#[derive(Debug, Default, Deserialize)]
struct MetaData {
    #[serde(rename = "local-hostname")]
    local_hostname: Option<String>,
}

/// Reads both files, and tells in sentences what was passed over. All keys are `admin`'s, whose ever they were to be. A name
/// that cannot be leaves the keys, by which somebody comes in to mend it.
///
/// # Errors
/// Every mistake, where nothing is right.
pub fn parse(user_data: &[u8], meta_data: &[u8]) -> Result<(Settings, Vec<String>), Vec<Problem>> {
    let user_data = text("user-data", user_data).map_err(|problem| vec![problem])?;
    let meta_data = text("meta-data", meta_data).map_err(|problem| vec![problem])?;
    if user_data.lines().next().map(str::trim_end) != Some(HEADER) {
        let problem = format!(
            "user-data does not begin with {HEADER}; nothing else is read here, and no script is run"
        );
        return Err(vec![whole(problem)]);
    }
    let user: UserData = yaml("user-data", user_data).map_err(|problem| vec![problem])?;
    let meta: MetaData = yaml("meta-data", meta_data).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let settings = Settings {
        hostname: host_name(&user, &meta, &mut problems),
        ssh_keys: keys(user, &mut problems),
        ..Settings::default()
    };
    if !problems.is_empty() && settings == Settings::default() {
        return Err(problems);
    }
    let mut notes = passed_over(user_data);
    notes.extend(
        problems
            .iter()
            .map(|problem| format!("Of user-data was passed over: {problem}.")),
    );
    Ok((settings, notes))
}

fn text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Problem> {
    if bytes.len() > LONGEST {
        return Err(whole(format!("{name} is longer than {} KiB", LONGEST >> 10)));
    }
    std::str::from_utf8(bytes).map_err(|_| whole(format!("{name} is not UTF-8")))
}

fn yaml<T: Default + for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<T, Problem> {
    let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(is_empty) {
        return Ok(T::default());
    }
    serde_saphyr::from_str(text).map_err(|error| Problem {
        line: error
            .location()
            .and_then(|place| usize::try_from(place.line()).ok()),
        key: name.to_owned(),
        problem: "this is not as cloud-config is written".to_owned(),
    })
}

/// cloud-init's order: `hostname`, `fqdn`, then what `meta-data` says. Of a name with dots the first part is the host's.
fn host_name(user: &UserData, meta: &MetaData, problems: &mut Vec<Problem>) -> Option<HostName> {
    let names = [&user.hostname, &user.fqdn, &meta.local_hostname];
    let name = names.into_iter().flatten().next()?;
    let label = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let parsed = label.parse();
    parsed
        .map_err(|problem| problems.push(whole(format!("hostname: {problem}"))))
        .ok()
}

fn keys(user: UserData, problems: &mut Vec<Problem>) -> Vec<SshKey> {
    let of_users = user.users.into_iter().flat_map(|user| match user {
        User::Name(_) => Vec::new(),
        User::Entry { ssh_authorized_keys } => ssh_authorized_keys,
    });
    let mut keys: Vec<SshKey> = Vec::new();
    for key in user.ssh_authorized_keys.into_iter().chain(of_users) {
        match key.trim().parse() {
            Ok(key) if keys.contains(&key) => {}
            Ok(key) => keys.push(key),
            Err(problem) => problems.push(whole(format!("ssh_authorized_keys: {problem}"))),
        }
    }
    keys
}

fn passed_over(user_data: &str) -> Vec<String> {
    let all: BTreeMap<String, IgnoredAny> = serde_saphyr::from_str(user_data).unwrap_or_default();
    let others = all.keys().filter(|key| !KEYS.contains(&key.as_str()));
    others
        .map(|key| format!("`{}` of user-data was passed over; {TAKEN}.", key.escape_debug()))
        .collect()
}

fn whole(problem: String) -> Problem {
    Problem {
        line: None,
        key: String::new(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ssh_key::tests::ED25519;

    #[test]
    fn name_and_keys_are_taken_and_the_rest_is_told() {
        let text = format!(
            "#cloud-config\nhostname: Kitchen.lan\npackage_update: true\nssh_authorized_keys:\n  - ssh-ed25519 {ED25519} me\n\
             users:\n  - default\n  - name: bob\n    sudo: ALL=(ALL) NOPASSWD:ALL\n    ssh_authorized_keys:\n      - ssh-ed25519 \
             {ED25519} bob\n      - ssh-ed25519 {ED25519} me\n"
        );
        let (settings, notes) = parse(text.as_bytes(), b"instance-id: a\nlocal-hostname: other\n").unwrap();
        assert_eq!(settings.hostname.unwrap().to_string(), "kitchen");
        let comments: Vec<&str> = settings.ssh_keys.iter().map(SshKey::comment).collect();
        assert_eq!(comments, ["me", "bob"]);
        assert!(
            notes.len() == 1 && notes[0].contains("`package_update`"),
            "{notes:?}"
        );
    }

    #[test]
    fn meta_data_names_a_machine_that_user_data_does_not() {
        let (settings, notes) = parse(b"#cloud-config\n", b"local-hostname: vm-7\n").unwrap();
        assert_eq!(settings.hostname.unwrap().to_string(), "vm-7");
        assert!(notes.is_empty());
        assert_eq!(parse(b"#cloud-config\n", b"").unwrap().0, Settings::default());
    }

    #[test]
    fn a_name_that_cannot_be_leaves_the_keys() {
        let text = format!(
            "#cloud-config\nhostname: My_VM\nssh_authorized_keys: [ssh-ed25519 {ED25519} me, ssh-rsa x]\n"
        );
        let (settings, notes) = parse(text.as_bytes(), b"").unwrap();
        assert_eq!((settings.hostname, settings.ssh_keys.len()), (None, 1));
        assert!(notes.len() == 2 && notes[0].contains("hostname: "), "{notes:?}");
    }

    #[test]
    fn what_is_no_cloud_config_sets_nothing() {
        for (text, wanted) in [
            ("#!/bin/sh\nrm -rf /\n", "no script is run"),
            ("", "does not begin"),
            ("#cloud-config\nhostname: [\n", "not as cloud-config is written"),
            ("#cloud-config\nhostname: a b\n", "no host name"),
            (
                "#cloud-config\nssh_authorized_keys: [ssh-rsa x]\n",
                "no whole key",
            ),
        ] {
            let problems = parse(text.as_bytes(), b"").unwrap_err();
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.to_string().contains(wanted)),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn what_grows_when_it_is_read_is_refused() {
        let mut text = "#cloud-config\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (this, last) in ["b", "c", "d", "e", "f", "g", "h"]
            .iter()
            .zip(["a", "b", "c", "d", "e", "f", "g"])
        {
            text += &format!(
                "{this}: &{this} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n"
            );
        }
        assert!(parse(text.as_bytes(), b"").is_err());
    }
}
