//! How large keys and values are, by what a model file says of itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use store::metadata::{Metadata, Value};
use store::source::Source;

/// Bytes of an element in f16.
const ELEMENT: u64 = 2;

/// Bytes that the keys and values of so many tokens have in f16.
pub fn kv_bytes(model: &Path, tokens: usize) -> Result<u64> {
    let source = Source::open(model)?;
    let each = elements(source.metadata()).with_context(|| model.display().to_string())?;
    Ok(each * tokens as u64 * ELEMENT)
}

/// Elements of keys and values of one token, in all layers.
fn elements(metadata: &Metadata) -> Result<u64> {
    let family = match metadata.get("general.architecture") {
        Some(Value::Text(family)) => family,
        _ => bail!("a model without a family"),
    };
    let count = |key: &str| match metadata.get(&format!("{family}.{key}")) {
        Some(Value::Integer(count)) => u64::try_from(*count).ok(),
        _ => None,
    };
    let required = |key: &str| count(key).with_context(|| format!("`{family}.{key}` is missing"));
    let (heads, layers) = (required("attention.head_count")?, required("block_count")?);
    let kv_heads = count("attention.head_count_kv").unwrap_or(heads);
    let head_dim = required("embedding_length")?
        .checked_div(heads)
        .context("a model without heads")?;
    let keys = count("attention.key_length").unwrap_or(head_dim);
    let values = count("attention.value_length").unwrap_or(head_dim);
    Ok(layers * kv_heads * (keys + values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smollm2_has_23_kilobytes_a_token() {
        let numbers = [
            ("block_count", 30),
            ("attention.head_count", 9),
            ("attention.head_count_kv", 3),
            ("embedding_length", 576),
        ];
        let mut metadata: Metadata = numbers
            .map(|(key, number)| (format!("llama.{key}"), Value::Integer(number)))
            .into_iter()
            .collect();
        assert!(elements(&metadata).is_err());
        metadata.insert("general.architecture".to_owned(), Value::Text("llama".to_owned()));
        assert_eq!(elements(&metadata).unwrap() * ELEMENT, 23_040);
        metadata.insert("llama.attention.key_length".to_owned(), Value::Integer(128));
        assert_eq!(elements(&metadata).unwrap(), 30 * 3 * (128 + 64));
    }
}
