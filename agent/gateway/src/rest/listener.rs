//! Whoever listens to what goes on: a stream that ends with its client, with the gateway, and with the token and the session
//! by which it was opened.

use super::Said;
use crate::{
    app::App,
    caller::Pass,
    refusal::{Kind, Refusal},
};
use axum::http::Extensions;
use bytes::Bytes;
use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc::Sender, watch::Receiver},
    time::{Interval, MissedTickBehavior, interval},
};

/// How often something is said, so that whoever listens knows that the line is alive. No later is it seen, too, that a
/// session is over.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The gateway's end of such a stream.
pub(super) struct Listener {
    right: Right,
    lines: Sender<Said>,
    alive: Interval,
}

/// By what somebody listens.
struct Right {
    app: Arc<App>,
    pass: Pass,
    revoked: Receiver<()>,
}

/// What there is to say.
pub(super) enum Heard<T> {
    /// This.
    Said(T),
    /// Nothing for so long that it must be said.
    Nothing,
}

impl Listener {
    /// A stream of `lines` for whoever was let in with these extensions.
    pub(super) fn new(app: &Arc<App>, extensions: &Extensions, lines: Sender<Said>) -> Result<Self, Refusal> {
        let pass = extensions.get::<Pass>().cloned();
        let right = Right {
            app: app.clone(),
            pass: pass.ok_or_else(|| Refusal::new(Kind::Internal, "the route has no gate"))?,
            revoked: app.revoked.subscribe(),
        };
        let mut alive = interval(KEEP_ALIVE);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { right, lines, alive })
    }

    /// Waits for what comes next; `None`: the stream is to end.
    pub(super) async fn hear<T>(&mut self, next: impl Future<Output = T>) -> Option<Heard<T>> {
        tokio::select! {
            () = self.right.lost() => None,
            () = self.lines.closed() => None,
            said = next => Some(Heard::Said(said)),
            _ = self.alive.tick() => self.right.holds().then_some(Heard::Nothing),
        }
    }

    /// Says something. Tells whether the stream goes on.
    pub(super) async fn say(&mut self, line: Bytes) -> bool {
        let sent = pin!(self.lines.send(Ok(line)));
        tokio::select! {
            () = self.right.lost() => false,
            sent = sent => sent.is_ok(),
        }
    }

    /// Says that there is more which cannot be told.
    pub(super) async fn break_off(self, why: io::Error) {
        // Who has gone does not miss it.
        self.lines.send(Err(why)).await.ok();
    }
}

impl Right {
    fn holds(&self) -> bool {
        self.pass.holds(&self.app, Instant::now())
    }

    /// Waits until nobody may listen by it any more.
    async fn lost(&mut self) {
        while self.holds() {
            tokio::select! {
                // Its sender lives as long as the app.
                _ = self.revoked.changed() => {}
                () = self.app.stopping.cancelled() => return,
            }
        }
    }
}
