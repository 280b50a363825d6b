//! Families of models: what differs between them, as data.

use kernels::ops::Convention;

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name in `general.architecture`, with which its keys begin.
    pub name: &'static str,
    /// How positions turn queries and keys.
    pub convention: Convention,
    /// Whether queries, keys and values have biases.
    pub biases: bool,
    /// Whether each head of queries and keys is normalised before it is turned.
    pub head_norms: bool,
}

/// All that there is a graph for. `llama` is also the name of Mistral's models and SmolLM2's.
pub const FAMILIES: [Family; 3] = [
    Family {
        name: "llama",
        convention: Convention::Interleaved,
        biases: false,
        head_norms: false,
    },
    Family {
        name: "qwen2",
        convention: Convention::Halves,
        biases: true,
        head_norms: false,
    },
    Family {
        name: "qwen3",
        convention: Convention::Halves,
        biases: false,
        head_norms: true,
    },
];

impl Family {
    /// The family of that name.
    pub fn of(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }
}
