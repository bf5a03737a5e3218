//! What apps used, added up by the hour and kept in the control state.
//!
//! **How.** Every minute, and when the node stops, what the meters gained since the last time is added to the rows
//! of this hour, in one commit. What could not be written is added the next time. Stored bytes are looked
//! at each time, and count for the time since the last look. Once a day, hours that are old become days.
//!
//! ```text
//! usage/hour/<day>/<hour>/<app>     usage/day/<day>/<app>     the node itself: `-` instead of an app
//! ```
//!
//! **Invariants.** Nothing is counted twice: what is gained from the meters is in the rows or waits to be, and
//! only this module writes them. A kill of the node loses at most what was gained since the last minute.
//!
//! **Not here:** what use is, and how long it is kept ([`hob_core::usage`]); counting ([`crate::telemetry`]).

mod stored;

use crate::bus::Bus;
use crate::bus::position::{load, read, write};
use crate::clock::now_ms;
use crate::live::Live;
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use hob_core::fault::Result;
use hob_core::limit::{USAGE_FLUSH_EVERY, USAGE_WRITES_MAX};
use hob_core::name::AppName;
use hob_core::port::{Expect, State, Write};
use hob_core::usage::{By, Keep, Period, Rows, Usage, Whose, keep, select};
use hob_core::wire::{UsageQuery, UsageReport, UsageRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Whose rows they are: an hour or day, and an app or the node itself.
type Page = (Period, Option<AppName>);

/// The usage of one node.
pub(crate) struct UsageBook {
    state: Arc<dyn State>,
    telemetry: Arc<Telemetry>,
    live: Arc<Live>,
    bus: Arc<Bus>,
    open: Mutex<Open>,
}

/// What is not written yet.
struct Open {
    rows: BTreeMap<Page, Rows>,
    /// Until when stored bytes are counted.
    looked: Instant,
    /// The day on which old hours were looked for last.
    rolled: Option<Period>,
}

impl UsageBook {
    /// Begins to add up.
    pub(crate) fn start(
        state: Arc<dyn State>,
        telemetry: Arc<Telemetry>,
        live: &Arc<Live>,
        bus: &Arc<Bus>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let open = Open { rows: BTreeMap::new(), looked: Instant::now(), rolled: None };
        let book = Arc::new(Self {
            state,
            telemetry,
            live: Arc::clone(live),
            bus: Arc::clone(bus),
            open: Mutex::new(open),
        });
        let keeper = Arc::clone(&book);
        tasks.start("usage", async move {
            loop {
                tokio::time::sleep(USAGE_FLUSH_EVERY).await;
                keeper.keep(now_ms()).await;
            }
        });
        book
    }

    /// Writes what was used so far, and lets what is old become less.
    pub(crate) async fn keep(&self, now_ms: u64) {
        let mut open = self.open.lock().await;
        if let Err(fault) = self.write(&mut open, now_ms).await {
            tracing::warn!(%fault, "what was used is kept in memory for now: it could not be written");
            return;
        }
        let today = Some(Period::hour_of(now_ms).day());
        if open.rolled == today {
            return;
        }
        match self.roll(now_ms).await {
            Ok(()) => open.rolled = today,
            Err(fault) => tracing::warn!(%fault, "old hours of usage could not be added up"),
        }
    }

    /// Adds up what the question asks for, until now.
    ///
    /// # Errors
    /// `HOB-0704` for a question that cannot be understood, `HOB-06xx` when the store cannot be read.
    pub(crate) async fn report(&self, asked: &UsageQuery) -> Result<UsageReport> {
        let by = By::parse(asked.by.as_deref().unwrap_or_default())?;
        let now_ms = now_ms();
        let (since_ms, until_ms) = (asked.since_ms.unwrap_or_default(), asked.until_ms.unwrap_or(u64::MAX));
        let mut open = self.open.lock().await;
        self.gather(&mut open, now_ms).await;
        let mut pages = self.pages(since_ms, now_ms).await?;
        pages.extend(open.rows.iter().map(|(page, rows)| (page.clone(), rows.clone())));
        drop(open);
        pages.retain(|((period, app), _)| {
            let wanted = asked.app.is_none() || *app == asked.app;
            wanted && period.end_ms() > since_ms && period.start_ms() < until_ms
        });
        let first_ms = pages.iter().map(|((period, _), _)| period.start_ms()).min();
        let entries = pages.iter().map(|((period, app), rows)| (*period, app.as_ref(), rows));
        let sums = select(entries, by, since_ms, until_ms);
        let mut total = Usage::default();
        sums.values().for_each(|usage| total += usage);
        let rows = sums.into_iter().map(|(part, usage)| UsageRow {
            app: part.app,
            function: part.whose.function,
            revision: part.whose.revision,
            trigger: part.whose.trigger,
            start_ms: part.start_ms,
            usage,
        });
        let last_ms = until_ms.min(now_ms);
        Ok(UsageReport {
            since_ms: first_ms.unwrap_or_else(|| since_ms.min(last_ms)),
            until_ms: last_ms,
            total,
            rows: rows.collect(),
        })
    }

    /// Takes over what was used since the last time.
    async fn gather(&self, open: &mut Open, now_ms: u64) {
        let hour = Period::hour_of(now_ms);
        for (app, whose, usage) in self.telemetry.meters().gains() {
            open.rows.entry((hour, Some(app))).or_default().add(&whose, &usage);
        }
        // Whole seconds; the rest counts the next time.
        let seconds = open.looked.elapsed().as_secs();
        if seconds == 0 {
            return;
        }
        match stored::bytes(&self.live, &self.bus).await {
            Ok(stored) => {
                open.looked += std::time::Duration::from_secs(seconds);
                for (app, bytes) in stored {
                    let stored_kib_s = bytes.div_ceil(1024).saturating_mul(seconds);
                    let usage = Usage { stored_kib_s, ..Usage::default() };
                    open.rows.entry((hour, app)).or_default().add(&Whose::default(), &usage);
                }
            }
            Err(fault) => tracing::warn!(%fault, "stored bytes cannot be measured"),
        }
    }

    /// Adds what waits to what is stored; what is written waits no more.
    async fn write(&self, open: &mut Open, now_ms: u64) -> Result<()> {
        self.gather(open, now_ms).await;
        open.rows.retain(|_, rows| !rows.is_empty());
        while !open.rows.is_empty() {
            let some: Vec<Page> = open.rows.keys().take(USAGE_WRITES_MAX).cloned().collect();
            let mut writes = Vec::with_capacity(some.len());
            for page in &some {
                writes.push(self.added(page, &open.rows[page]).await?);
            }
            self.state.commit(writes).await?;
            for page in &some {
                open.rows.remove(page);
            }
        }
        Ok(())
    }

    /// The write that adds rows to a page.
    async fn added(&self, page: &Page, more: &Rows) -> Result<Write> {
        let key = key(page);
        let stored: Option<(Rows, u64)> = load(&*self.state, &key).await?;
        let (mut rows, version) =
            stored.map_or_else(|| (Rows::default(), None), |(rows, version)| (rows, Some(version)));
        rows.merge(more);
        write(key, &rows, version)
    }

    /// Adds old hours to their days, and removes what is older still.
    async fn roll(&self, now_ms: u64) -> Result<()> {
        let mut days: BTreeMap<Page, (Rows, Vec<Write>)> = BTreeMap::new();
        let mut gone = Vec::new();
        for (key, entry) in self.state.scan(PREFIX).await? {
            let Some(page) = page(&key) else { continue };
            let removed = Write { key: key.clone(), expect: Expect::Version(entry.version), value: None };
            match keep(page.0, now_ms) {
                Keep::AsIs => {}
                Keep::Not => gone.push(removed),
                Keep::InDay(day) => {
                    let (rows, writes) = days.entry((day, page.1)).or_default();
                    rows.merge(&read(&key, &entry.value)?);
                    writes.push(removed);
                }
            }
        }
        for (page, (rows, mut writes)) in days {
            writes.push(self.added(&page, &rows).await?);
            self.state.commit(writes).await?;
        }
        for some in gone.chunks(USAGE_WRITES_MAX) {
            self.state.commit(some.to_vec()).await?;
        }
        Ok(())
    }

    /// What is stored of periods that can be over after `since_ms`.
    async fn pages(&self, since_ms: u64, now_ms: u64) -> Result<Vec<(Page, Rows)>> {
        let (first, today) = (Period::hour_of(since_ms).day(), Period::hour_of(now_ms).day());
        // Few days are asked for often; of many it is cheaper to read everything.
        let prefixes: Vec<String> = match (first, today) {
            (Period::Day(first), Period::Day(today)) if today.saturating_sub(first) <= DAYS_READ_APART => {
                let hours = (first..=today).map(|day| format!("{HOURS}{day:05}/"));
                hours.chain([DAYS.to_owned()]).collect()
            }
            _ => vec![PREFIX.to_owned()],
        };
        let mut pages = Vec::new();
        for prefix in prefixes {
            for (key, entry) in self.state.scan(&prefix).await? {
                if let Some(page) = page(&key) {
                    pages.push((page, read(&key, &entry.value)?));
                }
            }
        }
        Ok(pages)
    }
}

/// Days of which the hours are read day by day.
const DAYS_READ_APART: u64 = 14;
const PREFIX: &str = "usage/";
const HOURS: &str = "usage/hour/";
const DAYS: &str = "usage/day/";
/// Stands for the node itself where an app's name would; no app can have it.
const NODE: &str = "-";

fn key((period, app): &Page) -> String {
    let app = app.as_ref().map_or(NODE, AppName::as_str);
    match (period, period.day()) {
        (Period::Hour(hour), Period::Day(day)) => format!("{HOURS}{day:05}/{hour:08}/{app}"),
        (Period::Day(day) | Period::Hour(day), _) => format!("{DAYS}{day:05}/{app}"),
    }
}

/// What a key is of; `None` for one that this version does not know.
fn page(key: &str) -> Option<Page> {
    let (rest, app) = key.rsplit_once('/')?;
    let app = if app == NODE { None } else { Some(AppName::new(app).ok()?) };
    let period = if let Some(hour) = rest.strip_prefix(HOURS) {
        Period::Hour(hour.split_once('/')?.1.parse().ok()?)
    } else {
        Period::Day(rest.strip_prefix(DAYS)?.parse().ok()?)
    };
    Some((period, app))
}

#[cfg(test)]
mod tests;
