//! The headers by which a component learns what route it was called by (Spin, "The request headers").
//!
//! **Invariant.** No caller sets them: whatever came by these names is gone.

use crate::contract::route::Matched;
use crate::invocation::Context;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use std::net::SocketAddr;

/// What the name of every one of them begins with.
const PREFIX: &str = "spin-";
/// Those with a name of their own.
const NAMES: [&str; 7] = [
    "spin-path-info",
    "spin-full-url",
    "spin-matched-route",
    "spin-base-path",
    "spin-raw-component-route",
    "spin-component-route",
    "spin-client-addr",
];
/// What the names of those begin with that hold a named segment of the path.
const SEGMENT: &str = "spin-path-match-";

/// Adds them to a request.
pub(super) fn add<B>(request: &mut http::Request<B>, context: &Context) {
    set(request, context.route.as_deref(), (context.secure, context.peer));
}

fn set<B>(request: &mut http::Request<B>, route: Option<&str>, (secure, peer): (bool, Option<SocketAddr>)) {
    let (uri, headers) = (request.uri().clone(), request.headers_mut());
    strip(headers);
    let matched = Matched::new(route, uri.path());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if secure { "https" } else { "http" };
    let url = format!("{scheme}://{host}{uri}");
    let peer = peer.map_or_else(String::new, |peer| peer.to_string());
    let values = [matched.rest, &url, &matched.raw, "/", &matched.raw, matched.fixed(), &peer];
    for (name, value) in NAMES.into_iter().zip(values) {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for (name, value) in &matched.segments {
        let name = HeaderName::try_from(format!("{SEGMENT}{}", name.replace('_', "-").to_ascii_lowercase()));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

fn strip(headers: &mut HeaderMap) {
    let own = |name: &HeaderName| {
        name.as_str().starts_with(SEGMENT)
            || (name.as_str().starts_with(PREFIX) && NAMES.contains(&name.as_str()))
    };
    let sent: Vec<HeaderName> = headers.keys().filter(|name| own(name)).cloned().collect();
    for name in sent {
        headers.remove(name);
    }
}

/// A request for fuzzers: a line with its route, one with its address, and a line for each header. No header that it
/// brings is taken for one of these.
pub(crate) fn fuzz(bytes: &[u8]) {
    const OWN: &str = "said by the caller";
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let (route, address) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(mut request) = http::Request::builder().uri(address).body(()) else { return };
    for line in lines.take(64) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = if value.is_empty() { format!("{SEGMENT}{name}") } else { name.to_owned() };
        let value = if name.eq_ignore_ascii_case("host") { value } else { OWN };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            request.headers_mut().append(name, value);
        }
    }
    set(&mut request, Some(route), (route.len() % 2 == 0, None));
    for (name, value) in request.headers() {
        let told = name.as_str().starts_with(SEGMENT) || NAMES.contains(&name.as_str());
        assert!(!told || value != OWN, "`{name}` is the caller's");
        assert!(!told || request.headers().get_all(name).iter().count() == 1, "`{name}` is said twice");
    }
}
