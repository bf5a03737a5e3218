//! Listening sockets: bound before any work is done, accepting until told to stop.
//!
//! **How.** [`Listener::bind`] takes the address; [`accept`] hands each connection to a function, at most
//! so many at a time. At the limit, and when the machine has no more file descriptors, new connections
//! wait in the kernel's queue instead of failing.

use crate::task::Tasks;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{CONNECTIONS_MAX, LISTEN_BACKLOG};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long a listener waits after the machine could not give it a connection.
const BACK_OFF: Duration = Duration::from_millis(50);

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
pub(crate) struct Open(Arc<Semaphore>);

impl Open {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CONNECTIONS_MAX)))
    }

    /// How many are open.
    pub(crate) fn count(&self) -> u32 {
        // One place is held for the connection that comes next.
        let taken = CONNECTIONS_MAX.saturating_sub(self.0.available_permits()).saturating_sub(1);
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// Resolves when none is open.
    pub(crate) async fn none(&self) {
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        // Fails when the semaphore is closed, which nobody does.
        let _ = self.0.acquire_many(all).await;
    }
}

/// What keeps a connection counted; dropped when it has ended.
pub(crate) type Place = OwnedSemaphorePermit;

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
    loop {
        let Ok(place) = Arc::clone(&open.0).acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => return,
        };
        match accepted {
            Ok(connection) => tasks.start("connection", serve(connection, place)),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}
