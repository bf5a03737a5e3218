//! An app moves as a whole: under load no request fails, and no answer mixes two revisions.

use crate::support::{App, PATIENCE, TestNode, exchange, has, last_event, node, python};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpStream;

/// Says its own revision and, if it is the caller, that of the function it calls.
const FUNCTION: &str = r#"
def handle(request):
    own = os.environ["SAYS"]
    if request.path != "/call":
        return 200, [], own
    other = urllib.request.urlopen("http://callee.pair.internal/").read().decode()
    return 200, [], f"{own} {other}"
"#;

fn revision(number: u32) -> App {
    let text = python(FUNCTION);
    App::new("pair")
        .function("caller", "http", "python3", &text, &["/call"])
        .function("callee", "http", "python3", &text, &[])
        .change("callee", |callee| callee.private = true)
        .env("SAYS", &format!("r{number}"))
}

#[derive(Default)]
struct Seen {
    done: AtomicBool,
    answers: Mutex<Vec<String>>,
}

async fn client(node: &TestNode, seen: &Seen) {
    while !seen.done.load(Ordering::Relaxed) {
        let stream = TcpStream::connect(node.address).await.unwrap();
        let got = exchange(stream, "GET", "/call", &[("host", "pair.localhost")], Bytes::new()).await;
        let text = got.map_or_else(|error| error.to_string(), |got| format!("{} {}", got.status, got.body));
        seen.answers.lock().unwrap().push(text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_and_no_answer_mixes_two_revisions() {
    if !has("python3", "no_request_fails_and_no_answer_mixes_two_revisions") {
        return;
    }
    let node = node(|_| ()).await;
    node.deployed(&revision(1)).await;
    let seen = Seen::default();
    let clients = futures_util::future::join_all((0..4).map(|_| client(&node, &seen)));
    let changes = async {
        for number in 2..=4 {
            node.deployed(&revision(number)).await;
        }
        for _ in 0..2 {
            let event = last_event(&node.control("POST", "/v1/apps/pair/rollback", "{}").await);
            assert_eq!(event["event"], "done", "{event}");
        }
        seen.done.store(true, Ordering::Relaxed);
    };
    tokio::time::timeout(PATIENCE * 2, async { tokio::join!(clients, changes) }).await.unwrap();
    let answers = seen.answers.into_inner().unwrap();
    let kinds: BTreeSet<&str> = answers.iter().map(String::as_str).collect();
    for answer in &kinds {
        let mut words = answer.split(' ');
        let (status, caller, callee) = (words.next(), words.next(), words.next());
        assert!(
            status == Some("200") && caller == callee && caller.is_some(),
            "{answer} of {}",
            answers.len()
        );
    }
    assert!(kinds.len() >= 3, "the load has to see several revisions: {kinds:?}");
    node.node.stop().await;
}
