//! Each parser of what comes from outside, a fixed number of times, with figures. A parser that panics, takes more memory
//! than its input deserves, or takes what contradicts itself, ends the test; its input is left in the folder of temporary
//! files.
#![allow(unsafe_code, reason = "counting what is allocated takes an allocator")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;

use api::phase::{EngineOrder, PhaseRecord};
use engine::activity::Pulse;
use engine::graph::Graph;
use engine::template::renderer::Renderer;
use engine::template::{ChatTemplate, Message, Role};
use engine::tiny::Model;
use engine::vocabulary::Vocabulary;
use fuzz::{Campaign, Report, corpus, fields, json, mutate};
use serde_json::Value;
use store::gguf::{self, Head};
use store::metadata::Value as Entry;
use store::tensor::Table;
use store::{Hash, ModelId, Store};

/// Memory that a refusal may take beside a multiple of the input.
const MARGIN: usize = 4_096;
/// What templates are made of.
const JINJA: [&[u8]; 20] = [
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"{#",
    b"-%}",
    b"|join",
    b"|tojson",
    b"|trim",
    b"|list",
    b"|last",
    b"range(99)",
    b"[::-1]",
    b"messages",
    b".content",
    b" in ",
    b" not ",
    b"loop.index0",
    b"{% endfor %}",
    b"{% include 'chat' %}",
];

/// What an owner's file is made of.
const OWNERS: [&[u8]; 20] = [
    b"hostname = ",
    b"timezone = ",
    b"[network]\n",
    b"method = \"static\"\n",
    b"method = \"dhcp\"\n",
    b"address = \"",
    b"gateway = \"",
    b"dns = [",
    b"[wifi]\n",
    b"ssid = \"",
    b"password = \"",
    b"[engine]\n",
    b"slots = ",
    b"[access]\n",
    b"ssh-ed25519 ",
    b"sha256:",
    b"\"\"\"",
    b"\"\n",
    b"/24",
    b"{a = 1}",
];

/// What cloud-config is made of.
const CLOUD: [&[u8]; 12] = [
    b"hostname: ",
    b"ssh_authorized_keys:",
    b"users:",
    b"\n  - ",
    b"*a",
    b"&a ",
    b"<<: ",
    b"|\n ",
    b"[[[[",
    b"!!str ",
    b"\n---\n",
    b"{",
];

struct Counting;

thread_local! {
    /// Bytes that this thread has allocated more than it has given back.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    NOW.set(NOW.get() + bytes);
    PEAK.set(PEAK.get().max(NOW.get()));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What work took at the most beside what there was before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

/// A campaign; what makes its parser fail is left in the folder.
struct Test {
    name: &'static str,
    run: fn(&Path) -> Report,
    /// How many different things its parser must have said, and how many inputs it must have taken: about half of what
    /// was seen. With fewer the changes have become so coarse, or the parser so strict, that little of it is reached.
    least: (usize, usize),
}

const TESTS: [Test; 6] = [
    Test {
        name: "gguf",
        run: gguf,
        least: (5000, 300),
    },
    Test {
        name: "manifest",
        run: manifest,
        least: (1800, 350),
    },
    Test {
        name: "template",
        run: template,
        least: (600, 500),
    },
    Test {
        name: "phase",
        run: phase,
        // Both packets, and each reason to refuse a record.
        least: (8, 11_000),
    },
    Test {
        name: "hearth-toml",
        run: hearth_toml,
        least: (500, 500),
    },
    Test {
        name: "user-data",
        run: user_data,
        least: (5, 1800),
    },
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    corpus_is_what_its_generator_makes();
    let folder = tempfile::Builder::new()
        .prefix("fuzz-")
        .disable_cleanup(true)
        .tempdir()
        .unwrap();
    let mut passed = 0;
    for test in TESTS.iter().filter(|test| is_wanted(test.name)) {
        let report = (test.run)(folder.path());
        println!("{report}");
        let seen = (report.outcomes, report.taken);
        assert!(
            seen.0 >= test.least.0 && seen.1 >= test.least.1,
            "{}: {seen:?}, at least {:?} are expected",
            test.name,
            test.least
        );
        passed += 1;
    }
    fs::remove_dir_all(folder.path()).unwrap();
    println!("test result: ok. {passed} passed; 0 failed");
}

fn corpus_is_what_its_generator_makes() {
    for (parser, seeds) in corpus::make().unwrap() {
        let there = corpus::read(&corpus::folder().join(parser)).unwrap();
        assert!(
            there == seeds,
            "{parser} is another; `cargo run -p fuzz --bin corpus` writes it"
        );
    }
}

fn gguf(folder: &Path) -> Report {
    let mut seeds = corpus::seeds("gguf").unwrap();
    let others = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../agent/store/corpus");
    seeds.extend(corpus::read(&others).unwrap().into_values());
    let campaign = Campaign {
        name: "gguf",
        seeds,
        executions: 300_000,
        change: &fields::change,
    };
    campaign.run(folder, |input| {
        let file_bytes = input.len() as u64 + corpus::WEIGHTS;
        let (read, peak) = peak_of(|| gguf::read(input, file_bytes));
        assert!(
            peak <= 16 * input.len() + MARGIN,
            "{peak} bytes for a head of {}",
            input.len()
        );
        let head = read.map_err(|error| {
            assert!(error.offset <= input.len() as u64, "{error}");
            error.problem.to_string()
        })?;
        check_head(&head, file_bytes);
        usable(&head)
    })
}

/// What the parser has taken must be so.
fn check_head(head: &Head, file_bytes: u64) {
    assert!(head.alignment.is_power_of_two() && head.data_offset.is_multiple_of(head.alignment));
    let mut places: Vec<(u128, u128)> = Vec::new();
    for tensor in &head.tensors {
        assert!((1..=4).contains(&tensor.dimensions.len()), "{tensor:?}");
        let elements: u128 = tensor
            .dimensions
            .iter()
            .map(|&length| u128::from(length))
            .product();
        let blocks = elements / tensor.kind.block_columns() as u128;
        assert!(elements > 0 && tensor.dimensions[0].is_multiple_of(tensor.kind.block_columns() as u64));
        assert_eq!(
            u128::from(tensor.bytes),
            blocks * tensor.kind.block_bytes() as u128,
            "{tensor:?}"
        );
        assert!(tensor.offset.is_multiple_of(head.alignment), "{tensor:?}");
        let start = u128::from(head.data_offset) + u128::from(tensor.offset);
        places.push((start, start + u128::from(tensor.bytes)));
    }
    places.sort_unstable();
    assert!(places.windows(2).all(|two| two[0].1 <= two[1].0), "{places:?}");
    assert!(
        places
            .last()
            .is_none_or(|&(_, end)| end <= u128::from(file_bytes)),
        "{places:?}"
    );
    let mut names: Vec<_> = head.tensors.iter().map(|tensor| &tensor.name).collect();
    names.sort_unstable();
    assert!(
        names.windows(2).all(|two| two[0] != two[1]),
        "a tensor is there twice"
    );
    let again = head.entries.metadata().unwrap();
    let split = head
        .metadata
        .keys()
        .filter(|key| key.starts_with(gguf::SPLIT_PREFIX))
        .count();
    assert_eq!(again.len() + split, head.metadata.len());
}

/// What the engine makes of a head before it loads a weight.
fn usable(head: &Head) -> Result<String, String> {
    let path = Path::new("x.gguf");
    let table = Table::plan(head.tensors.iter()).map_err(|(_, problem)| problem)?;
    Graph::check(&head.metadata, &table, path).map_err(|error| error.to_string())?;
    let vocabulary = Vocabulary::read(&head.metadata, path).map_err(|error| error.to_string())?;
    let Some(Entry::Texts(tokens)) = head.metadata.get("tokenizer.ggml.tokens") else {
        panic!("a vocabulary without tokens");
    };
    assert!(
        vocabulary
            .first()
            .is_none_or(|token| (token as usize) < tokens.len())
    );
    for text in ["hello <|im_end|>  größer\n123", "", "\u{0}\u{10ffff}"] {
        let encoded = vocabulary.encode(text).map_err(|error| error.to_string())?;
        assert!(encoded.iter().all(|&token| (token as usize) < tokens.len()));
        encoded.iter().for_each(|&token| {
            vocabulary.bytes(token);
        });
    }
    Ok(format!("a model of {} tensors", head.tensors.len()))
}

fn manifest(folder: &Path) -> Report {
    let home = tempfile::tempdir().unwrap();
    let store = Store::new(home.path());
    let id: ModelId = "m".parse().unwrap();
    let path = home.path().join("models/m/manifest.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let campaign = Campaign {
        name: "manifest",
        seeds: corpus::seeds("manifest").unwrap(),
        executions: 20_000,
        change: &json::change,
    };
    campaign.run(folder, |input| {
        // A file that is cut and written again is waited for by some file systems; a new one is not.
        fs::remove_file(&path)
            .or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .unwrap();
        fs::write(&path, with_its_root(input)).unwrap();
        let (read, peak) = peak_of(|| store.manifest(&id));
        assert!(
            peak <= 16 * input.len() + (64 << 10),
            "{peak} bytes for {}",
            input.len()
        );
        let manifest = read.map_err(|error| error.to_string())?;
        let weights: u64 = manifest
            .model
            .segments
            .iter()
            .map(|segment| segment.bytes as u64)
            .sum();
        assert_eq!(manifest.model.bytes(), weights);
        check_tensors(&manifest.model);
        Ok("a manifest".to_owned())
    })
}

/// Each tensor lies in the segment of its layer, and within it.
fn check_tensors(model: &store::manifest::Model) {
    let last = model.segments.len() - 1;
    for tensor in &model.tensors {
        let layer = tensor
            .name
            .strip_prefix("blk.")
            .and_then(|rest| rest.split('.').next()?.parse().ok());
        let segment = match layer {
            Some(layer) => 1_usize.checked_add(layer).unwrap(),
            None if tensor.name == store::tensor::EMBEDDING => 0,
            None => last,
        };
        assert_eq!(tensor.segment, segment, "{tensor:?}");
        assert!(tensor.offset < model.segments[segment].bytes, "{tensor:?}");
    }
}

/// A manifest whose root is right, else nothing behind that would be looked at.
fn with_its_root(input: &[u8]) -> Vec<u8> {
    let right = || {
        let mut manifest: Value = serde_json::from_slice(input).ok()?;
        let model: store::manifest::Model = serde_json::from_value(manifest.get("model")?.clone()).ok()?;
        let root = Hash::of(&serde_json::to_vec(&model).ok()?).to_string();
        *manifest.get_mut("root")? = Value::String(root);
        Some(manifest.to_string().into_bytes())
    };
    right().unwrap_or_else(|| input.to_vec())
}

fn template(folder: &Path) -> Report {
    let good = Model::new(256).metadata;
    let path = Path::new("x.gguf");
    let vocabulary = Vocabulary::read(&good, path).unwrap();
    let messages = [Role::System, Role::User, Role::Assistant].map(|role| Message {
        role,
        content: "ab a <|im_end|>".to_owned(),
    });
    let campaign = Campaign {
        name: "template",
        seeds: corpus::seeds("template").unwrap(),
        executions: 20_000,
        change: &|input, others, noise| mutate::bytes(input, others, &JINJA, noise),
    };
    campaign.run(folder, |input| {
        let text = String::from_utf8(input.to_vec()).map_err(|_| "no text")?;
        let mut metadata = good.clone();
        metadata.insert("tokenizer.chat_template".to_owned(), Entry::Text(text));
        let template = ChatTemplate::read(&metadata, path, &vocabulary, Renderer::Here, &Pulse::default());
        let template = template.map_err(|error| error.to_string())?;
        let tokens = template
            .tokens(&messages, &vocabulary)
            .map_err(|error| error.to_string())?;
        Ok(format!("tokens: {}", !tokens.is_empty()))
    })
}

fn phase(folder: &Path) -> Report {
    let campaign = Campaign {
        name: "phase",
        seeds: corpus::seeds("phase").unwrap(),
        executions: 200_000,
        change: &|input, others, noise| mutate::bytes(input, others, &[], noise),
    };
    campaign.run(folder, |input| {
        let record = PhaseRecord::decode(input).inspect(|record| {
            assert_eq!(PhaseRecord::decode(&record.encode()), Ok(*record));
            assert!(record.tokens_per_second.is_finite());
        });
        let order = EngineOrder::decode(input).inspect(|order| {
            assert_eq!(EngineOrder::decode(&order.encode()), Ok(*order));
            assert!(order.slots != Some(0) && order.context != Some(0));
        });
        match (record, order) {
            (Ok(_), Ok(_)) => panic!("a record that is an order"),
            (Ok(_), _) => Ok("a record".to_owned()),
            (_, Ok(_)) => Ok("an order".to_owned()),
            (Err(error), Err(_)) => Err(error.to_string()),
        }
    })
}

fn hearth_toml(folder: &Path) -> Report {
    let campaign = Campaign {
        name: "hearth-toml",
        seeds: corpus::seeds("hearth-toml").unwrap(),
        executions: 100_000,
        change: &|input, others, noise| mutate::bytes(input, others, &OWNERS, noise),
    };
    campaign.run(folder, |input| {
        let (read, peak) = peak_of(|| setup::parse(input, |zone| zone != "Mars"));
        assert!(
            peak <= 512 * input.len() + (64 << 10),
            "{peak} bytes for {}",
            input.len()
        );
        let settings = read.map_err(|problems| {
            let lines = 1 + input.iter().filter(|&&byte| byte == b'\n').count();
            assert!(!problems.is_empty());
            assert!(
                problems
                    .iter()
                    .flat_map(|problem| problem.line)
                    .all(|line| (1..=lines).contains(&line))
            );
            assert!(problems.iter().all(|problem| !problem.to_string().contains('\n')));
            // The first alone, without its key: with all of them nearly every file would be news.
            problems[0].problem.clone()
        })?;
        check_files(&settings);
        Ok("settings".to_owned())
    })
}

fn user_data(folder: &Path) -> Report {
    let campaign = Campaign {
        name: "user-data",
        seeds: corpus::seeds("user-data").unwrap(),
        executions: 50_000,
        change: &|input, others, noise| mutate::bytes(input, others, &CLOUD, noise),
    };
    campaign.run(folder, |input| {
        let (read, peak) = peak_of(|| setup::cidata::parse(input, b""));
        assert!(
            peak <= 512 * input.len() + (1 << 20),
            "{peak} bytes for {}",
            input.len()
        );
        let (settings, notes) = read.map_err(|problems| problems[0].to_string())?;
        assert!(notes.iter().all(|note| !note.contains('\n')), "{notes:?}");
        check_files(&settings);
        Ok(format!("{} keys, {} notes", settings.ssh_keys.len(), notes.len()))
    })
}

/// No text that was taken breaks out of the line or the folder that it is written to.
fn check_files(settings: &setup::Settings) {
    use setup::render::{self, Content};
    let network = settings.network();
    let files = [
        render::links(&network),
        render::network(&network, None),
        render::rest(settings),
    ]
    .concat();
    for file in files {
        let folders = ["run/systemd/network", "var/lib/iwd", "var/lib/hearth/config"];
        assert!(
            folders.iter().any(|folder| file.path.starts_with(folder)),
            "{file:?}"
        );
        assert!(
            file.path
                .components()
                .all(|part| part != std::path::Component::ParentDir),
            "{file:?}"
        );
        match &file.content {
            Content::Text(text, _) => {
                assert!(
                    text.lines().all(|line| !line.chars().any(char::is_control)),
                    "{file:?}"
                );
                let mut sections: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
                let ours = ["[Network]", "[Address]", "[Route]", "[Security]", "[Settings]"];
                sections.retain(|section| !ours.contains(section) || text.matches(section).count() > 1);
                assert!(sections.is_empty(), "{file:?}");
            }
            Content::Link(to) => assert!(to.starts_with("/usr/share/zoneinfo"), "{file:?}"),
            Content::Absent => {}
        }
    }
    let kept = serde_json::to_string(settings).unwrap();
    let again: setup::Settings = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        setup::Settings {
            install: settings.install.clone(),
            ..again
        },
        *settings
    );
}
