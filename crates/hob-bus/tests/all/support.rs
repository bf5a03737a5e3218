//! What more than one file of these tests needs.

use hob_bus::{ENGINES, Engine, EngineRow, EngineSettings};
use hob_core::code::Code;
use hob_core::fault::Result;
use hob_core::name::TopicName;
use hob_core::port::ReadLimit;
use hob_core::random::Random;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

/// Names the data folder to the child of a kill test.
const CHILD: &str = "HOB_TEST_CHILD";

/// Runs a test on each engine, with a data folder of its own and artifacts of at most one MiB.
pub(crate) fn for_each(test: impl AsyncFn(&EngineRow, &EngineSettings)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for row in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings::new(folder.path().join("data"));
        settings.artifact_bytes_max = 1 << 20;
        runtime.block_on(test(row, &settings));
    }
}

pub(crate) fn open(row: &EngineRow, settings: &EngineSettings) -> Engine {
    (row.open)(settings).unwrap_or_else(|fault| panic!("{}: {fault}", row.name))
}

/// Engine `file`. A child of a kill test that is just being started has all files of this process for a
/// moment, so a lock that was let go of may be let go of a little later.
pub(crate) fn file_engine(data: &Path) -> Result<Engine> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match hob_bus::open("file", &EngineSettings::new(data)) {
            Err(fault) if fault.code() == Code::DataLocked && Instant::now() < end => {}
            other => return other,
        }
    }
}

pub(crate) fn name(text: &str) -> TopicName {
    TopicName::new(text).unwrap()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Polls all of them at once until all are ready.
pub(crate) async fn together<T>(list: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut list: Vec<_> = list.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, result) in list.iter_mut().filter(|(_, result)| result.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *result = Some(value);
            }
        }
        if list.iter().all(|(_, result)| result.is_some()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    list.into_iter().filter_map(|(_, result)| result).collect()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(std::result::Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A test that starts itself again, lets the child write and kills it.
pub(crate) struct KillTest {
    /// The test that is the child: it does nothing unless [`child_folder`] gives it a folder.
    pub(crate) child: &'static str,
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// A child is killed after fewer acknowledgements than this.
    pub(crate) kill_below: u64,
}

/// Where the child of a kill test writes; `None` when nobody started it as one.
pub(crate) fn child_folder() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Says to the parent that a writer's writes up to this number are acknowledged.
pub(crate) fn acknowledged(writer: usize, last: u64) {
    println!("acknowledged {writer} {last}");
}

/// Runs writers for ever, each on a thread of its own.
pub(crate) fn writers<F: Future<Output = ()>>(count: usize, write: impl Fn(usize) -> F + Sync) {
    let write = &write;
    std::thread::scope(|scope| {
        for writer in 0..count {
            scope.spawn(move || block_on(write(writer)));
        }
    });
}

impl KillTest {
    /// Checks the folder after each kill against what each of `N` writers was told last; returns that.
    pub(crate) fn run<const N: usize>(&self, check: impl Fn(&Path, &[u64; N], u32)) -> [u64; N] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut random = Random(self.seed);
        let mut told = [0u64; N];
        for round in 0..self.rounds {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", self.child, "--nocapture"])
                .env(CHILD, &data)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut rest = random.below(self.kill_below);
            while let Some(Ok(line)) = lines.next() {
                if let Some((writer, last)) =
                    line.strip_prefix("acknowledged ").and_then(|l| l.split_once(' '))
                {
                    told[writer.parse::<usize>().unwrap()] = last.parse().unwrap();
                    if rest == 0 {
                        // The pipe may hold more acknowledgements: they count as well, so read on.
                        let _ = child.kill();
                    }
                    rest = rest.saturating_sub(1);
                }
            }
            child.wait().unwrap();
            check(&data, &told, round);
        }
        told
    }
}
