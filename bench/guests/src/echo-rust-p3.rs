//! The bench's working guest of WASI 0.3, as it was built; see `../README.md`.
//!
//! `/loop` never answers, `/call` answers what the function `rust-p3` of the same app answers, and anything else
//! gets its request's body back: WASI 0.3 lets a guest give the stream on without reading it.

use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::wit_future;

wasip3::http::service::export!(Echo);

struct Echo;

impl wasip3::exports::http::handler::Guest for Echo {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        if path == "/loop" {
            spin();
        }
        let (_done, done) = wit_future::new(|| Ok(()));
        let (contents, trailers) = if path == "/call" {
            Response::consume_body(call().await?, done)
        } else {
            Request::consume_body(request, done)
        };
        let (response, _sent) = Response::new(Fields::new(), Some(contents), trailers);
        Ok(response)
    }
}

fn spin() {
    let mut turns: u64 = 0;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

async fn call() -> Result<Response, ErrorCode> {
    let (none, trailers) = wit_future::new(|| Ok(None));
    drop(none);
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some("rust-p3.bench.internal")).unwrap();
    request.set_path_with_query(Some("/called")).unwrap();
    client::send(request).await
}
