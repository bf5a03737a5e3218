//! A folder below `examples/hello` is a test: its `expect.txt` says what is asked and answered. And
//! every prebuilt WASM file belongs to its sources and says nothing of where it was built.
//!
//! **How.** In an `expect.txt`, `# needs: PROGRAM` names what the machine must have, `> METHOD PATH
//! BODY` is a request, `< 200` and `< name: value` are status and headers of its answer, and the
//! lines below are its body. What a machine lacks is skipped by name.
//!
//! **Not here:** building the guests (`examples/build-guests`), `examples/desk` (`desk`).

use super::skip::tell;
use super::support::{PATIENCE, Serving, answer};
use hob_core::digest::Digest;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// Folders that run everywhere: they need nothing but Hob and a shell.
const EVERYWHERE: [&str; 8] =
    ["c-wasm", "javascript", "javascript-wasm", "rust", "rust-p3", "shell", "site", "spin"];

/// What a file that was built on some machine must not hold.
const PLACES: [&str; 6] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    "/tmp/",
    "/usr/src/",
    "/usr/lib/rustlib/",
];

/// The repository's `examples`.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").canonicalize().unwrap()
}

/// Whether the machine has a program.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// One request and its answer, as an `expect.txt` has them.
#[derive(Debug, Default)]
struct Exchange {
    method: String,
    path: String,
    sent: String,
    status: u16,
    headers: Vec<String>,
    body: String,
}

#[test]
fn every_hello_answers_as_it_says() {
    let home = tempfile::tempdir().unwrap();
    let mut ran = BTreeSet::new();
    for (name, dir) in folders(&examples().join("hello")) {
        let text = std::fs::read_to_string(dir.join("expect.txt")).unwrap();
        let needs = text.lines().filter_map(|line| line.strip_prefix("# needs: "));
        if let Some(missing) = needs.clone().find(|program| !on_path(program)) {
            tell(&format!("hello/{name}"), format_args!("this machine has no `{missing}`"));
            continue;
        }
        // Builds write beside the sources: not into the repository.
        let copy = home.path().join(&name);
        copy_folder(&dir, &copy);
        let serving = Serving::start(home.path(), &["run", copy.to_str().unwrap()]);
        let exchanges = parse(&text);
        assert!(!exchanges.is_empty(), "hello/{name}/expect.txt asks nothing");
        for exchange in &exchanges {
            check(&name, &serving, exchange);
        }
        ran.insert(name);
    }
    assert!(EVERYWHERE.iter().all(|name| ran.contains(*name)), "only these ran: {ran:?}");
}

fn check(name: &str, serving: &Serving, exchange: &Exchange) {
    let Exchange { method, path, sent, .. } = exchange;
    let mut stream = TcpStream::connect(serving.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{sent}",
        sent.len()
    )
    .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let (status, body) = answer(&mut bytes.as_slice());
    let told = String::from_utf8_lossy(&bytes);
    assert_eq!(
        (status, body.trim_end()),
        (exchange.status, exchange.body.trim_end()),
        "hello/{name}: {told}"
    );
    let head = told.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    for header in &exchange.headers {
        assert!(head.lines().any(|line| line.starts_with(header.as_str())), "hello/{name}: {header}\n{told}");
    }
}

fn parse(text: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(request) = line.strip_prefix("> ") {
            let mut words = request.splitn(3, ' ').map(str::to_owned);
            exchanges.push(Exchange {
                method: words.next().unwrap_or_default(),
                path: words.next().unwrap_or_default(),
                sent: words.next().unwrap_or_default(),
                ..Exchange::default()
            });
            continue;
        }
        let exchange = exchanges.last_mut().expect("an answer follows a request");
        match line.strip_prefix("< ") {
            Some(told) if told.contains(':') => exchange.headers.push(told.to_owned()),
            Some(told) => exchange.status = told.parse().expect("a status is a number"),
            None => exchange.body.extend([line, "\n"]),
        }
    }
    exchanges
}

#[test]
fn prebuilt_guests_belong_to_their_sources() {
    let root = examples();
    let lock: toml::Table =
        std::fs::read_to_string(root.join("guests.lock")).unwrap().parse().expect("the lock is TOML");
    let mut listed = BTreeSet::new();
    for guest in lock["guest"].as_array().unwrap() {
        let path = guest["path"].as_str().unwrap();
        let bytes = std::fs::read(root.join(path)).unwrap();
        assert_eq!(Some(hash(&bytes).as_str()), guest["sha256"].as_str(), "{path} is not what was built");
        assert_eq!(i64::try_from(bytes.len()).ok(), guest["size"].as_integer(), "{path}");
        for (source, expected) in guest["sources"].as_table().unwrap() {
            let found = hash(&std::fs::read(root.join(source)).unwrap());
            assert_eq!(
                Some(found.as_str()),
                expected.as_str(),
                "{source} has changed: run `examples/build-guests {path}`"
            );
        }
        for place in PLACES {
            let told = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!told, "{path} tells where it was built: {place}");
        }
        // The JavaScript runtime is no example.
        if !path.starts_with("..") {
            listed.insert(root.join(path));
        }
    }
    let mut found = BTreeSet::new();
    for (_, group) in folders(&root) {
        for (_, dir) in folders(&group) {
            found.extend(files(&dir).filter(|file| file.extension().is_some_and(|ending| ending == "wasm")));
        }
    }
    assert_eq!(found, listed, "every WASM file has its entry in guests.lock");
}

/// SHA-256, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    digest.strip_prefix("sha256:").unwrap_or(&digest).to_owned()
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.into_iter()
}

/// The folders in a folder, by name.
fn folders(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut folders: Vec<(String, PathBuf)> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    folders.sort();
    folders
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in files(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    for (name, dir) in folders(from) {
        copy_folder(&dir, &to.join(name));
    }
}
