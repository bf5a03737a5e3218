//! A server on loopback, which is what a function must not reach unless it is listed.

use super::External;
use crate::body::empty;
use crate::code::FunctionCode;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::{BoxFuture, Spawn};
use hob_core::spec::FunctionSpec;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Spawner(tokio::runtime::Handle);

impl Spawn for Spawner {
    fn spawn(&self, _kind: &'static str, future: BoxFuture<'static, ()>) {
        self.0.spawn(future);
    }
}

fn code(egress: Option<Vec<String>>) -> FunctionCode {
    FunctionCode {
        app: AppName::new("test").unwrap(),
        revision: RevisionNumber(1),
        name: FunctionName::new("f").unwrap(),
        spec: FunctionSpec { egress, ..FunctionSpec::new("wasm", "wasi-http", ["f.wasm"]) },
        dir: std::path::PathBuf::new(),
        cpu: Default::default(),
    }
}

/// Answers every connection with one response that has a hop-by-hop header.
async fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::runtime::Handle::current().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 302 Found\r\nlocation: http://example.com/\r\nkeep-alive: 5\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = stream.write_all(answer).await;
        }
    });
    port
}

#[tokio::test]
async fn only_listed_addresses_are_connected() {
    let port = server().await;
    let external = External::new(Arc::new(Spawner(tokio::runtime::Handle::current()))).unwrap();
    let list = |entry: &str| Some(vec![format!("{entry}:{port}")]);
    let cases = [
        (list("127.0.0.1"), "127.0.0.1", Ok(302)),
        (list("localhost"), "localhost", Ok(302)),
        // The same host again, by functions that may not: no connection is shared.
        (None, "127.0.0.1", Err("HOB-0507")),
        (None, "localhost", Err("HOB-0507")),
        (None, "2130706433", Err("HOB-0507")),
        (None, "[::ffff:127.0.0.1]", Err("HOB-0507")),
        (list("*.localhost"), "a.localhost", Err("HOB-0507")),
        (list("other.example"), "127.0.0.1", Err("HOB-0507")),
        (list("name.invalid"), "name.invalid", Err("HOB-0510")),
    ];
    for (egress, host, expected) in cases {
        let code = code(egress);
        let uri = format!("http://{host}:{port}/x");
        let request = http::Request::get(&uri).body(empty()).unwrap();
        let found = match external.call(&code, request).await {
            Ok(reply) => {
                assert!(!reply.headers().contains_key("keep-alive"), "{uri}");
                let status = reply.status().as_u16();
                assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), "ok");
                Ok(status)
            }
            Err(fault) => Err(fault.code().text()),
        };
        // A machine without a resolver for `*.localhost` cannot find it, and so does not reach it.
        let unresolved = host == "a.localhost" && found == Err("HOB-0510");
        assert!(found == expected || unresolved, "{uri} with {:?}: {found:?}", code.spec.egress);
        let to = format!("{host}:{port}").parse().unwrap();
        assert_eq!(external.connect(&code, &to).await.is_ok(), expected.is_ok(), "CONNECT {uri}");
    }
}
