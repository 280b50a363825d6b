//! What is kept of a guest in which something failed.

use std::path::Path;

use anyhow::{Context, Result};

use super::Ssh;

/// What is asked of the guest, and the file that takes the answer.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "journal.txt",
        "journalctl --boot --no-pager --output short-precise",
    ),
    (
        "failed-units.txt",
        "systemctl --failed --no-pager; systemctl status --no-pager --failed",
    ),
    (
        "units.txt",
        "systemctl list-units --no-pager --all 'hearth*'; systemctl status --no-pager 'hearth*'",
    ),
    (
        "disks.txt",
        "lsblk --output NAME,SIZE,TYPE,FSTYPE,PARTLABEL,MOUNTPOINTS; findmnt; df -h",
    ),
    (
        "memory.txt",
        "cat /proc/meminfo; ps -eo pid,user,rss,args --sort -rss",
    ),
];

/// Asks a guest that can still be asked. Each file holds the answer, or why there is none.
pub(super) fn collect(ssh: &Ssh, folder: &Path) -> Result<()> {
    for (name, question) in QUESTIONS {
        let answer = ssh
            .sudo(&format!("{{ {question}; }} 2>&1; true"))
            .unwrap_or_else(|error| format!("{error:#}"));
        let path = folder.join(name);
        std::fs::write(&path, answer).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
