//! The log of engine `file` under kills and damaged files: nothing acknowledged is lost unsaid, nothing
//! wrong is read.

use crate::support::{
    ALL, KillTest, acknowledged, block_on, child_folder, copy_folder, file_engine, name, writers,
};
use hob_bus::Engine;
use hob_core::port::{Durability, NewRecord, ReadLimit};
use hob_core::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Asks for all rounds instead of some.
const FULL: &str = "HOB_TEST_FULL";
const TOPICS: [&str; 3] = ["orders", "policy.bought", "small"];

fn rounds(some: u32, full: u32) -> u32 {
    if std::env::var_os(FULL).is_some() { full } else { some }
}

fn engine(data: &Path) -> Engine {
    file_engine(data).unwrap()
}

/// What the record with this number of this writer says; its length tells whether it is whole.
fn payload(writer: usize, number: u64) -> Vec<u8> {
    let filler = usize::try_from((number * 7919 + writer as u64 * 31) % 700).unwrap();
    format!("{writer} {number} {}", "z".repeat(filler)).into_bytes()
}

fn record(writer: usize, number: u64) -> NewRecord {
    let key = number.is_multiple_of(2).then(|| format!("{writer}/{number}").into());
    NewRecord { payload: payload(writer, number).into(), key }
}

/// Not a test by itself: what the kill test starts. Appends for ever and says what is acknowledged.
#[test]
fn child_appends_until_it_is_killed() {
    let Some(data) = child_folder() else { return };
    let engine = engine(&data);
    writers(TOPICS.len(), async |writer| {
        let topic = name(TOPICS[writer]);
        let next = engine.log.topic(&topic).await.unwrap().map_or(1, |state| state.next);
        // Pairs in one batch, so that half of one would show.
        let mut pair = next.div_ceil(2);
        let durability = if writer == 2 { Durability::Memory } else { Durability::Disk };
        loop {
            let records = vec![record(writer, pair * 2 - 1), record(writer, pair * 2)];
            let appended = engine.log.append(&topic, records, durability).await.unwrap();
            acknowledged(writer, appended[1].sequence);
            pair += 1;
        }
    });
}

#[test]
fn a_kill_loses_nothing_acknowledged_and_leaves_no_half_batch() {
    let child = "log_fault::child_appends_until_it_is_killed";
    let told = KillTest { child, rounds: rounds(20, 200), seed: 5, kill_below: 400 }.run(check_all_there);
    assert!(told.iter().all(|last| *last > 100), "the test did not append: {told:?}");
}

fn check_all_there(data: &Path, acknowledged: &[u64; 3], round: u32) {
    let engine = engine(data);
    block_on(async {
        for (writer, topic) in TOPICS.into_iter().enumerate() {
            let page = engine.log.read(&name(topic), 1, ALL).await.unwrap();
            let state = engine.log.topic(&name(topic)).await.unwrap().unwrap_or_default();
            assert_eq!(
                (page.missing.as_slice(), state.damage.as_slice()),
                (&[][..], &[][..]),
                "round {round}"
            );
            let count = page.records.len() as u64;
            assert!(count >= acknowledged[writer], "round {round}: {} is lost", acknowledged[writer]);
            assert!(count.is_multiple_of(2), "round {round}: half a batch");
            for (number, record) in (1..).zip(&page.records) {
                assert_eq!((record.sequence, &record.payload[..]), (number, &payload(writer, number)[..]));
            }
        }
    });
}

/// In memory where the system has that: damage to files does not depend on the disk.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A data folder with some segments in each topic.
fn sample(folder: &Path) -> PathBuf {
    let data = folder.join("original");
    let engine = engine(&data);
    block_on(async {
        for (writer, topic) in TOPICS.into_iter().enumerate() {
            for number in 1..=[900, 300, 5][writer] {
                let one = vec![record(writer, number)];
                engine.log.append(&name(topic), one, Durability::Disk).await.unwrap();
            }
        }
    });
    drop(engine);
    data
}

/// Every file of a topic, by name.
fn files(data: &Path, topic: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("topics").join(topic)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Reads everything of a damaged copy, in pages: each record is right, or told to be missing and in the
/// damage; other topics are whole; appending goes on; and all of that after a restart, if asked, too.
/// Returns how many records were lost.
fn right_or_told(data: &Path, damaged: &str, restart: bool, what: &str) -> u64 {
    let mut lost = 0;
    for again in if restart { &[false, true][..] } else { &[false] } {
        let again = *again;
        let engine = engine(data);
        block_on(async {
            for (writer, topic) in TOPICS.into_iter().enumerate() {
                let (all, now_lost) = read(&engine, writer, topic, what).await;
                let expected = [900, 300, 5][writer] + u64::from(again);
                assert_eq!(all, expected, "{what}: `{topic}` has another end");
                assert!(now_lost == 0 || topic == damaged, "{what}: `{topic}` has lost something");
                if topic == damaged {
                    assert!(!again || now_lost == lost, "{what}: {lost} were lost, now {now_lost}");
                    lost = now_lost;
                }
                if !again {
                    let one = vec![record(writer, expected + 1)];
                    let appended = engine.log.append(&name(topic), one, Durability::Disk).await.unwrap();
                    assert_eq!(appended[0].sequence, expected + 1, "{what}: `{topic}`");
                }
            }
        });
    }
    lost
}

/// How many records there are or were, and how many of them are lost.
async fn read(engine: &Engine, writer: usize, topic: &str, what: &str) -> (u64, u64) {
    let (mut from, mut lost) = (1, BTreeMap::new());
    loop {
        let limit = ReadLimit { records: 50, bytes: 20_000 };
        let page = engine.log.read(&name(topic), from, limit).await.unwrap();
        for (first, last) in &page.missing {
            lost.extend((*first..=*last).map(|sequence| (sequence, ())));
        }
        for record in &page.records {
            while lost.contains_key(&from) {
                from += 1;
            }
            assert_eq!(record.sequence, from, "{what}: `{topic}`: a silent gap");
            assert!(record.payload == payload(writer, from), "{what}: `{topic}`: a wrong payload at {from}");
            from += 1;
        }
        from = page.next;
        if page.records.is_empty() {
            break;
        }
    }
    let state = engine.log.topic(&name(topic)).await.unwrap().unwrap();
    for sequence in lost.keys() {
        let told = state.damage.iter().any(|damage| (damage.first..=damage.last).contains(sequence));
        assert!(told, "{what}: `{topic}`: {sequence} is missing and not in {:?}", state.damage);
    }
    (from - 1, lost.len() as u64)
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let folder = quick_folder();
    let original = sample(folder.path());
    let (mut random, mut found) = (Random(7), 0);
    let count = rounds(300, 1000);
    for round in 0..count {
        let copy = folder.path().join("copy");
        copy_folder(&original, &copy);
        let topic = TOPICS[random.place(3)];
        let list = files(&copy, topic);
        let path = &list[random.place(list.len())];
        let mut bytes = fs::read(path).unwrap();
        // Most of the last segment is empty space.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |last| last + 40);
        let (place, bit) = (random.place(used.min(bytes.len())), random.below(8));
        bytes[place] ^= 1 << bit;
        fs::write(path, bytes).unwrap();
        let what = format!("bit {bit} of byte {place} of {}", path.display());
        let lost = right_or_told(&copy, topic, round % 8 == 0, &what);
        assert!(lost <= 1, "{what}: {lost} records are lost");
        found += lost;
        fs::remove_dir_all(&copy).unwrap();
    }
    assert!(found > u64::from(count) / 5, "the flips hit nothing: only {found} of {count} were found");
}

#[test]
fn a_cut_off_or_lost_file_is_found() {
    let folder = quick_folder();
    let original = sample(folder.path());
    let copy = folder.path().join("copy");
    for topic in TOPICS {
        for (place, path) in files(&original, topic).iter().enumerate() {
            let length = fs::metadata(path).unwrap().len();
            for part in [None, Some(0), Some(1), Some(4), Some(9)] {
                copy_folder(&original, &copy);
                let path = &files(&copy, topic)[place];
                let what = format!("{part:?} tenths of {}", path.display());
                match part {
                    None => fs::remove_file(path).unwrap(),
                    Some(part) => {
                        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
                        file.set_len(length * part / 10).unwrap();
                    }
                }
                let lost = right_or_told(&copy, topic, place % 4 == 0, &what);
                let segment = path.extension().is_some_and(|ending| ending == "log");
                let told = segment && matches!(part, None | Some(0)) && length > 2000;
                assert_eq!(lost > 0, told || segment && lost > 0, "{what}: {lost} are lost");
                fs::remove_dir_all(&copy).unwrap();
            }
        }
    }
}

#[test]
fn a_damaged_segment_is_kept_aside_once() {
    let folder = quick_folder();
    let data = sample(folder.path());
    let path =
        &files(&data, "orders").into_iter().find(|path| path.ends_with("00000000000000000001.log")).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[5000..5600].fill(0xee);
    fs::write(path, &bytes).unwrap();
    let lost = right_or_told(&data, "orders", true, "600 bytes");
    assert!((1..6).contains(&lost), "{lost} are lost");
    let quarantine: Vec<_> =
        fs::read_dir(data.join("quarantine")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(quarantine.len(), 1, "{quarantine:?}");
    assert!(fs::read(&quarantine[0]).unwrap() == bytes, "the copy is not what was found");
    let name = quarantine[0].file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with("orders-00000000000000000001-") && name.ends_with(".log"), "{name}");
}
