//! A file as an answer: conditions, ranges, and where the bytes come from.
//!
//! **How.** Conditions and ranges as in RFC 9110, 13 and 14: `if-none-match`, `if-range`, one range of bytes.
//! Several ranges are answered with the whole file, which that standard allows (14.2). A range is one of the
//! file as it is, never of a compressed form.

use super::Site;
use super::coding::{self, Coding};
use super::keep::unreadable;
use super::settings::below;
use crate::body::{Body, empty, full};
use crate::invocation::Reply;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::limit::{STATIC_KEPT_BYTES_MAX, STATIC_PIECE_BYTES};
use hob_core::spec::PackageFile;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE, VARY,
};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// Characters of a digest that are enough for a tag.
const TAG_CHARACTERS: usize = 32;
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// What is sent.
struct Sent {
    path: PathBuf,
    file: PackageFile,
    /// Compressed here, whole.
    gzip: Option<Bytes>,
    encoding: Option<&'static str>,
}

impl Site {
    /// Answers with a file of the package.
    pub(super) async fn file(&self, path: String, status: StatusCode, request: &Parts) -> Result<Reply> {
        let kind = mime_guess::from_path(&path).first_or_octet_stream();
        let headers = &request.headers;
        let range = headers.get(RANGE).filter(|_| status == StatusCode::OK);
        let (coding, varies) = coding::choose(&self.code.spec.package, &path, &kind, headers);
        let coding = if range.is_some() { Coding::Identity } else { coding };
        let sent = self.sent(&path, coding).await?;
        let tag = tag(&sent.file.digest, sent.encoding);
        let mut reply = Reply::new(empty());
        *reply.status_mut() = status;
        let head = reply.headers_mut();
        head.insert(CACHE_CONTROL, self.cache_control(&path, status));
        if status == StatusCode::OK {
            head.insert(ETAG, tag.clone());
            head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if varies {
            head.insert(VARY, ACCEPT_ENCODING);
        }
        if status == StatusCode::OK && matches(headers, &IF_NONE_MATCH, &tag) {
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(reply);
        }
        head.insert(CONTENT_TYPE, typed(&kind));
        if let Some(encoding) = sent.encoding {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let size = sent.gzip.as_ref().map_or(sent.file.size, |bytes| bytes.len() as u64);
        let same = !headers.contains_key(IF_RANGE) || headers.get(IF_RANGE) == Some(&tag);
        let part = range.filter(|_| same).map_or(Part::Whole, |range| part(range, size));
        let (from, length) = match part {
            Part::Whole => (0, size),
            Part::Nowhere => {
                *reply.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                reply.headers_mut().insert(CONTENT_RANGE, number(&format!("bytes */{size}")));
                return Ok(reply);
            }
            Part::Bytes(from, to) => {
                *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
                let place = number(&format!("bytes {from}-{to}/{size}"));
                reply.headers_mut().insert(CONTENT_RANGE, place);
                (from, to - from + 1)
            }
        };
        reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        if request.method != Method::HEAD && length > 0 {
            *reply.body_mut() = self.body(sent, from, length).await?;
        }
        Ok(reply)
    }

    async fn sent(&self, path: &str, coding: Coding) -> Result<Sent> {
        let (package, folder) = (&self.code.spec.package, &self.code.dir);
        let plain = |path: &str, encoding| Sent {
            path: folder.join(path),
            file: package[path],
            gzip: None,
            encoding,
        };
        Ok(match coding {
            Coding::Ready(ready, encoding) => plain(&ready, Some(encoding)),
            Coding::Gzip => {
                let mut sent = plain(path, None);
                sent.gzip = self.keep.gzip(sent.file.digest, &sent.path).await?;
                sent.encoding = sent.gzip.is_some().then_some("gzip");
                sent
            }
            Coding::Identity => plain(path, None),
        })
    }

    fn cache_control(&self, path: &str, status: StatusCode) -> HeaderValue {
        let fixed = |prefix: &String| path.starts_with(&below(&self.root, prefix));
        match status {
            StatusCode::OK if self.settings.immutable.iter().any(fixed) => FOR_EVER,
            _ => self.settings.cache.clone(),
        }
    }

    /// A part of a file: from memory if it is small, else piece by piece from the disk.
    async fn body(&self, sent: Sent, from: u64, length: u64) -> Result<Body> {
        let Sent { path, file, gzip, .. } = sent;
        let bytes = match gzip {
            Some(bytes) => bytes,
            None if file.size <= STATIC_KEPT_BYTES_MAX => self.keep.whole(file.digest, &path).await?,
            None => {
                let broken = |error: std::io::Error| unreadable(&path, &error);
                let mut open = tokio::fs::File::open(&path).await.map_err(broken)?;
                open.seek(std::io::SeekFrom::Start(from)).await.map_err(broken)?;
                let pieces = ReaderStream::with_capacity(open.take(length), STATIC_PIECE_BYTES);
                let frames = pieces.map_ok(Frame::data).map_err(move |error| unreadable(&path, &error));
                return Ok(StreamBody::new(frames).boxed_unsync());
            }
        };
        let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
        Ok(full(bytes.slice(at(from)..at(from + length))))
    }
}

fn tag(digest: &Digest, encoding: Option<&str>) -> HeaderValue {
    let hex = digest.hex();
    let suffix = encoding.map(|encoding| format!("-{encoding}")).unwrap_or_default();
    number(&format!("\"{}{suffix}\"", &hex[..TAG_CHARACTERS]))
}

/// A header's value of digits and other plain characters.
fn number(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("plain ASCII is a header's value")
}

fn typed(kind: &mime_guess::Mime) -> HeaderValue {
    let textual = kind.type_() == "text" || matches!(kind.subtype().as_str(), "json" | "javascript" | "xml");
    let text = if textual { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// Whether a condition names the tag, by weak comparison (RFC 9110, 8.8.3.2).
fn matches(headers: &HeaderMap, condition: &HeaderName, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let lists = headers.get_all(condition).iter().filter_map(|value| value.to_str().ok());
    let mut named = lists.flat_map(|list| list.split(',')).map(str::trim);
    named.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// The first and the last byte.
    Bytes(u64, u64),
    Nowhere,
}

/// What a `range` asks of a file of that size (RFC 9110, 14.1.2). What is not understood asks for all.
fn part(range: &HeaderValue, size: u64) -> Part {
    let text = range.to_str().ok().and_then(|text| text.strip_prefix("bytes="));
    let Some((first, last)) = text.filter(|text| !text.contains(',')).and_then(|text| text.split_once('-'))
    else {
        return Part::Whole;
    };
    let read = |text: &str| text.trim().parse::<u64>();
    let (from, to) = match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, true) => return Part::Whole,
        (true, false) => match read(last) {
            Ok(0) => return Part::Nowhere,
            Ok(suffix) => (size.saturating_sub(suffix), size.saturating_sub(1)),
            Err(_) => return Part::Whole,
        },
        (false, open) => match (read(first), if open { Ok(u64::MAX) } else { read(last) }) {
            (Ok(from), Ok(to)) if from <= to => (from, to.min(size.saturating_sub(1))),
            _ => return Part::Whole,
        },
    };
    if from >= size { Part::Nowhere } else { Part::Bytes(from, to) }
}

/// What a caller says of the file that it wants, a header a line: no part of it is outside of it.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        for size in [0, 1, 10, u64::MAX] {
            if let Part::Bytes(first, last) = part(&value, size) {
                assert!(first <= last && last < size, "{first} to {last} of {size}");
            }
        }
        for name in [http::header::ACCEPT_ENCODING, IF_NONE_MATCH] {
            headers.append(name, value.clone());
        }
    }
    let _ = matches(&headers, &IF_NONE_MATCH, &HeaderValue::from_static("\"a\""));
    let file = |size| PackageFile { digest: Digest::of(b""), size, executable: false };
    let package = [("a.txt", 4096), ("a.txt.br", 9)].map(|(path, size)| (path.to_owned(), file(size))).into();
    for path in ["a.txt", "a.txt.br", "none"] {
        let kind = mime_guess::from_path(path).first_or_octet_stream();
        let _ = coding::choose(&package, path, &kind, &headers);
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, part};
    use http::HeaderValue;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-0", Part::Bytes(0, 0)),
            ("bytes=2-", Part::Bytes(2, 9)),
            ("bytes=2-99", Part::Bytes(2, 9)),
            ("bytes=-3", Part::Bytes(7, 9)),
            ("bytes=-99", Part::Bytes(0, 9)),
            ("bytes=10-", Part::Nowhere),
            ("bytes=-0", Part::Nowhere),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(part(&HeaderValue::from_static(range), 10), expected, "{range}");
        }
        assert_eq!(
            part(&HeaderValue::from_static("bytes=0-"), 0),
            Part::Nowhere,
            "an empty file has no byte"
        );
    }
}
