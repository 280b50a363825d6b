//! What the checks share: a running machine, its first token, and the oracle's word.

use anyhow::{Context, Result, bail};
use tests::client::{Client, greedy};
use tests::vm::{Machine, Ssh};

/// The default model's id.
pub(crate) const MODEL: &str = "smollm2-135m-instruct";

/// The engine's unit.
const ENGINE: &str = "hearth-inferd.service";

/// A guest that answers.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    pub(crate) token: String,
}

impl Guest {
    /// A client with the first token.
    pub(crate) fn client(&self) -> Client {
        self.machine.client().with_token(&self.token)
    }

    /// The connection as admin.
    pub(crate) fn ssh(&mut self) -> Result<&Ssh> {
        self.machine.ssh()
    }

    /// Runs a command as admin; its output without the line's end.
    pub(crate) fn run(&mut self, command: &str) -> Result<String> {
        Ok(self.ssh()?.run(command)?.trim_end().to_owned())
    }

    /// Runs a command as root; its output without the line's end.
    pub(crate) fn sudo(&mut self, command: &str) -> Result<String> {
        Ok(self.ssh()?.sudo(command)?.trim_end().to_owned())
    }

    /// A property of a unit.
    pub(crate) fn show(&mut self, unit: &str, property: &str) -> Result<String> {
        self.run(&format!("systemctl show --value --property {property} {unit}"))
    }

    /// Has the engine run with its model loaded, wherever it was in its life: it sleeps when nobody has asked for a while.
    pub(crate) fn awaken(&self) -> Result<()> {
        self.client().chat(&greedy(MODEL, "Say yes.", 1)).map(drop)
    }

    /// A running unit's main process. The engine is woken for that.
    pub(crate) fn main_pid(&mut self, unit: &str) -> Result<u32> {
        if unit == ENGINE && self.show(unit, "MainPID")? == "0" {
            self.awaken()?;
        }
        let pid = self.show(unit, "MainPID")?;
        match pid
            .parse()
            .with_context(|| format!("MainPID of {unit}: {pid:?}"))?
        {
            0 => bail!("{unit} does not run"),
            pid => Ok(pid),
        }
    }
}
