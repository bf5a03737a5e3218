//! Headers that belong to one connection, not to the message (RFC 9110, 7.6.1), and names that pass for others.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

const STANDARD: [HeaderName; 6] =
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE];
const OTHERS: [HeaderName; 3] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Takes out what belongs to one connection, by name and as named by `Connection`. `Host` and
/// `Content-Length` stay even if named: without them the message would be another one.
pub fn strip(headers: &mut HeaderMap) {
    // Most messages have none: looking at their few names costs less than looking for each of these.
    if !headers.keys().any(is_hop) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = options(headers).filter_map(|token| token.parse().ok()).collect();
        for name in named.into_iter().filter(|name| *name != HOST && *name != CONTENT_LENGTH) {
            headers.remove(name);
        }
    }
    for name in STANDARD {
        headers.remove(name);
    }
    for name in OTHERS {
        headers.remove(name);
    }
}

/// Whether a header belongs to one connection by its name.
fn is_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The options of `Connection`, such as `close` or the name of a header.
pub fn options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// The name that CGI, WSGI and their kind cannot tell from this one, which has `_` where that has `-`: they make `_` of `-`
/// (RFC 3875, 4.1.18). `None` for a name without `_`.
pub fn twin(name: &HeaderName) -> Option<String> {
    name.as_str().contains('_').then(|| name.as_str().replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::strip;
    use http::HeaderMap;

    #[test]
    fn every_header_of_a_connection_is_seen_alone() {
        for name in super::STANDARD.iter().chain(&super::OTHERS) {
            let mut headers = HeaderMap::from_iter([(name.clone(), "x".parse().unwrap())]);
            strip(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_belongs_to_the_connection_goes_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Hop, host, content-length"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("host", "a"),
            ("content-length", "3"),
            ("x-end", "2"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        strip(&mut headers);
        let left: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(left, ["host", "content-length", "x-end"]);
    }
}
