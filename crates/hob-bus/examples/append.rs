//! How fast the log appends, beside a bare file and SQLite, in one run on one disk.
//!
//! **Why.** A number alone proves nothing: disks differ by a factor of ten, and so does one disk from
//! hour to hour. So the three take turns, and each is told as a ratio to the bare file of its round.
//!
//! **How.** `cargo run --release -p hob-bus --example append [folder] [events for growth]`. Publishers
//! append records of 256 bytes, each waiting for its acknowledgement before the next. `bare` is one thread
//! that writes what is queued to a file and calls `fdatasync`; `sqlite` is the same with a transaction in
//! write-ahead mode, `synchronous=FULL`; their publishers are threads. `bare, tasks` is `bare` with tasks,
//! and `hob` the engine `file` through its port, with tasks too.

#![expect(clippy::print_stdout, reason = "its figures are its result")]

use hob_bus::{EngineSettings, open};
use hob_core::name::TopicName;
use hob_core::port::{Durability, Log, NewRecord, ReadLimit};
use rusqlite::Connection;
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

const RECORD_BYTES: usize = 256;
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: usize = 9;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one run has given.
#[derive(Clone, Copy)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

fn figures(mut latencies: Vec<u32>, took: Duration) -> Figures {
    latencies.sort_unstable();
    let at = |part: usize| f64::from(latencies.get(latencies.len() * part / 100).copied().unwrap_or(0)) / 1e3;
    Figures { per_second: latencies.len() as f64 / took.as_secs_f64(), p50_us: at(50), p99_us: at(99) }
}

fn nanoseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// What publishers wait in, each with where its answer goes.
type Queue = Receiver<SyncSender<()>>;

/// Publishers are threads, and `write` is one more that serves their queue.
fn group_commit(publishers: usize, write: impl FnOnce(&Queue) + Send + 'static) -> Outcome<Figures> {
    let (queue, queued) = sync_channel::<SyncSender<()>>(4096);
    let writer = std::thread::spawn(move || write(&queued));
    let begin = Instant::now();
    let publish = move |queue: SyncSender<SyncSender<()>>| {
        let (answer, answered) = sync_channel(1);
        let mut latencies = Vec::new();
        while begin.elapsed() < ROUND {
            let sent = Instant::now();
            if queue.send(answer.clone()).is_err() || answered.recv().is_err() {
                break;
            }
            latencies.push(nanoseconds(sent));
        }
        latencies
    };
    let threads: Vec<_> = (0..publishers)
        .map(|_| {
            let queue = queue.clone();
            std::thread::Builder::new().stack_size(64 << 10).spawn(move || publish(queue))
        })
        .collect::<Result<_, _>>()?;
    drop(queue);
    let mut all = Vec::new();
    for thread in threads {
        all.extend(thread.join().map_err(|_| "a publisher has panicked")?);
    }
    let took = begin.elapsed();
    writer.join().map_err(|_| "the writer has panicked")?;
    Ok(figures(all, took))
}

fn serve(queued: &Queue, mut commit: impl FnMut(usize)) {
    let mut group = Vec::new();
    while let Ok(first) = queued.recv() {
        group.push(first);
        while group.len() < 4096 {
            let Ok(next) = queued.try_recv() else { break };
            group.push(next);
        }
        commit(group.len());
        group.drain(..).for_each(|answer| _ = answer.send(()));
    }
}

fn bare(folder: &Path, publishers: usize) -> Outcome<Figures> {
    let mut file = File::create(folder.join("bare"))?;
    let mut buffer = Vec::new();
    group_commit(publishers, move |queue| {
        serve(queue, |count| {
            buffer.clear();
            (0..count).for_each(|_| buffer.extend_from_slice(&[7; RECORD_BYTES]));
            file.write_all(&buffer).and_then(|()| file.sync_data()).expect("the disk works");
        });
    })
}

async fn publish_bare(queue: mpsc::Sender<oneshot::Sender<()>>, begin: Instant) -> Vec<u32> {
    let mut latencies = Vec::new();
    while begin.elapsed() < ROUND {
        let (answer, answered) = oneshot::channel();
        let sent = Instant::now();
        if queue.send(answer).await.is_err() || answered.await.is_err() {
            break;
        }
        latencies.push(nanoseconds(sent));
    }
    latencies
}

/// The same with tasks instead of threads, whose changes cost less than those of 256 threads.
fn bare_tasks(folder: &Path, publishers: usize) -> Outcome<Figures> {
    let mut file = File::create(folder.join("bare"))?;
    let (queue, mut queued) = mpsc::channel::<oneshot::Sender<()>>(4096);
    let writer = std::thread::spawn(move || {
        let (mut group, mut buffer) = (Vec::new(), Vec::new());
        while let Some(first) = queued.blocking_recv() {
            group.push(first);
            while group.len() < 4096 {
                let Ok(next) = queued.try_recv() else { break };
                group.push(next);
            }
            buffer.clear();
            group.iter().for_each(|_| buffer.extend_from_slice(&[7; RECORD_BYTES]));
            file.write_all(&buffer).and_then(|()| file.sync_data()).expect("the disk works");
            group.drain(..).for_each(|answer| _ = answer.send(()));
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let begin = Instant::now();
    let tasks: Vec<_> = (0..publishers)
        .map(|_| {
            let queue = queue.clone();
            runtime.spawn(publish_bare(queue, begin))
        })
        .collect();
    drop(queue);
    let mut all = Vec::new();
    for task in tasks {
        all.extend(runtime.block_on(task)?);
    }
    let took = begin.elapsed();
    writer.join().map_err(|_| "the writer has panicked")?;
    Ok(figures(all, took))
}

fn sqlite(folder: &Path, publishers: usize) -> Outcome<Figures> {
    let connection = Connection::open(folder.join("sqlite"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE record (sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL);",
    )?;
    group_commit(publishers, move |queue| {
        let mut insert = connection.prepare("INSERT INTO record (payload) VALUES (?1)").expect("valid SQL");
        let mut commit = |count: usize| -> rusqlite::Result<()> {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for _ in 0..count {
                insert.execute([&[7u8; RECORD_BYTES]])?;
            }
            connection.execute_batch("COMMIT")
        };
        serve(queue, |count| commit(count).expect("the disk works"));
    })
}

fn record(key: Option<u64>) -> NewRecord {
    NewRecord { payload: vec![7; RECORD_BYTES].into(), key: key.map(|key| key.to_le_bytes().to_vec().into()) }
}

async fn publish(log: &dyn Log, topic: &TopicName, end: Instant, keys: Option<u64>) -> Outcome<Vec<u32>> {
    let mut latencies = Vec::new();
    let mut key = keys;
    while Instant::now() < end {
        key = key.map(|key| key + 1);
        let sent = Instant::now();
        log.append(topic, vec![record(key)], Durability::Disk).await?;
        latencies.push(nanoseconds(sent));
    }
    Ok(latencies)
}

fn hob(folder: &Path, publishers: usize, keys: bool, topics: usize) -> Outcome<Figures> {
    let engine = open("file", &EngineSettings::new(folder.join("hob")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begin = Instant::now();
    let tasks: Vec<_> = (0..publishers)
        .map(|publisher| {
            let log = Arc::clone(&engine.log);
            let keys = keys.then_some((publisher as u64) << 40);
            runtime.spawn(async move {
                let topic =
                    TopicName::new(&format!("bench-{}", publisher % topics)).map_err(|f| f.to_string())?;
                publish(&*log, &topic, begin + ROUND, keys).await.map_err(|error| error.to_string())
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(runtime.block_on(task)??);
    }
    Ok(figures(all, begin.elapsed()))
}

/// A folder for one run, removed after it.
fn in_folder(parent: &Path, run: impl Fn(&Path) -> Outcome<Figures>) -> Outcome<Figures> {
    let folder = tempfile::tempdir_in(parent)?;
    let figures = run(folder.path());
    // What was written is brought to disk and removed now, and not while the next one runs.
    drop(folder);
    File::open(parent)?.sync_all()?;
    figures
}

fn median(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or(0.0)
}

fn compare(parent: &Path) -> Outcome<()> {
    type Run = fn(&Path, usize) -> Outcome<Figures>;
    let runs: [(&str, Run); 6] = [
        ("bare", bare),
        ("bare, tasks", bare_tasks),
        ("hob", |folder, publishers| hob(folder, publishers, false, 1)),
        ("hob, keys", |folder, publishers| hob(folder, publishers, true, 1)),
        ("hob, 8 topics", |folder, publishers| hob(folder, publishers, false, 8)),
        ("sqlite", sqlite),
    ];
    println!("| log | publishers | events/s | p50 us | p99 us | to bare |\n|---|---|---|---|---|---|");
    for publishers in [1, 16, 256] {
        let mut rounds: Vec<Vec<Figures>> = Vec::new();
        for _ in 0..ROUNDS {
            let one = runs.iter().map(|(_, run)| in_folder(parent, |folder| run(folder, publishers)));
            rounds.push(one.collect::<Outcome<_>>()?);
        }
        for (place, (name, _)) in runs.iter().enumerate() {
            let of =
                |what: fn(&Figures) -> f64| median(rounds.iter().map(|round| what(&round[place])).collect());
            let ratio = rounds.iter().map(|round| round[place].per_second / round[0].per_second).collect();
            println!(
                "| {name} | {publishers} | {:.0} | {:.0} | {:.0} | {:.2} |",
                of(|figures| figures.per_second),
                of(|figures| figures.p50_us),
                of(|figures| figures.p99_us),
                median(ratio)
            );
        }
    }
    Ok(())
}

/// Resident memory of this process in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or(0.0) / 1024.0
}

/// What appending costs as the log grows, and how long it takes to open it.
fn grow(parent: &Path, events: u64) -> Outcome<()> {
    let folder = tempfile::tempdir_in(parent)?;
    let settings = EngineSettings::new(folder.path());
    let topic = TopicName::new("bench")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut engine = open("file", &settings)?;
    println!(
        "\n| records | append of 500 us, median | resident MiB | reopen to first record ms |\n|---|---|---|---|"
    );
    let (mut appended, mut costs, mut marks) =
        (0, Vec::new(), vec![10_000, 100_000, 1_000_000, 3_000_000, events]);
    marks.retain(|mark| *mark <= events);
    for mark in marks {
        while appended < mark {
            let batch = (0..500).map(|_| record(None)).collect();
            let begin = Instant::now();
            runtime.block_on(engine.log.append(&topic, batch, Durability::Disk))?;
            costs.push(begin.elapsed().as_secs_f64() * 1e6);
            appended += 500;
        }
        let recent = costs[costs.len().saturating_sub(1000)..].to_vec();
        let memory = resident();
        drop(engine);
        let begin = Instant::now();
        engine = open("file", &settings)?;
        let page =
            runtime.block_on(engine.log.read(&topic, 1, ReadLimit { records: 100, bytes: 1 << 20 }))?;
        if page.records.len() != 100 {
            return Err("the records are not there".into());
        }
        println!(
            "| {mark} | {:.0} | {memory:.0} | {:.1} |",
            median(recent),
            begin.elapsed().as_secs_f64() * 1e3
        );
    }
    let begin = Instant::now();
    let (mut from, mut read) = (1, 0);
    while read < appended.min(1_000_000) {
        let page =
            runtime.block_on(engine.log.read(&topic, from, ReadLimit { records: 1000, bytes: 1 << 20 }))?;
        (from, read) = (page.next, read + page.records.len() as u64);
    }
    let rate = read as f64 / begin.elapsed().as_secs_f64();
    println!("\nreading on: {rate:.0} events/s in pages of 1000, resident {:.0} MiB", resident());
    Ok(())
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let parent = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let events = arguments.next().map_or(Ok(10_000_000), |text| text.parse())?;
    compare(&parent)?;
    grow(&parent, events)
}
