//! Where threats are brought about: a node, and a quiet app whose calls are watched meanwhile.

use crate::stage::Stage;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Calls of the neighbour before an attack, and at least during one.
const CALLS: usize = 100;
/// The same where its latencies are judged.
const CALLS_STRICT: usize = 2000;
/// What they may be then, as a multiple of what they are without an attack.
const RATIO_MAX: f64 = 2.0;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a threat.
pub(crate) enum Outcome {
    /// It did no harm: the figures.
    Held(String),
    /// It did: what.
    Broken(String),
    /// This machine lacks what the defence or the attack needs.
    Skipped(String),
    /// Hob has nothing that could be attacked so: why.
    NotBuilt(String),
}

/// Held if `right`, else broken; the figures say both.
pub(crate) fn judge(right: bool, figures: String) -> Outcome {
    if right { Outcome::Held(figures) } else { Outcome::Broken(figures) }
}

/// The operator's token.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A node with a quiet app, whose control API is on TCP as well.
pub(crate) struct Arena {
    pub(crate) stage: Stage,
    /// The port of its control API.
    pub(crate) control: String,
    /// The neighbour's latencies beside attacks so far, as multiples of those without.
    ratios: Mutex<Vec<f64>>,
    /// Whether they are judged.
    strict: bool,
}

/// How the neighbour fared beside an attack.
pub(crate) struct Beside {
    idle: Duration,
    during: Duration,
    calls: usize,
    pub(crate) errors: usize,
}

impl Beside {
    fn ratio(&self) -> f64 {
        self.during.as_secs_f64() / self.idle.as_secs_f64().max(1e-6)
    }
}

impl std::fmt::Display for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratio = self.ratio();
        let (calls, errors) = (self.calls, self.errors);
        write!(f, "neighbour {calls} calls, {errors} errors, p99 {:.1?} ({ratio:.1}× idle)", self.during)
    }
}

impl Arena {
    pub(crate) fn start() -> Self {
        let mut token = tempfile::NamedTempFile::new().unwrap();
        token.write_all(TOKEN.as_bytes()).unwrap();
        let file = token.path().display().to_string();
        let control = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let own = ["--control", "unix:data/control.sock", "--control", &format!("127.0.0.1:{control}")];
        let asides = ["--dashboard", "127.0.0.1:0", "--lambda", "127.0.0.1:0"];
        let stage =
            Stage::start_with(&[&["--walls", "auto", "--token-file", &file][..], &own, &asides].concat());
        let good = "(call $answer (local.get $out) (call $fields) (i32.const 200))";
        stage.deploy(
            "quiet",
            "[functions.f]\nrun = \"f.wasm\"\nhost = \"wasm\"\ncontract = \"wasi-http\"\nroute = \"/\"\n",
            &[("f.wasm", &guest(good))],
        );
        stage.seen("quiet", "GET /", 200);
        let strict = std::env::var_os("HOSTILE_STRICT").is_some_and(|value| value == "1");
        Self { stage, control, ratios: Mutex::default(), strict }
    }

    /// The port of the gateway.
    pub(crate) fn port(&self) -> &str {
        self.stage.address.rsplit(':').next().unwrap()
    }

    /// Resident memory of the node, MiB.
    pub(crate) fn memory(&self) -> u64 {
        let pid = self.stage.node.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }

    /// What harm the node or the neighbour has taken.
    pub(crate) fn harm(&mut self) -> Option<String> {
        if let Ok(Some(status)) = self.stage.node.as_mut().unwrap().try_wait() {
            return Some(format!("the node ended: {status}"));
        }
        let (_, errors) = self.sample(20, &AtomicBool::new(true));
        (errors > 0).then(|| format!("{errors} of 20 calls of the neighbour failed afterwards"))
    }

    /// What was held, unless latencies are judged and the neighbour's were too long.
    pub(crate) fn fair(&self, figures: String) -> Outcome {
        let worst = self.ratios.lock().unwrap().iter().copied().fold(0.0, f64::max);
        judge(!self.strict || worst <= RATIO_MAX, figures)
    }

    /// Watches the neighbour's calls while an attack lasts.
    pub(crate) fn beside<T: Send>(&self, attack: impl FnOnce() -> T + Send) -> (T, Beside) {
        let least = if self.strict { CALLS_STRICT } else { CALLS };
        let (mut before, _) = self.sample(least, &AtomicBool::new(true));
        let over = AtomicBool::new(false);
        let (result, (mut during, errors)) = std::thread::scope(|scope| {
            let attack = scope.spawn(|| {
                // Also when it panics.
                let _ended = Ended(&over);
                attack()
            });
            let seen = self.sample(least, &over);
            (attack.join().unwrap_or_else(|panic| resume_unwind(panic)), seen)
        });
        let calls = during.len() + errors;
        let beside = Beside { idle: p99(&mut before), during: p99(&mut during), calls, errors };
        self.ratios.lock().unwrap().push(beside.ratio());
        (result, beside)
    }

    /// Latencies of at least so many calls of the neighbour, and until it is over; and how many failed.
    fn sample(&self, least: usize, over: &AtomicBool) -> (Vec<Duration>, usize) {
        let (mut times, mut errors) = (Vec::new(), 0);
        let mut connection = None;
        while times.len() + errors < least || !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            match self.ask(&mut connection) {
                Some(()) => times.push(began.elapsed()),
                None => {
                    connection = None;
                    errors += 1;
                }
            }
        }
        (times, errors)
    }

    /// One call of the neighbour on a connection that is kept.
    fn ask(&self, connection: &mut Option<BufReader<TcpStream>>) -> Option<()> {
        if connection.is_none() {
            let stream = TcpStream::connect(&self.stage.address).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            stream.set_nodelay(true).ok()?;
            *connection = Some(BufReader::new(stream));
        }
        let reader = connection.as_mut()?;
        reader.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: quiet.localhost\r\n\r\n").ok()?;
        let (mut line, mut right, mut length) = (String::new(), false, None);
        // Its answer has a length or comes in chunks: a head, and what ends with a chunk of size 0 and an empty line.
        let mut last = false;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            right |= line.starts_with("HTTP/1.1 200");
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.trim().parse().ok();
            }
            if line.trim().is_empty() && (last || length.is_some()) {
                break;
            }
            last |= line.trim() == "0";
        }
        reader.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
        right.then_some(())
    }

    /// Runs a Python program against the node, with its port as the first argument; what it prints.
    ///
    /// It steps back for everything else on the machine: attackers have processors of their own, what they take of the
    /// neighbour's is what the node does for them.
    pub(crate) fn python(&self, program: &str, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = Command::new("nice")
            .args(["-n", "19", "python3", "-c", program, self.port()])
            .args(arguments)
            .env_remove("http_proxy")
            .output()
            .unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim().to_owned()
    }
}

/// Says that an attack is over, however it ends.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).or_else(|| times.last()).copied().unwrap_or_default()
}

/// The text of a WASM guest whose handler does this.
pub(crate) fn guest(handler: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hob-runtime/tests/guests/http02.wat");
    let text = std::fs::read_to_string(path).unwrap();
    // A file of WebAssembly text is known by how it begins.
    let text = &text[text.find("(component").unwrap()..];
    text.replace(";;GUEST\n", &crate::attack::code(handler))
}
