use super::*;
use nix::sys::epoll::EpollTimeout;
use nix::sys::socket::{MsgFlags, getsockname, sendto};

#[test]
fn a_kernel_without_news_keeps_nobody_waiting() {
    let mut events = KernelEvents::open().unwrap();
    while events.next().unwrap().is_some() {}
    assert!(events.families().len() <= 2);
}

/// On sockets on which programs may talk to each other, which the kernel's own do not let everybody do.
#[test]
fn one_descriptor_is_ready_for_both_sockets_and_a_program_is_not_believed() {
    let socket = || listen(SockProtocol::NetlinkUserSock, 0).unwrap();
    let (uevents, notices, sender) = (socket(), socket(), socket());
    let port = |socket: &OwnedFd| getsockname::<NetlinkAddr>(socket.as_raw_fd()).unwrap().pid();
    let ports = [port(&uevents), port(&notices)];
    let mut events = KernelEvents::over(uevents, Some((notices, Vec::new()))).unwrap();

    let outer = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    outer
        .add(
            &events,
            EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 7),
        )
        .unwrap();
    let is_ready = |timeout| outer.wait(&mut [EpollEvent::empty()], timeout).unwrap() == 1;
    let forged = b"change@/x\0ACTION=change\0SUBSYSTEM=power_supply\0";
    for port in [ports[0], ports[1], ports[0]] {
        assert!(!is_ready(EpollTimeout::ZERO));
        let to = NetlinkAddr::new(port, 0);
        sendto(sender.as_raw_fd(), forged, &to, MsgFlags::empty()).unwrap();
        assert!(is_ready(EpollTimeout::NONE));
        assert_eq!(events.next().unwrap(), None);
    }
}

#[test]
fn an_overrun_is_told() {
    let socket = || listen(SockProtocol::NetlinkUserSock, 1 << 8).unwrap();
    let (uevents, sender) = (socket(), socket());
    let mut events = KernelEvents::over(uevents, None).unwrap();
    // Broadcasts that nobody fetches fill the buffer until one is thrown away.
    let all = NetlinkAddr::new(0, 1 << 8);
    for _ in 0..4096 {
        // The kernel, to which it goes as well, does not listen on this protocol.
        let sent = sendto(sender.as_raw_fd(), &[0; 4096], &all, MsgFlags::empty());
        assert_eq!(sent, Err(Errno::ECONNREFUSED));
    }
    assert_eq!(events.next().unwrap(), Some(KernelEvent::Lost));
    assert_eq!(events.next().unwrap(), None);
}
