//! Imports that are killed at any moment.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::model::Model;
use crate::packed::assert_holds;
use crate::place::id;
use kernels::kind::Kind;
use store::source::Source;
use store::{Progress, Store};

/// Where the child finds what it is to import; it does nothing without.
const FOLDER: &str = "STORE_TEST_FOLDER";

/// A model of many blocks; each version differs in all layers but the first.
fn model(version: u64) -> Model {
    (2..14).fold(Model::small(), |model, layer| {
        let name = format!("blk.{layer}.ffn_up.weight");
        model.tensor_of(version * 100 + layer, &name, Kind::Q4_0, &[512, 1024])
    })
}

/// What the child process of [`an_import_killed_at_any_moment_leaves_the_old_model_or_the_new_one`] does: it writes
/// a dot for each block that it has stored, and takes a byte of its input before it goes on.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let source = Source::open(&folder.join("model.gguf")).unwrap();
    let tell = |_: Progress| {
        std::io::stderr().write_all(b".").unwrap();
        std::io::stdin().read_exact(&mut [0]).unwrap();
    };
    Store::new(&folder.join("store"))
        .import(&source, &id("m"), &tell)
        .unwrap();
}

fn start_import(folder: &Path, leave: impl Into<Stdio>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(leave)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills an import when it has stored so many blocks, beyond which it does not come by itself unless they are all; tells
/// whether it had not ended.
fn kill_after(folder: &Path, blocks: usize) -> bool {
    let mut child = start_import(folder, Stdio::piped());
    let mut leave = child.stdin.take().unwrap();
    leave.write_all(&vec![0; blocks]).unwrap();
    let dots = BufReader::new(child.stderr.take().unwrap()).bytes();
    let dots = dots.filter(|byte| matches!(byte, Ok(b'.')));
    dots.take(blocks).for_each(drop);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn import_whole(folder: &Path) {
    let child = start_import(folder, File::open("/dev/zero").unwrap());
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn an_import_killed_at_any_moment_leaves_the_old_model_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(&folder.path().join("store"));
    let file = folder.path().join("model.gguf");
    model(0).write(&file);
    import_whole(folder.path());
    let manifest = store.manifest(&id("m")).unwrap();
    let blocks: usize = manifest
        .model
        .segments
        .iter()
        .map(|segment| segment.blocks.len())
        .sum();
    let (mut now, mut kills) = (0, 0);
    for version in 1..=20 {
        model(version).write(&file);
        // From before the first block to when only the manifest is left to write.
        let killed = kill_after(folder.path(), blocks * (version as usize - 1) / 19);
        kills += usize::from(killed);
        // A store of its own, which has verified nothing yet.
        let fresh = Store::new(store.path());
        let packed = fresh.load(&id("m")).unwrap();
        if !killed || holds(&packed, &model(version)) {
            now = version;
        }
        assert_holds(&packed, &model(now));
        if version % 5 == 0 {
            fresh.collect().unwrap();
            assert_eq!(fresh.load(&id("m")).unwrap().root(), packed.root());
        }
        // What was cut off goes on where it was, and leads to the new model.
        if version % 3 == 0 {
            import_whole(folder.path());
            now = version;
            assert_holds(&Store::new(store.path()).load(&id("m")).unwrap(), &model(now));
        }
    }
    assert!(kills >= 19, "only {kills} imports of 20 were still on their way");
    store.collect().unwrap();
    let files = std::fs::read_dir(store.path().join("incoming")).unwrap().count();
    assert_eq!(files, 0);
}

/// Whether the model is that one, by a tensor that each version has of its own.
fn holds(packed: &store::packed::Packed, model: &Model) -> bool {
    let tensor = model.tensors.last().unwrap();
    let layer = packed.layer(13).unwrap();
    let matrix = layer.matrix(packed.tensors().find(&tensor.name).unwrap());
    crate::packed::tiles(&matrix) == crate::packed::expected(tensor)
}
