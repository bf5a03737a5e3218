//! What a compiler takes away from itself before it reads a byte of a stranger's.
//!
//! **Why.** Whoever takes a compiler over decides what machine code a function has: of his own function, which runs in a worker where there are
//! strangers. He shall not have anything else: no other's code, no file of the node's, no network, no process.
//!
//! **How.** Limits first; then no capabilities, the few files that the order names (landlock(7)), and the system calls of a table
//! (seccomp(2)). Where a kernel has no landlock, files are those that the node's user has.
//!
//! **Not here:** what workers take away from themselves, who need no files.

use super::child::{Order, Pace, THREADS};
use crate::wall::dump_nothing;
use crate::wall::filter::{Answer, Filter, OF_ITSELF};
use crate::wall::rule::Rules;
use crate::wall::step::{Step, take_here};
use hob_core::limit::{
    COMPILE_MEMORY_BYTES_MAX, COMPILE_TIMEOUT, COMPILED_BYTES_MAX, OPTIMISE_NICE, OPTIMISE_TIMEOUT,
};
use libc::*;
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use std::ffi::{CString, c_int, c_long};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What is allowed with any arguments, beside what is of the process itself ([`OF_ITSELF`]).
const ALLOWED: &[c_long] = &[
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_lseek,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_openat,
    SYS_getdents64,
    SYS_fsync,
    #[cfg(target_arch = "x86_64")]
    SYS_open,
    #[cfg(target_arch = "x86_64")]
    SYS_stat,
];
/// What fcntl(2) may do: flags and copies. Not owners, to whom signals would go.
const FLAGS: [c_int; 4] = [F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC];
/// `CLONE_THREAD` and what comes with it; without it there would be a process.
const THREAD: u32 = (CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID) as u32;

/// Whether this machine's kernel keeps compilers to the files that they are given; else they may read and write what the
/// node's user may.
pub fn compilers_have_own_files() -> bool {
    Rules::only(c"/".into(), None, c"/".into()).is_some()
}

/// Takes away what a compiler does not need.
///
/// # Errors
/// When something cannot be taken away that every kernel can.
pub(super) fn confine(order: &Order) -> io::Result<()> {
    limit(order.pace)?;
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let packs = (!order.packs.as_os_str().is_empty()).then(|| text(&order.packs)).transpose()?;
    let folder = text(order.output.parent().unwrap_or_else(|| Path::new(".")))?;
    let rules = Rules::only(text(&order.input)?, packs, folder).map(Step::Restrict);
    take_here(&[Step::NoCapabilities].into_iter().chain(rules).collect::<Vec<_>>())?;
    filter(std::process::id()).enter_with_all_threads()
}

fn limit(pace: Pace) -> io::Result<()> {
    let cap = |resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    rustix::thread::set_no_new_privs(true)?;
    let time = match pace {
        Pace::Now => COMPILE_TIMEOUT,
        Pace::Behind => {
            setpriority_process(None, OPTIMISE_NICE)?;
            OPTIMISE_TIMEOUT
        }
    };
    cap(Resource::As, COMPILE_MEMORY_BYTES_MAX)?;
    cap(Resource::Cpu, time.as_secs() * THREADS)?;
    cap(Resource::Fsize, COMPILED_BYTES_MAX)?;
    Ok(dump_nothing()?)
}

fn filter(own: u32) -> Filter {
    let of = |argument, values: Vec<u32>| Answer::OneOf { argument, values: values.into(), error: EPERM };
    let always = ALLOWED.iter().chain(OF_ITSELF).map(|call| (*call, Answer::Allow));
    let some = [
        // Its flags are in memory, where a filter cannot look: libraries fall back to `clone`.
        (SYS_clone3, Answer::Fail(ENOSYS)),
        // Musl says something more that means nothing any more.
        (SYS_clone, of(0, vec![THREAD, THREAD | CLONE_DETACHED.unsigned_abs()])),
        (SYS_fcntl, of(1, FLAGS.map(c_int::unsigned_abs).to_vec())),
        // A name for a thread.
        (SYS_prctl, of(0, vec![PR_SET_NAME.unsigned_abs()])),
        // Its own limits, which say how large stacks are.
        (SYS_prlimit64, of(0, vec![0])),
        // `abort` ends this process so; no other one.
        (SYS_tgkill, of(0, vec![own])),
    ];
    Filter::new(always.chain(some).collect(), EPERM)
}

#[cfg(test)]
mod tests {
    use super::super::super::engine::Grade;
    use super::super::child::{Order, Pace};
    use super::{compilers_have_own_files, confine};
    use std::ffi::c_long;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Where the captured compiler's files are; who has it set is one.
    const CAPTURED: &str = "HOB_TEST_CAPTURED_COMPILER";

    fn order(root: &Path) -> Order {
        Order {
            fingerprint: String::new(),
            grade: Grade::Quick,
            pace: Pace::Now,
            input: root.join("artifacts/mine"),
            output: root.join("wasm/.own/code"),
            packs: root.join("packs"),
        }
    }

    /// What a compiler does, whether it needs files to be held, and whether it may.
    type Action = (&'static str, bool, bool, fn(&Path) -> bool);

    fn call(number: c_long, arguments: [c_long; 3]) -> bool {
        let [one, two, three] = arguments;
        // SAFETY: every call here is one that is refused, or takes a number; pointers are null.
        unsafe { libc::syscall(number, one, two, three) >= 0 }
    }

    const ACTIONS: [Action; 21] = [
        ("read its input", false, true, |root| fs::read(root.join("artifacts/mine")).is_ok()),
        ("look into packs", false, true, |root| fs::read_dir(root.join("packs")).is_ok()),
        ("read a pack", false, true, |root| fs::read(root.join("packs/one")).is_ok()),
        ("write its output", false, true, |root| fs::write(root.join("wasm/.own/code"), "x").is_ok()),
        ("have threads", false, true, |_| std::thread::spawn(|| 1).join().is_ok()),
        ("read another's code", true, false, |root| fs::read(root.join("artifacts/other")).is_ok()),
        ("change its input", true, false, |root| fs::write(root.join("artifacts/mine"), "x").is_ok()),
        ("replace compiled code", true, false, |root| fs::write(root.join("wasm/other"), "x").is_ok()),
        ("add a pack", true, false, |root| fs::write(root.join("packs/two"), "x").is_ok()),
        ("read the machine's files", true, false, |_| fs::read("/etc/passwd").is_ok()),
        ("list folders", true, false, |root| fs::read_dir(root.join("artifacts")).is_ok()),
        ("remove files", false, false, |root| fs::remove_file(root.join("wasm/other")).is_ok()),
        ("rename files", false, false, |root| {
            fs::rename(root.join("wasm/.own/code"), root.join("wasm/more")).is_ok()
        }),
        ("open a socket", false, false, |_| call(libc::SYS_socket, [2, 1, 0])),
        ("open a local socket", false, false, |_| call(libc::SYS_socket, [1, 1, 0])),
        ("have a process", false, false, |_| call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0])),
        ("execute a program", false, false, |_| Command::new("/bin/true").status().is_ok()),
        ("signal others", false, false, |_| call(libc::SYS_kill, [1, 0, 0])),
        ("trace others", false, false, |_| call(libc::SYS_ptrace, [16, 1, 0])),
        ("make a namespace", false, false, |_| call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0])),
        ("load programs into the kernel", false, false, |_| call(libc::SYS_bpf, [0, 0, 0])),
    ];

    #[test]
    fn a_captured_compiler_has_its_own_files_and_nothing_else() {
        if let Some(root) = std::env::var_os(CAPTURED).map(PathBuf::from) {
            confine(&order(&root)).unwrap();
            for (what, _, _, act) in ACTIONS {
                println!("{what}: {}", act(&root));
            }
            return;
        }
        let root = tempfile::tempdir().unwrap();
        for file in ["artifacts/mine", "artifacts/other", "wasm/other", "packs/one"] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        fs::create_dir(root.path().join("wasm/.own")).unwrap();
        let name = std::thread::current().name().unwrap().to_owned();
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(CAPTURED, root.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        let held = compilers_have_own_files();
        for (what, needs_rules, may, _) in ACTIONS {
            if held || !needs_rules {
                assert!(told.contains(&format!("{what}: {may}\n")), "{what}: {may} in {told}{done:?}");
            }
        }
    }
}
