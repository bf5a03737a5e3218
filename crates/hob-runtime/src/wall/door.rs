//! How the node reaches a child that has a network of its own, and how the child reaches the node.
//!
//! **In.** A socket stays in the network namespace in which it was made. When the namespace is made, two sockets of it are
//! opened for the node: a listener and one more. When the node wants to connect, it connects the one to the other, takes
//! the accepted socket, and dissolves the connection on both ends (connect(2), `AF_UNSPEC`): so there is a fresh socket of that
//! namespace, and the pair is ready again. No process is needed inside, and a connection that is kept costs what it costs without a
//! wall. A socket whose connection was refused is as fresh as before and serves the next attempt: a program that takes its time until it listens
//! is asked dozens of times.
//!
//! **Out.** Listeners in the namespace are the node's ([`super::Room::take_listener`]): whoever connects to them is the child, and nobody else.
//!
//! **Invariants.** The child may connect to the listener of the pair as well; such connections are known by their address
//! and closed.

use hob_core::port::BoxFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;

/// How long a fresh socket may take: it is all on loopback, and a child can only be in its own way.
const FRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to a program's ports.
pub trait Dial: Send + Sync {
    /// Connects to a loopback port of the program.
    ///
    /// # Errors
    /// As connect(2).
    fn connect(&self, port: u16) -> BoxFuture<'_, io::Result<TcpStream>>;
}

/// To programs that share the node's network.
#[derive(Debug)]
pub struct Loopback;

impl Dial for Loopback {
    fn connect(&self, port: u16) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

/// To programs with a network of their own.
pub(crate) struct Door {
    pair: Mutex<Pair>,
}

struct Pair {
    listener: TcpListener,
    seed: StdStream,
    /// One that was made and found nobody to connect to.
    unused: Option<StdStream>,
}

impl Door {
    /// Of two sockets of the network: a listener on loopback, and one that is not connected; both do not block.
    pub(super) fn new(listener: OwnedFd, seed: OwnedFd) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener.into())?;
        Ok(Self { pair: Mutex::new(Pair { listener, seed: seed.into(), unused: None }) })
    }

    async fn fresh(&self) -> io::Result<StdStream> {
        let mut pair = self.pair.lock().await;
        if let Some(unused) = pair.unused.take() {
            return Ok(unused);
        }
        // Whoever was here before may have been given up in the middle.
        dissolve(&pair.seed)?;
        connect(&pair.seed, pair.listener.local_addr()?)?;
        let own = pair.seed.local_addr()?;
        let stream = loop {
            let (stream, peer) = pair.listener.accept().await?;
            if peer == own {
                break stream.into_std()?;
            }
        };
        dissolve(&stream)?;
        dissolve(&pair.seed)?;
        Ok(stream)
    }
}

impl Dial for Door {
    fn connect(&self, port: u16) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(async move {
            let fresh = tokio::time::timeout(FRESH_TIMEOUT, self.fresh()).await;
            let fresh = fresh.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let same = fresh.try_clone().ok();
            let connecting =
                TcpSocket::from_std_stream(fresh).connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            let connected = connecting.await;
            if connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                self.pair.lock().await.unused = same;
            }
            let stream = connected?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

/// Makes a connected socket one that is not connected.
#[expect(clippy::cast_possible_truncation, reason = "small constants and sizes, as the C types want them")]
fn dissolve(stream: &StdStream) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    // SAFETY: the kernel reads one `sockaddr`; the descriptor is open.
    let done = unsafe {
        libc::connect(stream.as_raw_fd(), &raw const nobody, size_of_val(&nobody) as libc::socklen_t)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn connect(stream: &StdStream, to: SocketAddr) -> io::Result<()> {
    match rustix::net::connect(stream.as_fd(), &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
