use proptest::prelude::*;

use super::*;
use crate::settings::Ipv4;
use crate::trial::LIMIT;

const SECOND: u64 = 1_000_000;

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.to_owned(),
        settings: crate::parse(text.as_bytes(), |_| true).unwrap(),
        digest: crate::digest(text.as_bytes()),
        notes: Vec::new(),
    }
}

fn fixed(last: u8) -> String {
    format!("[network]\nmethod = \"static\"\naddress = \"10.0.0.{last}/8\"\n")
}

fn network(text: &str) -> Network {
    source("", text).settings.network()
}

#[test]
fn a_file_beside_a_trial_lets_it_go_on_unless_it_is_in_its_way() {
    let mut state = State::default();
    state.read(source("credential", &fixed(2)), BootTime(0));
    state.read(source("cidata", "hostname = \"vm-7\"\n"), BootTime(1));
    assert_eq!(state.network().hostname.to_string(), "vm-7");
    assert_eq!(state.network().ipv4, network(&fixed(2)).ipv4, "it is still tried");
    let mut kept = state.clone();
    kept.keep();
    assert_eq!(
        kept.network().hostname.to_string(),
        "vm-7",
        "the name is not lost"
    );
    state.read(
        source("hearth.toml", "[network]\nmethod = \"dhcp\"\n"),
        BootTime(2),
    );
    assert_eq!((state.network().ipv4.clone(), state.trial()), (Ipv4::Dhcp, None));
    assert!(state.kept().answers().unwrap().contains("given up"));
}

#[test]
fn an_order_ends_the_trial_of_a_file_for_good() {
    let mut state = State::default();
    let file = source("hearth.toml", &fixed(2));
    state.read(file.clone(), BootTime(0));
    state.begin(network(&fixed(3)), BootTime(1));
    state.confirm(BootTime(2)).unwrap();
    assert!(
        state.kept().has_read(&file.name, &file.digest),
        "it is not tried again"
    );
    assert_eq!(state.network(), &network(&fixed(3)));
}

#[test]
fn a_new_text_of_a_file_ends_the_trial_of_the_old_one() {
    let mut state = State::default();
    let (old, new) = (source("hearth.toml", &fixed(2)), source("hearth.toml", &fixed(3)));
    state.read(old.clone(), BootTime(0));
    let trial_of_old = state.trial().cloned();
    state.read(new.clone(), BootTime(SECOND));
    assert_eq!(state.network(), &network(&fixed(3)));
    // Cut off after what is kept was written, before the trial was.
    let cut = State::new(state.kept().clone(), trial_of_old);
    assert_eq!((cut.trial(), cut.network()), (None, &Network::default()));
    state.take_back();
    assert!(state.kept().has_read(&new.name, &new.digest) && !state.kept().has_read(&old.name, &old.digest));
    assert!(state.kept().answers().unwrap().contains("10.0.0.3/8"));
}

#[test]
fn each_field_is_of_the_last_in_the_order_whoever_is_read_last() {
    let mut state = State::default();
    state.read(
        source("hearth.toml", "hostname = \"kitchen\"\n[engine]\nslots = 1\n"),
        BootTime(0),
    );
    state.read(
        source(
            "cidata",
            "hostname = \"vm-7\"\ntimezone = \"UTC\"\n[engine]\nslots = 2\nkv = \"q8\"\n",
        ),
        BootTime(1),
    );
    assert_eq!(state.network().hostname.to_string(), "kitchen");
    let settings = state.kept().settings();
    assert_eq!(settings.timezone.unwrap().to_string(), "UTC");
    assert_eq!(settings.engine.environment(), "HEARTH_KV=q8\nHEARTH_SLOTS=1\n");
    let answers = state.kept().answers().unwrap();
    assert!(
        answers.contains("The host name is as hearth.toml has it."),
        "{answers}"
    );
    assert!(
        answers.contains("cidata was applied") && answers.contains("hearth.toml was applied"),
        "{answers}"
    );
}

#[test]
fn another_wifi_network_is_tried_and_the_one_that_worked_comes_back() {
    let wifi = |password: &str| format!("[wifi]\nssid = \"home\"\npassword = \"{password}\"\n");
    let mut state = State::default();
    state.read(source("hearth.toml", &wifi("correct horse")), BootTime(0));
    assert_eq!(state.trial(), None, "the first takes nothing away");
    state.read(source("hearth.toml", &wifi("mistyped horse")), BootTime(1));
    assert!(state.trial().is_some());
    state.take_back();
    assert_eq!(state.network(), &network(&wifi("correct horse")));
}

#[test]
fn the_cables_address_stays_where_a_file_adds_wifi() {
    let mut state = State::default();
    state.read(source("hearth.toml", &fixed(2)), BootTime(0));
    state.keep();
    state.read(source("hearth.toml", "[wifi]\nssid = \"home\"\n"), BootTime(1));
    assert_eq!(state.trial(), None);
    assert_eq!(state.network().fixed().unwrap().1, crate::settings::Link::Cable);
    let both = format!("{}[wifi]\nssid = \"home\"\n", fixed(2));
    state.read(source("hearth.toml", &both), BootTime(2));
    assert!(state.trial().is_some(), "the same address moves to Wi-Fi");
}

#[test]
fn a_wish_is_handed_on_once_whatever_becomes_of_the_network() {
    let wish = "[install]\nto = \"internal\"\ndisk = \"sda\"\nconfirm = \"erase\"\n";
    let file = source("hearth.toml", &format!("{}{wish}", fixed(2)));
    let mut state = State::default();
    assert!(state.read(file.clone(), BootTime(0)).is_some());
    let mut booted = State::new(state.kept().clone(), None);
    assert_eq!(booted.read(file, BootTime(0)), None);
    assert!(booted.trial().is_some(), "but its network is tried again");
    assert!(booted.read(source("hearth.toml", wish), BootTime(1)).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    File(&'static str, u8, bool),
    Name(&'static str, char),
    Begin(u8),
    Confirm,
    Keep,
    TakeBack,
    GiveUp,
    Wait(u64),
    /// The power is cut: nothing but what is kept is left.
    Reboot,
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop::sample::select(vec!["cidata", "credential", "hearth.toml"]);
    prop_oneof![
        (name.clone(), 2..5u8, any::<bool>()).prop_map(|(name, last, dhcp)| Step::File(name, last, dhcp)),
        (name, prop::char::range('a', 'c')).prop_map(|(name, c)| Step::Name(name, c)),
        (2..9u8).prop_map(Step::Begin),
        Just(Step::Confirm),
        Just(Step::Keep),
        Just(Step::TakeBack),
        Just(Step::GiveUp),
        (0..150u64).prop_map(Step::Wait),
        Just(Step::Reboot),
    ]
}

proptest! {
    /// In whatever order things come: a fixed address is kept only by a confirmation in time or a watcher's word, what is
    /// over leaves what is kept, and whoever goes on from what was written down is where the first was.
    #[test]
    fn no_order_of_things_keeps_what_nobody_has_proved(steps in prop::collection::vec(step(), 1..40)) {
        let mut state = State::default();
        let mut now = 0;
        for step in steps {
            let before = state.clone();
            match &step {
                Step::File(name, last, dhcp) => {
                    let text = if *dhcp { "[network]\nmethod = \"dhcp\"\n".to_owned() } else { fixed(*last) };
                    let file = source(name, &text);
                    if !state.kept().has_read(name, &file.digest) {
                        state.read(file, BootTime(now));
                    }
                }
                Step::Name(name, letter) => {
                    state.read(source(name, &format!("hostname = \"{letter}\"\n")), BootTime(now));
                }
                Step::Begin(last) if network(&fixed(*last)) != before.kept().network => {
                    state.begin(network(&fixed(*last)), BootTime(now));
                    prop_assert_eq!(&state.kept().network, &before.kept().network);
                }
                Step::Begin(_) => {}
                Step::Confirm => {
                    let confirmed = state.confirm(BootTime(now));
                    let in_time = before.trial().is_some_and(|trial| trial.is_in_time(BootTime(now)));
                    prop_assert_eq!(confirmed.is_ok(), in_time);
                }
                Step::Keep => state.keep(),
                Step::TakeBack => state.take_back(),
                Step::GiveUp => state.give_up(),
                Step::Wait(seconds) => now += seconds * SECOND,
                Step::Reboot => state = State::new(state.kept().clone(), None),
            }
            let (was, is) = (&before.kept().network, &state.kept().network);
            if was.ipv4 != is.ipv4 && is.ipv4 != Ipv4::Dhcp {
                prop_assert!(matches!(step, Step::Confirm | Step::Keep), "{:?}", step);
                prop_assert_eq!(&is.ipv4, &before.trial().unwrap().network.ipv4);
            }
            match &step {
                Step::Confirm if before.trial().is_some() && state == before => {}
                Step::Confirm | Step::Keep => prop_assert_eq!(state.network(), before.network()),
                Step::TakeBack | Step::GiveUp | Step::Reboot => {
                    prop_assert_eq!(state.network(), was);
                    prop_assert_eq!(state.trial(), None);
                }
                _ => {}
            }
            if let Some(trial) = state.trial() {
                prop_assert!(trial.left(BootTime(now)) <= LIMIT);
            }
            let written = serde_json::to_string(&(state.kept(), state.trial())).unwrap();
            let (kept, trial) = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(State::new(kept, trial), state.clone());
        }
    }
}
