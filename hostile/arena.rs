//! Where threats are brought about: a node, and a quiet app whose calls are watched meanwhile.
//!
//! **How.** The neighbour's calls come at a fixed rate by several connections, and each is measured from the moment at
//! which it was due: a node that stands still for a second is seen by all the calls of that second, and not by the
//! one that waits. What counts as beside an attack was due before its end.

use crate::stage::Stage;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Calls of the neighbour per second: few enough that one connection in four is always free, also in a debug build
/// beside an attack on a machine with other work.
const RATE: u32 = 100;
/// Connections by which they come in turn.
const LANES: u32 = 4;
/// Calls without an attack that are the measure.
const CALLS: u32 = 100;
/// The same where its latencies are judged; then an attack that is over sooner is brought about again until there are
/// as many beside it.
const CALLS_STRICT: u32 = 1000;
/// What a neighbour's p99 may be then, as a multiple of what it is without an attack.
const RATIO_MAX: f64 = 2.0;
/// The longest that any call of the neighbour may take: far above what other work on the machine does to a debug build,
/// far below what one call may wait for.
const WORST_MAX: Duration = Duration::from_secs(5);
/// The same on a quiet machine.
const WORST_MAX_STRICT: Duration = Duration::from_secs(1);
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
    /// How the neighbour fared beside attacks so far: its p99 as a multiple of that without, and its longest call.
    fared: Mutex<Vec<(f64, Duration)>>,
    /// Whether the machine is quiet, so that all of it is judged.
    pub(crate) strict: bool,
}

/// How the neighbour fared beside an attack.
pub(crate) struct Beside {
    idle: Duration,
    during: Duration,
    worst: Duration,
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
        let (ratio, idle) = (self.ratio(), self.idle);
        let (calls, errors, during, worst) = (self.calls, self.errors, self.during, self.worst);
        write!(
            f,
            "neighbour {calls} calls, {errors} errors, p99 {during:.1?} ({ratio:.1}× {idle:.1?} idle), longest {worst:.1?}"
        )
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
        Self { stage, control, fared: Mutex::default(), strict }
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
        let (_, errors) = self.sample(20, &OnceLock::new());
        (errors > 0).then(|| format!("{errors} of 20 calls of the neighbour failed afterwards"))
    }

    /// What was held, unless the neighbour waited too long.
    pub(crate) fn fair(&self, figures: String) -> Outcome {
        let fared = self.fared.lock().unwrap();
        let ratio = fared.iter().map(|(ratio, _)| *ratio).fold(0.0, f64::max);
        let worst = fared.iter().map(|(_, worst)| *worst).max().unwrap_or_default();
        let most = if self.strict { WORST_MAX_STRICT } else { WORST_MAX };
        let slower = if self.strict && ratio > RATIO_MAX { ", the neighbour was slowed down" } else { "" };
        let stood = if worst > most {
            format!(", a call of the neighbour waited for more than {most:?}")
        } else {
            String::new()
        };
        judge(slower.is_empty() && stood.is_empty(), format!("{figures}{slower}{stood}"))
    }

    /// Skipped where `hob doctor` says that the machine lacks all of these, each of which would have held the threat;
    /// else a defence is broken.
    pub(crate) fn lacking(&self, walls: &[&str], figures: &str) -> Outcome {
        let said: Value = serde_json::from_str(&self.stage.ok(&["doctor", "-o", "json"])).unwrap();
        let findings = said.as_array().unwrap();
        let finding =
            |wall: &&str| findings.iter().find(|one| one["name"] == **wall).expect("a line of `hob doctor`");
        let there: Vec<&str> = walls.iter().copied().filter(|wall| finding(wall)["found"] == true).collect();
        if !there.is_empty() {
            return Outcome::Broken(format!("{figures}; although `hob doctor` has {}", there.join(" and ")));
        }
        let why: Vec<String> =
            walls.iter().map(|wall| format!("no {wall} ({})", finding(wall)["seen"])).collect();
        Outcome::Skipped(format!("`hob doctor` has {}; {figures}", why.join(" and ")))
    }

    /// Watches the neighbour's calls while an attack lasts. What is said is what its first time said.
    pub(crate) fn beside<T: Send>(&self, mut attack: impl FnMut() -> T + Send) -> (T, Beside) {
        let least = if self.strict { CALLS_STRICT } else { CALLS };
        let (mut before, _) = self.sample(least, &OnceLock::new());
        let over = OnceLock::new();
        let (result, (mut during, errors)) = std::thread::scope(|scope| {
            let attack = scope.spawn(|| {
                // Also when it panics.
                let _ended = Ended(&over);
                let (began, result) = (Instant::now(), attack());
                while self.strict && began.elapsed() < Duration::from_secs(1) * CALLS_STRICT / RATE {
                    attack();
                }
                result
            });
            let seen = self.sample(u32::MAX, &over);
            (attack.join().unwrap_or_else(|panic| resume_unwind(panic)), seen)
        });
        let (calls, worst) = (during.len() + errors, during.iter().max().copied().unwrap_or_default());
        let beside = Beside { idle: p99(&mut before), during: p99(&mut during), worst, calls, errors };
        self.fared.lock().unwrap().push((beside.ratio(), worst));
        (result, beside)
    }

    /// Latencies of so many calls of the neighbour, or of those that are due before it is over; and how many failed.
    fn sample(&self, most: u32, over: &OnceLock<Instant>) -> (Vec<Duration>, usize) {
        let start = Instant::now();
        let (mut times, mut errors) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let lane = |first| move || self.lane(start, (first..most).step_by(LANES as usize), over);
            let lanes: Vec<_> = (0..LANES).map(|first| scope.spawn(lane(first))).collect();
            for lane in lanes {
                let (own, failed) = lane.join().unwrap();
                times.extend(own);
                errors += failed;
            }
        });
        (times, errors)
    }

    /// The calls of one connection, each at its time or as soon after it as the one before has ended.
    fn lane(
        &self,
        start: Instant,
        numbers: impl Iterator<Item = u32>,
        over: &OnceLock<Instant>,
    ) -> (Vec<Duration>, usize) {
        let (mut times, mut errors) = (Vec::new(), 0);
        let mut connection = None;
        for number in numbers {
            let due = start + Duration::from_secs(1) * number / RATE;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if over.get().is_some_and(|over| due >= *over) {
                break;
            }
            match self.ask(&mut connection) {
                Some(()) => times.push(due.elapsed()),
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

/// Says when an attack is over, however it ends.
struct Ended<'a>(&'a OnceLock<Instant>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        // It is the only one that says it.
        let _ = self.0.set(Instant::now());
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
