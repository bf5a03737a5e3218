//! Requests as events, field by field.

use super::{Called, v1, v2};
use crate::contract::lambda::tests::code;
use crate::invocation::Context;
use hob_core::id::InvocationId;
use hob_core::trace::TraceContext;
use serde_json::{Value, json};

/// The event of a request; `route` matched it.
fn of(form: fn(&Called<'_>) -> Vec<u8>, request: http::Request<&[u8]>, route: Option<&str>) -> Value {
    let code = code(|_| {});
    let context = Context {
        id: InvocationId(42),
        trace: TraceContext { trace_id: 7, span_id: 1, flags: 1 },
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        peer: Some(([10, 0, 0, 7], 5000).into()),
        route: route.map(str::to_owned),
        ..Context::of_test()
    };
    let (head, body) = request.into_parts();
    let called = Called {
        head: &head,
        body,
        context: &context,
        id: "id",
        trace: "Root=1-0-7",
        now_ms: 1_583_348_638_390,
    };
    serde_json::from_slice(&form(&called)).unwrap()
}

fn request() -> http::Request<&'static [u8]> {
    http::Request::post("/users/j%C3%B6rg/files/a/b%20c?a=1&a=2&b=x+y%21&empty")
        .header("host", "shop.example.com:8080")
        .header("user-agent", "curl/8")
        .header("x-two", "1")
        .header("x-two", "2")
        .header("cookie", "c1=v1; c2=v2")
        .header("content-type", "application/json; charset=utf-8")
        .body(&b"{\"a\":\"\xc3\xa9\"}"[..])
        .unwrap()
}

#[test]
fn payload_2_0_is_what_http_apis_send() {
    let event = of(v2, request(), Some("/users/{id}/files/*"));
    let expected = json!({
        "version": "2.0", "routeKey": "POST /users/{id}/files/{proxy+}",
        "rawPath": "/users/j%C3%B6rg/files/a/b%20c", "rawQueryString": "a=1&a=2&b=x+y%21&empty",
        "cookies": ["c1=v1", "c2=v2"],
        "headers": {
            "host": "shop.example.com:8080", "user-agent": "curl/8", "x-two": "1,2",
            "content-type": "application/json; charset=utf-8", "x-amzn-trace-id": "Root=1-0-7",
        },
        "queryStringParameters": { "a": "1,2", "b": "x y!", "empty": "" },
        "pathParameters": { "id": "jörg", "proxy": "a/b c" },
        "requestContext": {
            "accountId": "000000000000", "apiId": "shop", "domainName": "shop.example.com:8080", "domainPrefix": "shop",
            "http": {
                "method": "POST", "path": "/users/j%C3%B6rg/files/a/b%20c", "protocol": "HTTP/1.1",
                "sourceIp": "10.0.0.7", "userAgent": "curl/8",
            },
            "requestId": "id", "routeKey": "POST /users/{id}/files/{proxy+}", "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_u64,
        },
        "body": "{\"a\":\"é\"}", "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
    let bare = of(v2, http::Request::get("/").body(&b""[..]).unwrap(), Some("/*"));
    assert_eq!((&bare["routeKey"], &bare["rawQueryString"]), (&json!("$default"), &json!("")));
    for absent in ["cookies", "queryStringParameters", "pathParameters", "body"] {
        assert_eq!(bare.get(absent), None, "{absent}");
    }
}

#[test]
fn payload_1_0_is_what_rest_apis_send() {
    let event = of(v1, request(), Some("/users/{id}/files/*"));
    for (path, expected) in [
        ("/version", json!("1.0")),
        ("/resource", json!("/users/{id}/files/{proxy+}")),
        ("/httpMethod", json!("POST")),
        ("/headers/x-two", json!("2")),
        ("/headers/cookie", json!("c1=v1; c2=v2")),
        ("/multiValueHeaders/x-two", json!(["1", "2"])),
        ("/queryStringParameters/a", json!("2")),
        ("/multiValueQueryStringParameters/a", json!(["1", "2"])),
        ("/pathParameters/id", json!("jörg")),
        ("/requestContext/identity/sourceIp", json!("10.0.0.7")),
        ("/requestContext/resourcePath", json!("/users/{id}/files/{proxy+}")),
        ("/stageVariables", Value::Null),
    ] {
        assert_eq!(event.pointer(path), Some(&expected), "{path}");
    }
}

#[test]
fn bodies_are_text_where_they_are_said_to_be() {
    for (media, body, text) in [
        (Some("text/plain"), &b"hi"[..], true),
        (Some("application/vnd.api+json"), b"{}", true),
        (Some("application/x-www-form-urlencoded"), b"a=1", true),
        (Some("image/png"), b"hi", false),
        (Some("text/plain"), b"\xff", false),
        (None, b"hi", true),
        (None, b"\xff", false),
    ] {
        let mut request = http::Request::post("/").body(body).unwrap();
        let media_value = media.map(|media| media.parse().unwrap());
        request.headers_mut().extend(media_value.map(|media| (http::header::CONTENT_TYPE, media)));
        let event = of(v2, request, None);
        assert_eq!(event["isBase64Encoded"], !text, "{media:?} {body:?}");
        let expected = if text {
            String::from_utf8_lossy(body).into_owned()
        } else {
            hob_core::event::base64::encode(body)
        };
        assert_eq!(event["body"], expected);
    }
}
