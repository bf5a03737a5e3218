//! What the log of every engine promises, run for each row of `ENGINES`.

use crate::support::{ALL, for_each, name, open, together};
use hob_core::fault::Result;
use hob_core::limit::EVENT_BYTES_MAX;
use hob_core::port::{Appended, Durability, Log, NewRecord, Page, ReadLimit, TopicSettings};
use std::time::{Duration, Instant};

fn settings() -> TopicSettings {
    let (bytes, bytes_max) = (u64::MAX, u64::MAX);
    TopicSettings { age_ms: u64::MAX, bytes, records: u64::MAX, dedup_ms: 600_000, bytes_max }
}

/// `a` is a record, `a#k` one with the key `k`.
fn record(text: &str) -> NewRecord {
    let (payload, key) = text.split_once('#').map_or((text, None), |(payload, key)| (payload, Some(key)));
    NewRecord { payload: payload.to_owned().into(), key: key.map(|key| key.to_owned().into()) }
}

async fn append(log: &dyn Log, topic: &str, line: &str) -> Result<Vec<Appended>> {
    log.append(&name(topic), line.split_whitespace().map(record).collect(), Durability::Disk).await
}

/// Sequences, duplicates with an `=`; or the code of the fault.
async fn told(log: &dyn Log, topic: &str, line: &str) -> String {
    let shown =
        |appended: &Appended| format!("{}{}", if appended.duplicate { "=" } else { "" }, appended.sequence);
    match append(log, topic, line).await {
        Ok(list) => list.iter().map(shown).collect::<Vec<_>>().join(" "),
        Err(fault) => fault.code().to_string(),
    }
}

async fn page(log: &dyn Log, topic: &str, from: u64, limit: ReadLimit) -> Page {
    log.read(&name(topic), from, limit).await.unwrap()
}

/// `1:a 2:b`, what is missing as `!1-4`, and where it goes on as `>3`.
async fn shown(log: &dyn Log, topic: &str, from: u64, limit: ReadLimit) -> String {
    let page = page(log, topic, from, limit).await;
    let missing = page.missing.iter().map(|(first, last)| format!("!{first}-{last}"));
    let records = page.records.iter();
    let records = records.map(|r| format!("{}:{}", r.sequence, String::from_utf8_lossy(&r.payload)));
    missing.chain(records).chain([format!(">{}", page.next)]).collect::<Vec<_>>().join(" ")
}

/// Waits until it is so.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::task::yield_now().await;
    }
}

#[test]
fn records_come_in_order_and_batches_whole() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let log = &*engine.log;
        assert_eq!(shown(log, "t", 1, ALL).await, ">1", "{}: a topic that does not exist is empty", row.name);
        assert_eq!(log.topic(&name("t")).await.unwrap(), None);
        assert_eq!(told(log, "t", "").await, "");
        assert_eq!(log.topics().await.unwrap(), []);
        for (line, expected) in [("a", "1"), ("b c d", "2 3 4"), ("e", "5")] {
            assert_eq!(told(log, "t", line).await, expected, "{}", row.name);
        }
        assert_eq!(shown(log, "t", 1, ALL).await, "1:a 2:b 3:c 4:d 5:e >6", "{}", row.name);
        for (from, records, bytes, expected) in [
            (2, 2, 100, "2:b 3:c >4"),
            (0, 1, 0, "1:a >2"),
            (4, 9, 1, "4:d >5"),
            (1, 9, 3, "1:a 2:b 3:c >4"),
            (6, 9, 9, ">6"),
            (9, 9, 9, ">9"),
        ] {
            let limit = ReadLimit { records, bytes };
            assert_eq!(shown(log, "t", from, limit).await, expected, "{}", row.name);
        }
        let state = log.topic(&name("t")).await.unwrap().unwrap();
        assert_eq!((state.first, state.next, state.damage.len()), (1, 6, 0));
        assert!(state.bytes > 5 && state.oldest_ms.unwrap() <= state.newest_ms.unwrap());
        let names: Vec<String> = log.topics().await.unwrap().iter().map(|(n, _)| n.to_string()).collect();
        assert_eq!(names, ["t"]);
    });
}

#[test]
fn a_key_is_taken_once_in_its_window() {
    for_each(async |row, settings_| {
        let mut engine = open(row, settings_);
        for (restart, line, expected) in [
            (false, "a#1", "1"),
            (false, "a#1", "=1"),
            (false, "b#2 b#2 c b#2 a#1", "2 =2 3 =2 =1"),
            (false, "c c", "4 5"),
            (true, "b#2 d#4 a#1", "=2 6 =1"),
            (false, "d#4", "=6"),
        ] {
            if restart && row.durable {
                drop(engine);
                engine = open(row, settings_);
            }
            assert_eq!(told(&*engine.log, "t", line).await, expected, "{}: {line}", row.name);
        }
        let log = &*engine.log;
        assert_eq!(told(log, "u", "a#1").await, "1", "topics do not share keys");
        log.configure(&name("t"), TopicSettings { dedup_ms: 0, ..settings() }).await.unwrap();
        assert_eq!(told(log, "t", "a#1").await, "7", "{}: no window", row.name);
        log.configure(&name("t"), settings()).await.unwrap();
        assert_eq!(told(log, "t", "d#4 a#1").await, "=6 =7", "{}: known again", row.name);
        log.configure(&name("t"), TopicSettings { dedup_ms: 1, ..settings() }).await.unwrap();
        until("the window passes", async || told(log, "t", "b#2").await == "8").await;
    });
}

#[test]
fn concurrent_publications_of_a_batch_are_taken_once() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let log = &*engine.log;
        let race = together((0..32).map(|_| told(log, "t", "a#1 b#2"))).await;
        assert_eq!(race.iter().filter(|told| *told == "1 2").count(), 1, "{}: {race:?}", row.name);
        assert_eq!(race.iter().filter(|told| *told == "=1 =2").count(), 31, "{}: {race:?}", row.name);
    });
}

#[test]
fn what_is_too_large_is_refused_whole() {
    for_each(async |row, settings_| {
        let engine = open(row, settings_);
        let log = &*engine.log;
        let big = |size: usize| NewRecord { payload: vec![1; size].into(), key: None };
        let outcome = async |records: Vec<NewRecord>| {
            let done = log.append(&name("t"), records, Durability::Disk).await;
            done.map_or_else(|fault| fault.code().to_string(), |list| list.len().to_string())
        };
        assert_eq!(outcome(vec![big(1), big(EVENT_BYTES_MAX + 1)]).await, "HOB-0802", "{}", row.name);
        assert_eq!(outcome((0..17).map(|_| big(EVENT_BYTES_MAX)).collect()).await, "HOB-0802");
        assert_eq!(outcome(vec![big(EVENT_BYTES_MAX), big(0)]).await, "2", "{}", row.name);
        log.configure(&name("t"), TopicSettings { bytes_max: 2 << 20, ..settings() }).await.unwrap();
        assert_eq!(outcome(vec![big(0), big(EVENT_BYTES_MAX)]).await, "HOB-0804", "{}", row.name);
        assert_eq!(outcome(vec![big(900_000)]).await, "1", "{}", row.name);
        let page = page(log, "t", 2, ALL).await;
        assert_eq!((page.next, page.records[1].payload.len()), (4, 900_000), "{}", row.name);
        // Space comes back.
        assert_eq!(log.trim(&name("t"), 4).await.unwrap(), 3);
        assert_eq!(outcome(vec![big(EVENT_BYTES_MAX)]).await, "1", "{}", row.name);
    });
}

#[test]
fn each_publisher_finds_its_records_in_its_order() {
    const EACH: u64 = 200;
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let log = &*engine.log;
        let publish = async |publisher: u64| {
            let mut last = 0;
            for number in 0..EACH {
                let durability = if publisher == 3 { Durability::Memory } else { Durability::Disk };
                let record = record(&format!("{publisher} {number}"));
                let topic = name(if publisher.is_multiple_of(2) { "even" } else { "odd" });
                let appended = log.append(&topic, vec![record], durability).await.unwrap();
                assert!(appended[0].sequence > last && !appended[0].duplicate);
                last = appended[0].sequence;
                let read = log.read(&topic, last, ReadLimit { records: 1, bytes: 1 }).await.unwrap();
                assert_eq!(read.records[0].payload, format!("{publisher} {number}"), "{}", row.name);
            }
        };
        together((0..8).map(publish)).await;
        for (topic, publishers) in [("even", [0, 2, 4, 6]), ("odd", [1, 3, 5, 7])] {
            let page = page(log, topic, 1, ALL).await;
            assert_eq!(page.records.len(), 4 * usize::try_from(EACH).unwrap(), "{}", row.name);
            for publisher in publishers {
                let prefix = format!("{publisher} ");
                let own = page.records.iter().map(|r| String::from_utf8_lossy(&r.payload).into_owned());
                let own: Vec<String> =
                    own.filter_map(|p| p.strip_prefix(&prefix).map(str::to_owned)).collect();
                assert_eq!(own, (0..EACH).map(|n| n.to_string()).collect::<Vec<_>>(), "{}", row.name);
            }
        }
    });
}

#[test]
fn trimmed_records_are_gone_and_their_sequences_too() {
    for_each(async |row, settings| {
        let mut engine = open(row, settings);
        told(&*engine.log, "t", "a b c d e").await;
        for (sequence, gone, content) in [
            (1, 0, "1:a 2:b 3:c 4:d 5:e >6"),
            (3, 2, "!1-2 3:c 4:d 5:e >6"),
            (2, 0, "!1-2 3:c 4:d 5:e >6"),
            (5, 2, "!1-4 5:e >6"),
            (99, 1, "!1-5 >6"),
        ] {
            assert_eq!(engine.log.trim(&name("t"), sequence).await.unwrap(), gone, "{}", row.name);
            assert_eq!(shown(&*engine.log, "t", 1, ALL).await, content, "{}", row.name);
            if row.durable {
                drop(engine);
                engine = open(row, settings);
                assert_eq!(shown(&*engine.log, "t", 1, ALL).await, content, "{}: restarted", row.name);
            }
        }
        let state = engine.log.topic(&name("t")).await.unwrap().unwrap();
        assert_eq!((state.first, state.next, state.oldest_ms, state.damage.len()), (6, 6, None, 0));
        assert_eq!(told(&*engine.log, "t", "f").await, "6", "{}", row.name);
        assert_eq!(engine.log.trim(&name("none"), 5).await.unwrap(), 0);
    });
}

#[test]
fn a_time_leads_to_the_first_record_since() {
    for_each(async |row, settings| {
        let mut engine = open(row, settings);
        let mut times = Vec::new();
        for number in 0..60 {
            let before = times.last().copied();
            until("the clock ticks", async || {
                append(&*engine.log, "t", &format!("{number}")).await.unwrap();
                let newest = engine.log.topic(&name("t")).await.unwrap().unwrap().newest_ms;
                newest != before
            })
            .await;
            times.push(engine.log.topic(&name("t")).await.unwrap().unwrap().newest_ms.unwrap());
        }
        if row.durable {
            drop(engine);
            engine = open(row, settings);
        }
        let log = &*engine.log;
        let all = page(log, "t", 1, ALL).await.records;
        let next = all.len() as u64 + 1;
        for time in times.iter().flat_map(|time| [time - 1, *time, time + 1]).chain([0, u64::MAX]) {
            let expected = all.iter().find(|record| record.time_ms >= time).map_or(next, |r| r.sequence);
            assert_eq!(log.seek(&name("t"), time).await.unwrap(), expected, "{}: {time}", row.name);
        }
        assert_eq!(log.seek(&name("none"), 5).await.unwrap(), 1);
    });
}

#[test]
fn retention_removes_what_is_settled_and_nothing_else() {
    let cases = [
        ("age", TopicSettings { age_ms: 1, ..settings() }),
        ("bytes", TopicSettings { bytes: 400_000, ..settings() }),
        ("records", TopicSettings { records: 600, ..settings() }),
    ];
    for_each(async |row, data| {
        let engine = open(row, data);
        let log = &*engine.log;
        let payload = "x".repeat(20_000);
        for (topic, kept) in cases {
            log.configure(&name(topic), kept).await.unwrap();
            let line = if topic == "records" { "x ".repeat(10) } else { payload.clone() };
            for _ in 0..100 {
                append(log, topic, &line).await.unwrap();
            }
        }
        let state = async |topic: &str| log.topic(&name(topic)).await.unwrap().unwrap();
        for (topic, _) in cases {
            assert_eq!(state(topic).await.first, 1, "{}: {topic}: nothing is settled", row.name);
            log.settle(&name(topic), if topic == "records" { 801 } else { 81 }).await.unwrap();
        }
        // The last segment that may go ends with a settled record.
        until("settled records go", async || {
            let first = [state("age").await.first, state("bytes").await.first, state("records").await.first];
            first[0] > 20 && first[1] > 20 && first[2] > 200
        })
        .await;
        for (topic, _) in cases {
            let (settled, all) = if topic == "records" { (801, 1001) } else { (81, 101) };
            assert!(state(topic).await.first <= settled, "{}: {topic}: something unsettled went", row.name);
            log.settle(&name(topic), all).await.unwrap();
        }
        until("the rest goes as far as it may", async || {
            let (age, bytes, records) = (state("age").await, state("bytes").await, state("records").await);
            age.first == age.next && bytes.bytes <= 400_000 && records.next - records.first <= 600
        })
        .await;
        assert!(state("bytes").await.bytes > 200_000, "{}: {:?}", row.name, state("bytes").await);
        assert!(state("records").await.first <= 551, "{}: {:?}", row.name, state("records").await);
        assert_eq!(told(log, "age", "more").await, "101", "{}", row.name);
    });
}

#[test]
fn many_topics_share_few_open_files() {
    for_each(async |row, settings| {
        let mut engine = open(row, settings);
        for round in 1..=2 {
            for part in 0..10 {
                let topics: Vec<String> = (0..70).map(|n| format!("t-{}", part * 70 + n)).collect();
                let told = together(topics.iter().map(|topic| told(&*engine.log, topic, "a b"))).await;
                let expected = if round == 1 { "1 2" } else { "3 4" };
                assert!(told.iter().all(|told| told == expected), "{}: {told:?}", row.name);
            }
            if row.durable && round == 1 {
                drop(engine);
                engine = open(row, settings);
            }
        }
        assert_eq!(engine.log.topics().await.unwrap().len(), 700, "{}", row.name);
        assert_eq!(shown(&*engine.log, "t-699", 1, ALL).await, "1:a 2:b 3:a 4:b >5", "{}", row.name);
    });
}

#[test]
fn segments_and_restarts_do_not_show() {
    for_each(async |row, settings| {
        let mut engine = open(row, settings);
        let payload = |n: u64| format!("{n}-{}", "y".repeat(usize::try_from(n * 37 % 3000).unwrap()));
        for n in 1..=2000u64 {
            let durability = if n.is_multiple_of(3) { Durability::Disk } else { Durability::Memory };
            let record = NewRecord { payload: payload(n).into(), key: Some(n.to_string().into()) };
            engine.log.append(&name("t"), vec![record], durability).await.unwrap();
            if n.is_multiple_of(500) && row.durable {
                drop(engine);
                engine = open(row, settings);
            }
        }
        let (mut from, mut pages) = (1, 0);
        while from <= 2000 {
            let read = page(&*engine.log, "t", from, ReadLimit { records: 77, bytes: 50_000 }).await;
            assert!(!read.records.is_empty() && read.missing.is_empty(), "{}", row.name);
            for record in read.records {
                assert_eq!((record.sequence, record.payload), (from, payload(from).into()), "{}", row.name);
                from += 1;
            }
            pages += 1;
        }
        assert!(pages > 40);
        for from in [1999, 1, 700, 1300, 2, 1024] {
            let read = page(&*engine.log, "t", from, ReadLimit { records: 1, bytes: 1 }).await;
            assert_eq!(read.records[0].payload, payload(from), "{}", row.name);
        }
    });
}
