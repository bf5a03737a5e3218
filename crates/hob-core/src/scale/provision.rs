//! How many instances are provisioned at a moment, and when that changes next.
//!
//! **How.** Each entry is a number, always or between the times of two cron expressions: it holds from when the
//! first was due until the second is. Entries overlap freely; the highest number counts.
//!
//! Times are milliseconds since 1970, as in [`crate::schedule`].

use crate::fault::Result;
use crate::schedule::Schedule;
use crate::spec::{During, Provisioned};

/// The provisioned instances of one function.
#[derive(Clone, Debug, Default)]
pub struct Provision {
    entries: Vec<(u32, Option<(Schedule, Schedule)>)>,
}

/// What holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provisioning {
    /// Instances.
    pub count: u32,
    /// When to ask again; `None`: it stays so for ever.
    pub until_ms: Option<u64>,
}

impl Provision {
    /// Reads what a manifest says.
    ///
    /// # Errors
    /// `HOB-0810` for an expression or time zone that cannot be understood.
    pub fn new(provisioned: &[Provisioned]) -> Result<Self> {
        let schedules = |during: &During| -> Result<(Schedule, Schedule)> {
            Ok((Schedule::new(&during.from, &during.zone)?, Schedule::new(&during.to, &during.zone)?))
        };
        let entry = |one: &Provisioned| Ok((one.count, one.during.as_ref().map(schedules).transpose()?));
        Ok(Self { entries: provisioned.iter().map(entry).collect::<Result<_>>()? })
    }

    /// What holds at `now_ms`. Where both ends are due at one moment, the end wins.
    pub fn at(&self, now_ms: u64) -> Provisioning {
        let mut at = Provisioning { count: 0, until_ms: None };
        for (count, during) in &self.entries {
            let Some((from, to)) = during else {
                at.count = at.count.max(*count);
                continue;
            };
            let began = from.last_until(now_ms, 0);
            let holds = began.is_some() && began > to.last_until(now_ms, 0);
            if holds {
                at.count = at.count.max(*count);
            }
            let next = if holds { to.next_after(now_ms, 0) } else { from.next_after(now_ms, 0) };
            at.until_ms = at.until_ms.into_iter().chain(next).min();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::{During, Provision, Provisioned};
    use jiff::Timestamp;

    fn entry(count: u32, during: Option<(&str, &str, &str)>) -> Provisioned {
        let during =
            during.map(|(from, to, zone)| During { from: from.into(), to: to.into(), zone: zone.into() });
        Provisioned { count, during }
    }

    #[test]
    fn holds_between_its_times() {
        let office = entry(10, Some(("0 8 * * 1-5", "0 18 * * 1-5", "Europe/Zurich")));
        let night = entry(4, Some(("0 22 * * *", "0 9 * * *", "UTC")));
        // What is provisioned, the moment, how many there are then, and when that may change.
        let table = [
            (vec![entry(3, None)], "2026-11-26T05:00:00Z", 3, ""),
            (vec![office.clone()], "2026-11-26T06:59:59Z", 0, "2026-11-26T07:00:00Z"),
            (vec![office.clone()], "2026-11-26T07:00:00Z", 10, "2026-11-26T17:00:00Z"),
            (vec![office.clone()], "2026-11-26T17:00:00Z", 0, "2026-11-27T07:00:00Z"),
            // Over the weekend, and in summer time.
            (vec![office.clone()], "2026-11-27T20:00:00Z", 0, "2026-11-30T07:00:00Z"),
            (vec![office.clone()], "2026-07-01T06:00:00Z", 10, "2026-07-01T16:00:00Z"),
            // Over midnight, and the highest of several.
            (vec![night.clone()], "2026-11-26T02:00:00Z", 4, "2026-11-26T09:00:00Z"),
            (vec![entry(1, None), office, night.clone()], "2026-11-26T08:00:00Z", 10, "2026-11-26T09:00:00Z"),
            (vec![entry(5, None), night], "2026-11-26T08:00:00Z", 5, "2026-11-26T09:00:00Z"),
        ];
        for (provisioned, now, count, until) in table {
            let ms = |text: &str| u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap();
            let at = Provision::new(&provisioned).unwrap().at(ms(now));
            let until_ms = (!until.is_empty()).then(|| ms(until));
            assert_eq!((at.count, at.until_ms), (count, until_ms), "{provisioned:?} at {now}");
        }
    }
}
