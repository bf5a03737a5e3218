//! Functions behind walls: every connection that they make leads to the node, and no further than their egress list.

use crate::skip::tell;
use crate::support::{App, has, node, python};
use tokio::io::AsyncWriteExt as _;

const GUEST: &str = r#"
import errno, socket, urllib.parse, urllib.request

def tried(host, port):
    try:
        with socket.create_connection((host, port), timeout=5) as own:
            return own.recv(64).decode() or "closed"
    except socket.gaierror:
        return "no such name"
    except (ConnectionRefusedError, ConnectionResetError):
        return "refused"
    except OSError as error:
        return repr(error)

def sent(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.sendto(b"hello", (host, port))
            return "sent"
    except OSError as error:
        return errno.errorcode[error.errno]

def handle(request):
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
    if "udp" in query:
        return 200, [("content-type", "text/plain")], sent(query["udp"][0], 123)
    if "url" in query:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        text = direct.open(query["url"][0], timeout=5).read().decode()
    else:
        text = tried(query["host"][0], int(query["port"][0]))
    return 200, [("content-type", "text/plain")], text
"#;
const OTHER: &str = "def handle(request):\n    return 200, [(\"content-type\", \"text/plain\")], \"other\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_lead_where_the_egress_list_allows() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(why) = hob_runtime::wall::examine(&folder.path().join("examined")) {
        return tell(
            "connections_lead_where_the_egress_list_allows",
            format_args!("this machine gives no walls: {why}"),
        );
    }
    if !has("python3", "connections_lead_where_the_egress_list_allows") {
        return;
    }
    let [listed, other] = ["127.0.0.1:0"; 2].map(listener);
    let (listed, other) = (listed.await.unwrap(), other.await.unwrap());
    // A machine without IPv6 has no program that asks for it.
    let v6 = listener("[::1]:0").await.ok();
    let node = node(|settings| settings.walls = hob_node::WallChoice::Require.into()).await;
    let mut egress = vec![format!("127.0.0.1:{listed}"), format!("localhost:{listed}")];
    egress.extend(v6.map(|port| format!("[::1]:{port}")));
    let app = App::new("desk")
        .function("guest", "http", "python3", &python(GUEST), &["/guest"])
        .change("guest", |guest| guest.egress = Some(egress))
        .function("other", "http", "python3", &python(OTHER), &["/other"]);
    node.deployed(&app).await;
    let of_v6 = v6.into_iter().flat_map(|port| {
        [
            (format!("host=::1&port={port}"), "hello"),
            (format!("host=fd00::1&port={port}"), "refused"),
            (format!("host=2001:db8::1&port={port}"), "refused"),
            (format!("host=::ffff:127.0.0.1&port={listed}"), "hello"),
            (format!("host=::1&port={listed}"), "refused"),
            ("udp=2001:db8::1".to_owned(), "ENETUNREACH"),
        ]
    });
    let of_v4 = [
        (format!("host=127.0.0.1&port={listed}"), "hello"),
        (format!("host=localhost&port={listed}"), "hello"),
        (format!("host=127.0.0.1&port={other}"), "refused"),
        (format!("host=10.1.2.3&port={listed}"), "refused"),
        ("host=169.254.169.254&port=80".to_owned(), "refused"),
        ("host=example.invalid&port=80".to_owned(), "no such name"),
        ("url=http://other.desk.internal/other".to_owned(), "other"),
        ("udp=192.0.2.1".to_owned(), "ENETUNREACH"),
        ("udp=127.0.0.1".to_owned(), "sent"),
    ];
    for (what, expected) in of_v4.into_iter().chain(of_v6) {
        let got = node.send("GET", &format!("desk.localhost/guest?{what}"), &[], "").await;
        assert_eq!((got.status, got.body.as_str()), (200, expected), "{what}: {got:?}");
    }
    node.node.stop().await;
}

/// A port of this machine at which somebody says hello.
async fn listener(at: &str) -> std::io::Result<u16> {
    let listener = tokio::net::TcpListener::bind(at).await?;
    let port = listener.local_addr()?.port();
    tokio::runtime::Handle::current().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"hello").await;
        }
    });
    Ok(port)
}
