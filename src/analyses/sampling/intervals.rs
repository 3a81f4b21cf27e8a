//! What a few seeds say about all: means and proportions with 95 % intervals.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// How sure an interval is to hold the truth.
const CONFIDENCE: f64 = 0.95;

/// A mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Where the 95 % interval begins; nothing is known of one from a single seed.
    pub low: Option<f64>,
    /// Where it ends.
    pub high: Option<f64>,
}

impl Mean {
    /// The mean of one value for each seed, with Student's interval; none of no values.
    ///
    /// The interval is cut to `least..=most`, between which all values lie.
    pub fn of(values: &[f64], least: f64, most: f64) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        if values.len() < 2 {
            return (!values.is_empty()).then_some(Mean { mean, low: None, high: None });
        }
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let error = (squares / (count - 1.0) / count).sqrt();
        let student = StudentsT::new(0.0, 1.0, count - 1.0).expect("at least one degree");
        let reach = error * student.inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
        let bound = |value: f64| Some(value.clamp(least, most));
        Some(Mean { mean, low: bound(mean - reach), high: bound(mean + reach) })
    }
}

/// In how many of the seeds something happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proportion {
    /// In how many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// Where Wilson's 95 % interval for its probability begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

impl Proportion {
    /// `count` of `of` seeds, which are independent of each other; at least one seed.
    ///
    /// Reference: Wilson, Probable inference, the law of succession, and statistical inference,
    /// Journal of the American Statistical Association 1927.
    pub fn of(count: usize, of: usize) -> Self {
        let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
        let (n, share) = (of as f64, count as f64 / of as f64);
        let scale = 1.0 + z * z / n;
        let centre = (share + z * z / (2.0 * n)) / scale;
        let reach = z / scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        // At the ends the formula gives 0 and 1 but for rounding.
        let low = if count == 0 { 0.0 } else { centre - reach };
        let high = if count == of { 1.0 } else { centre + reach };
        Proportion { count, of, low, high }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// t(0.975, 2) = 4.302653, t(0.975, 1) = 12.7062.
    #[test]
    fn means_by_hand() {
        let mean = Mean::of(&[1.0, 2.0, 3.0], f64::MIN, f64::MAX).unwrap();
        assert_eq!(mean.mean, 2.0);
        let reach = 4.302_652_729_7 / f64::sqrt(3.0);
        assert!((mean.high.unwrap() - 2.0 - reach).abs() < 1e-7, "{mean:?}");
        assert!((mean.low.unwrap() - 2.0 + reach).abs() < 1e-7, "{mean:?}");
        let cut = Mean::of(&[0.0, 1.0], 0.0, 1.0).unwrap();
        assert_eq!((cut.low, cut.high), (Some(0.0), Some(1.0)));
        let same = Mean::of(&[0.5; 4], 0.0, 1.0).unwrap();
        assert_eq!((same.low, same.high), (Some(0.5), Some(0.5)));
        assert_eq!(Mean::of(&[0.5], 0.0, 1.0).unwrap().low, None);
        assert_eq!(Mean::of(&[], 0.0, 1.0), None);
    }

    /// For 0 of n the interval ends at z² / (n + z²) = 3.8415 / 23.8415.
    #[test]
    fn proportions_by_hand() {
        let never = Proportion::of(0, 20);
        assert_eq!(never.low, 0.0);
        assert!((never.high - 0.161_125).abs() < 1e-5, "{never:?}");
        let always = Proportion::of(20, 20);
        assert!((always.low - 0.838_875).abs() < 1e-5, "{always:?}");
        assert_eq!(always.high, 1.0);
        let half = Proportion::of(10, 20);
        assert!((half.low + half.high - 1.0).abs() < 1e-12, "{half:?}");
    }
}
