//! The search for the subset of rows that differ least, in the direction in which they differ most
//! or in all together.

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernels::spectral::{below, centred_products, leading};

/// Eigenvalues that differ by less than this share are equal: they come from rounded sums.
const EQUAL: f64 = 1e-12;

/// What of a subset's scatter is to be least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Objective {
    /// Its largest eigenvalue: the variance in one direction.
    #[default]
    Eigenvalue,
    /// Its trace: the variance in all directions together.
    Variance,
}

/// How many subsets leave out `lost` of `rows`; `u64::MAX` where that is too large a number.
pub(super) fn count(rows: usize, lost: usize) -> u64 {
    let lost = lost.min(rows - lost.min(rows)) as u64;
    let mut count: u64 = 1;
    for k in 0..lost {
        // Exact: the product of k + 1 numbers in a row is divisible by (k + 1)!.
        match count.checked_mul(rows as u64 - k) {
            Some(product) => count = product / (k + 1),
            None => return u64::MAX,
        }
    }
    count
}

/// A search among all subsets that leave out `lost` rows.
#[derive(Debug)]
pub(super) struct Subsets<'a> {
    distances: &'a Array2<f64>,
    lost: usize,
    objective: Objective,
    /// The rows in the order of decisions: those far from the others first, since taking them in
    /// ends a branch soonest.
    order: Vec<usize>,
    kept: Vec<usize>,
    /// The least value of the objective so far, and its subset, ascending.
    best: Option<(f64, Vec<usize>)>,
}

impl<'a> Subsets<'a> {
    /// A search among rows with these squared distances; `2 lost < n`.
    pub(super) fn of(distances: &'a Array2<f64>, lost: usize, objective: Objective) -> Self {
        let rows = distances.nrows();
        // How wide a circle around the row holds as many rows as are kept.
        let radius = |row: usize| {
            let mut far = distances.row(row).to_vec();
            far.sort_unstable_by(f64::total_cmp);
            far[rows - lost - 1]
        };
        let radii: Vec<f64> = (0..rows).map(radius).collect();
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|&a, &b| radii[b].total_cmp(&radii[a]));
        Subsets { distances, lost, objective, order, kept: Vec::new(), best: None }
    }

    /// The subset with the least value, ascending; the first of equal ones.
    pub(super) fn tightest(mut self) -> Vec<usize> {
        self.decide(0, self.lost);
        self.best.map_or_else(Vec::new, |(_, subset)| subset)
    }

    /// Decides on the row at `place` and all behind it, with `rest` still to be left out.
    fn decide(&mut self, place: usize, rest: usize) {
        if place == self.order.len() {
            return self.compare();
        }
        if rest > 0 {
            self.decide(place + 1, rest - 1);
        }
        if self.order.len() - place > rest {
            self.kept.push(self.order[place]);
            if self.promises() {
                self.decide(place + 1, rest);
            }
            self.kept.pop();
        }
    }

    /// Whether the kept rows may be part of a subset as good as the best so far.
    fn promises(&self) -> bool {
        let Some((best, _)) = &self.best else { return true };
        if !best.is_finite() {
            return true;
        }
        let bound = best * (1.0 + 2.0 * EQUAL);
        let (last, others) = self.kept.split_last().expect("a row has been taken in");
        // Two rows alone have half their squared distance as scatter.
        if others.iter().any(|&other| self.distances[[*last, other]] > 2.0 * bound) {
            return false;
        }
        // Equal rows have no scatter, and nothing is below a bound of zero.
        others.len() < 2
            || bound == 0.0
            || match self.objective {
                Objective::Eigenvalue => below(&self.products(), bound),
                Objective::Variance => self.trace() <= bound,
            }
    }

    /// Compares the kept rows, now complete, with the best.
    fn compare(&mut self) {
        let value = self.value();
        let mut subset = self.kept.clone();
        subset.sort_unstable();
        let better = match &self.best {
            None => true,
            Some((best, first)) if value == *best || (value - best).abs() <= EQUAL * best => {
                subset < *first
            }
            Some((best, _)) => value < *best,
        };
        if better {
            self.best = Some((value, subset));
        }
    }

    /// What is to be least, of the kept rows; infinite if one of them is.
    fn value(&self) -> f64 {
        let value = match self.objective {
            Objective::Eigenvalue => {
                let products = self.products();
                let finite = products.iter().flatten().all(|product| product.is_finite());
                if finite { leading(products).0 } else { f64::INFINITY }
            }
            Objective::Variance => self.trace(),
        };
        if value.is_nan() { f64::INFINITY } else { value }
    }

    /// The trace of the scatter: the squared distances of all pairs over the number of rows.
    fn trace(&self) -> f64 {
        let pairs = self.kept.iter().enumerate().flat_map(|(place, &row)| {
            self.kept[..place].iter().map(move |&other| self.distances[[row, other]])
        });
        pairs.sum::<f64>() / self.kept.len() as f64
    }

    fn products(&self) -> Vec<Vec<f64>> {
        let weights = vec![1.0; self.kept.len()];
        centred_products(&weights, |i, j| self.distances[[self.kept[i], self.kept[j]]])
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::kernels::distances::squared_distances;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn counts() {
        assert_eq!((count(5, 0), count(5, 2), count(30, 10)), (1, 10, 30_045_015));
        assert_eq!((count(0, 0), count(3, 9), count(1000, 200)), (1, 1, u64::MAX));
    }

    #[test]
    fn agrees_with_trying_every_subset() {
        let mut rng = run_stream(7, Purpose::Aggregation);
        for round in 0..60 {
            let (rows, columns) = (1 + round % 9, 1 + round % 4);
            let updates = Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>());
            let distances = squared_distances(updates.view());
            for lost in (0..rows).filter(|lost| 2 * lost < rows) {
                for objective in [Objective::Eigenvalue, Objective::Variance] {
                    let tightest = Subsets::of(&distances, lost, objective).tightest();
                    assert_eq!(tightest, one_by_one(&distances, lost, objective));
                }
            }
        }
    }

    /// The first subset of the least value among all.
    fn one_by_one(distances: &Array2<f64>, lost: usize, objective: Objective) -> Vec<usize> {
        let rows = distances.nrows();
        let mut best = (f64::INFINITY, Vec::new());
        for bits in 0u32..1 << rows {
            let subset: Vec<usize> = (0..rows).filter(|row| bits >> row & 1 == 1).collect();
            if subset.len() != rows - lost {
                continue;
            }
            let weights = vec![1.0; subset.len()];
            let products = centred_products(&weights, |i, j| distances[[subset[i], subset[j]]]);
            let value = match objective {
                Objective::Eigenvalue => leading(products).0,
                Objective::Variance => (0..subset.len()).map(|row| products[row][row]).sum(),
            };
            if value < best.0 {
                best = (value, subset);
            }
        }
        best.1
    }

    #[test]
    fn rows_that_are_not_finite_are_left_out() {
        let updates = ndarray::array![[1.0], [f32::NAN], [2.0], [f32::INFINITY], [3.0]];
        let distances = squared_distances(updates.view());
        for objective in [Objective::Eigenvalue, Objective::Variance] {
            assert_eq!(Subsets::of(&distances, 2, objective).tightest(), vec![0, 2, 4]);
            assert_eq!(Subsets::of(&distances, 1, objective).tightest().len(), 4);
        }
    }
}
