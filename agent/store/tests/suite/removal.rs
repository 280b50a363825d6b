//! Models are removed, and what no model has any more is collected.

use std::fs;
use std::sync::Mutex;

use crate::model::Model;
use crate::packed::assert_holds;
use crate::place::{Place, id, large};
use store::source::Source;
use store::{Collected, Error, Progress};

#[test]
fn equal_segments_are_stored_once_and_kept_while_one_model_has_them() {
    let (place, base) = (Place::new(), large());
    place.import("base", &base);
    let before = place.blocks();
    let mut tuned = base.clone();
    tuned
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "blk.1.attn_q.weight")
        .unwrap()
        .bytes[0] ^= 1;
    place.import("tuned", &tuned);
    let after = place.blocks();
    assert_eq!(after.len(), before.len() + 1);

    place.store.remove(&id("base")).unwrap();
    assert_eq!(place.store.collect().unwrap().blocks, 1);
    assert_holds(&place.store.load(&id("tuned")).unwrap(), &tuned);
    place.store.remove(&id("tuned")).unwrap();
    assert_eq!(place.store.collect().unwrap().blocks, before.len());
    assert!(place.blocks().is_empty());
    assert_eq!(place.store.collect().unwrap(), Collected::default());
}

#[test]
fn garbage_is_not_collected_under_an_import() {
    let (place, model) = (Place::new(), Model::small());
    let path = place.file("model.gguf");
    model.write(&path);
    let refused = Mutex::new(Vec::new());
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
