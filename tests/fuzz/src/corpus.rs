//! The inputs that campaigns begin with. They lie in `corpus/`, a folder for each parser, so that they can be looked at
//! and given to other tools; this makes them anew (`cargo run -p fuzz --bin corpus`), and a test compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use api::phase::{EngineOrder, ModelName, PhaseRecord};
use engine::tiny::{Model, Shape, TEMPLATE, bad};
use store::metadata::Value;
use store::source::Source;
use store::{Store, gguf};

/// Bytes of weights that are said to follow a head: more than those of any seed. The heads alone are kept.
pub const WEIGHTS: u64 = 1 << 20;
/// Longest of the bad heads that are seeds; longer ones are the good head with one thing changed.
const SHORT: usize = 1 << 10;

/// Names of seeds and what they are, for each parser.
pub type Corpus = BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>;

/// Where it lies.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The seeds of a parser, in the order of their names.
pub fn seeds(parser: &str) -> Result<Vec<Vec<u8>>> {
    let all = read(&folder().join(parser))?;
    Ok(all.into_values().collect())
}

/// All files in a folder.
pub fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let files = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    files
        .map(|file| {
            let path = file?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((name, bytes))
        })
        .collect()
}

/// Makes it.
pub fn make() -> Result<Corpus> {
    Ok(Corpus::from([
        ("gguf", heads()?),
        ("manifest", manifests()?),
        ("template", templates()),
        ("phase", packets()),
        ("hearth-toml", owners_files()),
        ("user-data", user_data()),
    ]))
}

fn heads() -> Result<BTreeMap<String, Vec<u8>>> {
    let short = bad::heads().into_iter().filter(|bad| bad.bytes.len() < SHORT);
    let mut heads: BTreeMap<_, _> = short
        .map(|bad| (format!("{}.gguf", bad.name), bad.bytes))
        .collect();
    for family in ["llama", "qwen2", "qwen3"] {
        heads.insert(format!("{family}.gguf"), head(&model(family))?);
    }
    Ok(heads)
}

/// A made-up model with all that its family may say of itself.
fn model(family: &'static str) -> Model {
    let shape = Shape {
        family,
        tied: family != "qwen2",
        ..Shape::default()
    };
    let mut model = Model::of(&shape, 256);
    let mut put = |key: &str, value: Value| model.metadata.insert(key.replace("FAMILY", family), value);
    let (text, float) = (|text: &str| Value::Text(text.to_owned()), Value::Float);
    match family {
        "llama" => {
            put("FAMILY.rope.scaling.type", text("linear"));
            put("FAMILY.rope.scaling.factor", float(4.0));
        }
        "qwen2" => {
            put("tokenizer.ggml.pre", text("qwen2"));
            put("tokenizer.ggml.add_bos_token", Value::Bool(false));
            put("FAMILY.attention.sliding_window", Value::Integer(4096));
        }
        _ => {
            put("tokenizer.ggml.pre", text("llama-bpe"));
            put("tokenizer.ggml.add_bos_token", Value::Bool(true));
            put("FAMILY.rope.scaling.type", text("yarn"));
            put("FAMILY.rope.scaling.factor", float(4.0));
            put("FAMILY.rope.scaling.original_context_length", Value::Integer(64));
            put("FAMILY.rope.scaling.yarn_beta_fast", float(32.0));
        }
    }
    model
}

/// A model's file up to its weights.
fn head(model: &Model) -> Result<Vec<u8>> {
    let mut file = model.bytes();
    let length = gguf::read(file.as_slice(), file.len() as u64)?.data_offset;
    file.truncate(length as usize);
    Ok(file)
}

fn manifests() -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tiny.gguf");
    fs::write(&file, Model::new(64).bytes())?;
    let store = Store::new(&folder.path().join("store"));
    let id = "tiny".parse()?;
    store.import(&Source::open(&file)?, &id, &|_| {})?;
    let manifest = fs::read(store.path().join("models/tiny/manifest.json"))?;
    Ok(BTreeMap::from([("tiny.json".to_owned(), manifest)]))
}

/// Templates as models have them, and what they are made of.
fn templates() -> BTreeMap<String, Vec<u8>> {
    let all = [
        ("chatml", TEMPLATE),
        (
            "tools",
            "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{ tool|tojson }}{%- endfor %}{%- endif %}\
             {%- for m in messages if m.role != 'tool' %}{{ m.role|upper ~ ': ' ~ m.content|trim }}{%- endfor %}",
        ),
        (
            "namespace",
            "{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% if m.role == 'user' %}\
             {% set ns.last = loop.index0 %}{% break %}{% endif %}{% endfor %}{{ ns.last }}",
        ),
        (
            "macro",
            "{% macro turn(m, end='\\n') %}{{ m['role'] + ': ' + m['content'] + end }}{% endmacro %}\
             {% for m in messages %}{{ turn(m) }}{% endfor %}",
        ),
        (
            "strings",
            "{% set parts = messages[0].content.split('a') %}{{ parts|join('-')|replace('b', 'c') }}\
             {{ 'x' in messages[0].content and messages|length > 1 }}{{ raise_exception('no') if messages|length > 9 }}",
        ),
    ];
    all.map(|(name, text)| (format!("{name}.jinja"), text.as_bytes().to_vec()))
        .into()
}

fn packets() -> BTreeMap<String, Vec<u8>> {
    let record = PhaseRecord {
        tokens_per_second: 12.5,
        progress: 1 << 40,
        model: 7,
        model_name: ModelName::new("größer"),
        ..PhaseRecord::default()
    };
    let order = EngineOrder {
        slots: Some(2),
        ..EngineOrder::default()
    };
    BTreeMap::from([
        ("record".to_owned(), record.encode().to_vec()),
        ("order".to_owned(), order.encode().to_vec()),
    ])
}

/// A file with all that can be set, and some with a mistake each.
fn owners_files() -> BTreeMap<String, Vec<u8>> {
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let all = format!(
        "hostname = \"kitchen\"\ntimezone = \"Europe/Berlin\"\nmodel = \"coder\"\n\n[access]\nssh_keys = [\"ssh-ed25519 {key} \
         me@laptop\"]\ntoken_hashes = [\"sha256:{} chat laptop\"]\n\n[network]\nmethod = \"static\"\naddress = \
         \"192.168.1.20/24\"\ngateway = \"192.168.1.1\"\ndns = [\"192.168.1.1\", \"fd00::1\"]\n\n[wifi]\nssid = \"home\"\npassword \
         = \"correct horse\"\n\n[engine]\nmemory_budget = \"800M\"\nslots = 2\nkv = \"q8\"\nkeep_alive = \"30m\"\n\n[install]\nto = \
         \"internal\"\ndisk = \"the only one\"\nconfirm = \"erase\"\n",
        "0a".repeat(32)
    );
    let files = [
        ("all", all.as_str()),
        ("dhcp", "[network]\nmethod = \"dhcp\"\n"),
        (
            "windows",
            "\u{feff}hostname = \"a\"\r\n[wifi]\r\nssid = \"caf\u{e9}\"\r\n",
        ),
        ("no-quotes", "hostname = kitchen\n"),
        ("unknown-key", "hostnam = \"kitchen\"\n"),
        (
            "no-prefix",
            "[network]\nmethod = \"static\"\naddress = \"192.168.1.20\"\n",
        ),
        (
            "gateway-elsewhere",
            "[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\ngateway = \"11.0.0.1\"\n",
        ),
        (
            "short-password",
            "[wifi]\nssid = \"home\"\npassword = \"short\"\n",
        ),
        (
            "cut-key",
            "[access]\nssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\"]\n",
        ),
    ];
    files
        .map(|(name, text)| (format!("{name}.toml"), text.as_bytes().to_vec()))
        .into()
}

/// What makers of virtual machines write on a `cidata` drive.
fn user_data() -> BTreeMap<String, Vec<u8>> {
    let files = [
        (
            "keys",
            "#cloud-config\nhostname: kitchen.lan\nssh_authorized_keys:\n  - ssh-ed25519 \
             AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\n",
        ),
        (
            "users",
            "#cloud-config\nusers:\n  - default\n  - name: bob\n    sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]\n    ssh_authorized_keys: \
             [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f]\npackages: {a: 1}\n",
        ),
        (
            "anchors",
            "#cloud-config\na: &a [x, x]\nb: &b [*a, *a]\nfqdn: \"h\"\n<<: {c: *b}\n",
        ),
        ("script", "#!/bin/sh\ntrue\n"),
    ];
    files
        .map(|(name, text)| (format!("{name}.yaml"), text.as_bytes().to_vec()))
        .into()
}
