//! What every test needs: the program, a node that ends with the test, and patience.

use super::unchunk::unchunk;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything; far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with a home of its own and nothing of the tester's environment but `PATH`.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hob"));
    command.env_clear().current_dir(home).env("HOME", home).env("XDG_CACHE_HOME", home.join("cache"));
    for kept in ["PATH", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    if let Some(tester) = std::env::var_os("HOME").filter(|_| std::env::var_os("CARGO_HOME").is_none()) {
        command
            .env("CARGO_HOME", Path::new(&tester).join(".cargo"))
            .env("RUSTUP_HOME", Path::new(&tester).join(".rustup"));
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn hob(home: &Path, args: &[&str]) -> Outcome {
    finish(command(home).args(args))
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes files below a folder; text that begins with `#!` may be executed.
pub(crate) fn write(dir: &Path, files: &[(&str, &[u8])]) {
    use std::os::unix::fs::PermissionsExt;
    for (path, bytes) in files {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, bytes).unwrap();
        if bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF") {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
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
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A `hob serve`, `run` or `dev` that is killed at the end of the test.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Serving {
    /// Starts it on a free port and waits for its `ready` line.
    pub(crate) fn start(home: &Path, args: &[&str]) -> Self {
        Self::by(command(home).args(args), home)
    }

    /// The same by this command.
    pub(crate) fn by(command: &mut Command, home: &Path) -> Self {
        let log = std::fs::File::create(home.join("stderr.log")).unwrap();
        let mut child =
            command.args(["--http", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("ready ").map(str::to_owned) else {
            drop(child.kill());
            panic!(
                "{command:?} said `{line}` and:\n{}",
                std::fs::read_to_string(home.join("stderr.log")).unwrap()
            );
        };
        Self { child, stdout, url }
    }

    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    /// Status and body of the answer to these bytes.
    pub(crate) fn send(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that refuses early may close before it has read everything.
        drop(stream.write_all(request.as_bytes()));
        answer(&mut stream)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    /// Waits for the end; the exit code (or minus the signal) and the rest of stdout.
    pub(crate) fn wait(mut self) -> (i32, String) {
        use std::os::unix::process::ExitStatusExt;
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or_else(|| -status.signal().unwrap()), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Gracefully, so that it takes its functions along; then for certain.
        if self.child.try_wait().unwrap().is_none() {
            self.signal("INT");
            let end = Instant::now() + Duration::from_secs(10);
            while self.child.try_wait().unwrap().is_none() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Reads one answer to its end.
pub(crate) fn answer(stream: &mut impl Read) -> (u16, String) {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { unchunk(body) } else { body.to_owned() })
}

/// Where packages are installed for tests.
pub(crate) const INSTALLED: &str = env!("CARGO_TARGET_TMPDIR");

/// A node in a folder of its own.
pub(crate) struct Node {
    pub(crate) serving: Serving,
    pub(crate) home: TempDir,
}

impl Node {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let serve = [&["serve", "--data", "data"], flags].concat();
        Self { serving: Serving::start(home.path(), &serve), home }
    }

    /// The same, whose functions may read what is installed for tests.
    pub(crate) fn with_packages(flags: &[&str]) -> Self {
        Self::start_with(&[&["--readable", INSTALLED], flags].concat())
    }

    /// Kills it, and starts it again in its folder, as [`Node::with_packages`] does.
    pub(crate) fn killed(self, flags: &[&str]) -> Self {
        let Self { serving, home } = self;
        serving.signal("KILL");
        assert_eq!(serving.wait().0, -9);
        let serve = [&["serve", "--data", "data", "--readable", INSTALLED], flags].concat();
        Self { serving: Serving::start(home.path(), &serve), home }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("stderr.log")).unwrap_or_default()
    }

    /// Runs the program against it, in its folder.
    pub(crate) fn hob(&self, args: &[&str]) -> Outcome {
        finish(command(self.home.path()).env("HOB_DATA", self.home.path().join("data")).args(args))
    }

    /// Runs the program and expects success; the result is what it said on stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let outcome = self.hob(args);
        assert_eq!(outcome.code, 0, "hob {args:?}\n{}", outcome.stderr);
        outcome.stdout
    }
}
