//! `org.freedesktop.UPower.PowerProfiles` and its former name, so that desktops and `powerprofilesctl` need no change.
//!
//! Source: power-profiles-daemon's `org.freedesktop.UPower.PowerProfiles.xml`. There are no actions and nothing inhibits
//! performance; a battery is always taken into account.

use super::control::named;
use super::request::{Caller, Change, Requests};
use crate::state::{NewHold, Owner};
use crate::view::{Dictionary, Profiles, Published};
use tokio::sync::watch;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, fdo, interface};

/// Longest reason and application's id that are kept, in characters: a command's whole line may be one.
const LONGEST_TEXT: usize = 200;

/// What both names do.
#[derive(Clone)]
pub(super) struct PowerProfiles {
    pub(super) published: watch::Receiver<Published>,
    pub(super) requests: Requests,
}

impl PowerProfiles {
    fn shown(&self) -> Profiles {
        self.published.borrow().profiles.clone()
    }

    async fn choose(
        &self,
        profile: &str,
        connection: &Connection,
        header: Option<Header<'_>>,
    ) -> fdo::Result<()> {
        let profile = named(profile)?;
        let unknown = || fdo::Error::AccessDenied("the call names no sender".to_owned());
        let caller = Caller::of(connection, &header.ok_or_else(unknown)?).await?;
        self.requests.change(Change::Profile(profile), caller).await
    }

    async fn hold(
        &self,
        profile: &str,
        reason: &str,
        application: &str,
        connection: &Connection,
        header: &Header<'_>,
    ) -> fdo::Result<u32> {
        let profile = named(profile)?;
        let caller = Caller::of(connection, header).await?;
        let hold = NewHold {
            profile,
            reason: legible(reason),
            holder: legible(application),
            until: None,
            owner: Owner::Connection(caller.name.clone()),
        };
        self.requests.hold(hold, 0, caller).await
    }

    async fn release(&self, cookie: u32, connection: &Connection, header: &Header<'_>) -> fdo::Result<()> {
        let caller = Caller::of(connection, header).await?;
        self.requests.change(Change::ReleaseOwn(cookie), caller).await
    }
}

/// What an application may say without knowing hearthd's limits.
fn legible(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let text: String = text.chars().take(LONGEST_TEXT).map(plain).collect();
    if text.is_empty() {
        "not told".to_owned()
    } else {
        text
    }
}

/// The same interface under each of its names.
macro_rules! named_interface {
    ($interface:ident, $name:literal) => {
        pub(super) struct $interface(pub(super) PowerProfiles);

        #[interface(name = $name, introspection_docs = false)]
        impl $interface {
            async fn hold_profile(
                &self,
                profile: &str,
                reason: &str,
                application_id: &str,
                #[zbus(connection)] connection: &Connection,
                #[zbus(header)] header: Header<'_>,
            ) -> fdo::Result<u32> {
                self.0
                    .hold(profile, reason, application_id, connection, &header)
                    .await
            }

            async fn release_profile(
                &self,
                cookie: u32,
                #[zbus(connection)] connection: &Connection,
                #[zbus(header)] header: Header<'_>,
            ) -> fdo::Result<()> {
                self.0.release(cookie, connection, &header).await
            }

            fn set_action_enabled(&self, action: &str, _enabled: bool) -> fdo::Result<()> {
                Err(fdo::Error::InvalidArgs(format!(
                    "there is no action {action:?}"
                )))
            }

            #[zbus(signal)]
            pub(super) async fn profile_released(
                emitter: &SignalEmitter<'_>,
                cookie: u32,
            ) -> zbus::Result<()>;

            #[zbus(property)]
            fn active_profile(&self) -> &'static str {
                self.0.shown().active.as_str()
            }

            #[zbus(property)]
            async fn set_active_profile(
                &self,
                profile: String,
                #[zbus(connection)] connection: &Connection,
                #[zbus(header)] header: Option<Header<'_>>,
            ) -> fdo::Result<()> {
                self.0.choose(&profile, connection, header).await
            }

            #[zbus(property)]
            fn performance_inhibited(&self) -> &'static str {
                ""
            }

            #[zbus(property)]
            fn performance_degraded(&self) -> String {
                self.0.shown().degraded
            }

            #[zbus(property)]
            fn profiles(&self) -> Vec<Dictionary> {
                Profiles::choices()
            }

            #[zbus(property)]
            fn actions(&self) -> Vec<String> {
                Vec::new()
            }

            #[zbus(property)]
            fn actions_info(&self) -> Vec<Dictionary> {
                Vec::new()
            }

            #[zbus(property)]
            fn active_profile_holds(&self) -> Vec<Dictionary> {
                self.0.shown().dictionaries()
            }

            #[zbus(property(emits_changed_signal = "const"))]
            fn version(&self) -> &'static str {
                env!("CARGO_PKG_VERSION")
            }

            #[zbus(property)]
            fn battery_aware(&self) -> bool {
                true
            }

            #[zbus(property)]
            fn set_battery_aware(&self, aware: bool) -> fdo::Result<()> {
                if aware {
                    return Ok(());
                }
                Err(fdo::Error::NotSupported(
                    "a battery is always taken into account".to_owned(),
                ))
            }
        }
    };
}

named_interface!(UPower, "org.freedesktop.UPower.PowerProfiles");
named_interface!(Legacy, "net.hadess.PowerProfiles");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_application_says_can_be_shown() {
        assert_eq!(legible(""), "not told");
        assert_eq!(legible("a\nb\u{1b}"), "a b ");
        assert_eq!(legible(&"ä".repeat(1000)).chars().count(), LONGEST_TEXT);
    }
}
