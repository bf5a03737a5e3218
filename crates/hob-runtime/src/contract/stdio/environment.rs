//! The environment of a run: CGI (RFC 3875, 4.1), WAGI's additions, and the classic watchdog's.

use crate::hop;
use crate::invocation::Context;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, PROXY_AUTHORIZATION,
};
use http::request::Parts;
use std::collections::BTreeMap;

/// Every variable that says something of the request. A header that comes more than once is one
/// variable, its values joined by commas (RFC 3875, 4.1.18).
pub(super) fn variables(head: &Parts, context: &Context) -> Vec<(String, String)> {
    let header =
        |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or(""));
    let host = header(HOST);
    let scheme = if context.secure { "https" } else { "http" };
    let (server, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, if context.secure { "443" } else { "80" }),
    };
    let peer = context.peer.map_or_else(String::new, |peer| peer.ip().to_string());
    let route = context.route.as_deref().unwrap_or("");
    let length = header(CONTENT_LENGTH);
    let text = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "hob"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", head.method.as_str()),
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", path),
        ("PATH_TRANSLATED", path),
        ("QUERY_STRING", query),
        ("CONTENT_TYPE", header(CONTENT_TYPE)),
        ("CONTENT_LENGTH", length),
        ("REMOTE_ADDR", &peer),
        ("REMOTE_HOST", &peer),
        ("REMOTE_USER", ""),
        ("AUTH_TYPE", ""),
        ("SERVER_NAME", server),
        ("SERVER_PORT", port),
        ("X_FULL_URL", &format!("{scheme}://{host}{}", head.uri)),
        ("X_MATCHED_ROUTE", route),
        ("X_RAW_PATH_INFO", path),
        ("Http_Method", head.method.as_str()),
        ("Http_Query", query),
        ("Http_Path", path),
        ("Http_Host", host),
        ("Http_ContentLength", length),
        ("Http_Content_Length", length),
    ];
    let mut variables = BTreeMap::new();
    for name in head.headers.keys().filter(|name| passed_on(name)) {
        // It would be the variable of the other one.
        if hop::twin(name).is_some_and(|other| head.headers.contains_key(other)) {
            continue;
        }
        let values: Vec<&str> =
            head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        let underscored = name.as_str().replace('-', "_");
        variables.insert(format!("HTTP_{}", underscored.to_ascii_uppercase()), values.join(", "));
        variables.insert(format!("Http_{}", capitalised(&underscored)), values.join(", "));
    }
    // After the headers: none of them says what the request is.
    variables.extend(text.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // A program must not take a request's `Proxy` header for its proxy (CVE-2016-5385).
    variables.remove("HTTP_PROXY");
    variables.into_iter().collect()
}

/// Credentials stay with the gateway (RFC 3875, 4.1.18), what belongs to the connection with it.
fn passed_on(name: &HeaderName) -> bool {
    *name != AUTHORIZATION && *name != PROXY_AUTHORIZATION && *name != CONNECTION
}

fn capitalised(underscored: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    underscored.split('_').map(word).collect::<Vec<_>>().join("_")
}

/// The arguments of an indexed query: words joined by `+` without any `=` (RFC 3875, 4.4).
pub(super) fn query_words(head: &Parts) -> Vec<String> {
    match head.uri.query() {
        Some(query) if !query.is_empty() && !query.contains(['=', '&', '%']) && query.contains('+') => {
            // A word that looks like an option could change what the program does.
            query
                .split('+')
                .filter(|word| !word.is_empty() && !word.starts_with('-'))
                .map(str::to_owned)
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::variables;
    use crate::invocation::Context;
    use http::Request;
    use std::collections::BTreeMap;

    #[test]
    fn no_header_says_what_the_request_is_or_passes_for_another() {
        let mut request = Request::get("/env?a=1").header("method", "SPOOF").header("path", "/admin");
        for (name, value) in
            [("x-real", "1"), ("x_real", "2"), ("x_only", "3"), ("host", "desk"), ("proxy", "evil")]
        {
            request = request.header(name, value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let told: BTreeMap<String, String> = variables(&head, &Context::of_test()).into_iter().collect();
        for (name, expected) in [
            ("Http_Method", Some("GET")),
            ("Http_Path", Some("/env")),
            ("Http_Query", Some("a=1")),
            ("HTTP_METHOD", Some("SPOOF")),
            ("HTTP_X_REAL", Some("1")),
            ("HTTP_X_ONLY", Some("3")),
            ("HTTP_PROXY", None),
        ] {
            assert_eq!(told.get(name).map(String::as_str), expected, "{name}");
        }
    }
}
