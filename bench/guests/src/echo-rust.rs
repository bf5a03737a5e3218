//! The bench's working guest of WASI 0.2, as it was built; see `../README.md`.
//!
//! `/loop` never answers, `/call` answers what the function `rust` of the same app answers, and anything else
//! gets its request's body back, read and written piece by piece.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};

wasip2::http::proxy::export!(Echo);

/// Bytes read at once; as many as may be written at once.
const PIECE: u64 = 4096;

struct Echo;

impl wasip2::exports::http::incoming_handler::Guest for Echo {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        match request.path_with_query().unwrap_or_default().as_str() {
            "/loop" => spin(),
            "/call" => answer(call(), response_out),
            _ => answer(request.consume().unwrap(), response_out),
        }
    }
}

fn spin() {
    let mut turns: u64 = 0;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn call() -> IncomingBody {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some("rust.bench.internal")).unwrap();
    request.set_path_with_query(Some("/called")).unwrap();
    OutgoingBody::finish(request.body().unwrap(), None).unwrap();
    let coming = outgoing_handler::handle(request, None).unwrap();
    coming.subscribe().block();
    let response = coming.get().unwrap().unwrap().unwrap();
    assert_eq!(response.status(), 200);
    response.consume().unwrap()
}

fn answer(body: IncomingBody, response_out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let out_body = response.body().unwrap();
    ResponseOutparam::set(response_out, Ok(response));
    let input = body.stream().unwrap();
    let output = out_body.write().unwrap();
    while let Ok(piece) = input.blocking_read(PIECE) {
        output.blocking_write_and_flush(&piece).unwrap();
    }
    drop((input, output));
    OutgoingBody::finish(out_body, None).unwrap();
}
