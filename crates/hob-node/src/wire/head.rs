//! Reads the head of an HTTP/1 request strictly and says how its body is framed; nothing ambiguous passes.
//!
//! **Why.** Request smuggling lives on heads that two programs read in two ways. hyper repairs some of
//! them before anybody can see it: of `Content-Length` beside `Transfer-Encoding` only the second is
//! left, a repeated `Content-Length` becomes one, and a bare LF ends a line. Whoever stands in front of
//! this gateway may have read them otherwise, so they are refused instead.
//!
//! **How.** [`end`] finds where a head ends, [`check`] judges it. Both are pure; [`super::strict`] runs
//! them over a connection's bytes before hyper sees any of them.
//!
//! **Not here:** what a request means. hyper parses what has passed again, by the same standard.

use hob_core::code::Code;
use hob_core::limit::{HEADER_BYTES_MAX, HEADER_COUNT_MAX, URI_BYTES_MAX};
use http::Uri;

/// How the bytes after a head belong to it (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// That many bytes; 0 for a request without a body.
    Length(u64),
    /// Chunks (RFC 9112, 7.1).
    Chunked,
}

/// What a good head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Where the next request begins.
    pub(super) framing: Framing,
    /// Whether the client wants another protocol on this connection (RFC 9110, 7.8).
    pub(super) upgrade: bool,
}

/// Why a head is not taken: the code and, for people, the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `HOB-0403`, `HOB-0404`, `HOB-0406` or `HOB-0407`.
    pub(super) code: Code,
    /// One sentence without a period.
    pub(super) reason: &'static str,
}

const fn malformed(reason: &'static str) -> Refusal {
    Refusal { code: Code::RequestMalformed, reason }
}

/// The head did not come in time.
pub(super) const LATE: Refusal =
    Refusal { code: Code::RequestTimeout, reason: "the request's headers did not arrive in time" };
/// `CONNECT` is for proxies.
pub(super) const NO_PROXY: &str = "the node is no proxy for `CONNECT`";
const TOO_LARGE: Refusal =
    Refusal { code: Code::HeadersTooLarge, reason: "the request's headers are above 64 KiB" };
/// Too many header fields.
pub(super) const TARGET: Refusal =
    malformed("the request target holds a character that has to be percent-encoded");
/// Characters that a target may not have (RFC 3986, 2.2 and 2.3), and that are read all the same where `http` reads them.
const ODD: &[u8] = b"\"<>\\^`{|}";
pub(super) const TOO_MANY: Refusal =
    Refusal { code: Code::HeadersTooLarge, reason: "the request has more than 100 header fields" };
/// Path and query are too long.
pub(super) const URI_TOO_LONG: Refusal =
    Refusal { code: Code::UriTooLong, reason: "the request's path and query are above 8 KiB" };
const _: () = assert!(HEADER_BYTES_MAX == 64 << 10 && HEADER_COUNT_MAX == 100 && URI_BYTES_MAX == 8 << 10);

/// The length of the head at the start of `bytes` with its empty line, or `None` while it is incomplete.
/// `seen` bytes were looked at before and held no end.
///
/// # Errors
/// A line that does not end in CRLF, at once: a client that waits after a bare LF is not left waiting.
pub(super) fn end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
    let mut at = seen.saturating_sub(3);
    while let Some(offset) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        let line_feed = at + offset;
        if line_feed == 0 || bytes[line_feed - 1] != b'\r' {
            return Err(malformed("a line ends in LF without CR"));
        }
        if line_feed == 1 || bytes[..line_feed - 1].ends_with(b"\n") {
            return too_large(line_feed + 1).map_or(Ok(Some(line_feed + 1)), Err);
        }
        at = line_feed + 1;
    }
    too_large(bytes.len()).map_or(Ok(None), Err)
}

fn too_large(bytes: usize) -> Option<Refusal> {
    (bytes > HEADER_BYTES_MAX).then_some(TOO_LARGE)
}

/// Judges one whole head, as [`end`] delimits it.
///
/// # Errors
/// The first thing in it that is wrong, or that could be read in two ways.
pub(super) fn check(head: &[u8]) -> Result<Head, Refusal> {
    let head = head.strip_suffix(b"\r\n").unwrap_or(head);
    let mut lines =
        head.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line));
    let line = request_line(lines.next().ok_or(malformed("the request line is empty"))?)?;
    let mut fields = Fields::default();
    for field in lines {
        fields.add(field)?;
    }
    fields.finish(&line)
}

/// Whether it has only characters that a target may have as they are, the fragment's sign not among them (RFC 9112, 3.2).
pub(super) fn is_target(target: &[u8]) -> bool {
    target.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'#')
}

struct RequestLine<'a> {
    /// The authority of a target in absolute form (RFC 9112, 3.2.2).
    authority: Option<&'a [u8]>,
    http_1_0: bool,
}

fn request_line(line: &[u8]) -> Result<RequestLine<'_>, Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed("the request line is not `METHOD target HTTP/1.1`"));
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(malformed("the method is not a token"));
    }
    let http_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(malformed("the protocol version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    let odd = target.iter().any(|byte| ODD.contains(byte));
    if target.is_empty() || !is_target(target) || (odd && Uri::try_from(target).is_err()) {
        return Err(TARGET);
    }
    if target.len() > URI_BYTES_MAX {
        return Err(URI_TOO_LONG);
    }
    let authority = match target {
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ if method == b"CONNECT" => return Err(malformed(NO_PROXY)),
        _ => Some(absolute(target).ok_or(malformed("the request target is neither a path nor a URL"))?),
    };
    Ok(RequestLine { authority, http_1_0 })
}

/// The authority of `http://authority/…`.
fn absolute(target: &[u8]) -> Option<&[u8]> {
    let scheme = target.iter().position(|byte| *byte == b':')?;
    let known = [&b"http"[..], b"https"].iter().any(|name| target[..scheme].eq_ignore_ascii_case(name));
    let rest = target[scheme..].strip_prefix(b"://").filter(|_| known)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|authority| !authority.is_empty() && !authority.contains(&b'@'))
}

#[derive(Default)]
struct Fields<'a> {
    count: usize,
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    connection_upgrade: bool,
    upgrade: bool,
}

impl<'a> Fields<'a> {
    fn add(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        self.count += 1;
        if self.count > HEADER_COUNT_MAX {
            return Err(TOO_MANY);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(malformed("a header field is folded over two lines"));
        }
        let colon =
            line.iter().position(|byte| *byte == b':').ok_or(malformed("a header line has no colon"))?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(malformed("a header name is not a token, or has a space before its colon"));
        }
        if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
            return Err(malformed("a header value holds a control character"));
        }
        self.meaning(name, value)
    }

    /// The few fields that frame the message or choose who answers it.
    fn meaning(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            if self.host.replace(value).is_some() {
                return Err(malformed("the request has more than one `Host`"));
            }
        } else if is("content-length") {
            let length = digits(value).ok_or(malformed("`Content-Length` is not one number"))?;
            if self.length.replace(length).is_some() {
                return Err(malformed("the request has more than one `Content-Length`"));
            }
        } else if is("transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("`Transfer-Encoding` is not exactly `chunked`"));
            }
            self.chunked = true;
        } else if is("connection") {
            let mut options = value.split(|byte| *byte == b',');
            self.connection_upgrade |= options.any(|o| trim(o).eq_ignore_ascii_case(b"upgrade"));
        } else if is("upgrade") {
            self.upgrade = true;
        }
        Ok(())
    }

    fn finish(self, line: &RequestLine<'_>) -> Result<Head, Refusal> {
        match self.host {
            None if line.http_1_0 => {}
            None => return Err(malformed("the request has no `Host`")),
            Some(host) if !is_authority(host) => return Err(malformed("`Host` is not a host name")),
            Some(host) if line.authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) => {
                return Err(malformed("`Host` and the request target name two hosts"));
            }
            Some(_) => {}
        }
        if self.chunked && self.length.is_some() {
            return Err(malformed("the request has both `Content-Length` and `Transfer-Encoding`"));
        }
        if self.chunked && line.http_1_0 {
            return Err(malformed("HTTP/1.0 has no `Transfer-Encoding`"));
        }
        let framing = if self.chunked { Framing::Chunked } else { Framing::Length(self.length.unwrap_or(0)) };
        // An upgrade with a body is taken as a plain request, as the standard allows.
        let bare = framing == Framing::Length(0) && !line.http_1_0;
        Ok(Head { framing, upgrade: bare && self.upgrade && self.connection_upgrade })
    }
}

/// Without optional whitespace (RFC 9110, 5.6.3), which is less than what Rust takes for whitespace.
fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// 1 to 19 decimal digits and nothing else, so that no reader overflows.
fn digits(value: &[u8]) -> Option<u64> {
    let all = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    all.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A host with an optional port, without user information (RFC 9110, 7.2).
pub(crate) fn is_authority(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value.ends_with(b"]") => (&value[..colon], &value[colon + 1..]),
        _ => (value, &b""[..]),
    };
    let literal = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    let address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let good = literal.map_or_else(|| host.iter().all(name), |inner| inner.iter().all(address));
    !host.is_empty() && good && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// A client may send anything: in pieces it is judged as in one, and a head that passes is one that hyper reads so.
pub(crate) fn fuzz(bytes: &[u8]) {
    let whole = end(bytes, 0);
    let mut pieces = Ok(None);
    for length in 0..=bytes.len() {
        pieces = end(&bytes[..length], length.saturating_sub(1));
        if !matches!(pieces, Ok(None)) {
            break;
        }
    }
    assert_eq!(pieces, whole, "a head ends in the same place however it comes");
    let Ok(Some(length)) = whole else { return };
    if let Ok(Head { framing: Framing::Chunked, .. }) = check(&bytes[..length]) {
        super::chunk::fuzz(&bytes[length..]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, check, end};

    /// `Ok(framing)` or the code and reason, as one line of text; `\n` stands for CRLF, `^` for a bare LF.
    fn judge(head: &str) -> String {
        let bytes = head.replace('\n', "\r\n").replace('^', "\n").into_bytes();
        let judged =
            end(&bytes, 0).and_then(|length| length.map(|length| check(&bytes[..length])).transpose());
        match judged {
            Ok(None) => "incomplete".into(),
            Ok(Some(head)) if head.upgrade => "upgrade".into(),
            Ok(Some(head)) => match head.framing {
                Framing::Length(length) => format!("length {length}"),
                Framing::Chunked => "chunked".into(),
            },
            Err(refusal) => format!("{} {}", refusal.code, refusal.reason),
        }
    }

    #[test]
    fn what_passes_has_one_reading() {
        for (head, expected) in [
            ("GET / HTTP/1.1\nHost: a\n\n", "length 0"),
            ("GET / HTTP/1.0\n\n", "length 0"),
            ("GET http://A:80/x?y HTTP/1.1\nHost: a:80\n\n", "length 0"),
            ("GET / HTTP/1.1\nHost: [::1]:8080\n\n", "length 0"),
            ("OPTIONS * HTTP/1.1\nHost: a\n\n", "length 0"),
            ("POST / HTTP/1.1\nhost:a\ncontent-length:  12 \n\n", "length 12"),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n", "chunked"),
            ("GET / HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: websocket\n\n", "upgrade"),
            ("GET / HTTP/1.1\nHost: a\nUpgrade: h2c\n\n", "length 0"),
            ("PUT / HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: x\nContent-Length: 1\n\n", "length 1"),
            ("GET / HTTP/1.1\nHost: a\n", "incomplete"),
            ("", "incomplete"),
        ] {
            assert_eq!(judge(head), expected, "{head:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let long_path = format!("GET /{} HTTP/1.1\nHost: a\n\n", "x".repeat(8 << 10));
        let large = format!("GET / HTTP/1.1\nHost: a\nx: {}\n\n", "x".repeat(64 << 10));
        let many = format!("GET / HTTP/1.1\nHost: a\n{}\n", "x: y\n".repeat(100));
        for (head, expected) in [
            (
                "GET / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
                "HOB-0406 the request has both",
            ),
            (
                "GET / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 1\n\n",
                "HOB-0406 the request has more than one `Content",
            ),
            ("GET / HTTP/1.1\nHost: a\nContent-Length: 1, 1\n\n", "HOB-0406 `Content-Length` is"),
            ("GET / HTTP/1.1\nHost: a\nContent-Length: +1\n\n", "HOB-0406 `Content-Length` is"),
            ("GET / HTTP/1.1\nHost: a\nContent-Length:\n\n", "HOB-0406 `Content-Length` is"),
            (
                "GET / HTTP/1.1\nHost: a\nContent-Length: 99999999999999999999\n\n",
                "HOB-0406 `Content-Length` is",
            ),
            (
                "GET / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n",
                "HOB-0406 `Transfer-Encoding` is",
            ),
            ("GET / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n", "HOB-0406 `Transfer-Encoding` is"),
            (
                "GET / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n",
                "HOB-0406 `Transfer-Encoding` is",
            ),
            ("GET / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n", "HOB-0406 HTTP/1.0 has"),
            ("GET / HTTP/1.1\nHost: a\nx: y\n z\n\n", "HOB-0406 a header field is folded"),
            ("GET / HTTP/1.1\nHost : a\n\n", "HOB-0406 a header name"),
            ("GET / HTTP/1.1\n: a\n\n", "HOB-0406 a header name"),
            ("GET / HTTP/1.1\nHost: a\nno colon\n\n", "HOB-0406 a header line"),
            ("GET / HTTP/1.1\nHost: a\nx: y\rz\n\n", "HOB-0406 a header value"),
            ("GET / HTTP/1.1\nHost: a\nx: \r\n\n", "HOB-0406 a header value"),
            ("GET / HTTP/1.1\nHost: a\nx: \0\n\n", "HOB-0406 a header value"),
            ("GET / HTTP/1.1^Host: a^^", "HOB-0406 a line ends in LF"),
            ("GET / HTTP/1.1\nHost: a\nx: y^z: w\n\n", "HOB-0406 a line ends in LF"),
            ("GET / HTTP/1.1\n\n", "HOB-0406 the request has no `Host`"),
            ("GET / HTTP/1.1\nHost: a\nHost: a\n\n", "HOB-0406 the request has more than one `Host`"),
            ("GET / HTTP/1.1\nHost:\n\n", "HOB-0406 `Host` is not"),
            ("GET / HTTP/1.1\nHost: a/b\n\n", "HOB-0406 `Host` is not"),
            ("GET / HTTP/1.1\nHost: u@a\n\n", "HOB-0406 `Host` is not"),
            ("GET http://b/ HTTP/1.1\nHost: a\n\n", "HOB-0406 `Host` and"),
            ("GET ftp://a/ HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target is neither"),
            ("GET a HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target is neither"),
            ("GET * HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target is neither"),
            ("CONNECT a:80 HTTP/1.1\nHost: a:80\n\n", "HOB-0406 the node is no proxy"),
            ("GET /# HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target holds"),
            ("GET /é HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target holds"),
            ("GET /<a> HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target holds"),
            ("GET http://a/?<a> HTTP/1.1\nHost: a\n\n", "HOB-0406 the request target holds"),
            ("GET  / HTTP/1.1\nHost: a\n\n", "HOB-0406 the request line is"),
            ("GET /a b HTTP/1.1\nHost: a\n\n", "HOB-0406 the request line is"),
            ("GET / HTTP/1.1 \nHost: a\n\n", "HOB-0406 the request line is"),
            ("GET /\n\n", "HOB-0406 the request line is"),
            ("G(T / HTTP/1.1\nHost: a\n\n", "HOB-0406 the method"),
            ("GET / HTTP/2.0\nHost: a\n\n", "HOB-0406 the protocol"),
            ("GET / http/1.1\nHost: a\n\n", "HOB-0406 the protocol"),
            ("\n\n", "HOB-0406 the request line is empty"),
            (&long_path, "HOB-0404 "),
            (&large, "HOB-0403 the request's headers are above"),
            (&many, "HOB-0403 the request has more than"),
        ] {
            let judged = judge(head);
            assert!(judged.starts_with(expected), "{:?}: {judged}", &head[..head.len().min(80)]);
        }
    }

    #[test]
    fn a_head_that_comes_in_pieces_ends_at_the_same_place() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut seen = 0;
        for length in 1..=bytes.len() {
            let found = end(&bytes[..length], seen).unwrap();
            assert_eq!(found, (length >= 27).then_some(27), "{length}");
            seen = if found.is_none() { length } else { seen };
        }
    }
}
