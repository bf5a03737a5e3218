//! An HTTP request as an event: payload formats 2.0 (HTTP APIs, function URLs) and 1.0 (REST APIs).
//!
//! **How.** Names of headers are in lower case, several values are joined by commas; cookies are apart in 2.0.
//! A body is text where its media type says so and it is UTF-8, and base64 else. A request without a media
//! type is text if it can be.

use crate::invocation::Context;
use hob_core::event::{base64, timestamp};
use http::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, USER_AGENT};
use http::request::Parts;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// A request with its body, and what is known of it.
pub(in super::super) struct Called<'a> {
    pub(in super::super) head: &'a Parts,
    pub(in super::super) body: &'a [u8],
    pub(in super::super) context: &'a Context,
    /// The request's id as the runtime has it.
    pub(in super::super) id: &'a str,
    /// The trace as AWS writes it.
    pub(in super::super) trace: &'a str,
    pub(in super::super) now_ms: u64,
}

/// Names and values of a JSON object.
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Names with all of their values.
struct Lists<'a>(Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>);

impl Serialize for Lists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, values) in &self.0 {
            map.serialize_entry(name, values)?;
        }
        map.end()
    }
}

impl<'a> Lists<'a> {
    fn joined(&self) -> Pairs<'a> {
        let join = |values: &[Cow<'a, str>]| match values {
            [one] => one.clone(),
            several => Cow::Owned(several.join(",")),
        };
        Pairs(self.0.iter().map(|(name, values)| (name.clone(), join(values))).collect())
    }

    fn last(&self) -> Pairs<'a> {
        let last = |values: &[Cow<'a, str>]| values.last().cloned().unwrap_or_default();
        Pairs(self.0.iter().map(|(name, values)| (name.clone(), last(values))).collect())
    }

    fn some(self) -> Option<Self> {
        (!self.0.is_empty()).then_some(self)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V2<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Vec<Cow<'a, str>>>,
    headers: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<Pairs<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_parameters: Option<Pairs<'a>>,
    request_context: V2Context<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V2Context<'a> {
    account_id: &'static str,
    api_id: &'a str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: V2Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V2Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: &'a str,
}

/// Payload format 2.0.
pub(in super::super) fn v2(called: &Called<'_>) -> Vec<u8> {
    let Called { head, context, .. } = called;
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let route = Route::of(called);
    let host = text(&head.headers, &HOST);
    let (body, is_base64_encoded) = body(called);
    let event = V2 {
        version: "2.0",
        route_key: &route.key,
        raw_path: path,
        raw_query_string: query,
        cookies: cookies(&head.headers),
        headers: headers(called, false).joined(),
        query_string_parameters: query_values(query).some().map(|values| values.joined()),
        path_parameters: route.parameters(),
        request_context: V2Context {
            account_id: super::super::environment::ACCOUNT,
            api_id: context.app.as_str(),
            domain_name: host,
            domain_prefix: host.split(['.', ':']).next().unwrap_or_default(),
            http: V2Http {
                method: head.method.as_str(),
                path,
                protocol: "HTTP/1.1",
                source_ip: source(context),
                user_agent: text(&head.headers, &USER_AGENT),
            },
            request_id: called.id,
            route_key: &route.key,
            stage: "$default",
            time: clf(called.now_ms),
            time_epoch: called.now_ms,
        },
        body,
        is_base64_encoded,
    };
    written(&event, called.body.len())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V1<'a> {
    version: &'static str,
    resource: &'a str,
    path: &'a str,
    http_method: &'a str,
    headers: Pairs<'a>,
    multi_value_headers: Lists<'a>,
    query_string_parameters: Option<Pairs<'a>>,
    multi_value_query_string_parameters: Option<Lists<'a>>,
    path_parameters: Option<Pairs<'a>>,
    stage_variables: Option<()>,
    request_context: V1Context<'a>,
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V1Context<'a> {
    account_id: &'static str,
    api_id: &'a str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    extended_request_id: &'a str,
    http_method: &'a str,
    identity: V1Identity<'a>,
    path: &'a str,
    protocol: &'static str,
    request_id: &'a str,
    request_time: String,
    request_time_epoch: u64,
    resource_path: &'a str,
    stage: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V1Identity<'a> {
    source_ip: String,
    user_agent: &'a str,
}

/// Payload format 1.0.
pub(in super::super) fn v1(called: &Called<'_>) -> Vec<u8> {
    let Called { head, context, .. } = called;
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let route = Route::of(called);
    let host = text(&head.headers, &HOST);
    let (body, is_base64_encoded) = body(called);
    let (values, parameters) = (headers(called, true), query_values(query));
    let event = V1 {
        version: "1.0",
        resource: &route.pattern,
        path,
        http_method: head.method.as_str(),
        headers: values.last(),
        multi_value_headers: values,
        query_string_parameters: Some(parameters.last()).filter(|pairs| !pairs.0.is_empty()),
        multi_value_query_string_parameters: parameters.some(),
        path_parameters: route.parameters(),
        stage_variables: None,
        request_context: V1Context {
            account_id: super::super::environment::ACCOUNT,
            api_id: context.app.as_str(),
            domain_name: host,
            domain_prefix: host.split(['.', ':']).next().unwrap_or_default(),
            extended_request_id: called.id,
            http_method: head.method.as_str(),
            identity: V1Identity { source_ip: source(context), user_agent: text(&head.headers, &USER_AGENT) },
            path,
            protocol: "HTTP/1.1",
            request_id: called.id,
            request_time: clf(called.now_ms),
            request_time_epoch: called.now_ms,
            resource_path: &route.pattern,
            stage: "$default",
        },
        body,
        is_base64_encoded,
    };
    written(&event, called.body.len())
}

fn written(event: &impl Serialize, body_bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(2048 + body_bytes + body_bytes / 3);
    serde_json::to_writer(&mut text, event).expect("an event has text keys only, and memory takes all");
    text
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn source(context: &Context) -> String {
    context.peer.map_or_else(|| "127.0.0.1".to_owned(), |peer| peer.ip().to_string())
}

/// Every header with its values; cookies only where they have no place of their own.
fn headers<'a>(called: &'a Called<'_>, with_cookies: bool) -> Lists<'a> {
    let headers = &called.head.headers;
    let mut all: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)> = Vec::with_capacity(headers.keys_len() + 1);
    for name in headers.keys().filter(|name| with_cookies || **name != COOKIE) {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        all.push((name.as_str().into(), values.collect()));
    }
    if !headers.contains_key(super::super::TRACE_HEADER) {
        all.push((super::super::TRACE_HEADER.into(), vec![called.trace.into()]));
    }
    Lists(all)
}

fn cookies(headers: &HeaderMap) -> Option<Vec<Cow<'_, str>>> {
    let mut all = Vec::new();
    for value in headers.get_all(COOKIE) {
        match String::from_utf8_lossy(value.as_bytes()) {
            Cow::Borrowed(text) => all.extend(text.split("; ").map(Cow::from)),
            Cow::Owned(text) => all.extend(text.split("; ").map(|cookie| Cow::from(cookie.to_owned()))),
        }
    }
    (!all.is_empty()).then_some(all)
}

/// The parameters of a query, decoded, in the order in which their names come first.
fn query_values(query: &str) -> Lists<'_> {
    let mut all: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name, true), decoded(value, true));
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => all.push((name, vec![value])),
        }
    }
    Lists(all)
}

/// The text behind percent-encoding (RFC 3986, 2.1), and in a query spaces for pluses.
fn decoded(text: &str, query: bool) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return text.into();
    }
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let code =
            code.filter(|code| !code.starts_with('+')).and_then(|code| u8::from_str_radix(code, 16).ok());
        match (code, byte) {
            (Some(code), _) => {
                out.push(code);
                at += 2;
            }
            (None, b'+') if query => out.push(b' '),
            (None, byte) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

/// The body as a JSON string, and whether it is base64.
fn body<'a>(called: &'a Called<'_>) -> (Option<Cow<'a, str>>, bool) {
    if called.body.is_empty() {
        return (None, false);
    }
    let media = called.head.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let encoded = called.head.headers.contains_key(http::header::CONTENT_ENCODING);
    match std::str::from_utf8(called.body) {
        Ok(text) if !encoded && media.is_none_or(is_text) => (Some(text.into()), false),
        _ => (Some(base64::encode(called.body).into()), true),
    }
}

/// Whether a media type is one of text.
fn is_text(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence.as_str(),
            "application/json"
                | "application/javascript"
                | "application/xml"
                | "application/x-www-form-urlencoded"
                | "application/graphql"
                | "application/cloudevents"
        )
}

/// `12/Mar/2020:19:03:58 +0000` (the Common Log Format's time).
fn clf(now_ms: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let time = timestamp(now_ms);
    let part = |from: usize, to: usize| time.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    format!("{}/{}/{}:{} +0000", part(8, 10), month.unwrap_or(&"Jan"), part(0, 4), part(11, 19))
}

/// The route that matched, as an HTTP API names it.
struct Route<'a> {
    /// `GET /users/{id}`, or `$default`.
    key: String,
    /// `/users/{id}`; where Hob has `*`, an API has `{proxy+}`.
    pattern: String,
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Route<'a> {
    fn of(called: &Called<'a>) -> Self {
        let written = called.context.route.as_deref().filter(|route| *route != "/*");
        let Some(written) = written else {
            return Self {
                key: "$default".to_owned(),
                pattern: "/{proxy+}".to_owned(),
                parameters: Vec::new(),
            };
        };
        let path = called.head.uri.path().trim_start_matches('/');
        let mut parameters = Vec::new();
        let (mut pattern, mut rest) = (String::new(), Some(path));
        for part in written.trim_start_matches('/').split('/') {
            let (segment, after) = match rest.map(|rest| {
                rest.split_once('/').map_or((rest, None), |(segment, after)| (segment, Some(after)))
            }) {
                Some((segment, after)) => (segment, after),
                None => ("", None),
            };
            if part == "*" {
                parameters.push((Cow::from("proxy"), decoded(rest.unwrap_or_default(), false)));
                pattern.push_str("/{proxy+}");
                break;
            }
            if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                parameters.push((name.to_owned().into(), decoded(segment, false)));
            }
            pattern.push('/');
            pattern.push_str(part);
            rest = after;
        }
        Self { key: format!("{} {pattern}", called.head.method), pattern, parameters }
    }

    fn parameters(&self) -> Option<Pairs<'a>> {
        (!self.parameters.is_empty()).then(|| Pairs(self.parameters.clone()))
    }
}

#[cfg(test)]
mod tests;
