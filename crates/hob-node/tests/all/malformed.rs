//! What is not valid HTTP, or could be read in two ways, is refused on the socket and the connection closed.

use crate::support::{node, raw, with_entrances};

/// Sends one request as it is (`\n` stands for CRLF, `^` for a bare LF) and says how it is answered.
async fn judge(address: std::net::SocketAddr, request: &str) -> String {
    let bytes = request.replace('\n', "\r\n").replace('^', "\n");
    let (got, closed) = raw(address, bytes.as_bytes(), Some("\r\n\r\nHOB-0408")).await;
    let status = got.split(' ').nth(1).unwrap_or("nothing").to_owned();
    let code = got.lines().find_map(|line| line.strip_prefix("hob-error: ")).unwrap_or("-").to_owned();
    let begins = |rest: &&str| rest.starts_with(|first: char| first.is_ascii_digit());
    let answers = ["HTTP/1.0 ", "HTTP/1.1 "].iter().flat_map(|version| got.split(version).skip(1));
    let answers = answers.filter(begins).count();
    format!("{status} {code} x{answers} {}", if closed { "closed" } else { "open" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let node = node(|_| ()).await;
    let smuggled = "GET /smuggled HTTP/1.1\nHost: x.localhost\n\n";
    let refused = "400 HOB-0406 x1 closed";
    for (request, expected) in [
        // The node has no apps: whatever is good is HOB-0408, and the connection stays open.
        ("GET / HTTP/1.1\nHost: x.localhost\n\n", "404 HOB-0408 x1 open"),
        ("\nGET / HTTP/1.1\nHost: x.localhost\n\n", "404 HOB-0408 x1 open"),
        ("GET http://x.localhost/ HTTP/1.1\nHost: x.localhost\n\n", "404 HOB-0408 x1 open"),
        ("GET / HTTP/1.0\n\n", "404 HOB-0408 x1 open"),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n\n0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 0\nContent-Length: 0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 0, 0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: +0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 0x0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, identity\n\n0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: \u{b}chunked\n\n0\n\n", refused),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding : chunked\n\n0\n\n", refused),
        ("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n", refused),
        ("GET / HTTP/1.1\nHost: a\nX: y\n folded\n\n", refused),
        ("GET / HTTP/1.1\nHost: a^X: y\n\n", refused),
        ("GET / HTTP/1.1^Host: a^^", refused),
        ("GET / HTTP/1.1\nHost: a\nX: \r\n\n", refused),
        ("GET / HTTP/1.1\n\n", refused),
        ("GET / HTTP/1.1\nHost: a\nHost: b\n\n", refused),
        ("GET / HTTP/1.1\nHost: a b\n\n", refused),
        ("GET http://b/ HTTP/1.1\nHost: a\n\n", refused),
        ("GET  / HTTP/1.1\nHost: a\n\n", refused),
        ("GET / HTTP/1.2\nHost: a\n\n", refused),
        ("CONNECT a:80 HTTP/1.1\nHost: a:80\n\n", refused),
        ("\u{16}\u{3}\u{1}\n\n", refused),
    ] {
        let and_more = format!("{request}{smuggled}");
        let sent = if expected == refused { and_more.as_str() } else { request };
        assert_eq!(judge(node.address, sent).await, expected, "{request:?}");
    }
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_own_entrances_refuse_the_same() {
    let (node, entrances) = with_entrances().await;
    for (entrance, address) in entrances {
        let smuggled = format!("GET /smuggled HTTP/1.1\nHost: {address}\n\n");
        for head in [
            "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: 0\nContent-Length: 0\n\n",
            "GET / HTTP/1.1\nHost: a\nX: y\n folded\n\n",
            "GET / HTTP/1.1^Host: a^^",
            "GET / HTTP/1.1\nHost: a\nHost: b\n\n",
            "GET / HTTP/1.1\n\n",
            "CONNECT a:80 HTTP/1.1\nHost: a:80\n\n",
        ] {
            let got = judge(address, &format!("{head}{smuggled}")).await;
            assert!(got.starts_with("400 ") && got.ends_with(" x1 closed"), "{entrance}, {head:?}: {got}");
        }
        // What asks for another protocol is answered in this one, and so is what comes behind it.
        let get = format!("GET / HTTP/1.1\nHost: {address}\nAuthorization: Bearer token\n");
        let (upgrade, last) =
            (format!("{get}Connection: upgrade\nUpgrade: h2c\n\n"), format!("{get}Connection: close\n\n"));
        let got = judge(address, &format!("{upgrade}{last}")).await;
        assert!(got.ends_with(" x2 closed"), "{entrance}: {got}");
    }
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_with_its_own_code() {
    let node = node(|_| ()).await;
    let value = "x".repeat(64 << 10);
    for (request, expected) in [
        (format!("GET /{} HTTP/1.1\nHost: a\n\n", &value[..9000]), "414 HOB-0404 x1 closed"),
        (format!("GET / HTTP/1.1\nHost: a\nX: {value}\n\n"), "431 HOB-0403 x1 closed"),
        (format!("GET / HTTP/1.1\nHost: a\nX: {value}{value}"), "431 HOB-0403 x1 closed"),
        (format!("GET / HTTP/1.1\nHost: a\n{}\n", "X: y\n".repeat(100)), "431 HOB-0403 x1 closed"),
        (format!("GET / HTTP/1.1\nHost: a\n{}\n", "X: y\n".repeat(99)), "404 HOB-0408 x1 open"),
        (format!("GET / HTTP/1.1\nHost: a\nX: {}\n\n", &value[..60_000]), "404 HOB-0408 x1 open"),
    ] {
        assert_eq!(judge(node.address, &request).await, expected, "{:?}", &request[..40]);
    }
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_one_segment_and_in_single_bytes_are_the_same_requests() {
    let node = node(|_| ()).await;
    let one = "POST /a HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 3\r\n\r\nabc";
    let two =
        "POST /b HTTP/1.1\r\nHost: b.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let last = "GET /c HTTP/1.1\r\nHost: c.localhost\r\nConnection: close\r\n\r\n";
    let whole = [one, two, last].concat();
    let (got, closed) = raw(node.address, whole.as_bytes(), None).await;
    let hosts = |got: &str| -> Vec<String> {
        let told = got.lines().filter(|line| line.starts_with("HOB-0408"));
        told.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (hosts(&got), closed),
        (vec!["`a.localhost`".into(), "`b.localhost`".into(), "`c.localhost`".into()], true)
    );

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(node.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in whole.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut slowly = String::new();
    stream.read_to_string(&mut slowly).await.unwrap();
    assert_eq!(hosts(&slowly), hosts(&got));
    node.node.stop().await;
}
