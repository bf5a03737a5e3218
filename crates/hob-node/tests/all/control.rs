//! The control API: who may use it, and what it says to nonsense.

use crate::support::{TOKEN, exchange, node};
use bytes::Bytes;
use hob_core::digest::Digest;
use hob_node::Address;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_needs_the_token_and_the_socket_is_its_owners_alone() {
    let node = node(|settings| {
        settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
    })
    .await;
    let Some(Address::Tcp(address, _)) = node.node.control().last().cloned() else {
        panic!("no TCP address")
    };
    let bearer = format!("Bearer {TOKEN}");
    let host = ("host", "127.0.0.1");
    for (path, headers, expected) in [
        ("/v1/node", vec![host, ("authorization", &*bearer)], "200 -"),
        ("/v1/node", vec![host], "401 HOB-0701"),
        ("/v1/node", vec![host, ("authorization", "Bearer wrong")], "401 HOB-0701"),
        ("/v1/nowhere", vec![host], "401 HOB-0701"),
        ("/v1/node", vec![("host", "rebound.example"), ("authorization", &*bearer)], "403 HOB-0702"),
        ("/v1/node", vec![host, ("origin", "http://127.0.0.1"), ("authorization", &*bearer)], "403 HOB-0702"),
        ("/v1/openapi.json", vec![host, ("authorization", &*bearer)], "200 -"),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        let got = exchange(stream, "GET", path, &headers, Bytes::new()).await.unwrap();
        let code = if got.header("hob-error").is_empty() { "-" } else { got.header("hob-error") };
        assert_eq!(format!("{} {code}", got.status), expected, "{path} {headers:?}");
    }
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&node.control), mode(node.control.parent().unwrap())), (0o600, 0o700));
    node.node.stop().await;
    assert!(!node.control.exists(), "the socket goes with the node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_tcp_address_is_refused() {
    let (mut settings, _data) = crate::support::settings();
    settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), "  ".into()));
    let refused = hob_node::Node::start(settings).await.err().unwrap();
    assert_eq!(refused.code().text(), "HOB-0705");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_this_machine_it_speaks_tls_or_not_at_all() {
    let everywhere = || Address::Tcp("0.0.0.0:0".parse().unwrap(), TOKEN.into());
    let (mut settings, _data) = crate::support::settings();
    settings.control.push(everywhere());
    let refused = hob_node::Node::start(settings).await.err().unwrap();
    assert_eq!(refused.code().text(), "HOB-0705");

    let fixture = |name: &str| format!("{}/tests/all/tls/{name}", env!("CARGO_MANIFEST_DIR")).into();
    let (certificate, key): (std::path::PathBuf, _) = (fixture("certificate.pem"), fixture("key.pem"));
    let node = node(|settings| {
        settings.tls = Some(hob_node::Tls { certificate: certificate.clone(), key });
        settings.control.push(everywhere());
    })
    .await;
    let Some(Address::Tcp(address, _)) = node.node.control().last().cloned() else {
        panic!("no TCP address")
    };
    let connect = || TcpStream::connect(("127.0.0.1", address.port()));
    let bearer = format!("Bearer {TOKEN}");
    // A name is as good as an address, since the certificate vouches for it.
    for (headers, expected) in [
        (vec![("host", "localhost"), ("authorization", &*bearer)], 200),
        (vec![("host", "node.example"), ("authorization", &*bearer)], 200),
        (vec![("host", "node.example")], 401),
    ] {
        let stream = hob_node::connect_tls(connect().await.unwrap(), "localhost", Some(&certificate));
        let got = exchange(stream.await.unwrap(), "GET", "/v1/node", &headers, Bytes::new()).await.unwrap();
        assert_eq!(got.status, expected, "{headers:?}");
    }
    let headers = [("host", "localhost"), ("authorization", &*bearer)];
    let plain = exchange(connect().await.unwrap(), "GET", "/v1/node", &headers, Bytes::new()).await;
    assert!(plain.is_err(), "no token in clear is answered");
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_with_the_reason() {
    let node = node(|_| ()).await;
    let (right, other) = (Digest::of(b"hello"), Digest::of(b"other"));
    for (method, path, body, expected) in [
        ("GET", "/v1/apps".to_owned(), "", "200 -"),
        ("GET", "/v1/apps/none".into(), "", "404 HOB-0351"),
        ("GET", "/v1/apps/No".into(), "", "400 HOB-0104"),
        ("GET", "/v2/apps".into(), "", "404 HOB-0704"),
        ("PUT", "/v1/apps".into(), "", "405 HOB-0704"),
        ("POST", "/v1/artifacts/missing".into(), "{", "400 HOB-0704"),
        ("POST", "/v1/artifacts/missing".into(), r#"{"digest":[]}"#, "400 HOB-0704"),
        ("POST", "/v1/apps/a/revisions".into(), r#"{"app":"b","functions":{},"routes":[]}"#, "400 HOB-0704"),
        ("POST", "/v1/apps/a/rollback".into(), r#"{"to":"x"}"#, "400 HOB-0704"),
        ("GET", "/v1/logs?tail=x".into(), "", "400 HOB-0704"),
        ("GET", "/v1/logs?nothing=1".into(), "", "400 HOB-0704"),
        ("GET", "/v1/logs?tail=3".into(), "", "200 -"),
        ("PUT", "/v1/artifacts/md5:00".into(), "hello", "400 HOB-0704"),
        ("PUT", format!("/v1/artifacts/{right}"), "hello", "204 -"),
        ("PUT", format!("/v1/artifacts/{other}"), "hello", "400 HOB-0202"),
        ("GET", "/v1/apps/none/functions/f/call/".into(), "", "404 HOB-0351"),
    ] {
        let got = node.control(method, &path, body.to_owned()).await;
        let code = if got.header("hob-error").is_empty() { "-" } else { got.header("hob-error") };
        assert_eq!(format!("{} {code}", got.status), expected, "{method} {path}: {}", got.body);
        if code != "-" {
            assert_eq!(got.header("content-type"), "application/problem+json");
        }
    }
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_upload_leaves_nothing_behind() {
    let node = node(|_| ()).await;
    let digest = Digest::of(b"hello");
    let mut stream = UnixStream::connect(&node.control).await.unwrap();
    let head =
        format!("PUT /v1/artifacts/{digest} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhel");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    // The node may close without an answer: nobody is there who could read it.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.contains("HOB-0203"), "{answer}");
    let body = format!(r#"{{"digests":["{digest}"]}}"#);
    let missing = node.control("POST", "/v1/artifacts/missing", body).await;
    assert!(missing.body.contains(&digest.to_string()), "{missing:?}");
    node.node.stop().await;
}
