//! The headers of a request on its way in, and of an answer on its way out.
//!
//! **Why.** What belongs to one connection (RFC 9110, 7.6.1) must not reach the other side, and what Hob
//! says about a call (`hob-*`, `Forwarded`, `traceparent`) must not be said by anybody else.

use super::peer::Peer;
use bytes::Bytes;
use hob_core::id::InvocationId;
use hob_core::trace::TraceContext;
use hob_core::unit::micros;
use hob_runtime::hop;
use hob_runtime::invocation::Context;
use http::header::{
    CONNECTION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, UPGRADE,
};
use std::time::Duration;

/// The id of the invocation, in requests to functions and in every answer.
pub(crate) const INVOCATION_ID: HeaderName = HeaderName::from_static("hob-invocation-id");
/// W3C Trace Context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Cookies of the dashboard begin so. Browsers know no ports, so they send them to guests on the same host too.
pub(crate) const OWN_COOKIES: &str = "hob-dashboard-";
/// What goes before that where there is TLS: no other host and no script of one can set a cookie that begins so (RFC 6265bis,
/// 4.1.3.2).
pub(crate) const HOST_COOKIES: &str = "__Host-";
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Headers that a request gets on its way in, at most: by [`inward`] and [`mark`].
const ADDED: usize = 6;
/// Headers of Hob's own begin so.
const OWN: &str = "hob-";

/// The protocol that a request asks to switch to, unless it is one that Hob speaks itself.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = hop::options(headers).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(UPGRADE).filter(|_| asked)?;
    // A request to speak HTTP/2 (RFC 7540, 3.2) may be ignored, and has gone with RFC 9113.
    (!protocol.as_bytes().eq_ignore_ascii_case(b"h2c")).then(|| protocol.clone())
}

/// Takes out what only Hob may say.
pub(crate) fn strip_own(headers: &mut HeaderMap) {
    strip(headers, |name, _| name.as_str().starts_with(OWN));
}

/// The trace that a request brings, if it is valid and unambiguous.
pub(crate) fn caller_trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    TraceContext::parse(first.to_str().ok()?)
}

/// Says that the connection switches to `protocol`, or is asked to.
pub(crate) fn insert_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Makes the headers of a request from outside into those that the function sees. What proxies in front
/// said of the caller stays before what this node knows; scheme and host are this node's own.
pub(super) fn inward(headers: &mut HeaderMap, peer: &Peer) {
    hop::strip(headers);
    strip_own(headers);
    join_cookies(headers);
    headers.reserve(ADDED);
    headers.append(X_FORWARDED_FOR, peer.forwarded_for().clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(peer.scheme()));
    let host = headers.get(HOST).cloned();
    if let Some(forwarded) = peer.forwarded(host.as_ref()) {
        headers.append(FORWARDED, forwarded);
    }
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host);
    }
    strip_twins(headers);
}

/// Takes out names that pass for another that is there or that is Hob's to say: `X_Forwarded_For` would be read for what the node
/// says.
fn strip_twins(headers: &mut HeaderMap) {
    strip(headers, |name, headers| {
        let told = |other: &String| {
            other.starts_with(OWN) || other == TRACEPARENT.as_str() || headers.contains_key(other)
        };
        hop::twin(name).as_ref().is_some_and(told)
    });
}

/// Takes out the headers whose names are wrong. Rare, so nothing is collected unless there is one.
fn strip(headers: &mut HeaderMap, wrong: impl Fn(&HeaderName, &HeaderMap) -> bool) {
    while let Some(name) = headers.keys().find(|name| wrong(name, headers)).cloned() {
        headers.remove(name);
    }
}

/// Adds what every call carries, wherever it comes from.
pub(crate) fn mark(headers: &mut HeaderMap, context: &Context) {
    if let Ok(trace) = HeaderValue::from_bytes(&context.trace.header()) {
        headers.insert(TRACEPARENT, trace);
    }
    headers.insert(INVOCATION_ID, id_value(context.id));
}

/// An id as a header's value.
pub(crate) fn id_value(id: InvocationId) -> HeaderValue {
    HeaderValue::from_bytes(&id.digits()).expect("hexadecimal digits are a header value")
}

/// Makes the headers of a function's answer into those that the caller sees.
pub(crate) fn outward(headers: &mut HeaderMap) {
    hop::strip(headers);
    strip_own(headers);
    if headers.get_all(SET_COOKIE).iter().any(is_own_cookie) {
        let others: Vec<HeaderValue> =
            headers.get_all(SET_COOKIE).iter().filter(|value| !is_own_cookie(value)).cloned().collect();
        headers.remove(SET_COOKIE);
        for value in others {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// Makes one header of all cookies (RFC 9113, 8.2.3: clients of HTTP/2 may send them one by one), and takes out what a guest must
/// not read: the key of a person who is signed in to the dashboard.
fn join_cookies(headers: &mut HeaderMap) {
    let holds_own = |value: &HeaderValue| contains(value.as_bytes(), OWN_COOKIES.as_bytes());
    let mut values = headers.get_all(COOKIE).iter();
    let (Some(first), second) = (values.next(), values.next()) else { return };
    if second.is_none() && !holds_own(first) {
        return;
    }
    let pairs = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let kept: Vec<&[u8]> =
        pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty() && !is_own(pair)).collect();
    let kept = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
    headers.remove(COOKIE);
    if let Some(kept) = kept.ok().filter(|kept| !kept.is_empty()) {
        headers.insert(COOKIE, kept);
    }
}

fn is_own_cookie(value: &HeaderValue) -> bool {
    is_own(value.as_bytes().trim_ascii_start())
}

fn is_own(pair: &[u8]) -> bool {
    pair.strip_prefix(HOST_COOKIES.as_bytes()).unwrap_or(pair).starts_with(OWN_COOKIES.as_bytes())
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// Where the time of a call went (`Server-Timing`, W3C), `took` after it came: phases one after another, so that
/// their sum is `took`. The phases of a start are there when there was one.
pub(crate) fn timing(headers: &mut HeaderMap, context: &Context, took: Duration) {
    let timing = &context.timing;
    let phases = timing.phases(micros(took));
    let mut text = Vec::with_capacity(SERVER_TIMING_BYTES);
    entry(&mut text, "route;dur=", phases.route_us);
    entry(&mut text, ", queue;dur=", phases.queue_us);
    if timing.cold() {
        entry(&mut text, ", load;dur=", phases.load_us);
        entry(&mut text, ", start;dur=", phases.start_us);
        text.extend_from_slice(b";desc=cold");
        entry(&mut text, ", connect;dur=", phases.connect_us);
    } else {
        text.extend_from_slice(b", start;dur=0;desc=warm");
    }
    entry(&mut text, ", run;dur=", phases.run_us);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        headers.append(SERVER_TIMING, value);
    }
}

/// Room for all phases.
const SERVER_TIMING_BYTES: usize = 160;

/// Writes a name and microseconds as milliseconds, with three digits behind the point.
fn entry(text: &mut Vec<u8>, name: &str, us: u64) {
    text.extend_from_slice(name.as_bytes());
    let mut digits = [b'0'; 24];
    let (mut at, mut rest, mut written) = (digits.len(), us, 0);
    while rest > 0 || written < 4 {
        if written == 3 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        (rest, written) = (rest / 10, written + 1);
    }
    text.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::{entry, join_cookies, outward, strip_twins, upgrade};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(text: &str) -> HeaderMap {
        let pairs = text.split('|').map(|line| line.split_once(':').unwrap());
        let pair = |(name, value): (&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap())
        };
        pairs.map(pair).collect()
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_travel() {
        for (before, after) in [
            ("a: 1|connection: close, a|hob-error: x|hob-x: y", ""),
            ("host: a|content-length: 1|connection: host, content-length", "content-length host"),
            ("te: trailers|transfer-encoding: chunked|upgrade: x|keep-alive: 1|b: 2", "b"),
            ("proxy-authorization: x|proxy-connection: y|trailer: z", "trailer"),
        ] {
            let mut headers = headers(before);
            outward(&mut headers);
            let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), after, "{before}");
        }
    }

    #[test]
    fn no_guest_sees_or_sets_the_cookies_of_the_dashboard() {
        for (before, after) in [
            ("cookie: a=b; c=d", "a=b; c=d"),
            ("cookie: a=b; hob-dashboard-8081=key;c=d", "a=b; c=d"),
            ("cookie: hob-dashboard-8081=key; hob-dashboard-8081-theme=dark", ""),
            ("cookie: __Host-hob-dashboard-8081=key; __Host-a=b", "__Host-a=b"),
            ("cookie: a=hob-dashboard-8081|cookie: hob-dashboard-1=k", "a=hob-dashboard-8081"),
            ("cookie: a=b|cookie: c=d|cookie: e=f; g=h", "a=b; c=d; e=f; g=h"),
        ] {
            let mut headers = headers(before);
            join_cookies(&mut headers);
            let left: Vec<&str> = headers.get_all("cookie").iter().map(|v| v.to_str().unwrap()).collect();
            assert_eq!(left.join("|"), after, "{before}");
        }
        let mut answer = headers(
            "set-cookie: a=b; Path=/|set-cookie: hob-dashboard-8081=mine|set-cookie: __Host-hob-dashboard-8081=mine; Path=/",
        );
        outward(&mut answer);
        assert_eq!(answer.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=b; Path=/"]);
    }

    #[test]
    fn no_name_passes_for_one_that_the_node_says() {
        for (before, after) in [
            ("x-forwarded-for: 1|x_forwarded_for: 2|x-forwarded_for: 3", "x-forwarded-for"),
            ("hob_error: 1|trace_parent: 2|traceparent: 3", "trace_parent traceparent"),
            ("my_own: 1|their-own: 2", "my_own their-own"),
        ] {
            let mut headers = headers(before);
            strip_twins(&mut headers);
            let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), after, "{before}");
        }
    }

    #[test]
    fn microseconds_are_written_as_milliseconds() {
        for (us, expected) in [
            (0, "x=0.000"),
            (7, "x=0.007"),
            (1000, "x=1.000"),
            (61_234_567, "x=61234.567"),
            (u64::MAX, "x=18446744073709551.615"),
        ] {
            let mut text = Vec::new();
            entry(&mut text, "x=", us);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        for (text, expected) in [
            ("connection: keep-alive, Upgrade|upgrade: websocket", Some("websocket")),
            ("upgrade: websocket", None),
            ("connection: upgrade", None),
            ("connection: upgrade|upgrade: h2c", None),
        ] {
            assert_eq!(upgrade(&headers(text)).as_ref().map(|v| v.to_str().unwrap()), expected, "{text}");
        }
    }
}
