//! AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests"): what a request claims, and what its
//! signature has to be.
//!
//! **Why.** The secret never crosses the wire: a request carries a code over its own content, made with a key that is
//! derived from the secret, the day, the region and the service.
//!
//! **How.** [`Claim::read`] takes the claim out of the headers, [`Claim::check`] judges what needs no secret, and
//! [`Claim::signature`] is what the right secret would have made. Comparing the two in constant time is the caller's.
//!
//! **Not here:** presigned addresses, which no client of this API makes.

use crate::unit::millis;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use jiff::civil::DateTime;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// How far a request's time may be from the node's.
pub const SKEW_MAX: Duration = Duration::from_secs(15 * 60);
/// What stands for the hash of a body that is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The service whose requests are taken.
const SERVICE: &str = "lambda";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: &str = "x-amz-date";
const CONTENT_HASH: &str = "x-amz-content-sha256";
/// Bytes that SHA-256 takes at a time (FIPS 180-4).
const BLOCK_BYTES: usize = 64;

/// Why a request is not taken, as AWS distinguishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no signature.
    Missing,
    /// It is not written as the standard says; what is wrong.
    Incomplete(String),
    /// It is from another time, or not of this content; what is wrong.
    Invalid(String),
}

/// What a request says of its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The access key's id.
    pub key: String,
    /// The region that the client believes to talk to.
    pub region: String,
    date: String,
    time: String,
    signed: Vec<String>,
    given: String,
    hash: Option<String>,
}

/// The content that is signed besides the headers.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it came, with its escapes.
    pub path: &'a str,
    /// What follows `?`, as it came.
    pub query: &'a str,
}

impl Claim {
    /// Reads the claim.
    ///
    /// # Errors
    /// [`Wrong::Missing`] and [`Wrong::Incomplete`].
    pub fn read(headers: &HeaderMap) -> Result<Self, Wrong> {
        let text = only(headers, AUTHORIZATION.as_str())?.ok_or(Wrong::Missing)?;
        let Some(fields) = text.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' ')) else {
            return Err(Wrong::Incomplete(format!("`Authorization` does not begin with `{ALGORITHM}`")));
        };
        let field = |name: &str| {
            let mut found = fields.split(',').filter_map(|field| field.trim().strip_prefix(name));
            let value = found.next().and_then(|value| value.strip_prefix('='));
            let alone = found.next().is_none();
            value
                .filter(|value| alone && !value.is_empty())
                .ok_or_else(|| Wrong::Incomplete(format!("`Authorization` needs one `{name}`")))
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [key, date, region, service, "aws4_request"] = scope[..] else {
            let form = "`Credential` is not `<key>/<date>/<region>/<service>/aws4_request`";
            return Err(Wrong::Incomplete(form.to_owned()));
        };
        if service != SERVICE {
            let what = format!("the request is signed for service `{service}`, and this is `{SERVICE}`");
            return Err(Wrong::Incomplete(what));
        }
        let time =
            only(headers, DATE)?.ok_or_else(|| Wrong::Incomplete(format!("there is no `{DATE}` header")))?;
        Ok(Self {
            key: key.to_owned(),
            region: region.to_owned(),
            date: date.to_owned(),
            time: time.to_owned(),
            signed: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            given: field("Signature")?.to_owned(),
            hash: only(headers, CONTENT_HASH)?.map(str::to_owned),
        })
    }

    /// Judges what can be judged without the secret: the time, and whether everything is signed that has to be.
    ///
    /// # Errors
    /// [`Wrong::Incomplete`] and [`Wrong::Invalid`].
    pub fn check(&self, headers: &HeaderMap, now_ms: u64) -> Result<(), Wrong> {
        let at_ms = at_ms(&self.time)
            .ok_or_else(|| Wrong::Incomplete(format!("`{DATE}` is not a time such as `20150830T123600Z`")))?;
        if !self.time.starts_with(&self.date) {
            return Err(Wrong::Incomplete(format!("the day in `Credential` is not the one in `{DATE}`")));
        }
        if at_ms.abs_diff(now_ms) > millis(SKEW_MAX) {
            let word = if at_ms < now_ms { "expired" } else { "not yet current" };
            let minutes = SKEW_MAX.as_secs() / 60;
            let what = format!(
                "Signature {word}: {} is more than {minutes} minutes from this node's time",
                self.time
            );
            return Err(Wrong::Invalid(what));
        }
        let is_signed = |name: &str| self.signed.iter().any(|signed| signed == name);
        // What says what is to be done must not be changed on the way.
        let own = headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
        match [HOST.as_str()].into_iter().chain(own).find(|name| !is_signed(name)) {
            Some(name) => Err(Wrong::Incomplete(format!("header `{name}` is not signed"))),
            None => Ok(()),
        }
    }

    /// Whether the body is not signed.
    pub fn is_unsigned(&self) -> bool {
        self.hash.as_deref() == Some(UNSIGNED)
    }

    /// The signature that came, as text.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The signature that whoever has `secret` makes for this content.
    ///
    /// # Errors
    /// [`Wrong::Invalid`] when the body is not the one whose hash was signed.
    pub fn signature(
        &self,
        secret: &str,
        headers: &HeaderMap,
        content: Content<'_>,
        body: &[u8],
    ) -> Result<String, Wrong> {
        let hash = hex(&Sha256::digest(body));
        let hash = match &self.hash {
            Some(said) if said != UNSIGNED && *said != hash => {
                return Err(Wrong::Invalid(format!("the body's SHA-256 is not what `{CONTENT_HASH}` says")));
            }
            Some(said) => said.clone(),
            None => hash,
        };
        let request = canonical(content, headers, &self.signed, &hash);
        let (date, region) = (&self.date, &self.region);
        let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
        let text =
            format!("{ALGORITHM}\n{}\n{scope}\n{}", self.time, hex(&Sha256::digest(request.as_bytes())));
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes());
        for part in [region.as_str(), SERVICE, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        Ok(hex(&hmac(&key, text.as_bytes())))
    }
}

/// The value of a header that may come once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Wrong> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (values.next(), value.to_str()) {
        (None, Ok(text)) => Ok(Some(text.trim())),
        (None, Err(_)) => Err(Wrong::Incomplete(format!("header `{name}` is not ASCII"))),
        (Some(_), _) => Err(Wrong::Incomplete(format!("header `{name}` comes twice"))),
    }
}

/// Milliseconds since the Unix epoch of `20150830T123600Z` (ISO 8601, basic format).
fn at_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || time.len() != 6 || !digits(date) || !digits(time) {
        return None;
    }
    let two = |text: &str, at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let civil = DateTime::new(
        date.get(..4)?.parse().ok()?,
        two(date, 4)?,
        two(date, 6)?,
        two(time, 0)?,
        two(time, 2)?,
        two(time, 4)?,
        0,
    );
    let at = jiff::tz::Offset::UTC.to_timestamp(civil.ok()?).ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

/// The canonical request.
fn canonical(content: Content<'_>, headers: &HeaderMap, signed: &[String], hash: &str) -> String {
    let mut text = format!("{}\n{}\n{}\n", content.method, path(content.path), query(content.query));
    for name in signed {
        let values = headers.get_all(name).iter().map(trimmed);
        let _ = writeln!(text, "{name}:{}", values.collect::<Vec<_>>().join(","));
    }
    let _ = write!(text, "\n{}\n{hash}", signed.join(";"));
    text
}

/// The value with its spaces made one each; bytes outside of ASCII as UTF-8, or what they would be in it.
fn trimmed(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The path without `.`, `..` and empty segments, escaped once more (every service but S3 has it so).
fn path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    let mut text = String::from("/");
    for byte in kept.join("/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text + end
}

/// The query's pairs in order, each with its `=`; clients escape them before they sign.
fn query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(&str, &str)> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0u8; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    crate::id::hex(bytes, &mut text);
    text.into_iter().map(char::from).collect()
}

/// The canonical form for fuzzers, of a method and a target and a line for each header: nothing that a request says makes a
/// line of its own, and the order of the query changes nothing.
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let target = lines.next().unwrap_or_default();
    let (at, asked) = target.split_once('?').unwrap_or((target, ""));
    let (mut headers, mut signed) = (HeaderMap::new(), Vec::new());
    for (name, value) in lines.take(64).filter_map(|line| line.split_once(':')) {
        let name = http::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            signed.push(name.as_str().to_owned());
            headers.append(name, value);
        }
    }
    let content = Content { method: "POST", path: at, query: asked };
    let form = canonical(content, &headers, &signed, UNSIGNED);
    assert_eq!(form.split('\n').count(), signed.len() + 6, "a line too many: {form:?}");
    let turned: Vec<&str> = asked.rsplit('&').collect();
    assert_eq!(query(asked), query(&turned.join("&")), "the order of the query is not the client's");
    assert!(!path(at).contains("//") && path(at).starts_with('/'), "{}", path(at));
}

#[cfg(test)]
mod tests {
    use super::{Claim, Content, Wrong, at_ms, hex, hmac, path, query};
    use http::{HeaderMap, HeaderName, HeaderValue};
    use serde::Deserialize;

    /// Requests as botocore 1.44.8 signed them; the time and the key are those of the file.
    const VECTORS: &str = include_str!("signature/vectors.json");

    type Change = fn(&mut Vec<(String, String)>);
    #[derive(Deserialize)]
    struct Vectors {
        key: String,
        secret: String,
        time_ms: u64,
        requests: Vec<Signed>,
    }

    #[derive(Clone, Deserialize)]
    struct Signed {
        method: String,
        target: String,
        headers: Vec<(String, String)>,
        body: String,
    }

    /// Judges a request as a node does, at `time_ms` plus `later_ms`.
    fn judge(vectors: &Vectors, request: &Signed, later_ms: u64) -> Result<bool, Wrong> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let claim = Claim::read(&headers)?;
        claim.check(&headers, vectors.time_ms + later_ms)?;
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let body: Vec<u8> = request.body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let content = Content { method: &request.method, path, query };
        let made = claim.signature(&vectors.secret, &headers, content, &body)?;
        Ok(claim.key == vectors.key && made == claim.given())
    }

    #[test]
    fn what_botocore_signs_is_right_and_nothing_else_is() {
        let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
        assert!(vectors.requests.len() >= 9);
        for request in &vectors.requests {
            assert_eq!(judge(&vectors, request, 0), Ok(true), "{}", request.target);
            assert_eq!(judge(&vectors, request, 14 * 60_000), Ok(true), "{}", request.target);
            let late = judge(&vectors, request, 16 * 60_000);
            assert!(matches!(late, Err(Wrong::Invalid(_))), "{}", request.target);

            let changes: [fn(&mut Signed); 5] = [
                |request| request.method = "PATCH".into(),
                |request| request.target = request.target.replacen("/20", "/21", 1),
                |request| request.target.push_str(if request.target.contains('?') { "&x=y" } else { "?x=y" }),
                |request| request.body.push(' '),
                |request| {
                    let host = request.headers.iter_mut().find(|(name, _)| name == "host").unwrap();
                    host.1 = "127.0.0.1:9002".into();
                },
            ];
            for change in changes {
                let mut changed = request.clone();
                change(&mut changed);
                assert_eq!(judge(&vectors, &changed, 0), Ok(false), "{}", changed.target);
            }
        }
    }

    #[test]
    fn what_is_not_signed_as_it_should_be_is_refused() {
        let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
        let with = |change: Change| {
            let mut request = vectors.requests[0].clone();
            change(&mut request.headers);
            match judge(&vectors, &request, 0) {
                Ok(right) => right.to_string(),
                Err(Wrong::Missing) => "missing".to_owned(),
                Err(Wrong::Incomplete(what) | Wrong::Invalid(what)) => what,
            }
        };
        fn authorization(headers: &mut [(String, String)]) -> &mut String {
            &mut headers.iter_mut().find(|(name, _)| name == "authorization").unwrap().1
        }
        let table: [(Change, &str); 9] = [
            (|headers| headers.retain(|(name, _)| name != "authorization"), "missing"),
            (|headers| *authorization(headers) = "Bearer x".into(), "`Authorization` does not begin"),
            (
                |headers| *authorization(headers) = "AWS4-HMAC-SHA256 Credential=a/b".into(),
                "`Credential` is not",
            ),
            (
                |headers| *authorization(headers) = authorization(headers).replace("/lambda/", "/s3/"),
                "the request is signed for service `s3`",
            ),
            (
                |headers| *authorization(headers) = authorization(headers).replace("=host;", "="),
                "header `host` is not signed",
            ),
            (|headers| headers.retain(|(name, _)| name != "x-amz-date"), "there is no `x-amz-date`"),
            (
                |headers| headers.push(("x-amz-log-type".into(), "Tail".into())),
                "header `x-amz-log-type` is not signed",
            ),
            (
                |headers| headers.push(("authorization".into(), "x".into())),
                "header `authorization` comes twice",
            ),
            (
                |headers| {
                    *authorization(headers) = authorization(headers).replace("/20261126/", "/20261125/")
                },
                "the day in `Credential`",
            ),
        ];
        for (change, expected) in table {
            let found = with(change);
            assert!(found.starts_with(expected), "{found} instead of {expected}");
        }
    }

    #[test]
    fn the_parts_are_as_the_standards_have_them() {
        // RFC 4231, test cases 2 and 6.
        let hash = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac(b"Jefe", b"what do ya want for nothing?")), hash);
        let hash = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hex(&hmac(&[0xaa; 131], text)), hash);
        for (given, canonical) in
            [("", "/"), ("/", "/"), ("/a//./b/../c/", "/a/c/"), ("/a%3Ab", "/a%253Ab"), ("/ä", "/%C3%A4")]
        {
            assert_eq!(path(given), canonical, "{given}");
        }
        for (given, canonical) in [("", ""), ("b=1&a=2&a=1&c", "a=1&a=2&b=1&c="), ("&&a", "a=")] {
            assert_eq!(query(given), canonical, "{given}");
        }
        for (text, ms) in [
            ("19700101T000001Z", Some(1000)),
            ("20261126T083000Z", Some(1_795_681_800_000)),
            ("20261326T083000Z", None),
            ("20261126T083000", None),
            ("+0261126T083000Z", None),
        ] {
            assert_eq!(at_ms(text), ms, "{text}");
        }
    }
}
