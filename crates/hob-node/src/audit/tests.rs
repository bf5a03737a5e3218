//! Tests of the audit log on a disk.

use super::{Action, Audit, Weight};
use crate::caller::{self, CONTROL};
use crate::task::Tasks;
use hob_core::access::audit::{Act, Book, Noted};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{
    AUDIT_BYTES_MAX, AUDIT_LINES_PER_MINUTE, AUDIT_OTHERS_BYTES_MAX, AUDIT_SEGMENT_BYTES, AUDIT_TALLIES_MAX,
};
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
        let weight = if change { Weight::Change } else { Weight::Look };
        let action = Action::begin(&audit, act(operation), "i1".into(), weight).await.unwrap();
        action.answered(fault.as_ref()).await.unwrap();
        action.end(None).await.unwrap();
        if change {
            let text = std::fs::read_to_string(&files(data.path())[0]).unwrap();
            assert!(text.lines().last().unwrap().contains(operation), "{text}");
        }
    }
    let stream = Action::begin(&audit, act("apps.rollback"), "i2".into(), Weight::Change).await.unwrap();
    let later = stream.later();
    stream.answered(None).await.unwrap();
    drop(stream);
    drop(later);
    let expected =
        ["1 apps.deploy ok", "2 apps.list ok", "3 apps.remove HOB-0351", "4 apps.rollback unknown"];
    assert_eq!(told(&audit).await, expected);
    audit.close().await;
    let report = audit.check(Noted::default()).await.unwrap();
    assert!(report.whole && report.lines == 5, "{report:?}");

    // The next life goes on with the chain.
    let again = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    again.record(act("apps.deploy"), None).await.unwrap();
    let report = again.check(report.ends()).await.unwrap();
    assert!(report.whole && report.lines == 6, "{report:?}");
    assert_eq!(told(&again).await[4], "5 apps.list ok 2 times");
    let query =
        AuditQuery { operation: Some("apps.re".into()), on: Some("desk".into()), ..AuditQuery::default() };
    assert_eq!(again.list(query).await.unwrap().len(), 1);
    let query = AuditQuery { refused: true, limit: Some(1), ..AuditQuery::default() };
    assert_eq!(again.list(query).await.unwrap()[0].sequence, 4);
    tasks.stop().await;
}

/// A hundred kinds more than are counted apart, by a deploy token that wants to hide what it does next.
fn hide(audit: &Arc<Audit>) {
    for at in 0..AUDIT_TALLIES_MAX + 100 {
        audit.count(Act { on: Some(format!("n{at}")), ..of_token("apps.get") }, None);
    }
}

fn of_token(operation: &str) -> Act {
    Act { who: "token ci (0123456789ab)".into(), book: Book::Tokens, ..act(operation) }
}

#[tokio::test]
async fn a_change_has_a_line_by_name_although_its_client_has_gone() {
    let data = tempfile::tempdir().unwrap();
    let (state, tasks) = (state(data.path()), Tasks::new());
    let audit = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    hide(&audit);
    let begin = || Action::begin(&audit, of_token("apps.remove"), "i1".into(), Weight::Change);
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    {
        let action = begin().await.unwrap();
        let work = async move { gone.await.map_err(Fault::internal) };
        let running = action.run(work, |fault| fault);
        assert!(futures_util::poll!(std::pin::pin!(running)).is_pending(), "and the client hangs up");
    }
    go.send(()).unwrap();
    let file = data.path().join("audit-tokens").join(format!("{:020}.log", 1));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let removed = || {
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines().filter(|line| line.contains("apps.remove")).map(str::to_owned).collect::<Vec<_>>()
    };
    while removed().is_empty() {
        assert!(std::time::Instant::now() < until, "it is on disk when it is done");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let lines = removed();
    for says in [r#""who":"token ci (0123456789ab)""#, r#""on":"desk""#, r#""outcome":"ok""#, r#""id":"i1""#]
    {
        assert!(lines.len() == 1 && lines[0].contains(says), "{lines:?}");
    }

    // One that a stop of the node cuts is told as such, not counted.
    let action = begin().await.unwrap();
    hide(&audit);
    let cut = async move { action.run(std::future::pending::<Result<(), Fault>>(), |fault| fault).await };
    let mut cut = std::pin::pin!(cut);
    assert!(futures_util::poll!(&mut cut).is_pending());
    tasks.stop().await;
    assert_eq!(cut.await.unwrap_err().code().text(), "HOB-0509");
    audit.close().await;
    assert!(removed()[1].contains(r#""outcome":"unknown""#) && removed().len() == 2, "{:?}", removed());
}

#[tokio::test]
async fn what_is_refused_is_told_a_few_times_and_counted_then() {
    let data = tempfile::tempdir().unwrap();
    let (state, tasks) = (state(data.path()), Tasks::new());
    let audit = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    let most = u64::from(AUDIT_LINES_PER_MINUTE);
    let fault = Fault::new(Code::AppNotFound, "none");
    let platform = Fault::new(Code::StoreIo, "the disk");
    let times = 3 * most;
    for _ in 0..times {
        let action =
            Action::begin(&audit, of_token("apps.remove"), "i".into(), Weight::Change).await.unwrap();
        action.end(Some(&fault)).await.unwrap();
        let action =
            Action::begin(&audit, of_token("tokens.list"), "i".into(), Weight::Watched).await.unwrap();
        action.end(None).await.unwrap();
    }
    // What is done, or may have been, has its line all the same.
    for fault in [None, None, Some(&platform)] {
        let action =
            Action::begin(&audit, of_token("apps.deploy"), "i".into(), Weight::Change).await.unwrap();
        action.end(fault).await.unwrap();
    }
    let action = Action::begin(&audit, of_token("apps.deploy"), "i".into(), Weight::Change).await.unwrap();
    action.changed_nothing().await.unwrap();
    audit.close().await;
    let query = AuditQuery { limit: Some(1000), ..AuditQuery::default() };
    let all = audit.list(query).await.unwrap();
    let of = |operation: &str| {
        let own = all.iter().filter(|entry| entry.act.operation == operation);
        own.fold((0, 0), |(lines, times), entry| (lines + 1, times + entry.times.unwrap_or(1)))
    };
    let (removes, lists) = (of("apps.remove"), of("tokens.list"));
    assert_eq!((removes.1, lists.1), (times, times), "none is lost: {removes:?} {lists:?}");
    // A minute may have ended meanwhile.
    assert!(removes.0 + lists.0 <= 2 * most + 4, "{removes:?} {lists:?}");
    let (lines, deploys) = of("apps.deploy");
    assert!(deploys == 4 && lines >= 4, "{lines} lines");
    tasks.stop().await;
}

#[tokio::test]
async fn nobodys_lines_push_out_those_of_whoever_is_trusted_more() {
    let data = tempfile::tempdir().unwrap();
    let (state, tasks) = (state(data.path()), Tasks::new());
    let audit = Audit::open(data.path(), Arc::clone(&state), &tasks).await.unwrap();
    audit.record(act("apps.deploy"), None).await.unwrap();
    audit.record(of_token("apps.deploy"), None).await.unwrap();
    let long = Act { who: "x".repeat(1 << 20), book: Book::Guests, ..act("subscriptions.pause") };
    for _ in 0..(AUDIT_OTHERS_BYTES_MAX >> 20) + 16 {
        audit
            .append(vec![super::Line { time_ms: 1, act: long.clone(), id: None, times: None }], false)
            .await
            .unwrap();
    }
    let guests: u64 = std::fs::read_dir(data.path().join("audit-guests"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(guests <= AUDIT_OTHERS_BYTES_MAX + 2 * AUDIT_SEGMENT_BYTES, "{guests}");
    let query = AuditQuery { operation: Some("apps.deploy".into()), ..AuditQuery::default() };
    let found = audit.list(query).await.unwrap();
    let books: Vec<Book> = found.iter().map(|entry| entry.act.book).collect();
    assert_eq!(books, [Book::Operators, Book::Tokens]);
    let report = audit.check(Noted::default()).await.unwrap();
    assert!(report.whole && report.others[&Book::Guests].sequence > 64, "{report:?}");
    let noted = report.ends();
    assert!(audit.check(noted).await.unwrap().whole);
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
    assert!(open().await.check(Noted::default()).await.unwrap().whole);
    // The last line, whole, is.
    let cut = whole.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(file, &whole[..cut]).unwrap();
    let report = open().await.check(Noted::default()).await.unwrap();
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
    let own = super::lock(&audit.books).get_mut(&Book::Operators).unwrap().put_in(full);
    assert_eq!(audit.record(act("one"), None).await.unwrap_err().code().text(), "HOB-0726");
    let begun = Action::begin(&audit, act("two"), "i".into(), Weight::Change).await;
    assert_eq!(begun.err().unwrap().code().text(), "HOB-0726");
    assert!(
        Action::begin(&audit, act("three"), "i".into(), Weight::Look).await.is_ok(),
        "looking is no change"
    );
    super::lock(&audit.books).get_mut(&Book::Operators).unwrap().put_in(own);
    audit.ready().await.unwrap();
    assert_eq!(told(&audit).await[0], "1 one ok", "it waited");
    assert!(audit.check(Noted::default()).await.unwrap().whole);
    tasks.stop().await;
}

#[test]
fn the_oldest_files_go_and_the_rest_is_whole() {
    use super::file::{Line, Segments};
    use hob_core::access::audit::Check;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("audit");
    let (mut segments, _) = Segments::open(&folder, Book::Operators, None).unwrap();
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
    let (again, _) = Segments::open(&folder, Book::Operators, None).unwrap();
    assert!(!check(&again).whole, "one more file was removed, and no line says so");
}
