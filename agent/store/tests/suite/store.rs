//! Models in a store: in, out, damaged and shared.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::{Model, bytes};
use crate::packed::assert_holds;
use kernels::kind::Kind;
use proptest::prelude::*;
use store::source::Source;
use store::{Codec, Error, ModelId, Progress, Store};
use tempfile::TempDir;

fn silent(_: Progress) {}

fn id(name: &str) -> ModelId {
    name.parse().unwrap()
}

/// A store in a folder of its own, with a place for files beside it.
struct Place {
    folder: TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("store"));
        Self { folder, store }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&self, name: &str, model: &Model) {
        let path = self.file("model.gguf");
        model.write(&path);
        self.store
            .import(&Source::open(&path).unwrap(), &id(name), &silent)
            .unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Larger than a block in one segment, with floats that compress and weights that do not.
fn large() -> Model {
    let mut model = Model::small()
        .tensor("blk.2.ffn_up.weight", Kind::BF16, &[2048, 1600])
        .tensor("blk.2.ffn_down.weight", Kind::Q4_0, &[4096, 4000]);
    // Weights are alike in size: the exponents say little.
    for pair in model
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "blk.2.ffn_up.weight")
        .unwrap()
        .bytes
        .chunks_mut(2)
    {
        pair[1] = 0x3c | pair[1] & 0x81;
    }
    model
}

#[test]
fn what_is_imported_is_loaded() {
    let (place, model) = (Place::new(), large());
    place.import("large", &model);
    let packed = place.store.load(&id("large")).unwrap();
    assert_holds(&packed, &model);
    let manifest = place.store.manifest(&id("large")).unwrap();
    assert_eq!(packed.root(), Some(manifest.root));
    assert_eq!(manifest.model.summary.layers, 3);
    assert_eq!(manifest.model.summary.architecture.as_deref(), Some("llama"));
    assert_eq!(manifest.model.sources[0].name, "model.gguf");
    let codecs: Vec<_> = manifest.model.blocks().map(|(_, block)| block.codec).collect();
    assert!(
        codecs.contains(&Codec::Raw) && codecs.contains(&Codec::Zstd2),
        "{codecs:?}"
    );
    assert!(manifest.model.stored() < manifest.model.bytes() * 98 / 100);
    assert_eq!(place.store.models().unwrap(), [id("large")]);
    assert!(place.store.verify(&id("large"), &silent).unwrap().is_empty());
}

#[test]
fn an_export_is_the_file_that_was_imported() {
    let (place, model) = (Place::new(), large());
    place.import("large", &model);
    let out = place.file("out.gguf");
    place.store.export(&id("large"), &out, &silent).unwrap();
    assert!(fs::read(&out).unwrap() == model.file(3), "the bytes differ");
    let beside: Vec<_> = files(place.folder.path())
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("incoming-"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn an_export_writes_into_nothing_that_is_there() {
    let (place, model) = (Place::new(), Model::small());
    place.import("m", &model);
    let (out, victim) = (place.file("out.gguf"), place.file("victim"));
    fs::write(&victim, b"precious").unwrap();
    for name in ["out.gguf.incoming", "out.gguf.incoming-0"] {
        std::os::unix::fs::symlink(&victim, place.file(name)).unwrap();
    }
    place.store.export(&id("m"), &out, &silent).unwrap();
    assert!(fs::read(&out).unwrap() == model.file(3), "the bytes differ");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    let silence = |progress: Progress| panic!("begun: {progress:?}");
    let error = place.store.export(&id("m"), place.folder.path(), &silence);
    assert!(error.unwrap_err().to_string().contains("directory"));
}

#[test]
fn a_split_model_is_exported_as_one_file_without_the_keys_of_the_split() {
    let (place, model) = (Place::new(), Model::small());
    let paths = crate::source::write_parts(place.folder.path(), &model);
    place
        .store
        .import(&Source::open(&paths[1]).unwrap(), &id("split"), &silent)
        .unwrap();
    let out = place.file("out.gguf");
    place.store.export(&id("split"), &out, &silent).unwrap();
    assert!(fs::read(&out).unwrap() == model.file(3), "the bytes differ");
}

#[test]
fn equal_segments_are_stored_once_and_kept_while_one_model_has_them() {
    let (place, base) = (Place::new(), large());
    place.import("base", &base);
    let before = files(&place.store.path().join("blocks"));
    let mut tuned = base.clone();
    tuned
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "blk.1.attn_q.weight")
        .unwrap()
        .bytes[0] ^= 1;
    place.import("tuned", &tuned);
    let after = files(&place.store.path().join("blocks"));
    assert_eq!(after.len(), before.len() + 1);

    place.store.remove(&id("base")).unwrap();
    assert_eq!(place.store.collect().unwrap().blocks, 1);
    assert_holds(&place.store.load(&id("tuned")).unwrap(), &tuned);
    place.store.remove(&id("tuned")).unwrap();
    assert_eq!(place.store.collect().unwrap().blocks, before.len());
    assert!(files(&place.store.path().join("blocks")).is_empty());
    assert_eq!(place.store.collect().unwrap(), store::Collected::default());
}

#[test]
fn a_second_import_writes_nothing_and_mends_what_was_damaged() {
    let (place, model) = (Place::new(), large());
    place.import("m", &model);
    let blocks = files(&place.store.path().join("blocks"));
    let when = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let before: Vec<_> = blocks.iter().map(when).collect();
    flip(&blocks[1], 5);
    let damaged = when(&blocks[1]);
    place.import("m", &model);
    for (path, before) in blocks.iter().zip(before) {
        assert_eq!(when(path) == before, path != &blocks[1], "{}", path.display());
    }
    assert_ne!(when(&blocks[1]), damaged);
    assert!(place.store.verify(&id("m"), &silent).unwrap().is_empty());
}

#[test]
fn a_model_is_replaced_by_one_of_its_name() {
    let place = Place::new();
    place.import("m", &large());
    let loaded = place.store.load(&id("m")).unwrap();
    place.import("m", &Model::small());
    place.store.collect().unwrap();
    assert_holds(&place.store.load(&id("m")).unwrap(), &Model::small());
    // What was mapped before is still there.
    assert_holds(&loaded, &large());
}

#[test]
fn progress_reaches_its_end() {
    let (place, model) = (Place::new(), large());
    let path = place.file("model.gguf");
    model.write(&path);
    let last = std::sync::Mutex::new(Vec::new());
    let tell = |progress: Progress| last.lock().unwrap().push((progress.done, progress.total));
    place
        .store
        .import(&Source::open(&path).unwrap(), &id("m"), &tell)
        .unwrap();
    let mut told = last.into_inner().unwrap();
    told.sort_unstable();
    let (done, total) = told.pop().unwrap();
    assert_eq!(done, total);
    assert_eq!(total, place.store.manifest(&id("m")).unwrap().model.bytes());
}

#[test]
fn garbage_is_not_collected_under_an_import() {
    let (place, model) = (Place::new(), Model::small());
    let path = place.file("model.gguf");
    model.write(&path);
    let refused = std::sync::Mutex::new(Vec::new());
    let tell = |_: Progress| refused.lock().unwrap().push(place.store.collect());
    place
        .store
        .import(&Source::open(&path).unwrap(), &id("m"), &tell)
        .unwrap();
    let refused = refused.into_inner().unwrap();
    assert!(!refused.is_empty());
    assert!(
        refused
            .iter()
            .all(|result| matches!(result, Err(Error::Busy { .. })))
    );
    assert!(place.store.collect().is_ok());
}

#[test]
fn of_two_who_collect_at_once_one_waits() {
    let place = Place::new();
    place.import("m", &Model::small());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    place.store.collect().unwrap();
                }
            });
        }
    });
}

#[test]
fn a_model_is_removed_whatever_else_lies_in_its_folder() {
    let place = Place::new();
    place.import("m", &Model::small());
    let notes = place.store.path().join("models/m/notes");
    fs::write(&notes, b"mine").unwrap();
    place.store.remove(&id("m")).unwrap();
    assert!(place.store.collect().unwrap().blocks > 0);
    assert!(place.store.models().unwrap().is_empty());
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
    place.import("m", &Model::small());
    assert_eq!(place.store.models().unwrap(), [id("m")]);
}

#[test]
fn a_removal_takes_no_folder_from_under_an_import() {
    let place = Place::new();
    std::thread::scope(|scope| {
        let importing = scope.spawn(|| {
            for _ in 0..60 {
                place.import("m", &Model::small());
            }
        });
        while !importing.is_finished() {
            match place.store.remove(&id("m")) {
                Ok(()) | Err(Error::NoModel { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
}

#[test]
fn what_a_killed_import_left_is_collected() {
    let place = Place::new();
    place.import("m", &Model::small());
    let left = place
        .store
        .path()
        .join(format!("incoming/{}-0", std::process::id()));
    fs::write(&left, b"half a block").unwrap();
    // The same process number may come again: the name is passed over.
    place.import("n", &large());
    let collected = place.store.collect().unwrap();
    assert_eq!(
        (collected.blocks, collected.incoming, collected.bytes),
        (0, 1, 12)
    );
    assert!(!left.exists());
}

#[test]
fn names_that_are_not_there_are_told_with_those_that_are() {
    let place = Place::new();
    assert!(place.store.models().unwrap().is_empty());
    place.import("here", &Model::small());
    let error = place.store.load(&id("gone")).unwrap_err().to_string();
    assert!(error.contains("no model `gone`; it has here"), "{error}");
    assert!(matches!(
        place.store.remove(&id("gone")),
        Err(Error::NoModel { .. })
    ));
}

fn flip(path: &Path, place: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 1 << (place % 8);
    let mut writable = fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut writable, 0o644);
    fs::set_permissions(path, writable).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn two_hundred_flipped_bytes_are_each_refused_by_block() {
    let (place, model) = (Place::new(), large());
    place.import("m", &model);
    let manifest = place.store.manifest(&id("m")).unwrap();
    let blocks: Vec<_> = manifest
        .model
        .blocks()
        .map(|(number, block)| (number, *block))
        .collect();
    let random = bytes(7, 200 * 8);
    for bytes in random.chunks(8) {
        let random = u64::from_le_bytes(bytes.try_into().unwrap()) as usize;
        let (number, block) = blocks[random % blocks.len()];
        let name = block.hash.to_string();
        let path = place.store.path().join("blocks").join(&name[..2]).join(&name);
        let at = (random / 256) % block.stored;
        flip(&path, at);
        // A store of its own, for one that has verified a block does not do so again.
        let error = Store::new(place.store.path()).load(&id("m")).unwrap_err();
        let Error::Damage(damage) = &error else {
            panic!("{error}");
        };
        // A block may stand for two equal ones.
        assert_eq!(damage.path, path, "byte {at} of block {number}");
        assert_eq!(blocks[damage.block].1.hash, block.hash);
        assert!(error.to_string().contains(&format!("block {}", damage.block)));
        flip(&path, at);
    }
    assert_holds(&Store::new(place.store.path()).load(&id("m")).unwrap(), &model);
}

/// Eight layers of one size, and an output of several times that.
fn deep() -> Model {
    let mut model = Model::small();
    for layer in 2..8 {
        let name = |name| format!("blk.{layer}.{name}.weight");
        model = model
            .tensor(&name("attn_norm"), Kind::F32, &[256])
            .tensor(&name("ffn_up"), Kind::Q5K, &[256, 1000])
            .tensor(&name("ffn_down"), Kind::F16, &[256, 500]);
    }
    model.tensors.retain(|tensor| tensor.name != "output.weight");
    model.tensor("output.weight", Kind::Q6K, &[256, 9_000])
}

/// The least budget that a model can be streamed in.
fn least(place: &Place, name: &str) -> usize {
    match place.store.load_within(&id(name), 0) {
        Err(Error::Budget { least, .. }) => least,
        other => panic!("a budget of 0: {other:?}"),
    }
}

#[test]
fn a_streamed_model_is_the_same_with_any_budget() {
    let (place, model) = (Place::new(), deep());
    place.import("m", &model);
    let all = place.store.manifest(&id("m")).unwrap().model.bytes() as usize;
    let least = least(&place, "m");
    assert!(least < all);
    for budget in [least, (least + all) / 2, all - 1, all] {
        let streamed = Store::new(place.store.path())
            .load_within(&id("m"), budget)
            .unwrap();
        for _token in 0..3 {
            assert_holds(&streamed, &model);
        }
    }
    let error = place
        .store
        .load_within(&id("m"), least - 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("the least for this model is {least}")),
        "{error}"
    );
}

#[test]
fn a_flipped_byte_is_refused_when_it_is_streamed() {
    let (place, model) = (Place::new(), deep());
    place.import("m", &model);
    let least = least(&place, "m");
    let manifest = place.store.manifest(&id("m")).unwrap();
    let segments = &manifest.model.segments;
    // The second layer's first block.
    let number = segments[0].blocks.len() + segments[1].blocks.len();
    let hash = segments[2].blocks[0].hash.to_string();
    let path = place.store.path().join("blocks").join(&hash[..2]).join(&hash);
    flip(&path, 3);
    // Vectors are read when a model is loaded, and this layer begins with one.
    let error = Store::new(place.store.path())
        .load_within(&id("m"), least)
        .unwrap_err();
    assert!(error.to_string().contains(&format!("block {number} ")), "{error}");
    flip(&path, 3);
    let streamed = Store::new(place.store.path())
        .load_within(&id("m"), least)
        .unwrap();
    // One that was not needed yet.
    let hash = segments[9].blocks.last().unwrap().hash.to_string();
    let path = place.store.path().join("blocks").join(&hash[..2]).join(&hash);
    // Makes it writable, too.
    flip(&path, 3);
    fs::write(&path, b"").unwrap();
    let output = streamed.tensors().find("output.weight").unwrap();
    let failed = streamed.pieces(output).find_map(Result::err);
    let error = failed.unwrap().to_string();
    assert!(
        error.contains("cannot be read") && error.contains("; it holds "),
        "{error}"
    );
}

#[test]
fn a_model_that_is_removed_while_it_is_streamed_is_read_on() {
    let (place, model) = (Place::new(), deep());
    place.import("m", &model);
    let streamed = Store::new(place.store.path())
        .load_within(&id("m"), least(&place, "m"))
        .unwrap();
    place.store.remove(&id("m")).unwrap();
    assert!(place.store.collect().unwrap().blocks > 0);
    assert!(files(&place.store.path().join("blocks")).is_empty());
    for layer in 0..streamed.layers() {
        streamed.layer(layer).unwrap();
    }
    let output = streamed.tensors().find("output.weight").unwrap();
    assert!(streamed.pieces(output).all(|piece| piece.is_ok()));
}

/// More blocks than any machine has threads.
fn tall() -> Model {
    (2..600).fold(Model::small(), |model, layer| {
        model.tensor(&format!("blk.{layer}.attn_norm.weight"), Kind::F32, &[64])
    })
}

/// Verifies a model, and does something when the first of its blocks was read, and before all are.
fn verify_beside(place: &Place, name: &str, act: impl Fn() + Sync) -> Result<Vec<store::Damage>, Error> {
    let acted = std::sync::Once::new();
    place.store.verify(&id(name), &|_| acted.call_once(&act))
}

#[test]
fn a_model_that_is_removed_while_it_is_verified_is_gone_and_not_damaged() {
    let place = Place::new();
    place.import("m", &tall());
    let verified = verify_beside(&place, "m", || {
        place.store.remove(&id("m")).unwrap();
        place.store.collect().unwrap();
    });
    assert!(matches!(verified, Err(Error::NoModel { .. })), "{verified:?}");
}

#[test]
fn a_model_that_is_replaced_while_it_is_verified_is_verified_as_the_new_one() {
    let place = Place::new();
    place.import("m", &tall());
    let verified = verify_beside(&place, "m", || {
        place.import("m", &Model::small());
        place.store.collect().unwrap();
    });
    assert!(verified.as_ref().is_ok_and(Vec::is_empty), "{verified:?}");
}

#[test]
fn a_model_that_goes_between_its_opening_and_its_loading_is_gone_and_not_damaged() {
    let place = Place::new();
    place.import("m", &large());
    let opened = place.store.open(&id("m")).unwrap();
    place.import("m", &Model::small());
    place.store.collect().unwrap();
    let loaded = opened.load(None);
    assert!(matches!(loaded, Err(Error::Replaced { .. })), "{loaded:?}");
    place.store.remove(&id("m")).unwrap();
    place.store.collect().unwrap();
    for budget in [None, Some(1 << 20)] {
        let loaded = opened.load(budget);
        assert!(matches!(loaded, Err(Error::NoModel { .. })), "{loaded:?}");
    }
}

#[test]
fn damage_names_the_tensors_and_verify_finds_all_of_it() {
    let place = Place::new();
    place.import("m", &Model::small());
    let blocks = files(&place.store.path().join("blocks"));
    flip(&blocks[0], 0);
    fs::remove_file(&blocks[1]).unwrap();
    fs::write(&blocks[2], b"short").unwrap_or_else(|_| {
        flip(&blocks[2], 1);
    });
    let damaged = place.store.verify(&id("m"), &silent).unwrap();
    assert_eq!(damaged.len(), 3);
    let told = damaged
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(told.contains("is missing"), "{told}");
    let manifest = place.store.manifest(&id("m")).unwrap();
    for damage in &damaged {
        let metadata = manifest.model.blocks().count() - 1 == damage.block;
        assert_eq!(damage.tensors.is_empty(), metadata, "{damage}");
    }
}

#[test]
fn manifests_are_checked() {
    let place = Place::new();
    place.import("m", &Model::small());
    let path = place.store.path().join("models/m/manifest.json");
    let good = fs::read_to_string(&path).unwrap();
    let error = |text: &str| {
        fs::remove_file(&path).unwrap();
        fs::write(&path, text).unwrap();
        place.store.load(&id("m")).unwrap_err().to_string()
    };
    assert!(error(&good[..good.len() / 2]).contains("manifest.json: "));
    assert!(
        error(&good.replacen("\"version\":1", "\"version\":2", 1)).contains("version 2 is not supported")
    );
    assert!(error(&good.replacen("\"offset\":0", "\"offset\":64", 1)).contains("but the model's hash is"));
    assert!(error(&good.replacen("{", "{\"more\":1,", 1)).contains("unknown field `more`"));
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_the_blocks_that_it_names_and_no_others() {
    let place = Place::new();
    place.import("bad", &Model::small());
    let bad = files(&place.store.path().join("blocks"));
    place.import("good", &large());
    place.store.remove(&id("good")).unwrap();
    let path = place.store.path().join("models/bad/manifest.json");
    let good = fs::read_to_string(&path).unwrap();
    let newer = good.replacen("\"version\":1", "\"version\":2", 1);
    fs::remove_file(&path).unwrap();
    fs::write(&path, newer).unwrap();
    assert!(place.store.manifest(&id("bad")).is_err());
    assert!(place.store.collect().unwrap().blocks > 0);
    assert_eq!(files(&place.store.path().join("blocks")), bad);

    // Of half a manifest, nobody can load a model again.
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    place.store.collect().unwrap();
    let left = files(&place.store.path().join("blocks"));
    assert!(left.len() < bad.len() && left.iter().all(|block| bad.contains(block)));
    place.store.remove(&id("bad")).unwrap();
    place.store.collect().unwrap();
    assert!(files(&place.store.path().join("blocks")).is_empty());
}

/// JSON has six bytes for each control character.
#[test]
fn a_model_whose_manifest_would_be_too_long_to_read_is_refused_before_anything_is_written() {
    let place = Place::new();
    let model = (0..11_000_u32).fold(Model::small(), |model, number| {
        model.tensor(&format!("{number}{:\u{1}<1018}", ""), Kind::F32, &[1])
    });
    let path = place.file("model.gguf");
    model.write(&path);
    let imported = place
        .store
        .import(&Source::open(&path).unwrap(), &id("m"), &silent);
    let error = imported.unwrap_err().to_string();
    assert!(error.contains("longer than 67108864 bytes"), "{error}");
    assert!(place.store.models().unwrap().is_empty());
    assert!(files(&place.store.path().join("blocks")).is_empty());
}

/// A manifest whose hash is right may still lie about the rest.
#[test]
fn crafted_manifests_are_refused() {
    let place = Place::new();
    place.import("m", &Model::small());
    let path = place.store.path().join("models/m/manifest.json");
    let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let refused = |pointer: &str, value: serde_json::Value| {
        let mut crafted = good.clone();
        *crafted.pointer_mut(pointer).unwrap() = value;
        let model: store::manifest::Model = serde_json::from_value(crafted["model"].clone()).unwrap();
        let root = store::Hash::of(&serde_json::to_vec(&model).unwrap());
        crafted["root"] = serde_json::json!(root.to_string());
        fs::remove_file(&path).unwrap();
        fs::write(&path, crafted.to_string()).unwrap();
        place.store.load(&id("m")).unwrap_err().to_string()
    };
    let huge = serde_json::json!(u64::MAX);
    let segments = good["model"]["segments"].as_array().unwrap();
    let fewer = serde_json::json!(segments[..segments.len() - 1]);
    for (pointer, value, says) in [
        ("/model/segments", fewer, "other lengths than their tensors"),
        (
            "/model/tensors/3/segment",
            serde_json::json!(segments.len() - 1),
            "lies in segment",
        ),
        (
            "/model/tensors/3/offset",
            good["model"]["tensors"][4]["offset"].clone(),
            "lies in segment",
        ),
        (
            "/model/tensors/3/offset",
            serde_json::json!(1 << 30),
            "lies in segment",
        ),
        ("/model/tensors/3/offset", huge.clone(), "lies in segment"),
        ("/model/tensors/3/offset", serde_json::json!(1), "lies in segment"),
        ("/model/tensors/3/segment", huge.clone(), "lies in segment"),
        (
            "/model/tensors/3/kind",
            serde_json::json!("Q9"),
            "unknown type `Q9`",
        ),
        (
            "/model/tensors/3/name",
            serde_json::json!("token_embd.weight"),
            "appears twice",
        ),
        (
            "/model/tensors/1/name",
            serde_json::json!("x"),
            "`token_embd.weight` is missing",
        ),
        (
            "/model/tensors/3/dimensions/0",
            huge.clone(),
            "more than any model",
        ),
        (
            "/model/tensors/3/dimensions",
            serde_json::json!([]),
            "no dimensions",
        ),
        ("/model/segments/0/bytes", huge.clone(), "blocks cannot be"),
        (
            "/model/segments/0/blocks/0/bytes",
            serde_json::json!(1),
            "must be",
        ),
        ("/model/segments/0/blocks/0/stored", huge.clone(), "must be"),
        (
            "/model/segments/0/blocks/0/codec",
            serde_json::json!("raw"),
            "must be",
        ),
        ("/model/metadata/bytes", huge, "blocks cannot be"),
        ("/model/segments", serde_json::json!([]), "`segments` has 0"),
    ] {
        let error = refused(pointer, value);
        assert!(error.contains(says), "{pointer}: {error}");
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any tensors come back, loaded and exported.
    #[test]
    fn any_model_goes_in_and_out(
        matrices in proptest::collection::vec((kinds(), 1_u64..4, 1_u64..40, 0_usize..3), 1..12),
        vectors in proptest::collection::vec((0_usize..3, 1_u64..600), 0..4),
    ) {
        let mut model = Model::default().tensor("token_embd.weight", Kind::Q8_0, &[64, 20]);
        for layer in 0..3 {
            model = model.tensor(&format!("blk.{layer}.norm"), Kind::F32, &[32]);
        }
        for (index, (kind, blocks, rows, layer)) in matrices.into_iter().enumerate() {
            let columns = blocks * kind.block_columns().max(32) as u64;
            model = model.tensor(&format!("blk.{layer}.m{index}"), kind, &[columns, rows]);
        }
        for (index, (kind, length)) in vectors.into_iter().enumerate() {
            let kind = [Kind::F32, Kind::F16, Kind::BF16][kind];
            model = model.tensor(&format!("v{index}"), kind, &[length]);
        }
        let place = Place::new();
        place.import("m", &model);
        assert_holds(&place.store.load(&id("m")).unwrap(), &model);
        let streamed = Store::new(place.store.path()).load_within(&id("m"), least(&place, "m")).unwrap();
        assert_holds(&streamed, &model);
        let out = place.file("out.gguf");
        place.store.export(&id("m"), &out, &silent).unwrap();
        prop_assert!(fs::read(&out).unwrap() == model.file(3));
    }
}
