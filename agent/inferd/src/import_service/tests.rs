//! Whole requests against a store in a folder, without a process between.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::import::{NewFile, NewModel, RefusedKind};
use api::models::{ModelChange, ModelSettings, Place, StoredModel};
use api::openai::KeepAlive;
use engine::template::renderer::Renderer;
use engine::tiny;
use proptest::prelude::*;
use store::Store;
use store::metadata::Value;
use tempfile::TempDir;

use super::*;

/// A store, empty but for what is added.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("image")).unwrap();
        Self { folder }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn models(&self) -> Models {
        Models::new(&self.folder.path().join("image"), &self.store(), Renderer::Here)
    }

    /// The replies to bytes that came by a connection.
    fn replies(&self, input: &[u8]) -> Vec<Reply> {
        let mut output = Vec::new();
        serve(&self.models(), &mut &*input, &mut output);
        let lines = String::from_utf8(output).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn ask(&self, request: &Request) -> Reply {
        self.replies(&line(request)).pop().unwrap()
    }

    fn add(&self, name: &str, file: &[u8]) -> Vec<Reply> {
        self.replies(&upload(name, file, Some(file.len() as u64)))
    }

    fn list(&self) -> Vec<StoredModel> {
        match self.ask(&Request::List) {
            Reply::Models(models) => models,
            reply => panic!("{reply:?}"),
        }
    }

    /// Files of the store, but for its locks.
    fn files(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.store()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("lock")
                    && !path.ends_with("turn")
                    && !path.ends_with("settings.turn")
                {
                    files.push(path);
                }
            }
        }
        files
    }
}

#[test]
fn what_is_set_is_told_with_its_model_and_goes_with_it() {
    let bench = Bench::new();
    bench.add("a", &tiny::Model::new(64).bytes());
    let change = |name: &str, keep_alive: &str| {
        let keep_alive = Some(Some(KeepAlive::Text(keep_alive.to_owned())));
        bench.ask(&Request::Set(SetModel {
            name: name.to_owned(),
            change: ModelChange {
                keep_alive,
                pin: Some(true),
                ..ModelChange::default()
            },
        }))
    };
    let Reply::Set(model) = change("a", "30m") else {
        panic!()
    };
    assert!(model.settings.pin);
    assert_eq!(bench.list()[0].settings, model.settings);
    assert_eq!(refused(&change("a", "soon")).0, RefusedKind::Invalid);
    assert_eq!(refused(&change("b", "1h")).0, RefusedKind::Unknown);
    bench.ask(&Request::Remove("a".to_owned()));
    bench.add("a", &tiny::Model::new(64).bytes());
    assert_eq!(bench.list()[0].settings, ModelSettings::default());
}

fn line(request: &Request) -> Vec<u8> {
    let mut line = serde_json::to_vec(request).unwrap();
    line.push(b'\n');
    line
}

fn upload(name: &str, file: &[u8], bytes: Option<u64>) -> Vec<u8> {
    let mut input = line(&Request::Add(NewModel {
        name: name.to_owned(),
        files: vec![NewFile {
            name: "tiny.gguf".to_owned(),
            bytes,
        }],
    }));
    for chunk in file.chunks(10_000) {
        input.extend((chunk.len() as u32).to_le_bytes());
        input.extend(chunk);
    }
    input.extend([0; 4]);
    input
}

fn refused(reply: &Reply) -> (RefusedKind, &str) {
    match reply {
        Reply::Refused(refused) => (refused.kind, &refused.message),
        reply => panic!("{reply:?}"),
    }
}

fn last_refused(replies: &[Reply]) -> (RefusedKind, &str) {
    refused(replies.last().unwrap())
}

fn tiny_file() -> Vec<u8> {
    tiny::Model::new(64).bytes()
}

#[test]
fn a_model_is_added_listed_verified_and_removed() {
    let bench = Bench::new();
    assert_eq!(bench.list(), []);
    let replies = bench.replies(&upload("a", &tiny_file(), None));
    let [Reply::Ready, Reply::Progress(_), .., Reply::Added(added)] = replies.as_slice() else {
        panic!("{replies:?}");
    };
    assert_eq!((added.id.as_str(), added.place), ("a", Place::Added));
    assert_eq!(added.family.as_deref(), Some("llama"));
    let blocks: u64 = added.codecs.iter().map(|share| share.stored).sum();
    assert_eq!(blocks, added.stored);
    assert_eq!(bench.list(), [added.as_ref().clone()]);
    let Reply::Verified(verified) = bench.ask(&Request::Verify("a".to_owned())) else {
        panic!("not verified");
    };
    assert_eq!(Some(&verified.root), added.root.as_ref());
    assert_eq!((verified.stored, verified.damaged), (added.stored, vec![]));
    let Reply::Removed(removed) = bench.ask(&Request::Remove("a".to_owned())) else {
        panic!("not removed");
    };
    assert_eq!(removed.freed, added.stored);
    assert!(removed.note.is_some_and(|note| note.contains("lets go")));
    assert_eq!((bench.list(), bench.files()), (vec![], vec![]));
    assert_eq!(
        refused(&bench.ask(&Request::Remove("a".to_owned()))).0,
        RefusedKind::Unknown
    );
}

#[test]
fn a_flipped_byte_is_found_by_its_block() {
    let bench = Bench::new();
    bench.add("a", &tiny_file());
    let blocks = bench.files();
    let block = blocks
        .iter()
        .find(|path| path.starts_with(bench.store().join("blocks")))
        .unwrap();
    let mut bytes = fs::read(block).unwrap();
    bytes[7] ^= 1;
    fs::set_permissions(block, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(block, bytes).unwrap();
    let Reply::Verified(verified) = bench.ask(&Request::Verify("a".to_owned())) else {
        panic!("not verified");
    };
    assert_eq!(verified.damaged.len(), 1);
    assert!(
        verified.damaged[0].problem.contains("hash"),
        "{:?}",
        verified.damaged
    );
}

#[test]
fn a_name_that_is_taken_or_cannot_be_is_refused_before_the_files_come() {
    let bench = Bench::new();
    bench.add("a", &tiny_file());
    let replies = bench.add("a", &tiny_file());
    assert_eq!((replies.len(), last_refused(&replies).0), (1, RefusedKind::Taken));
    tiny::write(&bench.folder.path().join("image/b.gguf"), 64).unwrap();
    let replies = bench.add("b", &tiny_file());
    let (kind, message) = last_refused(&replies);
    assert_eq!(kind, RefusedKind::Taken);
    assert!(
        message.contains("image") && !message.contains("remove"),
        "{message}"
    );
    let replies = bench.add("../c", &tiny_file());
    assert_eq!(
        (replies.len(), last_refused(&replies).0),
        (1, RefusedKind::Invalid)
    );
    let fixed = bench.ask(&Request::Remove("b".to_owned()));
    assert_eq!(refused(&fixed).0, RefusedKind::Fixed);
    assert!(refused(&fixed).1.contains("part of the image"), "{fixed:?}");
    let plain = bench.ask(&Request::Verify("b".to_owned()));
    assert_eq!(refused(&plain).0, RefusedKind::Fixed);
}

#[test]
fn files_that_are_no_model_are_refused_with_the_reason() {
    let mut other = tiny::Model::new(64);
    other
        .metadata
        .insert("general.architecture".to_owned(), Value::Text("mamba".to_owned()));
    let mut more = tiny::Model::new(64);
    let norm = more.tensors["output_norm.weight"].clone();
    more.tensors.insert("blk.0.secret.weight".to_owned(), norm);
    let mut mute = tiny::Model::new(64);
    mute.metadata.remove("tokenizer.ggml.tokens");
    for (file, words) in [
        (b"PK\x03\x04 a zip file, really".to_vec(), "not a GGUF file"),
        (other.bytes(), "mamba"),
        (more.bytes(), "secret"),
        (mute.bytes(), "tokenizer.ggml.tokens"),
        (tiny_file()[..9_000].to_vec(), "tiny.gguf"),
        (vec![], "tiny.gguf"),
    ] {
        let bench = Bench::new();
        let replies = bench.add("a", &file);
        let (kind, message) = last_refused(&replies);
        assert_eq!(kind, RefusedKind::Unusable, "{message}");
        assert!(
            message.contains(words) && message.contains("tiny.gguf"),
            "{message}"
        );
        assert_eq!(bench.files(), Vec::<PathBuf>::new(), "{words}");
    }
}

#[test]
fn of_an_upload_that_breaks_off_nothing_remains() {
    let whole = upload("a", &tiny_file(), None);
    let head = line(&Request::List).len();
    for cut in [head, whole.len() / 2, whole.len() - 4, whole.len() - 1] {
        let bench = Bench::new();
        let replies = bench.replies(&whole[..cut]);
        assert_eq!(last_refused(&replies).0, RefusedKind::Invalid, "{replies:?}");
        assert!(!bench.store().exists() || bench.files().is_empty());
    }
}

#[test]
fn what_a_killed_import_left_is_gone_before_room_is_looked_for() {
    let bench = Bench::new();
    bench.add("a", &tiny_file());
    // An import that is killed has written blocks, and no manifest.
    fs::remove_dir_all(bench.store().join("models")).unwrap();
    assert_ne!(bench.files(), Vec::<PathBuf>::new());
    let replies = bench.replies(&upload("b", &[], Some(1 << 41)));
    assert_eq!(last_refused(&replies).0, RefusedKind::NoSpace, "{replies:?}");
    assert_eq!(bench.files(), Vec::<PathBuf>::new());
}

/// A connection whose other end goes away after some lines.
struct Leaving {
    lines: usize,
}

impl Write for Leaving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines = self.lines.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn of_an_import_that_nobody_listens_to_nothing_remains() {
    // Longer than what threads hold at once, or the last progress would be told after the last read.
    let shape = tiny::Shape {
        width: 1024,
        feed_forward: 8192,
        heads: 32,
        kv_heads: 32,
        ..tiny::Shape::default()
    };
    let input = upload("a", &tiny::Model::of(&shape, 64).bytes(), None);
    for lines in [0, 1] {
        let bench = Bench::new();
        serve(&bench.models(), &mut input.as_slice(), Leaving { lines });
        assert_eq!((bench.list(), bench.files()), (vec![], vec![]));
    }
}

#[test]
fn one_model_is_added_at_a_time() {
    let bench = Bench::new();
    fs::create_dir(bench.store()).unwrap();
    let turn = fs::File::create(bench.store().join("turn")).unwrap();
    turn.lock().unwrap();
    assert_eq!(last_refused(&bench.add("a", &tiny_file())).0, RefusedKind::Busy);
    drop(turn);
    assert!(matches!(
        bench.add("a", &tiny_file()).last(),
        Some(Reply::Added(_))
    ));
}

/// Waits until somebody waits for a lock; only a failing test waits to the end.
fn until_awaited(lock: &fs::File) {
    let inode = format!(":{} ", lock.metadata().unwrap().ino());
    let begin = Instant::now();
    let is_awaited = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks
            .lines()
            .any(|line| line.contains("->") && line.contains(&inode))
    };
    while !is_awaited() {
        assert!(begin.elapsed() < Duration::from_secs(60), "nobody waits for it");
        std::thread::yield_now();
    }
}

#[test]
fn a_change_that_waited_for_a_removal_does_not_bring_back_what_was_set() {
    let bench = Bench::new();
    bench.add("a", &tiny_file());
    let turn = fs::File::create(bench.store().join("settings.turn")).unwrap();
    turn.lock().unwrap();
    let set = Request::Set(SetModel {
        name: "a".to_owned(),
        change: api::models::ModelChange {
            pin: Some(true),
            ..Default::default()
        },
    });
    std::thread::scope(|scope| {
        let change = scope.spawn(|| bench.ask(&set));
        until_awaited(&turn);
        // A removal, whose turn this is: the change has seen the model before.
        Store::new(&bench.store()).remove(&"a".parse().unwrap()).unwrap();
        turn.unlock().unwrap();
        assert_eq!(refused(&change.join().unwrap()).0, RefusedKind::Unknown);
    });
    let left = fs::read_to_string(bench.store().join("settings.toml"));
    assert!(left.is_err() || !left.unwrap().contains("pin"));
}

#[test]
fn a_disk_that_cannot_be_written_is_no_mistake_of_who_asks() {
    let bench = Bench::new();
    bench.add("a", &tiny_file());
    // Root, too, cannot write a file where a folder is.
    fs::create_dir(bench.store().join("settings.incoming")).unwrap();
    let reply = bench.ask(&Request::Set(SetModel {
        name: "a".to_owned(),
        change: api::models::ModelChange {
            pin: Some(true),
            ..Default::default()
        },
    }));
    assert_eq!(refused(&reply).0, RefusedKind::Failed, "{reply:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes, the last reply is the reason, and nothing remains: a model file that is cut, flipped or grown
    /// does not get past its reader unless it is a model still.
    #[test]
    fn no_upload_leaves_anything_but_a_model(
        at in any::<prop::sample::Index>(),
        with in proptest::collection::vec(any::<u8>(), 0..16),
        cut in any::<bool>(),
    ) {
        let mut input = upload("a", &tiny_file(), None);
        let at = at.index(input.len());
        if cut {
            input.truncate(at);
        }
        let end = (at + with.len()).min(input.len());
        input.splice(at.min(end)..end, with);
        let bench = Bench::new();
        let replies = bench.replies(&input);
        let is_last = |reply: &Reply| !matches!(reply, Reply::Ready | Reply::Progress(_));
        prop_assert_eq!(replies.iter().filter(|reply| is_last(reply)).count(), 1);
        prop_assert!(is_last(replies.last().unwrap()));
        let added = matches!(replies.last(), Some(Reply::Added(_)));
        let files = if bench.store().exists() { bench.files() } else { vec![] };
        prop_assert_eq!(added, !files.is_empty(), "{:?}", replies);
    }
}
