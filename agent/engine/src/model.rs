//! A model that is ready to answer: vocabulary, template, and the graph with its weights.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use kernels::kv::{KvBlock, KvKind, KvShape};
use store::Opened;
use store::metadata::Metadata;
use store::tensor::Table;

use crate::activity::Pulse;
use crate::capacity::{Capacity, Mebibytes, Memory, Room, Weights};
use crate::catalog::Source;
use crate::error::{LoadError, RequestError};
use crate::graph::Graph;
use crate::hyperparameters::Hyperparameters;
use crate::kv::KvCache;
use crate::template::renderer::Renderer;
use crate::template::{ChatTemplate, Message, Role};
use crate::vocabulary::Vocabulary;

/// What sequences need of a model beside its arithmetic.
pub struct Model {
    /// Its tokens.
    pub vocabulary: Vocabulary,
    template: ChatTemplate,
    share: Share,
    kv: KvShape,
}

/// What the conversations with a model get of the memory.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Those that are answered.
    capacity: Capacity,
    /// Bytes of keys and values of idle ones.
    idle: u64,
}

/// On what terms a model is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Most bytes of weights in memory at a time.
    pub budget: Option<usize>,
    /// Sequences, and most tokens of each; less if the model was trained for less, or if there is no memory for so much.
    pub wanted: Capacity,
    /// How keys and values are kept.
    pub kv: KvKind,
    /// The memory there is.
    pub memory: Memory,
    /// Most bytes of keys and values of idle sessions; less if there is no memory for so much.
    pub idle_kv: u64,
    /// Where its template is run.
    pub renderer: Renderer,
}

/// Loads a model for one sequence, and what computes it, without a look at how much memory there is. `budget` is the
/// most bytes of weights in memory at a time, `context` the most tokens that the sequence may have; less if the model
/// was trained for less.
pub fn load(
    source: &Source,
    budget: Option<usize>,
    context: usize,
    kv: KvKind,
) -> Result<(Model, Graph), LoadError> {
    let (wanted, memory) = (Capacity { slots: 1, context }, Memory::default());
    let terms = Terms {
        budget,
        wanted,
        kv,
        memory,
        idle_kv: 0,
        renderer: Renderer::Here,
    };
    load_on(source, &terms, &Pulse::default())
}

/// Loads a model and what computes it, for as many sequences as there is memory for. The pulse beats for each piece of
/// weights that is read, now and later, for the vocabulary and the template, and for each layer that is computed.
pub fn load_on(source: &Source, terms: &Terms, pulse: &Pulse) -> Result<(Model, Graph), LoadError> {
    let (opened, path) = (source.open()?.beating(pulse.clone()), &source.path());
    let (parameters, kv) = shapes(opened.metadata(), path, terms.kv)?;
    let share = share(&opened, path, terms, parameters.context, kv)?;
    // The vocabulary takes as long as the weights of a small model.
    thread::scope(|scope| {
        let weights = scope.spawn(|| opened.load(terms.budget));
        let model = Model::read(opened.metadata(), path, share, kv, terms.renderer, pulse);
        let packed = weights.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok((model?, Graph::new(packed?, path)?.beating(pulse.clone())))
    })
}

/// What can be told of a model before its weights are loaded: that there is a graph for it, and memory for a conversation
/// on these terms. It costs little beside another model.
pub fn foresee(source: &Source, terms: &Terms) -> Result<(), LoadError> {
    let (opened, path) = (source.open()?, &source.path());
    let (parameters, kv) = shapes(opened.metadata(), path, terms.kv)?;
    Graph::check(opened.metadata(), &opened.table()?, path)?;
    share(&opened, path, terms, parameters.context, kv).map(drop)
}

/// What can be told of a model file before it is packed of whether it can be asked: there is a graph for it, and its
/// tokenizer is understood, and its chat template, which `renderer` runs, makes a prompt of a question. The error says
/// where in the file what it is about lies.
pub fn check(source: &store::source::Source, renderer: Renderer) -> Result<(), String> {
    usable(source, renderer).map_err(|error| {
        match error.subject().and_then(|subject| source.place(subject)) {
            Some((path, byte)) => format!("{error} (byte {byte} of {})", path.display()),
            None => error.to_string(),
        }
    })
}

fn usable(source: &store::source::Source, renderer: Renderer) -> Result<(), LoadError> {
    let (metadata, path) = (source.metadata(), source.path());
    let table = Table::plan(source.tensors()).map_err(|(tensor, problem)| store::Error::Tensor {
        path: path.to_owned(),
        tensor,
        problem,
    })?;
    Graph::check(metadata, &table, path)?;
    let vocabulary = Vocabulary::read(metadata, path)?;
    let template = ChatTemplate::read(metadata, path, &vocabulary, renderer, &Pulse::default())?;
    let question = Message {
        role: Role::User,
        content: "Hello?".to_owned(),
    };
    let tokens = template.tokens(&[question], &vocabulary);
    tokens.map(drop).map_err(|error| LoadError::Template {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn shapes(metadata: &Metadata, path: &Path, kv: KvKind) -> Result<(Hyperparameters, KvShape), LoadError> {
    let parameters = Hyperparameters::read(metadata, path)?;
    let kv = KvShape::new(parameters.layers, parameters.kv_heads, parameters.head_dim, kv);
    let kv = kv.map_err(|error| LoadError::Kv {
        path: path.to_owned(),
        error,
    })?;
    Ok((parameters, kv))
}

/// What of the terms' wish the memory is enough for, for a model that was trained for `trained` tokens.
fn share(
    opened: &Opened,
    path: &Path,
    terms: &Terms,
    trained: usize,
    kv: KvShape,
) -> Result<Share, LoadError> {
    let wanted = Capacity {
        context: terms.wanted.context.min(trained),
        ..terms.wanted
    };
    let (held, mapped) = opened.in_memory(terms.budget);
    let Some(room) = terms.memory.beside(Weights { held, mapped }) else {
        return Ok(Share {
            capacity: wanted,
            idle: terms.idle_kv,
        });
    };
    let Room { sequences, idle } = Room::divide(room, terms.idle_kv);
    let capacity = Capacity::fitting(wanted, kv.block_bytes(), sequences).ok_or_else(|| LoadError::Room {
        path: path.to_owned(),
        room: sequences,
        tokens: wanted.least().context,
        least: wanted.least().bytes(kv.block_bytes()),
    })?;
    say(capacity, wanted, kv, held + mapped, sequences, terms.memory);
    Ok(Share { capacity, idle })
}

/// Logs what was chosen, and why.
fn say(chosen: Capacity, wanted: Capacity, kv: KvShape, weights: u64, room: u64, memory: Memory) {
    let why = if chosen == wanted {
        "as set up"
    } else {
        "less than was set up: there is no memory for more (HEARTH_KV=q8 halves what one takes)"
    };
    tracing::info!(
        slots = chosen.slots,
        context = chosen.context,
        kv = %Mebibytes(Some(chosen.bytes(kv.block_bytes()))),
        room = %Mebibytes(Some(room)),
        weights = %Mebibytes(Some(weights)),
        available = %Mebibytes(memory.available),
        limit = %Mebibytes(memory.limit),
        "conversations: {why}"
    );
}

impl Model {
    fn read(
        metadata: &Metadata,
        path: &Path,
        share: Share,
        kv: KvShape,
        renderer: Renderer,
        pulse: &Pulse,
    ) -> Result<Self, LoadError> {
        let vocabulary = Vocabulary::read(metadata, path)?;
        pulse.beat();
        let template = ChatTemplate::read(metadata, path, &vocabulary, renderer, pulse)?;
        pulse.beat();
        Ok(Self {
            template,
            vocabulary,
            share,
            kv,
        })
    }

    /// Most tokens that a sequence may have.
    pub fn context(&self) -> usize {
        self.share.capacity.context
    }

    /// Sequences that there is memory for at the same time.
    pub fn slots(&self) -> usize {
        self.share.capacity.slots
    }

    /// Bytes of keys and values that idle sessions may have beside it.
    pub fn idle_kv(&self) -> u64 {
        self.share.idle
    }

    /// The tokens of a conversation. Fails if they leave no room for an answer.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, RequestError> {
        let context = self.context();
        let said: usize = messages.iter().map(|message| message.content.len()).sum();
        let at_least = said / self.vocabulary.longest();
        if at_least >= context {
            return Err(RequestError::ContextLength {
                prompt: at_least,
                context,
            });
        }
        let tokens = self.template.tokens(messages, &self.vocabulary)?;
        match tokens.len() {
            0 => Err(RequestError::Template(
                "it makes nothing of the messages".to_owned(),
            )),
            prompt if prompt >= context => Err(RequestError::ContextLength { prompt, context }),
            _ => Ok(tokens),
        }
    }

    /// Room for a new sequence.
    pub fn new_kv(&self) -> KvCache {
        KvCache::new(self.kv, self.context())
    }

    /// What a block of its keys and values holds.
    pub(crate) fn kv_shape(&self) -> KvShape {
        self.kv
    }

    /// A sequence whose first `length` tokens were seen.
    pub(crate) fn seen_kv(&self, blocks: Vec<Arc<KvBlock>>, length: usize) -> KvCache {
        KvCache::resumed(self.kv, self.context(), blocks, length)
    }
}

#[cfg(test)]
mod tests {
    use store::Store;

    use super::*;
    use crate::tiny;

    /// A stored model of 256 tokens, bytes of its weights, decoded and mapped, and of 64 positions of a sequence.
    struct Fixture {
        source: Source,
        weights: (u64, u64),
        block: usize,
        _folder: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.gguf");
        tiny::write(&file, 256).unwrap();
        let store = Store::new(&folder.path().join("store"));
        let id: store::ModelId = "m".parse().unwrap();
        let gguf = store::source::Source::open(&file).unwrap();
        store.import(&gguf, &id, &|_| {}).unwrap();
        let opened = store.open(&id).unwrap();
        let (_, kv) = shapes(opened.metadata(), &file, KvKind::F16).unwrap();
        Fixture {
            source: Source::Stored(store.into(), id),
            weights: opened.in_memory(None),
            block: kv.block_bytes(),
            _folder: folder,
        }
    }

    impl Fixture {
        /// What is chosen where so much is left beside the weights.
        fn load(&self, room: u64) -> Result<(usize, usize), LoadError> {
            let model = self.load_beside(room, 0)?;
            Ok((model.slots(), model.context()))
        }

        /// The same where idle sessions are to have so much of it.
        fn load_beside(&self, room: u64, idle_kv: u64) -> Result<Model, LoadError> {
            let (held, mapped) = self.weights;
            // Mapped weights leave an eighth at least, and an eighth of all is for neither.
            let beside_others = held + (mapped + room).min(8 * room);
            let terms = Terms {
                budget: None,
                wanted: Capacity {
                    slots: 4,
                    context: 4096,
                },
                kv: KvKind::F16,
                memory: Memory {
                    available: None,
                    limit: Some((8 * beside_others).div_ceil(7)),
                },
                idle_kv,
                renderer: Renderer::Here,
            };
            Ok(load_on(&self.source, &terms, &Pulse::default())?.0)
        }
    }

    #[test]
    fn there_are_as_many_sequences_as_there_is_memory_for() {
        let fixture = fixture();
        let whole = 4 * fixture.block as u64;
        assert_eq!(fixture.load(4 * whole).unwrap(), (4, 256));
        assert_eq!(fixture.load(4 * whole - 8).unwrap(), (3, 256));
        assert_eq!(fixture.load(whole).unwrap(), (1, 256));
    }

    #[test]
    fn what_idle_sessions_may_have_is_not_for_those_that_are_answered() {
        let fixture = fixture();
        let whole = 4 * fixture.block as u64;
        let model = fixture.load_beside(4 * whole, whole).unwrap();
        assert_eq!((model.slots(), model.idle_kv()), (3, whole));
        let model = fixture.load_beside(4 * whole, u64::MAX).unwrap();
        assert_eq!((model.slots(), model.idle_kv()), (3, whole));
    }

    #[test]
    fn a_model_without_room_for_a_conversation_is_refused_with_what_it_would_take() {
        let fixture = fixture();
        let error = fixture
            .load(4 * fixture.block as u64 - 8)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/store/") && error.contains("256 tokens"),
            "{error}"
        );
    }
}
