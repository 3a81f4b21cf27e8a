//! The two loops that all peer rules spend their time in: distances to one model, and a step
//! from the own model towards others.
//!
//! Both are written once for both precisions, sum in `f64` in an order that depends on the
//! length alone, and are compiled for each kind of processor.

use ndarray::{Array1, ArrayView1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::{Float, Mixed, Neighbourhood};

/// Columns that are treated together.
const LANES: usize = 64;

/// Sums of a distance that run side by side, so that additions need not wait for each other.
const SUMS: usize = 32;

/// `‖x_j - centre‖` for every row; infinite in place of NaN.
pub(super) fn distances<F: Float>(
    centre: ArrayView1<'_, F>,
    models: ArrayView2<'_, F>,
) -> Vec<f64> {
    let centre = centre.as_standard_layout();
    let models = models.as_standard_layout();
    let centre = centre.as_slice().expect("standard layout is contiguous");
    let flat = models.as_slice().expect("standard layout is contiguous");
    let rows = models.nrows();
    Arch::new().dispatch(Distances { centre, flat, rows })
}

struct Distances<'a, F> {
    centre: &'a [F],
    flat: &'a [F],
    rows: usize,
}

impl<F: Float> WithSimd for Distances<'_, F> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vec<f64> {
        let columns = self.centre.len();
        let row = |row: usize| &self.flat[row * columns..][..columns];
        (0..self.rows).map(|index| distance(self.centre, row(index))).collect()
    }
}

/// `‖a - b‖`; infinite in place of NaN.
#[inline(always)]
fn distance<F: Float>(a: &[F], b: &[F]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<SUMS>();
    let (b_blocks, b_rest) = b.as_chunks::<SUMS>();
    let mut sums = [0.0f64; SUMS];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..SUMS {
            let difference: f64 = a[lane].into() - b[lane].into();
            sums[lane] += difference * difference;
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        let difference: f64 = a.into() - b.into();
        sums[lane] += difference * difference;
    }
    let squared: f64 = sums.iter().sum();
    if squared.is_nan() { f64::INFINITY } else { squared.sqrt() }
}

/// The Euclidean norm.
pub(super) fn norm<F: Float>(vector: ArrayView1<'_, F>) -> f64 {
    let squares = vector.iter().map(|&value| {
        let value: f64 = value.into();
        value * value
    });
    squares.sum::<f64>().sqrt()
}

/// `own + Σ c_j (x_j - own)` with one coefficient per row: the step that every rule ends in.
///
/// Rows with coefficient 0 are left out, whatever they hold. Rounded once.
pub(super) fn moved<F: Float>(
    own: ArrayView1<'_, F>,
    models: ArrayView2<'_, F>,
    coefficients: &[f64],
) -> Array1<F> {
    let own = own.as_standard_layout();
    let models = models.as_standard_layout();
    let counted = |(row, &weight): (usize, &f64)| (weight != 0.0).then_some((row, weight));
    let counted: Vec<(usize, f64)> = coefficients.iter().enumerate().filter_map(counted).collect();
    let mut result = own.to_vec();
    Arch::new().dispatch(Moved {
        own: own.as_slice().expect("standard layout is contiguous"),
        flat: models.as_slice().expect("standard layout is contiguous"),
        counted: &counted,
        result: &mut result,
    });
    Array1::from(result)
}

/// Gossip in which no message pulls further than `tau`; what is infinitely far does not pull.
pub(super) fn clipped<F: Float>(
    own: ArrayView1<'_, F>,
    neighbours: &Neighbourhood<'_, F>,
    distances: &[f64],
    tau: f64,
) -> Mixed<F> {
    let clip = |(&weight, &distance): (&f64, &f64)| match distance {
        _ if distance.is_infinite() => 0.0,
        _ if distance <= tau => weight,
        _ => weight * (tau / distance),
    };
    let pulls: Vec<f64> = neighbours.weights.iter().zip(distances).map(clip).collect();
    Mixed { model: moved(own, neighbours.models, &pulls), accepted: None }
}

/// From the own model the given share of the way to the mean of the accepted; stays if there are
/// none.
pub(super) fn towards_mean<F: Float>(
    own: ArrayView1<'_, F>,
    neighbours: &Neighbourhood<'_, F>,
    accepted: &[usize],
    share: f64,
) -> Mixed<F> {
    let mut pulls = vec![0.0; neighbours.len()];
    let mut chosen = vec![false; neighbours.len()];
    for &row in accepted {
        pulls[row] = share / accepted.len() as f64;
        chosen[row] = true;
    }
    Mixed { model: moved(own, neighbours.models, &pulls), accepted: Some(chosen) }
}

struct Moved<'a, F> {
    own: &'a [F],
    flat: &'a [F],
    counted: &'a [(usize, f64)],
    result: &'a mut [F],
}

impl<F: Float> WithSimd for Moved<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let columns = self.own.len();
        let tiles = self.own.chunks(LANES).zip(self.result.chunks_mut(LANES));
        for (tile, (own, result)) in tiles.enumerate() {
            let mut sums = [0.0f64; LANES];
            for &(row, weight) in self.counted {
                let source = &self.flat[row * columns + tile * LANES..][..own.len()];
                for ((sum, &value), &own) in sums.iter_mut().zip(source).zip(own) {
                    *sum += weight * (value.into() - own.into());
                }
            }
            for ((result, &sum), &own) in result.iter_mut().zip(&sums).zip(own) {
                *result = F::nearest(own.into() + sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn distances_by_hand() {
        let models = array![[3.0f32, 4.0], [f32::NAN, 0.0], [0.0, 0.0], [f32::INFINITY, 1.0]];
        let expected = vec![5.0, f64::INFINITY, 0.0, f64::INFINITY];
        assert_eq!(distances(array![0.0f32, 0.0].view(), models.view()), expected);
        let long = Array2::from_elem((1, 1003), 2.0f64);
        let centre = Array1::from_elem(1003, 1.0f64);
        assert_eq!(distances(centre.view(), long.view()), vec![1003f64.sqrt()]);
    }

    #[test]
    fn a_step_by_hand() {
        let own = array![1.0f32, 2.0];
        let models = array![[3.0f32, 2.0], [f32::NAN, f32::INFINITY], [1.0, -2.0]];
        let expected = array![2.0, 1.0];
        assert_eq!(moved(own.view(), models.view(), &[0.5, 0.0, 0.25]), expected);
        let own = Array1::from_elem(200, 1.0f64);
        let models = Array2::from_elem((2, 200), 3.0f64);
        assert_eq!(moved(own.view(), models.view(), &[0.25; 2]), Array1::from_elem(200, 2.0));
    }

    #[test]
    fn memory_order_does_not_matter() {
        let by_columns = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]].reversed_axes();
        let own = array![0.0f32, 1.0];
        assert_eq!(
            distances(own.view(), by_columns.view()),
            vec![10f64.sqrt(), 20f64.sqrt(), 34f64.sqrt()]
        );
        assert_eq!(moved(own.view(), by_columns.view(), &[0.0, 1.0, 0.0]), array![2.0, 5.0]);
    }
}
