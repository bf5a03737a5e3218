//! Programs behind walls: what they see, what they may do, and that nothing of them is left.

use crate::hostile::HOSTILE;
use crate::support::{Bench, eventually, get, is_running, python, shown};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_sees_its_package_and_what_is_private() {
    let bench = Bench::open();
    if !bench.has_walls() {
        return;
    }
    let script = "pwd; id -u; cat /var/task/guest.sh >/dev/null && echo there; echo new > made; ls; \
                  cat guest.sh > copy && mv copy /tmp/copy && ls /tmp; echo $HOME; echo $$; cat /proc/1/comm";
    let pool = bench.script(script, |_| {}).await;
    let expected = "200 /work\n1000\nthere\nguest.sh\nmade\ncopy\n/tmp\n2\nhob-init";
    for _ in 0..2 {
        let seen = shown(&get(&pool, "/").await);
        let seen = seen.replace(&seen[seen.rfind('\n').unwrap()..], "\nhob-init");
        assert_eq!(seen, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_reads_the_folders_that_the_operator_shows() {
    let (shown_to_all, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&shown_to_all, &other] {
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/model"), "weights\n").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = shown_to_all.path().to_owned();
    // One that lies in another is shown with it.
    let bench = Bench::showing(vec![path.clone(), path.join("in")]);
    if !bench.has_walls() {
        return;
    }
    let (there, hidden) = (path.display(), other.path().display());
    let script = format!(
        "cat {there}/in/model; touch {there}/in/new 2>/dev/null || echo kept; ls {hidden} 2>/dev/null || echo hidden"
    );
    let pool = bench.script(&script, |_| {}).await;
    assert_eq!(shown(&get(&pool, "/").await), "200 weights\nkept\nhidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_programs_are_contained() {
    let bench = Bench::open();
    if !bench.has_walls() || !python() {
        return;
    }
    let neighbour = bench.script("echo fine", |_| {}).await;
    let mut report = String::new();
    for hostile in HOSTILE {
        let (name, text) = hostile.file;
        let code = bench.code("stdio", hostile.run, &[(name, text.as_bytes())], |spec| {
            (spec.memory_bytes, spec.timeout_ms) = (hostile.memory_bytes, hostile.timeout_ms);
            spec.scale.concurrency = 1;
        });
        let pool = bench.pool(code).await.unwrap();
        let outcome = shown(&get(&pool, "/").await);
        if !hostile.contained(&outcome) {
            let _ = writeln!(report, "{} ({}): {outcome}", hostile.name, hostile.threat);
        }
        assert_eq!(shown(&get(&neighbour, "/").await), "200 fine", "after {}", hostile.name);
    }
    assert!(report.is_empty(), "not contained:\n{report}");
    eventually("nothing is left of the daemon", || !is_running("sleep 7353")).await;
}

/// Says in which network it is, and ends each connection first: it is its port that would have to wait then.
const CLOSES_FIRST: &str = r#"
import os, socket
listener = socket.socket()
listener.bind(("0.0.0.0", int(os.environ["PORT"])))
listener.listen()
while True:
    connection, _ = listener.accept()
    if connection.recv(65536):
        # SO_NETNS_COOKIE, which is given once.
        body = connection.getsockopt(socket.SOL_SOCKET, 71, 8).hex().encode()
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
    connection.close()
"#;

/// A connection that no process knows of, as long as the other end is held: its last bytes are not taken.
fn orphan() -> std::net::TcpStream {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (held, _) = listener.accept().unwrap();
    sent.set_nonblocking(true).unwrap();
    while sent.write(&[0; 65536]).is_ok() {}
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_finds_the_network_of_the_one_before() {
    const STARTS_MAX: u64 = 20;
    let bench = Bench::open();
    if !bench.has_walls() || !python() {
        return;
    }
    // Whatever else the machine has.
    let _orphan = orphan();
    let pool = bench.server(CLOSES_FIRST, |spec| spec.scale.idle_ms = 20).await;
    let mut former = String::new();
    loop {
        let (status, network) = get(&pool, "/").await.unwrap();
        assert_eq!((status, network.len()), (200, 16), "{network}");
        if network == former {
            break;
        }
        former = network;
        // A room is taken apart after its program, so the next may be there before its network is free.
        assert!(pool.stats().starts < STARTS_MAX, "each has a new one");
        eventually("back to zero", || pool.stats().instances == 0).await;
    }
    assert!(pool.stats().starts > 1, "it has come back");
}

/// Prints what walls cost a run of a program that does nothing; for people, on an idle machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: `cargo test -p hob-runtime --test process cost -- --ignored --nocapture`"]
async fn the_cost_of_walls() {
    const RUNS: usize = 200;
    let (with, without) = (Bench::open(), Bench::bare());
    let mut pools = Vec::new();
    for bench in [&without, &with] {
        pools.push(bench.pool(bench.code("stdio", &["true"], &[], |_| {})).await.unwrap());
    }
    // Starts that come one by one, and starts that follow at once, when the kernel still takes away what was before.
    for (how, pause_ms) in [("apart", 30), ("at once", 0)] {
        let mut times = [Vec::new(), Vec::new()];
        for run in 0..2 * RUNS {
            // By turns, so that what else happens on the machine happens to both; at once in rows, or nothing would follow.
            let which = if pause_ms > 0 { run % 2 } else { run / RUNS };
            tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
            let began = std::time::Instant::now();
            assert_eq!(shown(&get(&pools[which], "/").await), "200 ");
            times[which].push(began.elapsed());
        }
        let [without, with] = times.map(|mut times| {
            times.sort();
            [times[RUNS / 2], times[RUNS * 95 / 100]]
        });
        println!(
            "a run, starts {how} (median, 95th of 100): {without:?} without walls, {with:?} behind walls"
        );
    }
}
