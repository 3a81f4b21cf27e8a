//! Whose rows a rule selects, seen from outside: a mark on each row that comes through with it.

use ndarray::{Array1, Array2, ArrayView1, s};

use super::super::{AttackError, Defence, View};
use crate::vector::first_not_finite;

/// What a row is marked with: so little that no distance between updates feels its square, and
/// enough to be divided by a thousand.
const MARK: f32 = 1e-20;

/// The known updates behind rows of the identities, each with a column of its own.
pub(super) struct Marked<'a> {
    defence: &'a Defence<'a>,
    mean: &'a [f64],
    /// The identities' rows, then the known; the model, then the marks.
    rows: Array2<f32>,
    /// How many identities there are.
    copies: usize,
}

impl<'a> Marked<'a> {
    pub(super) fn new(
        attack: &'static str,
        view: &'a View<'_>,
        mean: &'a [f64],
    ) -> Result<Self, AttackError> {
        if view.victim.is_some() {
            return Err(AttackError::NoSelection { attack });
        }
        let defence = view.defence.ok_or(AttackError::NoDefence { attack })?;
        let known = view.known();
        let copies = view.corrupted;
        let mut rows = Array2::zeros((copies + known.nrows(), mean.len() + copies));
        rows.slice_mut(s![copies.., ..mean.len()]).assign(&known);
        rows.slice_mut(s![..copies, mean.len()..]).diag_mut().fill(MARK);
        Ok(Marked { defence, mean, rows, copies })
    }

    /// How far the outcome is from the mean if every identity sends `vector` and all of them are
    /// selected; minus infinity if not.
    pub(super) fn distance(&mut self, vector: ArrayView1<'_, f32>) -> f64 {
        let columns = self.mean.len();
        self.rows.slice_mut(s![..self.copies, ..columns]).assign(&vector);
        match self.outcome() {
            Some(outcome) if self.all_selected(&outcome) => {
                let away = outcome.iter().zip(self.mean).map(|(&now, mean)| f64::from(now) - mean);
                away.map(|away| away * away).sum::<f64>().sqrt()
            }
            _ => f64::NEG_INFINITY,
        }
    }

    /// What the rule makes of the rows, if it is finite.
    fn outcome(&self) -> Option<Array1<f32>> {
        let finite = self.rows.slice(s![0, ..]).iter().all(|value| value.is_finite());
        let outcome =
            if finite { self.defence.outcome(self.rows.view()).ok()? } else { return None };
        first_not_finite(outcome.as_slice()?).is_none().then_some(outcome)
    }

    fn all_selected(&self, outcome: &Array1<f32>) -> bool {
        let least = f64::from(MARK) / (2.0 * self.rows.nrows() as f64);
        outcome.iter().skip(self.mean.len()).all(|&weight| f64::from(weight) >= least)
    }
}
