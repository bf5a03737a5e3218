//! A whole node for tests, and what its control API repeats of a request.

use super::Node;
use crate::settings::{Address, Clients, Dashboard, Place, Settings};
use hob_runtime::wall::Choice;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Settings of a node that keeps everything in this folder.
pub(super) fn settings(folder: &Path) -> Settings {
    Settings {
        data: folder.join("data"),
        cache: None,
        engine: "file".into(),
        http: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        control: vec![Address::Unix(folder.join("hob.sock"))],
        dashboard: Dashboard::Off,
        lambda: None,
        domain: "localhost".into(),
        default_app: None,
        compiler: Vec::new(),
        wasm: Place::InProcess,
        worker: Vec::new(),
        facts: true,
        pooling: Some(false),
        walls: Choice::Auto.into(),
        otlp: None,
        memory_bytes: None,
        clients: Clients::default(),
        secret_key: None,
        price_per_month: None,
    }
}

/// The answer of the control API, with its head.
pub(super) async fn ask(folder: &Path, method: &str, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(folder.join("hob.sock")).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: hob\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_sent_the_wrong_way_is_repeated_and_kept_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(settings(folder.path())).await.unwrap();
    let (canary, number) = ("sk-live-51f7a4", "8812345678901234");
    let secret = "/v1/apps/desk/secrets/API_KEY";
    let misplaced = format!("{secret}={canary}");
    for (method, path, body) in [
        ("PUT", secret, format!("\"{canary}\"")),
        ("PUT", secret, format!("{{\"value\":{number}}}")),
        ("PUT", secret, format!("{{\"{canary}\":1}}")),
        ("PUT", secret, canary.to_owned()),
        ("POST", "/v1/apps/desk/secrets/API_KEY/use", format!("{{\"version\":\"{canary}\"}}")),
        ("PUT", &misplaced, "{\"value\":\"x\"}".to_owned()),
        ("POST", &misplaced, String::new()),
        ("DELETE", &misplaced, String::new()),
    ] {
        let answer = ask(folder.path(), method, path, &body).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{method} {path} {body}: {answer}");
        assert!(!answer.contains(canary) && !answer.contains(number), "{method} {path} {body}: {answer}");
    }
    let facts = ask(folder.path(), "GET", "/v1/facts?kind=refused", "").await;
    assert!(facts.contains("desk/secrets"), "{facts}");
    assert!(!facts.contains(canary) && !facts.contains(number), "{facts}");
    node.stop().await;
    for file in files(folder.path()).into_iter().filter(|file| !file.ends_with("hob.sock")) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(canary) && !text.contains(number), "{} has it", file.display());
    }
}
