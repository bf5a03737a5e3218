//! A bus over a log in memory: what is asked before something is published, listed or moved.

use super::dead::{Deal, Failure, Letter};
use super::ingress::Stranger;
use super::position::Key;
use super::{Bus, Placed};
use crate::allowance::{Allowance, Stored as Storage};
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use bytes::Bytes;
use futures_util::{FutureExt, stream};
use hob_bus::{Engine, EngineSettings};
use hob_core::code::Code;
use hob_core::event::Event;
use hob_core::event::record::Stored;
use hob_core::fault::Fault;
use hob_core::limit::{LETTERS_DEALT_MAX, LETTERS_LISTED_BYTES_MAX};
use hob_core::name::{AppName, SpaceName, TopicName, TriggerName};
use hob_core::port::{Durability, ReadLimit};
use hob_core::share::door::Client;
use hob_core::space::{Quotas, Resource};
use hob_core::trigger::StartAt;
use hob_runtime::body;
use hob_runtime::crowd::{Crowd, Shares};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bus of space `team`.
struct Bench {
    bus: Arc<Bus>,
    tasks: Arc<Tasks>,
}

impl Bench {
    fn open(folder: &Path) -> Self {
        let Engine { state, log, facts, .. } = hob_bus::open("memory", &EngineSettings::new(folder)).unwrap();
        let tasks = Tasks::new();
        let crowd = Crowd::new(Shares::here(None), Arc::clone(&tasks) as _);
        let (space, storage) =
            (SpaceName::new("team").unwrap(), Storage::new(&log, &facts, folder, folder.join("packs")));
        let allowance = Allowance::new(space, None, Quotas::unlimited(), storage, crowd);
        let telemetry = Telemetry::start(facts, true, Arc::default(), &tasks);
        Self { bus: Bus::new(log, state, telemetry, allowance), tasks }
    }

    /// From now on there may be so much of a resource.
    fn quota(&self, resource: Resource, most: u64) {
        let change = Quotas([(resource, Some(most))].into());
        self.bus.allowance().set(Quotas::unlimited().with(&change));
    }

    /// Gives up events of topic `orders` with so many bytes each.
    async fn give_up(&self, count: u64, bytes: usize) {
        for number in 1..=count {
            let mut event = Event::new(number.to_string(), "/till", "order.paid");
            event.data = Some(vec![b'a'; bytes].into());
            let letter = letter(number);
            self.bus.bury(&topic("orders.dead"), &Stored::new(event), &letter).await.unwrap();
        }
    }

    /// The events of topic `orders`, by the numbers that they were given up with.
    async fn redriven(&self) -> Vec<String> {
        let all = ReadLimit { records: 10_000, bytes: 64 << 20 };
        let events = self.bus.read(&topic("orders"), 1, all).await.unwrap().events;
        events.into_iter().map(|Placed { stored, .. }| stored.event.id).collect()
    }

    async fn open_letters(&self) -> Vec<u64> {
        let letters = self.bus.letters(&topic("orders.dead"), 0, 1000).await.unwrap();
        letters.iter().map(|letter| letter.sequence).collect()
    }

    async fn redrive(&self, sequences: &[u64]) -> Result<u64, Fault> {
        self.bus.deal(&topic("orders.dead"), sequences, Deal::Redrive).await
    }
}

/// Why a subscription gave up an event of topic `orders`.
fn letter(sequence: u64) -> Letter {
    let (app, name) = (AppName::new("shop").unwrap(), TriggerName::new("letters").unwrap());
    Letter {
        subscription: Some(Key { app, name }),
        topic: topic("orders"),
        sequence,
        generation: 1,
        reason: "attempts",
        attempts: 3,
        failure: Failure::default(),
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

#[tokio::test]
async fn a_letter_is_redriven_once_however_often_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    bench.give_up(4, 10).await;
    assert_eq!(bench.redrive(&[2, 1, 1, 2, 1]).await, Ok(2));
    assert_eq!(
        (bench.redriven().await, bench.open_letters().await),
        (vec!["1".into(), "2".into()], vec![3, 4])
    );
    let many = bench.redrive(&vec![3; LETTERS_DEALT_MAX + 1]).await.unwrap_err();
    assert_eq!(many.code(), Code::ControlRequest, "{many}");
    assert!(many.message().contains("1001 dead letters are named, the limit is 1000"), "{many}");
    assert_eq!(bench.redrive(&vec![3; LETTERS_DEALT_MAX]).await, Ok(1));
    assert_eq!(bench.redrive(&[4, 3]).await.unwrap_err().code(), Code::DeadLetterNotFound);
    assert_eq!(bench.redriven().await.len(), 3);
    bench.tasks.stop().await;
}

#[tokio::test]
async fn what_is_redriven_is_stored_and_counted_as_what_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    bench.give_up(3, 10).await;
    bench.quota(Resource::Storage, 0);
    let full = bench.redrive(&[]).await.unwrap_err();
    assert_eq!((full.code(), bench.open_letters().await), (Code::SpaceQuota, vec![1, 2, 3]), "{full}");
    // One in a second: the second one is refused, and the first one is not redriven again.
    bench.quota(Resource::Requests, 1);
    let quick = bench.redrive(&[]).await.unwrap_err();
    assert_eq!((quick.code(), bench.open_letters().await), (Code::SpaceRate, vec![2, 3]), "{quick}");
    assert!(quick.hint_text().unwrap().ends_with("1 letter(s) before are redriven and stay so"), "{quick:?}");
    bench.bus.allowance().set(Quotas::unlimited());
    assert_eq!(bench.redrive(&[]).await, Ok(2));
    assert_eq!(bench.redriven().await, ["1", "2", "3"]);
    // A topic that was never there counts as one that begins.
    bench.quota(Resource::Topics, 2);
    let elsewhere = Letter { topic: topic("elsewhere"), ..letter(9) };
    let stored = Stored::new(Event::new("9", "/till", "order.paid"));
    bench.bus.bury(&topic("orders.dead"), &stored, &elsewhere).await.unwrap();
    assert_eq!(bench.redrive(&[]).await.unwrap_err().code(), Code::SpaceQuota);
    bench.tasks.stop().await;
}

#[tokio::test]
async fn large_letters_are_listed_some_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    let bytes = 900_000;
    bench.give_up(9, bytes).await;
    let (mut from, mut pages) = (0, Vec::new());
    loop {
        let page = bench.bus.letters(&topic("orders.dead"), from, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.sequence + 1;
        pages.push(page.iter().map(|letter| letter.sequence).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9]]);
    // Their data is shown in base64.
    let shown = bytes / 3 * 4;
    assert!(3 * shown < LETTERS_LISTED_BYTES_MAX && LETTERS_LISTED_BYTES_MAX < 4 * shown);
    assert_eq!(bench.bus.letters(&topic("orders.dead"), 3, 2).await.unwrap().len(), 2);
    bench.tasks.stop().await;
}

#[tokio::test]
async fn nobody_goes_beyond_the_end_of_a_topic() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    for (events, asked, expected) in [
        (0, StartAt::Sequence(u64::MAX), 1),
        (3, StartAt::Sequence(u64::MAX), 4),
        (0, StartAt::Sequence(4), 4),
        (0, StartAt::Sequence(2), 2),
        (0, StartAt::Sequence(0), 1),
        (0, StartAt::Now, 4),
        (0, StartAt::Beginning, 1),
        (0, StartAt::Time(u64::MAX), 4),
    ] {
        let events = (0..events).map(|n| Stored::new(Event::new(n.to_string(), "/till", "order.paid")));
        if events.len() > 0 {
            bench.bus.publish(&topic("orders"), events.collect(), Durability::Memory).await.unwrap();
        }
        assert_eq!(bench.bus.within(&topic("orders"), asked).await, Ok(expected), "{asked:?}");
    }
    bench.tasks.stop().await;
}

/// Strangers who announce nothing and send a byte, or announce much and send nothing, keep nobody from publishing.
#[tokio::test]
async fn slow_strangers_keep_nobody_from_publishing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path());
    let mut slow = Vec::new();
    for number in 0..100 {
        let (id, client) = (crate::identity::invocation(), Client::of([192, 0, 2, number].into()));
        let first = stream::iter([Ok::<_, Fault>(Frame::data(Bytes::from("{")))]);
        let body = StreamBody::new(futures_util::StreamExt::chain(first, stream::pending())).boxed_unsync();
        let by = Some(Stranger { id, client });
        let (bus, to) = (Arc::clone(&bench.bus), topic("orders"));
        let mut taken =
            Box::pin(async move { bus.take(&to, request(body), None, Durability::Memory, by).await });
        assert!(taken.as_mut().now_or_never().is_none());
        slow.push(taken);
    }
    let whole = request(body::full(r#"{"id":"1","source":"/till","type":"paid","specversion":"1.0"}"#));
    let to = topic("orders");
    let taken = bench.bus.take(&to, whole, None, Durability::Memory, None);
    let taken = tokio::time::timeout(PATIENCE, taken).await.expect("nobody outside is waited for");
    assert_eq!(taken.unwrap().status(), 202);
    bench.tasks.stop().await;
}

fn request(body: body::Body) -> Request<body::Body> {
    Request::post("/").header("content-type", "application/cloudevents+json").body(body).unwrap()
}
