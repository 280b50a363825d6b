//! Model files that must be refused, each wrong in one thing, with what the refusal must say.
//!
//! They are made of the made-up model, so that all else about them is right: what refuses one of them is the check that
//! it was made for.

mod heads;
mod models;

use store::metadata::Value;

use crate::tiny::Model;

/// A model file that must be refused.
#[derive(Clone, Debug)]
pub struct Bad {
    /// What is wrong with it, as a file's name.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// What the refusal must say, beside the file's name: where, and why.
    pub says: Vec<String>,
}

/// Files whose heads are refused, which is before anything is made of them.
pub fn heads() -> Vec<Bad> {
    heads::all()
}

/// Files whose heads are right, and that are no model that can be asked.
pub fn models() -> Vec<Bad> {
    models::all()
}

/// Files whose templates take what only a process of their own can be kept from.
pub fn hungry() -> Vec<Bad> {
    let template = |name, source: &str, words| {
        let value = Some(Value::Text(source.to_owned()));
        key(name, super::TEMPLATE_KEY, value, words)
    };
    let (memory, time) = ("MiB of memory", "s of the processor");
    let joined =
        "{% set ns = namespace(x='a') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    let captured = "{% set ns = namespace(x='a') %}{% for a in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}\
        {% set ns.x = y %}{% endfor %}";
    let sought = "{% set x = 'a' * 99999999 %}{% for a in range(99999) %}{% set y = 'ab' in x %}{% endfor %}";
    let told = |bad: Bad, words: &str| Bad {
        says: [bad.says, vec![words.to_owned()]].concat(),
        ..bad
    };
    let refuses = "cannot be used: the model's chat template refuses the messages: it takes more than";
    vec![
        told(
            template("template-that-joins-without-end", joined, refuses),
            memory,
        ),
        told(
            template("template-that-captures-without-end", captured, refuses),
            memory,
        ),
        told(template("template-that-seeks-without-end", sought, refuses), time),
    ]
}

/// Where a key or a tensor's name begins in the file: the byte of its length.
fn place(file: &[u8], name: &str) -> usize {
    let spelled = [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat();
    let found = file.windows(spelled.len()).position(|bytes| bytes == spelled);
    found.unwrap_or_else(|| panic!("the made-up model has no `{name}`"))
}

/// The made-up model with another value of a key, and what is said of it.
fn key(name: &'static str, key: &str, value: Option<Value>, words: &str) -> Bad {
    let mut model = Model::new(64);
    match value {
        Some(value) => model.metadata.insert(key.to_owned(), value),
        None => model.metadata.remove(key),
    };
    let bytes = model.bytes();
    let mut says = vec![format!("`{key}` {words}")];
    if model.metadata.contains_key(key) {
        says.push(format!("(byte {} of ", place(&bytes, key)));
    }
    Bad { name, bytes, says }
}
