//! The node under test: a process of its own, which can be ended in every way.
//!
//! **How.** The test binary starts itself with the name of the only test in here. The child tells its process
//! id and address in a line, and stops when its standard input ends, so that it never outlives its parent.

use crate::support::{PATIENCE, settings};
use hob_bus::{Broken, Engine, EngineSettings};
use hob_core::code::Code;
use hob_node::{Address, Node};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

/// Names the folder to the child.
const FOLDER: &str = "HOB_TEST_FOLDER";
/// Names the promise that its log breaks.
const BROKEN: &str = "HOB_TEST_BROKEN";

/// How a child is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// The promise that its log breaks.
    pub(crate) broken: Option<&'static str>,
    /// Its environment.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Files that it may open at most.
    pub(crate) files: Option<u32>,
}

/// Where a node is reached.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) gateway: SocketAddr,
    pub(crate) control: PathBuf,
}

/// A running child. Dropping it kills it.
pub(crate) struct Child {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}

impl Child {
    /// Starts a node on the folder `data` in this folder.
    pub(crate) fn start(folder: &Path, how: &How) -> Self {
        let binary = std::env::current_exe().unwrap();
        let mut command = match how.files {
            None => Command::new(binary),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(binary);
                shell
            }
        };
        command
            .args(["--exact", "child::child_runs_a_node", "--nocapture"])
            .env(FOLDER, folder)
            .env(BROKEN, how.broken.unwrap_or_default())
            .envs(how.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, folder: folder.to_owned() }
    }

    /// Waits until it serves.
    pub(crate) async fn ready(&mut self) -> Place {
        let gateway = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(gateway) = line.strip_prefix("ready ") {
                    return gateway.parse().unwrap();
                }
            }
            panic!("the child has ended: {:?}", self.process.wait().await);
        });
        Place { gateway: gateway.await.expect("a start within a minute"), control: socket(&self.folder) }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Whether it has not ended by itself.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Ends it without warning.
    pub(crate) async fn kill(&mut self) {
        self.process.start_kill().unwrap();
        self.process.wait().await.unwrap();
    }

    /// Lets it stop.
    pub(crate) async fn stop(&mut self) {
        drop(self.process.stdin.take());
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        assert!(ended.expect("a stop within a minute").unwrap().success(), "the child has failed");
    }

    /// Memory that it uses, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("control/hob.sock")
}

fn broken(name: &str) -> Broken {
    let is = |which: &str| name == which;
    Broken {
        acknowledge_first: is("acknowledge_first"),
        keep_duplicates: is("keep_duplicates"),
        reorder: is("reorder"),
    }
}

/// Opens the log. A node that was killed while it started a function may have left a process that holds the
/// lock of the folder for the moment until it becomes the function, or ends with its parent.
async fn open(settings: &EngineSettings) -> Engine {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match hob_bus::open("file", settings) {
            Err(fault) if fault.code() == Code::DataLocked && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Not a test by itself: what the others start. A node that serves until its standard input ends.
#[test]
fn child_runs_a_node() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (mut settings, unused) = settings();
    // A kill would leave it behind.
    drop(unused);
    settings.data = folder.join("data");
    // The sink writes into a file of the test.
    settings.walls = hob_node::WallChoice::Off.into();
    settings.control = vec![Address::Unix(socket(&folder))];
    let mut engine = EngineSettings::new(&settings.data);
    engine.broken = broken(&std::env::var(BROKEN).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = open(&engine).await;
        let node = Node::start_on(engine, settings).await.unwrap();
        println!("ready {}", node.url().trim_start_matches("http://"));
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        end.await.unwrap().unwrap();
        node.stop().await;
    });
}
