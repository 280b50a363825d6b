//! The task, against a systemd that only notes what it is asked.

use super::*;
use crate::actuators::systemd::fake::{FakeSystemd, connected};
use api::engine::{ActiveState, UnitLimits};
use machine::Bytes;

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

/// What an administrator wants, by so many orders.
fn ordered(orders: u64, held: bool, memory_max: Option<u64>) -> Wish {
    Wish {
        administered: Administered {
            held_since: held.then_some(OffsetDateTime::UNIX_EPOCH),
            limits: UnitLimits {
                memory_max: memory_max.map(Bytes),
                ..UnitLimits::default()
            },
        },
        orders,
        ..wish(None)
    }
}

const STOPPED: [&str; 2] = ["stop hearth-inferd.socket", "stop hearth-inferd.service"];

#[tokio::test]
async fn a_stop_is_a_hold_until_a_start_which_waits_for_systemds_job() {
    let (fake, _server, client) = connected().await;
    let supervision = start(client, Folders::default(), wish(None));
    supervision.want(&ordered(1, true, None));
    supervision.carry_out(Errand::Nothing).await.unwrap();
    assert_eq!(fake.take_calls(), STOPPED);
    supervision.want(&ordered(2, false, None));
    supervision.carry_out(Errand::Start).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["start hearth-inferd.socket", "start hearth-inferd.service"]
    );
    supervision.want(&ordered(3, false, None));
    supervision.carry_out(Errand::Restart).await.unwrap();
    assert_eq!(fake.take_calls(), ["restart hearth-inferd.service"]);
}

#[tokio::test]
async fn heat_does_not_wait_while_an_engine_that_was_ordered_to_stop_parks() {
    let (fake, _server, client) = connected().await;
    fake.make_stubborn();
    let held = ordered(1, true, None);
    let supervision = start(client, Folders::default(), held.clone());
    let until_stop = async || {
        let mut calls = Vec::new();
        while calls.last().is_none_or(|last| last != STOPPED[1]) {
            calls.extend(asked(&fake).await);
        }
        calls
    };
    assert_eq!(until_stop().await, STOPPED);
    let hot = Wish {
        limits: EngineLimits {
            stopped: true,
            ..EngineLimits::default()
        },
        ..held.clone()
    };
    supervision.want(&hot);
    assert_eq!(until_stop().await, STOPPED, "once more, and no kill before it");
    assert_eq!((held.grace(), hot.grace()), (Grace::OF_ORDER, Grace::OF_HEAT));
}

#[test]
fn only_a_power_off_and_heat_that_stops_do_not_wait() {
    let hot = |stopped| Wish {
        limits: EngineLimits {
            stopped,
            ..EngineLimits::default()
        },
        ..ordered(2, false, None)
    };
    let off = Wish {
        power_off: Some("104 °C".to_owned()),
        ..hot(true)
    };
    let held = ordered(1, true, None);
    assert!(hot(true).outdoes(&held) && off.outdoes(&held) && off.outdoes(&hot(true)));
    assert!(!hot(false).outdoes(&held) && !held.outdoes(&hot(true)));
    assert!(!hot(true).outdoes(&hot(true)) && !off.outdoes(&off));
}

#[tokio::test]
async fn an_order_that_another_has_overtaken_is_neither_run_nor_told_as_done() {
    let (fake, _server, client) = connected().await;
    let supervision = start(client, Folders::default(), wish(None));
    for (first, then, errand, why) in [
        (
            false,
            ordered(2, true, None),
            Errand::Start,
            "another order has stopped",
        ),
        (
            true,
            ordered(4, false, None),
            Errand::Stop,
            "another order has started",
        ),
        (
            false,
            Wish {
                limits: EngineLimits {
                    stopped: true,
                    ..EngineLimits::default()
                },
                ..ordered(5, false, None)
            },
            Errand::Restart,
            "heat has stopped",
        ),
    ] {
        supervision.want(&ordered(then.orders - 1, first, None));
        let carried_out = supervision.carry_out(errand);
        supervision.want(&then);
        let error = carried_out.await.unwrap_err();
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
    let calls = fake.take_calls().concat();
    assert!(!calls.contains("start hearth-inferd.service"), "{calls}");
}

#[tokio::test]
async fn a_job_that_fails_is_told_with_systemds_word_and_not_tried_again() {
    let (fake, _server, client) = connected().await;
    let supervision = start(client, Folders::default(), wish(None));
    fake.end_jobs_as("failed");
    supervision.want(&ordered(1, false, None));
    let error = supervision.carry_out(Errand::Start).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("the job ended as `failed`"),
        "{error:#}"
    );
    supervision.want(&ordered(2, false, None));
    supervision.carry_out(Errand::Nothing).await.unwrap();
    assert_eq!(fake.take_calls(), ["start hearth-inferd.service"]);
    supervision.want(&ordered(3, true, None));
    let error = supervision.carry_out(Errand::Nothing).await.unwrap_err();
    assert!(format!("{error:#}").contains("does not stop"), "{error:#}");
}

#[tokio::test]
async fn the_end_of_the_machine_waits_neither_for_an_engine_that_parks_nor_for_what_cannot_be_done() {
    let (fake, _server, client) = connected().await;
    fake.make_stubborn();
    let supervision = start(client, Folders::default(), ordered(1, true, None));
    while asked(&fake).await.last().is_none_or(|last| last != STOPPED[1]) {}
    supervision.want(&ordered(2, true, None));
    let ending = Errand::End(Ending::PowerOff);
    supervision.carry_out(ending).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["start poweroff.target"],
        "before the engine's grace is over"
    );

    let (fake, _server, client) = connected().await;
    fake.end_jobs_as("failed");
    let supervision = start(client, Folders::default(), ordered(1, true, None));
    supervision.carry_out(Errand::Stop).await.unwrap_err();
    fake.take_calls();
    let ending = Errand::End(Ending::Reboot);
    supervision.carry_out(ending).await.unwrap();
    let calls = fake.take_calls();
    assert!(calls.contains(&"start reboot.target".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn neither_heat_nor_an_administrator_lets_an_engine_run_that_the_other_holds() {
    let (fake, _server, client) = connected().await;
    let hot = |wish: Wish| Wish {
        limits: EngineLimits {
            stopped: true,
            ..EngineLimits::default()
        },
        ..wish
    };
    let supervision = start(client, Folders::default(), hot(ordered(1, false, None)));
    supervision.carry_out(Errand::Nothing).await.unwrap();
    assert_eq!(fake.take_calls(), STOPPED);
    for (wish, calls) in [
        (hot(ordered(2, true, None)), &[][..]),
        (ordered(3, true, None), &[]),
        (hot(ordered(4, false, None)), &[]),
        (ordered(5, false, None), &["start hearth-inferd.socket"]),
    ] {
        supervision.want(&wish);
        supervision.carry_out(Errand::Nothing).await.unwrap();
        assert_eq!(fake.take_calls(), calls, "{wish:?}");
    }
}

#[tokio::test]
async fn at_the_end_limits_are_given_back_and_a_hold_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders {
        runtime: Some(folder.path().to_owned()),
        state: None,
    };
    let (fake, _server, client) = connected().await;
    fake.set_memory_max(800);
    let wanted = ordered(1, true, Some(500));
    let supervision = start(client.clone(), folders.clone(), wanted.clone());
    supervision.carry_out(Errand::Nothing).await.unwrap();
    assert_eq!(fake.take_calls(), [&STOPPED[..], &["MemoryMax 500"]].concat());
    let limits = supervision.limits().await.unwrap();
    let memory_max = [limits.chosen, limits.in_force, limits.own].map(|limits| limits.memory_max);
    assert_eq!(memory_max, [Some(Bytes(500)), Some(Bytes(500)), Some(Bytes(800))]);
    supervision.end().await;
    assert_eq!(
        fake.take_calls(),
        ["MemoryMax 800"],
        "who has stopped the engine has not started it"
    );

    let next = start(client, folders, wanted);
    next.carry_out(Errand::Nothing).await.unwrap();
    assert_eq!(fake.take_calls(), ["MemoryMax 500"], "and again after a start");
    next.want(&ordered(2, false, None));
    next.carry_out(Errand::Nothing).await.unwrap();
    assert_eq!(fake.take_calls(), ["start hearth-inferd.socket", "MemoryMax 800"]);
}
