//! One test's world: a folder, the node on it, its clients, and the verdict in the end.

use crate::check::{show, violations};
use crate::child::{Child, How, Place};
use crate::collect;
use crate::history::History;
use crate::load::{Load, Mix, control};
use crate::random::seed;
use crate::sink::{SINK, app, checksum};
use crate::support::{App, PATIENCE, last_event};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Clients of a usual test.
const CLIENTS: u64 = 4;

/// How often a delivery may be repeated while the node cannot keep what follows from it.
pub(crate) const REPEATED: u32 = 20;

/// A folder, a node and its clients.
pub(crate) struct World {
    folder: PathBuf,
    pub(crate) sink: PathBuf,
    pub(crate) how: How,
    pub(crate) node: Child,
    pub(crate) place: Place,
    pub(crate) load: Load,
    pub(crate) disturbances: u32,
    _temporary: TempDir,
}

impl World {
    /// A node in a fresh folder, with the app deployed.
    pub(crate) async fn new(how: How, mix: Mix) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self::at(temporary.path().to_owned(), temporary, how, mix).await
    }

    /// The same with the data in this folder; the sink's file is in the temporary one.
    pub(crate) async fn at(folder: PathBuf, temporary: TempDir, how: How, mix: Mix) -> Self {
        let sink = temporary.path().join("sink");
        let mut node = Child::start(&folder, &how);
        let place = node.ready().await;
        deploy(&place, &app(&sink)).await;
        let load = Load::new(CLIENTS, seed(), mix);
        Self { folder, sink, how, node, place, load, disturbances: 0, _temporary: temporary }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the node again, after it has ended.
    pub(crate) async fn start(&mut self) {
        self.node = Child::start(&self.folder, &self.how);
        self.place = self.node.ready().await;
    }

    /// Kills the node and starts it again.
    pub(crate) async fn kill_and_start(&mut self) {
        self.node.kill().await;
        self.disturbances += 1;
        self.start().await;
    }

    /// Publishes until so many more events are acknowledged.
    pub(crate) async fn publish(&mut self, count: u64) {
        let goal = self.load.acked.get() + count;
        let acked = self.load.run(&self.place, async |acked, _| until(|| acked.get() >= goal).await).await;
        assert!(acked, "{count} events were not acknowledged in time; refused: {:?}", self.load.refused());
    }

    /// Waits until all is delivered, and reads it.
    pub(crate) async fn history(&mut self) -> History {
        let history = collect::history(&self.place, &self.load, &self.sink, self.disturbances).await;
        assert!(self.node.runs(), "the node has ended");
        history
    }

    /// The same, and nothing may be wrong.
    pub(crate) async fn judge(&mut self) -> History {
        let history = self.history().await;
        judge(&history);
        history
    }
}

/// Fails with what is wrong.
pub(crate) fn judge(history: &History) {
    let found = violations(history);
    assert!(
        found.is_empty(),
        "{} acknowledgements, {} lines\n{}",
        history.sent.len(),
        history.lines.len(),
        show(&found)
    );
}

/// Waits for a condition, as long as anything may take; whether it came.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// Uploads and deploys.
async fn deploy(place: &Place, app: &App) {
    let spec = app.spec();
    let path = format!("/v1/artifacts/sha256:{}", checksum(SINK.as_bytes()));
    let put = control(place, "PUT", &path, &[], SINK).await.expect("a node").unwrap();
    assert_eq!(put.status, 204, "{put:?}");
    let path = format!("/v1/apps/{}/revisions", spec.app);
    let body = serde_json::to_vec(&spec).unwrap();
    let event = last_event(&control(place, "POST", &path, &[], body).await.expect("a node").unwrap());
    assert_eq!(event["event"], "done", "{event}");
}

/// How many lines the sink has written.
pub(crate) fn written(sink: &Path) -> u64 {
    std::fs::metadata(sink).map_or(0, |metadata| metadata.len())
}
