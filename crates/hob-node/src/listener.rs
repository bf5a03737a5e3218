//! Listening sockets: bound before any work is done, accepting until told to stop.
//!
//! **How.** [`Listener::bind`] takes the address; [`accept`] hands each connection to a function, at most
//! so many at a time. At the limit, and when the machine has no more file descriptors, new connections
//! wait in the kernel's queue instead of failing. One client has only so many of them, where [`Open`] says so:
//! further ones are closed, so that it cannot keep all others out.

use crate::sync::lock;
use crate::task::Tasks;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    CONNECTIONS_FILES_PERCENT, CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX, LISTEN_BACKLOG,
};
use hob_core::share::door::{Client, Door};
use hob_core::share::probation::Probation;
use hob_runtime::machine;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long a listener waits after the machine could not give it a connection.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Connections that are accepted before others have their turn.
const ACCEPTED_IN_A_ROW: u32 = 16;

/// A bound address.
pub(crate) enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// An accepted connection.
pub(crate) enum Connection {
    /// From a TCP port, with the peer's address.
    Tcp(TcpStream, SocketAddr),
    /// From a unix socket.
    Unix(UnixStream),
}

impl Listener {
    /// Listens on a TCP address; port 0 picks a free one.
    ///
    /// # Errors
    /// `HOB-0902` when the address is taken or not allowed.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self> {
        let listen = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restarted node takes its port again while old connections still time out.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(LISTEN_BACKLOG)
        };
        listen().map(Self::Tcp).map_err(|error| taken(&address.to_string(), &error))
    }

    /// Listens on a unix socket that only its owner may use. A socket file that nobody listens on any
    /// more is replaced.
    ///
    /// # Errors
    /// `HOB-0902` when a node listens there, or the folder cannot be used.
    pub(crate) fn bind_unix(path: &Path) -> Result<Self> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let listen = || {
            if let Some(folder) = path.parent() {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        listen().map(Self::Unix).map_err(|error| taken(&path.display().to_string(), &error))
    }

    /// The real TCP address, with the port that was picked.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
                // Small answers go out at once; a socket that cannot do it works all the same.
                let _ = stream.set_nodelay(true);
                Connection::Tcp(stream, peer)
            }),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Connection::Unix(stream)),
        }
    }
}

fn taken(address: &str, error: &io::Error) -> Fault {
    let (why, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => ("is in use", "stop the other program, or choose another address"),
        io::ErrorKind::PermissionDenied => {
            ("is not allowed", "choose a port above 1023 or a folder of your own")
        }
        _ => ("cannot be listened on", "choose another address"),
    };
    Fault::new(Code::AddressInUse, format!("`{address}` {why}")).hint(hint).detail(error)
}

/// Whether a failed accept concerns only the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// The connections that are open at one listener.
#[derive(Clone)]
pub(crate) struct Open(Arc<Counted>);

struct Counted {
    began: Instant,
    most: usize,
    places: Arc<Semaphore>,
    door: Mutex<Door>,
    probation: Mutex<Probation>,
    /// Closed because their client had too many.
    of_busy_clients: AtomicU64,
    /// Ended because their client was too slow: with its headers, with taking answers.
    late: AtomicU64,
    slow: AtomicU64,
    /// Ended because their client broke the protocol.
    faulty: AtomicU64,
    /// Refused because it did so again and again.
    on_probation: AtomicU64,
    /// How often no connection was accepted because as many were open as may be.
    full: AtomicU64,
    /// How often the machine could not give one.
    failed: AtomicU64,
}

/// What has happened at a listener since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Clients that have connections.
    pub(crate) clients: usize,
    /// Connections that were closed because their client had too many.
    pub(crate) of_busy_clients: u64,
    /// Connections that ended because their client did not say in time what it wants.
    pub(crate) late: u64,
    /// Connections that ended because their client took too little of an answer.
    pub(crate) slow: u64,
    /// HTTP/2 connections that were ended because their client broke the protocol.
    pub(crate) faulty: u64,
    /// HTTP/2 connections that were refused because their client did so again and again.
    pub(crate) on_probation: u64,
    /// How often further ones had to wait, since as many were open as may be.
    pub(crate) full: u64,
    /// How often the machine could not give one.
    pub(crate) failed: u64,
}

impl Open {
    /// As many as a listener may have, and one client of it.
    pub(crate) fn new() -> Self {
        Self::with(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX)
    }

    /// At most so many, and so many of one client. Where the node may open few files, it keeps a part of them for what its
    /// calls need: children, topics, whoever looks what is wrong.
    pub(crate) fn with(most: usize, per_client_max: usize) -> Self {
        let files =
            usize::try_from(machine::files_max() / 100 * CONNECTIONS_FILES_PERCENT).unwrap_or(usize::MAX);
        let most = most.min(files).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Counted {
            began: Instant::now(),
            most,
            places: Arc::new(Semaphore::new(most)),
            door: Mutex::new(Door::new(per_client_max)),
            probation: Mutex::default(),
            of_busy_clients: AtomicU64::new(0),
            late: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            faulty: AtomicU64::new(0),
            on_probation: AtomicU64::new(0),
            full: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    /// How many are open.
    pub(crate) fn count(&self) -> u32 {
        // One place is held for the connection that comes next.
        let taken = self.0.most.saturating_sub(self.0.places.available_permits()).saturating_sub(1);
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// What has happened so far.
    pub(crate) fn seen(&self) -> Seen {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Seen {
            clients: lock(&self.0.door).clients(),
            of_busy_clients: number(&self.0.of_busy_clients),
            late: number(&self.0.late),
            slow: number(&self.0.slow),
            faulty: number(&self.0.faulty),
            on_probation: number(&self.0.on_probation),
            full: number(&self.0.full),
            failed: number(&self.0.failed),
        }
    }

    /// Resolves when none is open.
    pub(crate) async fn none(&self) {
        let all = u32::try_from(self.0.most).unwrap_or(u32::MAX);
        // Fails when the semaphore is closed, which nobody does.
        let _ = self.0.places.acquire_many(all).await;
    }

    /// A place for the connection that comes next.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() {
            return Some(place);
        }
        self.0.full.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.0.places).acquire_owned().await.ok()
    }

    /// Lets a connection in, if its client has not too many.
    fn enter(&self, connection: &Connection, permit: OwnedSemaphorePermit) -> Option<Place> {
        let client = match connection {
            Connection::Tcp(_, address) => Some(Client::of(address.ip())),
            Connection::Unix(_) => None,
        };
        if client.is_some_and(|client| !lock(&self.0.door).enter(client)) {
            self.0.of_busy_clients.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Place { open: self.clone(), client, _permit: permit })
    }
}

/// What keeps a connection counted; dropped when it has ended.
pub(crate) struct Place {
    open: Open,
    client: Option<Client>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// How long the connection has to wait before it may speak HTTP/2; `None` where its client has broken that too often.
    pub(crate) fn begin(&self) -> Option<Duration> {
        let Some(client) = self.client else { return Some(Duration::ZERO) };
        let counted = &self.open.0;
        let wait = lock(&counted.probation).begin(client, counted.began.elapsed());
        if wait.is_none() {
            counted.on_probation.fetch_add(1, Ordering::Relaxed);
        }
        wait
    }

    /// The client did not say in time what it wants.
    pub(crate) fn was_late(&self) {
        self.open.0.late.fetch_add(1, Ordering::Relaxed);
    }

    /// The client took too little of an answer.
    pub(crate) fn was_slow(&self) {
        self.open.0.slow.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection was ended because its client broke the protocol.
    pub(crate) fn fault(&self) {
        let counted = &self.open.0;
        counted.faulty.fetch_add(1, Ordering::Relaxed);
        if let Some(client) = self.client {
            lock(&counted.probation).fault(client, counted.began.elapsed());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            lock(&self.open.0.door).leave(client);
        }
    }
}

/// Accepts until `closing`, then takes what the kernel has accepted already, and closes the address.
/// `serve` gets each connection and what keeps it counted.
pub(crate) async fn accept<F>(
    listener: Listener,
    open: Open,
    closing: CancellationToken,
    tasks: Arc<Tasks>,
    serve: impl Fn(Connection, Place) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (mut lacking, mut accepted) = (false, 0_u32);
    loop {
        // Many that come at once must not keep those waiting that are there.
        accepted = accepted.wrapping_add(1);
        if accepted.is_multiple_of(ACCEPTED_IN_A_ROW) {
            tokio::task::yield_now().await;
        }
        let place = tokio::select! {
            biased;
            place = open.place() => place,
            () = closing.cancelled() => return,
        };
        let Some(place) = place else { return };
        let came = tokio::select! {
            biased;
            came = listener.accept() => came,
            () = closing.cancelled() => return,
        };
        match came {
            Ok(connection) => {
                if std::mem::take(&mut lacking) {
                    tracing::info!("connections are accepted again");
                }
                match open.enter(&connection, place) {
                    Some(place) => tasks.start("connection", serve(connection, place)),
                    // Closing it says so without a thread, a buffer or a handshake.
                    None => drop(connection),
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                open.0.failed.fetch_add(1, Ordering::Relaxed);
                // Said once, since it may last.
                if !std::mem::replace(&mut lacking, true) {
                    let files_max = machine::files_max();
                    tracing::warn!(%error, files_max, "cannot accept connections: they wait until others have ended");
                }
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}
