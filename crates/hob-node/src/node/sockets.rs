//! The sockets of a node, all bound before anything starts, so that a taken address is told at once.

use crate::apps::Addresses;
use crate::control::Guard;
use crate::keys::Keys;
use crate::listener::Listener;
use crate::settings::{Address, Dashboard, Settings, Tls};
use crate::tls;
use hob_core::code::Code;
use hob_core::egress::Doors;
use hob_core::fault::{Fault, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Every socket, and how the gateway's address is written.
pub(super) struct Sockets {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) http: Listener,
    /// For functions of `default` that are child processes, and its port.
    pub(super) inner: (Listener, u16),
    pub(super) control: Vec<Bound>,
    pub(super) board: Option<Board>,
    pub(super) lambda: Option<Desk>,
    pub(super) addresses: Addresses,
    pub(super) url: String,
}

impl Sockets {
    /// Binds every address of the settings.
    ///
    /// # Errors
    /// `HOB-0902` when an address is taken, `HOB-0705` and `HOB-0706` for one that would be open to others,
    /// `HOB-0103` and `HOB-0108` for a certificate and `HOB-0627` for keys that cannot be used.
    pub(super) fn bind(settings: &Settings) -> Result<Self> {
        let tls = settings.tls.as_ref().map(|tls| tls::acceptor(tls, tls::HTTP2_OR_1)).transpose()?;
        let http = Listener::bind(settings.http)?;
        let inner = bind_inner()?;
        let control = settings
            .control
            .iter()
            .map(|at| bind_control(at, settings.tls.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let board = bind_dashboard(settings)?;
        let lambda = settings.lambda.map(|at| bind_lambda(at, settings)).transpose()?;
        let addresses =
            Addresses { secure: tls.is_some(), domain: settings.domain.clone(), port: port(&http)? };
        let url = url(&addresses, settings.http, &http);
        Ok(Self { tls, http, inner, control, board, lambda, addresses, url })
    }

    /// Where they all listen, for who must never come in by them.
    pub(super) fn doors(&self) -> Doors {
        let (board, lambda) = (self.board.as_ref(), self.lambda.as_ref());
        let more = board.map(|board| &board.listener).into_iter().chain(lambda.map(|desk| &desk.listener));
        let control = self.control.iter().map(|bound| &bound.listener);
        Doors::new(
            [&self.http, &self.inner.0].into_iter().chain(control).chain(more).filter_map(Listener::local),
        )
    }
}

/// Where the functions of one space that are child processes reach it, with its port.
///
/// # Errors
/// `HOB-0902` when there is no port.
pub(super) fn bind_inner() -> Result<(Listener, u16)> {
    let inner = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let port = port(&inner)?;
    Ok((inner, port))
}

/// A control address, bound.
pub(super) struct Bound {
    pub(super) listener: Listener,
    pub(super) guard: Guard,
    pub(super) address: Address,
    pub(super) tls: Option<TlsAcceptor>,
}

/// Binds a control address: plain on this machine alone, with the gateway's certificate beyond it, since tokens and the
/// values of secrets go through it.
fn bind_control(address: &Address, certificate: Option<&Tls>) -> Result<Bound> {
    match address {
        Address::Unix(path) => {
            let listener = Listener::bind_unix(path)?;
            let uid = owner(path)?;
            Ok(Bound { listener, guard: Guard::Owner { uid }, address: address.clone(), tls: None })
        }
        Address::Tcp(at, token) if token.trim().is_empty() => {
            let what = format!("the control API at `{at}` has no token");
            Err(Fault::new(Code::ControlOpen, what).hint("name a file that holds one: `--token-file FILE`"))
        }
        Address::Tcp(at, token) => {
            let tls = match certificate {
                _ if at.ip().is_loopback() => None,
                Some(tls) => Some(tls::acceptor(tls, tls::HTTP1)?),
                None => {
                    let what =
                        format!("the control API at `{at}` could be reached from other machines without TLS");
                    return Err(Fault::new(Code::ControlOpen, what).hint(
                        "give `--tls-cert` and `--tls-key`, or keep `127.0.0.1` and come by `ssh -L`",
                    ));
                }
            };
            let listener = Listener::bind(*at)?;
            let at = listener.local().unwrap_or(*at);
            let guard = Guard::Token { own: token.trim().to_owned(), secure: tls.is_some() };
            Ok(Bound { listener, guard, address: Address::Tcp(at, token.clone()), tls })
        }
    }
}

/// The dashboard's address, bound.
pub(super) struct Board {
    pub(super) listener: Listener,
    pub(super) address: SocketAddr,
    pub(super) secure: bool,
    pub(super) url: String,
}

/// Binds the dashboard: plain on this machine alone, with the gateway's certificate beyond it.
fn bind_dashboard(settings: &Settings) -> Result<Option<Board>> {
    let (asked, listener) = match settings.dashboard {
        Dashboard::Off => return Ok(None),
        Dashboard::At(at) | Dashboard::Near(at) if !at.ip().is_loopback() && settings.tls.is_none() => {
            let what = format!("the dashboard at `{at}` could be reached from other machines without TLS");
            return Err(Fault::new(Code::DashboardOpen, what)
                .hint("give `--tls-cert` and `--tls-key`, or keep `127.0.0.1` and come by `ssh -L`"));
        }
        Dashboard::At(at) => (at, Listener::bind(at)?),
        Dashboard::Near(at) => (at, Listener::bind(at).or_else(|_| Listener::bind((at.ip(), 0).into()))?),
    };
    let address = listener.local().unwrap_or(asked);
    let secure = !address.ip().is_loopback();
    let url = if secure {
        format!("https://{}:{}", settings.domain, address.port())
    } else {
        format!("http://{address}")
    };
    Ok(Some(Board { listener, address, secure, url }))
}

/// The address of the Lambda API, bound.
pub(super) struct Desk {
    pub(super) listener: Listener,
    pub(super) keys: Arc<Keys>,
    pub(super) loopback: bool,
    pub(super) secure: bool,
    pub(super) url: String,
}

impl Desk {
    /// The keys of `default`.
    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }
}

/// Binds the Lambda API: plain on this machine, with the gateway's certificate beyond it where there is one. Without
/// one its requests are signed all the same, so that nobody can change them, only read them.
fn bind_lambda(asked: SocketAddr, settings: &Settings) -> Result<Desk> {
    let listener = Listener::bind(asked)?;
    let address = listener.local().unwrap_or(asked);
    let loopback = address.ip().is_loopback();
    let secure = !loopback && settings.tls.is_some();
    let url = match secure {
        true => format!("https://{}:{}", settings.domain, address.port()),
        false => format!("http://{address}"),
    };
    Ok(Desk { listener, keys: Keys::open(&settings.data)?, loopback, secure, url })
}

/// The user this process runs as: the owner of a socket that it has just made.
fn owner(socket: &Path) -> Result<u32> {
    std::fs::metadata(socket).map(|metadata| metadata.uid()).map_err(Fault::internal)
}

fn port(listener: &Listener) -> Result<u16> {
    listener.local().map(|address| address.port()).ok_or_else(|| Fault::internal("a TCP socket has no port"))
}

fn url(addresses: &Addresses, asked: SocketAddr, http: &Listener) -> String {
    let scheme = if addresses.secure { "https" } else { "http" };
    format!("{scheme}://{}", http.local().unwrap_or(asked))
}

#[cfg(test)]
mod tests {
    use super::bind_control;
    use crate::settings::{Address, Tls};

    #[tokio::test]
    async fn beyond_this_machine_the_control_api_is_never_plain() {
        let fixture = |name: &str| format!("{}/tests/all/tls/{name}", env!("CARGO_MANIFEST_DIR")).into();
        let tls = Tls { certificate: fixture("certificate.pem"), key: fixture("key.pem") };
        for (at, certificate, expected) in [
            ("127.0.0.1:0", None, Ok(false)),
            ("127.0.0.1:0", Some(&tls), Ok(false)),
            ("0.0.0.0:0", None, Err("HOB-0705")),
            ("192.0.2.7:0", None, Err("HOB-0705")),
            ("[::]:0", None, Err("HOB-0705")),
            ("0.0.0.0:0", Some(&tls), Ok(true)),
        ] {
            let address = Address::Tcp(at.parse().unwrap(), "s3cret".to_owned());
            let bound = bind_control(&address, certificate);
            let found = bound.map(|bound| bound.tls.is_some()).map_err(|fault| fault.code().text());
            assert_eq!(found, expected, "{at}");
        }
    }
}
