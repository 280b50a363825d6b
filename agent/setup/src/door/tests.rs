use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;
use crate::rehearsal::{CABLE, CHANGED, KEPT, Machine, SECOND, STATIC, TRIAL};

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
