//! A guest of spin-sdk 6, whose components export the handler of WASI 0.3 as the draft of March 2026 names it.

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;

#[http_service]
async fn guest(request: Request) -> impl IntoResponse {
    format!("{} {}\n", request.method(), request.uri().path())
}
