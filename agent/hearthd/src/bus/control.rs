//! The interface to control; the bus policy says who may call it.

use super::request::{Caller, Change, Order, Requests};
use crate::actuators::Ending;
use crate::engine::check_own;
use crate::interval::Interval;
use crate::state::{NewHold, Owner};
use api::engine::NewLimits;
use machine::{MilliCelsius, PowerProfile};
use zbus::message::Header;
use zbus::{Connection, fdo, interface};

pub(super) struct Control {
    pub(super) requests: Requests,
}

#[interface(name = "org.hearth.Control1")]
impl Control {
    /// Sets the longest time between two samples, in milliseconds, from 250 to 3600000.
    async fn set_sample_interval(
        &self,
        milliseconds: u64,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let interval = Interval::from_millis(milliseconds).map_err(invalid)?;
        let caller = Caller::of(connection, &header).await?;
        self.requests
            .change(Change::SampleInterval(interval), caller)
            .await
    }

    /// Chooses a power profile by its name, and ends all holds; it is kept over restarts.
    async fn set_power_profile(
        &self,
        profile: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let profile = named(profile)?;
        let caller = Caller::of(connection, &header).await?;
        self.requests.change(Change::Profile(profile), caller).await
    }

    /// Sets the temperature to hold, in thousandths of a degree Celsius; it is kept over restarts.
    async fn set_thermal_target(
        &self,
        millicelsius: i32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let target = MilliCelsius(millicelsius.into());
        let caller = Caller::of(connection, &header).await?;
        self.requests.change(Change::Target(Some(target)), caller).await
    }

    /// Goes back to the firmware profile's target.
    async fn clear_thermal_target(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.change(Change::Target(None), caller).await
    }

    /// Holds a profile for so many seconds; 0: until it is released or hearthd restarts. Returns the hold's number.
    async fn hold_profile(
        &self,
        profile: &str,
        reason: String,
        holder: String,
        seconds: u64,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<u32> {
        let hold = NewHold {
            profile: named(profile)?,
            reason,
            holder,
            until: None,
            owner: Owner::Administrator,
        };
        let caller = Caller::of(connection, &header).await?;
        self.requests.hold(hold, seconds, caller).await
    }

    /// Releases a hold.
    async fn release_profile(
        &self,
        hold: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.change(Change::Release(hold), caller).await
    }

    /// Lets a quarantined model be loaded again.
    async fn release_model(
        &self,
        model: String,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.change(Change::ReleaseModel(model), caller).await
    }

    /// Tells that a model was removed: it is neither quarantined any more, nor stands in for another.
    async fn forget_model(
        &self,
        model: String,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.change(Change::ForgetModel(model), caller).await
    }

    /// Ends an administrator's hold and starts the engine. Returns once systemd's job is over.
    async fn start_engine(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.order(Order::Start, caller).await
    }

    /// Stops the engine and its socket, and holds them so until it is started. Returns once systemd's jobs are over.
    async fn stop_engine(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.order(Order::Stop, caller).await
    }

    /// Starts the engine anew. Returns once systemd's job is over.
    async fn restart_engine(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.order(Order::Restart, caller).await
    }

    /// Powers the machine off in order. Returns once systemd has begun to.
    async fn power_off(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.order(Order::End(Ending::PowerOff), caller).await
    }

    /// Restarts the machine in order. Returns once systemd has begun to.
    async fn reboot(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let caller = Caller::of(connection, &header).await?;
        self.requests.order(Order::End(Ending::Reboot), caller).await
    }

    /// Sets all resource properties of the engine's unit, JSON of `api::engine::NewLimits`; they are kept over restarts.
    async fn set_engine_limits(
        &self,
        limits: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let new: NewLimits = serde_json::from_str(limits).map_err(invalid)?;
        let found = self.requests.engine_limits_at_once().await?;
        // Who has once asked for more than the unit's own may go on with it.
        let known = new.beyond_unit || new.chosen.memory_max == found.chosen.memory_max;
        check_own(&new.chosen, &found.own, known).map_err(invalid)?;
        let caller = Caller::of(connection, &header).await?;
        self.requests.order(Order::Limit(new.chosen), caller).await
    }
}

/// A profile by its name.
pub(super) fn named(profile: &str) -> fdo::Result<PowerProfile> {
    profile.parse().map_err(invalid)
}

fn invalid(error: impl std::fmt::Display) -> fdo::Error {
    fdo::Error::InvalidArgs(error.to_string())
}
