//! What a browser must show before anything is answered: the right host, the right site, a session.
//!
//! **Why.** The dashboard can run any code on this machine, and it stands where every page that the
//! person opens can send requests to.
//!
//! **How.** A name that somebody else can point here (DNS rebinding) is refused by its `Host`. What
//! another site sends is refused by `Sec-Fetch-Site` and `Origin`; another port of this machine is
//! another site here, since guests answer there, though browsers give it the same cookies. A form needs
//! the session's token besides. The cookie is for HTTP alone, and the gateway keeps it from guests
//! ([`crate::gateway::forward`]).

use crate::gateway::forward::{HOST_COOKIES, OWN_COOKIES};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_runtime::body::Body;
use http::header::{COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::{Method, Response};
use std::net::{IpAddr, SocketAddr};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// With every answer: nothing but this program's own files, no frames, nothing kept, nothing told.
const PROMISES: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // For browsers that do not know `frame-ancestors`.
    ("x-frame-options", "DENY"),
    // Not `no-referrer`: browsers then say `Origin: null` with forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("cache-control", "no-store"),
];

/// The rules of one listener.
#[derive(Clone)]
pub(super) struct Guard {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(super) secure: bool,
}

impl Guard {
    /// Judges where a request was sent to and which site sent it.
    ///
    /// # Errors
    /// `HOB-0702`.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<()> {
        let host = text(headers, &HOST).unwrap_or_default();
        if !self.is_own_host(host) {
            let what = format!("the dashboard does not answer to host `{host}`");
            return Err(refused(what).hint("use the address that `hob dashboard` shows, or `localhost`"));
        }
        let site = text(headers, &SEC_FETCH_SITE);
        if matches!(method, &Method::GET | &Method::HEAD) {
            // A person may follow a link from anywhere; the cookie stays behind then.
            let follows = text(headers, &SEC_FETCH_MODE) == Some("navigate");
            return match site {
                None | Some("same-origin" | "none") => Ok(()),
                Some(_) if follows => Ok(()),
                Some(_) => Err(foreign()),
            };
        }
        let scheme = if self.secure { "https" } else { "http" };
        match (text(headers, &ORIGIN), site) {
            (Some(origin), None | Some("same-origin")) if origin == format!("{scheme}://{host}") => Ok(()),
            (None, Some("same-origin")) => Ok(()),
            _ => Err(foreign()),
        }
    }

    /// Whether a host is one that nobody can make point elsewhere. Over TLS the browser has seen the
    /// certificate's names already.
    fn is_own_host(&self, authority: &str) -> bool {
        if self.secure {
            return !authority.is_empty();
        }
        let host = crate::gateway::routing::host_name(authority);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let own = |ip: IpAddr| ip.is_loopback() || ip == self.address.ip();
        host == "localhost" || bare.parse().is_ok_and(own)
    }

    /// The name of the session's cookie. Cookies know no ports, so it holds the port. Over TLS it is one that no page of
    /// another host can set: an app below the dashboard's domain could put its own session in the place of a person's.
    fn cookie(&self) -> String {
        let host = if self.secure { HOST_COOKIES } else { "" };
        format!("{host}{OWN_COOKIES}{}", self.address.port())
    }

    /// The key of the session that a request belongs to.
    pub(super) fn key<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, &self.cookie())
    }

    /// The chosen colours, if they were chosen.
    pub(super) fn theme(&self, headers: &HeaderMap) -> Option<&'static str> {
        let chosen = cookie(headers, &format!("{}-theme", self.cookie()))?;
        THEMES.into_iter().find(|theme| *theme == chosen)
    }

    /// The header that gives the session's key to the browser; an empty key takes it away.
    pub(super) fn set_key(&self, key: &str) -> HeaderValue {
        let age = if key.is_empty() { "; Max-Age=0" } else { "" };
        self.set(&self.cookie(), key, age)
    }

    /// The header that keeps the chosen colours for a year.
    pub(super) fn set_theme(&self, theme: &str) -> HeaderValue {
        let theme = THEMES.into_iter().find(|known| *known == theme).unwrap_or_default();
        self.set(&format!("{}-theme", self.cookie()), theme, "; Max-Age=31536000")
    }

    fn set(&self, name: &str, value: &str, age: &str) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}{secure}");
        HeaderValue::try_from(text).expect("names and secrets are plain letters and digits")
    }
}

/// Colours that a person may choose; without a choice those of the system.
pub(super) const THEMES: [&str; 2] = ["light", "dark"];

/// For a year nothing but TLS, where there is TLS (RFC 6797, 6.1).
const ALWAYS_TLS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

/// Adds what every answer says, unless it says so itself.
pub(super) fn promise(response: &mut Response<Body>, secure: bool) {
    for (name, value) in PROMISES.into_iter().chain(secure.then_some(ALWAYS_TLS)) {
        let headers = response.headers_mut();
        headers.entry(HeaderName::from_static(name)).or_insert_with(|| HeaderValue::from_static(value));
    }
}

/// Whether a form carries its session's token.
///
/// # Errors
/// `HOB-0702`.
pub(super) fn check_token(given: &str, token: &str) -> Result<()> {
    if crate::identity::same_secret(given.as_bytes(), token.as_bytes()) {
        return Ok(());
    }
    Err(refused("the form is not from this session".to_owned()).hint("load the page again, then send it"))
}

fn foreign() -> Fault {
    refused("another site has sent this request".to_owned()).hint("open the dashboard itself")
}

fn refused(what: String) -> Fault {
    Fault::new(Code::Forbidden, what)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::Guard;
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    fn headers(text: &str) -> HeaderMap {
        let pairs = text.split('|').filter_map(|line| line.split_once(": "));
        let pair = |(name, value): (&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.map(pair).collect()
    }

    #[test]
    fn only_its_own_pages_reach_the_dashboard() {
        let plain = Guard { address: "127.0.0.1:8081".parse().unwrap(), secure: false };
        let tls = Guard { address: "10.0.0.1:8081".parse().unwrap(), secure: true };
        let (get, post) = (Method::GET, Method::POST);
        for (guard, method, text, good) in [
            (&plain, &get, "host: 127.0.0.1:8081", true),
            (&plain, &get, "host: localhost:9999", true),
            (&plain, &get, "host: [::1]:8081", true),
            (&plain, &get, "host: evil.example:8081", false),
            (&plain, &get, "host: desk.localhost:8081", false),
            (&plain, &get, "host: 10.0.0.1:8081", false),
            (&plain, &get, "", false),
            (&tls, &get, "host: hob.example", true),
            (&plain, &get, "host: localhost|sec-fetch-site: cross-site|sec-fetch-mode: navigate", true),
            (&plain, &get, "host: localhost|sec-fetch-site: same-site|sec-fetch-mode: no-cors", false),
            (&plain, &get, "host: localhost|sec-fetch-site: cross-site|sec-fetch-mode: cors", false),
            (&plain, &post, "host: localhost:1|origin: http://localhost:1", true),
            (&plain, &post, "host: localhost:1|origin: http://localhost:1|sec-fetch-site: same-origin", true),
            (&plain, &post, "host: localhost:1|sec-fetch-site: same-origin", true),
            (&plain, &post, "host: localhost:1", false),
            (&plain, &post, "host: localhost:1|origin: null", false),
            (&plain, &post, "host: localhost:1|origin: http://localhost:2", false),
            (&plain, &post, "host: localhost:1|origin: http://localhost:1|sec-fetch-site: same-site", false),
            (&tls, &post, "host: a.example|origin: http://a.example", false),
            (&tls, &post, "host: a.example|origin: https://a.example", true),
        ] {
            assert_eq!(guard.check(method, &headers(text)).is_ok(), good, "{method} {text}");
        }
    }

    #[test]
    fn the_cookie_is_for_http_alone_of_one_port_and_over_tls_of_one_host() {
        let address = "127.0.0.1:8081".parse().unwrap();
        let (plain, tls) = (Guard { address, secure: false }, Guard { address, secure: true });
        assert_eq!(plain.set_key("k"), "hob-dashboard-8081=k; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(
            tls.set_key("k"),
            "__Host-hob-dashboard-8081=k; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        let sent = headers("cookie: a=b; hob-dashboard-8081=k; hob-dashboard-8081-theme=dark");
        assert_eq!((plain.key(&sent), plain.theme(&sent)), (Some("k"), Some("dark")));
        // Another host could have set these.
        assert_eq!((tls.key(&sent), tls.theme(&sent)), (None, None));
        let sent = headers("cookie: hob-dashboard-8081=theirs; __Host-hob-dashboard-8081=k");
        assert_eq!((tls.key(&sent), plain.key(&sent)), (Some("k"), Some("theirs")));
        assert_eq!(plain.theme(&headers("cookie: hob-dashboard-8081-theme=\"><script>")), None);
        assert_eq!(plain.key(&headers("cookie: hob-dashboard-80=k")), None);
    }
}
