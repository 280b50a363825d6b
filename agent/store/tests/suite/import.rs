//! Models come into a store.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::model::Model;
use crate::packed::assert_holds;
use crate::place::{Place, flip, id, large, silent};
use kernels::kind::Kind;
use store::source::Source;
use store::{Codec, Progress};

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
fn a_second_import_writes_nothing_and_mends_what_was_damaged() {
    let (place, model) = (Place::new(), large());
    place.import("m", &model);
    let blocks = place.blocks();
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
    let last = Mutex::new(Vec::new());
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
    assert!(place.blocks().is_empty());
}

#[test]
fn what_is_decoded_is_held_and_the_rest_is_mapped() {
    let place = Place::new();
    place.import("m", &large());
    let model = place.store.manifest(&id("m")).unwrap().model;
    let opened = place.store.open(&id("m")).unwrap();
    let (held, mapped) = opened.in_memory(None);
    // The 6.25 MiB of floats, in blocks that hold little else.
    let floats = 2 * 2048 * 1600;
    assert!((floats..floats + (4 << 20)).contains(&held), "{held}");
    assert_eq!(held + mapped, model.bytes());
    assert_eq!(opened.in_memory(Some(5 << 20)), (5 << 20, 0), "streamed");
}
