//! Where the results of asynchronous calls are: an index of the newest, by their secret.

use super::{Message, results_topic};
use crate::bus::Bus;
use crate::sync::lock;
use hob_core::fault::Result;
use hob_core::limit::ASYNC_RESULTS_MAX;
use hob_core::name::AppName;
use hob_core::port::ReadLimit;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

/// Records that are read at a time when the index is made.
const PAGE: ReadLimit = ReadLimit { records: 1024, bytes: 4 << 20 };

/// The results of every app that somebody has asked for, or that has had one since the start.
pub(super) struct Results {
    bus: Arc<Bus>,
    apps: Mutex<HashMap<AppName, Arc<Index>>>,
}

/// The results of one app.
#[derive(Default)]
struct Index {
    /// Whether what was there before the start has been read.
    whole: OnceCell<()>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    places: HashMap<u128, u64>,
    /// The same in the order in which they came.
    order: VecDeque<u128>,
}

impl Known {
    fn add(&mut self, secret: u128, sequence: u64) {
        if self.places.insert(secret, sequence).is_none() {
            self.order.push_back(secret);
        }
        if self.order.len() > ASYNC_RESULTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
    }
}

impl Results {
    pub(super) fn new(bus: Arc<Bus>) -> Self {
        Self { bus, apps: Mutex::default() }
    }

    /// A result was published.
    pub(super) fn add(&self, app: &AppName, secret: &str, sequence: u64) {
        if let Some(secret) = number(secret) {
            lock(&self.index(app).known).add(secret, sequence);
        }
    }

    /// A result, its place before it and when it came behind it, if it is there.
    ///
    /// # Errors
    /// Those of the log.
    pub(super) async fn find(&self, app: &AppName, secret: &str) -> Result<Option<(u64, Message, u64)>> {
        let Some(secret) = number(secret) else { return Ok(None) };
        let index = self.index(app);
        let known = lock(&index.known).places.get(&secret).copied();
        let sequence = match known {
            Some(sequence) => Some(sequence),
            None => {
                index.whole.get_or_try_init(|| self.read(app, &index)).await?;
                lock(&index.known).places.get(&secret).copied()
            }
        };
        let Some(sequence) = sequence else { return Ok(None) };
        let placed = self.bus.event(&results_topic(app), sequence).await?;
        Ok(placed.and_then(|placed| Some((sequence, Message::of(&placed)?, placed.published_ms))))
    }

    /// Reads what was there before the node started.
    async fn read(&self, app: &AppName, index: &Index) -> Result<()> {
        let (topic, mut from) = (results_topic(app), 0);
        loop {
            let page = self.bus.read(&topic, from, PAGE).await?;
            if page.is_end(from) {
                return Ok(());
            }
            from = page.next;
            let mut known = lock(&index.known);
            for placed in page.events {
                let secret = placed.stored.event.id.split('.').next();
                if let Some(secret) = secret.and_then(number) {
                    known.add(secret, placed.sequence);
                }
            }
        }
    }

    fn index(&self, app: &AppName) -> Arc<Index> {
        Arc::clone(lock(&self.apps).entry(app.clone()).or_default())
    }
}

fn number(secret: &str) -> Option<u128> {
    u128::from_str_radix(secret, 16).ok()
}
