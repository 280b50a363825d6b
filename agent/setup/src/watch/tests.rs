use std::fs;

use api::setup::Reply;
use machine::BootTime;

use crate::rehearsal::{CABLE, CHANGED, HOSTNAME, KEPT, Machine, SECOND, STATIC, TRIAL};

const WIFI: &str =
    r#"{"hostname":"hearth","ipv4":{"method":"dhcp"},"wifi":{"ssid":"cafe","password":"correct horse"}}"#;
/// Its file.
const CAFE: &str = "var/lib/iwd/cafe.psk";

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
