//! Many functions that nobody calls cost no thread, no file and no task; and an app's deploy costs the same among many
//! apps as among few.

use super::{App, Desk, component, quiet};
use hob_bus::{Engine, EngineSettings};
use hob_core::fault::Result;
use hob_core::port::{BoxFuture, Entry, State, Write};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Apps, and functions in each: two thousand together.
const APPS: usize = 8;
const FUNCTIONS: usize = 250;

/// Threads and open files of this process, and the runtime's tasks.
fn held() -> [usize; 3] {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    [count("/proc/self/task"), count("/proc/self/fd"), tasks]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_functions_hold_no_thread_no_file_and_no_task() {
    let folder = tempfile::tempdir().unwrap();
    let code = component(204);
    let node = Desk::quiet(folder.path(), "file");
    let before = held();
    for app in 0..APPS {
        let names = (0..FUNCTIONS).map(|function| format!("f{function}"));
        let app = names.fold(App::new(&format!("app{app}")), |app, name| app.function(&name, &code));
        node.deploy(&app).await.unwrap();
    }
    // Other tests have threads and files of their own in this process: one in ten would be far too many.
    let few = APPS * FUNCTIONS / 10;
    for (what, (before, now)) in ["threads", "files", "tasks"].iter().zip(before.iter().zip(held())) {
        assert!(now < before + few, "just deployed: {what}: {before}, then {now}");
    }
    node.close().await;

    let node = Desk::quiet(folder.path(), "file");
    let before = held();
    node.apps.restore().await.unwrap();
    for (what, (before, now)) in ["threads", "files", "tasks"].iter().zip(before.iter().zip(held())) {
        assert!(now < before + few, "restored: {what}: {before}, then {now}");
    }
    let table = Arc::clone(&node.live.load());
    let functions = table.apps().values().map(|app| app.current.functions.keys().count()).sum::<usize>();
    let pools = table.apps().values().map(|app| app.current.functions.made().count()).sum::<usize>();
    assert_eq!((functions, pools), (APPS * FUNCTIONS, 0), "a pool comes with the first call");
    let name = "f7".to_owned();
    let pool = |app: &str| table.app(app).unwrap().current.functions.get(name.as_str()).cloned().unwrap();
    assert!(Arc::ptr_eq(&pool("app3"), &pool("app3")), "and stays");
    assert_eq!(table.app("app3").unwrap().current.functions.made().count(), 1);
    node.close().await;
}

/// Counts what is read of the control state.
struct Counting {
    inner: Arc<dyn State>,
    entries: Arc<AtomicUsize>,
}

impl State for Counting {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key)
    }

    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>>> {
        Box::pin(async move {
            let found = self.inner.scan(prefix).await?;
            self.entries.fetch_add(found.len() + 1, Ordering::Relaxed);
            Ok(found)
        })
    }

    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        self.entries.fetch_add(writes.len(), Ordering::Relaxed);
        self.inner.commit(writes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_reads_and_writes_the_same_among_many_apps_as_among_few() {
    let folder = tempfile::tempdir().unwrap();
    let engine = hob_bus::open("memory", &EngineSettings::new(folder.path())).unwrap();
    let entries = Arc::new(AtomicUsize::new(0));
    let state = Arc::new(Counting { inner: Arc::clone(&engine.state), entries: Arc::clone(&entries) });
    let node = Desk::over(folder.path(), Engine { state, ..engine }, |_| ());
    let code = component(204);
    let mut costs = Vec::new();
    for app in 0..100 {
        let mut app = App::new(&format!("app{app}")).function("one", &code);
        node.upload(&app).await;
        let before = entries.load(Ordering::Relaxed);
        node.apps.deploy(app.spec.clone(), quiet()).await.unwrap();
        let first = entries.load(Ordering::Relaxed);
        app = app.change("one", |one| drop(one.env.insert("N".into(), "2".into())));
        node.apps.deploy(app.spec.clone(), quiet()).await.unwrap();
        costs.push((first - before, entries.load(Ordering::Relaxed) - first));
    }
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    node.close().await;
}
