//! What each fusion gains: one operator with it and without it, in turns, on the shapes of two models' layers.
//!
//! `cargo bench -p kernels --bench fusion`. Weights are zeros of the right kind, in so many copies that they come
//! from memory and not from a cache, as at decode.

use std::sync::Arc;
use std::time::Instant;

use kernels::activations::Activations;
use kernels::compute::{Angles, Attention, Compute, Fusions, Norm, Part, Rows};
use kernels::kind::Kind;
use kernels::kv::{KvBlock, KvKind, KvShape, POSITIONS};
use kernels::layout::{AlignedBytes, packed_bytes};
use kernels::matrix::Matrix;
use kernels::ops::{Convention, Rope, RopeScaling};
use kernels::path::Path;
use kernels::pool::Pool;
use kernels::pool::topology::Topology;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Bytes that no cache holds.
const MEMORY: usize = 128 << 20;
const REPEATS: usize = 15;
/// Where a decoded row stands.
const POSITION: usize = 100;

/// A layer's dimensions.
struct Model {
    name: &'static str,
    kind: Kind,
    width: usize,
    inner: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

const MODELS: [Model; 2] = [
    Model {
        name: "SmolLM2-135M Q4_1",
        kind: Kind::Q4_1,
        width: 576,
        inner: 1536,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
    },
    Model {
        name: "Qwen2.5-1.5B Q4_K",
        kind: Kind::Q4K,
        width: 1536,
        inner: 8960,
        heads: 12,
        kv_heads: 2,
        head_dim: 128,
    },
];

/// The matrices of a layer.
struct Layer<'a> {
    query: Matrix<'a>,
    key: Matrix<'a>,
    value: Matrix<'a>,
    output: Matrix<'a>,
    gate: Matrix<'a>,
    up: Matrix<'a>,
    down: Matrix<'a>,
}

impl Model {
    /// Rows and columns of a layer's matrices.
    fn shapes(&self) -> [(usize, usize); 7] {
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        [
            (queries, self.width),
            (keys, self.width),
            (keys, self.width),
            (self.width, queries),
            (self.inner, self.width),
            (self.inner, self.width),
            (self.width, self.inner),
        ]
    }

    fn bytes(&self) -> Vec<AlignedBytes> {
        let bytes = self
            .shapes()
            .map(|(rows, columns)| packed_bytes(self.kind, rows, columns));
        bytes
            .into_iter()
            .map(|bytes| {
                let mut zeros = AlignedBytes::zeros(bytes);
                // Written, for what was never written is one page of zeros however large it is.
                zeros.fill(0);
                zeros
            })
            .collect()
    }

    fn layer<'a>(&self, bytes: &'a [AlignedBytes]) -> Result<Layer<'a>> {
        let matrix = |index: usize| {
            let (rows, columns) = self.shapes()[index];
            Matrix::new(self.kind, rows, columns, &bytes[index])
        };
        Ok(Layer {
            query: matrix(0)?,
            key: matrix(1)?,
            value: matrix(2)?,
            output: matrix(3)?,
            gate: matrix(4)?,
            up: matrix(5)?,
            down: matrix(6)?,
        })
    }
}

/// What the operators of a batch read and write.
struct Batch {
    rows: usize,
    residual: Rows,
    input: Activations,
    mixed: Activations,
    inner: Activations,
    angles: Angles,
    rope: Rope,
    weight: Vec<f32>,
    blocks: Vec<Arc<KvBlock>>,
}

impl Batch {
    fn new(model: &Model, rows: usize) -> Result<Self> {
        let shape = KvShape::new(1, model.kv_heads, model.head_dim, KvKind::F16)?;
        let blocks = (POSITION + rows).div_ceil(POSITIONS);
        let mut residual = Rows::new(rows, model.width);
        for (index, value) in residual.as_mut_slice().iter_mut().enumerate() {
            *value = (index as f32 * 0.37).sin();
        }
        Ok(Self {
            rows,
            residual,
            input: Activations::default(),
            mixed: Activations::default(),
            inner: Activations::default(),
            angles: Angles::default(),
            rope: Rope::new(model.head_dim, 10_000.0, &RopeScaling::None)?,
            weight: vec![1.0; model.width],
            blocks: (0..blocks).map(|_| Arc::new(KvBlock::new(shape))).collect(),
        })
    }

    fn norm(&mut self, compute: &mut Compute) {
        let norm = Norm {
            weight: &self.weight,
            epsilon: 1e-5,
        };
        compute.norm(&self.residual, norm, &mut self.input);
    }

    fn attend(&mut self, compute: &mut Compute, layer: &Layer<'_>) {
        let how = Attention {
            layer: 0,
            query: layer.query.into(),
            key: layer.key.into(),
            value: layer.value.into(),
            query_norm: None,
            key_norm: None,
            convention: Convention::Halves,
            scale: 0.1,
        };
        let mut parts = [Part {
            rows: self.rows,
            position: POSITION,
            blocks: &mut self.blocks,
        }];
        compute.attend(&how, &self.angles, &mut parts, &self.input, &mut self.mixed);
    }

    fn prepare_angles(&mut self, compute: &mut Compute) {
        let parts = [Part {
            rows: self.rows,
            position: POSITION,
            blocks: &mut self.blocks,
        }];
        compute.angles(&self.rope, &parts, &mut self.angles);
    }

    fn output(&mut self, compute: &mut Compute, layer: &Layer<'_>) {
        compute.linear_add(layer.output.into(), &self.mixed, &mut self.residual);
    }

    fn gate_up(&mut self, compute: &mut Compute, layer: &Layer<'_>) {
        compute.gate_up(&layer.gate, &layer.up, &self.input, &mut self.inner);
    }

    fn down(&mut self, compute: &mut Compute, layer: &Layer<'_>) {
        compute.linear_add(layer.down.into(), &self.inner, &mut self.residual);
    }

    fn layer(&mut self, compute: &mut Compute, layer: &Layer<'_>) {
        self.norm(compute);
        self.attend(compute, layer);
        self.output(compute, layer);
        self.norm(compute);
        self.gate_up(compute, layer);
        self.down(compute, layer);
    }
}

/// An operator of the table.
type Operator = fn(&mut Batch, &mut Compute, &Layer<'_>);

const OPERATORS: [(&str, Fusions, Operator); 7] = [
    ("norm + round to 8 bits", Fusions::NORM, |batch, compute, _| {
        batch.norm(compute)
    }),
    (
        "q, k, v in one region",
        Fusions::PRODUCTS,
        |batch, compute, layer| batch.attend(compute, layer),
    ),
    (
        "turn + keep with q, k, v",
        Fusions::ATTENTION,
        |batch, compute, layer| batch.attend(compute, layer),
    ),
    ("output + residual", Fusions::RESIDUAL, |batch, compute, layer| {
        batch.output(compute, layer)
    }),
    (
        "gate + up + SiLU + round",
        Fusions::SWIGLU,
        |batch, compute, layer| batch.gate_up(compute, layer),
    ),
    ("down + residual", Fusions::RESIDUAL, |batch, compute, layer| {
        batch.down(compute, layer)
    }),
    ("whole layer", Fusions::ALL, |batch, compute, layer| {
        batch.layer(compute, layer)
    }),
];

fn main() -> Result<()> {
    let path = *Path::offered().last().ok_or("no path")?;
    let topology = Topology::read().expect("the machine's processors");
    for threads in [1, topology.threads().min(2), topology.threads()] {
        for model in &MODELS {
            for rows in [1, 128] {
                table(model, path, threads, rows)?;
            }
        }
    }
    Ok(())
}

fn table(model: &Model, path: Path, threads: usize, rows: usize) -> Result<()> {
    let mut fused = Compute::new(path, Pool::new(threads)?, Fusions::ALL);
    let mut batch = Batch::new(model, rows)?;
    let layer_bytes: usize = model.bytes().iter().map(|bytes| bytes.len()).sum();
    let copies: Vec<_> = (0..MEMORY.div_ceil(layer_bytes)).map(|_| model.bytes()).collect();
    let layers = copies
        .iter()
        .map(|bytes| model.layer(bytes))
        .collect::<Result<Vec<_>>>()?;
    batch.prepare_angles(&mut fused);
    batch.layer(&mut fused, &layers[0]);
    let before = fused.pool().regions();
    batch.layer(&mut fused, &layers[0]);
    println!(
        "\n{}, {rows} rows, {}, {threads} threads, {} regions in a layer",
        model.name,
        path.instructions(),
        fused.pool().regions() - before
    );
    println!("{:26} {:>10} {:>10} {:>7}", "", "without µs", "with µs", "gain");
    for (name, fusion, operator) in OPERATORS {
        let mut loose = Compute::new(path, Pool::new(threads)?, Fusions::ALL.without(fusion));
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            without.push(microseconds(&mut batch, &mut loose, &layers, operator));
            with.push(microseconds(&mut batch, &mut fused, &layers, operator));
        }
        let (with, without) = (median(with), median(without));
        let gain = (1.0 - with / without) * 100.0;
        println!("{name:26} {without:10.2} {with:10.2} {gain:6.1} %");
    }
    Ok(())
}

/// Of one call; each takes another layer.
fn microseconds(batch: &mut Batch, compute: &mut Compute, layers: &[Layer<'_>], operator: Operator) -> f64 {
    // Fewer layers where each takes long.
    let layers = &layers[..(layers.len() * 4 / (3 + batch.rows)).clamp(2, layers.len())];
    let begin = Instant::now();
    layers.iter().for_each(|layer| operator(batch, compute, layer));
    begin.elapsed().as_secs_f64() * 1e6 / layers.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
