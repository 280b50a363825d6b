//! Power profiles, as desktops and `powerprofilesctl` use them, and as the gateway does.

use crate::rig::{Bus, Hearthd, Machine, power, timely, until};
use api::agent::ControlProxy;
use futures_util::StreamExt;
use machine::{MilliCelsius, PowerProfile};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use zbus::OwnedVariant;

#[zbus::proxy(
    interface = "org.freedesktop.UPower.PowerProfiles",
    default_service = "org.freedesktop.UPower.PowerProfiles",
    default_path = "/org/freedesktop/UPower/PowerProfiles"
)]
trait UPower {
    fn hold_profile(&self, profile: &str, reason: &str, application_id: &str) -> zbus::Result<u32>;
    fn release_profile(&self, cookie: u32) -> zbus::Result<()>;
    #[zbus(signal)]
    fn profile_released(&self, cookie: u32) -> zbus::Result<()>;
    #[zbus(property)]
    fn active_profile(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn set_active_profile(&self, profile: &str) -> zbus::Result<()>;
    #[zbus(property)]
    fn profiles(&self) -> zbus::Result<Vec<HashMap<String, OwnedVariant>>>;
    #[zbus(property)]
    fn active_profile_holds(&self) -> zbus::Result<Vec<HashMap<String, OwnedVariant>>>;
}

#[zbus::proxy(
    interface = "net.hadess.PowerProfiles",
    default_service = "net.hadess.PowerProfiles",
    default_path = "/net/hadess/PowerProfiles"
)]
trait Legacy {
    fn hold_profile(&self, profile: &str, reason: &str, application_id: &str) -> zbus::Result<u32>;
    #[zbus(property)]
    fn active_profile(&self) -> zbus::Result<String>;
}

#[tokio::test]
async fn a_hold_ends_with_its_holder() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let (watcher, holder) = (bus.connect().await, bus.connect().await);
    let watching = UPowerProxy::new(&watcher).await.unwrap();
    let mut changes = watching.receive_active_profile_changed().await;
    assert_eq!(
        timely(changes.next()).await.unwrap().get().await.unwrap(),
        "balanced"
    );

    let legacy = LegacyProxy::new(&holder).await.unwrap();
    legacy.hold_profile("performance", "", "game").await.unwrap();
    assert_eq!(
        timely(changes.next()).await.unwrap().get().await.unwrap(),
        "performance"
    );
    let [hold] = watching.active_profile_holds().await.unwrap().try_into().unwrap();
    let shown: &str = (&hold["ApplicationId"]).try_into().unwrap();
    assert_eq!(shown, "game");

    drop(legacy);
    holder.close().await.unwrap();
    assert_eq!(
        timely(changes.next()).await.unwrap().get().await.unwrap(),
        "balanced"
    );
    assert!(power(&watcher).await.holds.is_empty());
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(log.contains("its holder has left the bus"), "{log}");
}

#[tokio::test]
async fn choosing_a_profile_by_hand_ends_the_holds_and_tells_the_holder() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let (desktop, holder) = (bus.connect().await, bus.connect().await);
    let holding = UPowerProxy::new(&holder).await.unwrap();
    let mut released = holding.receive_profile_released().await.unwrap();
    let cookie = holding
        .hold_profile("performance", "a game", "game")
        .await
        .unwrap();

    let desktop = UPowerProxy::new(&desktop).await.unwrap();
    let others = desktop.release_profile(cookie).await.unwrap_err().to_string();
    assert!(others.contains("AccessDenied"), "{others}");
    desktop.set_active_profile("power-saver").await.unwrap();
    let signal = timely(released.next()).await.unwrap();
    assert_eq!(signal.args().unwrap().cookie, cookie);
    let unknown = desktop.set_active_profile("turbo").await.unwrap_err().to_string();
    assert!(
        unknown.contains("power-saver, balanced or performance"),
        "{unknown}"
    );
    assert_eq!(desktop.profiles().await.unwrap().len(), 3);
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn what_the_gateway_sets_is_kept_over_a_restart_and_audited() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let gateway = bus.connect().await;
    let control = ControlProxy::new(&gateway).await.unwrap();
    control.set_power_profile("power-saver").await.unwrap();
    control.set_thermal_target(70_000).await.unwrap();
    let absurd = control.set_thermal_target(300_000).await.unwrap_err().to_string();
    assert!(absurd.contains("40.0 °C to 105.0 °C"), "{absurd}");
    let hold = control
        .hold_profile("performance", "a benchmark", "anna", 3600)
        .await
        .unwrap();
    assert_eq!(power(&gateway).await.holds[0].id, hold);
    control.release_profile(hold).await.unwrap();
    let gone = control.release_profile(hold).await.unwrap_err().to_string();
    assert!(gone.contains("there is no hold"), "{gone}");
    let log = hearthd.stop(Signal::SIGTERM);
    let uid = format!("uid={}", nix::unistd::getuid());
    let line = log
        .lines()
        .find(|line| line.contains("the target was set to 70.0"))
        .unwrap();
    assert!(line.contains(&uid), "{line}");

    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let shown = power(&gateway).await;
    assert_eq!(shown.profile, PowerProfile::PowerSaver);
    let agent = api::agent::AgentProxy::new(&gateway).await.unwrap();
    let thermal: api::power::Thermal = serde_json::from_str(&agent.thermal().await.unwrap()).unwrap();
    assert_eq!(thermal.target_set, Some(MilliCelsius(70_000)));
    hearthd.stop(Signal::SIGTERM);
}

#[tokio::test]
async fn what_cannot_be_kept_is_in_force_and_audited_all_the_same() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let gateway = bus.connect().await;
    let control = ControlProxy::new(&gateway).await.unwrap();
    // Where the new file would be, there is a folder.
    std::fs::create_dir(machine.own("state/wishes.fresh")).unwrap();
    let told = control.set_thermal_target(70_000).await.unwrap_err().to_string();
    assert!(told.contains("until hearthd restarts"), "{told}");
    let told = control
        .set_power_profile("power-saver")
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("until hearthd restarts"), "{told}");
    assert_eq!(power(&gateway).await.profile, PowerProfile::PowerSaver);
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(log.contains("the target was set to 70.0"), "{log}");
    assert!(log.contains("the profile was set to power-saver"), "{log}");
}

#[tokio::test]
async fn a_hold_with_a_time_limit_ends_by_itself() {
    let (bus, machine) = (Bus::start(), Machine::copy("n100"));
    let hearthd = Hearthd::start(&bus, &machine, 60_000);
    let connection = bus.connect().await;
    let control = ControlProxy::new(&connection).await.unwrap();
    control
        .hold_profile("performance", "a second", "anna", 1)
        .await
        .unwrap();
    until(&connection, |power| power.holds.is_empty()).await;
    let log = hearthd.stop(Signal::SIGTERM);
    assert!(log.contains("its time is up"), "{log}");
}
