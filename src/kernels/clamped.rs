//! Means of values that are brought back to so many standard deviations from their mean.

use ndarray::{Array1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;

/// Columns that one thread takes at a time: a cache holds them while they are read three times.
const BLOCK: usize = 1024;

/// For each column the mean of its values after each was brought back to within `reach` standard
/// deviations of their mean; as they are where the deviation is at most `least`.
///
/// The deviation has n - 1 below it. Sums run in row order in `f64` and are rounded once; the mean
/// of no rows is 0.
pub fn clamped_means(updates: ArrayView2<'_, f32>, reach: f64, least: f64) -> Array1<f32> {
    let updates = updates.as_standard_layout();
    let columns = updates.ncols();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let mut means = vec![0.0; columns];
    blocks::for_each(&mut means, BLOCK, blocks::shared(flat.len()), |block, means| {
        let start = block * BLOCK;
        Arch::new().dispatch(Clamp { flat, columns, start, reach, least, means });
    });
    Array1::from(means)
}

/// The means of one block of columns.
struct Clamp<'a> {
    flat: &'a [f32],
    columns: usize,
    start: usize,
    reach: f64,
    least: f64,
    means: &'a mut [f32],
}

impl WithSimd for Clamp<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Clamp { flat, columns, start, reach, least, means } = self;
        let rows = || flat.chunks(columns).map(|row| &row[start..start + means.len()]);
        let count = rows().len() as f64;
        let (mut low, mut high) = (vec![0.0f64; means.len()], vec![0.0f64; means.len()]);
        let mut centres = vec![0.0f64; means.len()];
        for row in rows() {
            centres.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        for sum in &mut centres {
            *sum /= count.max(1.0);
        }
        for row in rows() {
            for ((square, centre), &value) in high.iter_mut().zip(&centres).zip(row) {
                let apart = f64::from(value) - centre;
                *square += apart * apart;
            }
        }
        for ((low, high), centre) in low.iter_mut().zip(&mut high).zip(&centres) {
            let deviation = (*high / (count - 1.0).max(1.0)).sqrt();
            let reach = if deviation > least { reach * deviation } else { f64::INFINITY };
            (*low, *high) = (centre - reach, centre + reach);
        }
        let mut sums = vec![0.0f64; means.len()];
        for row in rows() {
            for (((sum, low), high), &value) in sums.iter_mut().zip(&low).zip(&high).zip(row) {
                *sum += f64::from(value).max(*low).min(*high);
            }
        }
        for (mean, sum) in means.iter_mut().zip(&sums) {
            *mean = (sum / count.max(1.0)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn by_hand() {
        // 0, 0, 3 have the mean 1 and the deviation √3: 3 comes back to 1 + √3 / 2, and both
        // zeros to 1 - √3 / 2.
        let rows = array![[0.0, 4.0], [0.0, 4.0], [3.0, 4.0]];
        let half = 3f32.sqrt() / 2.0;
        let means = clamped_means(rows.view(), 0.5, 0.0);
        assert!((means[0] - (1.0 - half / 3.0)).abs() < 1e-6, "{means}");
        assert_eq!(means[1], 4.0);
        assert_eq!(clamped_means(rows.view(), 2.0, 0.0), array![1.0, 4.0]);
        assert_eq!(clamped_means(rows.view(), 0.5, 2.0), array![1.0, 4.0]);
        assert_eq!(clamped_means(array![[5.0]].view(), 0.5, 0.0), array![5.0]);
        assert_eq!(clamped_means(Array2::zeros((0, 2)).view(), 1.0, 0.0), array![0.0, 0.0]);
    }

    #[test]
    fn the_same_bits_on_any_number_of_threads_and_total() {
        let mut rows =
            Array2::from_shape_fn((40, 20_000), |(row, column)| (row * column % 7) as f32 - 3.0);
        let alone = clamped_means(rows.view(), 1.0, 0.0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| clamped_means(rows.view(), 1.0, 0.0)), alone);
        rows[[3, 1]] = f32::NAN;
        rows[[4, 2]] = f32::INFINITY;
        rows[[5, 3]] = 1e30;
        let touched = clamped_means(rows.view(), 1.0, 0.0);
        assert_eq!(
            touched.iter().skip(4).collect::<Vec<_>>(),
            alone.iter().skip(4).collect::<Vec<_>>()
        );
    }
}
