//! One conversation while it is being answered.

use std::sync::Arc;

use crate::error::RequestError;
use crate::kv::KvCache;
use crate::model::Model;
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
    /// Chosen, and not yet run.
    last: Option<u32>,
    made: usize,
    limit: usize,
    sampler: Sampler,
    text: Utf8Stream,
    stops: StopFinder,
    pub(crate) outbox: Outbox,
}

impl Sequence {
    /// Tokenises a request. Gives the outbox back with the reason if that fails.
    pub(crate) fn new(
        model: Arc<Model>,
        request: Request,
        mut outbox: Outbox,
    ) -> Result<Self, (Outbox, RequestError)> {
        let prepared = model
            .prompt(&request.messages)
            .and_then(|prompt| Ok((prompt, model.new_kv()?)));
        let (prompt, kv) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Err((outbox, error)),
        };
        outbox.push(Event::Started {
            prompt_tokens: prompt.len(),
        });
        let room = model.context() - prompt.len();
        Ok(Self {
            limit: request.max_tokens.map_or(room, |most| most.min(room)),
            model,
            prompt,
            kv,
            last: None,
            made: 0,
            sampler: Sampler::new(request.sampling),
            text: Utf8Stream::default(),
            stops: StopFinder::new(request.stops),
            outbox,
        })
    }

    /// Tokens of the prompt.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompt.len()
    }

    /// Tokens of the answer so far.
    pub(crate) fn made(&self) -> usize {
        self.made
    }

    /// Tokens in its KV cache.
    pub(crate) fn kv_tokens(&self) -> usize {
        self.kv.length()
    }

    /// Does one turn. Whether the answer is complete.
    pub(crate) fn step(&mut self, work: &Work) -> candle_core::Result<bool> {
        let logits = match work {
            Work::Prefill {
                tokens, last: false, ..
            } => {
                self.model
                    .llama
                    .prefill(&self.prompt[tokens.clone()], &mut self.kv)?;
                return Ok(false);
            }
            Work::Prefill { tokens, .. } => self
                .model
                .llama
                .forward(&self.prompt[tokens.clone()], &mut self.kv)?,
            Work::Decode { .. } => self.model.llama.forward(self.last.as_slice(), &mut self.kv)?,
        };
        Ok(self.commit(&logits))
    }

    /// Chooses a token and sends its text. Whether the answer is complete.
    fn commit(&mut self, logits: &[f32]) -> bool {
        if self.made == self.limit {
            return self.finish(FinishReason::Length);
        }
        let token = self.sampler.sample(logits);
        if self.model.vocabulary.is_end(token) {
            return self.finish(FinishReason::Stop);
        }
        self.made += 1;
        self.last = Some(token);
        let text = self.text.push(self.model.vocabulary.bytes(token));
        let released = self.stops.push(&text);
        self.emit(released.text);
        if released.stopped {
            return self.complete(FinishReason::Stop);
        }
        self.made == self.limit && self.finish(FinishReason::Length)
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
        let (prompt_tokens, completion_tokens) = (self.prompt.len(), self.made);
        self.outbox.push(Event::Finished(Summary {
            reason,
            prompt_tokens,
            completion_tokens,
        }));
        true
    }

    fn emit(&mut self, text: String) {
        if !text.is_empty() {
            self.outbox.push(Event::Text(text));
        }
    }
}
