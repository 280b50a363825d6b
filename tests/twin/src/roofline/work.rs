//! What people ask of an engine: sessions of requests, each a while after the answer before it.

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Pause since the session's last answer, or since the beginning.
    pub gap_ms: u64,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens of its answer.
    pub answer_tokens: u32,
}

/// Sessions that go on at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Each session's requests, in order.
    pub sessions: Vec<Vec<Request>>,
}

impl Work {
    /// One session of equal requests.
    pub fn repeated(times: usize, request: Request) -> Self {
        Self {
            sessions: vec![vec![request; times]],
        }
    }

    /// So many sessions with one request each, all at once.
    pub fn together(sessions: usize, request: Request) -> Self {
        Self {
            sessions: vec![vec![request]; sessions],
        }
    }

    /// Tokens of all answers.
    pub fn answer_tokens(&self) -> u64 {
        let all = self.sessions.iter().flatten();
        all.map(|request| u64::from(request.answer_tokens)).sum()
    }
}
