//! Imports into a file system that has no room for them.

use std::path::Path;
use std::process::Command;

use crate::model::Model;
use crate::packed::assert_holds;
use crate::place::{id, silent};
use kernels::kind::Kind;
use store::source::Source;
use store::{Error, Store};

/// Where the child finds its small file system; it does nothing without.
const FOLDER: &str = "STORE_TEST_SMALL_FOLDER";
/// Bytes of the file system: enough for a small model, and for some blocks of a large one.
const SIZE: usize = 12 << 20;
/// Mounts a file system in memory, which only this process and what it becomes can see, and becomes the test.
const INSIDE: &str = r#"mount -t tmpfs -o size=$2 none "$1" && exec "$3" --exact full::child --nocapture"#;

/// Twice as large as the file system.
fn large() -> Model {
    (2..8).fold(Model::small(), |model, layer| {
        let name = format!("blk.{layer}.ffn_up.weight");
        model.tensor(&name, Kind::Q4_0, &[4096, 2048])
    })
}

/// What the child process of [`an_import_without_room_leaves_what_there_was`] does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let store = Store::new(&folder.join("small/store"));
    let source = |name: &str| Source::open(&folder.join(name)).unwrap();
    let old = store.import(&source("small.gguf"), &id("m"), &silent).unwrap();
    let free = free_bytes(store.path());
    for _ in 0..2 {
        let error = store
            .import(&source("large.gguf"), &id("m"), &silent)
            .unwrap_err();
        let Error::NoRoom {
            needed, free: told, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert!(*needed > SIZE as u64, "{error}");
        assert!(error.to_string().contains(&needed.to_string()), "{error}");
        assert_eq!((*told, free_bytes(store.path())), (free, free));
    }
    // What cannot be removed does not hide why.
    let odd = store.path().join("incoming/odd");
    std::fs::create_dir(&odd).unwrap();
    let error = store
        .import(&source("large.gguf"), &id("m"), &silent)
        .unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    assert!(error.to_string().contains("incoming/odd"), "{error}");
    std::fs::remove_dir(&odd).unwrap();
    store.collect().unwrap();
    assert_eq!(store.manifest(&id("m")).unwrap(), old);
    assert_holds(&Store::new(store.path()).load(&id("m")).unwrap(), &Model::small());
    println!("nothing was lost");
}

fn free_bytes(folder: &Path) -> u64 {
    let told = nix::sys::statvfs::statvfs(folder).unwrap();
    told.blocks_available() * told.fragment_size()
}

#[test]
fn an_import_without_room_leaves_what_there_was() {
    let folder = tempfile::tempdir().unwrap();
    Model::small().write(&folder.path().join("small.gguf"));
    large().write(&folder.path().join("large.gguf"));
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let namespaces: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &["--mount"],
        false => &["--user", "--map-root-user", "--mount"],
    };
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", INSIDE, "sh"])
        .arg(&small)
        .arg(SIZE.to_string())
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("nothing was lost"),
        "this takes a mount in a namespace of one's own (as building the image does): {output:?}"
    );
}
