//! The manifest of a stored model: what it is and which blocks it is made of.

use kernels::kind::Kind;
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::gguf::{Entries, MAX_HEAD_BYTES, MAX_TENSORS, TensorInfo};
use crate::hash::Hash;
use crate::metadata::{Metadata, Value};
use crate::source::Source;
use crate::tensor::{MAX_LAYERS, Shape, Table, Tensor};

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;
/// Bytes of every block of a segment but the last, which is as long as needed. Blocks are named by what is stored.
pub const BLOCK_BYTES: usize = 4 << 20;
/// Most blocks that a model may have: 4 TiB.
const MAX_BLOCKS: usize = 1 << 20;

/// What is in `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub version: u32,
    /// The hash of [`Self::model`] as compact JSON: the model's identity.
    pub root: Hash,
    /// A signature of the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The model itself.
    pub model: Model,
}

/// A stored model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What it is, in short.
    pub summary: Summary,
    /// The files that it was imported from.
    pub sources: Vec<SourceFile>,
    /// The GGUF metadata.
    pub metadata: MetadataRecord,
    /// All tensors in the order of the source.
    pub tensors: Vec<TensorRecord>,
    /// The embedding, each layer, the rest.
    pub segments: Vec<Segment>,
}

/// What a person asks of a model first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// `general.name`.
    pub name: Option<String>,
    /// `general.architecture`.
    pub architecture: Option<String>,
    /// Elements of all tensors.
    pub parameters: u64,
    /// Layers.
    pub layers: usize,
    /// Tokens that it was trained to look back on.
    pub context: Option<u64>,
    /// The element type that most bytes are of.
    pub kind: String,
}

/// A file that a model was imported from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name without folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// GGUF metadata: the bytes of the format, in blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataRecord {
    /// How many entries there are.
    pub entries: u64,
    /// Their bytes.
    pub bytes: usize,
    /// Where these are.
    pub blocks: Vec<Block>,
}

/// A tensor and its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorRecord {
    /// Its name.
    pub name: String,
    /// Its element type in the source, in ggml's spelling.
    pub kind: String,
    /// Lengths of its dimensions, columns first.
    pub dimensions: Vec<u64>,
    /// The segment that it lies in.
    pub segment: usize,
    /// Where it begins there, in bytes.
    pub offset: usize,
}

/// Bytes that are read together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// How many they are.
    pub bytes: usize,
    /// Where they are.
    pub blocks: Vec<Block>,
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The hash of what is stored, which names its file.
    pub hash: Hash,
    /// How many bytes it stands for.
    pub bytes: usize,
    /// How many bytes are stored.
    pub stored: usize,
    /// How they are stored.
    pub codec: Codec,
}

impl Segment {
    pub(crate) fn empty(bytes: usize) -> Self {
        Self {
            bytes,
            blocks: Vec::new(),
        }
    }
}

impl Manifest {
    /// The manifest of that model.
    pub(crate) fn new(model: Model) -> serde_json::Result<Self> {
        Ok(Self {
            version: VERSION,
            root: model.root()?,
            signature: None,
            model,
        })
    }

    /// Reads a manifest and believes nothing in it before it is checked.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if manifest.version != VERSION {
            let found = manifest.version;
            return Err(format!("version {found} is not supported; {VERSION} is"));
        }
        let root = manifest.model.root().map_err(|error| error.to_string())?;
        if root != manifest.root {
            return Err(format!(
                "`root` is {}, but the model's hash is {root}",
                manifest.root
            ));
        }
        manifest.model.check()?;
        Ok(manifest)
    }
}

impl Model {
    /// The hash of the compact JSON of all this.
    fn root(&self) -> serde_json::Result<Hash> {
        Ok(Hash::of(&serde_json::to_vec(self)?))
    }

    /// All blocks with their numbers: those of the segments in order, then those of the metadata.
    pub fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        let weights = self.segments.iter().flat_map(|segment| &segment.blocks);
        weights.chain(&self.metadata.blocks).enumerate()
    }

    /// The number of a segment's first block.
    pub(crate) fn first_block(&self, segment: usize) -> usize {
        self.segments[..segment]
            .iter()
            .map(|segment| segment.blocks.len())
            .sum()
    }

    /// Bytes of all weights when loaded.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes as u64).sum()
    }

    /// Bytes of all blocks on disk; blocks shared with other models count, too.
    pub fn stored(&self) -> u64 {
        self.blocks().map(|(_, block)| block.stored as u64).sum()
    }

    /// Names of the tensors that lie, wholly or in part, in a block; none for one of the metadata.
    pub(crate) fn tensors_in(&self, number: usize, table: &Table) -> Vec<String> {
        let mut first = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            if number < first + segment.blocks.len() {
                let start = (number - first) * BLOCK_BYTES;
                let end = start + segment.blocks[number - first].bytes;
                let inside = |tensor: &Tensor| tensor.range().start < end && tensor.range().end > start;
                let tensors = table.in_segment(index).into_iter().map(|(_, tensor)| tensor);
                return tensors
                    .filter(|tensor| inside(tensor))
                    .map(|tensor| tensor.name.clone())
                    .collect();
            }
            first += segment.blocks.len();
        }
        Vec::new()
    }

    fn check(&self) -> Result<(), String> {
        check_blocks(self.metadata.bytes, &self.metadata.blocks)
            .map_err(|error| format!("`metadata`: {error}"))?;
        if self.metadata.bytes as u64 > MAX_HEAD_BYTES {
            return Err(format!("`metadata.bytes` is above {MAX_HEAD_BYTES}"));
        }
        if !(2..=MAX_LAYERS + 2).contains(&self.segments.len()) {
            let found = self.segments.len();
            return Err(format!(
                "`segments` has {found}; 2 to {} are allowed",
                MAX_LAYERS + 2
            ));
        }
        for (index, segment) in self.segments.iter().enumerate() {
            check_blocks(segment.bytes, &segment.blocks)
                .map_err(|error| format!("`segments[{index}]`: {error}"))?;
        }
        if self.blocks().count() > MAX_BLOCKS {
            return Err(format!("there are more than {MAX_BLOCKS} blocks"));
        }
        self.table().map(|_| ())
    }

    /// The table of tensors, each checked to lie where packing puts it.
    pub(crate) fn table(&self) -> Result<Table, String> {
        if self.tensors.len() as u64 > MAX_TENSORS {
            return Err(format!("`tensors` has more than {MAX_TENSORS}"));
        }
        let named = |tensor: &str, problem: String| format!("tensor `{tensor}` {problem}");
        let read = |record: &TensorRecord| record.tensor().map_err(|problem| named(&record.name, problem));
        let tensors: Vec<Tensor> = self.tensors.iter().map(read).collect::<Result<_, _>>()?;
        let table = Table::placed(tensors.clone()).map_err(|(tensor, problem)| named(&tensor, problem))?;
        let differs = table
            .iter()
            .zip(&tensors)
            .find(|((_, placed), told)| placed != told);
        if let Some(((_, placed), told)) = differs {
            return Err(format!(
                "tensor `{}` lies in segment {} at {}, not in segment {} at {}",
                told.name, placed.segment, placed.offset, told.segment, told.offset
            ));
        }
        let told = self.segments.iter().map(|segment| segment.bytes);
        if !told.eq(table.segments().iter().copied()) {
            return Err("`segments` have other lengths than their tensors".to_owned());
        }
        Ok(table)
    }
}

/// As many full blocks as fit and a shorter one.
fn check_blocks(bytes: usize, blocks: &[Block]) -> Result<(), String> {
    if blocks.len() != bytes.div_ceil(BLOCK_BYTES) {
        return Err(format!("{} blocks cannot be {bytes} bytes", blocks.len()));
    }
    for (index, block) in blocks.iter().enumerate() {
        let needed = BLOCK_BYTES.min(bytes - index * BLOCK_BYTES);
        let stored = match block.codec {
            Codec::Raw => block.stored == needed,
            _ => block.stored < needed,
        };
        if block.bytes != needed || !stored {
            return Err(format!(
                "block {index} of it must be {needed} bytes, stored in no more"
            ));
        }
    }
    Ok(())
}

impl TensorRecord {
    pub(crate) fn new(tensor: &Tensor) -> Self {
        Self {
            name: tensor.name.clone(),
            kind: tensor.source_kind.name().to_owned(),
            dimensions: tensor.dimensions.clone(),
            segment: tensor.segment,
            offset: tensor.offset,
        }
    }

    fn tensor(&self) -> Result<Tensor, String> {
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == self.kind);
        let kind = known.ok_or_else(|| format!("is of the unknown type `{}`", self.kind))?;
        Ok(Tensor {
            name: self.name.clone(),
            shape: Shape::new(kind, &self.dimensions)?,
            source_kind: kind,
            dimensions: self.dimensions.clone(),
            segment: self.segment,
            offset: self.offset,
        })
    }
}

impl Summary {
    pub(crate) fn of(source: &Source, table: &Table) -> Self {
        let metadata = source.metadata();
        let architecture = text(metadata, "general.architecture");
        let context =
            architecture
                .as_ref()
                .and_then(|name| match metadata.get(&format!("{name}.context_length")) {
                    Some(&Value::Integer(context)) => u64::try_from(context).ok(),
                    _ => None,
                });
        Self {
            name: text(metadata, "general.name"),
            architecture,
            parameters: source.tensors().map(elements).sum(),
            layers: table.layers(),
            context,
            kind: main_kind(source).to_owned(),
        }
    }
}

fn text(metadata: &Metadata, key: &str) -> Option<String> {
    match metadata.get(key) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn elements(tensor: &TensorInfo) -> u64 {
    tensor.dimensions.iter().product()
}

fn main_kind(source: &Source) -> &'static str {
    let bytes = |kind: &Kind| {
        source
            .tensors()
            .filter(|info| info.kind == *kind)
            .map(|info| info.bytes)
            .sum::<u64>()
    };
    Kind::ALL.into_iter().max_by_key(bytes).map_or("", Kind::name)
}

impl MetadataRecord {
    pub(crate) fn new(entries: &Entries, blocks: Vec<Block>) -> Self {
        Self {
            entries: entries.count,
            bytes: entries.bytes.len(),
            blocks,
        }
    }
}
