//! What is proven about κ.
//!
//! With N = n - f honest rows and r = f / (n - 2f). In one coordinate at most f foreign values
//! shift the honest order statistics by f ranks, and a mean of a of N values is within
//! `σ √((N - a)/a)` of the mean of all: that gives the exact figures of the trimmed mean and the
//! median. The sharper figures of Krum and Multi-Krum follow from the triangle inequality and the
//! score of the best honest row.

use serde::Serialize;
use serde_json::Value;

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
    /// What is proven for `rule` with these resolved `parameters` and as many liars as it declares.
    ///
    /// Nothing for members and conventions that no proof is known for.
    pub fn of(rule: &str, parameters: &Value, rows: usize, byzantine: usize) -> Self {
        if rows <= 2 * byzantine {
            return Bounds::default();
        }
        let (n, f) = (rows as f64, byzantine as f64);
        let honest = n - f;
        let r = f / (n - 2.0 * f);
        let is = |name: &str, value: &str| parameters[name] == value;
        match rule {
            "trimmed_mean" if parameters["fraction"].is_null() => {
                Bounds { published: Some(6.0 * r * (1.0 + r)), sharper: Some(r), exact: true }
            }
            "median" => {
                let half = (rows / 2) as f64;
                let exact = if rows % 2 == 1 {
                    half / (half + 1.0 - f)
                } else if is("middle", "midpoint") {
                    (half - 1.0) / (half + 1.0 - f)
                } else {
                    half / (half - f)
                };
                Bounds {
                    published: Some(4.0 * (1.0 + r).powi(2)),
                    sharper: Some(exact),
                    exact: true,
                }
            }
            "krum" if is("distance", "squared") && is("neighbours", "inclusive") => {
                let sharper = ((2.0 * (1.0 + r)).sqrt() + r.sqrt()).powi(2);
                let published = Some(6.0 * (1.0 + r));
                Bounds { published, sharper: Some(sharper), exact: false }
            }
            "krum" if is("distance", "squared") && is("neighbours", "paper") => {
                let counted = n - 2.0 * f - 1.0;
                let sharper =
                    ((2.0 * honest / counted).sqrt() + ((f + 1.0) / counted).sqrt()).powi(2);
                Bounds { sharper: (counted > 0.0).then_some(sharper), ..Bounds::default() }
            }
            "multi_krum"
                if is("distance", "squared")
                    && is("neighbours", "inclusive")
                    && is("weighting", "uniform")
                    && parameters["keep"].is_null()
                    && parameters["iterated"] != true
                    && parameters["sum"] != true =>
            {
                let near = (n - 2.0 * f).sqrt();
                let root = 2f64.sqrt() / near + f / (honest * near) + 1.0 / honest.sqrt();
                Bounds { sharper: Some(f * root.powi(2)), ..Bounds::default() }
            }
            // Resilient averaging promises 2f/(n - f) of the diameter, whose square is at most
            // 2 (n - f) times the variance; for the mean around the median in every coordinate.
            "minimum_diameter" | "mean_around_median" => {
                Bounds { sharper: Some(8.0 * f * f / honest), ..Bounds::default() }
            }
            _ => Bounds::default(),
        }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn exact_figures() {
        let median = |rows, f, middle: &str| {
            Bounds::of("median", &json!({ "middle": middle }), rows, f).sharper.unwrap()
        };
        assert_eq!(median(10, 4, "midpoint"), 2.0);
        assert_eq!(median(10, 4, "lower"), 5.0);
        assert_eq!(median(5, 1, "midpoint"), 1.0);
        let trimmed = Bounds::of("trimmed_mean", &json!({ "fraction": null }), 10, 3);
        assert_eq!((trimmed.sharper, lower_bound(10, 3)), (Some(0.75), 0.75));
    }

    #[test]
    fn known_bounds_of_krum() {
        let krum = |neighbours: &str, rows, f| {
            let parameters = json!({ "distance": "squared", "neighbours": neighbours });
            Bounds::of("krum", &parameters, rows, f).sharper.unwrap()
        };
        assert!((krum("inclusive", 10, 3) - 7.49).abs() < 0.01);
        assert!((krum("paper", 10, 3) - 11.0).abs() < 0.05);
        assert!((krum("paper", 10, 4) - 32.5).abs() < 0.05);
        let parameters = json!({
            "distance": "squared", "neighbours": "inclusive", "weighting": "uniform", "keep": null,
        });
        let multi = Bounds::of("multi_krum", &parameters, 10, 3).sharper.unwrap();
        assert!((multi - 5.07).abs() < 0.01);
    }

    #[test]
    fn nothing_without_a_majority_or_a_proof() {
        assert_eq!(Bounds::of("median", &json!({}), 4, 2), Bounds::default());
        assert_eq!(Bounds::of("mean", &json!({}), 4, 1), Bounds::default());
        assert_eq!(lower_bound(4, 2), f64::INFINITY);
        let chain = Bounds { sharper: Some(1.0), ..Bounds::default() };
        assert_eq!(chain.behind("nearest_neighbour_mixing", 10, 2).sharper, Some(4.0));
        assert_eq!(chain.behind("bucketing", 10, 2), Bounds::default());
    }
}
