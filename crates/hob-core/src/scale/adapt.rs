//! How many calls at a time one kept instance takes well: found out while it serves.
//!
//! **Why.** A child that gets slower with each further call serves nobody better for taking them all: its queue
//! is inside, where nothing can be refused, shared out or seen.
//!
//! **How.** Calls are looked at in windows of some dozens. A window in which the limit was reached and calls took
//! far longer than in the best recent one is a suspicion. Then fewer are given, as many as the gradient of the
//! latency says (Netflix's concurrency-limits, `Gradient2Limit`), and the next window decides: if as many calls
//! were served as before, the calls had only waited inside, and the lower limit stays. If fewer were, the calls
//! take that long by themselves: the limit goes back, and their time is the new measure. While calls are quick
//! the limit grows again up to the setting.
//!
//! The trial is what keeps a steady function from harm: what is slow by itself loses one window.
//!
//! **Not here:** calls of an instance that takes one at a time; that one is never asked.

use crate::limit::{ADAPT_BEST_KEPT, ADAPT_LATENCY_SLACK, ADAPT_SAMPLES_MIN, ADAPT_WINDOW_MIN};
use crate::unit::millis;

/// What one call tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// How long it had its place, microseconds.
    pub(super) took_us: u64,
    /// When its answer began, after it got its place; `None`: it has none.
    pub(super) answered_us: Option<u64>,
}

/// What is compared with the next window.
#[derive(Clone, Copy, Debug)]
struct Trial {
    limit: u32,
    latency_us: u64,
    rate: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since_ms: u64,
    count: u32,
    sum_us: u64,
    /// The limit was reached.
    full: bool,
}

/// The limit of one instance.
#[derive(Clone, Debug)]
pub(super) struct Adapt {
    most: u32,
    limit: u32,
    /// The best average of a window: since `best_since_ms`, and in the time before that.
    best_us: Option<u64>,
    best_before_us: Option<u64>,
    best_since_ms: u64,
    window: Window,
    trial: Option<Trial>,
    /// Calls whose end says nothing: they began under another limit.
    skipped: u32,
}

impl Adapt {
    /// At first, as many as the setting says.
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            limit: most,
            best_us: None,
            best_before_us: None,
            best_since_ms: 0,
            window: Window::default(),
            trial: None,
            skipped: 0,
        }
    }

    /// Calls at a time.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// The limit has been reached.
    pub(super) fn is_full(&mut self) {
        self.window.full = true;
    }

    /// A call is over.
    pub(super) fn add(&mut self, sample: Sample, now_ms: u64) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let best_us = self.best();
        let latency_us = match sample.answered_us {
            Some(answered_us) => answered_us,
            // Without an answer it says only that an answer takes at least that long.
            None if best_us.is_some_and(|best_us| sample.took_us > best_us) => sample.took_us,
            None => return,
        };
        let window = &mut self.window;
        if window.count == 0 {
            window.since_ms = now_ms;
        }
        window.count += 1;
        window.sum_us = window.sum_us.saturating_add(latency_us);
        let enough = window.count >= ADAPT_SAMPLES_MIN.max(self.limit.saturating_mul(2));
        let passed_ms = now_ms.saturating_sub(window.since_ms);
        if enough && passed_ms >= millis(ADAPT_WINDOW_MIN) {
            let window = std::mem::take(&mut self.window);
            let latency_us = window.sum_us / u64::from(window.count);
            let rate = u64::from(window.count - 1) * 1_000_000 / passed_ms;
            self.judge(latency_us, rate, window.full, now_ms);
        }
    }

    fn best(&self) -> Option<u64> {
        [self.best_us, self.best_before_us].into_iter().flatten().min()
    }

    /// `rate`: calls in 1000 s.
    fn judge(&mut self, latency_us: u64, rate: u64, full: bool, now_ms: u64) {
        let trial = self.trial.take();
        if let Some(trial) = trial.filter(|trial| full && rate * 10 < trial.rate * 9) {
            // Fewer at a time means fewer served: they take that long by themselves.
            (self.limit, self.best_us) = (trial.limit, Some(trial.latency_us));
            self.best_before_us = None;
            return;
        }
        let Some(best_us) = self.best() else { return self.better(latency_us, now_ms) };
        let tolerated_us =
            best_us.saturating_mul(2).max(best_us.saturating_add(millis(ADAPT_LATENCY_SLACK) * 1000));
        if full && latency_us > tolerated_us && self.limit > 1 {
            // Steps that follow each other are compared with the first, so that small losses do not add up.
            let rate = trial.map_or(rate, |trial| trial.rate.max(rate));
            self.trial = Some(Trial { limit: self.limit, latency_us, rate });
            self.skipped = self.limit;
            self.limit = fewer(self.limit, tolerated_us, latency_us);
            return;
        }
        // One call alone waits for no other.
        if self.limit == 1 && latency_us > best_us {
            (self.best_us, self.best_before_us) = (Some(latency_us), None);
        }
        let quick_us = best_us.saturating_add(tolerated_us) / 2;
        if full && self.limit < self.most && latency_us <= quick_us {
            self.limit = self.most.min(self.limit + (self.limit / 4).max(1));
        }
        self.better(latency_us, now_ms);
    }

    /// Remembers the best; forgets one that is old, except while the limit keeps everything from being judged.
    fn better(&mut self, latency_us: u64, now_ms: u64) {
        if self.limit == self.most && now_ms >= self.best_since_ms + millis(ADAPT_BEST_KEPT) {
            (self.best_before_us, self.best_us, self.best_since_ms) = (self.best_us, None, now_ms);
        }
        self.best_us = Some(self.best_us.map_or(latency_us, |best_us| best_us.min(latency_us)));
    }
}

/// The limit times `tolerated / latency`, not below its half, and a fifth less at least: what makes less of a
/// difference cannot be judged.
fn fewer(limit: u32, tolerated_us: u64, latency_us: u64) -> u32 {
    let by_gradient = u64::from(limit).saturating_mul(tolerated_us) / latency_us.max(1);
    let by_gradient = u32::try_from(by_gradient).unwrap_or(limit);
    by_gradient.clamp((limit / 2).max(1), limit - (limit / 5).max(1))
}
