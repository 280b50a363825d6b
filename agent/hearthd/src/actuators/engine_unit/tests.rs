//! The engine's unit, against a systemd that only notes what it is asked.

use super::*;
use crate::actuators::systemd::fake::{FakeSystemd, connected};
use machine::Bytes;
use std::path::Path;

const HALF: EngineLimits = EngineLimits {
    cpu_quota_percent: Some(50),
    slots: None,
    stopped: false,
};
const STOPPED: EngineLimits = EngineLimits {
    stopped: true,
    ..HALF
};
const FREE: EngineLimits = EngineLimits {
    cpu_quota_percent: None,
    ..HALF
};

/// A folder for the unit's file, systemd, and the unit.
async fn unit(folder: &Path) -> (FakeSystemd, EngineUnit, zbus::Connection) {
    let (fake, server, client) = connected().await;
    let file = folder.join("engine-unit.json");
    (fake, EngineUnit::new(Systemd::new(client), Some(file)), server)
}

#[tokio::test]
async fn time_is_rationed_once_and_given_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.set_quota(700_000);
    for _ in 0..2 {
        unit.hold_back(&HALF, Grace::OF_HEAT).await.unwrap();
    }
    assert_eq!(fake.take_calls(), ["quota 500000"]);
    let most = EngineLimits {
        cpu_quota_percent: Some(90),
        ..FREE
    };
    unit.hold_back(&most, Grace::OF_HEAT).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["quota 700000"],
        "the administrator's own stays the most"
    );
    assert!(folder.path().join("engine-unit.json").exists());
    unit.hold_back(&FREE, Grace::OF_HEAT).await.unwrap();
    assert_eq!(fake.take_calls(), Vec::<String>::new(), "it holds that already");
    assert!(!folder.path().join("engine-unit.json").exists());
}

#[tokio::test]
async fn an_engine_that_is_stopped_is_not_started_by_its_socket_until_it_may_run() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    for _ in 0..2 {
        unit.hold_back(&STOPPED, Grace::OF_HEAT).await.unwrap();
    }
    assert_eq!(
        fake.take_calls(),
        [
            "quota 500000",
            "stop hearth-inferd.socket",
            "stop hearth-inferd.service"
        ]
    );
    fake.activate(SERVICE);
    unit.hold_back(&STOPPED, Grace::OF_HEAT).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["stop hearth-inferd.socket", "stop hearth-inferd.service"],
        "whoever has started it meanwhile"
    );
    unit.hold_back(&FREE, Grace::OF_HEAT).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["quota 18446744073709551615", "start hearth-inferd.socket"]
    );
}

#[tokio::test]
async fn a_socket_that_somebody_else_had_stopped_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.deactivate(SOCKET);
    unit.hold_back(&STOPPED, Grace::OF_HEAT).await.unwrap();
    fake.take_calls();
    unit.hold_back(&FREE, Grace::OF_HEAT).await.unwrap();
    assert_eq!(fake.take_calls(), ["quota 18446744073709551615"]);
}

#[tokio::test]
async fn an_engine_that_does_not_end_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.make_stubborn();
    unit.hold_back(&STOPPED, Grace(Duration::ZERO)).await.unwrap();
    assert_eq!(fake.take_calls().last().unwrap(), "kill hearth-inferd.service 9");
}

#[tokio::test]
async fn a_job_that_comes_to_nothing_is_an_error_with_systemds_word() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.end_jobs_as("canceled");
    let error = unit.hold_back(&STOPPED, Grace::OF_HEAT).await.unwrap_err();
    let error = format!("{:#}", anyhow::Error::new(error));
    assert!(error.contains("canceled") && error.contains(SOCKET), "{error}");
}

#[tokio::test]
async fn what_a_crash_has_left_is_undone_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut crashed, _server) = unit(folder.path()).await;
    crashed.hold_back(&STOPPED, Grace::OF_HEAT).await.unwrap();
    fake.take_calls();
    let mut next = EngineUnit::new(crashed.systemd.clone(), crashed.file.clone());
    drop(crashed);
    next.hold_back(&FREE, Grace::OF_HEAT).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["quota 18446744073709551615", "start hearth-inferd.socket"]
    );
}

#[tokio::test]
async fn a_refusal_is_told_and_the_next_try_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.refuse(Some(""));
    let error = unit.hold_back(&HALF, Grace::OF_HEAT).await.unwrap_err();
    assert!(error.to_string().contains(SERVICE), "{error}");
    fake.refuse(None);
    unit.hold_back(&HALF, Grace::OF_HEAT).await.unwrap();
    assert_eq!(fake.take_calls(), ["quota 500000"]);
}

#[tokio::test]
async fn an_engine_that_cannot_be_rationed_is_stopped_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.refuse(Some("quota"));
    let error = unit.hold_back(&STOPPED, Grace::OF_HEAT).await.unwrap_err();
    assert!(error.to_string().contains("ration"), "{error}");
    assert_eq!(
        fake.take_calls(),
        ["stop hearth-inferd.socket", "stop hearth-inferd.service"]
    );
}

fn limits(memory_max: Option<u64>, allowed_cpus: Option<&[u32]>) -> UnitLimits {
    UnitLimits {
        memory_max: memory_max.map(Bytes),
        allowed_cpus: allowed_cpus.map(<[u32]>::to_vec),
        ..UnitLimits::default()
    }
}

#[tokio::test]
async fn only_limits_that_are_chosen_are_set_and_each_is_given_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.set_memory_max(800);
    unit.limit(&limits(None, None)).await.unwrap();
    assert_eq!(fake.take_calls(), Vec::<String>::new(), "nothing is chosen");
    for _ in 0..2 {
        unit.limit(&limits(Some(500), Some(&[0, 1]))).await.unwrap();
    }
    assert_eq!(fake.take_calls(), ["MemoryMax 500", "AllowedCPUs [3]"]);
    unit.limit(&limits(Some(600), None)).await.unwrap();
    assert_eq!(fake.take_calls(), ["MemoryMax 600", "AllowedCPUs []"]);
    unit.limit(&limits(None, None)).await.unwrap();
    assert_eq!(fake.take_calls(), ["MemoryMax 800"]);
    assert!(!folder.path().join("engine-unit.json").exists());
}

#[tokio::test]
async fn a_crash_does_not_lose_what_the_unit_had_before_anything_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut crashed, _server) = unit(folder.path()).await;
    fake.set_memory_max(800);
    crashed.limit(&limits(Some(500), None)).await.unwrap();
    crashed.hold_back(&HALF, Grace::OF_HEAT).await.unwrap();
    fake.take_calls();
    let mut next = EngineUnit::new(crashed.systemd.clone(), crashed.file.clone());
    drop(crashed);
    next.limit(&limits(Some(400), None)).await.unwrap();
    next.limit(&limits(None, None)).await.unwrap();
    assert_eq!(fake.take_calls(), ["MemoryMax 400", "MemoryMax 800"]);
    next.hold_back(&FREE, Grace::OF_HEAT).await.unwrap();
    assert_eq!(
        fake.take_calls(),
        ["quota 18446744073709551615"],
        "limits and quota do not disturb one another"
    );
}

#[tokio::test]
async fn limits_that_systemd_refuses_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, mut unit, _server) = unit(folder.path()).await;
    fake.refuse(Some("MemoryMax"));
    let error = unit.limit(&limits(Some(500), None)).await.unwrap_err();
    assert!(error.to_string().contains("resources"), "{error}");
    fake.refuse(None);
    unit.limit(&limits(Some(500), None)).await.unwrap();
    assert_eq!(fake.take_calls(), ["MemoryMax 500"]);
}
