//! Hostile programs for the host `process`, as data: what each tries, and what has to come of it behind walls.
//!
//! **How.** Each is a function of contract `stdio` that gets one call. [`Hostile::contained`] says whether the outcome is
//! that of a program that got nowhere. Whoever runs them also looks whether neighbours still answer and nothing is left.
//! This file is included by path (`#[path = "…/hob-runtime/tests/hostile/table.rs"]`) by every suite that runs it.

/// A hostile program.
pub(crate) struct Hostile {
    /// Its name.
    pub(crate) name: &'static str,
    /// The threat of `reference/reliability.md` that it is.
    pub(crate) threat: &'static str,
    /// The command line.
    pub(crate) run: &'static [&'static str],
    /// The name and text of its file.
    pub(crate) file: (&'static str, &'static str),
    /// Memory that it may have, bytes.
    pub(crate) memory_bytes: u64,
    /// Time that its call may take, milliseconds.
    pub(crate) timeout_ms: u64,
    /// The end of its answer, or the code of the fault: any of these is as it should be.
    pub(crate) expected: &'static [&'static str],
}

impl Hostile {
    /// Whether an outcome (`<status> <answer>` or a code such as `HOB-0505`) is that of a contained program.
    pub(crate) fn contained(&self, outcome: &str) -> bool {
        let outcome = outcome.trim_end();
        self.expected.iter().any(|expected| {
            outcome == *expected
                || outcome.ends_with(&format!(" {expected}"))
                || outcome.ends_with(&format!("\n{expected}"))
        })
    }
}

const MIB: u64 = 1 << 20;
const PYTHON: &[&str] = &["python3", "hostile.py"];
const SHELL: &[&str] = &["sh", "hostile.sh"];

const fn python(name: &'static str, threat: &'static str, text: &'static str) -> Hostile {
    Hostile {
        name,
        threat,
        run: PYTHON,
        file: ("hostile.py", text),
        memory_bytes: 256 * MIB,
        timeout_ms: 20_000,
        expected: &["contained"],
    }
}

const fn shell(name: &'static str, threat: &'static str, text: &'static str) -> Hostile {
    Hostile { run: SHELL, file: ("hostile.sh", text), ..python(name, threat, "") }
}

/// All of them.
pub(crate) const HOSTILE: &[Hostile] = &[
    Hostile {
        expected: &["60/60 denied"],
        ..python("forbidden actions", "T4", include_str!("forbidden.py"))
    },
    python(
        "privileges",
        "T4",
        r#"
want = {"NoNewPrivs": "1", "Seccomp": "2", "CapInh": "0" * 16, "CapPrm": "0" * 16, "CapEff": "0" * 16, "CapBnd": "0" * 16, "CapAmb": "0" * 16}
have = dict(line.split(":", 1) for line in open("/proc/self/status"))
wrong = [name for name, value in want.items() if have[name].strip() != value]
print("escaped", wrong) if wrong else print("contained")
"#,
    ),
    python(
        "the first process",
        "T4",
        r#"
import os
wrong = []
try:
    status = dict(line.split(":", 1) for line in open("/proc/1/status"))
    wrong += [name for name in ["NoNewPrivs", "Seccomp"] if status[name].strip() == "0"]
    # Whose memory may be looked at has files of its own user's.
    wrong += ["memory"] if os.stat("/proc/1/mem").st_uid == os.getuid() else []
    for name in ["mem", "environ", "maps", "root"]:
        try:
            os.close(os.open(f"/proc/1/{name}", os.O_RDWR if name == "mem" else os.O_RDONLY))
            wrong.append(name)
        except OSError:
            pass
except FileNotFoundError:
    pass
print("escaped", wrong) if wrong else print("contained")
"#,
    ),
    python(
        "names of the machine",
        "T4",
        r#"
import os
seen = [os.uname().nodename] if os.uname().nodename != "hob" else []
if os.path.exists("/proc/cmdline"):
    seen += open("/proc/cmdline").read().split()
print("escaped", seen) if seen else print("contained")
"#,
    ),
    python(
        "files of the machine",
        "T4",
        r#"
import os
seen = [path for path in ["/etc/shadow", "/etc/ssh", os.path.join("/root", ".ssh"), os.path.join("/root", ".bashrc"), "/var/lib", "/var/log", "/boot", "/sys/kernel", "/run/systemd", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/tty"] if os.path.exists(path)]
seen += [name for name in os.listdir("/home")]
print("escaped", seen) if seen else print("contained")
"#,
    ),
    python(
        "environment of others",
        "T4",
        r#"
import os
me, seen = str(os.getpid()), []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        text = open(f"/proc/{pid}/environ").read()
    except OSError:
        continue
    if pid not in (me, "1") or (pid == "1" and text):
        seen.append(pid)
print("escaped", seen) if seen else print("contained")
"#,
    ),
    python(
        "signals to everybody",
        "T4",
        r#"
import os, signal
for pid in [1, os.getppid() or 1]:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
try:
    os.kill(-1, signal.SIGTERM)
except OSError:
    pass
print("contained")
"#,
    ),
    python(
        "writing where it may not",
        "T4",
        r#"
import os
written = []
for folder in ["/", "/usr/bin", "/etc", "/etc/ssl", "/var/task", "/proc/sys/kernel", "/dev", "/root", "/run", "/opt"]:
    try:
        open(f"{folder}/hostile", "w").close()
        written.append(folder)
    except OSError:
        pass
print("escaped", written) if written else print("contained")
"#,
    ),
    python(
        "raising limits",
        "T4",
        r#"
import os, resource
raised = []
for name in ["RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_CORE"]:
    number = getattr(resource, name)
    soft, hard = resource.getrlimit(number)
    try:
        resource.setrlimit(number, (hard + 1000, hard + 1000))
        raised.append(name)
    except (OSError, ValueError):
        pass
for change in [lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.nice(-5)]:
    try:
        change()
        raised.append(change)
    except OSError:
        pass
print("escaped", raised) if raised else print("contained")
"#,
    ),
    shell(
        "programs that give privileges",
        "T4",
        r#"
said=$(for program in su sudo mount umount passwd newgrp; do
    file=$(command -v $program) || continue
    "$file" -c id </dev/null 2>&1
    "$file" id </dev/null 2>&1
done)
case "$said $(id)" in
*uid=0*) echo "escaped $said" ;;
*) echo contained ;;
esac
"#,
    ),
    python(
        "the machine's network",
        "T10",
        r#"
import socket
seen = []
for host, port in [("127.0.0.1", 22), ("127.0.0.1", 8081), ("169.254.169.254", 80), ("10.0.0.1", 80), ("192.168.0.1", 80), ("172.17.0.1", 22), ("100.100.100.200", 80)]:
    with socket.socket() as own:
        own.settimeout(2)
        if own.connect_ex((host, port)) == 0:
            own.sendall(b"GET / HTTP/1.0\r\n\r\n")
            try:
                if own.recv(1): seen.append(host)
            except OSError:
                pass
interfaces = [name for _, name in socket.if_nameindex()]
seen += [name for name in interfaces if name != "lo"]
print("escaped", seen) if seen else print("contained")
"#,
    ),
    python(
        "sockets of others",
        "T4",
        r#"
lines = open("/proc/net/unix").read().splitlines()[1:]
print("escaped", lines) if lines else print("contained")
"#,
    ),
    python(
        "fork bomb",
        "T6",
        r#"
import os, time
born = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        born += 1
    except OSError:
        break
    if born > 4096:
        break
print("contained" if born <= 128 else f"escaped {born}")
"#,
    ),
    Hostile {
        timeout_ms: 2000,
        // Where the shell itself is the first that may not fork, it gives up before its time is over.
        expected: &["HOB-0501", "HOB-0508"],
        ..shell("fork bomb without an end", "T6", "b() { b | b & }; b; while :; do :; done\n")
    },
    python(
        "threads without an end",
        "T6",
        r#"
import threading, time
born = 0
try:
    while born < 4096:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        born += 1
except RuntimeError:
    pass
import os, sys
print("contained" if born <= 128 else f"escaped {born}"); sys.stdout.flush(); os._exit(0)
"#,
    ),
    Hostile {
        memory_bytes: 64 * MIB,
        expected: &["HOB-0505"],
        ..python(
            "memory hog",
            "T7",
            "kept = []\nimport time\nfor _ in range(3000):\n    kept.append(b'x' * (1 << 20))\ntime.sleep(30)\n",
        )
    },
    Hostile {
        memory_bytes: 64 * MIB,
        expected: &["HOB-0505"],
        ..python(
            "memory hog of many",
            "T7",
            r#"
import os, time
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        kept = b"x" * (24 << 20)
        time.sleep(30)
time.sleep(30)
"#,
        )
    },
    Hostile {
        expected: &["HOB-0501"],
        timeout_ms: 2000,
        ..python(
            "processor hog that will not end",
            "T1",
            "import os, signal\nfor number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\nos.fork()\nos.fork()\nwhile True: pass\n",
        )
    },
    Hostile {
        memory_bytes: 64 * MIB,
        expected: &["contained", "HOB-0505"],
        ..python(
            "disk fill",
            "T8",
            r#"
import os
total = 0
for folder in ["/tmp", "/work", "/dev/shm"]:
    try:
        with open(folder + "/fill", "wb", buffering=0) as file:
            while total < 4 << 30:
                total += file.write(b"x" * (1 << 20))
    except OSError:
        pass
print("contained" if total <= 80 << 20 else f"escaped {total}")
"#,
        )
    },
    python(
        "files without an end",
        "T8",
        r#"
made = 0
try:
    while made < 200_000:
        open(f"/tmp/{made}", "w").close()
        made += 1
except OSError:
    pass
print("contained" if made < 70_000 else f"escaped {made}")
"#,
    ),
    python(
        "descriptors without an end",
        "T9",
        r#"
import os
have = []
try:
    while len(have) < 100_000:
        have.append(os.dup(0))
except OSError:
    pass
print("contained" if len(have) <= 8192 else f"escaped {len(have)}")
"#,
    ),
    // What it says is only that it got so far: whoever runs it looks whether the daemon is gone.
    shell(
        "daemon that stays",
        "T6",
        "(setsid sleep 7353 >/dev/null 2>&1 </dev/null &)\nsleep 0.2\necho contained\n",
    ),
];
