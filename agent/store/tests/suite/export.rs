//! Models go out of a store as the files that they were.

use std::fs;

use crate::model::Model;
use crate::packed::assert_holds;
use crate::place::{Place, files, id, large, silent};
use kernels::kind::Kind;
use proptest::prelude::*;
use store::source::Source;
use store::{Progress, Store};

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
        let streamed = Store::new(place.store.path()).load_within(&id("m"), place.least("m")).unwrap();
        assert_holds(&streamed, &model);
        let out = place.file("out.gguf");
        place.store.export(&id("m"), &out, &silent).unwrap();
        prop_assert!(fs::read(&out).unwrap() == model.file(3));
    }
}
