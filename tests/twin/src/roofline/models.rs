//! Models that such machines run. Shapes are those of the published `config.json`s; KV caches hold 16-bit numbers.

use super::Model;

/// Llama 3.1 8B Instruct, `Q4_K_M`: 4.92 GB, 8.03·10⁹ parameters, 32 layers, 8 of 32 heads of 128 keep keys and values.
/// The published speeds that the machines are fitted to are this model's.
pub const LLAMA_8B: Model = Model {
    name: "Llama 3.1 8B Q4_K_M",
    weight_bytes: 4.92e9,
    parameters: 8.03e9,
    kv_bytes_per_token: 32.0 * 2.0 * 8.0 * 128.0 * 2.0,
    layers: 32.0,
    width: 4096.0,
};

/// Llama 3.2 3B Instruct, `Q4_K_M`: 2.02 GB (1.87 GiB and 3.21·10⁹ parameters: geerlingguy/ai-benchmarks #46), 28 layers, 8 of
/// 24 heads of 128 keep keys and values.
pub const LLAMA_3B: Model = Model {
    name: "Llama 3.2 3B Q4_K_M",
    weight_bytes: 2.02e9,
    parameters: 3.21e9,
    kv_bytes_per_token: 28.0 * 2.0 * 8.0 * 128.0 * 2.0,
    layers: 28.0,
    width: 3072.0,
};

/// SmolLM2 135M Instruct, `Q4_1`, the one inside the image: 98.4 MB, 1.345·10⁸ parameters, 30 layers, 3 of 9 heads of 64
/// keep keys and values.
pub const SMOLLM2_135M: Model = Model {
    name: "SmolLM2 135M Q4_1",
    weight_bytes: 98.4e6,
    parameters: 134.5e6,
    kv_bytes_per_token: 30.0 * 2.0 * 3.0 * 64.0 * 2.0,
    layers: 30.0,
    width: 576.0,
};
