//! How long things took: a distribution as bars on a scale that doubles, and the usual shares.

use super::text::{count, counted, took};
use maud::{Markup, html};

/// A distribution of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Histogram {
    /// From this many microseconds on (to twice as many), and how many there were.
    pub(in crate::dashboard) buckets: Vec<(u64, u64)>,
    /// Of 100 and so many took at most this long, microseconds.
    pub(in crate::dashboard) shares: [(u8, u64); 3],
    /// How many there were.
    pub(in crate::dashboard) total: u64,
}

/// The distribution of these times; `None` without any.
pub(in crate::dashboard) fn histogram(mut times_us: Vec<u64>) -> Option<Histogram> {
    times_us.sort_unstable();
    let (first, last) = (*times_us.first()?, *times_us.last()?);
    let bucket = |us: u64| 1u64 << us.max(1).ilog2();
    let mut buckets = Vec::new();
    let mut from = bucket(first);
    while from <= bucket(last) {
        let many = times_us.iter().filter(|us| bucket(**us) == from).count();
        buckets.push((from, many as u64));
        let Some(next) = from.checked_mul(2) else { break };
        from = next;
    }
    let share = |percent: u8| {
        let rank = (times_us.len() * usize::from(percent)).div_ceil(100).max(1);
        (percent, times_us[rank - 1])
    };
    Some(Histogram { buckets, shares: [share(50), share(95), share(99)], total: times_us.len() as u64 })
}

/// The picture of a distribution, with its numbers as text.
pub(in crate::dashboard) fn picture(name: &str, times_us: Vec<u64>, nothing: &str) -> Markup {
    let Some(histogram) = histogram(times_us) else {
        return html! { figure class="histogram" { figcaption { (name) } p class="muted" { (nothing) } } };
    };
    let most = histogram.buckets.iter().map(|(_, many)| *many).max().unwrap_or(1).max(1);
    let width = 600 / histogram.buckets.len().max(1);
    html! {
        figure class="histogram" {
            figcaption { (name) " " span class="muted" { (counted(histogram.total, "call")) } }
            dl class="shares" {
                @for (percent, us) in histogram.shares { div { dt { "p" (percent) } dd { (took(us)) } } }
            }
            svg viewBox="0 0 600 96" preserveAspectRatio="none" aria-hidden="true" {
                @for (at, (_, many)) in histogram.buckets.iter().enumerate() {
                    @let height = (many * 90 / most).max(u64::from(*many > 0) * 2);
                    rect class="bar run" x=(at * width + 1) y=(94 - height) width=(width.saturating_sub(2).max(1))
                        height=(height) rx="2" {}
                }
                line class="axis" x1="0" x2="600" y1="95" y2="95" {}
            }
            div class="ends" aria-hidden="true" {
                span { (took(histogram.buckets.first().map_or(0, |(from, _)| *from))) }
                span { (took(histogram.buckets.last().map_or(0, |(from, _)| from.saturating_mul(2)))) }
            }
            details {
                summary { "As numbers" }
                table {
                    caption class="hidden" { (name) }
                    thead { tr { th scope="col" { "From" } th scope="col" { "To" }
                        th scope="col" class="number" { "Calls" } } }
                    tbody {
                        @for (from, many) in &histogram.buckets {
                            tr { td { (took(*from)) } td { (took(from.saturating_mul(2))) } td class="number" { (count(*many)) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::histogram;

    #[test]
    fn times_fall_into_buckets_that_double() {
        assert_eq!(histogram(Vec::new()), None);
        let one = histogram(vec![0]).unwrap();
        assert_eq!((one.buckets, one.shares), (vec![(1, 1)], [(50, 0), (95, 0), (99, 0)]));
        let many = histogram(vec![900, 1030, 2047, 5000]).unwrap();
        assert_eq!(many.buckets, [(512, 1), (1024, 2), (2048, 0), (4096, 1)]);
        assert_eq!(many.shares, [(50, 1030), (95, 5000), (99, 5000)]);
        let hundred = histogram((1..=100).collect()).unwrap();
        assert_eq!((hundred.shares, hundred.total), ([(50, 50), (95, 95), (99, 99)], 100));
        assert!(histogram(vec![u64::MAX]).is_some());
    }
}
