//! What a function must not be talked into: forty forms of addresses that lead inside, and the node's own sockets.
//!
//! **How.** The same list is asked by a guest (`fetch`) and by a child process (requests and tunnels through its
//! proxy). A trap listens on loopback: nobody may come. Each denial has to be the node's own word, so that an address
//! which nobody answers proves nothing. Names that rebind are tried where the resolver can be exchanged
//! (`hob_runtime::outbound`).

use crate::support::{App, PATIENCE, TOKEN, TestNode, has, node};
use hob_node::{Address, Dashboard};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// `$` stands for the trap's port.
const FORMS: &str = include_str!("ssrf/forms.txt");
const FORMS_MIN: usize = 40;

const GUEST: &str = "export default {
    async fetch(request) {
        const told = [];
        for (const url of await request.json()) {
            try {
                const answer = await fetch(url, { redirect: 'manual' });
                told.push(`${answer.status} ${await answer.text()}`);
            } catch (error) {
                told.push(`refused ${error} ${error.cause ?? ''}`);
            }
        }
        return Response.json(told);
    }
}";

/// Asks the proxy itself, since a library would not send most of this.
const CHILD: &str = r#"
import base64, socket, urllib.parse

def ask(request):
    proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
    secret = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    with socket.create_connection((proxy.hostname, proxy.port), timeout=60) as stream:
        stream.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {secret}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got and (more := stream.recv(65536)):
            got += more
    head = got.decode("latin-1").split("\r\n")
    code = [line[11:] for line in head if line.lower().startswith("hob-error: ")]
    return f"{head[0]} {code}"

def handle(request):
    told = []
    for url in json.loads(request.content):
        parts = urllib.parse.urlsplit(url)
        told.append(ask("GET " + url))
        told.append(ask("CONNECT " + (parts.netloc if ":" in parts.netloc.rsplit("]")[-1] else parts.netloc + ":443")))
    return 200, [], json.dumps(told)
"#;

/// A server that counts who comes.
async fn trap(node: &TestNode) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, came) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&came);
    node.tasks.start("trap", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nreached").await;
        }
    });
    (port, came)
}

/// What a function is told of each of these addresses.
async fn told(node: &TestNode, function: &str, urls: &[String]) -> Vec<String> {
    let asked = serde_json::to_string(urls).unwrap();
    let target = format!("desk.localhost/{function}");
    let sent = node.send("POST", &target, &[], &asked);
    let got = tokio::time::timeout(PATIENCE * 2, sent).await.unwrap();
    let told: Vec<Value> = serde_json::from_str(&got.body).unwrap_or_else(|_| panic!("{got:?}"));
    told.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// Whether it is the node that says no: to a child by its code, or that what it asks for is no address; to a guest by the
/// one error that stands for this code (`wasi:http`), or because a `fetch` takes no such address.
fn is_denied(url: &str, told: &str) -> bool {
    let odd = [("%25", "Invalid URL"), ("@127", "the URL holds credentials")];
    match told.strip_prefix("refused ") {
        Some(error) => {
            error.contains("HTTP request denied")
                || odd.iter().any(|(part, words)| url.contains(part) && error.contains(words))
        }
        None => told.contains("HOB-0507") || (told.contains(" 400 ") && told.contains("HOB-0406")),
    }
}

/// The functions that ask, with what they may reach.
fn app(listed: Option<Vec<String>>) -> App {
    let child = crate::support::python(CHILD);
    App::new("desk")
        .function("guest", "javascript", "guest.txt", GUEST, &["/guest"])
        .change("guest", |guest| {
            (guest.host, guest.run) = ("wasm".into(), vec!["guest.txt".into()]);
            guest.memory_bytes = 128 << 20;
            guest.egress = listed.clone();
        })
        .function("child", "http", "python3", &child, &["/child"])
        .change("child", |child| child.egress = listed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_of_an_address_leads_inside() {
    if !has("python3", "no_form_of_an_address_leads_inside") {
        return;
    }
    let node = node(|settings| {
        settings.control.push(Address::Tcp("127.0.0.1:0".parse().unwrap(), TOKEN.into()));
        settings.dashboard = Dashboard::At("127.0.0.1:0".parse().unwrap());
        settings.lambda = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let (port, came) = trap(&node).await;
    let urls: Vec<String> =
        FORMS.split_whitespace().map(|form| form.replace('$', &port.to_string())).collect();
    assert!(urls.len() >= FORMS_MIN);
    node.deployed(&app(None)).await;
    for (function, each) in [("guest", 1), ("child", 2)] {
        let told = told(&node, function, &urls).await;
        assert_eq!(told.len(), urls.len() * each);
        for (at, told) in told.iter().enumerate() {
            assert!(is_denied(&urls[at / each], told), "{function}: {}: {told}", urls[at / each]);
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0, "somebody came to a server on loopback");

    // What is listed is reached, so that the trap is one; the node's own sockets are not, although they are listed.
    let here = |address: &str| address.rsplit('/').next().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let Some(Address::Tcp(control, _)) = node.node.control().last().cloned() else {
        panic!("no TCP address")
    };
    let own = [
        here(node.node.url()),
        control.port().to_string(),
        here(node.node.dashboard().unwrap()),
        here(node.node.lambda().unwrap()),
    ];
    let hosts = ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"];
    let everywhere = |port: &String| hosts.map(|host| format!("{host}:{port}"));
    let listed: Vec<String> = own.iter().flat_map(everywhere).chain([format!("127.0.0.1:{port}")]).collect();
    node.deployed(&app(Some(listed.clone()))).await;
    let urls: Vec<String> = listed.iter().map(|place| format!("http://{place}/")).collect();
    for (function, each) in [("guest", 1), ("child", 2)] {
        let told = told(&node, function, &urls).await;
        let (inside, listed) = told.split_at(told.len() - each);
        for (at, told) in inside.iter().enumerate() {
            assert!(is_denied(&urls[at / each], told), "{function}: {}: {told}", urls[at / each]);
        }
        assert!(listed.iter().all(|told| told.contains("200 ")), "{function}: {listed:?}");
    }
    assert_eq!(came.load(Ordering::SeqCst), 3);
    node.tasks.stop().await;
    node.node.stop().await;
}
