//! What a fault needs: a node that runs the real program, apps, requests, and patience.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything; far above what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(75);

/// Arguments of `hob why`.
pub(crate) type Question = Vec<String>;

/// Faults that share a node.
pub(crate) struct Group {
    /// Its name, for whoever watches.
    pub(crate) name: &'static str,
    /// Deploys what the faults need.
    pub(crate) prepare: fn(&mut Stage),
    /// The faults, in their order.
    pub(crate) faults: &'static [Fault],
}

/// One fault.
pub(crate) struct Fault {
    /// What it is, in the words of whoever meets it.
    pub(crate) name: &'static str,
    /// Brings it about, sees it as a user does, and says what is asked then.
    pub(crate) inject: fn(&mut Stage) -> Vec<Question>,
    /// What the first line must name.
    pub(crate) cause: &'static [&'static str],
    /// What the second line must name.
    pub(crate) fix: &'static [&'static str],
}

/// A question: words, and what they are about.
pub(crate) fn ask(words: &[&str]) -> Question {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) id: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A node with what was deployed on it.
pub(crate) struct Stage {
    home: TempDir,
    /// The node, while it runs.
    pub(crate) node: Option<Child>,
    /// Where its gateway listens.
    pub(crate) address: String,
    children: Vec<Child>,
    flags: Vec<String>,
}

impl Stage {
    /// Starts a node without walls: its functions wait for files of the exam.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--walls", "off"])
    }

    /// Starts a node with more flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut stage = Self { home, node: None, address: String::new(), children: Vec::new(), flags };
        stage.serve();
        stage
    }

    /// Starts the node again in its folder.
    pub(crate) fn serve(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("stderr.log")).unwrap();
        let mut node = self
            .command()
            .args(["serve", "--http", "127.0.0.1:0"])
            .args(&self.flags)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = || std::fs::read_to_string(self.path("stderr.log")).unwrap();
        let url = line.trim().strip_prefix("ready ").and_then(|url| Some(url.split_once("://")?.1));
        let url = url.unwrap_or_else(|| panic!("{line}\n{}", said()));
        self.address = url.to_owned();
        self.node = Some(node);
    }

    /// Kills the node: no time to finish anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut node) = self.node.take() {
            node.kill().unwrap();
            node.wait().unwrap();
        }
    }

    /// A path in the folder of the stage.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The file for which functions wait that are to run for long: it is there when the stage is left.
    pub(crate) fn go(&self) -> String {
        self.path("go").display().to_string()
    }

    /// Whether they may go on, for a shell: also when the stage is gone, so that none outlives it.
    pub(crate) fn may_go(&self) -> String {
        format!("[ -e {} ] || ! [ -d {} ]", self.go(), self.path("").display())
    }

    /// The program with a home of its own and nothing of the tester's environment but `PATH`. `HOB_PROGRAM` names
    /// another build of it, such as one of the release profile.
    fn command(&self) -> Command {
        let program = std::env::var_os("HOB_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_hob").into());
        let mut command = Command::new(program);
        let home = self.home.path();
        command.env_clear().current_dir(home).env("HOME", home).env("HOB_DATA", home.join("data"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_COLOR", "1");
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program: exit code and both outputs.
    pub(crate) fn hob(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command().args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Runs the program and expects success.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.hob(arguments);
        assert_eq!(code, 0, "hob {arguments:?}\n{stderr}");
        stdout
    }

    /// What `hob why` says: its answer, or its error.
    pub(crate) fn why(&self, question: &Question) -> String {
        let arguments: Vec<&str> = ["why"].into_iter().chain(question.iter().map(String::as_str)).collect();
        let (_, stdout, stderr) = self.hob(&arguments);
        if stdout.is_empty() { stderr } else { stdout }
    }

    /// The value at a path of what a command says in JSON, such as `/lag`.
    pub(crate) fn number(&self, arguments: &[&str], pointer: &str) -> Option<u64> {
        let text = self.ok(&[arguments, &["-o", "json"]].concat());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value.pointer(pointer).and_then(serde_json::Value::as_u64)
    }

    /// Writes an app: its manifest and its files.
    pub(crate) fn write(&self, app: &str, manifest: &str, files: &[(&str, &str)]) {
        let folder = self.path(app);
        std::fs::create_dir_all(&folder).unwrap();
        let named = format!("app = \"{app}\"\n{manifest}");
        for (name, text) in files.iter().copied().chain([("hob.toml", named.as_str())]) {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Writes an app and deploys it.
    pub(crate) fn deploy(&self, app: &str, manifest: &str, files: &[(&str, &str)]) {
        self.write(app, manifest, files);
        self.ok(&["deploy", app]);
    }

    /// Sends a request to an app's host.
    pub(crate) fn request(&self, request: &str, host: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for header in headers {
            write!(text, "{header}\r\n").unwrap();
        }
        write!(text, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that refuses early may close before it has read everything.
        drop(stream.write_all(text.as_bytes()));
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let mut answer = Answer { status, id: String::new(), head: head.to_owned(), body: body.to_owned() };
        answer.id = answer.header("hob-invocation-id").unwrap_or_default().to_owned();
        answer
    }

    /// A request without a body, which must have this status; its id.
    pub(crate) fn seen(&self, app: &str, request: &str, status: u16) -> String {
        let answer = self.request(request, &format!("{app}.localhost"), &[], "");
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        answer.id
    }

    /// Starts a program that ends with the stage, and waits until it has said its first line.
    pub(crate) fn run(&mut self, program: &str, script: &str) -> String {
        let mut child = Command::new(program).arg("-c").arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.children.push(child);
        line.trim().to_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(std::fs::write(self.go(), ""));
        if let Some(mut node) = self.node.take() {
            // Gracefully, so that it takes its functions along; then for certain.
            let asked = Command::new("kill").args(["-INT", &node.id().to_string()]).status();
            let end = Instant::now() + Duration::from_secs(30);
            while asked.is_ok() && Instant::now() < end && matches!(node.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(node.kill());
            drop(node.wait());
        }
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Polls until `check` gives something.
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a file is there.
pub(crate) fn appears(path: &Path) {
    eventually(&path.display().to_string(), || path.exists().then_some(()));
}
