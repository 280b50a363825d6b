//! One conversation while it is being answered.

use std::sync::Arc;
use std::time::Duration;

use crate::error::RequestError;
use crate::graph::Part;
use crate::kv::KvCache;
use crate::model::Model;
use crate::parking::{Seen, Ticket};
use crate::request::{Event, FinishReason, Outbox, Request, Summary};
use crate::sampler::Sampler;
use crate::scheduler::Work;
use crate::stop::StopFinder;
use crate::text::Utf8Stream;

/// One conversation while it is being answered.
pub(crate) struct Sequence {
    model: Arc<Model>,
    prompt: Vec<u32>,
    kv: KvCache,
    /// Tokens of the answer; the last one is not yet run.
    answer: Vec<u32>,
    /// Tokens of the prompt that were not run, for an earlier answer had them.
    reused: usize,
    /// For keys and values of the first tokens.
    waits: Option<Ticket>,
    limit: usize,
    sampler: Sampler,
    text: Utf8Stream,
    stops: StopFinder,
    pub(crate) outbox: Outbox,
}

impl Sequence {
    /// Tokenises a request, for which the model was loaded in that time if at all. Gives the outbox back with the reason if that fails.
    pub(crate) fn new(
        model: Arc<Model>,
        request: Request,
        mut outbox: Outbox,
        loading: Option<Duration>,
    ) -> Result<Self, (Outbox, RequestError)> {
        let prompt = match model.prompt(&request.messages) {
            Ok(prompt) => prompt,
            Err(error) => return Err((outbox, error)),
        };
        outbox.push(Event::Started {
            prompt_tokens: prompt.len(),
            loading,
        });
        let room = model.context() - prompt.len();
        Ok(Self {
            limit: request.max_tokens.map_or(room, |most| most.min(room)),
            kv: model.new_kv(),
            model,
            prompt,
            answer: Vec::new(),
            reused: 0,
            waits: None,
            sampler: Sampler::new(request.sampling),
            text: Utf8Stream::default(),
            stops: StopFinder::new(request.stops),
            outbox,
        })
    }

    /// The tokens of the prompt.
    pub(crate) fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// Tokens of the answer so far.
    pub(crate) fn made(&self) -> usize {
        self.answer.len()
    }

    /// Whether it cannot run before keys and values have come, and with what ticket.
    pub(crate) fn waits(&self) -> Option<Ticket> {
        self.waits
    }

    /// Keys and values of its first tokens will come.
    pub(crate) fn wait(&mut self, ticket: Ticket) {
        self.waits = Some(ticket);
    }

    /// Goes on from what was seen of its prompt, if anything was. How many tokens that are.
    pub(crate) fn resume(&mut self, seen: Option<Seen>) -> usize {
        self.waits = None;
        if let Some(Seen { blocks, length }) = seen {
            self.kv = self.model.seen_kv(blocks, length);
            self.reused = length;
        }
        self.reused
    }

    /// Forgets what was computed.
    pub(crate) fn spoil(&mut self) {
        self.kv = self.model.new_kv();
    }

    /// The tokens, the first of which have the keys and values, and what its reader has not taken.
    pub(crate) fn end(self) -> (Vec<u32>, KvCache, Outbox) {
        ([self.prompt, self.answer].concat(), self.kv, self.outbox)
    }

    /// Tokens in its KV cache.
    pub(crate) fn kv_tokens(&self) -> usize {
        self.kv.length()
    }

    /// What is run in its turn.
    pub(crate) fn part(&mut self, work: &Work) -> Part<'_> {
        match work {
            Work::Prefill { tokens, last, .. } => Part {
                tokens: &self.prompt[tokens.clone()],
                kv: &mut self.kv,
                logits: *last,
            },
            Work::Decode { .. } => Part {
                tokens: self.answer.last_chunk::<1>().map_or(&[], |last| last),
                kv: &mut self.kv,
                logits: true,
            },
        }
    }

    /// Chooses a token and sends its text. Whether the answer is complete.
    pub(crate) fn commit(&mut self, logits: &[f32]) -> bool {
        if self.made() == self.limit {
            return self.finish(FinishReason::Length);
        }
        let token = self.sampler.sample(logits);
        if self.model.vocabulary.is_end(token) {
            return self.finish(FinishReason::Stop);
        }
        self.answer.push(token);
        let text = self.text.push(self.model.vocabulary.bytes(token));
        let released = self.stops.push(&text);
        self.emit(released.text);
        if released.stopped {
            return self.complete(FinishReason::Stop);
        }
        self.made() == self.limit && self.finish(FinishReason::Length)
    }

    /// Sends what was held back, too.
    fn finish(&mut self, reason: FinishReason) -> bool {
        let rest = self.text.finish();
        let released = self.stops.push(&rest);
        let held = if released.stopped {
            String::new()
        } else {
            self.stops.finish()
        };
        self.emit(released.text + &held);
        self.complete(if released.stopped {
            FinishReason::Stop
        } else {
            reason
        })
    }

    fn complete(&mut self, reason: FinishReason) -> bool {
        self.outbox.push(Event::Finished(Summary {
            reason,
            prompt_tokens: self.prompt.len(),
            reused_tokens: self.reused,
            completion_tokens: self.made(),
        }));
        true
    }

    fn emit(&mut self, text: String) {
        if !text.is_empty() {
            self.outbox.push(Event::Text(text));
        }
    }
}
