//! What is proven about κ. What is known to be least is said by the rules themselves
//! ([`Aggregator::error_bound`]), where the loop that asks for it in a run finds it too.
//!
//! With N = n - f honest rows and r = f / (n - 2f). In one coordinate at most f foreign values
//! shift the honest order statistics by f ranks, and a mean of a of N values is within
//! `σ √((N - a)/a)` of the mean of all: that gives the exact figures of the trimmed mean and the
//! median. The sharper figures of Krum and Multi-Krum follow from the triangle inequality and the
//! score of the best honest row. Resilient averaging promises 2f/N of the diameter, whose square
//! is at most 2N times the variance; for the mean around the median in every coordinate.

use serde::Serialize;
use serde_json::Value;

use crate::aggregators::Aggregator;

/// The least κ that any rule can have: `f / (n - 2f)`.
///
/// n - 2f honest rows are at 0 and f at 1, and f liars at 0 or at 1: nobody knows who is honest.
pub fn lower_bound(rows: usize, byzantine: usize) -> f64 {
    if rows <= 2 * byzantine {
        return f64::INFINITY;
    }
    byzantine as f64 / (rows - 2 * byzantine) as f64
}

/// Upper bounds on κ for one rule, where there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Bounds {
    /// As published (Allouah et al., AISTATS 2023, table 1), for the geometric median its exact
    /// minimiser.
    pub published: Option<f64>,
    /// The least that is proven.
    pub sharper: Option<f64>,
    /// Whether the sharper one is attained by some input.
    pub exact: bool,
}

impl Bounds {
    /// What is proven for `rule`, which is called `name` and has these resolved `parameters`, with
    /// as many liars as it declares. The least that is proven is what the rule says of itself.
    ///
    /// Nothing for members and conventions that no proof is known for.
    pub fn of(
        name: &str,
        rule: &dyn Aggregator,
        parameters: &Value,
        rows: usize,
        byzantine: usize,
    ) -> Self {
        if rows <= 2 * byzantine {
            return Bounds::default();
        }
        let Some(sharper) = rule.error_bound(rows, byzantine) else { return Bounds::default() };
        let r = byzantine as f64 / (rows - 2 * byzantine) as f64;
        let trims_f = name == "trimmed_mean" && parameters["fraction"].is_null();
        let published = match name {
            "trimmed_mean" if trims_f => Some(6.0 * r * (1.0 + r)),
            "median" => Some(4.0 * (1.0 + r).powi(2)),
            "krum" if parameters["neighbours"] == "inclusive" => Some(6.0 * (1.0 + r)),
            _ => None,
        };
        Bounds { published, sharper: Some(sharper), exact: trims_f || name == "median" }
    }

    /// The same behind a pre-aggregator, where a proof is known.
    #[must_use]
    pub fn behind(self, preaggregator: &str, rows: usize, byzantine: usize) -> Self {
        if rows <= 2 * byzantine {
            return Bounds::default();
        }
        let (n, f) = (rows as f64, byzantine as f64);
        let through: Box<dyn Fn(f64) -> f64> = match preaggregator {
            "nearest_neighbour_mixing" => Box::new(move |kappa| 8.0 * f / (n - f) * (kappa + 1.0)),
            "adaptive_clipping" => Box::new(move |kappa| kappa + 2.0 * f / (n - 2.0 * f)),
            _ => return Bounds::default(),
        };
        Bounds {
            published: self.published.map(&through),
            sharper: self.sharper.map(&through),
            exact: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregators::CATALOG;
    use crate::catalog::Choice;

    /// The bounds of a rule of the catalog.
    fn bounds(name: &str, parameters: &str, rows: usize, byzantine: usize) -> Bounds {
        let rule = CATALOG.build(&Choice::with(name, parameters).unwrap()).unwrap();
        Bounds::of(rule.name, &*rule.value, &rule.parameters, rows, byzantine)
    }

    #[test]
    fn exact_figures() {
        let median = |rows, f, middle: &str| {
            bounds("median", &format!("middle = '{middle}'"), rows, f).sharper.unwrap()
        };
        assert_eq!(median(10, 4, "midpoint"), 2.0);
        assert_eq!(median(10, 4, "lower"), 5.0);
        assert_eq!(median(5, 1, "midpoint"), 1.0);
        let trimmed = bounds("trimmed_mean", "", 10, 3);
        assert_eq!((trimmed.sharper, lower_bound(10, 3)), (Some(0.75), 0.75));
        assert_eq!(bounds("minimum_diameter", "", 11, 2).sharper, Some(32.0 / 9.0));
    }

    #[test]
    fn known_bounds_of_krum() {
        let krum = |neighbours: &str, rows, f| {
            let parameters = format!("tolerance = 'majority'\nneighbours = '{neighbours}'");
            bounds("krum", &parameters, rows, f).sharper.unwrap()
        };
        assert!((krum("inclusive", 10, 3) - 7.49).abs() < 0.01);
        assert!((krum("paper", 10, 3) - 11.0).abs() < 0.05);
        assert!((krum("paper", 10, 4) - 32.5).abs() < 0.05);
        let multi = bounds("multi_krum", "neighbours = 'inclusive'", 10, 3);
        assert!((multi.sharper.unwrap() - 5.07).abs() < 0.01);
    }

    #[test]
    fn nothing_without_a_majority_or_a_proof() {
        assert_eq!(bounds("median", "", 4, 2), Bounds::default());
        assert_eq!(bounds("mean", "", 4, 1), Bounds::default());
        assert_eq!(lower_bound(4, 2), f64::INFINITY);
        let chain = Bounds { sharper: Some(1.0), ..Bounds::default() };
        assert_eq!(chain.behind("nearest_neighbour_mixing", 10, 2).sharper, Some(4.0));
        assert_eq!(chain.behind("bucketing", 10, 2), Bounds::default());
    }
}
