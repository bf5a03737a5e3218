//! A guest of spin-sdk 7: says what the platform answers, by path.

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::{http_service, key_value, redis, sqlite, variables};

#[http_service]
async fn guest(request: Request) -> impl IntoResponse {
    let argument = request.uri().query().unwrap_or_default().to_owned();
    match request.uri().path() {
        "/variable" => format!("{:?}", variables::get(&argument).await),
        "/store" => key_value::Store::open(&argument).await.map(drop).unwrap_err().to_string(),
        "/sqlite" => sqlite::Connection::open(&argument).await.map(drop).unwrap_err().to_string(),
        "/redis" => redis::Connection::open(&argument).await.map(drop).unwrap_err().to_string(),
        "/call" => match spin_sdk::http::get(&argument).await {
            Ok(response) => {
                let status = response.status();
                let body = response.into_body().bytes().await.unwrap_or_default();
                format!("{status} {}", String::from_utf8_lossy(&body))
            }
            Err(error) => format!("{error:?}"),
        },
        _ => {
            let mut lines: Vec<String> = request
                .headers()
                .iter()
                .filter(|(name, _)| name.as_str().starts_with("spin-"))
                .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?")))
                .collect();
            lines.sort();
            lines.concat()
        }
    }
}
