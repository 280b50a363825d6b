use super::*;
use api::phase::PhaseRecord;
use engine::activity::Named;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use std::os::fd::AsRawFd;
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// hearthd's end of the socket.
struct Agent(UnixListener);

/// hearthd's end of a connection.
struct Peer(UnixStream);

impl Agent {
    fn bind(path: &Path) -> Self {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let own = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        bind(own.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        listen(&own, Backlog::new(8).unwrap()).unwrap();
        Self(UnixListener::from_std(own.into()).unwrap())
    }

    async fn accept(&self) -> Peer {
        Peer(self.0.accept().await.unwrap().0)
    }
}

impl Peer {
    /// The next record; `None` at the end.
    async fn record(&self) -> Option<PhaseRecord> {
        let mut room = [0; PhaseRecord::LENGTH + 1];
        match link::receive(&self.0, &mut room).await.unwrap() {
            [] => None,
            packet => Some(PhaseRecord::decode(packet).unwrap()),
        }
    }

    async fn order(&self, order: EngineOrder) {
        self.0.writable().await.unwrap();
        self.0.try_write(&order.encode()).unwrap();
    }
}

/// A reporter, and what it reports of.
struct Rig {
    activity: watch::Sender<Activity>,
    orders: mpsc::UnboundedReceiver<EngineOrder>,
    witness: Witness,
    folder: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Rig {
    fn socket(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("phase.sock")
    }

    fn start(folder: tempfile::TempDir) -> Self {
        let (activity, watched) = watch::channel(Activity::default());
        let (sender, orders) = mpsc::unbounded_channel();
        let obey = move |order: EngineOrder| sender.send(order).unwrap();
        let watched = Watched {
            activity: watched,
            pulse: Pulse::default(),
            witness: Witness::default(),
        };
        let witness = watched.witness.clone();
        let reporter = Reporter::new(Self::socket(&folder), watched, obey);
        Self {
            activity,
            orders,
            witness,
            folder,
            task: tokio::spawn(reporter.run()),
        }
    }

    fn becomes(&self, phase: Phase) {
        self.activity.send_modify(|activity| activity.phase = phase);
    }
}

fn folder_and_agent() -> (tempfile::TempDir, Agent) {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::bind(&Rig::socket(&folder));
    (folder, agent)
}

#[tokio::test]
async fn each_change_is_told_at_once() {
    let (folder, agent) = folder_and_agent();
    let rig = Rig::start(folder);
    let link = agent.accept().await;
    assert_eq!(link.record().await, Some(PhaseRecord::default()), "that it runs");
    for (phase, told) in [
        (Phase::Loading, machine::Phase::Loading),
        (Phase::Prefill, machine::Phase::Prefill),
        (Phase::Decode, machine::Phase::Decode),
        (Phase::Idle, machine::Phase::Idle),
    ] {
        rig.becomes(phase);
        assert_eq!(link.record().await.unwrap().phase, told);
    }
    rig.activity.send_modify(|activity| activity.queued = 3);
    assert_eq!(link.record().await.unwrap().queue_depth, 3);
}

#[tokio::test(start_paused = true)]
async fn work_is_told_of_over_and_over_and_rest_once() {
    let (folder, agent) = folder_and_agent();
    let rig = Rig::start(folder);
    let link = agent.accept().await;
    link.record().await.unwrap();
    rig.becomes(Phase::Decode);
    link.record().await.unwrap();
    let start = Instant::now();
    for progress in 1..=4 {
        rig.activity.send_if_modified(|activity| {
            activity.progress = progress;
            false
        });
        assert_eq!(link.record().await.unwrap().progress, progress);
    }
    let interval = Duration::from_millis(REPORT_INTERVAL_MS);
    assert!(start.elapsed() <= 4 * interval + Duration::from_millis(4));
    rig.becomes(Phase::Idle);
    link.record().await.unwrap();
    let silence = tokio::time::timeout(Duration::from_secs(3600), link.record()).await;
    assert!(silence.is_err(), "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn hearthd_may_come_late_and_go_and_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder);
    rig.becomes(Phase::Prefill);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let path = Rig::socket(&rig.folder);
    for _ in 0..3 {
        let agent = Agent::bind(&path);
        let start = Instant::now();
        let link = agent.accept().await;
        assert_eq!(link.record().await.unwrap().phase, machine::Phase::Prefill);
        assert!(start.elapsed() <= LONGEST_PAUSE + Duration::from_millis(1));
        std::fs::remove_file(&path).unwrap();
    }
    assert!(!rig.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_hearthd_that_hangs_up_at_once_is_sought_ever_more_seldom() {
    let (folder, agent) = folder_and_agent();
    let rig = Rig::start(folder);
    let start = Instant::now();
    for _ in 0..8 {
        drop(agent.accept().await);
    }
    assert!(start.elapsed() >= FIRST_PAUSE * 127, "{:?}", start.elapsed());
    assert!(!rig.task.is_finished());
}

#[tokio::test]
async fn orders_are_followed_and_end_with_hearthd() {
    let (folder, agent) = folder_and_agent();
    let mut rig = Rig::start(folder);
    let link = agent.accept().await;
    let slots = |slots| EngineOrder {
        slots,
        ..EngineOrder::default()
    };
    link.order(slots(None)).await;
    assert_eq!(rig.orders.recv().await, Some(slots(None)), "the first is news");
    link.order(slots(None)).await;
    link.order(slots(Some(2))).await;
    assert_eq!(
        rig.orders.recv().await,
        Some(slots(Some(2))),
        "what is in force is no news"
    );
    drop(link);
    assert_eq!(rig.orders.recv().await, Some(slots(None)));
}

#[tokio::test]
async fn a_quarantine_outlasts_hearthd() {
    let (folder, agent) = folder_and_agent();
    let mut rig = Rig::start(folder);
    let link = agent.accept().await;
    let quarantine = EngineOrder {
        fallback: 1,
        quarantined: [2, 0, 0, 0, 0, 0, 0, 0],
        ..EngineOrder::default()
    };
    let order = EngineOrder {
        slots: Some(1),
        context: Some(512),
        ..quarantine
    };
    link.order(order).await;
    assert_eq!(rig.orders.recv().await, Some(order));
    drop(link);
    assert_eq!(rig.orders.recv().await, Some(quarantine));
}

#[tokio::test]
async fn each_order_is_answered() {
    let (folder, agent) = folder_and_agent();
    let _rig = Rig::start(folder);
    let link = agent.accept().await;
    link.record().await.unwrap();
    for _ in 0..3 {
        link.order(EngineOrder::default()).await;
        link.record().await.unwrap();
    }
}

#[tokio::test]
async fn without_hearthd_nobody_waits_for_an_order() {
    let mut rig = Rig::start(tempfile::tempdir().unwrap());
    assert_eq!(rig.orders.recv().await, Some(EngineOrder::default()));
}

#[tokio::test]
async fn a_load_is_known_to_hearthd_before_it_goes_on() {
    let (folder, agent) = folder_and_agent();
    let rig = Rig::start(folder);
    let link = agent.accept().await;
    link.record().await.unwrap();
    rig.activity.send_modify(|activity| {
        activity.loads = 1;
        activity.model = Some(Named {
            name: "tiny".into(),
            tag: 7,
        });
    });
    let witness = rig.witness.clone();
    let waited = tokio::task::spawn_blocking(move || witness.wait(1, Duration::from_secs(600)));
    assert!(waited.await.unwrap());
    // The packet is in the kernel's hands: nothing is waited for.
    let mut room = [0; PhaseRecord::LENGTH + 1];
    let length = link.0.try_read(&mut room).unwrap();
    assert_eq!(PhaseRecord::decode(&room[..length]).unwrap().model, 7);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped() {
    let (folder, agent) = folder_and_agent();
    let link = Link::connect(&Rig::socket(&folder)).unwrap();
    let read = agent.accept().await;
    let packet = PhaseRecord::default().encode();
    let sent = (0..100_000).take_while(|_| link.send(&packet).unwrap()).count();
    assert!((1..100_000).contains(&sent), "{sent}");
    for _ in 0..sent {
        read.record().await.unwrap();
    }
    assert!(link.send(&packet).unwrap());
    drop((read, agent));
    assert!(link.send(&packet).is_err());
}

#[tokio::test]
async fn the_report_ends_with_the_engine() {
    let (folder, agent) = folder_and_agent();
    let rig = Rig::start(folder);
    let link = agent.accept().await;
    link.record().await.unwrap();
    drop(rig.activity);
    rig.task.await.unwrap();
    assert_eq!(link.record().await, None);
}
