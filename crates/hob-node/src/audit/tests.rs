//! Tests of the audit log on a disk.

use super::{Action, Audit};
use crate::caller::{self, CONTROL};
use crate::task::Tasks;
use hob_core::access::audit::Act;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{AUDIT_BYTES_MAX, AUDIT_SEGMENT_BYTES};
use hob_core::name::SpaceName;
use hob_core::port::State;
use hob_core::wire::AuditQuery;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn state(data: &Path) -> Arc<dyn State> {
    hob_bus::open("memory", &hob_bus::EngineSettings::new(data)).unwrap().state
}

fn act(operation: &str) -> Act {
    let (who, from, on) = ("owner".to_owned(), "uid 1000".to_owned(), Some("desk".to_owned()));
    let act = caller::act(who, from, CONTROL, operation, on, SpaceName::default_space());
    Act { outcome: "ok".to_owned(), ..act }
}

fn files(data: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(data.join("audit")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}

async fn told(audit: &Arc<Audit>) -> Vec<String> {
    let all = audit.list(AuditQuery::default()).await.unwrap();
    let shown = all.into_iter().map(|entry| {
        let times = entry.times.map_or_else(String::new, |times| format!(" {times} times"));
        format!("{} {} {}{times}", entry.sequence, entry.act.operation, entry.act.outcome)
    });
    shown.collect()
}

#[tokio::test]
async fn changes_are_on_disk_when_they_are_answered_and_often_is_counted() {
    let data = tempfile::tempdir().unwrap();
    let (state, tasks) = (state(data.path()), Tasks::new());
    let audit = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    for (operation, change, fault) in [
        ("apps.deploy", true, None),
        ("apps.list", false, None),
        ("apps.list", false, None),
        ("apps.list", false, None),
        ("apps.remove", true, Some(Fault::new(Code::AppNotFound, "none"))),
    ] {
        let action = Action::begin(&audit, act(operation), "i1".into(), change).await.unwrap();
        action.answered(fault.as_ref()).await.unwrap();
        action.end(None).await.unwrap();
        if change {
            let text = std::fs::read_to_string(&files(data.path())[0]).unwrap();
            assert!(text.lines().last().unwrap().contains(operation), "{text}");
        }
    }
    let stream = Action::begin(&audit, act("apps.rollback"), "i2".into(), true).await.unwrap();
    let later = stream.later();
    stream.answered(None).await.unwrap();
    drop(stream);
    drop(later);
    let expected =
        ["1 apps.deploy ok", "2 apps.list ok", "3 apps.remove HOB-0351", "4 apps.rollback unknown"];
    assert_eq!(told(&audit).await, expected);
    audit.close().await;
    let report = audit.check(None).await.unwrap();
    assert!(report.whole && report.lines == 5, "{report:?}");

    // The next life goes on with the chain.
    let again = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    again.record(act("apps.deploy"), None).await.unwrap();
    let report = again.check(Some(report.head)).await.unwrap();
    assert!(report.whole && report.lines == 6, "{report:?}");
    assert_eq!(told(&again).await[4], "5 apps.list ok 2 times");
    let query =
        AuditQuery { operation: Some("apps.re".into()), on: Some("desk".into()), ..AuditQuery::default() };
    assert_eq!(again.list(query).await.unwrap().len(), 1);
    let query = AuditQuery { refused: true, limit: Some(1), ..AuditQuery::default() };
    assert_eq!(again.list(query).await.unwrap()[0].sequence, 4);
    tasks.stop().await;
}

#[tokio::test]
async fn what_was_removed_while_the_node_was_down_is_missed() {
    let data = tempfile::tempdir().unwrap();
    let (state, tasks) = (state(data.path()), Tasks::new());
    let audit = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    for operation in ["one", "two", "three"] {
        audit.record(act(operation), None).await.unwrap();
    }
    audit.close().await;
    let file = &files(data.path())[0];
    let whole = std::fs::read_to_string(file).unwrap();
    let open = async || Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();

    // A line that a crash has cut short is no damage.
    std::fs::write(file, format!("{whole}0123456789")).unwrap();
    assert!(open().await.check(None).await.unwrap().whole);
    // The last line, whole, is.
    let cut = whole.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(file, &whole[..cut]).unwrap();
    let report = open().await.check(None).await.unwrap();
    assert!(!report.whole && report.problems[0].contains("entry 3 was written"), "{report:?}");
    assert_eq!(report.judge().unwrap_err().code().text(), "HOB-0727");
    tasks.stop().await;
}

#[tokio::test]
async fn while_it_cannot_be_written_nothing_changes() {
    let data = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let audit = Audit::open(data.path(), state(data.path()), &tasks).await.unwrap();
    // A device that is always full.
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    let own = super::lock(&audit.segments).put_in(full);
    assert_eq!(audit.record(act("one"), None).await.unwrap_err().code().text(), "HOB-0726");
    let begun = Action::begin(&audit, act("two"), "i".into(), true).await;
    assert_eq!(begun.err().unwrap().code().text(), "HOB-0726");
    assert!(Action::begin(&audit, act("three"), "i".into(), false).await.is_ok(), "looking is no change");
    super::lock(&audit.segments).put_in(own);
    audit.ready().await.unwrap();
    assert_eq!(told(&audit).await[0], "1 one ok", "it waited");
    assert!(audit.check(None).await.unwrap().whole);
    tasks.stop().await;
}

#[test]
fn the_oldest_files_go_and_the_rest_is_whole() {
    use super::file::{Line, Segments};
    use hob_core::access::audit::Check;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("audit");
    let (mut segments, _) = Segments::open(&folder, None).unwrap();
    let long = Act { who: "x".repeat(1 << 20), ..act("big") };
    let line = || vec![Line { time_ms: 1, act: long.clone(), id: None, times: None }];
    let most = usize::try_from(AUDIT_BYTES_MAX >> 20).unwrap();
    for _ in 0..most + 16 {
        segments.append(line(), false, 1).unwrap();
    }
    let kept: u64 = files(data.path()).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    assert!(kept <= AUDIT_BYTES_MAX + 2 * AUDIT_SEGMENT_BYTES, "{kept}");
    let check = |segments: &Segments| {
        let mut check = Check::new(None);
        segments.snapshot().oldest_first(|line| check.line(line)).unwrap();
        check.end(Some(segments.head()))
    };
    let report = check(&segments);
    assert!(report.whole && report.first > 1, "{:?}", report.problems);
    std::fs::remove_file(&files(data.path())[0]).unwrap();
    let (again, _) = Segments::open(&folder, None).unwrap();
    assert!(!check(&again).whole, "one more file was removed, and no line says so");
}
