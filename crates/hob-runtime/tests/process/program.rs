//! What processes get up to: leave children behind, eat memory, die, hang, flood the log.

use crate::support::{Bench, eventually, get, python, runs, shown};
use hob_core::code::Code;
use hob_core::port::Stream;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_the_manifests() {
    let bench = Bench::bare();
    let code = bench.code("stdio", &["env"], &[], |spec| {
        spec.env.insert("GREETING".to_owned(), "hello".to_owned());
        spec.settings.insert("output".to_owned(), "raw".into());
    });
    let pool = bench.pool(code).await.unwrap();
    let (_, printed) = get(&pool, "/a?b=c").await.unwrap();
    let names: BTreeSet<&str> = printed.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    for expected in ["GREETING", "HOME", "TMPDIR", "LANG", "PATH", "REQUEST_METHOD", "Http_Method"] {
        assert!(names.contains(expected), "`{expected}` is missing in:\n{printed}");
    }
    for (name, _) in std::env::vars_os() {
        let name = name.to_str().unwrap();
        let wanted = ["PATH", "HOME", "LANG", "TMPDIR", "PYTHONUNBUFFERED"].contains(&name);
        assert!(wanted || !names.contains(name), "`{name}` of the node is in:\n{printed}");
    }
    let home = printed.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
    assert!(home.starts_with(bench.folder.path().canonicalize().unwrap().to_str().unwrap()), "{home}");
    drop(pool);
    eventually("the working folder goes with its function", || !std::path::Path::new(home).exists()).await;
}

/// Working folders are used again, as long as nothing was left in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_leaves_no_other_finds() {
    let bench = Bench::open();
    let script = "ls -A; echo; ls -A \"$HOME\"; [ -z \"$QUERY_STRING\" ] || touch \"$HOME/there\" here";
    let pool = bench.script(script, |_| {}).await;
    let (_, first) = get(&pool, "/").await.unwrap();
    for path in ["/", "/", "/?leave", "/", "/?leave", "/?leave", "/"] {
        let (status, printed) = get(&pool, path).await.unwrap();
        assert_eq!((status, &*printed), (200, &*first), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outlives_a_program() {
    let bench = Bench::bare();
    // One child in the session, one that left it; both hold the standard streams open.
    let script = "sleep 1000 & echo $!; setsid sleep 1001 & echo $!; exit 0";
    let pool = bench.script(script, |_| {}).await;
    let (status, printed) = get(&pool, "/").await.unwrap();
    assert_eq!(status, 200);
    let pids: Vec<&str> = printed.lines().collect();
    assert_eq!(pids.len(), 2, "{printed}");
    for pid in pids {
        eventually("the child is gone", || !runs(pid)).await;
    }
}

/// A node that was killed leaves descendants of its programs; the next one ends them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_node_ends_what_a_killed_one_left() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("work/process/7");
    std::fs::create_dir_all(&left).unwrap();
    let start = |mark: &std::path::Path| {
        std::process::Command::new("sleep").arg("1000").env("HOB_INSTANCE", mark).spawn().unwrap()
    };
    let (mut ours, mut strangers) = (start(&left), start(&folder.path().join("work/process-of-others/7")));
    let _bench = Bench::in_folder(folder);
    eventually("it is gone", || !runs(&ours.id().to_string())).await;
    assert!(runs(&strangers.id().to_string()), "another node's process is left alone");
    assert!(!left.exists(), "its working folder is gone");
    ours.wait().unwrap();
    strangers.kill().unwrap();
    strangers.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_memory_ends_a_program_and_its_children() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let hog = "import time\nkept = b'x' * (300 << 20)\ntime.sleep(30)\n";
    // What nobody has mapped, and what a thread has started that is not the first.
    let file = "import os, time\nfile = os.memfd_create('kept')\nfor _ in range(300):\n    os.write(file, bytes(1 << 20))\ntime.sleep(30)\n";
    let thread = "import subprocess, threading\nthreading.Thread(target=lambda: subprocess.run(['python3', 'hog.py'])).start()\n";
    let files = [("hog.py", hog.as_bytes()), ("file.py", file.as_bytes()), ("thread.py", thread.as_bytes())];
    for run in [
        &["python3", "hog.py"][..],
        &["sh", "-c", "python3 hog.py; echo done"],
        &["python3", "file.py"],
        &["python3", "thread.py"],
    ] {
        let code = bench.code("stdio", run, &files, |spec| {
            spec.memory_bytes = 64 << 20;
        });
        let pool = bench.pool(code).await.unwrap();
        assert_eq!(shown(&get(&pool, "/").await), "HOB-0505", "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_serves_is_explained() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let elsewhere = "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\ntime.sleep(60)\n";
    for (text, code, hint) in [
        ("import sys\nprint('no database', file=sys.stderr)\nsys.exit(7)\n", Code::StartExit, "no database"),
        ("import time\ntime.sleep(60)\n", Code::StartTimeout, "let it listen on"),
        (elsewhere, Code::StartTimeout, "it listens on 127.0.0.1:"),
    ] {
        let pool = bench
            .server(text, |spec| {
                spec.settings.insert("start-timeout".to_owned(), "2s".into());
            })
            .await;
        let fault = pool.first_instance().await.unwrap_err();
        let told = fault.hint_text().unwrap_or_default().to_owned();
        assert_eq!(fault.code(), code, "{fault} {told}");
        assert!(told.contains(hint), "{fault} {told}");
        assert_eq!(pool.stats().instances, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_run_here_is_refused_at_deploy() {
    let bench = Bench::open();
    let mut foreign = b"\x7fELF\x02\x01\x01".to_vec();
    foreign.resize(18, 0);
    foreign.extend(if cfg!(target_arch = "aarch64") { 62_u16 } else { 183 }.to_le_bytes());
    foreign.resize(64, 0);
    for (run, bytes, code) in [
        ("guest", &foreign[..], Code::ForeignBinary),
        ("guest", b"#!/no/such/shell\n", Code::ProgramMissing),
        ("no-such-program-anywhere", b"", Code::ProgramMissing),
        ("./missing", b"", Code::ProgramMissing),
    ] {
        let function = bench.code("stdio", &[run], &[("guest", bytes)], |_| {});
        let fault = bench.pool(function).await.map(drop).unwrap_err();
        assert_eq!(fault.code(), code, "{fault}");
        assert!(fault.hint_text().is_some(), "{fault} has no hint");
    }
}

/// However much is printed, every line is either a record or counted as dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_flood_is_counted_to_the_line() {
    const LINES: u64 = 150_000;
    let bench = Bench::open();
    let script = format!("yes 0123456789abcdef0123456789 | head -n {LINES} >&2");
    let pool = bench.script(&script, |_| {}).await;
    assert_eq!(shown(&get(&pool, "/").await), "200 ");
    let counted = || {
        let records = bench.logs.all();
        let kept = records.iter().filter(|record| record.stream == Stream::Stderr).count();
        let dropped =
            records.iter().filter(|record| record.stream == Stream::Platform).filter_map(|record| {
                record.text.strip_prefix("dropped ")?.split(' ').next()?.parse::<u64>().ok()
            });
        (kept as u64, dropped.sum::<u64>())
    };
    eventually("every line is accounted for", || counted().0 + counted().1 == LINES).await;
    let (kept, dropped) = counted();
    assert!(kept > 0 && dropped > 0, "{kept} kept, {dropped} dropped");
    let counters: Vec<u64> = bench.limited.dropped().into_iter().map(|(_, _, sum)| sum.lines).collect();
    assert_eq!(counters, [dropped], "what metrics read is what the log says");
    let first = bench.logs.all().into_iter().find(|record| record.stream == Stream::Stderr).unwrap();
    assert!(first.invocation.is_some(), "a run of `stdio` knows its invocation");
}
