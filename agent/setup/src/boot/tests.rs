use std::fs;

use super::*;
use crate::rehearsal::{CABLE, HOSTNAME, KEPT, Machine, SECOND, STATIC, TRIAL};

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
fn config_takes_the_place_of_a_credential() {
    let machine = Machine::new();
    let credentials = tempfile::tempdir().unwrap();
    fs::write(
        credentials.path().join("hearth.toml"),
        "hostname = \"vm\"\n[engine]\nslots = 1\n",
    )
    .unwrap();
    let boot = || run(&machine.place(), Some(credentials.path()), BootTime(SECOND)).unwrap();
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
fn what_is_wrong_with_the_disk_or_a_file_does_not_keep_the_network_away() {
    let machine = Machine::new();
    machine.set(STATIC, 10);
    machine.confirm(None, 11);
    machine.config("hostname = \"kitchen\"\n");
    machine.freeze(KEPT);
    machine.freeze(HOSTNAME);
    fs::remove_file(machine.0.path().join(HOSTNAME)).unwrap();
    fs::remove_dir_all(machine.0.path().join("run")).unwrap();
    assert!(run(&machine.place(), None, BootTime(SECOND)).is_err());
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
    assert!(run(&machine.place(), None, BootTime(1)).is_err());
    assert!(machine.result().contains("it is no file"), "{}", machine.result());
    assert_eq!(machine.read(HOSTNAME), "hearth\n");
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
