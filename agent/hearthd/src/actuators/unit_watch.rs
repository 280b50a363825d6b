//! What systemd tells of the engine's unit, handed on to the loop and to whoever waits for a change.

use super::engine_unit::SERVICE;
use super::systemd::{Listeners, Systemd, follow};
use api::engine::Unit;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{info, warn};
use zbus::Connection;

/// Changes that wait for the loop. systemd makes a handful for each start and end.
const QUEUE: usize = 64;
/// Before systemd is asked again to tell of changes.
const PAUSE: Duration = Duration::from_secs(10);

/// Each change, for the loop, and the unit as it is now, for the others.
#[derive(Debug)]
pub(crate) struct UnitWatch {
    pub(crate) changes: mpsc::Receiver<Unit>,
    pub(crate) now: watch::Receiver<Unit>,
}

impl UnitWatch {
    /// Has systemd tell of changes from now on.
    pub(crate) fn start(connection: Connection) -> Self {
        let (listeners, watch) = Self::channel();
        tokio::spawn(attend(Systemd::new(connection), listeners));
        watch
    }

    fn channel() -> (Listeners, Self) {
        let (tell, changes) = mpsc::channel(QUEUE);
        let (publish, now) = watch::channel(Unit::default());
        let listeners = Listeners {
            changes: tell,
            now: publish,
        };
        (listeners, Self { changes, now })
    }
}

async fn attend(systemd: Systemd, listeners: Listeners) {
    let mut complained = false;
    while !listeners.changes.is_closed() {
        match systemd.is_there().await {
            Ok(true) => {}
            Ok(false) => {
                info!("there is no systemd on this bus: failures of the engine are not counted");
                return;
            }
            Err(error) => warn!("cannot tell whether there is a systemd on this bus: {error}"),
        }
        if let Err(error) = follow(&systemd, SERVICE, &listeners).await
            && !complained
        {
            warn!(
                "systemd does not tell of {SERVICE}: {error}; asking again every {} s",
                PAUSE.as_secs()
            );
            complained = true;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuators::systemd::fake::{FakeSystemd, connected};
    use api::engine::{ActiveState, ServiceResult};
    use zbus::Variant;

    #[tokio::test]
    async fn each_change_is_told_in_its_order() {
        let (fake, server, client) = connected().await;
        fake.activate(SERVICE);
        let systemd = Systemd::new(client);
        let (listeners, UnitWatch { mut changes, now }) = UnitWatch::channel();
        let following = tokio::spawn(async move { follow(&systemd, SERVICE, &listeners).await });
        let first = changes.recv().await.unwrap();
        assert_eq!(
            (first.active_state, first.result),
            (ActiveState::Active, ServiceResult::Success)
        );
        let unit = "org.freedesktop.systemd1.Unit";
        let service = "org.freedesktop.systemd1.Service";
        let failed: [(&str, Variant<'_>); 4] = [
            ("Result", "core-dump".into()),
            ("ExecMainStatus", 6_i32.into()),
            ("ExecMainPID", 7_u32.into()),
            ("MemoryCurrent", 5_u64.into()),
        ];
        FakeSystemd::change(&server, SERVICE, service, &failed).await;
        let waits: [(&str, Variant<'_>); 2] = [
            ("ActiveState", "activating".into()),
            ("SubState", "auto-restart".into()),
        ];
        FakeSystemd::change(&server, SERVICE, unit, &waits).await;
        FakeSystemd::change(&server, SERVICE, service, &[("MainPID", 7_u32.into())]).await;
        let runs: [(&str, Variant<'_>); 3] = [
            ("ActiveState", "active".into()),
            ("SubState", "running".into()),
            ("InvocationID", vec![0xab_u8; 16].into()),
        ];
        FakeSystemd::change(&server, SERVICE, unit, &runs).await;
        let second = changes.recv().await.unwrap();
        assert_eq!(
            (second.result, second.exec_main_status, second.exec_main_pid),
            (ServiceResult::CoreDump, 6, 7)
        );
        let third = changes.recv().await.unwrap();
        assert_eq!(
            (third.active_state, &*third.sub_state),
            (ActiveState::Activating, "auto-restart")
        );
        let fourth = changes.recv().await.unwrap();
        assert_eq!(
            (fourth.active_state, fourth.invocation_id),
            (ActiveState::Active, "ab".repeat(16))
        );
        assert_eq!(now.borrow().n_restarts, 0);
        drop(changes);
        FakeSystemd::change(&server, SERVICE, service, &[("NRestarts", 1_u32.into())]).await;
        following.await.unwrap().unwrap();
        assert_eq!(now.borrow().n_restarts, 1);
    }
}
