//! The disk after its first boot.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use api::tls::Tls;

use crate::guest::Guest;

#[derive(Debug, Deserialize)]
struct Listing {
    blockdevices: Vec<Device>,
}

#[derive(Clone, Debug, Deserialize)]
struct Device {
    partlabel: Option<String>,
    parttypename: Option<String>,
    fstype: Option<String>,
    mountpoints: Vec<Option<String>>,
    size: u64,
}

impl Device {
    fn kind(&self) -> &str {
        self.parttypename.as_deref().unwrap_or_default()
    }

    fn is(&self, file_system: &str, place: &str) -> bool {
        self.fstype.as_deref() == Some(file_system)
            && self.mountpoints.iter().flatten().any(|point| point == place)
    }
}

/// Everything that is mounted of a disk is of this one.
pub(crate) fn runs_from(guest: &mut Guest, disk: &str) -> Result<String> {
    for place in ["/", "/var", "/var/lib/hearth/models", "/config"] {
        let below = guest.run(&format!(
            "lsblk --inverse --noheadings --raw --output NAME,TYPE $(findmnt --noheadings --output SOURCE {place})"
        ))?;
        let disks: Vec<&str> = below
            .lines()
            .filter_map(|line| line.strip_suffix(" disk"))
            .collect();
        ensure!(
            !disks.is_empty() && disks.iter().all(|found| *found == disk),
            "{place} lies on {disks:?}, not on {disk}: {below}"
        );
    }
    Ok(format!("root, /var, models and CONFIG of {disk}"))
}

/// The final layout of the disk that /var is on: an ESP, two root slots with their verity, `/var`, the models, `CONFIG`.
pub(crate) fn layout(guest: &mut Guest) -> Result<String> {
    let columns = "PARTLABEL,PARTTYPENAME,FSTYPE,MOUNTPOINTS,SIZE";
    let disk = guest.run("lsblk --nodeps --noheadings --output PKNAME /dev/disk/hearth/hearth-var")?;
    let text = guest.sudo(&format!(
        "lsblk --json --bytes --list --output {columns} /dev/{disk}"
    ))?;
    let listing: Listing = serde_json::from_str(&text)?;
    let parts: Vec<Device> = listing
        .blockdevices
        .into_iter()
        .filter(|device| device.parttypename.is_some())
        .collect();
    let count = |ending: &str| parts.iter().filter(|part| part.kind().ends_with(ending)).count();
    ensure!(count("EFI System") == 1, "not one ESP: {text}");
    ensure!(
        count("root (x86-64)") + count("Root (x86-64)") == 2,
        "not two root slots: {text}"
    );
    ensure!(
        count("verity (x86-64)") + count("Verity (x86-64)") == 2,
        "not two verity slots: {text}"
    );
    let label = |name: &str| {
        parts
            .iter()
            .find(|part| part.partlabel.as_deref() == Some(name))
            .context(name.to_owned())
    };
    let (var, models, config) = (label("hearth-var")?, label("hearth-models")?, label("CONFIG")?);
    ensure!(var.is("ext4", "/var"), "/var: {var:?}");
    ensure!(models.is("xfs", "/var/lib/hearth/models"), "models: {models:?}");
    ensure!(config.is("vfat", "/config"), "CONFIG: {config:?}");
    ensure!(
        config.kind() == "Microsoft basic data",
        "Windows will not show CONFIG: {config:?}"
    );
    ensure!(parts.len() == 8, "{} partitions: {text}", parts.len());
    let mib = |part: &Device| part.size >> 20;
    Ok(format!(
        "8 partitions; /var {} MiB, models {} MiB, CONFIG {} MiB",
        mib(var),
        mib(models),
        mib(config)
    ))
}

/// `/` is erofs over dm-verity, and stays as it is.
pub(crate) fn root_is_verified(guest: &mut Guest) -> Result<String> {
    let root = guest.run("findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS /")?;
    let fields: Vec<&str> = root.split_whitespace().collect();
    let [source, "erofs", options] = fields[..] else {
        bail!("/ is {root}")
    };
    ensure!(
        options.split(',').any(|option| option == "ro"),
        "/ can be written to: {root}"
    );
    let table = guest.sudo(&format!(
        "dmsetup table {source} 2>/dev/null || cat /sys/block/$(basename $(readlink -f {source}))/dm/uuid"
    ))?;
    ensure!(
        table.to_lowercase().contains("verity"),
        "{source} is no verity device: {table}"
    );
    let refused = guest.sudo("touch /usr/x 2>&1 || true")?;
    ensure!(
        refused.contains("Read-only file system"),
        "writing below / was not refused: {refused}"
    );
    Ok(format!("erofs on {source}"))
}

/// What must be the same after a reboot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity(BTreeMap<&'static str, String>);

impl Identity {
    /// Reads it.
    pub(crate) fn read(guest: &mut Guest) -> Result<Self> {
        let commands = [
            ("machine-id", "cat /etc/machine-id"),
            ("SSH host key", "cat /var/lib/sshd/ssh_host_ed25519_key.pub"),
        ];
        let read = commands.map(|(name, command)| Ok((name, guest.sudo(command)?)));
        let mut identity = read.into_iter().collect::<Result<BTreeMap<_, _>>>()?;
        let tls: Tls = guest.client().get("/api/v1/tls")?.expect(200)?.json()?;
        identity.insert("certificate authority", tls.authority.sha256);
        Ok(Self(identity))
    }

    /// An error that tells what differs from before.
    pub(crate) fn same_as(&self, before: &Self) -> Result<String> {
        let id = self.0.get("machine-id").context("no machine-id")?;
        ensure!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "machine-id is {id:?}"
        );
        ensure!(self == before, "{before:?} became {self:?}");
        Ok(format!("machine-id {id}"))
    }
}
