//! What this machine offers to a node, and what Hob does with it or without it.
//!
//! **How.** One line of `PROBES` each: it reads a file of the kernel's or looks along `PATH`, and
//! changes nothing. A probe says what was seen in words, so that a report can be passed on as it is.

use crate::identity;
use serde::Serialize;
use std::fs::read_to_string;
use std::path::Path;

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, such as `control groups`.
    pub name: &'static str,
    /// Whether the machine has it.
    pub found: bool,
    /// What was seen, such as a version or the reason of a refusal.
    pub seen: String,
    /// What Hob uses it for, or what it does without it.
    pub effect: &'static str,
}

/// One line of the report.
struct Probe {
    name: &'static str,
    look: fn() -> Result<String, String>,
    /// What Hob does when it is there.
    with: &'static str,
    /// What Hob does when it is not.
    without: &'static str,
}

/// File descriptors below which a busy node runs out: one per connection and a few per child.
const FILES_WANTED: u64 = 65_536;
/// Address space that the pool of WASM slots reserves, which strict overcommit refuses.
const STRICT_OVERCOMMIT: &str = "2";

static PROBES: &[Probe] = &[
    Probe {
        name: "processors",
        look: processors,
        with: "the node uses all of them",
        without: "the node uses one thread",
    },
    Probe {
        name: "memory",
        look: memory,
        with: "instances share it, each below its own `memory`",
        without: "what is free cannot be said",
    },
    Probe {
        name: "open files",
        look: open_files,
        with: "enough for as many connections as one listener takes",
        without: "connections wait when descriptors run out; raise it with `ulimit -n 65536`",
    },
    Probe {
        name: "pooled WASM instances",
        look: overcommit,
        with: "WASM instances come from reserved slots",
        without: "WASM instances are allocated one by one, which is slower",
    },
    Probe {
        name: "/proc",
        look: || readable("/proc/self/smaps_rollup"),
        with: "memory and descendants of native functions are watched through it where no control group holds them",
        without: "the memory limit of native functions cannot be kept without a control group",
    },
    Probe {
        name: "control groups",
        look: hob_runtime::cgroup::examine,
        with: "the kernel holds the memory of native functions, and shares processors out by app",
        without: "native functions are watched through /proc and may exceed their memory for a moment; they get the processors \
                  that the node leaves by their niceness, not by app",
    },
    Probe {
        name: "walls",
        look: walls,
        with: "native functions run behind walls: own files, processes, network and user, no privileges, few system calls",
        without: "native functions run as the node's user and see its files; `--require-walls` refuses to start",
    },
    Probe {
        name: "files of compilers",
        look: compilers,
        with: "a compiler of WASM reads its input and writes its output, and reaches no other file",
        without: "a compiler of WASM that a component takes over reads and writes what the node's user may",
    },
    Probe {
        name: "python3",
        look: || program("python3"),
        with: "Python functions can run",
        without: "functions that start with `python3` cannot run",
    },
    Probe {
        name: "node",
        look: || program("node"),
        with: "Node.js functions can run",
        without: "functions that start with `node` cannot run",
    },
];

/// Looks at this machine; changes nothing.
pub fn examine() -> Vec<Finding> {
    let finding = |probe: &Probe| {
        let (found, seen, effect) = match (probe.look)() {
            Ok(seen) => (true, seen, probe.with),
            Err(seen) => (false, seen, probe.without),
        };
        Finding { name: probe.name, found, seen, effect }
    };
    PROBES.iter().map(finding).collect()
}

/// Bytes of memory that this process holds; `None` where the kernel does not say.
pub fn memory_bytes() -> Option<u64> {
    let text = read("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn processors() -> Result<String, String> {
    std::thread::available_parallelism().map(|count| count.to_string()).map_err(|error| error.to_string())
}

fn memory() -> Result<String, String> {
    let text = read("/proc/meminfo")?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    match (kib("MemTotal"), kib("MemAvailable")) {
        (Some(total), Some(free)) => {
            let show = |kib: u64| hob_core::unit::show_bytes(kib << 10);
            Ok(format!("{}, of which {} are free", show(total), show(free)))
        }
        _ => Err("/proc/meminfo does not say".into()),
    }
}

fn open_files() -> Result<String, String> {
    let text = read("/proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft =
        line.and_then(|line| line.split_whitespace().next()).ok_or("/proc/self/limits does not say")?;
    match soft.parse::<u64>() {
        Ok(count) if count < FILES_WANTED => Err(format!("at most {count}")),
        _ => Ok(format!("at most {soft}")),
    }
}

fn overcommit() -> Result<String, String> {
    match read("/proc/sys/vm/overcommit_memory")?.trim() {
        STRICT_OVERCOMMIT => Err("vm.overcommit_memory is 2".into()),
        mode => Ok(format!("vm.overcommit_memory is {mode}")),
    }
}

/// Builds a wall in a temporary folder.
fn walls() -> Result<String, String> {
    let folder = std::env::temp_dir().join(format!("hob-doctor-{}", identity::secret()));
    hob_runtime::wall::examine(&folder).map(|offer| offer.to_string())
}

fn compilers() -> Result<String, String> {
    let found = hob_runtime::compilers_have_own_files().then(|| "landlock holds them".to_owned());
    found.ok_or_else(|| "the kernel has no landlock".to_owned())
}

fn readable(path: &str) -> Result<String, String> {
    read(path).map(|_| format!("`{path}` can be read"))
}

fn read(path: &str) -> Result<String, String> {
    read_to_string(path).map_err(|error| format!("`{path}`: {error}"))
}

fn program(name: &str) -> Result<String, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file));
    found.map(|file| file.display().to_string()).ok_or_else(|| "not on PATH".into())
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::{PROBES, examine};

    #[test]
    fn every_probe_says_something() {
        let findings = examine();
        assert_eq!(findings.len(), PROBES.len());
        for finding in findings {
            assert!(!finding.seen.is_empty() && !finding.effect.ends_with('.'), "{finding:?}");
        }
    }
}
