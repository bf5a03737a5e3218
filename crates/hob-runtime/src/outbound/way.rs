//! The way from a host name to a connection: looked up once, every address judged, a judged one connected.
//!
//! **Why.** Whoever looks a name up again after judging it can be given another address the second time (DNS
//! rebinding). Here is the only place that does either, so that there is no second time.
//!
//! **How.** `Way::connect` is for every kind of traffic: requests, tunnels, and raw streams. Addresses are not
//! looked up. Look-ups run on threads of the pool that may block; a permit stays with the thread and not with
//! whoever waits, since nobody can end a look-up that hangs.
//!
//! **Invariant.** The node's own sockets are not reached, whatever the list says ([`Doors`]).
//!
//! **Not here:** what a list says ([`hob_core::egress`]).

use crate::machine;
use arc_swap::ArcSwap;
use hob_core::code::Code;
use hob_core::egress::{Doors, Reach};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    EGRESS_CLIENTS_MAX, EGRESS_CONNECT_TIMEOUT, EGRESS_LOOKUPS_MAX, EGRESS_LOOKUPS_PER_APP_MAX,
};
use hob_core::name::AppName;
use hob_core::port::BoxFuture;
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who knows the addresses of names.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`. `place` is free again when nobody looks any more.
    ///
    /// # Errors
    /// When it has none, or nobody answers.
    fn resolve(
        &self,
        host: String,
        port: u16,
        place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The machine's own resolver (`getaddrinfo(3)`), for all spaces of a node.
#[derive(Debug)]
pub struct System {
    places: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(EGRESS_LOOKUPS_MAX)) }
    }
}

impl Resolve for System {
    fn resolve(
        &self,
        host: String,
        port: u16,
        place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let all = Arc::clone(&self.places);
        Box::pin(async move {
            // After the app's own place: who waits there takes nobody else's.
            let all = all.acquire_owned().await.map_err(io::Error::other)?;
            let found = tokio::task::spawn_blocking(move || {
                let _places = (place, all);
                (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
            });
            found.await.map_err(io::Error::other)?
        })
    }
}

/// From names to connections, for the apps of one space.
pub(super) struct Way {
    resolver: Arc<dyn Resolve>,
    /// Names that each app looks up at a time; `None` is the node itself.
    places: Mutex<HashMap<Option<AppName>, Arc<Semaphore>>>,
    doors: OnceLock<Arc<ArcSwap<Doors>>>,
}

impl Way {
    pub(super) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, places: Mutex::default(), doors: OnceLock::new() }
    }

    fn places(&self, app: Option<&AppName>) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= EGRESS_CLIENTS_MAX {
            places.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let new = || Arc::new(Semaphore::new(EGRESS_LOOKUPS_PER_APP_MAX));
        Arc::clone(places.entry(app.cloned()).or_insert_with(new))
    }

    /// Where the node itself listens. The first word counts.
    pub(super) fn close(&self, doors: Arc<ArcSwap<Doors>>) {
        // A node binds its sockets once.
        let _ = self.doors.set(doors);
    }

    /// Connects to the first of a name's addresses that may be reached and answers.
    ///
    /// # Errors
    /// `HOB-0507` when none may be reached, `HOB-0510` when there is none, or none answers in time.
    pub(super) async fn connect(
        &self,
        app: Option<&AppName>,
        host: &str,
        port: u16,
        reach: Reach,
    ) -> Result<TcpStream> {
        let attempt = async {
            let mut last = unreachable(host, port, &"the name has no address");
            for address in self.judged(app, host, port, reach).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        // A socket that cannot be told to hurry is still a socket.
                        let _ = stream.set_nodelay(true);
                        return Ok(stream);
                    }
                    Err(error) => {
                        last =
                            machine::out_of_files(&error).unwrap_or_else(|| unreachable(host, port, &error));
                    }
                }
            }
            Err(last)
        };
        let in_time = tokio::time::timeout(EGRESS_CONNECT_TIMEOUT, attempt).await;
        in_time.unwrap_or_else(|_| Err(unreachable(host, port, &"it took too long")))
    }

    /// The addresses of a name that may be reached.
    async fn judged(
        &self,
        app: Option<&AppName>,
        host: &str,
        port: u16,
        reach: Reach,
    ) -> Result<Vec<SocketAddr>> {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        // Its full form is in no table of names, and means the same (RFC 6761, 6.3).
        let name = if name.eq_ignore_ascii_case("localhost.") { "localhost" } else { name };
        let found = match name.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let missing = |error: io::Error| {
                    Fault::new(Code::DependencyFailed, format!("the name `{host}` was not found"))
                        .detail(error)
                };
                let place = self.places(app).acquire_owned().await.map_err(Fault::internal)?;
                self.resolver.resolve(name.to_owned(), port, place).await.map_err(missing)?
            }
        };
        let (allowed, denied): (Vec<SocketAddr>, Vec<SocketAddr>) =
            found.into_iter().partition(|address| reach.allows(address.ip()));
        if let (true, Some(address)) = (allowed.is_empty(), denied.first()) {
            return Err(Fault::new(
                Code::EgressDenied,
                format!("`{host}:{port}`: it leads to the address {}, which is not public", address.ip()),
            )
            .hint(format!(
                "if that is meant, add `\"{host}:{port}\"` or the address itself to `egress` in the manifest"
            )));
        }
        let own = |address: &SocketAddr| {
            reach != Reach::Any
                && self.doors.get().is_some_and(|doors| doors.load().lead_to(*address, is_here))
        };
        if allowed.iter().any(own) {
            return Err(Fault::new(
                Code::EgressDenied,
                format!("`{host}:{port}`, which is this node itself"),
            )
            .hint("call a function by name: `http://<function>.<app>.internal/`"));
        }
        Ok(allowed)
    }
}

fn unreachable(host: &str, port: u16, detail: &dyn std::fmt::Display) -> Fault {
    Fault::new(Code::DependencyFailed, format!("cannot connect to `{host}:{port}`")).detail(detail)
}

/// Whether an address is one of this machine's: from such a one the kernel would also send. Nothing is sent.
fn is_here(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        // Any port but 0, which cannot be connected to.
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    judged(&from.map(|from| from.ip()), address)
}

/// What a look tells of an address. Where nothing could be seen, such as without a free descriptor, it is taken for one of this
/// machine's; that there is no way to it at all is an answer.
fn judged(from: &io::Result<IpAddr>, address: IpAddr) -> bool {
    let nowhere = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::NETUNREACH, Errno::HOSTUNREACH];
    match from {
        Ok(from) => *from == address,
        Err(error) => Errno::from_io_error(error).is_none_or(|errno| !nowhere.contains(&errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, IpAddr, io, is_here, judged};

    #[test]
    fn an_address_that_cannot_be_looked_at_is_taken_for_this_machines() {
        let [own, other]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let failed = |errno: Errno| Err(io::Error::from(errno));
        for (from, here) in [
            (Ok(own), true),
            (Ok(other), false),
            (failed(Errno::MFILE), true),
            (failed(Errno::NFILE), true),
            (failed(Errno::NOBUFS), true),
            (Err(io::Error::other("no number")), true),
            // A machine without IPv6, or without a way out.
            (failed(Errno::AFNOSUPPORT), false),
            (failed(Errno::NETUNREACH), false),
        ] {
            assert_eq!(judged(&from, own), here, "{from:?}");
        }
        assert!(is_here("127.0.0.1".parse().unwrap()));
        assert!(!is_here("203.0.113.7".parse().unwrap()));
    }
}
