//! A guest of spin-sdk 2: says what the platform answers, by path.

use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::{http_component, key_value, sqlite, variables};

#[http_component]
async fn guest(request: Request) -> anyhow::Result<impl IntoResponse> {
    let argument = request.query().to_owned();
    let text = match request.path() {
        "/variable" => format!("{:?}", variables::get(&argument)),
        "/store" => key_value::Store::open(&argument).map(drop).unwrap_err().to_string(),
        "/sqlite" => sqlite::Connection::open(&argument).map(drop).unwrap_err().to_string(),
        "/call" => {
            let response: Response = spin_sdk::http::send(Request::get(&argument).build()).await?;
            format!("{} {}", response.status(), String::from_utf8_lossy(response.body()))
        }
        _ => {
            let mut lines: Vec<String> = request
                .headers()
                .filter(|(name, _)| name.starts_with("spin-"))
                .map(|(name, value)| format!("{name}: {}\n", value.as_str().unwrap_or("?")))
                .collect();
            lines.sort();
            lines.concat()
        }
    };
    Ok(Response::new(200, text))
}
