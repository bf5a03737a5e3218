//! Bits of a stopped node's topics flip: it starts, shows what is lost, and never reads anything wrong.

use crate::child::{Child, How, Place};
use crate::collect::{read, topic};
use crate::history::Stored;
use crate::load::control;
use crate::random::{Random, Repeat, character, seed};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Flips that are tried.
const FLIPS: u32 = 24;
const TOPICS: [&str; 3] = ["apples", "pears", "plums"];

async fn publish(place: &Place, topic: &str, batch: u64, random: &mut Random) {
    let event = |n: u64, random: &mut Random| {
        let data: String = (0..random.below(400)).map(|_| character(random, b'a', 26)).collect();
        json!({ "specversion": "1.0", "id": format!("{topic}-{batch}-{n}"), "source": "/damage", "type": "x",
            "datacontenttype": "text/plain", "data": data })
    };
    let events: Vec<_> = (0..8).map(|n| event(n, random)).collect();
    let headers = [("content-type", "application/cloudevents-batch+json")];
    let body = serde_json::Value::from(events).to_string();
    let path = format!("/v1/topics/{topic}/events");
    let got = control(place, "POST", &path, &headers, body).await.expect("a node").unwrap();
    assert_eq!(got.status, 202, "{got:?}");
}

async fn content(place: &Place) -> BTreeMap<&'static str, Vec<Stored>> {
    let mut all = BTreeMap::new();
    for name in TOPICS {
        all.insert(name, topic(place, name).await);
    }
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    found
}

/// Flips one bit of a file of topics, of a byte that is in use; says where.
fn flip(data: &Path, random: &mut Random) -> String {
    let files = files(&data.join("topics"));
    loop {
        let file = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
        let mut bytes = std::fs::read(file).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        let (place, bit) = (random.below(used as u64), random.below(8));
        bytes[usize::try_from(place).unwrap()] ^= 1 << bit;
        std::fs::write(file, bytes).unwrap();
        return format!("bit {bit} of byte {place} of {}", file.display());
    }
}

/// Everything that is read is what was stored, and what is not read is shown as damage of its topic.
async fn judge(place: &Place, whole: &BTreeMap<&str, Vec<Stored>>, flipped: &str) -> u64 {
    let mut damaged = 0;
    for (name, found) in content(place).await {
        let info = read(place, &format!("/v1/topics/{name}")).await;
        let damage = info["damage"].as_array().cloned().unwrap_or_default();
        let lost = |sequence: u64| {
            damage
                .iter()
                .any(|one| one["first"].as_u64() <= Some(sequence) && one["last"].as_u64() >= Some(sequence))
        };
        for expected in &whole[name] {
            match found.iter().find(|found| found.sequence == expected.sequence) {
                Some(found) => assert!(
                    found.id == expected.id && found.checksum == expected.checksum,
                    "{flipped}: {found:?} instead of {expected:?}"
                ),
                None => assert!(lost(expected.sequence), "{flipped}: {expected:?} is gone unseen: {info}"),
            }
        }
        assert!(found.len() <= whole[name].len(), "{flipped}: {name} has grown");
        let of_it =
            flipped.contains(&format!("/{name}/")) || !TOPICS.iter().any(|name| flipped.contains(name));
        assert!(of_it || damage.is_empty(), "{flipped}: {name} is damaged as well: {info}");
        damaged += u64::from(!damage.is_empty());
    }
    damaged
}

#[tokio::test]
async fn flipped_bits_are_shown_and_never_read() {
    let _repeat = Repeat { test: "damage::flipped_bits_are_shown_and_never_read" };
    let (mut random, temporary) = (Random(seed()), tempfile::tempdir().unwrap());
    let original = temporary.path().join("original");
    let mut node = Child::start(&original, &How::default());
    let place = node.ready().await;
    for batch in 0..20 {
        for name in TOPICS {
            publish(&place, name, batch, &mut random).await;
        }
    }
    let whole = content(&place).await;
    assert!(whole.values().all(|stored| stored.len() == 160));
    node.stop().await;
    let mut damaged = 0;
    for _ in 0..FLIPS {
        let folder = temporary.path().join("copy");
        copy(&original.join("data"), &folder.join("data"));
        let flipped = flip(&folder.join("data"), &mut random);
        let mut node = Child::start(&folder, &How::default());
        let place = node.ready().await;
        damaged += judge(&place, &whole, &flipped).await;
        publish(&place, TOPICS[0], 99, &mut random).await;
        node.kill().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
    assert!(damaged > u64::from(FLIPS) / 4, "the flips hit nothing: {damaged} of {FLIPS} are shown");
}
