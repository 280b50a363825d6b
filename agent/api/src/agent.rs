//! hearthd on the system bus: one object with an interface to read and another to control.
//!
//! They are separate interfaces so that the bus policy can let everyone read and only root and the gateway change.

/// The well-known bus name that hearthd owns.
pub const BUS_NAME: &str = "org.hearth.Agent1";
/// The path of its one object.
pub const OBJECT_PATH: &str = "/org/hearth/Agent1";
/// The interface to read.
pub const READ_INTERFACE: &str = "org.hearth.Agent1";
/// The interface to control.
pub const CONTROL_INTERFACE: &str = "org.hearth.Control1";

/// The shortest time between two samples that may be set, in milliseconds.
pub const MIN_SAMPLE_INTERVAL_MS: u64 = 250;
/// The longest, in milliseconds.
pub const MAX_SAMPLE_INTERVAL_MS: u64 = 3_600_000;

/// A client's view of the interface to read.
#[cfg(feature = "dbus")]
#[zbus::proxy(
    interface = "org.hearth.Agent1",
    default_service = "org.hearth.Agent1",
    default_path = "/org/hearth/Agent1"
)]
pub trait Agent {
    /// Reads the machine now, or answers with a sample younger than [`MIN_SAMPLE_INTERVAL_MS`]. JSON of
    /// [`machine::Sample`].
    fn sample(&self) -> zbus::Result<String>;
    /// What was found on the machine. JSON of [`machine::Capabilities`].
    fn capabilities(&self) -> zbus::Result<String>;
    /// Power and clocks. JSON of [`crate::power::Power`].
    fn power(&self) -> zbus::Result<String>;
    /// Heat and what is done about it. JSON of [`crate::power::Thermal`].
    fn thermal(&self) -> zbus::Result<String>;
    /// Who holds memory, and what is done about it. JSON of [`crate::memory::MemoryUse`].
    fn memory(&self) -> zbus::Result<String>;
    /// What the machine showed over so many seconds, up to [`crate::samples::LONGEST_SPAN`], and now. JSON of
    /// [`crate::samples::Samples`].
    fn samples(&self, seconds: u32) -> zbus::Result<String>;
    /// How the engine fares. JSON of [`crate::engine::Engine`].
    fn engine(&self) -> zbus::Result<String>;
    /// What the engine's unit may have, as systemd tells it now. JSON of [`crate::engine::EngineLimits`].
    fn engine_limits(&self) -> zbus::Result<String>;
    /// hearthd's version.
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;
}

/// A client's view of the interface to control; the bus lets only root and the gateway's user call it.
#[cfg(feature = "dbus")]
#[zbus::proxy(
    interface = "org.hearth.Control1",
    default_service = "org.hearth.Agent1",
    default_path = "/org/hearth/Agent1"
)]
pub trait Control {
    /// Sets the time between two samples, in milliseconds, from [`MIN_SAMPLE_INTERVAL_MS`] to
    /// [`MAX_SAMPLE_INTERVAL_MS`].
    fn set_sample_interval(&self, milliseconds: u64) -> zbus::Result<()>;
    /// Chooses a power profile by its name; it is kept over restarts.
    fn set_power_profile(&self, profile: &str) -> zbus::Result<()>;
    /// Sets the temperature to hold, in thousandths of a degree Celsius; it is kept over restarts.
    fn set_thermal_target(&self, millicelsius: i32) -> zbus::Result<()>;
    /// Goes back to the firmware profile's target.
    fn clear_thermal_target(&self) -> zbus::Result<()>;
    /// Holds a profile, `power-saver` or `performance`, for `seconds` (0: until it is released or hearthd restarts).
    /// Unlike the holds of `PowerProfiles`, it outlives its caller's connection. Returns the hold's number.
    fn hold_profile(&self, profile: &str, reason: &str, holder: &str, seconds: u64) -> zbus::Result<u32>;
    /// Releases a hold.
    fn release_profile(&self, hold: u32) -> zbus::Result<()>;
    /// Lets a quarantined model be loaded again.
    fn release_model(&self, model: &str) -> zbus::Result<()>;
    /// Tells that a model was removed: it is neither quarantined any more, nor stands in for another.
    fn forget_model(&self, model: &str) -> zbus::Result<()>;
    /// Ends an administrator's hold and starts the engine. Returns once systemd's job is over.
    fn start_engine(&self) -> zbus::Result<()>;
    /// Stops the engine and its socket, and holds them so until it is started. Returns once systemd's jobs are over.
    fn stop_engine(&self) -> zbus::Result<()>;
    /// Starts the engine anew. Returns once systemd's job is over.
    fn restart_engine(&self) -> zbus::Result<()>;
    /// Powers the machine off in order. Returns once systemd has begun to.
    fn power_off(&self) -> zbus::Result<()>;
    /// Restarts the machine in order. Returns once systemd has begun to.
    fn reboot(&self) -> zbus::Result<()>;
    /// Sets resource properties of the engine's unit, JSON of [`crate::engine::NewLimits`]; they are kept over restarts.
    fn set_engine_limits(&self, limits: &str) -> zbus::Result<()>;
}
