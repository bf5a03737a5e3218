//! HTTP as WASI 0.3 has it, in four verbs: read, respond, post and ask for a header.

use futures_util::future::join;
use serde_json::Value;
use wasip3::http::client;
use wasip3::http::types::{Fields, Method, Request, Response, Scheme};
use wasip3::{wit_bindgen, wit_future, wit_stream};

/// What the caller of this function is told.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Sent as JSON.
    pub body: Value,
}

/// Who called: the headers of the request.
pub struct Caller(Fields);

impl Caller {
    /// Keeps the headers before the body is taken.
    pub fn of(request: &Request) -> Self {
        Self(request.get_headers())
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.get(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }
}

/// A variable of this function's environment.
pub fn environment(name: &str) -> Option<String> {
    let all = wasip3::cli::environment::get_environment();
    all.into_iter().find_map(|(key, value)| (key == name).then_some(value))
}

/// The whole body.
pub async fn read(request: Request) -> Vec<u8> {
    let (_done, done) = wit_future::new(|| Ok(()));
    let (body, _trailers) = Request::consume_body(request, done);
    body.collect().await
}

/// Makes a response; its body is written while the caller reads.
pub fn respond(answer: &Answer) -> Response {
    let headers = Fields::new();
    headers.append("content-type", b"application/json").expect("the field is allowed");
    let (mut body, contents) = wit_stream::new();
    let (_none, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(contents), trailers);
    response.set_status_code(answer.status).expect("the status is a number of HTTP");
    let text = format!("{}\n", answer.body).into_bytes();
    wit_bindgen::spawn_local(async move {
        // What a caller that has gone leaves unread is no fault of ours.
        let _ = body.write_all(text).await;
    });
    response
}

/// Posts something; returns the status and the body of the answer.
///
/// Fails with one sentence when nobody answers.
pub async fn post(
    host: &str,
    path: &str,
    fields: Vec<(&'static str, String)>,
    content: Vec<u8>,
) -> Result<(u16, Vec<u8>), String> {
    let headers = Fields::new();
    let length = ("content-length", content.len().to_string());
    for (name, value) in fields.into_iter().chain([length]) {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| format!("`{host}` cannot be sent `{name}`: {error:?}"))?;
    }
    let (mut body, contents) = wit_stream::new();
    let (none, trailers) = wit_future::new(|| Ok(None));
    // Only with its trailers does a body end; dropped, this end says that there are none.
    drop(none);
    let (request, _sent) = Request::new(headers, Some(contents), trailers, None);
    request.set_method(&Method::Post).expect("POST is a method");
    request.set_scheme(Some(&Scheme::Http)).expect("HTTP is a scheme");
    request.set_authority(Some(host)).expect("the name is a host");
    request.set_path_with_query(Some(path)).expect("the path is one");

    let write = async move {
        // Who answers before everything is read says in the status why.
        let _ = body.write_all(content).await;
    };
    let ((), response) = join(write, client::send(request)).await;
    let response = response.map_err(|error| format!("`{host}` cannot be called: {error:?}"))?;
    let status = response.get_status_code();
    let (_done, done) = wit_future::new(|| Ok(()));
    let (answer, _trailers) = Response::consume_body(response, done);
    Ok((status, answer.collect().await))
}
