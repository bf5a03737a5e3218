//! What a worker may do on its control connection, and when it is looked at: a decision, without a clock.
//!
//! **How.** While somebody waits for the worker it is asked now and then whether it is there ([`Watch::is_close`]);
//! else there is only a look at its memory. Whoever is silent, or takes no orders, is so at two looks one after the other
//! before it is ended: a node that stood still itself reads and sends in between.
//!
//! **Invariants.** What a worker may say is counted: one answer to each question, and so many notices a second.

use crate::environment::Supervision;
use crate::worker::wire::{Broken, Kind};
use hob_core::limit::{
    WORKER_BACKLOG_MAX, WORKER_LOOK_INTERVAL, WORKER_TOTALS_BURST, WORKER_TOTALS_PER_SECOND,
};
use hob_core::unit::show_duration;
use std::time::{Duration, Instant};

/// What is known of a worker's ways.
pub(super) struct Watch {
    ping_interval: Duration,
    silence_max: Duration,
    /// Somebody waits for it.
    close: bool,
    next: Instant,
    looked: Instant,
    /// It was asked whether it is there, and has said nothing since.
    asked: bool,
    heard: Instant,
    /// Since when an order waits for which it has no room.
    held_back: Option<Instant>,
    /// Since when there was always one that waited.
    backlog: Option<Instant>,
    /// It was found silent, or without room, at the last look.
    suspect: bool,
    /// Questions that it has not answered.
    pings: u64,
    /// Notices that it may send.
    totals_left: u64,
}

impl Watch {
    /// It has just begun.
    pub(super) fn new(supervision: Supervision, now: Instant) -> Self {
        Self {
            ping_interval: supervision.ping_interval,
            silence_max: supervision.silence_max,
            close: false,
            next: now + WORKER_LOOK_INTERVAL,
            looked: now,
            asked: false,
            heard: now,
            held_back: None,
            backlog: None,
            suspect: false,
            pings: 0,
            totals_left: WORKER_TOTALS_BURST,
        }
    }

    /// When it is looked at next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Whether it is looked at often.
    pub(super) fn is_close(&self) -> bool {
        self.close
    }

    /// Somebody begins to wait for it.
    pub(super) fn come_close(&mut self, now: Instant) {
        self.close = true;
        self.next = self.next.min(now + self.ping_interval);
    }

    /// A look at it, while somebody waits for it or nobody does: whether it is asked.
    ///
    /// # Errors
    /// Why it has to be ended.
    pub(super) fn look(&mut self, now: Instant, waited: bool) -> Result<bool, String> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let more = since(self.looked).as_millis() * u128::from(WORKER_TOTALS_PER_SECOND) / 1000;
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.totals_left = self.totals_left.saturating_add(more).min(WORKER_TOTALS_BURST);
        self.looked = now;
        let silent = waited && self.asked && since(self.heard) >= self.silence_max;
        let full = self.held_back.is_some_and(|then| since(then) >= self.silence_max)
            || self.backlog.is_some_and(|then| since(then) >= WORKER_BACKLOG_MAX);
        if self.suspect && full {
            return Err("it takes no orders".to_owned());
        }
        if self.suspect && silent {
            return Err(format!("it was silent for {}", show_duration(since(self.heard))));
        }
        self.suspect = silent || full;
        self.close = waited;
        let often = waited || self.backlog.is_some();
        self.next = now + if often { self.ping_interval } else { WORKER_LOOK_INTERVAL };
        if waited && !self.asked {
            self.heard = now;
        }
        self.asked = waited;
        Ok(waited)
    }

    /// It was asked whether it is there.
    pub(super) fn pinged(&mut self) {
        self.pings += 1;
    }

    /// It has no room for an order, or not for all of it.
    pub(super) fn held_back(&mut self, now: Instant) {
        self.held_back.get_or_insert(now);
        self.backlog.get_or_insert(now);
        self.next = self.next.min(now + self.ping_interval);
    }

    /// An order has gone; whether it was the last that waited.
    pub(super) fn sent(&mut self, last: bool) {
        self.held_back = None;
        if last {
            self.backlog = None;
        }
    }

    /// It says something.
    ///
    /// # Errors
    /// When nobody has asked for that, or it says more than any sound one does.
    pub(super) fn heard(&mut self, kind: Kind, now: Instant) -> Result<(), Broken> {
        (self.asked, self.heard) = (false, now);
        match kind {
            Kind::Pong => {
                const UNASKED: Broken = Broken("an answer that nobody has asked for");
                self.pings = self.pings.checked_sub(1).ok_or(UNASKED)?;
            }
            Kind::Totals => {
                const MANY: Broken = Broken("more notices than there is time for");
                self.totals_left = self.totals_left.checked_sub(1).ok_or(MANY)?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Kind, Supervision, WORKER_LOOK_INTERVAL, WORKER_TOTALS_BURST, WORKER_TOTALS_PER_SECOND, Watch,
    };
    use std::time::{Duration, Instant};

    fn watch() -> (Watch, Instant) {
        let (ping_interval, silence_max) = (Duration::from_secs(1), Duration::from_secs(15));
        let now = Instant::now();
        (Watch::new(Supervision { ping_interval, silence_max, ..Supervision::default() }, now), now)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_is_silent_at_two_looks_is_ended() {
        let (mut watch, begun) = watch();
        assert_eq!(watch.next(), begun + WORKER_LOOK_INTERVAL);
        watch.come_close(begun);
        assert_eq!(watch.next(), begun + SECOND);
        for second in 1..=16 {
            assert_eq!(watch.look(begun + second * SECOND, true), Ok(true), "{second}");
        }
        assert_eq!(watch.look(begun + 17 * SECOND, true), Err("it was silent for 16s".to_owned()));
    }

    /// A node that stood still finds what a sound worker has said meanwhile after its first look.
    #[test]
    fn who_speaks_after_the_node_stood_still_is_not_ended() {
        let (mut watch, begun) = watch();
        assert_eq!(watch.look(begun, true), Ok(true));
        watch.pinged();
        watch.held_back(begun);
        let late = begun + 100 * SECOND;
        assert_eq!(watch.look(late, true), Ok(true));
        assert_eq!(watch.heard(Kind::Pong, late), Ok(()));
        watch.sent(true);
        assert_eq!(watch.look(late + SECOND, true), Ok(true));
        assert_eq!(watch.look(late + 2 * SECOND, false), Ok(false));
        assert_eq!(watch.next(), late + 2 * SECOND + WORKER_LOOK_INTERVAL);
    }

    #[test]
    fn who_takes_no_orders_is_ended_though_it_speaks() {
        let (mut watch, begun) = watch();
        watch.held_back(begun);
        assert_eq!(watch.next(), begun + SECOND);
        for second in 1..=15 {
            assert_eq!(watch.look(begun + second * SECOND, false), Ok(false), "{second}");
            assert_eq!(watch.heard(Kind::Totals, begun + second * SECOND), Ok(()));
        }
        assert_eq!(watch.look(begun + 16 * SECOND, false), Err("it takes no orders".to_owned()));
    }

    #[test]
    fn who_takes_an_order_now_and_then_has_a_minute() {
        for empty in [false, true] {
            let (mut watch, begun) = watch();
            for second in 0..=60 {
                let now = begun + second * SECOND;
                watch.sent(empty);
                watch.held_back(now);
                assert_eq!(watch.look(now, false), Ok(false), "{second}");
            }
            assert_eq!(watch.look(begun + 61 * SECOND, false).is_ok(), empty);
        }
    }

    #[test]
    fn what_is_said_is_counted() {
        let (mut watch, begun) = watch();
        assert!(watch.heard(Kind::Pong, begun).is_err(), "nobody has asked");
        watch.pinged();
        assert_eq!(watch.heard(Kind::Pong, begun), Ok(()));
        assert!(watch.heard(Kind::Pong, begun).is_err(), "once");
        // What a worker has said while the node stood still comes at once.
        for _ in 0..WORKER_TOTALS_BURST {
            assert_eq!(watch.heard(Kind::Totals, begun), Ok(()));
        }
        assert!(watch.heard(Kind::Totals, begun).is_err(), "too many");
        assert_eq!(watch.look(begun + SECOND, true), Ok(true));
        for _ in 0..WORKER_TOTALS_PER_SECOND {
            assert_eq!(watch.heard(Kind::Totals, begun + SECOND), Ok(()), "a new second");
        }
        assert!(watch.heard(Kind::Totals, begun + SECOND).is_err(), "no more than a second's");
    }
}
