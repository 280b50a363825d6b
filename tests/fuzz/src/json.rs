//! Changes of JSON by its values: a number, a text, a list or a field becomes another, goes, or comes twice. What is made
//! so is JSON still; what is not, is changed by its bytes.

use serde_json::{Map, Value, json};

use crate::mutate::{self, NUMBERS};
use crate::noise::Noise;

/// What JSON is made of, for changes by bytes.
const WORDS: [&[u8]; 8] = [
    b"null",
    b"true",
    b"-1",
    b"1e300",
    b"18446744073709551616",
    b"[]",
    b"{}",
    b"\\ud800",
];

/// A changed text.
pub fn change(input: &[u8], others: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    match serde_json::from_slice::<Value>(input) {
        Ok(mut value) if !noise.once_in(4) => {
            for _ in 0..=noise.below(2) {
                let places = places(&value);
                change_one(&mut value, places, noise);
            }
            value.to_string().into_bytes()
        }
        _ => mutate::bytes(input, others, &WORDS, noise),
    }
}

/// How many values there are, in all depths.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(places).sum(),
        Value::Object(map) => map.values().map(places).sum(),
        _ => 0,
    }
}

/// Changes one of the values.
fn change_one(value: &mut Value, places: usize, noise: &mut Noise) {
    let mut left = noise.below(places);
    if let Some(value) = find(value, &mut left) {
        *value = other(value.take(), noise);
    }
}

fn find<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|one| find(one, left)),
        Value::Object(map) => map.values_mut().find_map(|one| find(one, left)),
        _ => None,
    }
}

fn other(value: Value, noise: &mut Noise) -> Value {
    match value {
        Value::Number(number) if !noise.once_in(4) => near(&number, noise),
        Value::String(text) if !noise.once_in(4) => Value::String(spelled(&text, noise)),
        Value::Array(list) if !noise.once_in(4) => Value::Array(shuffled(list, noise)),
        Value::Object(map) if !noise.once_in(4) => Value::Object(without(map, noise)),
        _ => any(noise),
    }
}

fn any(noise: &mut Noise) -> Value {
    match noise.below(8) {
        0 => Value::Null,
        1 => json!(noise.once_in(2)),
        2 => json!(*noise.one_of(&NUMBERS)),
        3 => json!(-1),
        4 => json!(1e300),
        5 => json!([]),
        6 => json!({}),
        _ => json!("\u{0}x\u{202e}"),
    }
}

fn near(number: &serde_json::Number, noise: &mut Noise) -> Value {
    let was = number.as_u64().unwrap_or_default();
    match noise.below(4) {
        0 => json!(was.wrapping_add(1 + noise.below(4) as u64)),
        1 => json!(was.wrapping_sub(1 + noise.below(4) as u64)),
        2 => json!(was ^ 1 << noise.below(64)),
        _ => json!(*noise.one_of(&NUMBERS)),
    }
}

fn spelled(text: &str, noise: &mut Noise) -> String {
    let at = noise.below(text.chars().count() + 1);
    let head: String = text.chars().take(at).collect();
    let tail: String = text.chars().skip(at + noise.below(2)).collect();
    let between = *noise.one_of(&["", "0", "f", "x", "é", "\u{0}", "/", ".", " "]);
    format!("{head}{between}{tail}")
}

fn shuffled(mut list: Vec<Value>, noise: &mut Noise) -> Vec<Value> {
    if list.is_empty() {
        return vec![any(noise)];
    }
    let (one, other) = (noise.below(list.len()), noise.below(list.len()));
    match noise.below(3) {
        0 => drop(list.remove(one)),
        1 => list.insert(other, list[one].clone()),
        _ => list.swap(one, other),
    }
    list
}

fn without(mut map: Map<String, Value>, noise: &mut Noise) -> Map<String, Value> {
    let names: Vec<String> = map.keys().cloned().collect();
    if names.is_empty() || noise.once_in(4) {
        map.insert("more".to_owned(), any(noise));
    } else {
        map.remove(noise.one_of(&names));
    }
    map
}
