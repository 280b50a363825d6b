//! Models packed into memory.

use crate::model::{Model, Tensor};
use half::{bf16, f16};
use kernels::kind::Kind;
use kernels::layout::{pack, packed_bytes, tile_bytes};
use kernels::matrix::Matrix;
use store::packed::Packed;

fn packed(model: &Model) -> Result<Packed, store::Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    model.write(&path);
    Packed::from_gguf(&path)
}

pub(crate) fn tiles(matrix: &Matrix<'_>) -> Vec<u8> {
    (0..matrix.tiles())
        .flat_map(|tile| matrix.tile(tile).to_vec())
        .collect()
}

/// What the kernels' own packing makes of a tensor.
pub(crate) fn expected(tensor: &Tensor) -> Vec<u8> {
    let (columns, rows) = (tensor.dimensions[0] as usize, tensor.dimensions[1] as usize);
    let mut bytes = vec![0; packed_bytes(tensor.kind, rows, columns)];
    pack(tensor.kind, rows, columns, &tensor.bytes, &mut bytes);
    bytes
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let elements = tensor.bytes.chunks(tensor.kind.block_bytes());
    let float = |bytes: &[u8]| match tensor.kind {
        Kind::F16 => f16::from_le_bytes(bytes.try_into().unwrap()).to_f32(),
        Kind::BF16 => bf16::from_le_bytes(bytes.try_into().unwrap()).to_f32(),
        _ => f32::from_le_bytes(bytes.try_into().unwrap()),
    };
    elements.map(float).collect()
}

/// Every tensor of a loaded model is what was written into the file.
pub(crate) fn assert_holds(packed: &Packed, model: &Model) {
    for tensor in &model.tensors {
        let id = packed.tensors().find(&tensor.name).unwrap();
        if tensor.dimensions.len() == 1 {
            assert_eq!(packed.vector(id), floats(tensor), "{}", tensor.name);
        } else if let Some(rest) = tensor.name.strip_prefix("blk.") {
            let layer = packed
                .layer(rest.split_once('.').unwrap().0.parse().unwrap())
                .unwrap();
            assert_eq!(tiles(&layer.matrix(id)), expected(tensor), "{}", tensor.name);
        } else {
            let pieces = packed.pieces(id).map(|piece| tiles(&piece.unwrap().matrix()));
            assert_eq!(
                pieces.collect::<Vec<_>>().concat(),
                expected(tensor),
                "{}",
                tensor.name
            );
        }
    }
}

#[test]
fn every_tensor_is_where_the_table_says() {
    let model = Model::small();
    let packed = packed(&model).unwrap();
    assert_eq!(packed.layers(), 2);
    assert_eq!(packed.tensors().iter().len(), model.tensors.len());
    assert_holds(&packed, &model);
}

#[test]
fn tensors_larger_than_a_block_and_tiles_across_its_end_are_whole() {
    let model = Model::default()
        .tensor("token_embd.weight", Kind::Q8_0, &[4096, 1200])
        .tensor("blk.0.a.weight", Kind::Q4K, &[8192, 1000])
        .tensor("blk.0.b.bias", Kind::BF16, &[3_000_000])
        .tensor("blk.0.c.weight", Kind::F32, &[32, 40_000]);
    assert_holds(&packed(&model).unwrap(), &model);
}

#[test]
fn rows_of_the_embedding_come_a_tile_at_a_time() {
    let model = Model::small();
    let packed = packed(&model).unwrap();
    let id = packed.tensors().find("token_embd.weight").unwrap();
    let expected = expected(&model.tensors[1]);
    let bytes = tile_bytes(Kind::Q8_0, 256);
    for tile in 0..5 {
        let piece = packed.row_tile(id, tile).unwrap();
        assert_eq!(piece.tiles(), tile..tile + 1);
        assert_eq!(piece.matrix().tile(0), &expected[tile * bytes..][..bytes]);
        assert_eq!(piece.matrix().rows(), if tile == 4 { 3 } else { 16 });
    }
}

#[test]
fn models_that_no_graph_could_use_are_refused() {
    let error = |model: Model| packed(&model).unwrap_err().to_string();
    let base = || Model::default().tensor("token_embd.weight", Kind::F32, &[32, 4]);
    assert!(error(Model::default()).contains("`token_embd.weight` is missing"));
    assert!(error(base().tensor("x", Kind::Q8_0, &[32])).contains("a vector of type Q8_0"));
    assert!(error(base().tensor("blk.1.x", Kind::F32, &[32])).contains("layer 0 has no tensor"));
    assert!(error(base().tensor("blk.5000.x", Kind::F32, &[32])).contains("at most 4096 layers"));
    let thin = (0..3).fold(base(), |model, index| {
        model.tensor(&format!("x{index}"), Kind::F32, &[1 << 19, 1])
    });
    assert!(error(thin).contains("would take"));
    let mut nan = base().tensor("x", Kind::F16, &[32]);
    nan.tensors[1].bytes[1] = 0x7f;
    assert!(error(nan).contains("`x` has a value that is not a number"));
}
