//! Threats by native programs.

use crate::arena::{Arena, Outcome, judge};
use crate::native::HOSTILE;
use crate::stage::eventually;
use crate::unchunk::unchunk;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whether a process with this in its command line runs anywhere on the machine.
fn runs(part: &str) -> bool {
    let list = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    assert!(list.status.success(), "`ps` says what runs");
    String::from_utf8_lossy(&list.stdout).contains(part)
}

/// Forks until it is refused or has a thousand, which is harmless without a wall; says how many it had.
const BOMB: &str = "import os, sys, time
n = 0
try:
    while n < 1000:
        if os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(60)
            os._exit(0)
        n += 1
except OSError:
    pass
print('Content-Type: text/plain\\r\\n\\r\\n%d' % n, flush=True)
";
/// Hostile programs that there have to be.
const _: () = assert!(HOSTILE.len() >= 20);
/// Tasks that a function may have, with some room for those that it has anyway.
const TASKS_MAX: u64 = 128;
/// When all of a fork bomb has to be gone after its call, with room for a machine that is at work.
const GONE_MAX: Duration = Duration::from_secs(10);
/// The daemon among [`HOSTILE`], which stays unless somebody ends it.
const DAEMON: &str = "sleep 7353";

/// T6: a fork bomb ends at a limit, and goes with its call.
pub(crate) fn forks(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = [\"python3\", \"bomb.py\"]\ncontract = \"stdio\"\nroute = \"/\"\n";
    arena.stage.deploy("bomb", manifest, &[("bomb.py", BOMB)]);
    let (answer, beside) = arena.beside(|| arena.stage.request("GET /", "bomb.localhost", &[], ""));
    // Its processes count as its memory, too.
    let Ok(forks) = answer.body.trim().parse::<u64>() else {
        let figures = format!("ended: {}; {beside}", answer.body.lines().next().unwrap_or_default());
        return judge(answer.body.contains("HOB-0505") && beside.errors == 0, figures);
    };
    if forks > TASKS_MAX {
        // Walls bound them by user, control groups by group.
        return arena.lacking(&["walls", "control groups"], &format!("{forks} forks; {beside}"));
    }
    let began = Instant::now();
    eventually("its processes are gone", || (!runs("bomb.py")).then_some(()));
    let after = began.elapsed();
    judge(
        after <= GONE_MAX && beside.errors == 0,
        format!("stopped after {forks} forks, all gone after {after:.0?}; {beside}"),
    )
}

const HOG: &str = "import sys
held = []
while True:
    held.append(bytearray(8 << 20))
";

/// T7: who takes too much memory is ended, and nobody else.
pub(crate) fn hog(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = [\"python3\", \"hog.py\"]\ncontract = \"stdio\"\nroute = \"/\"\nmemory = \"128 MiB\"\n";
    arena.stage.deploy("hog", manifest, &[("hog.py", HOG)]);
    let attack = || {
        (0..5)
            .filter(|_| {
                let answer = arena.stage.request("GET /", "hog.localhost", &[], "");
                answer.body.contains("HOB-0505")
            })
            .count()
    };
    let (ended, beside) = arena.beside(attack);
    judge(ended == 5 && beside.errors == 0, format!("{ended}/5 ended with HOB-0505; {beside}"))
}

/// What a function may write into a folder of its own, MiB, with some room.
const FILL_MIB_MAX: u64 = 1024;

/// Fills its temporary folder until it is refused or has 2 GiB.
const FILL: &str = "import os
n = 0
try:
    with open('/tmp/hob-fill-%d' % os.getpid(), 'wb') as f:
        while n < 2048:
            f.write(bytes(1 << 20))
            f.flush()
            n += 1
except OSError:
    pass
finally:
    try:
        os.remove('/tmp/hob-fill-%d' % os.getpid())
    except OSError:
        pass
print('Content-Type: text/plain\\r\\n\\r\\n%d' % n)
";

/// T8: a function fills its own folder, not the machine's.
pub(crate) fn fill(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = [\"python3\", \"fill.py\"]\ncontract = \"stdio\"\nroute = \"/\"\ntimeout = \"60s\"\n";
    arena.stage.deploy("fill", manifest, &[("fill.py", FILL)]);
    let (answer, beside) = arena.beside(|| arena.stage.request("GET /", "fill.localhost", &[], ""));
    match answer.body.trim().parse::<u64>() {
        Ok(mib) if mib > FILL_MIB_MAX => arena.lacking(&["walls"], &format!("{mib} MiB written; {beside}")),
        Ok(mib) => judge(beside.errors == 0, format!("stopped after {mib} MiB; {beside}")),
        // Written pages of a tmpfs count as memory of the function.
        Err(_) => judge(
            answer.body.contains("HOB-0505") && beside.errors == 0,
            format!("ended: {}; {beside}", answer.body.lines().next().unwrap_or_default()),
        ),
    }
}

/// T5: there is no host that takes images, and a manifest that asks for one is refused.
pub(crate) fn images(arena: &Arena) -> Outcome {
    for host in ["container", "oci", "docker", "microvm"] {
        let manifest =
            format!("[functions.f]\nrun = [\"sh\"]\nhost = \"{host}\"\ncontract = \"http\"\nroute = \"/\"\n");
        arena.stage.write("image", &manifest, &[]);
        let (code, _, said) = arena.stage.hob(&["deploy", "image"]);
        if code == 0 || !said.contains(host) {
            return Outcome::Broken(format!("host `{host}`: {code} {said}"));
        }
    }
    Outcome::NotBuilt(
        "not built: there is no host for container images yet; a manifest that names one is refused".into(),
    )
}

/// What came of the call of a hostile program: a fault's code, or status and answer.
fn outcome(arena: &Arena, number: usize) -> String {
    let answer = arena.stage.request(&format!("GET /{number}"), "natives.localhost", &[], "");
    let first = answer.body.lines().next().unwrap_or_default();
    let code = first.split(':').next().filter(|code| code.starts_with("HOB-"));
    let chunked = answer.header("transfer-encoding").is_some();
    let text = if chunked { unchunk(&answer.body) } else { answer.body.clone() };
    code.map_or_else(|| format!("{} {text}", answer.status), str::to_owned)
}

/// T4: each hostile program gets nowhere.
pub(crate) fn contained(arena: &Arena) -> Outcome {
    let (mut manifest, mut wrong) = (String::new(), Vec::new());
    let mut files = Vec::new();
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let (name, text) = hostile.file;
        let own = format!("h{number}-{name}");
        let run: Vec<&str> =
            hostile.run.iter().map(|word| if *word == name { own.as_str() } else { word }).collect();
        let _ = write!(
            manifest,
            "[functions.h{number}]\nrun = {run:?}\ncontract = \"stdio\"\nroute = \"/{number}\"\nmemory = \"{} MiB\"\ntimeout = \"{}ms\"\n",
            hostile.memory_bytes >> 20,
            hostile.timeout_ms
        );
        files.push((own, text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    arena.stage.deploy("natives", &manifest, &files);
    let probe =
        HOSTILE.iter().position(|hostile| hostile.name == "privileges").expect("a program that only looks");
    let found = outcome(arena, probe);
    if !HOSTILE[probe].contained(&found) {
        // Without walls the others would do to this machine what they try.
        return arena
            .lacking(&["walls"], &format!("a program has {found:?}, so the others are not let loose"));
    }
    let (denied, beside) = arena.beside(|| {
        let mut denied = String::new();
        wrong.clear();
        for (number, hostile) in HOSTILE.iter().enumerate() {
            let outcome = outcome(arena, number);
            if let Some(line) = outcome.lines().find(|line| line.ends_with("/60 denied")) {
                denied = line.to_owned();
            }
            if !hostile.contained(&outcome) {
                wrong.push(format!("{} ({}): {outcome}", hostile.name, hostile.threat));
            }
        }
        denied
    });
    assert!(HOSTILE.iter().any(|hostile| hostile.file.1.contains(DAEMON)));
    eventually("nothing is left of the daemon", || (!runs(DAEMON)).then_some(()));
    let held = HOSTILE.len() - wrong.len();
    let figures = format!(
        "{held}/{} programs contained, nothing left, forbidden actions {denied}; {beside} {wrong:?}",
        HOSTILE.len()
    );
    let figures = figures.trim_end_matches(" []").replace('\n', " ");
    if beside.errors == 0 && (!wrong.is_empty() || denied != "60/60 denied") {
        return arena.lacking(&["walls"], &figures);
    }
    judge(beside.errors == 0, figures)
}
