//! A whole flash onto files: a small image with a `CONFIG` partition, and a larger disk full of old data.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::gpt::testing::{ESP_IDENTIFIER, disk};
use super::gpt::{BASIC_DATA, Table};
use super::*;

const SECTORS: u64 = 24 << 11;
const CONFIG: std::ops::Range<u64> = 2048..2048 + 8192;
const DISK: u64 = 40 << 20;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut image = disk(SECTORS, "CONFIG", BASIC_DATA, CONFIG);
        let fat = config::testing::fat(8192 * 512);
        image[2048 * 512..(2048 + 8192) * 512].copy_from_slice(&fat);
        image[20 << 20] = 42;
        fs::write(folder.path().join("hearth.raw"), image).unwrap();
        fs::write(folder.path().join("disk"), vec![0xee; DISK as usize]).unwrap();
        Self { folder }
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("hearth.raw")
    }

    fn target(&self) -> Target {
        examine(Path::new("/"), &self.folder.path().join("disk"), 0).unwrap()
    }

    fn flash(&self) -> Result<Flashed> {
        let access = Access {
            authorized_keys: "ssh-ed25519 AAAA\n".into(),
            token_hashes: "sha256:00 admin\n".into(),
            settings: String::new(),
        };
        flash(&self.image(), &self.target(), &access, None, Progress::silent())
    }
}

#[test]
fn the_disk_holds_the_image_with_keys_a_fitted_table_and_no_old_data() {
    let bench = Bench::new();
    let flashed = bench.flash().unwrap();
    let disk = fs::read(bench.folder.path().join("disk")).unwrap();
    assert_eq!((disk.len() as u64, flashed.length), (DISK, SECTORS * 512));
    assert_eq!(disk[20 << 20], 42);
    let table = Table::parse(&disk[..1 << 20]).unwrap();
    assert_eq!(table.old_copy().end, DISK);
    assert_eq!(table.partitions()[0].bytes, 2048 * 512..(2048 + 8192) * 512);
    let config = |name| read_config(&bench.folder.path().join("disk"), name).unwrap();
    assert_eq!(config("authorized_keys").unwrap(), "ssh-ed25519 AAAA\n");
    assert_eq!(config("token-hashes").unwrap(), "sha256:00 admin\n");
    assert_eq!(config("hearth-result.txt"), None);
    let hole = &disk[12 << 20..16 << 20];
    assert!(
        hole.iter().all(|byte| *byte == 0),
        "old data must not show through the image's holes"
    );
    let moved = &disk[(SECTORS as usize - 33) * 512..SECTORS as usize * 512];
    assert!(
        moved.iter().all(|byte| *byte == 0),
        "the image's own second table must not stay behind"
    );
    assert!(
        disk[24 << 20..(DISK as usize) - 33 * 512]
            .iter()
            .all(|byte| *byte == 0xee),
        "the rest is not written"
    );
}

#[test]
fn two_disks_are_told_apart_by_their_esp() {
    let bench = Bench::new();
    let [first, second] = [(); 2].map(|()| {
        bench.flash().unwrap();
        fs::read(bench.target().path).unwrap()[ESP_IDENTIFIER].to_vec()
    });
    let image = fs::read(bench.image()).unwrap()[ESP_IDENTIFIER].to_vec();
    assert!(
        first != second && first != image && second != image,
        "{first:?} {second:?}"
    );
}

#[test]
fn a_disk_of_exactly_the_images_size_is_whole_too() {
    let bench = Bench::new();
    File::options()
        .write(true)
        .open(bench.target().path)
        .unwrap()
        .set_len(SECTORS * 512)
        .unwrap();
    bench.flash().unwrap();
    let disk = fs::read(bench.target().path).unwrap();
    assert_eq!(
        Table::parse(&disk[..1 << 20]).unwrap().old_copy().end,
        SECTORS * 512
    );
}

#[test]
fn a_disk_a_little_larger_splits_the_second_table() {
    let bench = Bench::new();
    let size = (SECTORS + 5) * 512;
    File::options()
        .write(true)
        .open(bench.target().path)
        .unwrap()
        .set_len(size)
        .unwrap();
    bench.flash().unwrap();
    let mut disk = fs::read(bench.target().path).unwrap();
    assert_eq!(Table::parse(&disk[..1 << 20]).unwrap().old_copy().end, size);
    // The copy at the end is whole: put where the first belongs, it reads the same.
    let copy = disk[disk.len() - 33 * 512..disk.len() - 512].to_vec();
    disk[1024..1024 + copy.len()].copy_from_slice(&copy);
    Table::parse(&disk[..1 << 20]).unwrap();
}

#[test]
fn one_flipped_bit_is_found() {
    let bench = Bench::new();
    let target = bench.target();
    let mut source = source::Source::open(&bench.image(), target.size, &Access::default(), [0; 16]).unwrap();
    let device = target.open().unwrap();
    let written = write::write(&mut source, &device, None, Progress::silent()).unwrap();
    write::verify(&written, &source, &device, Progress::silent()).unwrap();
    let disk = File::options().write(true).open(&target.path).unwrap();
    disk.write_all_at(&[43], 20 << 20).unwrap();
    disk.sync_all().unwrap();
    let error = write::verify(&written, &source, &device, Progress::silent()).unwrap_err();
    assert!(
        matches!(error, FlashError::Verify { offset, .. } if offset == 20 << 20),
        "{error}"
    );
}

#[test]
fn a_damaged_second_table_is_found() {
    let bench = Bench::new();
    let target = bench.target();
    let mut source = source::Source::open(&bench.image(), target.size, &Access::default(), [0; 16]).unwrap();
    let device = target.open().unwrap();
    let written = write::write(&mut source, &device, None, Progress::silent()).unwrap();
    let disk = File::options().write(true).open(&target.path).unwrap();
    disk.write_all_at(&[0], DISK - 512).unwrap();
    disk.sync_all().unwrap();
    assert!(write::verify(&written, &source, &device, Progress::silent()).is_err());
}

#[test]
fn what_is_no_image_is_not_written() {
    let bench = Bench::new();
    fs::write(bench.image(), vec![0; 1 << 20]).unwrap();
    assert!(
        bench
            .flash()
            .unwrap_err()
            .to_string()
            .contains("no GUID partition table")
    );
    fs::write(bench.image(), disk(SECTORS, "ESP", BASIC_DATA, CONFIG)).unwrap();
    assert!(
        bench
            .flash()
            .unwrap_err()
            .to_string()
            .contains("no CONFIG partition")
    );
    fs::write(
        bench.image(),
        disk(SECTORS, "CONFIG", BASIC_DATA, 2048..SECTORS + 1),
    )
    .unwrap();
    assert!(
        bench
            .flash()
            .unwrap_err()
            .to_string()
            .contains("claims the bytes")
    );
    assert!(
        fs::read(bench.target().path)
            .unwrap()
            .iter()
            .all(|byte| *byte == 0xee)
    );
}

#[test]
fn the_least_disk_holds_the_final_layout() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mkosi.extra/usr/lib/repart.d");
    let sizes = fs::read_dir(folder).unwrap().flatten().map(|entry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        let size = text
            .lines()
            .find_map(|line| line.strip_prefix("SizeMinBytes="))
            .unwrap_or("512M")
            .to_owned();
        let unit = if size.ends_with('G') { 1 << 30 } else { 1 << 20 };
        size.trim_end_matches(['G', 'M']).parse::<u64>().unwrap() * unit
    });
    let needed: u64 = sizes.sum();
    assert!(needed > 1 << 30 && needed + (64 << 20) <= LEAST_DISK, "{needed}");
}
