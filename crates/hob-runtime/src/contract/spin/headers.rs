//! The headers by which a component learns what route it was called by (Spin, "The request headers").
//!
//! **Invariant.** No caller sets them: whatever came by these names is gone.

use crate::contract::route::Matched;
use crate::invocation::Context;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};

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
    let (uri, headers) = (request.uri().clone(), request.headers_mut());
    strip(headers);
    let matched = Matched::new(context.route.as_deref(), uri.path());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if context.secure { "https" } else { "http" };
    let url = format!("{scheme}://{host}{uri}");
    let peer = context.peer.map_or_else(String::new, |peer| peer.to_string());
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
