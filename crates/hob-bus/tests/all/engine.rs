//! What every engine promises, run for each row of `ENGINES`.

use crate::support::{for_each, open, together};
use hob_bus::{ENGINES, Engine};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::port::{Expect, State, Write};
use std::path::Path;

/// `a=1` puts, `-a` removes; `?` after it expects the key absent, `@2` expects version 2.
fn write(text: &str) -> Write {
    let (change, expect) = match text.split_once('@') {
        Some((change, version)) => (change, Expect::Version(version.parse().unwrap())),
        None => text.strip_suffix('?').map_or((text, Expect::Any), |change| (change, Expect::Absent)),
    };
    let (key, value) =
        change.split_once('=').map_or_else(|| (&change[1..], None), |(k, v)| (k, Some(v.into())));
    Write { key: key.into(), expect, value }
}

async fn commit(state: &dyn State, line: &str) -> String {
    let writes = line.split_whitespace().map(write).collect();
    state.commit(writes).await.map_or_else(|fault| fault.code().to_string(), |()| "ok".into())
}

async fn show(state: &dyn State, prefix: &str) -> String {
    let entries = state.scan(prefix).await.unwrap();
    let shown = entries
        .iter()
        .map(|(key, entry)| format!("{key}={}@{}", String::from_utf8_lossy(&entry.value), entry.version));
    shown.collect::<Vec<_>>().join(" ")
}

/// Commits line after line and holds the outcome and the whole content against what is expected.
fn check_commits(story: &[(&str, &str, &str)]) {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        for (line, outcome, content) in story {
            assert_eq!(&commit(&*engine.state, line).await, outcome, "{}: {line}", row.name);
            assert_eq!(&show(&*engine.state, "").await, content, "{}: {line}", row.name);
        }
    });
}

#[test]
fn a_commit_happens_whole_or_not_at_all() {
    check_commits(&[
        ("a=1 b=1", "ok", "a=1@1 b=1@1"),
        ("a=2@1 c=1?", "ok", "a=2@2 b=1@1 c=1@1"),
        ("a=9 b=9 c=9?", "HOB-0603", "a=2@2 b=1@1 c=1@1"),
        ("a=9@1 -b", "HOB-0603", "a=2@2 b=1@1 c=1@1"),
        ("a=9 d=9@1", "HOB-0603", "a=2@2 b=1@1 c=1@1"),
        ("-b@1 -c -x", "ok", "a=2@2"),
        ("b=2? a=@2", "ok", "a=@3 b=2@1"),
        ("", "ok", "a=@3 b=2@1"),
    ]);
}

#[test]
fn a_scan_is_in_byte_order_and_by_prefix() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        commit(&*engine.state, "é=1 b=1 a/x/2=1 a/x/10=1 a/x=1 a/y=1 a0=1 A=1").await;
        for (prefix, expected) in [
            ("a/x", "a/x=1@1 a/x/10=1@1 a/x/2=1@1"),
            ("", "A=1@1 a/x=1@1 a/x/10=1@1 a/x/2=1@1 a/y=1@1 a0=1@1 b=1@1 é=1@1"),
            ("c", ""),
        ] {
            assert_eq!(show(&*engine.state, prefix).await, expected, "{}: `{prefix}`", row.name);
        }
        assert_eq!(engine.state.get("a").await.unwrap(), None);
        assert_eq!(engine.state.get("b").await.unwrap().unwrap().value, b"1");
    });
}

#[test]
fn of_concurrent_commits_on_one_version_one_wins() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        commit(&*engine.state, "n=0").await;
        for round in 1..=20 {
            let lines: Vec<String> = (0..8).map(|racer| format!("n={racer}@{round} r{racer}=1")).collect();
            let race = together(lines.iter().map(|line| commit(&*engine.state, line))).await;
            assert_eq!(race.iter().filter(|outcome| *outcome == "ok").count(), 1, "{}: {race:?}", row.name);
        }
        assert_eq!(engine.state.get("n").await.unwrap().unwrap().version, 21);
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_if_the_engine_says_so() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let big = vec![7; 300_000];
        commit(&*engine.state, "a=1 b=1").await;
        commit(&*engine.state, "a=2 -b").await;
        upload(&engine, &[&big], Digest::of(&big)).await.unwrap();
        drop(engine);
        let engine = open(row, settings);
        let missing = engine.blobs.missing(&[Digest::of(&big)]).await.unwrap().len();
        let kept = (show(&*engine.state, "").await, missing);
        let expected = if row.durable { ("a=2@2", 0) } else { ("", 1) };
        assert_eq!(kept, (expected.0.to_owned(), expected.1), "{}", row.name);
    });
}

#[test]
fn a_data_folder_has_one_owner() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        for other in ENGINES {
            let fault = (other.open)(settings).err().expect("the folder is in use");
            assert_eq!(fault.code(), Code::DataLocked);
            assert!(fault.message().contains(&std::process::id().to_string()), "{fault}");
        }
        drop(engine);
        open(row, settings);
    });
}

async fn upload(engine: &Engine, pieces: &[&[u8]], digest: Digest) -> Result<u64> {
    let mut upload = engine.blobs.upload().await?;
    for piece in pieces {
        upload.write(piece).await?;
    }
    upload.finish(digest).await
}

/// Every file below `folder`.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[test]
fn an_artifact_is_published_whole_and_right_or_not_at_all() {
    let big = vec![1; 1 << 20];
    let too_big = vec![1; (1 << 20) + 1];
    let cases: &[(&[&[u8]], Digest, &str)] = &[
        (&[b"hello"], Digest::of(b"hello"), "5"),
        (&[b"he", b"", b"llo"], Digest::of(b"hello"), "5"),
        (&[], Digest::of(b""), "0"),
        (&[b"hello"], Digest::of(b"hellO"), "HOB-0202"),
        (&[b"hel"], Digest::of(b"hello"), "HOB-0202"),
        (&[&big], Digest::of(&big), "1048576"),
        (&[&too_big], Digest::of(&too_big), "HOB-0201"),
        (&[&big, b"1"], Digest::of(&too_big), "HOB-0201"),
    ];
    for (pieces, digest, expected) in cases {
        for_each(async |row, settings| {
            let engine = open(row, settings);
            let outcome = upload(&engine, pieces, *digest).await;
            let shown = outcome.map_or_else(|fault| fault.code().to_string(), |size| size.to_string());
            assert_eq!(&shown, expected, "{}", row.name);
            let stored = !expected.starts_with("HOB");
            let artifacts = settings.data.join("artifacts");
            assert_eq!(files(&artifacts), usize::from(stored), "{}: {expected}", row.name);
            assert_eq!(engine.blobs.missing(&[*digest]).await.unwrap().is_empty(), stored);
            match engine.blobs.path(digest).await {
                Ok(path) => assert_eq!(std::fs::read(path).unwrap(), pieces.concat()),
                Err(fault) => assert_eq!((stored, fault.code()), (false, Code::ArtifactMissing)),
            }
        });
    }
}

#[test]
fn an_upload_that_is_given_up_leaves_nothing() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let mut upload = engine.blobs.upload().await.unwrap();
        upload.write(&[1; 600_000]).await.unwrap();
        drop(upload);
        assert_eq!(files(&settings.data.join("artifacts")), 0, "{}", row.name);
    });
}

#[test]
fn the_same_artifact_may_come_often_and_at_once_and_mends_a_damaged_one() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let bytes = vec![3; 500_000];
        let digest = Digest::of(&bytes);
        let pieces: &[&[u8]] = &[&bytes];
        let all = together((0..8).map(|_| upload(&engine, pieces, digest))).await;
        assert!(all.iter().all(|outcome| *outcome == Ok(500_000)), "{}: {all:?}", row.name);
        let path = engine.blobs.path(&digest).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"damaged").unwrap();
        upload(&engine, &[&bytes], digest).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(files(&settings.data.join("artifacts")), 1, "{}", row.name);
    });
}

#[test]
fn what_is_not_retained_goes_and_what_is_missing_is_told_in_order() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let digests: Vec<Digest> = (0..6u8).map(|n| Digest::of(&[n])).collect();
        for n in 0..6u8 {
            upload(&engine, &[&[n]], digests[usize::from(n)]).await.unwrap();
        }
        let begun = engine.blobs.upload().await.unwrap();
        let keep = [digests[4], Digest::of(b"never stored"), digests[1]];
        assert_eq!(engine.blobs.retain(&keep).await.unwrap(), 4, "{}", row.name);
        let missing = engine.blobs.missing(&digests).await.unwrap();
        assert_eq!(missing, [digests[0], digests[2], digests[3], digests[5]], "{}", row.name);
        assert_eq!(begun.finish(Digest::of(b"")).await, Ok(0), "an upload under way is spared");
    });
}
