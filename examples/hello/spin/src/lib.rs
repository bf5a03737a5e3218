//! Hello from Spin: a component as its SDK makes it, with a variable of the app and the route that matched.

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, variables};

#[http_service]
async fn hello(request: Request) -> impl IntoResponse {
    let greeting = variables::get("greeting").await.unwrap_or_else(|_| "Hello".to_owned());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("?");
    format!("{greeting}, {}, from {}\n", header("spin-path-match-name"), header("spin-component-route"))
}
