//! What the runtime API says no with: a status and a body of its own (runtime API 2018-06-01).

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

/// Why a request of a runtime or extension is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No call with this id is under way.
    Id,
    /// Not at this moment.
    State(&'static str),
    /// A response mode that does not exist.
    Mode,
    /// The body is shorter than was said.
    Truncated,
    /// The body is too large.
    TooLarge,
    /// Something of an extension's; its type, and why.
    Extension(&'static str, &'static str),
    /// There is nothing there.
    NotFound,
    /// There is, but not for this method.
    Method,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Id => (StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
            Self::State(why) => (StatusCode::FORBIDDEN, "InvalidStateTransition", why),
            Self::Mode => {
                (StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", "Invalid function response mode")
            }
            Self::Truncated => (StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request truncated"),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                "Exceeded maximum allowed payload size (6291556 bytes).",
            ),
            Self::Extension(kind, why) => (StatusCode::FORBIDDEN, kind, why),
            Self::NotFound => (StatusCode::NOT_FOUND, "NotFound", "there is no such resource"),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "the resource has other methods")
            }
        }
    }

    /// The answer.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let (status, kind, why) = self.parts();
        json_response(status, json!({ "errorMessage": why, "errorType": kind }).to_string())
    }
}

/// A JSON answer.
pub(super) fn json_response(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let json = http::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
