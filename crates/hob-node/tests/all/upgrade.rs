//! Upgrades: another protocol on the same connection, both ways.

use crate::support::{App, PATIENCE, has, node, python};
use hob_node::Clients;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Agrees to `echo` and gives every byte back; refuses everything else.
const ECHO: &str = r#"
def handle(request):
    if request.headers.get("upgrade") != "echo":
        return 200, [], f"upgrade: {request.headers.get('upgrade')}"
    request.send_response_only(101)
    request.send_header("connection", "upgrade")
    request.send_header("upgrade", "echo")
    request.end_headers()
    request.wfile.write(b"hello ")
    while data := request.connection.recv(4096):
        request.connection.sendall(data)
    request.close_connection = True
    sys.exit()
"#;

async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).ends_with(text) {
        assert!(
            stream.read_buf(&mut got).await.unwrap() > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&got)
        );
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_both_ways_after_the_function_agreed() {
    if !has("python3", "bytes_go_both_ways_after_the_function_agreed") {
        return;
    }
    let node = node(|_| ()).await;
    node.deployed(&App::new("echo").function("echo", "http", "python3", &python(ECHO), &["/*"])).await;
    let ask = |protocol: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: echo.localhost\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        )
    };

    let mut stream = TcpStream::connect(node.address).await.unwrap();
    // Refused: the connection goes on as HTTP, also for what was sent too early.
    stream.write_all(format!("{}{}", ask("other"), ask("h2c")).as_bytes()).await.unwrap();
    let refused = read_until(&mut stream, "upgrade: None").await;
    assert!(refused.contains("upgrade: other") && !refused.contains(" 101 "), "{refused}");

    stream.write_all(ask("echo").as_bytes()).await.unwrap();
    let agreed = read_until(&mut stream, "hello ").await;
    assert!(agreed.starts_with("HTTP/1.1 101 ") && agreed.contains("upgrade: echo"), "{agreed}");
    // No HTTP any more: a head that would be refused is only bytes.
    for message in ["one", "GET / HTTP/9.9\n\n", "\u{0}\u{1}"] {
        stream.write_all(message.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut stream, message).await, message);
    }
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    node.node.stop().await;
}

/// Two ends that say nothing hold a place of the function and a connection: not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_connection_in_which_nothing_is_said_ends() {
    if !has("python3", "an_upgraded_connection_in_which_nothing_is_said_ends") {
        return;
    }
    let idle = Clients { upgrade_idle: Duration::from_millis(200), ..Clients::default() };
    let node = node(|settings| settings.clients = idle).await;
    node.deployed(&App::new("echo").function("echo", "http", "python3", &python(ECHO), &["/*"])).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let ask = b"GET / HTTP/1.1\r\nHost: echo.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    read_until(&mut stream, "hello ").await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end");
    assert!(rest.is_empty(), "{ended:?}: {rest:?}");
    node.node.stop().await;
}
