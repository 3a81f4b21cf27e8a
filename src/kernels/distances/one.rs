//! Distances of one row to others, for whoever tries many rows against the same.

use super::stripe::Scale;
use super::{MANY, SMALLEST, by_columns, squared_distances_apart, tiny_row};
use crate::kernels::blocks;

/// `‖row - other‖²` for each of up to 255 others, with the bits that
/// [`squared_distances`](super::squared_distances) has for them.
///
/// # Panics
/// If there are more, of whom some distances may have other bits.
pub fn squared_distances_to(row: &[f32], others: &[&[f32]]) -> Vec<f64> {
    let mut rows = vec![row];
    rows.extend(others);
    assert!(rows.len() <= MANY, "distances among {} rows have other bits", rows.len());
    if !tiny_row(row) {
        let totals = by_columns(&rows, 1, Scale::One, blocks::shared(rows.len() * row.len()));
        if totals[1..].iter().all(|total| (SMALLEST..f64::INFINITY).contains(total)) {
            return totals[1..].to_vec();
        }
    }
    // A distance depends on its two rows alone.
    others.iter().map(|other| squared_distances_apart(&[row, other])[[0, 1]]).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::RngExt;

    use super::*;
    use crate::kernels::distances::squared_distances;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn the_bits_are_those_of_the_matrix() {
        let mut rng = run_stream(1, Purpose::Aggregation);
        for (rows, columns) in [(2, 1), (3, 70), (12, 3000), (26, 40_001)] {
            for scale in [1.0, 1e18, 1e-20, 1e-9] {
                let mut updates =
                    Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.5);
                updates.row_mut(0).mapv_inplace(|value| value * scale);
                updates.row_mut(1).mapv_inplace(|value| value * 1e-20);
                let twin = updates.row(0).to_owned();
                updates.row_mut(rows / 2).assign(&twin);
                let matrix = squared_distances(updates.view());
                let flat = updates.as_slice().unwrap();
                let all: Vec<&[f32]> = flat.chunks(columns).collect();
                let found = squared_distances_to(all[0], &all[1..]);
                for (found, expected) in found.iter().zip(matrix.row(0).iter().skip(1)) {
                    assert_eq!(found.to_bits(), expected.to_bits(), "{rows} x {columns}, {scale}");
                }
            }
        }
    }
}
