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
}
