//! From two looks at a node's counts to what its functions do right now.
//!
//! **Why.** The node keeps counts that only grow. What somebody wants to see is what has come of late, and only
//! while he looks: so a look is compared with an earlier one of the same observer, and nobody else pays.
//!
//! **How.** [`Seen`] is what is counted of one function; [`crate::measure::Window`] says what has come since.
//! [`load`] and [`quantile_ms`] make rates, costs and latencies of that, and [`sort`] puts the rows in order.
//!
//! **Not here:** counting and looking (`hob-node`).

use crate::cost::{Billed, Machine, Money, Sheet, price};
use crate::measure::{Counts, Growing};
use crate::usage::Usage;
use crate::wire::{TopLoad, TopRow, TopSort};
use std::cmp::{Ordering, Reverse};

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// What is counted of one function of one revision since the node started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Calls that came.
    pub came: u64,
    /// Processor time of its instances, microseconds.
    pub cpu_us: u64,
    /// Calls that have ended.
    pub counts: Counts,
    /// What these used.
    pub usage: Usage,
}

impl Growing for Seen {
    fn since(&self, before: &Self) -> Self {
        Self {
            came: self.came.since(&before.came),
            cpu_us: self.cpu_us.since(&before.cpu_us),
            counts: self.counts.since(&before.counts),
            usage: self.usage.since(&before.usage),
        }
    }

    fn add(&mut self, other: &Self) {
        self.came.add(&other.came);
        self.cpu_us.add(&other.cpu_us);
        self.counts.add(&other.counts);
        self.usage += &other.usage;
    }
}

/// Rates of what has come within `span_ms`; without a span there are none. What there is at this moment is the
/// caller's to fill in. The cost is at the prices of `sheet`, unless nobody has said them.
pub fn load(gained: &Seen, span_ms: u64, sheet: &Sheet, machine: Machine) -> TopLoad {
    if span_ms == 0 {
        return TopLoad::default();
    }
    let per_second = |count: u64| number(count) * 1000.0 / number(span_ms);
    let usage = Usage { cpu_us: gained.cpu_us, ..gained.usage };
    let hour = Billed::sum(sheet, &usage).scaled(HOUR_MS, span_ms);
    TopLoad {
        calls_per_second: per_second(gained.came),
        failures_per_second: per_second(gained.counts.failures),
        cold_per_second: per_second(gained.counts.cold),
        cpu: number(gained.cpu_us) / 1000.0 / number(span_ms),
        cost_per_hour: price(sheet, machine, &hour, None).ok().map(|cost| cost.total),
        ..TopLoad::default()
    }
}

/// Adds one function to the sum of all.
pub fn add(total: &mut TopLoad, one: &TopLoad) {
    total.calls_per_second += one.calls_per_second;
    total.failures_per_second += one.failures_per_second;
    total.cold_per_second += one.cold_per_second;
    total.instances += one.instances;
    total.running += one.running;
    total.waiting += one.waiting;
    total.cpu += one.cpu;
    total.memory_bytes = joined(total.memory_bytes, one.memory_bytes, |one, other| one + other);
    total.cost_per_hour = joined(total.cost_per_hour, one.cost_per_hour, |one, other| one + other);
}

fn joined<T>(left: Option<T>, right: Option<T>, with: fn(T, T) -> T) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(with(left, right)),
        (left, right) => left.or(right),
    }
}

/// The time that `per_mille` of the calls did not exceed, milliseconds: within its bucket, calls are taken to
/// lie evenly. `bounds_us` are the upper bounds of the buckets, one fewer than buckets; what is above all of
/// them counts as the last one. `None` without calls.
pub fn quantile_ms(buckets: &[u64], bounds_us: &[u64], per_mille: u64) -> Option<f64> {
    let all: u64 = buckets.iter().sum();
    let wanted = number(all) * number(per_mille) / 1000.0;
    let mut below = 0.0;
    for (place, count) in buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = number(*count);
        if below + count >= wanted {
            let last = bounds_us.last().copied().unwrap_or_default();
            let low = place.checked_sub(1).and_then(|place| bounds_us.get(place)).copied();
            let (low, high) = (low.unwrap_or_default(), bounds_us.get(place).copied().unwrap_or(last));
            let part = (wanted - below) / count;
            return Some((number(low) + part * number(high.saturating_sub(low))) / 1000.0);
        }
        below += count;
    }
    None
}

/// Puts rows in order, the largest first; equal ones by name.
pub fn sort(rows: &mut [TopRow], by: TopSort) {
    rows.sort_by(|left, right| compare(left, right, by).then_with(|| name(left).cmp(&name(right))));
}

fn compare(left: &TopRow, right: &TopRow, by: TopSort) -> Ordering {
    let falling = |of: fn(&TopRow) -> f64| of(right).total_cmp(&of(left));
    match by {
        TopSort::Rate => falling(|row| row.load.calls_per_second),
        TopSort::Errors => falling(|row| row.load.failures_per_second),
        TopSort::Latency => falling(|row| row.p99_ms.unwrap_or_default()),
        TopSort::Instances => right.load.instances.cmp(&left.load.instances),
        TopSort::Queue => right.load.waiting.cmp(&left.load.waiting),
        TopSort::Cpu => falling(|row| row.load.cpu),
        TopSort::Memory => right.load.memory_bytes.cmp(&left.load.memory_bytes),
        TopSort::Cost => {
            let cost = |row: &TopRow| row.load.cost_per_hour.unwrap_or(Money::ZERO);
            cost(right).cmp(&cost(left))
        }
        TopSort::Name => Ordering::Equal,
    }
}

fn name(row: &TopRow) -> impl Ord + '_ {
    (&row.app, &row.function, Reverse(row.revision))
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{Seen, load, quantile_ms, sort};
    use crate::cost::{Machine, Price, Sheet};
    use crate::measure::{Counts, Growing as _};
    use crate::name::{AppName, FunctionName, RevisionNumber};
    use crate::usage::Usage;
    use crate::wire::{TopLoad, TopRow, TopSort};

    const MACHINE: Machine = Machine { cpus: 2, memory_bytes: 4 << 30 };

    #[test]
    fn rates_are_of_the_time_that_was_measured() {
        let seen = |came, failures, cpu_us| Seen {
            came,
            cpu_us,
            counts: Counts { calls: came, failures, cold: 1, times: vec![came], waits: vec![came] },
            usage: Usage { invocations: came, ..Usage::default() },
        };
        let gained = seen(150, 20, 3_000_000).since(&seen(50, 10, 500_000));
        let sheet = Sheet::own(Price::parse("730 EUR").ok());
        let found = load(&gained, 5000, &sheet, MACHINE);
        assert_eq!(
            (found.calls_per_second, found.failures_per_second, found.cold_per_second),
            (20.0, 2.0, 0.0)
        );
        assert!((found.cpu - 0.5).abs() < 1e-9, "2.5 s of a processor in 5 s");
        // One euro an hour, half of it for two processors: half of one of them is an eighth.
        assert_eq!(found.cost_per_hour.unwrap().to_string(), "0.125");
        assert_eq!(load(&gained, 5000, &Sheet::own(None), MACHINE).cost_per_hour, None, "no price, no cost");
        assert_eq!(load(&gained, 0, &sheet, MACHINE), TopLoad::default(), "nothing was measured yet");
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let bounds = [1000, 2000, 5000];
        for (what, buckets, per_mille, expected) in [
            ("half of one bucket", &[10, 0, 0, 0][..], 500, Some(0.5)),
            ("the upper end", &[10, 0, 0, 0], 1000, Some(1.0)),
            ("in the second", &[5, 10, 0, 0], 666, Some(1.5)),
            ("above all bounds", &[1, 0, 0, 99], 990, Some(5.0)),
            ("no calls", &[0, 0, 0, 0], 500, None),
            ("nothing", &[], 500, None),
        ] {
            let found = quantile_ms(buckets, &bounds, per_mille);
            let near = found.zip(expected).map(|(found, expected)| (found - expected).abs() < 0.01);
            assert!(near.unwrap_or(found == expected), "{what}: {found:?}");
        }
    }

    #[test]
    fn rows_are_ordered_by_what_is_asked_and_then_by_name() {
        let row = |function: &str, revision, rate, waiting, memory_bytes| TopRow {
            app: AppName::new("shop").unwrap(),
            function: FunctionName::new(function).unwrap(),
            revision: RevisionNumber(revision),
            current: true,
            load: TopLoad { calls_per_second: rate, waiting, memory_bytes, ..TopLoad::default() },
            p50_ms: None,
            p99_ms: Some(rate),
            memory_bytes_max: 0,
        };
        let mut rows = vec![
            row("b", 1, 1.0, 9, None),
            row("a", 1, 1.0, 0, Some(7)),
            row("a", 2, 0.5, 0, Some(8)),
            row("c", 1, 3.0, 0, None),
        ];
        for (by, expected) in [
            (TopSort::Rate, "c1 a1 b1 a2"),
            (TopSort::Latency, "c1 a1 b1 a2"),
            (TopSort::Queue, "b1 a2 a1 c1"),
            (TopSort::Memory, "a2 a1 b1 c1"),
            (TopSort::Name, "a2 a1 b1 c1"),
            (TopSort::Errors, "a2 a1 b1 c1"),
        ] {
            sort(&mut rows, by);
            let found: Vec<String> =
                rows.iter().map(|row| format!("{}{}", row.function, row.revision)).collect();
            assert_eq!(found.join(" "), expected, "{by:?}");
        }
    }
}
