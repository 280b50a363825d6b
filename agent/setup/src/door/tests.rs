use std::fs;
use std::path::Path;

use super::*;

const SECOND: u64 = 1_000_000;
const STATIC: &str = r#"{"hostname":"hearth","ipv4":{"method":"static","address":"10.0.0.2/8","gateway":null,"dns":[]},"wifi":null}"#;

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let zones = root.path().join("usr/share/zoneinfo/Europe");
        fs::create_dir_all(&zones).unwrap();
        fs::write(zones.join("Berlin"), "TZif").unwrap();
        Self(root)
    }

    fn place(&self) -> Place {
        Place::new(self.0.path())
    }

    fn ask(&self, request: &str, at: u64) -> Reply {
        let mut output = Vec::new();
        serve(
            &self.place(),
            format!("{request}\n").as_bytes(),
            &mut output,
            BootTime(at * SECOND),
        )
        .unwrap();
        serde_json::from_slice(&output).unwrap()
    }

    fn set(&self, change: &str, at: u64) -> Reply {
        self.ask(
            &format!(r#"{{"set_network":{{"change":{change},"of":null}}}}"#),
            at,
        )
    }

    fn state(&self, at: u64) -> NetworkState {
        match self.ask("\"network\"", at) {
            Reply::Network(state) => state,
            other => panic!("{other:?}"),
        }
    }

    fn watch(&self, at: u64, neighbours: &[&str]) {
        let neighbours: Vec<_> = neighbours
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        crate::watch::run(&self.place(), || neighbours.clone(), || Ok(BootTime(at * SECOND))).unwrap();
    }

    fn boot(&self) {
        crate::boot::run(&self.place(), None, BootTime(SECOND)).unwrap();
    }

    fn has(&self, path: &str) -> bool {
        self.0.path().join(path).exists()
    }

    fn read(&self, path: &str) -> String {
        let path = self.0.path().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn config(&self, text: &str) {
        let folder = self.0.path().join("config");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("hearth.toml"), text).unwrap();
    }

    fn result(&self) -> String {
        self.read("run/hearth/setup/hearth-result.txt")
    }
}

const CABLE: &str = "run/systemd/network/80-ethernet.network.d/10-hearth.conf";
const CHANGED: &str = "run/hearth/setup/changed";

fn reason(reply: Reply) -> Reason {
    match reply {
        Reply::Refused(refused) => refused.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_is_in_force_at_once_and_comes_back_unless_it_is_confirmed() {
    let machine = Machine::new();
    assert_eq!(machine.set(STATIC, 10), Reply::OnTrial(120));
    assert!(machine.read(CABLE).contains("Address=10.0.0.2/8"));
    assert!(machine.has(CHANGED), "the running system is told");
    assert_eq!(machine.state(20).on_trial, Some(110));
    machine.watch(130, &[]);
    assert!(!machine.has(CABLE));
    assert_eq!(
        (machine.state(131).on_trial, machine.state(131).network.ipv4),
        (None, api::network::Ipv4::Dhcp)
    );
    assert_eq!(reason(machine.ask("\"confirm\"", 131)), Reason::NoTrial);
}

#[test]
fn what_is_confirmed_is_there_after_a_boot() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    assert_eq!(machine.ask("\"confirm\"", 100), Reply::Done);
    machine.watch(131, &[]);
    assert!(machine.has(CABLE));
    fs::remove_dir_all(machine.0.path().join("run")).unwrap();
    machine.boot();
    assert!(machine.read(CABLE).contains("Address=10.0.0.2/8"));
}

#[test]
fn a_trial_outlives_its_watcher_and_no_boot() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    // Another watcher, after the first was killed: the time goes on.
    assert_eq!(machine.state(129).on_trial, Some(1));
    machine.boot();
    assert!(machine.has(CABLE), "the unit was started again while it is tried");
    fs::remove_dir_all(machine.0.path().join("run")).unwrap();
    machine.boot();
    assert!(!machine.has(CABLE));
}

#[test]
fn confirming_after_the_time_is_too_late_even_if_nobody_watches() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    assert_eq!(reason(machine.ask("\"confirm\"", 130)), Reason::NoTrial);
    assert_eq!(machine.state(130).on_trial, Some(0));
}

#[test]
fn what_was_before_ends_a_trial() {
    let machine = Machine::new();
    let dhcp = r#"{"hostname":"hearth","ipv4":{"method":"dhcp"},"wifi":null}"#;
    assert_eq!(machine.set(dhcp, 1), Reply::Done);
    machine.set(STATIC, 10);
    assert_eq!(machine.set(dhcp, 20), Reply::Done);
    assert_eq!(machine.state(21).on_trial, None);
    assert!(!machine.has(CABLE));
}

#[test]
fn who_has_read_something_else_changes_nothing() {
    let machine = Machine::new();
    let revision = machine.state(1).revision;
    let set = |of: &str| format!(r#"{{"set_network":{{"change":{STATIC},"of":"{of}"}}}}"#);
    assert_eq!(reason(machine.ask(&set("0"), 2)), Reason::Changed);
    assert_eq!(machine.ask(&set(&revision), 3), Reply::OnTrial(120));
    assert_eq!(reason(machine.ask(&set(&revision), 4)), Reason::Changed);
}

#[test]
fn what_cannot_be_is_refused() {
    let machine = Machine::new();
    for request in [
        "",
        "{}",
        "\"reboot\"",
        r#"{"set_network":{"change":{"hostname":"A","ipv4":{"method":"dhcp"},"wifi":null},"of":null}}"#,
        r#"{"set_time_zone":"Mars/Base"}"#,
        r#"{"set_time_zone":"../../etc/passwd"}"#,
        &format!("\"{}\"", "x".repeat(LONGEST_REQUEST as usize)),
    ] {
        assert_eq!(reason(machine.ask(request, 1)), Reason::Invalid, "{request}");
    }
    assert!(!machine.has(CHANGED));
}

#[test]
fn the_time_zone_is_a_link() {
    let machine = Machine::new();
    assert_eq!(machine.ask("\"time_zone\"", 1), Reply::TimeZone("UTC".to_owned()));
    assert_eq!(
        machine.ask(r#"{"set_time_zone":"Europe/Berlin"}"#, 1),
        Reply::Done
    );
    assert_eq!(
        machine.ask("\"time_zone\"", 1),
        Reply::TimeZone("Europe/Berlin".to_owned())
    );
    let link = machine.0.path().join("var/lib/hearth/config/localtime");
    assert_eq!(
        fs::read_link(link).unwrap(),
        Path::new("/usr/share/zoneinfo/Europe/Berlin")
    );
}

#[test]
fn a_file_on_config_is_applied_once() {
    let machine = Machine::new();
    machine.config("hostname = \"kitchen\"\ntimezone = \"Europe/Berlin\"\n");
    machine.boot();
    assert_eq!(machine.read("var/lib/hearth/config/hostname"), "kitchen\n");
    assert!(
        machine.result().starts_with("hearth.toml was applied.\n"),
        "{}",
        machine.result()
    );
    machine.set(
        r#"{"hostname":"cellar","ipv4":{"method":"dhcp"},"wifi":null}"#,
        10,
    );
    machine.ask("\"confirm\"", 11);
    machine.boot();
    assert_eq!(
        machine.read("var/lib/hearth/config/hostname"),
        "cellar\n",
        "the file was read before"
    );
    machine.config("hostname = \"attic\"\n");
    machine.boot();
    assert_eq!(machine.read("var/lib/hearth/config/hostname"), "attic\n");
}

#[test]
fn a_file_with_a_mistake_sets_nothing_and_says_where() {
    for (text, wanted) in [
        (
            "hostname = \"kitchen\"\nhostnam = \"x\"\n",
            "line 2, hostnam: there is no such key",
        ),
        ("hostname = kitchen\n", "line 1: this is not as TOML is written"),
        (
            "hostname = \"kitchen\"\ntimezone = \"Mars/Base\"\n",
            "line 2, timezone: `Mars/Base` is no time zone",
        ),
        (
            "hostname = \"kitchen\"\n[access]\nssh_keys = [\"x\"]\n",
            "line 3, access.ssh_keys: a public key begins",
        ),
        (
            "hostname = \"kitchen\"\n[network]\nmethod = \"static\"\naddress = \"10.0.0.2\"\n",
            "line 4, network.address: `10.0.0.2` has no prefix",
        ),
        (
            "hostname = \"kitchen\"\n[wifi]\nssid = \"a\"\npassword = \"b\"\n",
            "line 4, wifi.password: a password has",
        ),
    ] {
        let machine = Machine::new();
        machine.config(text);
        machine.boot();
        let result = machine.result();
        assert!(
            result.contains("NOT applied") && result.contains(wanted),
            "{text}: {result}"
        );
        assert_eq!(
            machine.read("var/lib/hearth/config/hostname"),
            "hearth\n",
            "{text}"
        );
    }
}

#[test]
fn a_fixed_address_of_a_file_stays_if_a_neighbour_answers() {
    let text = "hostname = \"kitchen\"\n[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n";
    for (neighbours, stays) in [
        (&["10.0.0.1"][..], true),
        (&["192.168.1.1"], false),
        (&["10.0.0.2"], false),
        (&[], false),
    ] {
        let machine = Machine::new();
        machine.config(text);
        machine.boot();
        assert!(machine.result().contains("on trial"), "{}", machine.result());
        assert!(machine.has(CABLE));
        machine.watch(if stays { 5 } else { 121 }, neighbours);
        assert_eq!(machine.has(CABLE), stays, "{neighbours:?}");
        assert_eq!(
            machine.result().contains("TAKEN BACK"),
            !stays,
            "{}",
            machine.result()
        );
        assert_eq!(machine.read("var/lib/hearth/config/hostname"), "kitchen\n");
        fs::remove_dir_all(machine.0.path().join("run")).unwrap();
        machine.boot();
        assert_eq!(machine.has(CABLE), stays, "it is over and done with");
    }
}

#[test]
fn a_trial_that_a_power_cut_ends_is_tried_again() {
    let machine = Machine::new();
    machine.config("[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n");
    machine.boot();
    fs::remove_dir_all(machine.0.path().join("run")).unwrap();
    machine.boot();
    assert!(machine.has(CABLE) && machine.result().contains("on trial"));
}

#[test]
fn config_takes_the_place_of_a_credential() {
    let machine = Machine::new();
    let credentials = tempfile::tempdir().unwrap();
    fs::write(
        credentials.path().join("hearth.toml"),
        "hostname = \"vm\"\n[engine]\nslots = 1\n",
    )
    .unwrap();
    let boot = || crate::boot::run(&machine.place(), Some(credentials.path()), BootTime(SECOND)).unwrap();
    boot();
    assert_eq!(machine.read("var/lib/hearth/config/hostname"), "vm\n");
    machine.config("hostname = \"kitchen\"\n");
    boot();
    assert_eq!(machine.read("var/lib/hearth/config/hostname"), "kitchen\n");
    assert_eq!(
        machine.read("var/lib/hearth/config/engine.env"),
        "HEARTH_SLOTS=1\n"
    );
}

#[test]
fn what_is_kept_and_broken_keeps_nobody_out() {
    let machine = Machine::new();
    let path = machine.0.path().join("var/lib/hearth/config/settings.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "{").unwrap();
    machine.config("hostname = \"kitchen\"\n");
    machine.boot();
    assert_eq!(machine.read("var/lib/hearth/config/hostname"), "kitchen\n");
}

#[test]
fn the_wish_to_be_installed_is_handed_on_once() {
    let machine = Machine::new();
    machine.config("[install]\nto = \"internal\"\ndisk = \"nvme0n1\"\n");
    machine.boot();
    let wish = "run/hearth/setup/install.json";
    assert!(machine.read(wish).contains("nvme0n1"));
    fs::remove_file(machine.0.path().join(wish)).unwrap();
    machine.boot();
    assert!(!machine.has(wish));
}
