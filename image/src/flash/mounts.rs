//! What the kernel says is in use: mountinfo (proc_pid_mountinfo(5)) and swaps.

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// `major:minor` of the device. Some file systems (Btrfs) have one of their own here.
    pub(super) device: String,
    /// Where it is mounted.
    pub(super) at: String,
    /// What was given to mount: `/dev/sda1`.
    pub(super) source: String,
}

/// Parses mountinfo. Lines that are not understood are left out.
pub(super) fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let device = fields.nth(2)?.to_owned();
    let at = unescape(fields.nth(1)?);
    let source = unescape(after.split(' ').nth(1)?);
    Some(Mount { device, at, source })
}

/// Parses /proc/swaps into the paths of what is swapped to.
pub(super) fn parse_swaps(text: &str) -> Vec<String> {
    let paths = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    paths.map(unescape).collect()
}

/// Undoes the kernel's octal escapes: `\040` is a space.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_with_optional_fields_and_escapes() {
        let text = "36 35 8:1 / /media/my\\040stick rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw\n\
            37 1 0:31 /@ / rw - btrfs /dev/nvme0n1p3 rw\nnonsense\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(
            mounts[0],
            Mount {
                device: "8:1".into(),
                at: "/media/my stick".into(),
                source: "/dev/sda1".into()
            }
        );
        assert_eq!(
            (mounts[1].at.as_str(), mounts[1].source.as_str()),
            ("/", "/dev/nvme0n1p3")
        );
    }

    #[test]
    fn swaps_without_their_heading() {
        let text = "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/dev/sdb2    partition\t999\t0\t-2\n/swap\\040file file 1 0 -3\n";
        assert_eq!(parse_swaps(text), ["/dev/sdb2", "/swap file"]);
    }

    #[test]
    fn a_lone_backslash_stays() {
        assert_eq!(unescape("a\\b\\04"), "a\\b\\04");
    }
}
