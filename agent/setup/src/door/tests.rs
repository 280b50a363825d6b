use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use setup::trial::Seen;

use super::*;

const SECOND: u64 = 1_000_000;
const STATIC: &str = r#"{"hostname":"hearth","ipv4":{"method":"static","address":"10.0.0.2/8","gateway":null,"dns":[]},"wifi":null}"#;

const WIFI: &str =
    r#"{"hostname":"hearth","ipv4":{"method":"dhcp"},"wifi":{"ssid":"cafe","password":"correct horse"}}"#;
/// Its file.
const CAFE: &str = "var/lib/iwd/cafe.psk";

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
            || Ok(BootTime(at * SECOND)),
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

    fn confirm(&self, of: Option<&str>, at: u64) -> Reply {
        let request = Request::Confirm {
            of: of.map(str::to_owned),
        };
        self.ask(&serde_json::to_string(&request).unwrap(), at)
    }

    fn state(&self, at: u64) -> NetworkState {
        match self.ask("\"network\"", at) {
            Reply::Network(state) => state,
            other => panic!("{other:?}"),
        }
    }

    fn watch(&self, at: u64, neighbours: &[&str]) {
        self.try_watch(at, neighbours).unwrap();
    }

    fn try_watch(&self, at: u64, neighbours: &[&str]) -> Result<()> {
        let neighbour = |address: &&str| linux::Neighbour {
            address: address.parse().unwrap(),
            device: "enp1s0".to_owned(),
        };
        let seen = Seen {
            neighbours: neighbours.iter().map(neighbour).collect(),
            has_cable: true,
        };
        let now = || Ok(BootTime(at * SECOND));
        crate::watch::run(&self.place(), || seen.clone(), |_| (), now)
    }

    fn boot(&self) {
        crate::boot::run(&self.place(), None, BootTime(SECOND)).unwrap();
    }

    /// The next boot: what is in memory is gone.
    fn reboot(&self) {
        fs::remove_dir_all(self.0.path().join("run")).unwrap();
        self.boot();
    }

    /// Makes a file one that cannot be written anew, as on a disk that is read-only.
    fn freeze(&self, path: &str) {
        fs::create_dir_all(self.0.path().join(format!("{path}.fresh"))).unwrap();
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
const KEPT: &str = "var/lib/hearth/config/settings.json";
const HOSTNAME: &str = "var/lib/hearth/config/hostname";
const TRIAL: &str = "run/hearth/setup/trial.json";
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
    assert_eq!(reason(machine.confirm(None, 131)), Reason::NoTrial);
}

#[test]
fn who_confirms_another_change_than_the_one_on_trial_is_refused() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    let reached = machine.state(11).revision;
    machine.set(&STATIC.replace("10.0.0.2", "10.0.0.3"), 12);
    assert_eq!(reason(machine.confirm(Some(&reached), 13)), Reason::Changed);
    assert_eq!(machine.state(14).on_trial, Some(118), "it is on trial as before");
    let reached = machine.state(14).revision;
    assert_eq!(machine.confirm(Some(&reached), 15), Reply::Done);
}

#[test]
fn what_is_confirmed_is_there_after_a_boot() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    assert_eq!(machine.confirm(None, 100), Reply::Done);
    machine.watch(131, &[]);
    assert!(machine.has(CABLE));
    machine.reboot();
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
    machine.reboot();
    assert!(!machine.has(CABLE));
}

#[test]
fn confirming_after_the_time_is_too_late_even_if_nobody_watches() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    assert_eq!(reason(machine.confirm(None, 130)), Reason::NoTrial);
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
        r#"{"set_clock":{"timezone":"Mars/Base","ntp":true}}"#,
        r#"{"set_clock":{"timezone":"../../etc/passwd","ntp":true}}"#,
        r#"{"set_clock":{"ntp":true}}"#,
        &format!("\"{}\"", "x".repeat(LONGEST_REQUEST as usize)),
    ] {
        assert_eq!(reason(machine.ask(request, 1)), Reason::Invalid, "{request}");
    }
    assert!(!machine.has(CHANGED));
}

#[test]
fn the_time_zone_is_a_link() {
    let machine = Machine::new();
    assert_eq!(machine.ask("\"clock\"", 1), clock("UTC", true));
    let set = r#"{"set_clock":{"timezone":"Europe/Berlin","ntp":true}}"#;
    assert_eq!(machine.ask(set, 1), Reply::Done);
    assert_eq!(machine.ask("\"clock\"", 1), clock("Europe/Berlin", true));
    assert!(machine.has(CHANGED), "the running system is told");
    let link = machine.0.path().join("var/lib/hearth/config/localtime");
    assert_eq!(
        fs::read_link(link).unwrap(),
        Path::new("/usr/share/zoneinfo/Europe/Berlin")
    );
}

fn clock(timezone: &str, ntp: bool) -> Reply {
    let timezone = timezone.to_owned();
    Reply::Clock(ClockState { timezone, ntp })
}

#[test]
fn a_clock_that_goes_by_itself_does_so_after_a_boot() {
    let machine = Machine::new();
    let set = |ntp| format!(r#"{{"set_clock":{{"timezone":"Europe/Berlin","ntp":{ntp}}}}}"#);
    let off = "var/lib/hearth/config/ntp-off";
    machine.ask(&set(false), 1);
    fs::remove_file(machine.0.path().join(off)).unwrap();
    machine.boot();
    assert!(machine.has(off));
    assert_eq!(machine.ask("\"clock\"", 1), clock("Europe/Berlin", false));
    let zone_alone = r#"{"set_clock":{"timezone":"Europe/Berlin"}}"#;
    assert_eq!(machine.ask(zone_alone, 1), Reply::Done);
    assert_eq!(
        machine.ask("\"clock\"", 1),
        clock("Europe/Berlin", false),
        "it stays"
    );
    machine.ask(&set(true), 1);
    assert!(!machine.has(off));
}

#[test]
fn a_factory_reset_is_wanted_until_it_is_not() {
    let machine = Machine::new();
    let flag = "var/lib/hearth/config/factory-reset";
    for wanted in [true, true, false, false] {
        let request = format!(r#"{{"factory_reset":{wanted}}}"#);
        assert_eq!(machine.ask(&request, 1), Reply::Done);
        assert_eq!(machine.has(flag), wanted);
    }
    assert!(
        !machine.has(CHANGED),
        "the running system has nothing to do with it"
    );
    machine.ask(r#"{"factory_reset":true}"#, 1);
    machine.boot();
    assert!(
        !machine.has(flag),
        "the initrd could not do it, and no later one does"
    );
}

#[test]
fn a_factory_reset_of_somebody_who_is_gone_does_not_stay_ordered() {
    let machine = Machine::new();
    let place = machine.place();
    let (output, gone) = UnixStream::pair().unwrap();
    drop(gone);
    let request = b"{\"factory_reset\":true}\n".as_slice();
    serve(&place, request, output, || Ok(BootTime(SECOND))).unwrap();
    assert!(!machine.has("var/lib/hearth/config/factory-reset"));
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
    machine.confirm(None, 11);
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
        machine.reboot();
        assert_eq!(machine.has(CABLE), stays, "it is over and done with");
    }
}

#[test]
fn a_trial_that_a_power_cut_ends_is_tried_again() {
    let machine = Machine::new();
    machine.config("[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n");
    machine.boot();
    machine.reboot();
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
    machine.config(&format!(
        "hostname = \"kitchen\"\n[access]\ntoken_hashes = [\"sha256:{} admin laptop\"]\n",
        "0".repeat(64)
    ));
    machine.boot();
    let tokens = machine.read("var/lib/hearth/config/token-hashes");
    assert!(tokens.contains("admin laptop"));
    fs::write(machine.0.path().join(KEPT), "{").unwrap();
    // As the owner was promised, the file is no longer there.
    fs::remove_file(machine.0.path().join("config/hearth.toml")).unwrap();
    for _boot in 0..2 {
        machine.reboot();
        assert_eq!(machine.read("var/lib/hearth/config/token-hashes"), tokens);
        assert_eq!(machine.read(HOSTNAME), "kitchen\n");
        assert!(
            machine.result().contains("could not be read"),
            "{}",
            machine.result()
        );
    }
    assert_eq!(machine.read(&format!("{KEPT}.broken")), "{");
    machine.config("hostname = \"attic\"\n");
    machine.boot();
    assert_eq!(machine.read(HOSTNAME), "attic\n");
}

#[test]
fn what_cannot_be_kept_is_not_put_into_force() {
    for frozen in [KEPT, TRIAL] {
        let machine = Machine::new();
        machine.freeze(frozen);
        assert_eq!(reason(machine.set(STATIC, 10)), Reason::Failed, "{frozen}");
        assert!(
            !machine.has(CABLE) && !machine.has(CHANGED) && !machine.has(TRIAL),
            "{frozen}"
        );
        assert_eq!(machine.state(11).network.ipv4, api::network::Ipv4::Dhcp);
    }
}

#[test]
fn a_disk_that_cannot_be_written_to_hinders_no_taking_back() {
    let of_file = "hostname = \"kitchen\"\n[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n";
    for is_file in [false, true] {
        let machine = Machine::new();
        if is_file {
            machine.config(of_file);
            machine.boot();
        } else {
            machine.boot();
            machine.set(&STATIC.replace("\"hearth\"", "\"cellar\""), 10);
        }
        assert!(machine.has(CABLE));
        machine.freeze(KEPT);
        machine.freeze(HOSTNAME);
        fs::remove_file(machine.0.path().join(CHANGED)).ok();
        machine.watch(131, &[]);
        assert!(
            !machine.has(CABLE) && !machine.has(TRIAL) && machine.has(CHANGED),
            "{is_file}"
        );
        assert_eq!(machine.state(132).on_trial, None);
    }
}

#[test]
fn who_is_cut_off_while_taking_back_is_followed_by_another() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    fs::remove_file(machine.0.path().join(CHANGED)).unwrap();
    machine.freeze(CHANGED);
    assert!(machine.try_watch(131, &[]).is_err(), "nobody was told");
    assert!(machine.has(TRIAL), "it is to be started again");
    fs::remove_dir(machine.0.path().join(format!("{CHANGED}.fresh"))).unwrap();
    machine.watch(132, &[]);
    assert!(!machine.has(CABLE) && !machine.has(TRIAL) && machine.has(CHANGED));
}

#[test]
fn a_trial_that_nobody_can_read_is_over() {
    let machine = Machine::new();
    machine.set(STATIC, 1);
    fs::remove_file(machine.0.path().join(CHANGED)).unwrap();
    fs::write(machine.0.path().join(TRIAL), "{").unwrap();
    machine.watch(2, &[]);
    assert!(!machine.has(TRIAL));
    assert!(
        !machine.has(CABLE) && machine.has(CHANGED),
        "what is kept is in force again"
    );
}

#[test]
fn a_wifi_network_that_was_tried_is_forgotten_whatever_becomes_of_the_trial() {
    let unreadable: fn(&Machine) = |machine| {
        fs::write(machine.0.path().join(TRIAL), "{").unwrap();
        machine.watch(2, &[]);
    };
    for lose in [unreadable, Machine::reboot, |machine| machine.watch(131, &[])] {
        let machine = Machine::new();
        machine.set(WIFI, 1);
        let own = "var/lib/iwd/own.psk";
        fs::write(machine.0.path().join(own), "").unwrap();
        assert!(machine.has(CAFE));
        lose(&machine);
        assert!(!machine.has(CAFE) && !machine.has(TRIAL));
        assert!(!machine.read(KEPT).contains("cafe"), "{}", machine.read(KEPT));
        assert!(machine.has(own), "nobody has tried it");
    }
}

#[test]
fn a_wifi_network_that_is_confirmed_stays() {
    let machine = Machine::new();
    machine.set(WIFI, 1);
    assert_eq!(machine.confirm(None, 2), Reply::Done);
    machine.reboot();
    assert!(machine.has(CAFE));
}

#[test]
fn a_lost_trial_that_cannot_be_ended_does_not_keep_the_network_away() {
    let machine = Machine::new();
    machine.set(WIFI, 1);
    fs::write(machine.0.path().join(TRIAL), "{").unwrap();
    fs::remove_file(machine.0.path().join(CHANGED)).unwrap();
    fs::remove_file(machine.0.path().join(HOSTNAME)).unwrap();
    machine.freeze(CHANGED);
    assert!(crate::boot::run(&machine.place(), None, BootTime(SECOND)).is_err());
    assert!(machine.has(HOSTNAME) && !machine.has(CAFE));
    assert!(machine.has(TRIAL), "its watcher is to be started");
    assert!(machine.try_watch(2, &[]).is_err(), "and again");
    fs::remove_dir(machine.0.path().join(format!("{CHANGED}.fresh"))).unwrap();
    machine.watch(3, &[]);
    assert!(machine.has(CHANGED) && !machine.has(TRIAL));
}

#[test]
fn what_is_wrong_with_the_disk_or_a_file_does_not_keep_the_network_away() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    machine.confirm(None, 11);
    machine.config("hostname = \"kitchen\"\n");
    machine.freeze(KEPT);
    machine.freeze(HOSTNAME);
    fs::remove_file(machine.0.path().join(HOSTNAME)).unwrap();
    fs::remove_dir_all(machine.0.path().join("run")).unwrap();
    assert!(crate::boot::run(&machine.place(), None, BootTime(SECOND)).is_err());
    assert!(machine.has(CABLE), "it is found where it was");
    assert!(
        machine.has("var/lib/hearth/config/localtime"),
        "each file is tried"
    );
}

#[test]
fn a_mistake_that_is_undone_is_no_longer_told() {
    let machine = Machine::new();
    machine.boot();
    let right = "hostname = \"kitchen\"\n";
    for (text, wanted) in [
        (right, "was applied"),
        ("hostnam = \"kitchen\"\n", "NOT applied"),
        (right, "was applied"),
    ] {
        machine.config(text);
        machine.reboot();
        let result = machine.result();
        assert!(
            result.contains(wanted) && result.matches("applied").count() == 1,
            "{result}"
        );
        // hearth-result.service brings it there.
        fs::write(machine.0.path().join("config/hearth-result.txt"), &result).unwrap();
    }
    machine.reboot();
    assert!(!machine.has("run/hearth/setup/answered"), "CONFIG has it already");
}

#[test]
fn a_file_of_another_name_or_none_at_all_is_answered() {
    let machine = Machine::new();
    let folder = machine.0.path().join("config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("hearth.toml.txt"), "hostname = \"kitchen\"\n").unwrap();
    machine.boot();
    assert!(
        machine.result().contains("called hearth.toml.txt"),
        "{}",
        machine.result()
    );
    fs::create_dir(folder.join("hearth.toml")).unwrap();
    assert!(crate::boot::run(&machine.place(), None, BootTime(1)).is_err());
    assert!(machine.result().contains("it is no file"), "{}", machine.result());
    assert_eq!(machine.read(HOSTNAME), "hearth\n");
}

#[test]
fn who_is_slow_to_ask_keeps_nobody_waiting() {
    struct Slow(std::path::PathBuf);
    impl std::io::Read for Slow {
        fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
            let lock = fs::File::options().append(true).open(&self.0)?;
            lock.try_lock().expect("the desk is somebody else's to use");
            Ok(0)
        }
    }
    let machine = Machine::new();
    machine.boot();
    let slow = Slow(machine.0.path().join("run/hearth/setup/lock"));
    let now = || Ok(BootTime(SECOND));
    serve(&machine.place(), std::io::BufReader::new(slow), Vec::new(), now).unwrap();
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
    // The machine powers off before it is known what becomes of the address: the disk is not erased again.
    machine.config(
        "[install]\nto = \"internal\"\ndisk = \"sda\"\nconfirm = \"erase\"\n[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n",
    );
    machine.reboot();
    assert!(machine.read(wish).contains("sda"));
    machine.reboot();
    assert!(!machine.has(wish) && machine.has(TRIAL));
}

#[test]
fn what_a_text_has_erased_is_not_erased_by_it_again() {
    let machine = Machine::new();
    let text = "hostname = \"kitchen\"\n[install]\nto = \"internal\"\ndisk = \"the only one\"\nconfirm = \"erase\"\n";
    let (wish, copies) = (
        "run/hearth/setup/install.json",
        machine.0.path().join("config/hearth-installed.txt"),
    );
    machine.config(text);
    machine.boot();
    assert!(machine.has(wish));
    fs::write(&copies, setup::copies::with("", &setup::digest(text.as_bytes()))).unwrap();
    // A record that cannot be read, and a factory reset.
    fs::write(machine.0.path().join(KEPT), "{").unwrap();
    machine.reboot();
    assert!(
        !machine.has(wish) && machine.result().contains("is not copied again"),
        "{}",
        machine.result()
    );
    fs::remove_dir_all(machine.0.path().join("var")).unwrap();
    machine.reboot();
    assert!(
        !machine.has(wish) && machine.result().contains("is not copied again"),
        "{}",
        machine.result()
    );
    assert_eq!(machine.read(HOSTNAME), "kitchen\n", "all else of the text counts");
    machine.config(&format!("{text}# to be sure\n"));
    machine.reboot();
    assert!(machine.has(wish), "another text");
    // Where it cannot be told.
    fs::remove_dir_all(machine.0.path().join("var")).unwrap();
    fs::remove_file(&copies).unwrap();
    fs::create_dir(&copies).unwrap();
    machine.reboot();
    assert!(
        !machine.has(wish) && machine.result().contains("it is no file"),
        "{}",
        machine.result()
    );
}

#[test]
fn an_answer_of_an_earlier_start_says_that_it_is_one() {
    let machine = Machine::new();
    machine.config("[install]\nto = \"internal\"\ndisk = \"the only one\"\n");
    machine.boot();
    let place = machine.place();
    let mut desk = Desk::open(&place).unwrap();
    let mut next = desk.state().clone();
    next.installed("The appliance is on nvme0n1.");
    desk.save(next).unwrap();
    drop(desk);
    assert!(
        !machine.result().contains("earlier start"),
        "{}",
        machine.result()
    );
    for _ in 0..2 {
        machine.reboot();
        let said = machine.result();
        assert!(
            said.contains("perhaps of another machine:\nThe appliance is on nvme0n1.\n"),
            "{said}"
        );
        assert!(said.contains("until the file says something else"), "{said}");
    }
}
