//! Whether one of two things is faster: a ratio with its confidence interval, from measurements in turn.
//!
//! **Why.** Two numbers are never equal, and a machine that others use drifts more than most changes gain. So the
//! two take turns in short slices: what drifts drifts for both, and neighbours are compared with each other.
//!
//! **How.** The logarithms of the ratios of neighbours are averaged, and Student's distribution says how sure the
//! mean is. An interval that holds 1 is no difference that can be told. Logarithms, since twice as fast and half
//! as fast are the same step, up and down.
//!
//! **Not here:** measuring, and whether a difference matters.

/// Fewest pairs from which anything is said: below, the interval is as wide as the guess.
const PAIRS_MIN: usize = 5;

/// 97.5 % points of Student's distribution with 1 to 30 degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// How the second of two things relates to the first, at 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The second's value as a multiple of the first's: the geometric mean over all pairs.
    pub ratio: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// How many pairs it is made of.
    pub pairs: usize,
}

/// What can be said of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The second's value is higher.
    Higher,
    /// The second's value is lower.
    Lower,
    /// No difference can be told.
    Same,
}

impl Ratio {
    /// Of pairs of values, the first's before the second's. Pairs with a value that is not above 0 say nothing
    /// and are left out; `None` when fewer than five pairs are left.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let said = pairs.iter().filter(|(first, second)| *first > 0.0 && *second > 0.0);
        let logs: Vec<f64> = said.map(|(first, second)| (second / first).ln()).collect();
        if logs.len() < PAIRS_MIN {
            return None;
        }
        let count = number(logs.len());
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let error = (squares / (count - 1.0) / count).sqrt();
        let reach = student(logs.len() - 1) * error;
        Some(Self {
            ratio: mean.exp(),
            low: (mean - reach).exp(),
            high: (mean + reach).exp(),
            pairs: logs.len(),
        })
    }

    /// Whether the interval leaves out 1, and on which side.
    pub fn verdict(&self) -> Verdict {
        match self {
            ratio if ratio.low > 1.0 => Verdict::Higher,
            ratio if ratio.high < 1.0 => Verdict::Lower,
            _ => Verdict::Same,
        }
    }
}

/// The 97.5 % point with so many degrees of freedom, at least 1.
fn student(freedom: usize) -> f64 {
    // Beyond the table, the first terms of the series for the normal distribution's point (Abramowitz and
    // Stegun, 26.7.5): right to three digits.
    let beyond = || 1.959_96 + 2.372_3 / number(freedom) + 2.822_5 / number(freedom).powi(2);
    STUDENT.get(freedom.saturating_sub(1)).copied().unwrap_or_else(beyond)
}

#[expect(clippy::cast_precision_loss, reason = "counts of slices are small")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{Ratio, Verdict, student};
    use crate::random::Random;

    /// A value with noise of about ±`spread`, which also drifts.
    fn noisy(random: &mut Random, mean: f64, spread: f64) -> f64 {
        let unit = |random: &mut Random| {
            f64::from(u32::try_from(random.below(1 << 20)).unwrap()) / f64::from(1 << 20)
        };
        let sum: f64 = (0..12).map(|_| unit(random)).sum::<f64>() - 6.0;
        mean * (1.0 + spread * sum)
    }

    #[test]
    fn a_difference_is_told_when_it_is_above_the_noise() {
        for (name, factor, spread, expected) in [
            ("the same, without noise", 1.0, 0.0, Verdict::Same),
            ("twice, little noise", 2.0, 0.01, Verdict::Higher),
            ("half, little noise", 0.5, 0.01, Verdict::Lower),
            ("5 % in 2 % of noise", 1.05, 0.02, Verdict::Higher),
            ("1 % in 20 % of noise", 1.01, 0.20, Verdict::Same),
        ] {
            let mut random = Random(7);
            let pairs: Vec<(f64, f64)> = (0..20)
                .map(|turn| {
                    let drift = 1.0 + f64::from(turn) / 10.0;
                    let first = noisy(&mut random, 100.0 * drift, spread);
                    (first, noisy(&mut random, 100.0 * drift * factor, spread))
                })
                .collect();
            let ratio = Ratio::of(&pairs).unwrap();
            assert_eq!(ratio.verdict(), expected, "{name}: {ratio:?}");
            assert!(ratio.low <= ratio.ratio && ratio.ratio <= ratio.high, "{name}: {ratio:?}");
        }
    }

    #[test]
    fn an_interval_holds_the_truth_19_times_in_20() {
        let mut random = Random(1);
        let mut wrong = 0;
        for _ in 0..2000 {
            let pair = |_| (noisy(&mut random, 1.0, 0.1), noisy(&mut random, 1.0, 0.1));
            let pairs: Vec<(f64, f64)> = (0..10).map(pair).collect();
            wrong += u32::from(Ratio::of(&pairs).unwrap().verdict() != Verdict::Same);
        }
        assert!((60..140).contains(&wrong), "about 100 of 2000 are wrong, not {wrong}");
    }

    #[test]
    fn little_is_not_enough() {
        let four = [(1.0, 2.0); 4];
        assert_eq!(Ratio::of(&four), None);
        let silent: Vec<(f64, f64)> = four.into_iter().chain([(0.0, 1.0), (1.0, 0.0)]).collect();
        assert_eq!(Ratio::of(&silent), None, "pairs without a value say nothing");
        assert_eq!((student(1), student(30)), (12.706, 2.042));
        assert!((student(60) - 2.000).abs() < 0.002 && (student(31) - 2.040).abs() < 0.002);
    }
}
