//! A message bus of the stack's own.

use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result};

use super::READY;
use crate::process::{Process, tethered};
use crate::wait;

/// A running dbus-daemon that lets everyone on it do everything: the appliance's policy is tested in the guest.
#[derive(Debug)]
pub(super) struct Bus {
    _daemon: Process,
    address: String,
}

impl Bus {
    pub(super) fn start(place: &Path) -> Result<Self> {
        let socket = place.join("bus");
        let address = format!("unix:path={}", socket.display());
        let config = place.join("bus.conf");
        std::fs::write(&config, configuration(&address)).context("cannot write the bus's configuration")?;
        let mut command = tethered("dbus-daemon");
        command.arg("--nofork").arg("--config-file").arg(&config);
        let mut daemon = Process::start("dbus-daemon", command, &place.join("bus.log"))?;
        wait::until("the private bus", READY, || {
            daemon.check()?;
            Ok(UnixStream::connect(&socket).ok())
        })?;
        Ok(Self {
            _daemon: daemon,
            address,
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

fn configuration(address: &str) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#
    )
}
