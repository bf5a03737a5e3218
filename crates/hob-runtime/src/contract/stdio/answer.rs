//! What a program printed, as a response: CGI headers (RFC 3875, 6.3) if there are any.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};

/// A response: what its head says, and the beginning of its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) parts: Parts,
    pub(super) body: Vec<u8>,
}

/// Reads what was printed first. Without headers, or when they are not wanted, all of it is body.
///
/// # Errors
/// What is wrong with the headers, in words.
pub(super) fn read(
    mut printed: Vec<u8>,
    cgi: bool,
    content_type: Option<&HeaderValue>,
) -> Result<Answer, &'static str> {
    let (mut parts, ()) = Response::new(()).into_parts();
    match if cgi { split(&printed) } else { None } {
        Some((head_end, body_start)) => {
            parts.headers = headers(&printed[..head_end])?;
            parts.status = status(&mut parts.headers)?;
            printed.drain(..body_start);
        }
        None => {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            parts.headers.insert(CONTENT_TYPE, content_type.cloned().unwrap_or(plain));
        }
    }
    Ok(Answer { parts, body: printed })
}

/// Whether output begins with headers that CGI knows.
pub(super) fn has_headers(printed: &[u8]) -> bool {
    split(printed).is_some()
}

/// Where the headers end and the body begins, if the output begins with headers that CGI knows:
/// at least one of `Content-Type`, `Location` and `Status` (RFC 3875, 6.3), up to an empty line.
fn split(printed: &[u8]) -> Option<(usize, usize)> {
    let mut known = false;
    let mut at = 0;
    loop {
        let length = printed[at..].iter().position(|byte| *byte == b'\n')?;
        let line = &printed[at..at + length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let next = at + length + 1;
        if line.is_empty() {
            return known.then_some((at, next));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = &line[..colon];
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)) {
            return None;
        }
        known |= [&b"content-type"[..], b"location", b"status"].iter().any(|k| name.eq_ignore_ascii_case(k));
        at = next;
    }
}

fn headers(lines: &[u8]) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':').ok_or("a line has no colon")?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| "a name is not a token")?;
        let value = line[colon + 1..].trim_ascii();
        let value = HeaderValue::from_bytes(value).map_err(|_| "a value has control characters")?;
        headers.try_append(name, value).map_err(|_| "there are too many")?;
    }
    Ok(headers)
}

/// The status that the headers say; a `Location` alone is a redirection (RFC 3875, 6.2.3).
fn status(headers: &mut HeaderMap) -> Result<StatusCode, &'static str> {
    match headers.remove("status") {
        Some(status) => {
            let digits = status.as_bytes().get(..3).ok_or("`Status` has no number")?;
            let code = StatusCode::from_bytes(digits).map_err(|_| "`Status` has no number")?;
            if code.is_informational() { Err("`Status` is not that of an answer") } else { Ok(code) }
        }
        None if headers.contains_key(LOCATION) => Ok(StatusCode::FOUND),
        None => Ok(StatusCode::OK),
    }
}

/// A program may print anything.
pub(crate) fn fuzz(bytes: &[u8]) {
    for cgi in [true, false] {
        if let Ok(answer) = read(bytes.to_vec(), cgi, None) {
            assert!(answer.body.len() <= bytes.len() && bytes.ends_with(&answer.body));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use http::HeaderValue;

    #[test]
    fn headers_are_recognised_and_other_output_is_left_alone() {
        let echoed = HeaderValue::from_static("a/b");
        for (printed, expected) in [
            ("hello", "200 a/b hello"),
            ("", "200 a/b "),
            ("Content-Type: text/html\n\n<p>", "200 text/html <p>"),
            ("content-type: x/y\r\nStatus: 404 Not Found\r\n\r\nno", "404 x/y no"),
            ("Location: /there\n\n", "302 - "),
            ("Status: 204\n\n", "204 - "),
            ("note: this is text\n\nmore", "200 a/b note: this is text\n\nmore"),
            (
                "Content-Type: text/plain\nno empty line follows",
                "200 a/b Content-Type: text/plain\nno empty line follows",
            ),
            ("Status: x\n\n", "refused: `Status` has no number"),
            ("Status: 101\n\n", "refused: `Status` is not that of an answer"),
            ("Content-Type: a\x01b\n\n", "refused: a value has control characters"),
        ] {
            let shown = match read(printed.into(), true, Some(&echoed)) {
                Ok(answer) => {
                    let kind = answer.parts.headers.get("content-type").map_or("-", |v| v.to_str().unwrap());
                    let body = String::from_utf8(answer.body).unwrap();
                    format!("{} {kind} {body}", answer.parts.status.as_u16())
                }
                Err(why) => format!("refused: {why}"),
            };
            assert_eq!(shown, expected, "{printed:?}");
        }
        let raw = read("Status: 404\n\n".into(), false, None).unwrap();
        assert_eq!((raw.parts.status.as_u16(), raw.body.len()), (200, 13));
    }
}
