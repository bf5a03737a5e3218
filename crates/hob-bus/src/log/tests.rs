//! The log on a simulated disk: failing writes, a full disk, kills and power failures.

mod failure;
mod power;
mod simulated;

use super::{Broken, Clock, Options, SegmentLog};
use hob_core::name::TopicName;
use hob_core::port::ReadLimit;
use hob_core::random::Random;
use simulated::SimulatedDisk;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;

const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap());
    RUNTIME.block_on(future)
}

fn name(text: &str) -> TopicName {
    TopicName::new(text).unwrap()
}

fn open(disk: &Arc<SimulatedDisk>, broken: Broken, clock: Clock) -> SegmentLog {
    let options = Options { prepare: true, bytes_most: u64::MAX / 8, broken };
    SegmentLog::open(Arc::<SimulatedDisk>::clone(disk), Path::new("data"), options, clock).unwrap()
}

/// Polls all of them at once until all are ready.
async fn together<T>(list: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
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
