//! Split models.

use std::path::{Path, PathBuf};

use crate::model::{Model, entry};
use kernels::kind::Kind;
use store::source::Source;

fn split(no: u16, count: u16, tensors: i32) -> Vec<Vec<u8>> {
    vec![
        entry("split.no", 2, &no.to_le_bytes()),
        entry("split.count", 2, &count.to_le_bytes()),
        entry("split.tensors.count", 5, &tensors.to_le_bytes()),
    ]
}

/// Writes a model in three parts, as gguf-split does: metadata in the first only.
pub(crate) fn write_parts(folder: &Path, model: &Model) -> Vec<PathBuf> {
    let parts = model.tensors.chunks(model.tensors.len().div_ceil(3));
    let part = |(index, tensors): (usize, &[_])| {
        let mut entries = if index == 0 {
            model.entries.clone()
        } else {
            Vec::new()
        };
        entries.extend(split(index as u16, 3, model.tensors.len() as i32));
        let path = folder.join(format!("small-{:05}-of-00003.gguf", index + 1));
        let tensors = tensors.to_vec();
        Model { entries, tensors }.write(&path);
        path
    };
    parts.enumerate().map(part).collect()
}

#[test]
fn any_part_finds_its_siblings() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::small();
    for path in write_parts(folder.path(), &model) {
        let source = Source::open(&path).unwrap();
        assert_eq!(source.files().count(), 3);
        assert_eq!(source.entries().count, model.entries.len() as u64);
        let names: Vec<_> = source.tensors().map(|tensor| &tensor.name).collect();
        let written: Vec<_> = model.tensors.iter().map(|tensor| &tensor.name).collect();
        assert_eq!(names, written);
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write_parts(folder.path(), &Model::small());
    let error = |path: &Path| Source::open(path).unwrap_err().to_string();

    let other = Model {
        entries: split(1, 3, 99),
        ..Model::default()
    };
    let first = std::fs::read(&paths[0]).unwrap();
    other.clone().tensor("x", Kind::F32, &[4]).write(&paths[1]);
    assert!(
        error(&paths[0]).contains("`split.tensors.count` is 11"),
        "{}",
        error(&paths[0])
    );
    std::fs::copy(&paths[2], &paths[1]).unwrap();
    assert!(
        error(&paths[0]).contains("`split.no` is 2, but it is part 1"),
        "{}",
        error(&paths[0])
    );
    std::fs::write(&paths[1], &first).unwrap();
    assert!(error(&paths[0]).contains("`split.no` is 0, but it is part 1"));
    std::fs::remove_file(&paths[1]).unwrap();
    assert!(error(&paths[2]).contains("small-00002-of-00003.gguf"));

    let alone = folder.path().join("alone.gguf");
    std::fs::write(&alone, &first).unwrap();
    assert!(
        error(&alone).contains("NAME-00001-of-00003.gguf"),
        "{}",
        error(&alone)
    );
}

#[test]
fn a_tensor_is_in_one_part_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |index: u16| folder.path().join(format!("m-{index:05}-of-00002.gguf"));
    for index in 1..=2 {
        let entries = split(index - 1, 2, 2);
        Model {
            entries,
            ..Model::default()
        }
        .tensor("t", Kind::F32, &[4])
        .write(&path(index));
    }
    let error = Source::open(&path(1)).unwrap_err().to_string();
    assert!(
        error.contains("m-00002-of-00002.gguf: tensor `t` is in an earlier part"),
        "{error}"
    );
}
