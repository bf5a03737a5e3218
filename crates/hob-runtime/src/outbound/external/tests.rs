//! A server on loopback, which is what a function must not reach unless it is listed.

use super::super::way::Resolve;
use super::External;
use crate::body::empty;
use crate::code::FunctionCode;
use hob_core::egress::Doors;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::{BoxFuture, Spawn};
use hob_core::spec::FunctionSpec;
use http_body_util::BodyExt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;

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
        numbered: None,
        spec: FunctionSpec { egress, ..FunctionSpec::new("wasm", "wasi-http", ["f.wasm"]) },
        dir: std::path::PathBuf::new(),
        cpu: Default::default(),
        given: crate::code::Given::default(),
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

/// Answers as it is told, one answer after the other; the last one goes on.
#[derive(Clone, Default)]
struct Rebinding {
    answers: Arc<Mutex<Vec<&'static str>>>,
    asked: Arc<Mutex<usize>>,
}

impl Resolve for Rebinding {
    fn resolve(
        &self,
        _host: String,
        port: u16,
        _place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        *self.asked.lock().unwrap() += 1;
        let mut answers = self.answers.lock().unwrap();
        let now = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        let all = now.split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        Box::pin(async move { Ok(all) })
    }
}

/// A name that answers otherwise the second time changes nothing: it is looked up once for each connection.
#[tokio::test]
async fn a_name_that_rebinds_reaches_nothing_more() {
    let port = server().await;
    let spawn = || Arc::new(Spawner(tokio::runtime::Handle::current()));
    let here = Some(vec![format!("localhost:{port}")]);
    for (egress, host, answers, expected) in [
        // Judged and connected is the first answer; the second one is judged anew, and is another address.
        (&here, "localhost", vec!["127.0.0.1", "169.254.169.254"], [Ok(302), Err("HOB-0507")]),
        (&here, "localhost", vec!["169.254.169.254 127.0.0.1"], [Ok(302), Ok(302)]),
        (&here, "localhost", vec!["10.0.0.1", "127.0.0.1"], [Err("HOB-0507"), Ok(302)]),
        (&None, "rebind.example", vec!["127.0.0.1"], [Err("HOB-0507"), Err("HOB-0507")]),
        (&None, "rebind.example", vec!["::ffff:127.0.0.1", "0.0.0.0"], [Err("HOB-0507"), Err("HOB-0507")]),
        (&None, "rebind.example", vec!["fd00:ec2::254", "::1"], [Err("HOB-0507"), Err("HOB-0507")]),
    ] {
        for tunnel in [false, true] {
            let resolver =
                Rebinding { answers: Arc::new(Mutex::new(answers.clone())), ..Rebinding::default() };
            let external = External::with(spawn(), Arc::new(resolver.clone())).unwrap();
            let code = code(egress.clone());
            for (number, expected) in expected.iter().enumerate() {
                let found = if tunnel {
                    let to = format!("{host}:{port}").parse().unwrap();
                    external.connect(&code, &to).await.map(|_| 302).map_err(|fault| fault.code().text())
                } else {
                    let request = http::Request::get(format!("http://{host}:{port}/")).body(empty()).unwrap();
                    let reply = external.call(&code, request).await;
                    reply.map(|reply| reply.status().as_u16()).map_err(|fault| fault.code().text())
                };
                assert_eq!(found, *expected, "{host}: {answers:?}, {number}, tunnel: {tunnel}");
                assert_eq!(*resolver.asked.lock().unwrap(), number + 1, "one look-up for each connection");
            }
        }
    }
}

/// Listed or not, by any name: a node does not call itself from outside.
#[tokio::test]
async fn the_nodes_own_sockets_are_not_reached() {
    let port = server().await;
    let external = External::new(Arc::new(Spawner(tokio::runtime::Handle::current()))).unwrap();
    let hosts = ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"];
    let code = code(Some(hosts.iter().map(|host| format!("{host}:{port}")).collect()));
    let reach = async |host: &str| {
        let to = format!("{host}:{port}").parse().unwrap();
        external.connect(&code, &to).await.map(|_| ()).map_err(|fault| fault.message().to_owned())
    };
    assert_eq!(reach("127.0.0.1").await, Ok(()));
    external.close(Doors::new([SocketAddr::from(([0, 0, 0, 0], port))]));
    for host in hosts {
        let denied = reach(host).await.unwrap_err();
        assert!(denied.ends_with("which is this node itself"), "{host}: {denied}");
    }
}
