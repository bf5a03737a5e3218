//! Networks of rooms: how one is made so that every address leads to the node, and how one is used again.
//!
//! **Why again.** The kernel takes half a millisecond to make a network namespace, and as long as it takes older ones away (`cleanup_net`, which waits
//! for grace periods under a lock that makers need as well) ten. Programs that run once per call, or come back from zero, would wait for the
//! networks of those before them. Nothing of a program is left in its network but sockets that wait for their time to be over (TIME_WAIT), and
//! the kernel is told to let none wait: they guard against packets that come late, and on loopback none does.
//!
//! **How.** A network is kept by a descriptor, with that of its user namespace where the node is not root. Rooms of the same wall (of one function, then) take
//! it from [`Networks`]; whoever finds something in it makes a new one.
//!
//! **Invariants.** A network has one room at a time, and the next one only when nothing of the last lives. One in which a connection is left (this network, whatever else the machine has), for as long as
//! its ports may still be taken, is not used again ([`Step::Deserted`]): a kernel that lets them wait all the same makes a start slower, not wrong.

use super::step::Step;
use hob_core::limit::WALL_NETWORKS_KEPT_MAX;
use std::collections::VecDeque;
use std::ffi::{c_int, c_ulong};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// linux/sockios.h: the network namespace of a socket.
const NETWORK_OF_SOCKET: c_ulong = 0x894c;
/// linux/nsfs.h: the user namespace that a namespace belongs to.
const USER_OF_NAMESPACE: c_ulong = 0xb701;

/// A network without a room.
#[derive(Debug)]
pub(super) struct Network {
    namespace: OwnedFd,
    /// The user namespace that it belongs to, if it is not the node's.
    user: Option<OwnedFd>,
}

impl Network {
    /// That of a socket; `None` where the kernel does not say.
    pub(super) fn of(socket: BorrowedFd<'_>) -> Option<Self> {
        let namespace = asked(socket, NETWORK_OF_SOCKET)?;
        let user = match rustix::process::geteuid().is_root() {
            true => None,
            false => Some(asked(namespace.as_fd(), USER_OF_NAMESPACE)?),
        };
        Some(Self { namespace, user })
    }

    /// The steps into it and, of the other `namespaces` of a room, into new ones.
    pub(super) fn enter(&self, namespaces: c_int) -> Vec<Step> {
        let user = self.user.iter().map(|user| Step::Join(user.as_raw_fd(), libc::CLONE_NEWUSER));
        let network = Step::Join(self.namespace.as_raw_fd(), libc::CLONE_NEWNET);
        let others = Step::Unshare(namespaces & !libc::CLONE_NEWNET);
        user.chain([network, Step::Deserted, others]).collect()
    }
}

/// A descriptor that the kernel gives for another.
fn asked(of: BorrowedFd<'_>, question: c_ulong) -> Option<OwnedFd> {
    // SAFETY: neither question has an argument; a descriptor that comes back is nobody else's.
    unsafe {
        let answer = libc::ioctl(of.as_raw_fd(), question as _);
        (answer >= 0).then(|| OwnedFd::from_raw_fd(answer))
    }
}

/// Networks that wait for their next room, by wall.
#[derive(Debug, Default)]
pub(super) struct Networks {
    kept: Mutex<VecDeque<(u64, Network)>>,
    walls: AtomicU64,
}

impl Networks {
    /// A number for a new wall.
    pub(super) fn next_wall(&self) -> u64 {
        self.walls.fetch_add(1, Ordering::Relaxed)
    }

    /// The one of a wall that was used last.
    pub(super) fn take(&self, wall: u64) -> Option<Network> {
        let mut kept = self.lock();
        let at = kept.iter().rposition(|(of, _)| *of == wall)?;
        kept.remove(at).map(|(_, network)| network)
    }

    /// Keeps it, and lets go of the oldest where there are too many.
    pub(super) fn put(&self, wall: u64, network: Network) {
        let mut kept = self.lock();
        kept.push_back((wall, network));
        let gone = (kept.len() > WALL_NETWORKS_KEPT_MAX).then(|| kept.pop_front());
        drop(kept);
        drop(gone);
    }

    /// Lets go of all of a wall.
    pub(super) fn forget(&self, wall: u64) {
        self.lock().retain(|(of, _)| *of != wall);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Network)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The steps that make a new network one in which every address leads to the node, and datagrams nowhere but to loopback.
pub(super) fn lead_here() -> Vec<Step> {
    let own = |message: Message| message.bytes();
    let everything = Message::route(V4, TABLE_LOCAL);
    // Each ends in a network that works; a kernel without IPv6 or without rules keeps it as it is.
    let v6 = [Message::route(V6, TABLE_MAIN), Message::rule(V6, 1).of_datagrams().refusing()];
    // The C library and Go look which of their addresses a connection would have by connecting datagrams; programs
    // that time out otherwise (QUIC, NTP) see at once that there is no way. Connections need their local
    // addresses in the first table, so it is that one which is asked later.
    let v4 = [
        Message::rule(V4, 0).for_loopback().leading_to(TABLE_LOCAL),
        Message::rule(V4, 1).of_datagrams().refusing(),
        Message::rule(V4, 2).leading_to(TABLE_LOCAL),
        Message::rule(V4, 0).leading_to(TABLE_LOCAL).removing(),
    ];
    vec![
        // tcp(7), `tcp_max_tw_buckets`.
        Step::Set(c"/proc/sys/net/ipv4/tcp_max_tw_buckets".to_owned(), b"0".to_vec()),
        Step::Loopback,
        Step::Route(own(everything)),
        Step::Routes(v6.into_iter().map(own).collect()),
        Step::Routes(v4.into_iter().map(own).collect()),
    ]
}

const V4: u8 = 2;
const V6: u8 = 10;
const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u8 = 255;

/// A message to the kernel's routing (rtnetlink(7), linux/fib_rules.h).
struct Message {
    kind: u16,
    flags: u16,
    header: [u8; 12],
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// A request that wants an answer, to create something.
    const CREATE: u16 = 0x405;
    const REMOVE: u16 = 0x005;

    /// `ip route add local <everything> dev lo`: whatever is connected to, it is here.
    fn route(family: u8, table: u8) -> Self {
        const NEW_ROUTE: u16 = 24;
        const DEVICE: u16 = 4;
        /// The number of the loopback device, which comes first in every network.
        const LOOPBACK_DEVICE: u32 = 1;
        // The family, no prefix, the table, who made it (an administrator), the scope `host`, the type `local`.
        let header = [family, 0, 0, 0, table, 4, 254, 2, 0, 0, 0, 0];
        let attributes = vec![(DEVICE, LOOPBACK_DEVICE.to_ne_bytes().to_vec())];
        Self { kind: NEW_ROUTE, flags: Self::CREATE, header, attributes }
    }

    /// `ip rule add pref <priority>`.
    fn rule(family: u8, priority: u32) -> Self {
        const NEW_RULE: u16 = 32;
        const PRIORITY: u16 = 6;
        let attributes = vec![(PRIORITY, priority.to_ne_bytes().to_vec())];
        Self {
            kind: NEW_RULE,
            flags: Self::CREATE,
            header: [family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            attributes,
        }
    }

    /// `to 127.0.0.0/8`.
    fn for_loopback(mut self) -> Self {
        const TO: u16 = 1;
        self.header[1] = 8;
        self.attributes.push((TO, vec![127, 0, 0, 0]));
        self
    }

    /// `ipproto udp`.
    fn of_datagrams(mut self) -> Self {
        const PROTOCOL: u16 = 22;
        const UDP: u8 = 17;
        self.attributes.push((PROTOCOL, vec![UDP]));
        self
    }

    /// `lookup <table>`.
    fn leading_to(mut self, table: u8) -> Self {
        const TO_TABLE: u8 = 1;
        (self.header[4], self.header[7]) = (table, TO_TABLE);
        self
    }

    /// `unreachable`.
    fn refusing(mut self) -> Self {
        const UNREACHABLE: u8 = 7;
        self.header[7] = UNREACHABLE;
        self
    }

    /// `ip rule del`.
    fn removing(mut self) -> Self {
        const DEL_RULE: u16 = 33;
        (self.kind, self.flags) = (DEL_RULE, Self::REMOVE);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        const HEADER_BYTES: usize = 16;
        const ALIGNED: usize = 4;
        let mut body = self.header.to_vec();
        for (kind, value) in &self.attributes {
            let length = u16::try_from(ALIGNED + value.len()).unwrap_or_default();
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(ALIGNED), 0);
        }
        let mut message = Vec::new();
        message.extend(u32::try_from(HEADER_BYTES + body.len()).unwrap_or_default().to_ne_bytes());
        message.extend(self.kind.to_ne_bytes());
        message.extend(self.flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        message
    }
}
