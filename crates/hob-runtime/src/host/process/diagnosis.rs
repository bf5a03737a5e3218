//! Whose socket listens on a port: asked of the kernel's socket diagnosis (`sock_diag`(7), linux/inet_diag.h).
//!
//! **Why.** The table in `/proc/net/tcp` says the same, and takes tens of milliseconds to read: the kernel walks through
//! all places where a connection could be. This question is about one port, and answered in microseconds.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use std::net::Ipv4Addr;

const MESSAGE_HEAD_BYTES: usize = 16;
const QUESTION_BYTES: usize = 56;
/// Where `idiag_inode` lies in an answer.
const INODE_AT: usize = MESSAGE_HEAD_BYTES + 68;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const TCP: u8 = 6;
const INET: u8 = 2;

/// The inode of the socket that listens on a TCP port of the loopback address, in the network of this process. `None` where
/// there is none, or the kernel does not say.
pub(super) fn listener(port: u16) -> Option<u64> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::SOCK_DIAG)).ok()?;
    send(&socket, &question(port), SendFlags::empty()).ok()?;
    // The kernel has answered when the question has been sent.
    let mut answer = [0; 256];
    let (read, _) = recv(&socket, &mut answer, RecvFlags::empty()).ok()?;
    inode(answer.get(..read)?)
}

/// Which socket is at this port of the loopback address, connected to nobody.
fn question(port: u16) -> [u8; MESSAGE_HEAD_BYTES + QUESTION_BYTES] {
    let mut bytes = [0; MESSAGE_HEAD_BYTES + QUESTION_BYTES];
    let mut at = 0;
    let mut put = |part: &[u8]| {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    // `nlmsghdr`.
    put(&u32::try_from(MESSAGE_HEAD_BYTES + QUESTION_BYTES).unwrap_or_default().to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&REQUEST.to_ne_bytes());
    put(&[0; 8]);
    // `inet_diag_req_v2`: family, protocol, nothing more than the message, any state.
    put(&[INET, TCP, 0, 0]);
    put(&u32::MAX.to_ne_bytes());
    // `inet_diag_sockid`: ports and addresses from here to there, any device, no cookie.
    put(&port.to_be_bytes());
    put(&[0; 2]);
    put(&Ipv4Addr::LOCALHOST.octets());
    put(&[0; 28]);
    put(&[0; 4]);
    put(&[0xff; 8]);
    bytes
}

/// What an answer says, if it is one.
fn inode(answer: &[u8]) -> Option<u64> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let inode = u32::from_ne_bytes(answer.get(INODE_AT..INODE_AT + 4)?.try_into().ok()?);
    (kind == BY_FAMILY && inode != 0).then_some(u64::from(inode))
}

#[cfg(test)]
mod tests {
    use super::listener;
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt as _;

    /// The inode of an open file.
    fn of(socket: &TcpListener) -> u64 {
        let fd = std::os::fd::AsRawFd::as_raw_fd(socket);
        std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino()
    }

    #[test]
    fn whoever_listens_on_a_port_is_found_and_who_is_connected_is_not() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let local = socket.local_addr().unwrap();
            let client = std::net::TcpStream::connect(("127.0.0.1", local.port())).unwrap();
            assert_eq!(listener(local.port()), Some(of(&socket)), "{address}");
            assert_eq!(listener(client.local_addr().unwrap().port()), None, "{address}");
            drop((client, socket));
            assert_eq!(listener(local.port()), None, "{address}");
        }
    }
}
