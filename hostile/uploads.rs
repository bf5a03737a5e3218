//! Threats by what is uploaded: archives that write elsewhere, packages with paths that lead out, and what grows when it is
//! unpacked. All by the node's own entrances, `uploads.py` as their client.

use crate::archives;
use crate::arena::{Arena, Outcome, TOKEN, judge};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const UPLOADS: &str = include_str!("uploads.py");
/// Archives that the issue asks for.
const ARCHIVES_MIN: usize = 30;
/// What the node's folder may grow by while bombs come, MiB: what an archive may hold anyway, twice (the files, and what is
/// stored of them), and the archives themselves.
const DISK_MIB_MAX: u64 = 192;
/// How much the node may grow by, MiB.
const GROWTH_MIB_MAX: u64 = 96;

/// Runs the client.
fn upload(arena: &Arena, what: &str, folder: &Path) -> Value {
    let access: Value = serde_json::from_str(&arena.stage.ok(&["key", "env", "-o", "json"])).unwrap();
    let text = |pointer: &str| access.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    let endpoint = text("/endpoint");
    let port = endpoint.trim_end_matches('/').rsplit(':').next().unwrap();
    let (data, folder) = (arena.stage.path("data"), folder.display().to_string());
    let own = [what, port, &arena.control, &text("/key/id"), &text("/key/secret"), TOKEN];
    let said = arena.python(UPLOADS, &[&own[..], &[&data.display().to_string(), &folder]].concat());
    serde_json::from_str(&said).unwrap()
}

/// Everything in the stage's folder but the node's own, and what of the node's is still being worked on.
fn beside(arena: &Arena) -> String {
    let look = "find . -path ./data -prune -o -path ./stderr.log -prune -o -printf '%p %y %m %s %l\\n' | sort; \
                find . /tmp/hob-escaped -name '*escaped*' 2>/dev/null; ls data/work | grep archive-";
    let found = Command::new("sh").args(["-c", look]).current_dir(arena.stage.path("")).output().unwrap();
    String::from_utf8(found.stdout).unwrap()
}

fn parts(row: &Value) -> (&str, u64, &str) {
    let text = |at: usize| row[at].as_str().unwrap_or_default();
    (text(0), row[1].as_u64().unwrap_or_default(), text(2))
}

/// T16: archives and packages that would write elsewhere.
pub(crate) fn elsewhere(arena: &Arena) -> Outcome {
    let all = archives::all();
    let folder = arena.stage.path("archives");
    std::fs::create_dir_all(&folder).unwrap();
    for (number, (_, archive, _)) in all.iter().enumerate() {
        std::fs::write(folder.join(format!("{number:03}")), archive.bytes()).unwrap();
    }
    let before = beside(arena);
    let ((archived, packed), quiet) =
        arena.beside(|| (upload(arena, "archives", &folder), upload(arena, "packages", &folder)));
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (row, (what, _, expected)) in archived.as_array().unwrap().iter().zip(&all) {
        let (_, status, said) = parts(row);
        // What does no harm where it is unpacked may be taken.
        let taken = status == 201 && expected.split(' ').all(|name| name.len() <= 2);
        refused += usize::from((400..500).contains(&status));
        // A function without the file that it starts with is refused, too.
        if !(taken || ((400..500).contains(&status) && (said.contains(expected) || expected.len() <= 3))) {
            wrong.push(format!("{what}: {status} {said}"));
        }
    }
    let packages = packed.as_array().unwrap();
    for row in packages {
        let (path, status, said) = parts(row);
        // What is found after the answer has begun is its last line.
        let failed = (400..500).contains(&status) || said.contains("\"owner\":\"caller\"");
        if !failed || status >= 500 || status == 0 {
            wrong.push(format!("package with {path:?}: {status} {said}"));
        }
    }
    let changed = before != beside(arena);
    let figures = format!(
        "{}/{} archives by CreateFunction harmless ({refused} refused), {}/{} packages by deploy refused, outside {}; {quiet}{}",
        all.len() - wrong.iter().filter(|line| !line.starts_with("package")).count(),
        all.len(),
        packages.len() - wrong.iter().filter(|line| line.starts_with("package")).count(),
        packages.len(),
        if changed { "CHANGED" } else { "unchanged" },
        wrong.iter().take(3).map(|line| format!(" [{line}]")).collect::<String>(),
    );
    judge(wrong.is_empty() && !changed && all.len() >= ARCHIVES_MIN && quiet.errors == 0, figures)
}

/// T15: what grows when it is unpacked.
pub(crate) fn bombs(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = [\"sh\", \"count.sh\"]\ncontract = \"stdio\"\nroute = \"/\"\nbody = \"64 MiB\"\n";
    let count = "n=$(wc -c); printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$n\"\n";
    arena.stage.deploy("count", manifest, &[("count.sh", count)]);
    let before = arena.memory();
    let (said, quiet) = arena.beside(|| upload(arena, "bombs", Path::new("/")));
    let grown = arena.memory().saturating_sub(before);
    let sent = said["sent"].as_u64().unwrap_or_default().to_string();
    let disk = said["disk"].as_u64().unwrap_or_default() >> 20;
    let told = said["told"].as_array().unwrap();
    let mut wrong = Vec::new();
    let mut longest: f64 = 0.0;
    for row in told {
        let (what, status, text) = parts(row);
        longest = longest.max(row[3].as_f64().unwrap_or_default());
        // What goes to a function goes there as it came.
        let passed = what.ends_with("to a function") && status == 200 && text.trim() == sent;
        if !passed && !(400..500).contains(&status) {
            wrong.push(format!(" [{what}: {status} {text}]"));
        }
    }
    let figures = format!(
        "{}/{} refused, or passed on as they came; disk +{disk} MiB at most, node +{grown} MiB, longest {longest:.1} s; {quiet}{}",
        told.len() - wrong.len(),
        told.len(),
        wrong.concat()
    );
    let right = wrong.is_empty() && disk <= DISK_MIB_MAX && grown <= GROWTH_MIB_MAX && quiet.errors == 0;
    judge(right, figures)
}
