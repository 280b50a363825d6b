//! Files whose heads are right, and that are no model that can be asked.

use store::metadata::Value;

use super::{Bad, key, place};
use crate::tiny::{Model, TEMPLATE_KEY};

/// All of them.
pub(super) fn all() -> Vec<Bad> {
    [hyperparameters(), tokens(), templates()].concat()
}

/// Architectures that there is no graph for, and dimensions that no model has.
fn hyperparameters() -> Vec<Bad> {
    let mut all = architectures();
    all.extend(dimensions());
    all.push(key(
        "experts",
        "llama.expert_count",
        number(8),
        "is 8; models with experts are not supported",
    ));
    all.push(key(
        "frequencies-of-nan",
        "llama.rope.freq_base",
        Some(Value::Float(f64::NAN)),
        "is NaN; above 1",
    ));
    all.push(wider());
    all
}

fn number(number: i128) -> Option<Value> {
    Some(Value::Integer(number))
}

fn architectures() -> Vec<Bad> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    vec![
        key(
            "architecture-mamba",
            "general.architecture",
            text("mamba"),
            "is `mamba`; supported are: llama",
        ),
        key(
            "architecture-missing",
            "general.architecture",
            None,
            "is ``; supported are",
        ),
        key(
            "architecture-is-a-number",
            "general.architecture",
            number(7),
            "is a whole number, not text",
        ),
        key(
            "architecture-that-writes-to-terminals",
            "general.architecture",
            text("\u{1b}[2J"),
            "is `\\u{1b}[2J`",
        ),
    ]
}

fn dimensions() -> Vec<Bad> {
    vec![
        key(
            "no-layers",
            "llama.block_count",
            number(0),
            "is 0; 1 to 512 is allowed",
        ),
        key(
            "2-31-layers",
            "llama.block_count",
            number(1 << 31),
            "is 2147483648; 1 to 512 is allowed",
        ),
        key(
            "negative-layers",
            "llama.block_count",
            number(-1),
            "is -1; 1 to 512 is allowed",
        ),
        key(
            "no-heads",
            "llama.attention.head_count",
            number(0),
            "is 0; 1 to 1024 is allowed",
        ),
        key(
            "more-kv-heads-than-heads",
            "llama.attention.head_count_kv",
            number(3),
            "is 3; 1 to 2 is allowed",
        ),
        key(
            "width-of-2-32",
            "llama.embedding_length",
            number((1 << 32) - 1),
            "is 4294967295; 1 to 65536 is allowed",
        ),
        key(
            "width-that-is-no-multiple",
            "llama.embedding_length",
            number(63),
            "is 63; multiples of 32",
        ),
        key(
            "no-context",
            "llama.context_length",
            number(0),
            "is 0; 1 to 16777216 is allowed",
        ),
    ]
}

/// Dimensions that its tensors have not.
fn wider() -> Bad {
    let mut model = Model::new(64);
    model
        .metadata
        .insert("llama.embedding_length".to_owned(), Value::Integer(96));
    let bytes = model.bytes();
    let says = vec![
        "`token_embd.weight` has the shape".to_owned(),
        format!("(byte {} of ", place(&bytes, "token_embd.weight")),
    ];
    Bad {
        name: "dimensions-that-its-tensors-have-not",
        bytes,
        says,
    }
}

/// Vocabularies that are none.
fn tokens() -> Vec<Bad> {
    let texts = |texts: &[&str]| Some(Value::Texts(texts.iter().copied().collect()));
    let long = "x".repeat(5_000);
    vec![
        key("no-tokens", "tokenizer.ggml.tokens", None, "is missing"),
        key("empty-tokens", "tokenizer.ggml.tokens", texts(&[]), "is empty"),
        key(
            "types-for-other-tokens",
            "tokenizer.ggml.token_type",
            Some(Value::Integers(vec![1; 3])),
            "has 3 elements for",
        ),
        key(
            "merges-of-nothing",
            "tokenizer.ggml.merges",
            texts(&["no such"]),
            "has `no such`",
        ),
        key(
            "end-beyond-the-tokens",
            "tokenizer.ggml.eos_token_id",
            Some(Value::Integer(1 << 31)),
            "is 2147483648, and the vocabulary has",
        ),
        key(
            "another-tokenizer",
            "tokenizer.ggml.model",
            Some(Value::Text(long)),
            "is `xxxx",
        ),
    ]
}

/// Templates that no conversation can be made with.
fn templates() -> Vec<Bad> {
    let template = |name, source: String, words| {
        let value = Some(Value::Text(source));
        key(name, TEMPLATE_KEY, value, words)
    };
    vec![
        key("no-template", TEMPLATE_KEY, None, "is missing"),
        template("template-is-no-jinja", "{% if %}".to_owned(), "cannot be used"),
        template(
            "template-that-includes-itself",
            "{% include 'chat' %}".to_owned(),
            "cannot be used: the model's chat template",
        ),
        template(
            "template-that-extends-itself",
            "{% extends 'chat' %}".to_owned(),
            "cannot be used: the model's chat template",
        ),
        template(
            "template-of-a-macro-that-calls-itself",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
            "cannot be used: the model's chat template",
        ),
        template(
            "template-that-never-ends",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% set c = b %}{% endfor %}{% endfor %}"
                .to_owned(),
            "cannot be used: the model's chat template refuses the messages: it takes too many steps",
        ),
        template("template-of-100-kib", " ".repeat(100 << 10), "has 102400 bytes"),
    ]
}
