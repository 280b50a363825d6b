//! Manifests that are damaged, newer, or lie.

use std::fs;
use std::path::Path;

use crate::model::Model;
use crate::place::{Place, id, large};
use serde_json::{Value, json};
use store::Hash;

/// Manifests are read-only.
fn replace(path: &Path, text: &str) {
    fs::remove_file(path).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn manifests_are_checked() {
    let place = Place::new();
    place.import("m", &Model::small());
    let path = place.manifest("m");
    let good = fs::read_to_string(&path).unwrap();
    let error = |text: &str| {
        replace(&path, text);
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
fn manifests_that_are_absurd_name_the_file_and_the_place() {
    let place = Place::new();
    place.import("m", &Model::small());
    let path = place.manifest("m");
    let good = fs::read_to_string(&path).unwrap();
    let deep = format!("{}{}", "{\"model\":".repeat(100_000), "}".repeat(100_000));
    let many = good.replacen("\"entries\":9", "\"entries\":1e300", 1);
    assert_ne!(many, good);
    for (text, says) in [
        (String::new(), "line 1 column 0"),
        ("[".repeat(100_000), "line 1 column"),
        (deep, "line 1 column"),
        (many, "line 1 column"),
        (good[1..].to_owned(), "line 1 column"),
    ] {
        replace(&path, &text);
        for error in [
            place.store.load(&id("m")).map(drop).unwrap_err(),
            place.store.manifest(&id("m")).map(drop).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains("m/manifest.json: ") && error.contains(says) && error.len() < 500,
                "{error}"
            );
        }
    }
}

#[test]
fn a_manifest_that_is_too_long_is_refused_before_it_is_read() {
    let place = Place::new();
    place.import("m", &Model::small());
    let path = place.manifest("m");
    replace(&path, "");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 50).or_else(|_| file.set_len(1 << 40)).unwrap();
    for error in [
        place.store.manifest(&id("m")).map(drop).unwrap_err(),
        place.store.root(&id("m")).map(drop).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("at most 67108864 are allowed"), "{error}");
    }
    place.store.collect().unwrap();
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_the_blocks_that_it_names_and_no_others() {
    let place = Place::new();
    place.import("bad", &Model::small());
    let bad = place.blocks();
    place.import("good", &large());
    place.store.remove(&id("good")).unwrap();
    let path = place.manifest("bad");
    let good = fs::read_to_string(&path).unwrap();
    let newer = good.replacen("\"version\":1", "\"version\":2", 1);
    replace(&path, &newer);
    assert!(place.store.manifest(&id("bad")).is_err());
    assert!(place.store.collect().unwrap().blocks > 0);
    assert_eq!(place.blocks(), bad);

    // Of half a manifest, nobody can load a model again.
    replace(&path, &good[..good.len() / 2]);
    place.store.collect().unwrap();
    let left = place.blocks();
    assert!(left.len() < bad.len() && left.iter().all(|block| bad.contains(block)));
    place.store.remove(&id("bad")).unwrap();
    place.store.collect().unwrap();
    assert!(place.blocks().is_empty());
}

/// What a manifest may say though its hash is right: where, what, and what it is refused with.
fn lies(good: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let segments = good["model"]["segments"].as_array().unwrap();
    let last = segments.len() - 1;
    let (huge, elsewhere) = (json!(u64::MAX), "lies in segment");
    let next = good["model"]["tensors"][4]["offset"].clone();
    vec![
        (
            "segments",
            json!(segments[..last]),
            "other lengths than their tensors",
        ),
        ("segments", json!([]), "`segments` has 0"),
        ("tensors/3/segment", json!(last), elsewhere),
        ("tensors/3/segment", huge.clone(), elsewhere),
        ("tensors/3/offset", next, elsewhere),
        ("tensors/3/offset", json!(1 << 30), elsewhere),
        ("tensors/3/offset", json!(1), elsewhere),
        ("tensors/3/offset", huge.clone(), elsewhere),
        ("tensors/3/kind", json!("Q9"), "unknown type `Q9`"),
        ("tensors/3/name", json!("token_embd.weight"), "appears twice"),
        ("tensors/1/name", json!("x"), "`token_embd.weight` is missing"),
        ("tensors/3/dimensions", json!([]), "no dimensions"),
        ("tensors/3/dimensions/0", huge.clone(), "more than any model"),
        ("segments/0/bytes", huge.clone(), "blocks cannot be"),
        ("segments/0/blocks/0/bytes", json!(1), "must be"),
        ("segments/0/blocks/0/stored", huge.clone(), "must be"),
        ("segments/0/blocks/0/codec", json!("raw"), "must be"),
        ("metadata/bytes", huge, "blocks cannot be"),
    ]
}

#[test]
fn crafted_manifests_are_refused() {
    let place = Place::new();
    place.import("m", &Model::small());
    let path = place.manifest("m");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (field, value, says) in lies(&good) {
        let mut crafted = good.clone();
        *crafted["model"].pointer_mut(&format!("/{field}")).unwrap() = value;
        let model: store::manifest::Model = serde_json::from_value(crafted["model"].clone()).unwrap();
        crafted["root"] = json!(Hash::of(&serde_json::to_vec(&model).unwrap()).to_string());
        replace(&path, &crafted.to_string());
        let error = place.store.load(&id("m")).unwrap_err().to_string();
        assert!(error.contains(says), "{field}: {error}");
    }
}
