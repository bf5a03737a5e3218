//! Hello in Rust: a WASI 0.3 component, whose handler is an `async fn`.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Hello);

struct Hello;

impl wasip3::exports::http::handler::Guest for Hello {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let headers = Fields::new();
        headers.append("content-type", b"text/plain").expect("the field is allowed");
        let (mut body, contents) = wit_stream::new();
        let (_no_trailers, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(contents), trailers);
        wit_bindgen::spawn_local(async move {
            // What a caller that has gone leaves unread is no fault of ours.
            let _ = body.write_all(format!("Hello from Rust at {path}\n").into_bytes()).await;
        });
        Ok(response)
    }
}
