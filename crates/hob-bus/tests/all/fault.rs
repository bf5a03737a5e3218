//! Engine `file` under kills and damaged files: nothing acknowledged is lost, nothing wrong is read.

use crate::support::{KillTest, acknowledged, block_on, child_folder, copy_folder, file_engine, writers};
use hob_bus::Engine;
use hob_core::code::Code;
use hob_core::port::{Expect, State, Write};
use hob_core::random::Random;
use std::fs;
use std::path::{Path, PathBuf};

const WRITERS: usize = 4;

/// Two keys and a fresh one in one commit, so that half of it would show.
fn pair(writer: usize, number: u64) -> Vec<Write> {
    let write = |key: String| Write { key, expect: Expect::Any, value: Some(format!("{number}").into()) };
    [format!("left/{writer}"), format!("right/{writer}"), format!("all/{writer}/{number:010}")]
        .map(write)
        .into()
}

async fn number(state: &dyn State, key: &str) -> u64 {
    let entry = state.get(key).await.unwrap();
    entry.map_or(0, |entry| String::from_utf8(entry.value).unwrap().parse().unwrap())
}

/// Not a test by itself: what the kill test starts. Commits for ever and says what is acknowledged.
#[test]
fn child_commits_until_it_is_killed() {
    let Some(data) = child_folder() else { return };
    let engine = file_engine(&data).unwrap();
    writers(WRITERS, async |writer| {
        let mut last = number(&*engine.state, &format!("left/{writer}")).await;
        loop {
            last += 1;
            engine.state.commit(pair(writer, last)).await.unwrap();
            acknowledged(writer, last);
        }
    });
}

#[test]
fn a_kill_loses_nothing_acknowledged_and_leaves_nothing_half_done() {
    let child = "fault::child_commits_until_it_is_killed";
    let told = KillTest { child, rounds: 40, seed: 2, kill_below: 60 }.run(check_all_there);
    assert!(told.iter().all(|last| *last > 40), "the test did not commit: {told:?}");
}

fn check_all_there(data: &Path, acknowledged: &[u64; WRITERS], round: u32) {
    let engine = file_engine(data).unwrap_or_else(|fault| panic!("round {round}: {fault}"));
    block_on(async {
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let left = number(&*engine.state, &format!("left/{writer}")).await;
            let right = number(&*engine.state, &format!("right/{writer}")).await;
            let all = engine.state.scan(&format!("all/{writer}/")).await.unwrap();
            assert_eq!((left, left), (right, all.len() as u64), "round {round}: half a commit");
            assert!(left >= *acknowledged, "round {round}: {acknowledged} was acknowledged, {left} is there");
        }
    });
}

/// A data folder with records in the database and in its log, and what it has to answer.
fn sample(folder: &Path, closed: bool) -> (PathBuf, Vec<(String, Vec<u8>)>) {
    let data = folder.join("original");
    let engine = file_engine(&data).unwrap();
    let content = block_on(async {
        for n in 0..40u64 {
            let value = format!("{n} ").repeat(usize::try_from(n).unwrap() * 8).into_bytes();
            let key = format!("apps/app-{:02}", n % 30);
            engine.state.commit(vec![Write { key, expect: Expect::Any, value: Some(value) }]).await.unwrap();
        }
        read_all(&engine).await.unwrap()
    });
    if closed {
        drop(engine);
        return (data, content);
    }
    let copy = folder.join("open");
    copy_folder(&data, &copy);
    (copy, content)
}

async fn read_all(engine: &Engine) -> hob_core::fault::Result<Vec<(String, Vec<u8>)>> {
    let entries = engine.state.scan("").await?;
    Ok(entries.into_iter().map(|(key, entry)| (key, entry.value)).collect())
}

/// Opens a damaged copy: it is refused as damaged, or gives every value as it was, also after a write.
/// Returns whether it was refused.
fn refused_or_right(data: &Path, content: &[(String, Vec<u8>)], what: &str) -> bool {
    let tried = file_engine(data).and_then(|engine| {
        block_on(async {
            let read = read_all(&engine).await?;
            let write = Write { key: "zzz".into(), expect: Expect::Absent, value: Some(b"1".to_vec()) };
            engine.state.commit(vec![write]).await?;
            Ok(read)
        })
    });
    match tried {
        Err(fault) => {
            assert_eq!(fault.code(), Code::StoreCorrupt, "{what}: {fault}");
            true
        }
        Ok(read) => {
            assert!(read == content, "{what}: a wrong value was read");
            let again = file_engine(data).map(|engine| block_on(read_all(&engine)));
            assert_eq!(again.unwrap().unwrap().len(), content.len() + 1, "{what}: the write was lost");
            false
        }
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    for (closed, seed) in [(true, 3), (false, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let (original, content) = sample(folder.path(), closed);
        let files = ["state.db", "state.db-wal", "acknowledged"];
        let files: Vec<_> =
            files.into_iter().filter(|name| original.join("state").join(name).exists()).collect();
        assert_eq!(files.len(), if closed { 2 } else { 3 }, "the log is there while the engine is open");
        let (mut random, mut refused) = (Random(seed), 0);
        for _ in 0..200 {
            let copy = folder.path().join("copy");
            copy_folder(&original, &copy);
            let name = files[usize::try_from(random.below(files.len() as u64)).unwrap()];
            let path = copy.join("state").join(name);
            let mut bytes = fs::read(&path).unwrap();
            let (place, bit) = (random.below(bytes.len() as u64), random.below(8));
            bytes[usize::try_from(place).unwrap()] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
            let what = format!("seed {seed}: bit {bit} of byte {place} of {name}");
            refused += u32::from(refused_or_right(&copy, &content, &what));
            fs::remove_dir_all(&copy).unwrap();
        }
        assert!(refused > 50, "the flips hit nothing: only {refused} of 200 were found");
    }
}

#[test]
fn a_cut_off_or_lost_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (original, content) = sample(folder.path(), false);
    let copy = folder.path().join("copy");
    for name in ["state.db", "state.db-wal", "acknowledged"] {
        let length = fs::metadata(original.join("state").join(name)).unwrap().len();
        for part in [0, 1, 2, 3, 5, 7, 8, 9] {
            copy_folder(&original, &copy);
            let file = fs::OpenOptions::new().write(true).open(copy.join("state").join(name)).unwrap();
            file.set_len(length * part / 10).unwrap();
            let what = format!("{name} cut to {part} tenths");
            assert!(refused_or_right(&copy, &content, &what) || name == "state.db", "{what}: not found");
            fs::remove_dir_all(&copy).unwrap();
        }
    }
    for name in ["state.db", "state.db-wal"] {
        copy_folder(&original, &copy);
        fs::remove_file(copy.join("state").join(name)).unwrap();
        assert!(refused_or_right(&copy, &content, name), "{name} is gone: not found");
        fs::remove_dir_all(&copy).unwrap();
    }
}
