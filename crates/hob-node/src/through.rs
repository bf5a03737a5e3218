//! Connections of functions behind walls to anywhere: as if there were a network, as far as their egress list goes.
//!
//! **Why.** Not every program uses a proxy: clients of databases and mail servers, and most that speak TLS. In a network
//! of its own such a program's connection leads to the node, whatever the address.
//!
//! **How.** The node listens in the instance's network on the ports that it may reach, and answers its questions for names
//! ([`hob_core::resolve`]): each name has an address that stands for it. A connection's address then says what was meant; the
//! node connects there as for a tunnel of the proxy, with the same judgement of name and resolved address, and copies
//! bytes. A name inside of the node is served as a call by name.
//!
//! **Not here:** the proxy itself ([`crate::proxy`]).

use crate::dispatcher::{self, Dispatcher};
use crate::entrance::Entrance;
use hob_core::egress::Policy;
use hob_core::limit::WALL_CONNECTIONS_MAX;
use hob_core::resolve::{answer, question};
use http::HeaderMap;
use http::uri::Authority;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};

/// Bytes of a question for a name, over UDP (RFC 1035, 4.2.1).
const MESSAGE_BYTES_MAX: usize = 512;
/// Connections that may wait for an answer from outside; the others wait for those.
pub(crate) const OPEN_MAX: usize = WALL_CONNECTIONS_MAX;
/// How long nothing is read after that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Where a connection of an instance was meant to lead: what its address stands for. `None`: nowhere.
pub(crate) fn meant(own: &Entrance, stream: &TcpStream) -> Option<Authority> {
    let address = stream.local_addr().ok()?;
    authority(address, |v4| own.name_of(v4))
}

/// The same of an address; names have addresses of IPv4 alone.
fn authority(address: SocketAddr, name_of: impl Fn(Ipv4Addr) -> Option<Option<String>>) -> Option<Authority> {
    // A socket that takes both kinds shows IPv4 as a part of IPv6 (RFC 4291, 2.5.5.2). A program can ask for that by itself,
    // too, which is judged as the address that it means.
    let host = match address.ip().to_canonical() {
        IpAddr::V4(v4) => name_of(v4)?.unwrap_or_else(|| v4.to_string()),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    format!("{host}:{}", address.port()).parse().ok()
}

/// Connects an instance's connection to where it was meant to lead, and copies until either end goes.
pub(crate) async fn carry(dispatcher: &Dispatcher, own: &Entrance, mut inside: TcpStream, to: &Authority) {
    let caller = own.caller(&HeaderMap::new());
    match dispatcher.connect(&caller, to).await {
        Ok(mut outside) => {
            // Either end may go at any time; neither is a fault of the node.
            let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
        }
        Err(fault) => {
            tracing::info!(app = %caller.code.app, function = %caller.code.name, %fault, "a connection of a function is refused");
            // The program sees that nobody was there, not that somebody had nothing to say.
            let _ = inside.set_zero_linger();
        }
    }
}

/// Answers an instance's questions for names until its way is closed.
pub(crate) async fn names(own: Arc<Entrance>, socket: UdpSocket) {
    let closed = own.closed();
    let answers = async {
        let mut message = [0; MESSAGE_BYTES_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut message).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let message = message.get(..length).unwrap_or_default();
            let Some(asked) = question(message) else { continue };
            let address = if may_mean(&own, &asked.name) { own.address_of(&asked.name) } else { None };
            // Who does not get an answer asks again.
            let _ = socket.send_to(&answer(message, &asked, address), from).await;
        }
    };
    tokio::select! {
        () = answers => {}
        () = closed.cancelled() => {}
    }
}

/// Whether an instance may reach a name at any port, so that it is worth an address.
fn may_mean(own: &Entrance, name: &str) -> bool {
    let (_, code) = own.teller();
    let policy = Policy::new(code.spec.egress.as_deref());
    let is_address = name.parse::<IpAddr>().is_ok();
    let ports = hob_runtime::outbound::ports(&code.spec);
    !is_address
        && (dispatcher::is_inside(name) || ports.into_iter().any(|port| policy.admits(name, port).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::authority;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_says_what_is_meant() {
        let names = |address: Ipv4Addr| match address.octets() {
            [198, 18, 0, 1] => Some(Some("db.example.com".to_owned())),
            [198, 18, ..] => None,
            _ => Some(None),
        };
        for (address, expected) in [
            ("198.18.0.1:5432", Some("db.example.com:5432")),
            ("[::ffff:198.18.0.1]:5432", Some("db.example.com:5432")),
            ("198.18.0.2:5432", None),
            ("192.0.2.7:80", Some("192.0.2.7:80")),
            ("[::ffff:192.0.2.7]:80", Some("192.0.2.7:80")),
            ("[2001:db8::7]:443", Some("[2001:db8::7]:443")),
            ("[::1]:443", Some("[::1]:443")),
        ] {
            let meant = authority(address.parse().unwrap(), names).map(|meant| meant.to_string());
            assert_eq!(meant.as_deref(), expected, "{address}");
        }
    }
}
