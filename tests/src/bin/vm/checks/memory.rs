//! What the guest uses.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::wait;

use super::sandbox::UNITS;
use crate::guest::Guest;

/// The most that an idle guest may use, MiB. The mission's figure.
const LIMIT_MIB: f64 = 200.0;

/// Memory in use, MiB: MemTotal − MemAvailable.
pub(crate) fn used_mib(guest: &mut Guest) -> Result<f64> {
    let text = guest.run("cat /proc/meminfo")?;
    let value = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.with_context(|| format!("no {name} in meminfo"))?.parse()?)
    };
    Ok((value("MemTotal:")? - value("MemAvailable:")?) / 1024.0)
}

/// Proportional set size of each running unit's main process, MiB.
pub(crate) fn pss_mib(guest: &mut Guest) -> Result<BTreeMap<&'static str, f64>> {
    let mut sizes = BTreeMap::new();
    for (unit, _) in UNITS {
        if guest.show(unit, "MainPID")? == "0" {
            continue;
        }
        let pid = guest.main_pid(unit)?;
        let kib = guest.sudo(&format!(
            "sed -n 's/^Pss: *\\([0-9]*\\) kB/\\1/p' /proc/{pid}/smaps_rollup"
        ))?;
        sizes.insert(
            unit,
            kib.parse::<f64>()
                .with_context(|| format!("Pss of {unit}: {kib:?}"))?
                / 1024.0,
        );
    }
    Ok(sizes)
}

/// Memory in use while nothing is asked, with the model loaded and without.
pub(crate) fn idle(guest: &mut Guest) -> Result<String> {
    let loaded = used_mib(guest)?;
    guest.sudo("systemctl stop hearth-inferd.service")?;
    let idle = wait::until("an idle guest within its memory", Duration::from_secs(60), || {
        let used = used_mib(guest)?;
        Ok((used < LIMIT_MIB).then_some(used))
    });
    let idle = idle.with_context(|| format!("{loaded:.0} MiB with the model loaded"))?;
    Ok(format!(
        "{idle:.0} MiB used without the engine, {loaded:.0} MiB with the model loaded"
    ))
}

/// The daemons' own memory.
pub(crate) fn daemons(guest: &mut Guest) -> Result<String> {
    let sizes = pss_mib(guest)?;
    ensure!(sizes.len() == UNITS.len(), "not all run: {sizes:?}");
    Ok(sizes
        .iter()
        .map(|(unit, mib)| format!("{unit} {mib:.1} MiB"))
        .collect::<Vec<_>>()
        .join(", "))
}
