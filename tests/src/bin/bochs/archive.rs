//! The first file system of a kernel: a cpio archive with one program and what it needs to print
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

/// Permissions and types, as in inode(7).
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// The numbers of `/dev/console`.
const CONSOLE: (u32, u32) = (5, 1);

/// One file.
struct Entry<'a> {
    name: &'a str,
    mode: u32,
    device: (u32, u32),
    content: &'a [u8],
}

/// An archive whose first process is `program`.
pub(crate) fn with_first_process(program: &[u8]) -> Vec<u8> {
    let entry = |name, mode, device, content| Entry {
        name,
        mode,
        device,
        content,
    };
    let entries = [
        entry("dev", FOLDER, (0, 0), &[]),
        entry("dev/console", CHARACTER_DEVICE, CONSOLE, &[]),
        entry("init", PROGRAM, (0, 0), program),
        entry("TRAILER!!!", 0, (0, 0), &[]),
    ];
    let mut archive = Vec::new();
    for (index, entry) in (1..).zip(&entries) {
        entry.append(index, &mut archive);
    }
    archive
}

impl Entry<'_> {
    fn append(&self, index: u32, archive: &mut Vec<u8>) {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let fields = [
            index,
            self.mode,
            0,
            0,
            1,
            0,
            size(self.content.len()),
            0,
            0,
            self.device.0,
            self.device.1,
            size(self.name.len() + 1),
            0,
        ];
        archive.extend(b"070701");
        for field in fields {
            archive.extend(format!("{field:08X}").bytes());
        }
        archive.extend(self.name.bytes().chain([0]));
        align(archive);
        archive.extend(self.content);
        align(archive);
    }
}

fn align(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hexadecimal field of that number in a header.
    fn field(entry: &[u8], number: usize) -> usize {
        let digits = std::str::from_utf8(&entry[6 + 8 * number..][..8]).unwrap();
        usize::from_str_radix(digits, 16).unwrap()
    }

    #[test]
    fn files_lie_where_the_sizes_before_them_say() {
        let archive = with_first_process(b"12345");
        let (mut rest, mut found) = (&archive[..], Vec::new());
        while !rest.is_empty() {
            let (content, name) = (field(rest, 6), field(rest, 11));
            let first = (110 + name).next_multiple_of(4);
            assert_eq!(&rest[..6], b"070701");
            assert_eq!(rest[110 + name - 1], 0);
            let text = std::str::from_utf8(&rest[110..][..name - 1]).unwrap();
            found.push((text, field(rest, 1), rest[first..][..content].to_vec()));
            rest = &rest[(first + content).next_multiple_of(4)..];
        }
        assert_eq!(found[1].0, "dev/console");
        assert_eq!(found[2], ("init", 0o100_755, b"12345".to_vec()));
        assert_eq!(found.last().unwrap().0, "TRAILER!!!");
    }
}
