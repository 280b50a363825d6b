//! Who holds the memory of the trees in `tests/machines`, and asking for it back.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use linux::{MAX_LONG_FILE_BYTES, Reclaimer, Sampler, Tree};
use machine::{BootTime, Bytes, MemoryBreakdown, MicroSeconds, Pages, ReclaimRequest};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

fn machine(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/machines")
        .join(name)
}

fn breakdown(root: &Path) -> MemoryBreakdown {
    Sampler::new(Tree::open(root).unwrap(), Vec::new()).memory_breakdown(BootTime(42))
}

fn kib(count: u64) -> Bytes {
    Bytes(count * 1024)
}

/// The kernel's own sum, made again of what it is made of: a captured machine's comes out to the page.
#[test]
fn what_is_available_follows_from_the_parts_that_are_read() {
    let seen = breakdown(&machine("firecracker"));
    let none: [machine::Warning; 0] = [];
    assert_eq!(seen.warnings, none);
    assert_eq!(seen.page_size, Some(Bytes(4096)));
    assert_eq!(seen.reserve(), Some(kib(216_508)));
    let meminfo = &seen.meminfo;
    let file = meminfo.active_file.unwrap().0 + meminfo.inactive_file.unwrap().0;
    let kept = seen.reserve().unwrap().0 + seen.withheld().unwrap().0;
    let available = meminfo.memory.mem_free.unwrap().0 + file + meminfo.k_reclaimable.unwrap().0 - kept;
    assert_eq!(meminfo.memory.mem_available, Some(Bytes(available)));
}

#[test]
fn every_zone_of_a_captured_machine_is_told() {
    let zones = breakdown(&machine("firecracker")).memory_zones;
    let names: Vec<_> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["DMA", "DMA32", "Normal", "Movable", "Device"]);
    assert_eq!((zones[1].low, zones[1].managed), (Pages(2888), Pages(772_915)));
    assert_eq!(zones[0].protection, [0, 3019, 24_090, 24_090, 24_090].map(Pages));
}

#[test]
fn a_zram_device_that_is_not_set_up_holds_nothing() {
    let seen = breakdown(&machine("firecracker"));
    let [zram] = seen.zram.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!((zram.disksize, zram.mem_used_total), (Some(Bytes(0)), Bytes(0)));
    assert_eq!(zram.comp_algorithm.as_deref(), Some("lzo-rle"));
}

#[test]
fn units_and_parts_are_told_and_the_parts_add_up() {
    let seen = breakdown(&machine("qemu"));
    let none: [machine::Warning; 0] = [];
    assert_eq!(seen.warnings, none);
    let paths: Vec<_> = seen.cgroups.iter().map(|group| group.path.as_str()).collect();
    assert_eq!(
        paths,
        ["init.scope", "user.slice", "system.slice/hearthd.service"]
    );
    let hearthd = &seen.cgroups[2];
    assert_eq!(
        (hearthd.shmem, hearthd.workingset_refault_file),
        (Some(Bytes(0)), Some(Pages(17)))
    );
    assert_eq!(seen.zram[0].comp_algorithm.as_deref(), Some("zstd"));
    let parts = seen.used_parts().unwrap();
    assert_eq!(parts.reserve, kib(4 * (1952 + 21 + 3049)));
    assert_eq!(parts.withheld, kib(2 * 4 * (18 + 2541)));
    assert_eq!(parts.tables, kib(11_904 - 2816 + 1120), "stacks are counted once");
    let named = [
        parts.anon,
        parts.shmem,
        parts.slab,
        parts.threads,
        parts.tables,
        parts.zram,
        parts.reserve,
        parts.withheld,
    ];
    let sum: u64 = named.iter().map(|part| part.0).sum();
    assert_eq!(sum as i64 + parts.rest, seen.used().unwrap().0 as i64);
}

#[test]
fn a_machine_that_tells_little_has_unknown_parts_and_none_of_nought() {
    let seen = breakdown(&machine("n100"));
    assert_eq!((seen.reserve(), seen.used_parts()), (None, None));
    assert_eq!(seen.warnings.len(), 1, "{:?}", seen.warnings);
    assert_eq!(seen.warnings[0].path, "/proc/zoneinfo");
    assert!(seen.zram.is_empty());
}

#[test]
fn this_machine_is_read_without_a_fault() {
    let seen = breakdown(Path::new("/"));
    let told = seen
        .warnings
        .iter()
        .find(|warning| warning.path.starts_with("/proc"));
    assert_eq!(told, None);
    assert!(seen.page_size.is_some() && seen.reserve().is_some_and(|reserve| reserve.0 > 0));
}

#[test]
fn the_law_is_told_of_the_groups_that_are_there() {
    let sampler = Sampler::new(Tree::open(machine("qemu")).unwrap(), Vec::new());
    let sample = sampler.memory_sample(BootTime(7), &["system.slice", "init.scope", "gone.slice"]);
    let [services, init] = sample.cgroups.as_slice() else {
        panic!("{sample:?}");
    };
    assert_eq!(services.floor, Some(Bytes(2_097_152)), "hearthd's");
    assert_eq!(services.swappable, Some(Bytes(34_603_008 + 1_048_576)));
    assert_eq!(
        (services.refaults, services.stalled_usec),
        (Some(Pages(940)), Some(MicroSeconds(1250)))
    );
    assert_eq!((init.floor, init.path.as_str()), (Some(Bytes(0)), "init.scope"));
    assert_eq!(sample.quiet_since_usec, None, "that is not the machine's to say");
}

#[test]
fn the_law_of_pressure_is_told_what_is_lost_and_what_is_available() {
    let sampler = Sampler::new(Tree::open(machine("qemu")).unwrap(), Vec::new());
    let sample = sampler.pressure_sample(BootTime(7));
    assert_eq!(sample.memory.mem_available, Some(Bytes(1_788_232 * 1024)));
    let stall = sample.stall.unwrap();
    assert_eq!(
        (stall.some.total_usec, stall.full.unwrap().total_usec),
        (MicroSeconds(0), MicroSeconds(0))
    );
    assert!(!sample.engine_runs, "that is not the machine's to say");
}

/// A group with a place to ask for memory back.
fn group(current: &str) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let group = root.path().join("sys/fs/cgroup/user.slice");
    fs::create_dir_all(&group).unwrap();
    fs::write(group.join("memory.current"), current).unwrap();
    fs::write(group.join("memory.reclaim"), "").unwrap();
    (root, group)
}

fn request(swappiness: Option<u8>) -> ReclaimRequest {
    ReclaimRequest {
        cgroup: "user.slice".to_owned(),
        bytes: Bytes(1 << 20),
        swappiness,
    }
}

#[test]
fn memory_is_asked_for_by_the_kernels_own_words() {
    let (root, group) = group("4194304\n");
    let reclaimer = Reclaimer::new(Tree::open(root.path()).unwrap());
    for (swappiness, words) in [(Some(200), "1048576 swappiness=200"), (None, "1048576")] {
        let done = reclaimer.reclaim(&request(swappiness));
        assert_eq!(
            (done.before, done.after),
            (Some(Bytes(4 << 20)), Some(Bytes(4 << 20)))
        );
        assert_eq!(done.problem, None);
        assert_eq!(fs::read_to_string(group.join("memory.reclaim")).unwrap(), words);
    }
}

/// A pipe that is full answers a writer as `memory.reclaim` does where less was found than asked for.
#[test]
fn less_than_was_asked_for_is_no_problem() {
    let (root, group) = group("4096\n");
    let file = group.join("memory.reclaim");
    fs::remove_file(&file).unwrap();
    mkfifo(&file, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut both = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&file)
        .unwrap();
    while both.write(&[0; 4096]).is_ok() {}
    let done = Reclaimer::new(Tree::open(root.path()).unwrap()).reclaim(&request(None));
    assert_eq!((done.problem, done.after), (None, Some(Bytes(4096))));
}

#[test]
fn a_group_that_has_gone_is_a_problem_and_nothing_is_made() {
    let (root, group) = group("4096\n");
    fs::remove_file(group.join("memory.reclaim")).unwrap();
    let done = Reclaimer::new(Tree::open(root.path()).unwrap()).reclaim(&request(None));
    assert!(done.problem.unwrap().contains("No such file"));
    assert!(!group.join("memory.reclaim").exists());
}

#[test]
fn no_path_leads_out_of_the_tree() {
    let (root, _group) = group("4096\n");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("memory.reclaim"), "").unwrap();
    let path = format!("../../../../../../../../..{}", outside.path().display());
    let reclaimer = Reclaimer::new(Tree::open(root.path()).unwrap());
    let done = reclaimer.reclaim(&ReclaimRequest {
        cgroup: path,
        ..request(None)
    });
    assert!(done.problem.is_some());
    assert_eq!(
        fs::read_to_string(outside.path().join("memory.reclaim")).unwrap(),
        ""
    );
}

#[test]
fn a_long_zoneinfo_is_read_whole_and_an_endless_one_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proc")).unwrap();
    let text = fs::read_to_string(machine("firecracker").join("proc/zoneinfo")).unwrap();
    let processors = "    cpu: 9\n              high:     722\n".repeat(4000);
    let file = root.path().join("proc/zoneinfo");
    fs::write(
        &file,
        text.replacen(
            "  node_unreclaimable",
            &format!("{processors}  node_unreclaimable"),
            1,
        ),
    )
    .unwrap();
    assert_eq!(breakdown(root.path()).memory_zones.len(), 5);
    fs::write(&file, vec![b'\n'; MAX_LONG_FILE_BYTES + 1]).unwrap();
    let seen = breakdown(root.path());
    assert!(seen.memory_zones.is_empty());
    assert!(
        seen.warnings
            .iter()
            .any(|warning| warning.problem.contains("is longer than"))
    );
}

const FILES: &[&str] = &[
    "proc/meminfo",
    "proc/zoneinfo",
    "proc/pressure/memory",
    "sys/block/zram0/mm_stat",
    "sys/block/zram0/disksize",
    "sys/fs/cgroup/system.slice/memory.current",
    "sys/fs/cgroup/system.slice/memory.stat",
    "sys/fs/cgroup/system.slice/memory.min",
    "sys/fs/cgroup/system.slice/memory.pressure",
    "sys/fs/cgroup/system.slice/a.service/memory.current",
    "sys/fs/cgroup/system.slice/a.service/memory.stat",
    "sys/fs/cgroup/system.slice/a.service/memory.min",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_tree_panics(
        contents in prop::collection::vec(prop_oneof![
            any::<u64>().prop_map(|number| number.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..80),
            "(MemTotal: [0-9]{1,20} kB|anon [0-9]{1,20}|Node 0, zone DMA|managed [0-9]{1,20}|max|\n){0,8}"
                .prop_map(String::into_bytes),
        ], FILES.len())
    ) {
        let root = tempfile::tempdir().unwrap();
        for (file, content) in FILES.iter().zip(&contents) {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let seen = breakdown(root.path());
        let _ = (seen.used_parts(), seen.reserve(), seen.withheld());
        for warning in &seen.warnings {
            prop_assert!(warning.path.starts_with('/') && !warning.problem.is_empty());
        }
        let sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
        let sample = sampler.memory_sample(BootTime(0), &["system.slice"]);
        prop_assert!(sample.cgroups.len() <= 1);
    }
}
