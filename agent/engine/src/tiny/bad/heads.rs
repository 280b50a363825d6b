//! Files whose heads are refused.

use store::gguf::{MAX_ELEMENTS, MAX_ENTRIES, MAX_NAME_BYTES, MAX_STRING_BYTES, MAX_TENSORS};

use super::{Bad, place};
use crate::tiny::{Model, TEMPLATE_KEY};

/// Where the head has its version.
const VERSION: usize = 4;
/// Where it has the number of tensors.
const TENSORS: usize = 8;
/// Where it has the number of metadata entries.
const ENTRIES: usize = 16;
/// Where its first entry begins.
const FIRST: usize = 24;
/// Bytes of what stands before an entry's or a tensor's name: its length.
const LENGTH: usize = 8;
/// More than any file has.
const ABSURD: u64 = 1 << 63;

/// All of them.
pub(super) fn all() -> Vec<Bad> {
    [cut(), flipped(), absurd(), nested(), tensors()].concat()
}

fn bad(name: &'static str, bytes: Vec<u8>, says: &[&str]) -> Bad {
    let says = says.iter().map(|&text| text.to_owned()).collect();
    Bad { name, bytes, says }
}

fn good() -> Vec<u8> {
    Model::new(64).bytes()
}

/// Where the type of a key's value is.
fn kind_of(file: &[u8], key: &str) -> usize {
    place(file, key) + LENGTH + key.len()
}

/// The made-up model with some bytes in place of others.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

/// A file of a head alone.
fn head(tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    [
        b"GGUF\x03\0\0\0",
        &tensors.to_le_bytes()[..],
        &entries.to_le_bytes(),
        rest,
    ]
    .concat()
}

/// An entry `k` of some type.
fn entry(kind: u32, value: &[u8]) -> Vec<u8> {
    entry_of("k", kind, value)
}

fn entry_of(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let length = (key.len() as u64).to_le_bytes();
    [&length[..], key.as_bytes(), &kind.to_le_bytes(), value].concat()
}

/// The beginning of a list's value.
fn list(kind: u32, count: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat()
}

/// Files that end too early, and other files.
fn cut() -> Vec<Bad> {
    let file = good();
    let ends = "the file ends or cannot be read within its head";
    let key = place(&file, "llama.block_count");
    let template = kind_of(&file, TEMPLATE_KEY);
    let tensor = place(&file, "blk.1.attn_q.weight");
    let at = |byte: usize| format!("byte {byte}: {ends}");
    let whole = file.len();
    vec![
        bad("empty", Vec::new(), &["byte 0: "]),
        bad("cut-in-the-magic", file[..3].to_vec(), &["byte 0: "]),
        bad(
            "cut-in-the-version",
            file[..VERSION + 2].to_vec(),
            &[&at(VERSION)],
        ),
        bad("cut-in-the-counts", file[..ENTRIES + 7].to_vec(), &[&at(ENTRIES)]),
        bad(
            "cut-in-a-key",
            file[..key + LENGTH + 3].to_vec(),
            &[&at(key + LENGTH)],
        ),
        bad(
            "cut-in-a-text",
            file[..template + 4 + LENGTH + 9].to_vec(),
            &[&at(template + 4 + LENGTH)],
        ),
        bad(
            "cut-in-a-tensor",
            file[..tensor + LENGTH + 2].to_vec(),
            &[&at(tensor + LENGTH)],
        ),
        // The last tensor of the file's order is shorter than what it is padded to.
        bad(
            "cut-in-the-weights",
            file[..whole - 64].to_vec(),
            &["byte ", "in the file"],
        ),
        bad(
            "zip",
            b"PK\x03\x04 and more".to_vec(),
            &["byte 0: not a GGUF file"],
        ),
        bad(
            "magic-in-lower-case",
            with(0, b"gguf"),
            &["byte 0: not a GGUF file"],
        ),
        bad(
            "version-1",
            with(VERSION, &1_u32.to_le_bytes()),
            &["byte 4: GGUF version 1 is not supported"],
        ),
        bad(
            "big-endian",
            with(VERSION, &3_u32.to_be_bytes()),
            &["byte 4: GGUF version 50331648 is not supported"],
        ),
    ]
}

/// Files in which one bit is another.
fn flipped() -> Vec<Bad> {
    let file = good();
    let flip = |at: usize, bit: u32| with(at, &[file[at] ^ 1 << bit]);
    let kind = kind_of(&file, "llama.block_count");
    let name = place(&file, "blk.1.attn_q.weight");
    // A matrix: its rank, two lengths and its type follow its name.
    let element = name + LENGTH + "blk.1.attn_q.weight".len() + 4 + 16;
    let offset = element + 4;
    vec![
        bad(
            "bit-of-a-type",
            flip(kind, 5),
            &[&format!(
                "byte {kind}: `llama.block_count` has the unknown type 36"
            )],
        ),
        bad(
            "bit-of-a-length",
            flip(place(&file, "llama.block_count") + 5, 0),
            &[&format!(
                "byte {}: the length of a name is 1099511627793; at most {MAX_NAME_BYTES} is allowed",
                place(&file, "llama.block_count")
            )],
        ),
        bad(
            "bit-of-a-text",
            flip(kind_of(&file, TEMPLATE_KEY) + 4 + LENGTH, 7),
            &[
                &format!("byte {}: ", kind_of(&file, TEMPLATE_KEY) + 4 + LENGTH),
                "is not UTF-8",
            ],
        ),
        bad(
            "bit-of-an-element-type",
            flip(element, 6),
            &[&format!(
                "byte {element}: `blk.1.attn_q.weight` is of the unknown type 67"
            )],
        ),
        bad(
            "bit-of-an-offset",
            flip(offset, 0),
            &[
                &format!("byte {name}: `blk.1.attn_q.weight` its offset"),
                "is not a multiple of 32",
            ],
        ),
        bad(
            "high-bit-of-an-offset",
            flip(offset + 7, 7),
            &[
                &format!("byte {name}: `blk.1.attn_q.weight` needs"),
                "in the file",
            ],
        ),
    ]
}

/// Counts and lengths that no file has.
fn absurd() -> Vec<Bad> {
    let limit = |at: usize, what: &str, found: u64, most: u64| {
        format!("byte {at}: {what} is {found}; at most {most} is allowed")
    };
    let text = "the length of a text of `k`";
    let value = FIRST + LENGTH + 1 + 4;
    let texts = [list(8, 1), (1_u64 << 60).to_le_bytes().to_vec()].concat();
    vec![
        bad(
            "2-63-tensors",
            with(TENSORS, &ABSURD.to_le_bytes()),
            &[&limit(TENSORS, "the number of tensors", ABSURD, MAX_TENSORS)],
        ),
        bad(
            "2-63-entries",
            with(ENTRIES, &ABSURD.to_le_bytes()),
            &[&limit(
                ENTRIES,
                "the number of metadata entries",
                ABSURD,
                MAX_ENTRIES,
            )],
        ),
        bad(
            "key-of-2-60-bytes",
            head(0, 1, &(1_u64 << 60).to_le_bytes()),
            &[&limit(FIRST, "the length of a name", 1 << 60, MAX_NAME_BYTES)],
        ),
        bad(
            "text-of-2-60-bytes",
            head(0, 1, &entry(8, &(1_u64 << 60).to_le_bytes())),
            &[&limit(value, text, 1 << 60, MAX_STRING_BYTES)],
        ),
        bad(
            "list-of-a-text-of-2-60-bytes",
            head(0, 1, &entry(9, &texts)),
            &[&limit(value + 12, text, 1 << 60, MAX_STRING_BYTES)],
        ),
        bad(
            "list-of-2-63-numbers",
            head(0, 1, &entry(9, &list(4, ABSURD))),
            &[&limit(
                value + 4,
                "the number of elements of all arrays",
                ABSURD,
                MAX_ELEMENTS,
            )],
        ),
        bad(
            "entries-that-are-not-there",
            head(0, MAX_ENTRIES, &[]),
            &["byte 24: the file ends or cannot be read within its head"],
        ),
        bad(
            "key-twice",
            head(0, 2, &[entry(0, &[1]), entry(0, &[1])].concat()),
            &["byte 38: `k` appears twice"],
        ),
    ]
}

/// Lists in lists.
fn nested() -> Vec<Bad> {
    let says = format!(
        "byte {}: `k` is an array of arrays, which no supported model has",
        FIRST + LENGTH + 1 + 8
    );
    let deep = list(9, 1).repeat(10_000);
    vec![
        bad("list-of-lists", head(0, 1, &entry(9, &list(9, 2))), &[&says]),
        bad("lists-10000-deep", head(0, 1, &entry(9, &deep)), &[&says]),
    ]
}

/// Tensors of impossible shapes and places.
fn tensors() -> Vec<Bad> {
    let file = good();
    let name = "blk.0.attn_k.weight";
    let start = place(&file, name);
    let other = "blk.0.attn_q.weight";
    let second = place(&file, other);
    let rank = start + LENGTH + name.len();
    let (length, offset) = (rank + 4, rank + 4 + 16 + 4);
    let refused = |at: usize, words: &str| vec![format!("byte {at}: `{name}` {words}")];
    let told = |name, bytes, says| Bad { name, bytes, says };
    vec![
        told(
            "tensor-of-2-63-columns",
            with(length, &ABSURD.to_le_bytes()),
            refused(length, "has a dimension of 9223372036854775808"),
        ),
        told(
            "tensor-of-2-40-rows",
            with(length + 8, &(1_u64 << 40).to_le_bytes()),
            refused(length + 8, "has a dimension of 1099511627776"),
        ),
        told(
            "tensor-of-no-rows",
            with(length + 8, &0_u64.to_le_bytes()),
            refused(length + 8, "has a dimension of 0"),
        ),
        told(
            "tensor-of-2-31-dimensions",
            with(rank, &(1_u32 << 31).to_le_bytes()),
            refused(rank, "has 2147483648 dimensions; 1 to 4 are allowed"),
        ),
        told(
            "tensor-at-2-63",
            with(offset, &ABSURD.to_le_bytes()),
            refused(start, "needs"),
        ),
        bad(
            "tensor-in-another",
            with(second + LENGTH + other.len() + 4 + 16 + 4, &[0; 8]),
            &[&format!(
                "byte {second}: `{other}` its offset 0 lies in another tensor"
            )],
        ),
        told(
            "larger-than-the-file",
            with(length + 8, &(1_u64 << 33).to_le_bytes()),
            refused(start, "needs"),
        ),
        bad(
            "alignment-of-0",
            head(0, 1, &entry_of("general.alignment", 4, &[0; 4])),
            &[
                "byte 53: `general.alignment` is Integer(0)",
                "a power of two from 8 to 65536 is allowed",
            ],
        ),
    ]
}
