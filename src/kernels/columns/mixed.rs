//! Order statistics of means of groups of rows, which are made on the way and stored nowhere.

use std::ops::Range;

use ndarray::Array1;
use pulp::Simd;

use super::{Lanes, Rows, summarise};
use crate::kernels::mixing::Members;
use crate::kernels::mixing::few::{FEW, Recipe, WIDTH};

/// Up to how many rows [`summarise_ranks_of_means`] takes.
pub const MIXED_MAX: usize = FEW;

/// As [`summarise_ranks`](super::summarise_ranks) of what
/// [`mix_rows`](crate::kernels::mixing::mix_rows) makes of the rows, with the same bits.
///
/// # Panics
/// If there are more than [`MIXED_MAX`] rows or not as many groups, or `ranks` is empty or reaches
/// past their number.
pub fn summarise_ranks_of_means(
    rows: &[&[f32]],
    members: &Members,
    ranks: Range<usize>,
    reduce: impl Fn(&[Lanes]) -> Lanes + Sync,
) -> Array1<f32> {
    let count = rows.len();
    assert!(count <= MIXED_MAX && members.groups() == count, "one group for each of few rows");
    assert!(ranks.start < ranks.end && ranks.end <= count, "ranks {ranks:?} of {count} rows");
    let columns = rows.first().map_or(0, |row| row.len());
    summarise(columns, &Mixed { rows, recipe: Recipe::new(members) }, &ranks, &reduce)
}

/// The means of groups of rows.
struct Mixed<'a> {
    rows: &'a [&'a [f32]],
    recipe: Recipe,
}

impl Rows for Mixed<'_> {
    type Room = Vec<f64>;

    fn count(&self) -> usize {
        self.rows.len()
    }

    fn tile(&self) -> usize {
        WIDTH
    }

    fn room(&self) -> Vec<f64> {
        self.recipe.room()
    }

    #[inline(always)]
    fn load<S: Simd>(
        &self,
        simd: S,
        columns: Range<usize>,
        room: &mut Vec<f64>,
        strips: &mut [S::f32s],
        apart: usize,
    ) {
        // No closure: it would be compiled for the oldest processor.
        let recipe = &self.recipe;
        for (row, source) in self.rows.iter().enumerate() {
            recipe.load(row, &source[columns.clone()], room);
        }
        recipe.sum(simd, room);
        for mean in recipe.means() {
            let values = recipe.mean(simd, mean, room).0;
            for &row in &mean.groups {
                let strips = bytemuck::cast_slice_mut(&mut strips[row..]);
                place(&values, S::F32_LANES, strips, apart);
            }
        }
    }
}

/// Writes a row of a tile into its place in every strip, with a place for every value.
#[inline(always)]
fn place(values: &[f64; WIDTH], lanes: usize, strips: &mut [f32], apart: usize) {
    for (strip, values) in values.chunks_exact(lanes).enumerate() {
        for (target, &value) in strips[strip * apart * lanes..][..lanes].iter_mut().zip(values) {
            let value = value as f32;
            *target = if value.is_nan() { f32::INFINITY } else { value + 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::{Rng, RngExt};

    use super::*;
    use crate::kernels::columns::summarise_ranks;
    use crate::kernels::mixing::mix_rows;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn the_bits_are_those_of_mixing_and_then_sorting() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let mut rng = run_stream(1, Purpose::Aggregation);
        for (rows, columns) in
            [(1, 3), (2, 64), (5, 130), (13, 20_011), (17, 65), (50, 700), (FEW, 2_500)]
        {
            let mut updates = Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.5);
            updates.row_mut(0).mapv_inplace(|_| f32::from_bits(rng.next_u32()));
            // Some groups are the same, and none is empty.
            let groups: Vec<Vec<usize>> = (0..rows)
                .map(|group| (0..rows).filter(|row| row * row % 7 != group % 3 + 1).collect())
                .collect();
            let members =
                Members::new(rows, |group, add| groups[group].iter().for_each(|&row| add(row)));
            let flat = updates.as_slice().unwrap();
            let sources: Vec<&[f32]> = flat.chunks(columns).collect();
            let mixed = mix_rows(updates.clone(), &members);
            for rank in [0, rows / 2, rows - 1] {
                let reduce = |rows: &[Lanes]| rows[0];
                let bits = |row: Array1<f32>| row.mapv(f32::to_bits);
                let expected = bits(summarise_ranks(mixed.view(), rank..rank + 1, reduce));
                let fused = || summarise_ranks_of_means(&sources, &members, rank..rank + 1, reduce);
                assert_eq!(bits(fused()), expected);
                assert_eq!(bits(pool.install(fused)), expected);
            }
        }
    }
}
