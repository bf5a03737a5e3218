//! Who may use the control API.
//!
//! **Why.** It can run any code on this machine. So it is open to nobody by default: a unix socket that
//! the kernel keeps for its owner, or TCP with a token.
//!
//! **How.** A web page that somebody opens must not reach it either. Browsers send `Origin` with what a
//! page does to another site, and a page that lets its own name point here (DNS rebinding) still sends
//! its own `Host`; both are refused before the token is looked at.

use crate::identity;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use std::net::IpAddr;
use tokio::net::UnixStream;

/// What guards one listener.
pub(crate) enum Guard {
    /// Only this user, and root.
    Owner { uid: u32 },
    /// Whoever has the token.
    Token(String),
}

impl Guard {
    /// Judges a connection to a unix socket.
    ///
    /// # Errors
    /// `HOB-0702` for another user.
    pub(super) fn admit(&self, stream: &UnixStream) -> Result<()> {
        let Self::Owner { uid: owner } = self else { return Ok(()) };
        let peer = stream.peer_cred().map_err(Fault::internal)?.uid();
        if peer == *owner || peer == 0 {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!("user {peer} may not use the control socket of user {owner}"),
        )
        .hint("run the command as the user who runs the node"))
    }

    /// Judges a request.
    ///
    /// # Errors
    /// `HOB-0702` for a request from a web page, `HOB-0701` without the right token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<()> {
        if headers.contains_key(ORIGIN) {
            return Err(Fault::new(Code::Forbidden, "the control API does not answer web pages")
                .hint("use `hob`, or a client that sends no `Origin`"));
        }
        let Self::Token(token) = self else { return Ok(()) };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !is_own_host(host) {
            return Err(Fault::new(
                Code::Forbidden,
                format!("the control API does not answer to host `{host}`"),
            )
            .hint("use the IP address, or `localhost`"));
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        if given.is_some_and(|given| identity::same_secret(given.as_bytes(), token.as_bytes())) {
            return Ok(());
        }
        Err(Fault::new(Code::Unauthorized, "the control API needs a valid token")
            .hint("give it with `--token-file` or `HOB_TOKEN_FILE`"))
    }
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
    use super::Guard;
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn only_the_token_opens_and_no_web_page_does() {
        let token = Guard::Token("s3cret".into());
        let owner = Guard::Owner { uid: 0 };
        for (guard, headers, expected) in [
            (&token, "host: 127.0.0.1:9000|authorization: Bearer s3cret", "ok"),
            (&token, "host: [::1]:9000|authorization: bearer s3cret", "ok"),
            (&token, "host: localhost|authorization: Bearer s3cret", "ok"),
            (&token, "host: localhost", "HOB-0701"),
            (&token, "host: localhost|authorization: Bearer s3cre", "HOB-0701"),
            (&token, "host: localhost|authorization: Basic s3cret", "HOB-0701"),
            (&token, "host: localhost|authorization: Bearer ", "HOB-0701"),
            (&token, "host: evil.example|authorization: Bearer s3cret", "HOB-0702"),
            (&token, "authorization: Bearer s3cret", "HOB-0702"),
            (&token, "host: localhost|origin: http://localhost|authorization: Bearer s3cret", "HOB-0702"),
            (&owner, "host: anything", "ok"),
            (&owner, "host: localhost|origin: null", "HOB-0702"),
        ] {
            let pairs = headers.split('|').map(|line| line.split_once(": ").unwrap_or((line, "")));
            let map: HeaderMap = pairs
                .map(|(name, value)| {
                    (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
                })
                .collect();
            let judged = guard.check(&map).map_or_else(|fault| fault.code().text(), |()| "ok");
            assert_eq!(judged, expected, "{headers}");
        }
    }
}
