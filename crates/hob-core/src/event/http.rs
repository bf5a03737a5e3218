//! The HTTP binding both ways, and the handshake of web hooks (CloudEvents HTTP binding and HTTP web
//! hooks, 1.0.2).
//!
//! **Why.** Events come in, go to functions and come back as answers in this form, so what attributes
//! may do to headers is decided here alone.
//!
//! **How.** Written values are percent-encoded strictly: whatever an attribute holds, it stays one
//! visible value of one header. Read values are taken as real senders write them.
//!
//! **Lenient**, since neither the Python nor the JavaScript SDK encodes header values: raw spaces, raw
//! UTF-8 and a `%` that begins no code are read as they are; `ce-datacontenttype` is ignored in favour
//! of `Content-Type`; the body may come without any `Content-Type`; `application/cloudevents` without
//! `+json` is read as JSON.

use super::check::{is_name, malformed, shown, too_large};
use super::{Attribute, Event, json, media};
use crate::fault::Result;
use crate::limit::{EVENT_ATTRIBUTE_BYTES_MAX, EVENT_ATTRIBUTES_MAX};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;

/// What the names of the headers of attributes begin with.
const PREFIX: &str = "ce-";
/// Media type of an event in structured mode.
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
/// Media type of a batch.
const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

/// How an event lies in a message (section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes are headers, the body is the data.
    Binary,
    /// The body is one event in the JSON format.
    Structured,
    /// The body is a list of events.
    Batch,
}

/// In which mode a message carries events; `None` when it carries none (section 3).
pub fn mode(headers: &HeaderMap) -> Option<Mode> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media::is_batch(media) {
        Some(Mode::Batch)
    } else if media::is_event(media) {
        Some(Mode::Structured)
    } else {
        headers.contains_key("ce-specversion").then_some(Mode::Binary)
    }
}

/// Reads the events of a message; only a batch has others than one. In binary mode extensions are
/// strings, whatever they were (section 3.1.3.2).
///
/// # Errors
/// `HOB-0801` when it carries none, or one that is not valid, with status 415 for a format other than
/// JSON; `HOB-0802` for what is too large.
pub fn read(headers: &HeaderMap, body: Bytes) -> Result<Vec<Event>> {
    match mode(headers) {
        None => Err(malformed("the request carries no CloudEvent").hint(
            "send `ce-specversion: 1.0` with `ce-id`, `ce-source` and `ce-type`, or `Content-Type: application/cloudevents+json`",
        )),
        Some(Mode::Binary) => Ok(vec![read_binary(headers, body)?]),
        Some(Mode::Structured) => {
            is_format(headers, ["application/cloudevents", "application/cloudevents+json"])?;
            Ok(vec![json::read(&body)?])
        }
        Some(Mode::Batch) => {
            is_format(headers, ["application/cloudevents-batch", "application/cloudevents-batch+json"])?;
            json::read_batch(&body)
        }
    }
}

/// Writes an event into the headers of a message and returns its body. Headers of another event that
/// are there already are removed.
///
/// Data without a media type is announced as `application/json` if it is that, since no header would
/// say so otherwise (JSON format, section 3.1.2). An event whose data calls itself an event is
/// written structured even when binary is asked for: its reader would take the inner one for it.
pub fn write(event: &Event, mode: Mode, headers: &mut HeaderMap) -> Bytes {
    let old: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
    old.into_iter().for_each(|name| drop(headers.remove(name)));
    headers.remove(CONTENT_TYPE);
    match mode {
        Mode::Binary if !event.datacontenttype.as_deref().is_some_and(media::is_event) => {
            write_binary(event, headers)
        }
        Mode::Binary | Mode::Structured => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
            json::write(event).into()
        }
        Mode::Batch => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(BATCH));
            json::write_batch(std::slice::from_ref(event)).into()
        }
    }
}

/// The only value of a header; `None` when it is not there.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(malformed(format!("the header `{name}` is there twice")).hint("send it once")),
    }
}

fn is_format(headers: &HeaderMap, formats: [&str; 2]) -> Result<()> {
    let value = single(headers, &CONTENT_TYPE)?;
    let media = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = formats.iter().any(|format| media::essence(media).eq_ignore_ascii_case(format));
    if known && !media::is_foreign_charset(media) {
        return Ok(());
    }
    Err(malformed(format!("events in the format `{}` cannot be read", shown(media)))
        .hint(format!("send `Content-Type: {}`", formats[1]))
        .with_status(415))
}

fn read_binary(headers: &HeaderMap, body: Bytes) -> Result<Event> {
    let mut event = Event::new("", "", "");
    let mut count = 0;
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else { continue };
        count += 1;
        if count > EVENT_ATTRIBUTES_MAX {
            let message = format!("the event has more attributes than the limit of {EVENT_ATTRIBUTES_MAX}");
            return Err(malformed(message).hint("put what describes the data into the data"));
        }
        let Some(value) = single(headers, header)? else { continue };
        if name != "datacontenttype" {
            event.assign(name, Attribute::String(value_text(header, value)?))?;
        }
    }
    if let Some(value) = single(headers, &CONTENT_TYPE)? {
        let media = value.to_str().map_err(|_| malformed("the header `content-type` is not ASCII"))?.trim();
        event.datacontenttype = (!media.is_empty()).then(|| media.to_owned());
    }
    event.data = (!body.is_empty()).then_some(body);
    event.check()?;
    Ok(event)
}

fn value_text(header: &HeaderName, value: &HeaderValue) -> Result<String> {
    // Each byte takes three when it is encoded.
    let most = 3 * EVENT_ATTRIBUTE_BYTES_MAX;
    if value.len() > most {
        return Err(too_large(format!(
            "the header `{header}` has {} bytes, the limit is {most}",
            value.len()
        )));
    }
    decode(value.as_bytes()).ok_or_else(|| {
        malformed(format!("the header `{header}` is not UTF-8")).hint("percent-encode its value as UTF-8")
    })
}

fn write_binary(event: &Event, headers: &mut HeaderMap) -> Bytes {
    // A map that is too full for it says so below.
    let _ = headers.try_reserve(event.extensions.len() + 8);
    for (name, value) in event.attributes() {
        if name != "datacontenttype"
            && let Some(header) = header(name)
        {
            // The first stays: an extension that was never checked does not replace an attribute. A map
            // that is full, which no checked event makes it, takes no more.
            if !headers.contains_key(&header) && headers.try_insert(header, encode(&value.text())).is_err() {
                break;
            }
        }
    }
    let media =
        event.datacontenttype.as_deref().or_else(|| json::has_json(event).then_some("application/json"));
    if let Some(media) = media.and_then(|media| HeaderValue::from_str(media).ok()) {
        headers.insert(CONTENT_TYPE, media);
    }
    event.data.clone().unwrap_or_default()
}

/// The header of an attribute; `None` for what is no attribute's name.
fn header(name: &str) -> Option<HeaderName> {
    is_name(name).then(|| HeaderName::try_from(format!("{PREFIX}{name}")).ok()).flatten()
}

/// Whether a byte goes into a header as it is (section 3.1.3.2).
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'%'
}

/// A text as the value of a header.
fn encode(text: &str) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() + text.bytes().filter(|byte| !is_plain(*byte)).count() * 2);
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(out)).expect("visible ASCII is the value of a header")
}

/// The text of a header's value; `None` when its bytes are not UTF-8.
fn decode(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let value = unquote(value).map_or(Cow::Borrowed(value), Cow::Owned);
    let mut out = Vec::with_capacity(value.len());
    let mut rest: &[u8] = &value;
    while let Some((byte, after)) = rest.split_first() {
        let code = if *byte == b'%' { after.first_chunk().and_then(hex) } else { None };
        out.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(out).ok()
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

/// What stands in a quoted string (RFC 9110, section 5.6.4); `None` when it is not one from end to end.
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => out.push(*bytes.next()?),
            _ => out.push(*byte),
        }
    }
    Some(out)
}

/// Answers a sender who asks whether he may send events (HTTP web hooks, section 4): the headers that
/// say so. `None`: no consent, which is an answer without them.
///
/// `allowed_origins` are DNS names, `*.example.com` for all names below one, or `*` for everybody. A
/// rate that is asked for is granted.
pub fn handshake(headers: &HeaderMap, allowed_origins: &[String]) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let once = |name: &'static str| single(headers, &HeaderName::from_static(name)).ok();
    let origin = once("webhook-request-origin")??;
    let name = origin.to_str().ok().filter(|name| is_dns_name(name))?;
    if !allowed_origins.iter().any(|allowed| is_allowed(name, allowed)) {
        return None;
    }
    let rate = match once("webhook-request-rate")? {
        None => HeaderValue::from_static("*"),
        Some(rate) => rate.to_str().ok()?.parse::<u32>().ok().filter(|rate| *rate > 0)?.into(),
    };
    Some(vec![
        (HeaderName::from_static("webhook-allowed-origin"), origin.clone()),
        (HeaderName::from_static("webhook-allowed-rate"), rate),
        (ALLOW, HeaderValue::from_static("POST")),
    ])
}

fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

fn is_allowed(name: &str, allowed: &str) -> bool {
    let Some(domain) = allowed.strip_prefix('*') else { return name.eq_ignore_ascii_case(allowed) };
    // `*.example.com` is for names that end with `.example.com`; names are ASCII, so any cut is good.
    let cut = name.len().checked_sub(domain.len());
    domain.is_empty()
        || (domain.starts_with('.') && cut.is_some_and(|cut| name[cut..].eq_ignore_ascii_case(domain)))
}
