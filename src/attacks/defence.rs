//! The rule of the other side, as an attacker knows it.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate, s};

/// A rule that was lent to an attacker: any function of rows is one.
pub trait Lent {
    /// What comes of these rows, shape `[n, d]`, or why the rule refuses them.
    fn outcome(&self, rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String>;

    /// The rule over `fixed` rows and `copies` of one vector behind them, for an attacker that
    /// tries many vectors. What comes of each has the bits of [`outcome`](Lent::outcome).
    fn trying<'a>(&'a self, fixed: ArrayView2<'a, f32>, copies: usize) -> Box<Trying<'a>> {
        stacked(move |rows| self.outcome(rows), fixed, copies)
    }
}

/// What comes of a vector, length `d`, beside rows that stay.
pub type Trying<'a> = dyn FnMut(&[f32]) -> Result<Array1<f32>, String> + 'a;

impl<F: Fn(ArrayView2<'_, f32>) -> Result<Array1<f32>, String>> Lent for F {
    fn outcome(&self, rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String> {
        self(rows)
    }
}

/// Stacks the rows once and writes each vector over the one before.
pub fn stacked<'a>(
    outcome: impl Fn(ArrayView2<'_, f32>) -> Result<Array1<f32>, String> + 'a,
    fixed: ArrayView2<'_, f32>,
    copies: usize,
) -> Box<Trying<'a>> {
    let places = Array2::zeros((copies, fixed.ncols()));
    let first = fixed.nrows();
    let mut rows = concatenate(Axis(0), &[fixed, places.view()]).expect("rows of one model");
    Box::new(move |vector| {
        rows.slice_mut(s![first.., ..]).assign(&ArrayView1::from(vector));
        outcome(rows.view())
    })
}
