//! The system bus: everyone may read, only root and the gateway may change.

use anyhow::{Context, Result, ensure};
use machine::Sample;

use crate::guest::Guest;

const CALL: &str = "busctl call org.hearth.Agent1 /org/hearth/Agent1";

/// admin may read the machine's sample.
pub(crate) fn everyone_may_read(guest: &mut Guest) -> Result<String> {
    let text = guest.run(&format!("{CALL} org.hearth.Agent1 Sample --json short"))?;
    let reply: serde_json::Value = serde_json::from_str(&text)?;
    let json = reply["data"][0]
        .as_str()
        .with_context(|| format!("no string: {text}"))?;
    let sample: Sample = serde_json::from_str(json).with_context(|| format!("no sample: {json}"))?;
    ensure!(
        sample.memory.mem_available.is_some(),
        "a sample without memory: {json}"
    );
    Ok(format!("{} bytes of sample", json.len()))
}

/// The bus itself refuses admin the control interface; root may.
pub(crate) fn only_root_may_change(guest: &mut Guest) -> Result<String> {
    let call = format!("{CALL} org.hearth.Control1 SetSampleInterval t 2000");
    let refused = guest.ssh()?.attempt(&call)?;
    let words = String::from_utf8_lossy(&refused.stderr).trim().to_owned();
    ensure!(!refused.status.success(), "admin may change the interval");
    let denied = ["Access denied", "not authorized", "AccessDenied"];
    ensure!(
        denied.iter().any(|word| words.contains(word)),
        "refused, but not by the policy: {words}"
    );
    guest.sudo(&call)?;
    Ok(format!("admin: {words}; root: done"))
}
