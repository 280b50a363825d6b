//! How it gets on with systemd.

use crate::{engine::DEADLINE, process::Setup};
use std::{
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    process::Command,
};

#[test]
fn it_tells_that_it_is_ready_alive_and_stopping() {
    let setup = Setup::new();
    let path = setup.folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = setup.serve_command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let gateway = setup.start(command);
    let wait_for = |wanted: &str| {
        let mut buffer = [0; 256];
        while {
            let length = manager.recv(&mut buffer).unwrap();
            !String::from_utf8_lossy(&buffer[..length])
                .lines()
                .any(|line| line == wanted)
        } {}
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    gateway.terminate();
    wait_for("STOPPING=1");
    assert!(gateway.wait().success());
}

/// The test is not the child's parent in the way systemd is, so a shell puts the socket in its place.
fn inheriting(name: &str, setup: &Setup) -> Command {
    let listener = UnixListener::bind(setup.local()).unwrap();
    let serve = setup.serve_command();
    let mut command = Command::new("sh");
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$0 exec \"$@\" 3<&0 </dev/null";
    command
        .args(["-c", script, name])
        .arg(serve.get_program())
        .args(serve.get_args());
    command
        .env_remove("JOURNAL_STREAM")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("CREDENTIALS_DIRECTORY");
    command.stdin(OwnedFd::from(listener));
    command
}

#[test]
fn it_inherits_the_local_socket_by_its_name() {
    let setup = Setup::new();
    let gateway = setup.start(inheriting("local", &setup));
    assert_eq!(gateway.ask_locally("GET /api/v1/tokens", "").status, 200);
}

#[test]
fn a_socket_by_another_name_is_an_error() {
    let setup = Setup::new();
    let output = inheriting("other", &setup).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("\"local\"") && log.contains("\"other\""), "{log}");
}
