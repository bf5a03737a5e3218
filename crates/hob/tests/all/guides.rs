//! Runs every `console` block of the README and of `docs/guides/` with the real program.
//!
//! **Why.** A guide that nobody runs is wrong within weeks.
//!
//! **How.** Each file gets a folder of its own, in which `examples` leads to the repository's, and a
//! node of its own. In a block, a line that begins with `$ ` is a command (`sh`), and what follows is
//! its output, standard error included:
//!
//! - `…` stands for any text in a line, or, alone in a line, for any lines.
//! - A command that ends in ` &` stays in the background; its output must begin as shown, with a line
//!   `ready …`. It is stopped at the end of the guide, or by `$ kill %1`.
//! - `[exit 3]` as the last line is the exit code where it is not 0.
//! - Port 8080 stands for a free one.
//! - A block whose fence names a file (```` ```toml hob.toml ````) writes that file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, String>;

/// Longest wait for one command, and for a node to serve.
const PATIENCE: Duration = Duration::from_secs(120);
/// The port that the guides show.
const PORT: &str = "8080";
/// What the guides' nodes listen on instead: below the ports that Linux gives to whoever asks for any,
/// which connections and instances of the other guides could take while a node stops and starts again.
const PORTS: Range<u16> = 21_001..32_000;

#[test]
fn guides_do_what_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut guides = Vec::new();
    collect(&root.join("docs/guides"), &mut guides);
    guides.sort();
    guides.push(root.join("README.md"));
    let ports = free_ports(guides.len());
    assert_eq!(ports.len(), guides.len(), "each guide has a port of its own");
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = guides
            .iter()
            .zip(ports)
            .map(|(guide, port)| {
                let root = &root;
                scope.spawn(move || (guide, run(guide, root, port)))
            })
            .collect();
        runs.into_iter()
            .filter_map(|run| match run.join().unwrap() {
                (_, Ok(())) => None,
                (guide, Err(failure)) => Some(format!("{}: {failure}", guide.display())),
            })
            .collect()
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

/// Every guide in a folder and the folders below.
fn collect(folder: &Path, guides: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { collect(&path, guides) } else { guides.push(path) }
    }
}

/// As many ports that nobody listens on; where to begin depends on the process, since tests may run twice at a time.
fn free_ports(count: usize) -> Vec<u16> {
    let begin = std::process::id() as usize * count % PORTS.len();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    PORTS.cycle().skip(begin).take(PORTS.len()).filter(free).take(count).collect()
}

#[test]
fn blocks_and_wildcards_are_understood() {
    let text = "a\n```console\n$ one \\\n  two\nout\n$ three\n```\n```toml x/hob.toml\nkey = 1\n```\n```sh\nno\n```\n";
    assert_eq!(
        steps(text),
        [
            Step::Command { line: "one \\\n  two".into(), expected: vec!["out".into()] },
            Step::Command { line: "three".into(), expected: vec![] },
            Step::File { path: "x/hob.toml".into(), text: "key = 1\n".into() },
        ]
    );
    for (expected, found, same) in [
        ("a …, b", "a 12 ms, b", true),
        ("a … b", "a b", false),
        ("…", "one\ntwo", true),
        ("one\n…\nthree", "one\nthree", true),
        ("one\n…\nthree", "one\ntwo\nfour", false),
        ("one", "one\ntwo", false),
        ("", "", true),
    ] {
        let expected: Vec<&str> = expected.lines().collect();
        let found: Vec<&str> = found.lines().collect();
        assert_eq!(matches(&expected, &found), same, "{expected:?} {found:?}");
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Command { line: String, expected: Vec<String> },
    File { path: String, text: String },
}

fn steps(guide: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info.split_once(' ') {
            Some((_, path)) => {
                steps.push(Step::File { path: path.to_owned(), text: block.join("\n") + "\n" });
            }
            None if info == "console" => commands(&block, &mut steps),
            None => {}
        }
    }
    steps
}

fn commands(block: &[&str], steps: &mut Vec<Step>) {
    let mut open = false;
    for text in block {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step::Command { line: command.to_owned(), expected: Vec::new() });
        } else if let Some(Step::Command { line, expected }) = steps.last_mut() {
            if open {
                line.push('\n');
                line.push_str(text);
            } else {
                expected.push((*text).to_owned());
            }
        }
        open = text.ends_with('\\');
    }
}

/// Whether the lines found are those expected, with `…` for any text or any lines.
fn matches(expected: &[&str], found: &[&str]) -> bool {
    match (expected, found) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=found.len()).any(|skip| matches(rest, &found[skip..])),
        ([first, rest @ ..], [line, lines @ ..]) => line_matches(first, line) && matches(rest, lines),
        _ => false,
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    let Some((start, rest)) = expected.split_once('…') else { return expected == found };
    let Some(found) = found.strip_prefix(start) else { return false };
    (0..=found.len()).filter(|at| found.is_char_boundary(*at)).any(|at| line_matches(rest, &found[at..]))
}

/// A guide under way.
struct Session {
    folder: PathBuf,
    port: String,
    background: Vec<Background>,
    root: tempfile::TempDir,
}

/// A command that goes on while others run. Dropping it ends it.
struct Background {
    child: Child,
}

impl Drop for Background {
    fn drop(&mut self) {
        // SIGTERM to the shell's whole group, as Ctrl-C would; then make sure.
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status());
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(guide: &Path, root: &Path, port: u16) -> Outcome<()> {
    let text = fs::read_to_string(guide).map_err(|error| error.to_string())?;
    let mut session = Session::new(root, port)?;
    for step in steps(&text) {
        match step {
            Step::File { path, text } => session.write(&path, &text)?,
            Step::Command { line, expected } => session.command(&line, &expected)?,
        }
    }
    Ok(())
}

impl Session {
    fn new(root: &Path, port: u16) -> Outcome<Self> {
        let text = |error: std::io::Error| error.to_string();
        let folder = tempfile::TempDir::with_prefix("hob-guide-").map_err(text)?;
        let work = folder.path().join("work");
        fs::create_dir(&work).map_err(text)?;
        std::os::unix::fs::symlink(root.join("examples"), work.join("examples")).map_err(text)?;
        Ok(Self { folder: work, port: port.to_string(), background: Vec::new(), root: folder })
    }

    fn write(&self, path: &str, text: &str) -> Outcome<()> {
        let file = self.folder.join(path);
        let folder = file.parent().expect("a path below the guide's folder has a parent");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| format!("{path}: {error}"))
    }

    fn command(&mut self, line: &str, expected: &[String]) -> Outcome<()> {
        if line == "kill %1" {
            self.background.clear();
            return Ok(());
        }
        let found = match line.strip_suffix(" &") {
            Some(line) => self.start(line)?,
            None => self.finish(line)?,
        };
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let found = found.replace(&self.port, PORT);
        if matches(&expected, &found.lines().collect::<Vec<_>>()) {
            return Ok(());
        }
        Err(format!("`{line}`\n--- the guide says\n{}\n--- found\n{found}", expected.join("\n")))
    }

    /// Runs a command to its end; later commands begin in the folder where it ended.
    fn finish(&mut self, line: &str) -> Outcome<String> {
        let at = self.root.path().join("folder");
        let script = format!("exec 2>&1\n{line}\nstatus=$?\npwd > '{}'\nexit $status", at.display());
        let mut child =
            self.shell(&script).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let lines = reader(&mut child);
        let (mut found, deadline) = (String::new(), Instant::now() + PATIENCE);
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => found += &(line + "\n"),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    drop(Background { child });
                    return Err(format!("`{line}` did not end; it said so far:\n{found}"));
                }
            }
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if let Some(code) = status.code().filter(|code| *code != 0) {
            found += &format!("[exit {code}]\n");
        }
        if let Ok(folder) = fs::read_to_string(at) {
            self.folder = folder.trim_end().into();
        }
        Ok(found)
    }

    /// Starts a command and returns what it says up to its line `ready …`.
    fn start(&mut self, line: &str) -> Outcome<String> {
        let mut child = self
            .shell(&format!("exec {line} 2>&1"))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let lines = reader(&mut child);
        self.background.push(Background { child });
        let (mut found, deadline) = (String::new(), Instant::now() + PATIENCE);
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            found += &format!("{line}\n");
            if line.starts_with("ready ") {
                return Ok(found);
            }
        }
        Err(format!("`{line} &` never said that it is ready; it said:\n{found}"))
    }

    fn shell(&self, script: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_hob"));
        let programs = program.parent().expect("a program lies in a folder").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.root.path();
        let mut command = Command::new("sh");
        command
            .process_group(0)
            .args(["-c", &script.replace(PORT, &self.port)])
            .current_dir(&self.folder)
            .env("PATH", format!("{programs}:{path}"))
            .env("HOB_DATA", home.join("data"))
            .env("HOB_HTTP", format!("127.0.0.1:{}", self.port))
            .env("NO_COLOR", "1")
            .env_remove("HOB_CONTROL")
            .env_remove("HOB_TOKEN_FILE")
            .stdin(Stdio::null());
        command
    }
}

/// Reads a child's standard output line by line, to its end.
fn reader(child: &mut Child) -> mpsc::Receiver<String> {
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The pipe is read to its end even when nobody listens any more.
            drop(sender.send(line));
        }
    });
    receiver
}
