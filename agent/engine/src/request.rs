//! What is asked of the engine, and what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::RequestError;
use crate::sampler::Sampling;
use crate::template::Message;

/// Events that a reader may be behind before its sequence is skipped.
const CHANNEL: usize = 32;

/// A conversation to continue.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model's id.
    pub model: String,
    /// Most tokens of a sequence, if this has the model loaded; as many as the engine was set up for if nothing is said.
    pub context: Option<usize>,
    /// The conversation, oldest first. Of an empty one there is nothing to answer: the model is loaded, and that is all.
    pub messages: Vec<Message>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to make; as many as the context holds if nothing is said.
    pub max_tokens: Option<usize>,
    /// Text at which the answer ends.
    pub stops: Vec<String>,
}

/// What comes back, in this order: [`Event::Started`], any number of [`Event::Text`], [`Event::Finished`]; or
/// [`Event::Failed`] at any point, as the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request has a slot.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// How long the model took to load, if it was loaded for this request.
        loading: Option<Duration>,
    },
    /// More of the answer; never empty, never a part of a character.
    Text(String),
    /// The answer is complete.
    Finished(Summary),
    /// There will be no more of the answer.
    Failed(RequestError),
}

/// What an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that were not run, for an earlier answer's keys and values were still there.
    pub reused_tokens: usize,
    /// Tokens made, without the mark that ends the answer.
    pub completion_tokens: usize,
}

impl Summary {
    /// Nothing was asked, and nothing answered.
    pub(crate) const NOTHING: Self = Self {
        reason: FinishReason::Stop,
        prompt_tokens: 0,
        reused_tokens: 0,
        completion_tokens: 0,
    };
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop string was reached.
    Stop,
    /// The most tokens, or the end of the context, were reached.
    Length,
}

/// The reader's end of an answer. Dropping it cancels the request.
pub struct Answer {
    events: mpsc::Receiver<Event>,
    blocked: Arc<AtomicBool>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Answer {
    /// The answer to an empty conversation with a model that need not be loaded for it.
    pub fn nothing() -> Self {
        let (mut outbox, answer) = answer(|| {});
        outbox.push(Event::Started {
            prompt_tokens: 0,
            loading: None,
        });
        outbox.push(Event::Finished(Summary::NOTHING));
        answer
    }

    /// The next event. `None` without a last one before it means that the engine has ended.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.wake_if_blocked();
        event
    }

    /// The same for code that is not async.
    pub fn blocking_next(&mut self) -> Option<Event> {
        let event = self.events.blocking_recv();
        self.wake_if_blocked();
        event
    }

    /// Whether there is no event yet.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn wake_if_blocked(&self) {
        if self.blocked.swap(false, Ordering::SeqCst) {
            (self.wake)();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.events.close();
        (self.wake)();
    }
}

/// The engine's end of an answer: a bounded channel, and what did not fit into it.
pub(crate) struct Outbox {
    sender: mpsc::Sender<Event>,
    blocked: Arc<AtomicBool>,
    pending: Vec<Event>,
}

impl Outbox {
    /// Queues an event and sends what fits.
    pub(crate) fn push(&mut self, event: Event) {
        self.pending.push(event);
        self.flush();
    }

    /// Sends what fits. Whether nothing is left; if something is, the reader will wake the engine.
    pub(crate) fn flush(&mut self) -> bool {
        if self.send_pending() {
            return true;
        }
        // The reader may have made room between the attempt and the flag: so one more attempt after it.
        self.blocked.store(true, Ordering::SeqCst);
        self.send_pending()
    }

    /// Whether the reader has gone.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.sender.is_closed()
    }

    fn send_pending(&mut self) -> bool {
        let room = self.sender.capacity().min(self.pending.len());
        for event in self.pending.drain(..room) {
            // It cannot be full; a reader that has gone is noticed by `is_cancelled`.
            let _gone = self.sender.try_send(event);
        }
        self.pending.is_empty()
    }
}

/// Both ends of an answer. `wake` is called when the reader has made room for an engine that waits, or has gone.
pub(crate) fn answer(wake: impl Fn() + Send + Sync + 'static) -> (Outbox, Answer) {
    let (sender, events) = mpsc::channel(CHANNEL);
    let blocked = Arc::new(AtomicBool::new(false));
    let outbox = Outbox {
        sender,
        blocked: Arc::clone(&blocked),
        pending: Vec::new(),
    };
    (
        outbox,
        Answer {
            events,
            blocked,
            wake: Box::new(wake),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn counting() -> (Outbox, Answer, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&count);
        let (outbox, answer) = answer(move || {
            wakes.fetch_add(1, Ordering::SeqCst);
        });
        (outbox, answer, count)
    }

    #[test]
    fn a_slow_reader_wakes_the_engine_once_it_reads() {
        let (mut outbox, mut answer, wakes) = counting();
        for index in 0..CHANNEL + 2 {
            outbox.push(Event::Text(index.to_string()));
        }
        assert!(!outbox.flush());
        assert_eq!(wakes.load(Ordering::SeqCst), 0);
        assert_eq!(answer.blocking_next(), Some(Event::Text("0".to_owned())));
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        assert!(!outbox.flush());
        for index in 1..CHANNEL {
            assert_eq!(answer.blocking_next(), Some(Event::Text(index.to_string())));
        }
        assert!(outbox.flush());
        for index in CHANNEL..CHANNEL + 2 {
            assert_eq!(answer.blocking_next(), Some(Event::Text(index.to_string())));
        }
    }

    #[test]
    fn a_reader_that_goes_is_noticed() {
        let (mut outbox, answer, wakes) = counting();
        assert!(!outbox.is_cancelled());
        drop(answer);
        assert!(outbox.is_cancelled());
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        outbox.push(Event::Text("to nobody".to_owned()));
    }
}
