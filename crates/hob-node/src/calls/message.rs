//! A request or an answer as it is stored: a line of JSON with the head, then the body's bytes.
//!
//! **Not here:** anything about attempts; [`Ended`] only carries what was found out.

use super::CALL_ID;
use crate::bus::Placed;
use bytes::{BufMut, Bytes, BytesMut};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::ASYNC_RESULT_BYTES_MAX;
use hob_core::name::FunctionName;
use hob_core::spec::AsyncSpec;
use hob_core::wire::{CallInfo, CallState};
use hob_runtime::body::{self, Body};
use hob_runtime::contract::lambda::RawCall;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};

/// A stored request or answer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    head: Head,
    body: Bytes,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Head {
    /// Of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Of a request: path and query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Names and values; bytes outside ASCII as Latin-1.
    headers: Vec<(String, String)>,
    /// Where the result is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    callback: Option<String>,
    /// Of a request: its body is the event of a function of contract `lambda`, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<Raw>,
    /// Of a request: its [`Terms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<AsyncSpec>,
    /// Of an answer: the id of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// Of an answer: the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<FunctionName>,
    /// Of an answer: how the call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
}

/// In the extensions of a request that is to be made later: what becomes of it, where the function does not say that.
#[derive(Clone, Debug)]
pub(crate) struct Terms(pub(crate) AsyncSpec);

/// A [`RawCall`] as it is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Raw {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
}

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// It was given up.
    pub(crate) failed: bool,
    /// Attempts that were made.
    pub(crate) attempts: u32,
    /// The code of the last failure, when Hob answered in the function's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// The body was longer than what is kept.
    #[serde(default)]
    pub(crate) cut: bool,
}

impl Message {
    /// A request that is to be made later.
    pub(crate) fn request(head: &http::request::Parts, body: Bytes, callback: Option<String>) -> Self {
        let head = Head {
            method: Some(head.method.to_string()),
            target: head.uri.path_and_query().map(ToString::to_string),
            headers: stored(&head.headers),
            callback,
            raw: head.extensions.get::<RawCall>().map(|raw| Raw {
                arn: raw.arn.clone(),
                version: raw.version,
                client_context: raw.client_context.clone(),
                tenant: raw.tenant.clone(),
            }),
            terms: head.extensions.get::<Terms>().map(|terms| terms.0.clone()),
            ..Head::default()
        };
        Self { head, body }
    }

    /// The answer to it.
    pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, body: Bytes, mut ended: Ended) -> Self {
        ended.cut |= body.len() > ASYNC_RESULT_BYTES_MAX;
        let body = body.slice(..body.len().min(ASYNC_RESULT_BYTES_MAX));
        let head = Head {
            status: Some(status.as_u16()),
            headers: stored(headers),
            ended: Some(ended),
            ..Head::default()
        };
        Self { head, body }
    }

    /// The same, with where it is to be sent.
    pub(crate) fn with_callback(mut self, url: Option<String>) -> Self {
        self.head.callback = url;
        self
    }

    /// The same, with the id of the call that it is the answer to, and its function.
    pub(crate) fn with_call(mut self, id: String, function: &FunctionName) -> Self {
        (self.head.call, self.head.function) = (Some(id), Some(function.clone()));
        self
    }

    /// The function that answered.
    pub(crate) fn function(&self) -> Option<&FunctionName> {
        self.head.function.as_ref()
    }

    /// How it came by the Lambda API, if it did.
    pub(crate) fn raw(&self) -> Option<RawCall> {
        let Raw { arn, version, client_context, tenant } = self.head.raw.clone()?;
        Some(RawCall { arn, version, client_context, tenant, ..RawCall::default() })
    }

    /// What becomes of it, where the function does not say that.
    pub(crate) fn terms(&self) -> Option<&AsyncSpec> {
        self.head.terms.as_ref()
    }

    /// The body.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) fn callback(&self) -> Option<&str> {
        self.head.callback.as_deref()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.head.status
    }

    pub(crate) fn ended(&self) -> Ended {
        self.head.ended.clone().unwrap_or_default()
    }

    /// The request to make.
    pub(crate) fn to_request(&self) -> Request<Body> {
        let mut request = Request::new(body::full(self.body.clone()));
        let method = self.head.method.as_deref().and_then(|method| method.parse().ok());
        *request.method_mut() = method.unwrap_or(Method::POST);
        *request.uri_mut() =
            self.head.target.as_deref().and_then(|target| target.parse().ok()).unwrap_or_default();
        *request.headers_mut() = self.headers();
        request.extensions_mut().extend(self.raw().map(with_raw).unwrap_or_default());
        request
    }

    /// The answer as the function gave it.
    pub(crate) fn response(self, info: &CallInfo) -> Response<Body> {
        let mut response = Response::new(body::full(self.body.clone()));
        *response.status_mut() =
            self.head.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
        *response.headers_mut() = self.headers();
        let state = if info.state == CallState::Failed { "failed" } else { "done" };
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("hob-call-state"), HeaderValue::from_static(state));
        headers.extend(HeaderValue::try_from(&info.id).ok().map(|id| (CALL_ID, id)));
        if self.ended().cut {
            headers.insert(HeaderName::from_static("hob-call-cut"), HeaderValue::from_static("true"));
        }
        response
    }

    /// The request that brings the result to its caller's address.
    ///
    /// # Errors
    /// `HOB-0406` when `url` is none.
    pub(crate) fn to_callback(&self, url: &str) -> Result<Request<Body>> {
        let uri: http::Uri = url
            .parse()
            .map_err(|_| Fault::new(Code::RequestMalformed, format!("`{url}` is no address to call")))?;
        let mut request = Request::new(body::full(self.body.clone()));
        *request.method_mut() = Method::POST;
        let mut headers = self.headers();
        let status = self.head.status.unwrap_or_default();
        headers.insert(HeaderName::from_static("hob-call-status"), HeaderValue::from(status));
        headers.extend(
            self.head.call.as_deref().and_then(|id| HeaderValue::try_from(id).ok()).map(|id| (CALL_ID, id)),
        );
        headers.extend(
            uri.authority()
                .and_then(|host| HeaderValue::try_from(host.as_str()).ok())
                .map(|host| (http::header::HOST, host)),
        );
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn headers(&self) -> HeaderMap {
        let pairs = self.head.headers.iter().filter_map(|(name, value)| {
            let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&bytes?).ok()?))
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    /// # Errors
    /// `HOB-0901`: never, since the head is plain data.
    pub(crate) fn encode(&self) -> Result<Bytes> {
        let head = serde_json::to_vec(&self.head).map_err(Fault::internal)?;
        let mut bytes = BytesMut::with_capacity(head.len() + 1 + self.body.len());
        bytes.put_slice(&head);
        bytes.put_u8(b'\n');
        bytes.put_slice(&self.body);
        Ok(bytes.freeze())
    }

    /// What a record of calls or results holds; `None` for one that is neither.
    pub(crate) fn of(placed: &Placed) -> Option<Self> {
        placed.stored.event.data.as_ref().and_then(Self::decode)
    }

    /// Reads what [`Message::encode`] wrote; `None` for anything else.
    fn decode(bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Self { head, body: bytes.slice(end + 1..) })
    }
}

fn with_raw(raw: RawCall) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    extensions.insert(raw);
    extensions
}

/// The headers that are kept: not those that say how the body is sent.
fn stored(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH && **name != TRANSFER_ENCODING);
    kept.map(|(name, value)| {
        (name.to_string(), value.as_bytes().iter().map(|byte| char::from(*byte)).collect())
    })
    .collect()
}

/// What is stored may be damaged: what is read of it is written and read again.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Some(message) = Message::decode(&Bytes::copy_from_slice(bytes)) else { return };
    let _ = message.to_callback("http://localhost/");
    let again = message.encode().ok().as_ref().and_then(Message::decode);
    assert_eq!(again.map(|again| again.body), Some(message.body));
}

#[cfg(test)]
mod tests {
    use super::{Ended, Message, Terms};
    use hob_core::spec::AsyncSpec;
    use hob_runtime::contract::lambda::RawCall;
    use http::{HeaderMap, Request, StatusCode};

    #[test]
    fn a_message_comes_back_as_it_was() {
        let request = Request::builder()
            .method("PUT")
            .uri("/a?b=c")
            .header("x-y", "1")
            .header("x-y", "2")
            .body(())
            .unwrap();
        let (mut head, ()) = request.into_parts();
        let raw = RawCall { arn: Some("a:1".into()), version: Some(1), ..RawCall::default() };
        head.extensions.insert(raw.clone());
        let terms = AsyncSpec { dead_letter: "letters".to_owned().try_into().ok(), ..AsyncSpec::default() };
        head.extensions.insert(Terms(terms.clone()));
        head.headers.insert("z", http::HeaderValue::from_bytes(b"\xe9\x80").unwrap());
        let message = Message::request(&head, "x\n\0y".into(), Some("http://a/".into()));
        let back = Message::decode(&message.encode().unwrap()).unwrap();
        let request = back.to_request();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("PUT", "/a?b=c"));
        assert_eq!(request.headers().get_all("x-y").iter().count(), 2);
        assert_eq!(request.headers()["z"].as_bytes(), b"\xe9\x80");
        assert_eq!(request.extensions().get::<RawCall>(), Some(&raw));
        assert_eq!(back.terms(), Some(&terms));
        assert_eq!((back.callback(), &back.body[..]), (Some("http://a/"), &b"x\n\0y"[..]));

        let ended = Ended { failed: true, attempts: 3, code: Some("HOB-0502".into()), cut: false };
        let answer = Message::answer(
            StatusCode::IM_A_TEAPOT,
            &HeaderMap::new(),
            "a".repeat(2 << 20).into(),
            ended.clone(),
        );
        let back = Message::decode(&answer.encode().unwrap()).unwrap();
        assert_eq!((back.status(), back.ended()), (Some(418), Ended { cut: true, ..ended }));
        for bad in ["", "{}", "x\ny"] {
            assert!(Message::decode(&bad.into()).is_none(), "{bad}");
        }
    }
}
