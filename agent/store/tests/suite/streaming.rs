//! Models larger than the memory that they may take.

use std::fs;

use crate::model::Model;
use crate::packed::assert_holds;
use crate::place::{Place, flip, id};
use kernels::kind::Kind;
use store::Store;

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

#[test]
fn a_streamed_model_is_the_same_with_any_budget() {
    let (place, model) = (Place::new(), deep());
    place.import("m", &model);
    let all = place.store.manifest(&id("m")).unwrap().model.bytes() as usize;
    let least = place.least("m");
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
    let least = place.least("m");
    let manifest = place.store.manifest(&id("m")).unwrap();
    let segments = &manifest.model.segments;
    // The second layer's first block.
    let number = segments[0].blocks.len() + segments[1].blocks.len();
    let path = place.block(segments[2].blocks[0].hash);
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
    let path = place.block(segments[9].blocks.last().unwrap().hash);
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
        .load_within(&id("m"), place.least("m"))
        .unwrap();
    place.store.remove(&id("m")).unwrap();
    assert!(place.store.collect().unwrap().blocks > 0);
    assert!(place.blocks().is_empty());
    for layer in 0..streamed.layers() {
        streamed.layer(layer).unwrap();
    }
    let output = streamed.tensors().find("output.weight").unwrap();
    assert!(streamed.pieces(output).all(|piece| piece.is_ok()));
}
