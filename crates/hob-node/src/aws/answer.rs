//! What AWS's clients read: JSON, and errors whose name stands in a header.

use crate::problem::HOB_ERROR;
use bytes::Bytes;
use hob_core::aws::error::Exception;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_runtime::body::{self, Body};
use hob_runtime::contract::lambda::request_id;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

/// The id of a request, as AWS names it; `hob why` looks it up.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// The name of an error.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// What an operation comes to.
pub(super) type Answered<T = Response<Body>> = Result<T, Refusal>;

/// A request that is not granted.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What it is to a client.
    pub(super) exception: Exception,
    /// What it is to Hob.
    pub(super) fault: Fault,
}

impl Refusal {
    /// With another name than the one that fits the fault's code.
    pub(super) fn new(exception: Exception, fault: Fault) -> Self {
        Self { exception, fault }
    }

    /// A value of the request that cannot be taken.
    pub(super) fn value(what: impl Into<String>) -> Self {
        Fault::new(Code::AwsRequest, what).into()
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { exception: Exception::of(fault.code()), fault }
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answered {
    let text = serde_json::to_vec(value).map_err(Fault::internal)?;
    Ok(with_body(status, text))
}

/// An answer with a JSON body that is text already.
pub(super) fn with_body(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(super) fn nothing(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    response
}

/// Says why a request is not granted.
pub(super) fn refuse(refusal: &Refusal) -> Response<Body> {
    let Refusal { exception, fault } = refusal;
    let hint = fault.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
    let text = format!("{}{hint}", fault.message());
    let value = json!({ "Type": exception.side(), "Message": text, "HobError": fault.code().text() });
    let status = StatusCode::from_u16(exception.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_body(status, value.to_string());
    let headers = response.headers_mut();
    headers.insert(ERROR_TYPE, HeaderValue::from_static(exception.name()));
    headers.insert(HOB_ERROR, HeaderValue::from_static(fault.code().text()));
    if let Some(seconds) = fault.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Sets the id of the request, unless the operation has.
pub(super) fn identify(response: &mut Response<Body>, id: InvocationId) {
    let text = HeaderValue::try_from(request_id(id));
    response.headers_mut().entry(REQUEST_ID).or_insert_with(|| text.expect("an id is digits and hyphens"));
}
