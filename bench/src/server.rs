//! A server process: started, waited for, measured from outside, stopped.
//!
//! **Why.** CPU time and memory are read from `/proc`, for the process and all its descendants, so
//! that a server which does its work in a child is charged for it.

use crate::Result;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest wait for a server to say that it serves, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(120);
/// The processor of the servers under `--pin`; the load generator takes the next one.
pub(crate) const CPU: usize = 0;
/// Time between two looks whether a server listens.
const LOOK: Duration = Duration::from_micros(200);
/// Length of a clock tick in `/proc/<pid>/stat`: `USER_HZ` is 100 (proc(5)).
const TICK: Duration = Duration::from_millis(10);
/// Where a process's parent stands after its name (proc(5), `stat`).
const STAT_PARENT: usize = 1;
/// The same of its user and system time, and of those of its children that have ended.
const STAT_TIMES: std::ops::Range<usize> = 11..15;

/// A command for a server, on its own processor if asked.
pub(crate) fn command(program: &Path, pin: bool) -> Command {
    let mut command = Command::new(if pin { Path::new("taskset") } else { program });
    if pin {
        command.arg("--cpu-list").arg(CPU.to_string()).arg(program);
    }
    // With these each error costs a walk of the stack, and wasmtime makes one for each instance that ends.
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    command
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its own word that it serves.
    pub(crate) start: Duration,
    /// When the process was started.
    pub(crate) since: Instant,
    /// Whether its memory is its descendants' too: where a launcher or a master starts who does the work.
    family: bool,
}

/// What the kernel counts of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) threads: u64,
    pub(crate) files: u64,
}

impl Server {
    /// Starts a command that prints `http://<address>` on stdout or stderr once it serves.
    pub(crate) fn start(command: Command) -> Result<Self> {
        Self::start_saying(command, address_in)
    }

    /// Starts a command that prints its address on stdout or stderr once it serves; `address` finds it
    /// in a line.
    pub(crate) fn start_saying(
        mut command: Command,
        address: fn(&str) -> Option<SocketAddr>,
    ) -> Result<Self> {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let (lines, received) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            drain(stdout, lines.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            drain(stderr, lines);
        }
        let address_of = address;
        let address = ([127, 0, 0, 1], 0).into();
        let mut server = Self { child, address, start: Duration::ZERO, since: started, family: false };
        let mut said = Vec::new();
        while let Ok(line) = received.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            if let Some(address) = address_of(&line) {
                server.address = address;
                server.start = started.elapsed();
                return Ok(server);
            }
            said.push(line);
        }
        Err(format!("{command:?} never said that it serves; it said:\n{}", said.join("\n")).into())
    }

    /// Starts a command that will listen at an address, and waits until it does. Its descendants' memory counts.
    pub(crate) fn start_at(mut command: Command, address: SocketAddr) -> Result<Self> {
        let since = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let mut server = Self { child, address, start: Duration::ZERO, since, family: true };
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{command:?} ended with {status} before it served").into());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("{command:?} never listened").into());
            }
            std::thread::sleep(LOOK);
        }
        server.start = since.elapsed();
        Ok(server)
    }

    /// CPU time so far, of the process and its descendants.
    pub(crate) fn cpu(&self) -> Duration {
        tree(self.child.id()).values().map(|process| process.cpu).sum()
    }

    /// Resident memory in bytes: of the process alone, or of its family where that does the work.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let own = self.child.id();
        let pids = if self.family { tree(own).into_keys().collect() } else { vec![own] };
        pids.into_iter().map(|pid| Ok(status(pid, "VmRSS:")? * 1024)).sum()
    }

    /// Memory of the process and all its descendants, bytes: proportional set size, where what several processes share
    /// counts once, and resident set size, where it counts for each.
    pub(crate) fn family_bytes(&self) -> Result<(u64, u64)> {
        let (mut proportional, mut resident) = (0, 0);
        for pid in tree(self.child.id()).into_keys() {
            proportional += line_of(&format!("/proc/{pid}/smaps_rollup"), "Pss:")? * 1024;
            resident += status(pid, "VmRSS:")? * 1024;
        }
        Ok((proportional, resident))
    }

    /// Threads and open files of the process alone.
    pub(crate) fn held(&self) -> Result<Held> {
        let pid = self.child.id();
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        Ok(Held { threads: status(pid, "Threads:")?, files })
    }

    /// How often a thread of the process or of a descendant was given a processor; 0 where nothing is told.
    pub(crate) fn switches(&self) -> u64 {
        let threads = tree(self.child.id()).into_keys().flat_map(|pid| {
            fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|task| task.path())
        });
        threads
            .filter_map(|task| fs::read_to_string(task.join("status")).ok())
            .map(|text| switches(&text))
            .sum()
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        kill_process(Pid::from_raw(pid).ok_or("no process id")?, Signal::TERM)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                return Err("the server did not end when asked to".into());
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A launcher that is killed leaves behind whom it has started.
        let own = self.child.id();
        let family = if self.family { tree(own).into_keys().collect() } else { Vec::new() };
        // Who has ended already cannot be killed.
        drop(self.child.kill());
        for pid in family.into_iter().filter(|pid| *pid != own) {
            let _ =
                i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, Signal::KILL));
        }
        drop(self.child.wait());
    }
}

/// A process that serves nobody by itself. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Program(Child);

impl Program {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn();
        Ok(Self(started.map_err(|error| format!("cannot start {command:?}: {error}"))?))
    }

    /// CPU time so far, of the process and its descendants.
    pub(crate) fn cpu(&self) -> Duration {
        tree(self.0.id()).values().map(|process| process.cpu).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Who has ended already cannot be killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// CPU time so far of this process, and of those of its children that have ended.
pub(crate) fn own_cpu() -> Result<Duration> {
    let own = stat(&fs::read_to_string("/proc/self/stat")?).ok_or("no times in `/proc/self/stat`")?;
    Ok(own.cpu)
}

/// Voluntary and other switches of one thread's status (proc(5)).
fn switches(status: &str) -> u64 {
    let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

/// A number in `/proc/<pid>/status` (proc(5)); memory is in KiB there.
fn status(pid: u32, name: &str) -> Result<u64> {
    line_of(&format!("/proc/{pid}/status"), name)
}

/// The number in the line of a file that begins with a name.
fn line_of(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Reads a pipe to its end, so that the server never waits for its reader.
fn drain(pipe: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(std::io::Result::ok) {
            // Nobody listens any more once the server is ready.
            drop(lines.send(line));
        }
    });
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("http://")?.1;
    rest.split(|c: char| c == '/' || c.is_whitespace()).next()?.parse().ok()
}

#[derive(Debug)]
struct Process {
    parent: u32,
    /// With that of its children that have ended.
    cpu: Duration,
}

/// A process and its descendants.
fn tree(root: u32) -> BTreeMap<u32, Process> {
    let mut all: BTreeMap<u32, Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    let mut family = BTreeSet::from([root]);
    while let Some((&pid, _)) =
        all.iter().find(|(pid, process)| family.contains(&process.parent) && !family.contains(pid))
    {
        family.insert(pid);
    }
    all.retain(|pid, _| family.contains(pid));
    all
}

/// The name in parentheses may hold anything, so fields are counted from its last parenthesis.
fn stat(text: &str) -> Option<Process> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let times = fields.get(STAT_TIMES)?.iter().map(|time| time.parse::<u32>().ok());
    let ticks: u32 = times.sum::<Option<u32>>()?;
    Some(Process { parent: fields.get(STAT_PARENT)?.parse().ok()?, cpu: TICK * ticks })
}

#[cfg(test)]
mod tests {
    use super::{address_in, stat, switches};
    use std::time::Duration;

    #[test]
    fn reads_what_servers_and_the_kernel_say() {
        for (line, port) in [
            ("ready http://127.0.0.1:8080", 8080),
            ("Serving HTTP on http://127.0.0.1:9000/", 9000),
            ("ready http://127.0.0.1:81 and more", 81),
        ] {
            assert_eq!(address_in(line).map(|address| address.port()), Some(port), "{line}");
        }
        assert_eq!(address_in("ready soon"), None);

        assert_eq!(switches("Threads:\t9\nvoluntary_ctxt_switches:\t4\nnonvoluntary_ctxt_switches:\t3\n"), 7);

        let line = "42 (a) b) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 3 0 1 2 3";
        let process = stat(line).unwrap();
        assert_eq!((process.parent, process.cpu), (7, Duration::from_millis(2500)));
    }
}
