//! Contract `stdio` as WAGI has it: what a program is told, and what is an answer.

use crate::support::{Bench, invocation};
use hob_runtime::body::empty;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

const TELLS: &str = r#"printf 'Content-Type: text/plain\r\n\r\n'
printf '%s\n' "$SERVER_SOFTWARE|$GATEWAY_INTERFACE|$SCRIPT_NAME|$PATH_INFO|$PATH_TRANSLATED|$X_RAW_PATH_INFO"
printf '%s\n' "$X_MATCHED_ROUTE|$X_COMPONENT_ROUTE|$X_PATH_MATCH_USER|$X_CLIENT_ADDR|$X_FULL_URL|$*|"
"#;

async fn ask(script: &str, settings: Value, path: &str) -> String {
    let bench = Bench::open();
    let pool = bench
        .script(script, |spec| {
            spec.settings = settings.as_object().unwrap().clone();
        })
        .await;
    let request = http::Request::get(path).header("host", "localhost").body(empty()).unwrap();
    let mut call = invocation(&pool, request);
    let context = Arc::get_mut(&mut call.context).unwrap();
    context.route = Some("/u/{user}/*".to_owned());
    context.peer = Some("192.0.2.7:4711".parse().unwrap());
    match pool.call(call).await {
        Ok(reply) => {
            let location = reply.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
            let status = reply.status().as_u16();
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            format!("{status} {}{}", location.unwrap_or_default(), String::from_utf8_lossy(&body))
        }
        Err(fault) => format!("{} {}", fault.status(), fault.code()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wagi_tells_the_route_and_wants_headers() {
    let (wagi, path) = (json!({ "wagi": true }), "/u/ann/a%20b?x=1&-v");
    let told = "200 WAGI/1|CGI/1.1|/u/:user|/a%20b|/a b|/a%20b\n\
        /u/:user/...|/u/:user|ann|192.0.2.7:4711|http://localhost/u/ann/a%20b?x=1&-v|";
    for (script, settings, expected) in [
        (TELLS, wagi.clone(), format!("{told}x=1 -v|\n")),
        (TELLS, json!({ "wagi": true, "argv": "me -q ${SCRIPT_NAME}" }), format!("{told}-q /u/ann/a%20b|\n")),
        ("echo 'Location: /there\n'", wagi.clone(), "302 /there".to_owned()),
        ("echo 'Status: 404 Not Found\n\nno'", wagi.clone(), "404 no\n".to_owned()),
        ("echo text", wagi.clone(), "500 HOB-0506".to_owned()),
        ("true", wagi.clone(), "500 HOB-0506".to_owned()),
        ("exit 3", wagi, "500 HOB-0508".to_owned()),
        ("echo text", json!({}), "200 text\n".to_owned()),
    ] {
        assert_eq!(ask(script, settings, path).await, expected, "{script}");
    }
}
