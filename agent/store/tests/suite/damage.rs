//! Damage is found and named; a model that goes is not taken for a damaged one.

use std::fs;
use std::sync::Once;

use crate::model::{Model, bytes};
use crate::packed::assert_holds;
use crate::place::{Place, flip, id, large, silent};
use kernels::kind::Kind;
use store::{Damage, Error, Store};

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
        let path = place.block(block.hash);
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

#[test]
fn damage_names_the_tensors_and_verify_finds_all_of_it() {
    let place = Place::new();
    place.import("m", &Model::small());
    let blocks = place.blocks();
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

/// More blocks than any machine has threads.
fn tall() -> Model {
    (2..600).fold(Model::small(), |model, layer| {
        model.tensor(&format!("blk.{layer}.attn_norm.weight"), Kind::F32, &[64])
    })
}

/// Verifies a model, and does something when the first of its blocks was read, and before all are.
fn verify_beside(place: &Place, name: &str, act: impl Fn() + Sync) -> Result<Vec<Damage>, Error> {
    let acted = Once::new();
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
