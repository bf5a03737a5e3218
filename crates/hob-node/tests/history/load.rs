//! Clients that publish, call, and write down what they know of it.
//!
//! **How.** A client does one thing after the other, so that its events have an order. After an unknown
//! outcome it never uses the batch's keys again: what comes late must not look like a wrong order.

use crate::child::Place;
use crate::history::{Call, Kind, Outcome, Sent};
use crate::random::{Random, character};
use crate::sink::{APP, TOPIC, checksum};
use crate::support::{Got, exchange};
use bytes::Bytes;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// After this a client knows nothing of its request.
const ANSWER: Duration = Duration::from_secs(20);
/// Keys of one client at a time.
const KEYS: usize = 4;
/// Events that a client may publish again.
const REMEMBERED: usize = 64;
/// Answers that promise that nothing was stored: the disk is full, the topic is.
const REFUSALS: [&str; 2] = ["HOB-0604", "HOB-0804"];

/// What clients send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Events of one batch at most.
    pub(crate) batch: u64,
    /// Bytes of the data of most events, at most.
    pub(crate) bytes: u64,
    /// Whether there are asynchronous calls too.
    pub(crate) calls: bool,
}

impl Default for Mix {
    fn default() -> Self {
        Self { batch: 20, bytes: 300, calls: true }
    }
}

/// All clients of a test, over all rounds.
pub(crate) struct Load {
    pub(crate) clients: Vec<Client>,
    /// Acknowledged events.
    pub(crate) acked: Cell<u64>,
    /// Clients end what they do, and nothing more.
    pub(crate) stop: Cell<bool>,
}

impl Load {
    pub(crate) fn new(clients: u64, seed: u64, mix: Mix) -> Self {
        let clients = (0..clients).map(|number| Client::new(number, seed, mix)).collect();
        Self { clients, acked: Cell::new(0), stop: Cell::new(false) }
    }

    /// Lets all clients work until the node is gone or they are told to stop, while `meanwhile` goes on.
    /// It is given what counts acknowledged events, and what stops the clients.
    pub(crate) async fn run<T>(
        &mut self,
        place: &Place,
        meanwhile: impl AsyncFnOnce(&Cell<u64>, &Cell<bool>) -> T,
    ) -> T {
        let Self { clients, acked, stop } = self;
        stop.set(false);
        let work = clients.iter_mut().map(|client| client.work(place, acked, stop));
        let meanwhile = async {
            let done = meanwhile(acked, stop).await;
            stop.set(true);
            done
        };
        tokio::join!(futures_util::future::join_all(work), meanwhile).1
    }

    /// Codes of all answers that were no acknowledgement, and how often they came.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (code, count) in self.clients.iter().flat_map(|client| &client.refused) {
            *all.entry(code.clone()).or_default() += count;
        }
        all
    }
}

/// An event to publish.
#[derive(Clone)]
struct Planned {
    id: String,
    n: u64,
    key: String,
    kind: Kind,
    data: String,
}

/// One client.
pub(crate) struct Client {
    number: u64,
    random: Random,
    mix: Mix,
    n: u64,
    /// The generation of each key.
    generations: [u64; KEYS],
    /// What is published once more, since nobody knows whether it is there.
    again: Option<Vec<Planned>>,
    /// The last acknowledged events.
    remembered: Vec<Planned>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) calls: Vec<Call>,
    pub(crate) calls_unknown: u64,
    refused: BTreeMap<String, u64>,
}

impl Client {
    fn new(number: u64, seed: u64, mix: Mix) -> Self {
        let random = Random(seed ^ (number + 1).wrapping_mul(0x5851_f42d_4c95_7f2d));
        Self {
            number,
            random,
            mix,
            n: 0,
            generations: [0; KEYS],
            again: None,
            remembered: Vec::new(),
            sent: Vec::new(),
            calls: Vec::new(),
            calls_unknown: 0,
            refused: BTreeMap::new(),
        }
    }

    async fn work(&mut self, place: &Place, acked: &Cell<u64>, stop: &Cell<bool>) {
        while !stop.get() {
            let goes_on = if self.mix.calls && self.random.once_in(16) {
                self.call(place).await
            } else {
                let batch = self.batch();
                self.publish(place, batch, acked).await
            };
            if !goes_on {
                return;
            }
        }
    }

    /// What to publish next: something new, something doubtful, or something for the second time.
    fn batch(&mut self) -> Vec<Planned> {
        if let Some(again) = self.again.take() {
            return again;
        }
        if self.random.once_in(12) && !self.remembered.is_empty() {
            let at = self.random.below(self.remembered.len() as u64);
            return vec![self.remembered[usize::try_from(at).unwrap()].clone()];
        }
        let count = if self.random.once_in(2) { 1 } else { 1 + self.random.below(self.mix.batch) };
        (0..count).map(|_| self.plan()).collect()
    }

    fn plan(&mut self) -> Planned {
        self.n += 1;
        let key = usize::try_from(self.random.below(KEYS as u64)).unwrap();
        let kind = match self.random.below(400) {
            0 => Kind::Poison,
            1..=10 => Kind::Once,
            _ => Kind::Good,
        };
        let most = if self.random.once_in(50) { 20_000 } else { self.mix.bytes };
        let length = self.random.below(most + 1);
        let data = (0..length).map(|_| character(&mut self.random, b' ', 95)).collect();
        Planned {
            id: format!("c{}-{}", self.number, self.n),
            n: self.n,
            key: format!("k{}-{key}-{}", self.number, self.generations[key]),
            kind,
            data,
        }
    }

    /// Publishes; false when there is no node.
    async fn publish(&mut self, place: &Place, batch: Vec<Planned>, acked: &Cell<u64>) -> bool {
        let events: Vec<Value> = batch.iter().map(event).collect();
        let body = Value::from(events).to_string();
        let headers = [("content-type", "application/cloudevents-batch+json")];
        let answer = if self.random.once_in(3) {
            send(place, "POST", "/in", &headers, body).await
        } else {
            control(place, "POST", &format!("/v1/topics/{TOPIC}/events"), &headers, body).await
        };
        let Some(answer) = answer else { return false };
        let outcomes = self.outcomes(&answer, batch.len());
        for (planned, outcome) in batch.iter().zip(&outcomes) {
            self.sent.push(Sent {
                id: planned.id.clone(),
                n: planned.n,
                key: planned.key.clone(),
                checksum: checksum(planned.data.as_bytes()),
                kind: planned.kind,
                outcome: *outcome,
            });
        }
        match outcomes.first() {
            Some(Outcome::Ok { .. }) => {
                let new =
                    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Ok { duplicate: false, .. }));
                acked.set(acked.get() + new.count() as u64);
                self.remembered.extend(batch);
                let surplus = self.remembered.len().saturating_sub(REMEMBERED);
                self.remembered.drain(..surplus);
            }
            Some(Outcome::Unknown) => {
                self.generations.iter_mut().for_each(|generation| *generation += 1);
                self.again = Some(batch).filter(|_| self.random.once_in(2));
            }
            _ => {}
        }
        answer.is_ok()
    }

    fn outcomes(&mut self, answer: &Answer, count: usize) -> Vec<Outcome> {
        let Ok(got) = answer else { return vec![Outcome::Unknown; count] };
        if got.status == 202 {
            let places: Vec<Value> = serde_json::from_str(&got.body).unwrap();
            assert_eq!(places.len(), count, "{got:?}");
            let ok = |place: &Value| Outcome::Ok {
                sequence: place["sequence"].as_u64().unwrap(),
                duplicate: place["duplicate"].as_bool().unwrap(),
            };
            return places.iter().map(ok).collect();
        }
        self.refuse(got);
        let fails = REFUSALS.contains(&got.header("hob-error"));
        vec![if fails { Outcome::Fail } else { Outcome::Unknown }; count]
    }

    fn refuse(&mut self, got: &Got) {
        let code = got.header("hob-error");
        let code = if code.is_empty() { got.status.to_string() } else { code.to_owned() };
        *self.refused.entry(code).or_default() += 1;
    }

    /// Calls the function asynchronously; false when there is no node.
    async fn call(&mut self, place: &Place) -> bool {
        self.n += 1;
        let body = format!("call {} of client {}", self.n, self.number);
        let checksum = checksum(body.as_bytes());
        let Some(answer) = send(place, "POST", "/work", &[("prefer", "respond-async")], body).await else {
            return false;
        };
        match &answer {
            Ok(got) if got.status == 202 => {
                let id = got.header("hob-call-id").to_owned();
                self.calls.push(Call { id, checksum, results: Vec::new() });
            }
            Ok(got) => {
                self.refuse(got);
                self.calls_unknown += 1;
            }
            Err(_) => self.calls_unknown += 1,
        }
        answer.is_ok()
    }
}

fn event(planned: &Planned) -> Value {
    json!({
        "specversion": "1.0", "id": planned.id, "source": "/history", "type": planned.kind.name(),
        "partitionkey": planned.key, "datacontenttype": "text/plain", "data": planned.data,
    })
}

/// An answer, or why nobody knows what became of the request.
pub(crate) type Answer = Result<Got, String>;

/// A request to the control API; `None`: nobody listens.
pub(crate) async fn control(
    place: &Place,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<Answer> {
    let stream = UnixStream::connect(&place.control).await.ok()?;
    let all = [&[("host", "localhost")], headers].concat();
    Some(known(timeout(ANSWER, exchange(stream, method, path, &all, body.into())).await))
}

/// A request to the app; `None`: nobody listens.
pub(crate) async fn send(
    place: &Place,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<Answer> {
    let stream = TcpStream::connect(place.gateway).await.ok()?;
    let host = format!("{APP}.localhost");
    let all = [&[("host", host.as_str())], headers].concat();
    Some(known(timeout(ANSWER, exchange(stream, method, path, &all, body.into())).await))
}

fn known<T: std::fmt::Display, U: std::fmt::Display>(answer: Result<Result<Got, T>, U>) -> Answer {
    match answer {
        Ok(Ok(got)) => Ok(got),
        Ok(Err(error)) => Err(error.to_string()),
        Err(late) => Err(late.to_string()),
    }
}
