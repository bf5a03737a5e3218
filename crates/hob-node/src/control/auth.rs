//! Who may use the control API.
//!
//! **Why.** It can run any code on this machine. So it is open to nobody by default: a unix socket that
//! the kernel keeps for its owner, or TCP with a token.
//!
//! **How.** A web page that somebody opens must not reach it either. Browsers send `Origin` with what a
//! page does to another site, and a page that lets its own name point here (DNS rebinding) still sends
//! its own `Host`; both are refused before the token is looked at.
//!
//! **Not here:** what a caller may do, once it is known who it is: each operation names what it needs.

use crate::caller::{self, Caller};
use crate::tokens::Tokens;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use std::net::IpAddr;

/// What guards one listener.
pub(crate) enum Guard {
    /// Only this user, and root.
    Owner { uid: u32 },
    /// Whoever has the operator's token, or one that the node has made; and whether they come by TLS.
    Token { own: String, secure: bool },
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    /// A user of this machine, as the kernel says.
    User(u32),
    /// An address.
    Address(IpAddr),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Address(address) => address.to_canonical().fmt(f),
        }
    }
}

impl Guard {
    /// Judges a request: who asks.
    ///
    /// # Errors
    /// `HOB-0702` for a request from a web page and for another user, those of [`Tokens::judge`] without a good token.
    pub(super) fn check(&self, headers: &HeaderMap, peer: Peer, tokens: &Tokens) -> Result<Caller> {
        if headers.contains_key(ORIGIN) {
            return Err(Fault::new(Code::Forbidden, "the control API does not answer web pages")
                .hint("use `hob`, or a client that sends no `Origin`"));
        }
        match (self, peer) {
            (Self::Owner { uid: owner }, Peer::User(user)) => as_user(user, *owner),
            (Self::Token { own, secure }, Peer::Address(address)) => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
                // Who let his own name point here has no certificate that is good for that name: by TLS any name will do.
                if !secure && !is_own_host(host) {
                    return Err(Fault::new(
                        Code::Forbidden,
                        format!("the control API does not answer to host `{host}`"),
                    )
                    .hint("use the IP address, or `localhost`"));
                }
                let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
                tokens.judge(given, std::slice::from_ref(own), address, caller::CONTROL)
            }
            _ => Err(Fault::internal("a listener has connections of another kind")),
        }
    }
}

/// A user of this machine, at a socket of `owner`.
fn as_user(user: u32, owner: u32) -> Result<Caller> {
    let name = match user {
        _ if user == owner => "owner",
        0 => "root",
        _ => {
            let what = format!("user {user} may not use the control socket of user {owner}");
            return Err(
                Fault::new(Code::Forbidden, what).hint("run the command as the user who runs the node")
            );
        }
    };
    Ok(Caller::operator(name, Peer::User(user).to_string(), caller::CONTROL))
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a host is one that nobody can make point elsewhere.
fn is_own_host(authority: &str) -> bool {
    let host = crate::gateway::routing::host_name(authority);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Guard, Peer};
    use crate::task::Tasks;
    use crate::tokens::Tokens;
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[tokio::test]
    async fn only_the_token_opens_and_no_web_page_does() {
        let data = tempfile::tempdir().unwrap();
        let state = hob_bus::open("memory", &hob_bus::EngineSettings::new(data.path())).unwrap().state;
        let tasks = Tasks::new();
        let tokens = Tokens::open(state, &tasks).await.unwrap();
        let (own, peer) = (|| "s3cret".to_owned(), Peer::Address("127.0.0.1".parse().unwrap()));
        let (plain, secure) =
            (Guard::Token { own: own(), secure: false }, Guard::Token { own: own(), secure: true });
        let (tcp, tls) = ((&plain, peer), (&secure, peer));
        let unix = Guard::Owner { uid: 1000 };
        let (owner, root, other) =
            ((&unix, Peer::User(1000)), (&unix, Peer::User(0)), (&unix, Peer::User(1001)));
        for ((guard, peer), headers, expected) in [
            (tcp, "host: 127.0.0.1:9000|authorization: Bearer s3cret", "operator"),
            (tcp, "host: [::1]:9000|authorization: bearer s3cret", "operator"),
            (tcp, "host: localhost|authorization: Bearer s3cret", "operator"),
            (tcp, "host: localhost", "HOB-0701"),
            (tcp, "host: localhost|authorization: Bearer s3cre", "HOB-0701"),
            (tcp, "host: localhost|authorization: Basic s3cret", "HOB-0701"),
            (tcp, "host: localhost|authorization: Bearer ", "HOB-0701"),
            (tcp, "host: evil.example|authorization: Bearer s3cret", "HOB-0702"),
            (tcp, "authorization: Bearer s3cret", "HOB-0702"),
            (tcp, "host: localhost|origin: http://localhost|authorization: Bearer s3cret", "HOB-0702"),
            (tls, "host: node.example:9000|authorization: Bearer s3cret", "operator"),
            (tls, "host: node.example:9000", "HOB-0701"),
            (tls, "host: a.b|origin: https://a.b|authorization: Bearer s3cret", "HOB-0702"),
            (owner, "host: anything", "owner"),
            (root, "host: anything", "root"),
            (other, "host: anything|authorization: Bearer s3cret", "HOB-0702"),
            (owner, "host: localhost|origin: null", "HOB-0702"),
        ] {
            let pairs = headers.split('|').map(|line| line.split_once(": ").unwrap_or((line, "")));
            let map: HeaderMap = pairs
                .map(|(name, value)| {
                    (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
                })
                .collect();
            let judged = guard.check(&map, peer, &tokens);
            let judged =
                judged.map_or_else(|fault| fault.code().text().to_owned(), |caller| caller.principal.name);
            assert_eq!(judged, expected, "{headers} {peer}");
        }
        tasks.stop().await;
    }
}
