//! Imports that are killed at any moment.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::model::{Model, bytes};
use crate::packed::assert_holds;
use kernels::kind::Kind;
use store::source::Source;
use store::{ModelId, Progress, Store};

/// Where the child finds what it is to import; it does nothing without.
const FOLDER: &str = "STORE_TEST_FOLDER";

fn id() -> ModelId {
    "m".parse().unwrap()
}

/// A model of many blocks; each version differs in all layers but the first.
fn model(version: u64) -> Model {
    let mut model = Model::small();
    for layer in 2..14 {
        let mut add = model
            .clone()
            .tensor(&format!("blk.{layer}.ffn_up.weight"), Kind::Q4_0, &[512, 1024]);
        let tensor = add.tensors.last_mut().unwrap();
        tensor.bytes = bytes(version * 100 + layer, tensor.bytes.len());
        model = add;
    }
    model
}

/// What the child process of [`an_import_killed_at_any_moment_leaves_the_old_model_or_the_new_one`] does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let source = Source::open(&folder.join("model.gguf")).unwrap();
    Store::new(&folder.join("store"))
        .import(&source, &id(), &|_: Progress| {})
        .unwrap();
}

fn start_import(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills a child after that time, if it has not ended before; tells whether it was killed.
fn kill_after(mut child: Child, time: Duration) -> bool {
    let mut output = child.stdout.take().unwrap();
    let (ended, wait) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let read = output.read_to_end(&mut Vec::new());
        // Nobody waits any more if the child was killed.
        ended.send(()).ok();
        read
    });
    let killed = wait.recv_timeout(time).is_err();
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
    killed
}

#[test]
fn an_import_killed_at_any_moment_leaves_the_old_model_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(&folder.path().join("store"));
    let file = folder.path().join("model.gguf");
    model(0).write(&file);
    let begun = std::time::Instant::now();
    kill_after(start_import(folder.path()), Duration::MAX);
    let whole = begun.elapsed();
    let (mut now, mut kills) = (0, 0);
    for version in 1..=20 {
        model(version).write(&file);
        // From the very beginning to a little after the usual end.
        let killed = kill_after(start_import(folder.path()), whole * version as u32 / 18);
        kills += usize::from(killed);
        // A store of its own, which has verified nothing yet.
        let fresh = Store::new(store.path());
        let packed = fresh.load(&id()).unwrap();
        let root = packed.root();
        if !killed || holds(&packed, &model(version)) {
            now = version;
        }
        assert_holds(&packed, &model(now));
        if version % 5 == 0 {
            fresh.collect().unwrap();
            assert_eq!(fresh.load(&id()).unwrap().root(), root);
        }
        // What was cut off goes on where it was, and leads to the new model.
        if version % 3 == 0 {
            assert!(!kill_after(start_import(folder.path()), Duration::MAX));
            now = version;
            assert_holds(&Store::new(store.path()).load(&id()).unwrap(), &model(now));
        }
    }
    assert!(kills >= 5, "only {kills} imports of 20 were still on their way");
    store.collect().unwrap();
    let files = std::fs::read_dir(store.path().join("incoming")).unwrap().count();
    assert_eq!(files, 0);
}

/// Whether the model is that one, by a tensor that each version has of its own.
fn holds(packed: &store::packed::Packed, model: &Model) -> bool {
    let tensor = model.tensors.last().unwrap();
    let layer = packed.layer(13).unwrap();
    let matrix = layer.matrix(packed.find(&tensor.name).unwrap());
    crate::packed::tiles(&matrix) == crate::packed::expected(tensor)
}
