//! The task, against a systemd that only notes what it is asked.

use super::*;
use crate::actuators::systemd::fake::{FakeSystemd, connected};
use api::engine::ActiveState;

/// No call takes so long, even on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until systemd has been asked for something, and returns it.
async fn asked(fake: &FakeSystemd) -> Vec<String> {
    let asked = async {
        loop {
            match fake.take_calls() {
                none if none.is_empty() => tokio::task::yield_now().await,
                calls => return calls,
            }
        }
    };
    timeout(PATIENCE, asked).await.expect("systemd is not asked")
}

fn wish(quota: Option<u32>) -> Wish {
    Wish {
        limits: EngineLimits {
            cpu_quota_percent: quota,
            ..EngineLimits::default()
        },
        ..Wish::default()
    }
}

/// The unit of an engine that runs, and what changes it.
fn running() -> (watch::Sender<Unit>, watch::Receiver<Unit>) {
    watch::channel(Unit {
        active_state: ActiveState::Active,
        sub_state: "running".to_owned(),
        invocation_id: "1".to_owned(),
        ..Unit::default()
    })
}

fn start(client: Connection, folders: Folders, wish: Wish) -> Supervision {
    Supervision::start(client, folders, wish, running().1)
}

#[tokio::test]
async fn at_the_end_everything_is_given_back() {
    let (fake, _server, client) = connected().await;
    let supervision = start(client, Folders::default(), wish(Some(20)));
    assert_eq!(asked(&fake).await, ["quota 200000"]);
    supervision.end().await;
    let calls = fake.take_calls();
    assert_eq!(
        calls.last().map(String::as_str),
        Some("quota 18446744073709551615"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_power_off_is_asked_for_once_with_its_reason_kept_and_nothing_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders {
        runtime: None,
        state: Some(folder.path().to_owned()),
    };
    let (fake, _server, client) = connected().await;
    let off = Wish {
        power_off: Some("104 °C".to_owned()),
        ..wish(Some(20))
    };
    let supervision = start(client, folders, off.clone());
    supervision.want(&off);
    supervision.end().await;
    assert_eq!(fake.take_calls(), ["start poweroff.target", "quota 200000"]);
    let kept = PowerOff::take(folder.path()).unwrap().unwrap();
    assert_eq!(kept.reason, "104 °C");
}

#[tokio::test]
async fn where_systemd_does_not_power_off_the_engine_is_held_back_all_the_same() {
    let (fake, _server, client) = connected().await;
    fake.refuse(Some("start poweroff.target"));
    let off = Wish {
        power_off: Some("104 °C".to_owned()),
        ..wish(Some(20))
    };
    let supervision = start(client, Folders::default(), off);
    assert_eq!(asked(&fake).await, ["quota 200000"]);
    fake.refuse(None);
    assert_eq!(asked(&fake).await, ["start poweroff.target"], "and tried again");
    supervision.end().await;
}

#[tokio::test]
async fn a_power_off_does_not_wait_for_an_answer_that_does_not_come() {
    let (fake, _server, client) = connected().await;
    fake.hang();
    let supervision = start(client, Folders::default(), wish(Some(20)));
    assert_eq!(asked(&fake).await, ["quota 200000"]);
    supervision.want(&Wish {
        power_off: Some("104 °C".to_owned()),
        ..wish(Some(20))
    });
    assert_eq!(asked(&fake).await[0], "start poweroff.target");
}

#[tokio::test]
async fn a_stuck_engine_is_aborted_once_and_killed_where_that_does_not_end_it() {
    let (fake, _server, client) = connected().await;
    let (unit, told) = running();
    let supervision = Supervision::start(client, Folders::default(), wish(None), told);
    let abort = |run: &str| Wish {
        abort: Some(run.to_owned()),
        ..wish(None)
    };
    supervision.want(&abort("1"));
    assert_eq!(asked(&fake).await, ["kill hearth-inferd.service 6"]);
    unit.send_modify(|unit| unit.sub_state = "auto-restart".to_owned());
    supervision.want(&Wish {
        limits: wish(Some(20)).limits,
        ..abort("1")
    });
    assert_eq!(asked(&fake).await, ["quota 200000"], "the run has ended");
    unit.send_modify(|unit| {
        unit.sub_state = "running".to_owned();
        unit.invocation_id = "2".to_owned();
    });
    supervision.want(&abort("2"));
    let mut calls = Vec::new();
    while calls.len() < 3 {
        calls.extend(asked(&fake).await);
    }
    let kill = |signal| format!("kill hearth-inferd.service {signal}");
    assert_eq!(calls, ["quota 18446744073709551615", &kill(6), &kill(9)]);
}

#[tokio::test]
async fn a_run_that_has_ended_by_itself_is_not_aborted_and_the_next_is_not_either() {
    let (fake, _server, client) = connected().await;
    let (unit, told) = running();
    unit.send_modify(|unit| unit.invocation_id = "2".to_owned());
    let supervision = Supervision::start(client, Folders::default(), wish(None), told);
    supervision.want(&Wish {
        abort: Some("1".to_owned()),
        ..wish(Some(20))
    });
    supervision.end().await;
    let calls = fake.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("kill")), "{calls:?}");
}
