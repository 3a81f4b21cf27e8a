//! Means of many overlapping groups of rows, in the memory of the rows themselves.
//!
//! Groups that overlap share their work: all sums among four or eight rows are made once, 16 or
//! 256 of them, and each group adds the one that it wants of every four or eight rows (Arlazarov,
//! Dinic, Kronrod, Faradzev, On economical construction of the transitive closure of a directed
//! graph, 1970). Sums are of the members alone and in `f64`, so that no digit is lost to rows that
//! a group leaves out, whatever they hold.

pub(super) mod few;

use ndarray::Array2;
use pulp::{Arch, Simd, WithSimd};

use self::few::{FEW, Recipe, WIDTH};
use super::blocks;
use super::means::columns_of;
use super::quotients::{Divisor, quotients};

/// Columns that one thread takes at a time.
const BLOCK: usize = 4096;

/// Bytes of rows that are copied next to each other before they are summed.
const STAGE: usize = 1 << 19;

/// The number of groups from which eight rows are summed at a time, in place of four.
const MANY: usize = 256;

/// Which rows belong to each of n groups of n rows.
#[derive(Debug, Clone)]
pub struct Members {
    groups: usize,
    /// For each group one bit for each row, in whole bytes.
    bits: Vec<u8>,
}

impl Members {
    /// Groups of rows, one for each row: `list` calls what it is given with every member of a
    /// group. It is called once for each group, on the threads that are at hand.
    pub fn new(groups: usize, list: impl Fn(usize, &mut dyn FnMut(usize)) + Sync) -> Self {
        let bytes = groups.div_ceil(8).max(1);
        let mut bits = vec![0; groups * bytes];
        blocks::for_each(&mut bits, bytes, blocks::shared(groups * groups), |group, bits| {
            list(group, &mut |row: usize| bits[row / 8] |= 1 << (row % 8));
        });
        Members { groups, bits }
    }

    /// How many groups there are.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// The bits of one group.
    fn of(&self, group: usize) -> &[u8] {
        let bytes = self.groups.div_ceil(8);
        &self.bits[group * bytes..(group + 1) * bytes]
    }

    /// How many members each group has.
    fn counts(&self) -> Vec<f64> {
        let count = |group| self.of(group).iter().map(|byte| f64::from(byte.count_ones())).sum();
        (0..self.groups).map(count).collect()
    }

    /// The bits of `ROWS` rows in a byte, for each `BATCH` such bytes those of all groups.
    fn batches<const ROWS: usize, const BATCH: usize>(&self) -> Vec<[u8; BATCH]> {
        let batches = self.groups.div_ceil(ROWS * BATCH);
        let mut all = vec![[0; BATCH]; batches * self.groups];
        for (batch, masks) in all.chunks_mut(self.groups.max(1)).enumerate() {
            for (group, masks) in masks.iter_mut().enumerate() {
                let bits = self.of(group);
                for (place, mask) in masks.iter_mut().enumerate() {
                    let row = (batch * BATCH + place) * ROWS;
                    let byte = bits.get(row / 8).copied().unwrap_or(0);
                    *mask = byte >> (row % 8) & (u8::MAX >> (8 - ROWS));
                }
            }
        }
        all
    }
}

/// Puts in the place of each row the mean of its group; NaN for an empty one.
///
/// Sums run in `f64`, four or eight rows at a time in their order, and are rounded once.
///
/// # Panics
/// If there are not as many groups as rows.
pub fn mix_rows(updates: Array2<f32>, members: &Members) -> Array2<f32> {
    assert_eq!(members.groups, updates.nrows(), "one group for each row");
    let mut updates = match updates.is_standard_layout() {
        true => updates,
        false => updates.as_standard_layout().into_owned(),
    };
    if members.groups <= FEW {
        mix_few(&mut updates, members);
    } else if members.groups < MANY {
        mix::<4, 16, 5, 16>(&mut updates, members);
    } else {
        mix::<8, 256, 2, 8>(&mut updates, members);
    }
    updates
}

/// With the sums alone that the groups want.
fn mix_few(updates: &mut Array2<f32>, members: &Members) {
    let recipe = Recipe::new(members);
    let shared = blocks::shared(updates.len());
    let mut parts = columns_of(updates, BLOCK);
    blocks::for_each(&mut parts, 1, shared, |_, parts| {
        Arch::new().dispatch(MixFew { recipe: &recipe, rows: &mut parts[0] });
    });
}

/// One pass over a block of columns of few rows, compiled for each kind of processor.
struct MixFew<'a, 'b> {
    recipe: &'a Recipe,
    rows: &'a mut [&'b mut [f32]],
}

impl WithSimd for MixFew<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let columns = self.rows.first().map_or(0, |row| row.len());
        let mut room = self.recipe.room();
        for start in (0..columns).step_by(WIDTH) {
            let tile = start..columns.min(start + WIDTH);
            for (row, source) in self.rows.iter().enumerate() {
                self.recipe.load(row, &source[tile.clone()], &mut room);
            }
            self.recipe.sum(simd, &mut room);
            for mean in self.recipe.means() {
                let values = self.recipe.mean(simd, mean, &mut room).0.map(|mean| mean as f32);
                for &group in &mean.groups {
                    self.rows[group][tile.clone()].copy_from_slice(&values[..tile.len()]);
                }
            }
        }
    }
}

/// With tables of the `SUMS` sums among `ROWS` rows, `BATCH` tables and `COLUMNS` columns at once.
fn mix<const ROWS: usize, const SUMS: usize, const BATCH: usize, const COLUMNS: usize>(
    updates: &mut Array2<f32>,
    members: &Members,
) {
    let (masks, counts) = (members.batches::<ROWS, BATCH>(), members.counts());
    let shared = blocks::shared(updates.len());
    let mut parts = columns_of(updates, BLOCK);
    blocks::for_each(&mut parts, 1, shared, |_, parts| {
        let rows = parts[0].as_mut_slice();
        let mix = Mix::<ROWS, SUMS, BATCH, COLUMNS> { masks: &masks, counts: &counts, rows };
        Arch::new().dispatch(mix);
    });
}

/// One pass over a block of columns, compiled for each kind of processor.
struct Mix<'a, 'b, const ROWS: usize, const SUMS: usize, const BATCH: usize, const COLUMNS: usize> {
    masks: &'a [[u8; BATCH]],
    counts: &'a [f64],
    rows: &'a mut [&'b mut [f32]],
}

impl<const ROWS: usize, const SUMS: usize, const BATCH: usize, const COLUMNS: usize> WithSimd
    for Mix<'_, '_, ROWS, SUMS, BATCH, COLUMNS>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match COLUMNS / S::F64_LANES {
            1 => self.mix::<S, 1>(simd),
            2 => self.mix::<S, 2>(simd),
            4 => self.mix::<S, 4>(simd),
            8 => self.mix::<S, 8>(simd),
            _ => self.mix::<S, 16>(simd),
        }
    }
}

impl<const ROWS: usize, const SUMS: usize, const BATCH: usize, const COLUMNS: usize>
    Mix<'_, '_, ROWS, SUMS, BATCH, COLUMNS>
{
    /// `V` registers hold as many columns as are done at a time.
    #[inline(always)]
    fn mix<S: Simd, const V: usize>(mut self, simd: S) {
        let n = self.rows.len();
        let columns = self.rows.first().map_or(0, |row| row.len());
        // Rows that are far apart are read in long pieces, as memory likes it.
        let width = (STAGE / (4 * n.max(1)) / COLUMNS * COLUMNS).clamp(4 * COLUMNS, BLOCK);
        let mut stage = vec![0.0f32; n.next_multiple_of(ROWS * BATCH) * width];
        let mut room = blocks::room(n * COLUMNS, 0.0f64);
        let sums = blocks::lined_up(&mut room, n * COLUMNS);
        let mut tables = vec![[simd.splat_f64s(0.0); V]; BATCH * SUMS];
        for start in (0..columns).step_by(width) {
            let end = columns.min(start + width);
            for (stage, row) in stage.chunks_mut(width).zip(&*self.rows) {
                stage[..end - start].copy_from_slice(&row[start..end]);
            }
            for tile in (start..end).step_by(COLUMNS) {
                sums.fill(0.0);
                let batches = stage.chunks(ROWS * BATCH * width);
                for (rows, masks) in batches.zip(self.masks.chunks(n)) {
                    tabulate::<S, ROWS, SUMS, COLUMNS, V>(
                        simd,
                        &rows[tile - start..],
                        width,
                        &mut tables,
                    );
                    add::<S, SUMS, BATCH, V>(simd, &tables, masks, sums);
                }
                self.write(simd, tile..end.min(tile + COLUMNS), sums);
            }
        }
    }

    /// Writes the means of some columns.
    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, columns: std::ops::Range<usize>, sums: &mut [f64]) {
        let sums = sums.as_chunks_mut::<COLUMNS>().0;
        for ((row, sums), &count) in self.rows.iter_mut().zip(sums).zip(self.counts) {
            let divisor = Divisor::new(simd, count, 1.0 / count);
            for sum in S::as_mut_simd_f64s(sums).0 {
                *sum = quotients(simd, *sum, divisor);
            }
            let means = sums.map(|mean| mean as f32);
            row[columns.clone()].copy_from_slice(&means[..columns.len()]);
        }
    }
}

/// Fills each table with the sums among its rows, which are `width` apart.
#[inline(always)]
fn tabulate<S: Simd, const ROWS: usize, const SUMS: usize, const COLUMNS: usize, const V: usize>(
    simd: S,
    rows: &[f32],
    width: usize,
    tables: &mut [[S::f64s; V]],
) {
    for (table, rows) in tables.chunks_mut(SUMS).zip(rows.chunks(ROWS * width)) {
        for place in 0..ROWS {
            let row: &[f32; COLUMNS] = rows[place * width..].first_chunk().expect("whole tiles");
            let row = row.map(f64::from);
            let row: &[S::f64s; V] = S::as_simd_f64s(&row).0.first_chunk().expect("whole tiles");
            // With this row there are twice as many sums.
            let (without, with) = table[..2 << place].split_at_mut(1 << place);
            for (with, without) in with.iter_mut().zip(without) {
                for v in 0..V {
                    with[v] = simd.add_f64s(without[v], row[v]);
                }
            }
        }
    }
}

/// Adds to the sums of each group what it wants of each table.
#[inline(always)]
fn add<S: Simd, const SUMS: usize, const BATCH: usize, const V: usize>(
    simd: S,
    tables: &[[S::f64s; V]],
    masks: &[[u8; BATCH]],
    sums: &mut [f64],
) {
    let tables = tables.as_chunks::<SUMS>().0.first_chunk::<BATCH>().expect("as many tables");
    let sums = S::as_mut_simd_f64s(sums).0.as_chunks_mut::<V>().0;
    for (sum, masks) in sums.iter_mut().zip(masks) {
        let mut total = *sum;
        for (table, &mask) in tables.iter().zip(masks) {
            // Masks are below the number of sums; the remainder spares a check.
            let part = &table[usize::from(mask) % SUMS];
            for v in 0..V {
                total[v] = simd.add_f64s(total[v], part[v]);
            }
        }
        *sum = total;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use rand::RngExt;

    use super::*;
    use crate::kernels::means::means_of_rows;
    use crate::seed::{Purpose, run_stream};

    fn of(groups: &[Vec<usize>]) -> Members {
        Members::new(groups.len(), |group, add| groups[group].iter().for_each(|&row| add(row)))
    }

    #[test]
    fn by_hand() {
        let updates = array![[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]];
        let mixed = mix_rows(updates, &of(&[vec![0, 1], vec![2], vec![0, 1, 2]]));
        assert_eq!(mixed, array![[2.0, 4.0], [5.0, 1.0], [3.0, 3.0]]);
        assert!(mix_rows(array![[1.0]], &of(&[vec![]]))[[0, 0]].is_nan());
    }

    #[test]
    fn every_shape_agrees_with_the_plain_mean_on_any_number_of_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let shapes =
            [(3, 100_001), (9, 70), (33, 1), (0, 4), (4, 0), (MANY - 1, 150), (MANY + 43, 1100)];
        for (rows, columns) in shapes {
            // Eighths, so that sums are exact in any order.
            let value = |(row, column): (usize, usize)| ((row * 7 + column * 3) % 101) as f32 / 8.0;
            let updates = Array2::from_shape_fn((rows, columns), value);
            let groups: Vec<Vec<usize>> = (0..rows)
                .map(|row| (0..rows).filter(|other| other * other % 7 != row % 5).collect())
                .collect();
            let apart = means_of_rows(updates.view(), &groups);
            let members = of(&groups);
            assert_eq!(mix_rows(updates.clone(), &members), apart);
            assert_eq!(pool.install(|| mix_rows(updates.clone(), &members)), apart);
            let turned = updates.t().as_standard_layout().into_owned().reversed_axes();
            assert_eq!(mix_rows(turned, &members), apart);
        }
    }

    #[test]
    fn few_rows_have_the_bits_of_many() {
        let mut rng = run_stream(1, Purpose::Aggregation);
        for (rows, columns) in [(1, 5), (4, 64), (13, 300), (50, 129), (FEW, 70)] {
            let updates = Array2::from_shape_fn((rows, columns), |_| {
                (rng.random::<f32>() - 0.5) * 2f32.powi(rng.random_range(-40..40))
            });
            let groups: Vec<Vec<usize>> = (0..rows)
                .map(|_| (0..rows).filter(|_| rng.random_range(0..5) > 0).collect())
                .collect();
            let members = of(&groups);
            let (mut few, mut many) = (updates.clone(), updates);
            mix_few(&mut few, &members);
            mix::<4, 16, 5, 16>(&mut many, &members);
            assert_eq!(few.mapv(f32::to_bits), many.mapv(f32::to_bits), "{rows} x {columns}");
        }
    }

    #[test]
    fn rows_that_are_left_out_cost_no_digit() {
        for rows in [5, MANY] {
            let mut updates = Array2::from_elem((rows, 3), 1.0f32);
            updates[[1, 0]] = f32::NAN;
            updates[[1, 1]] = 1e30;
            updates[[2, 2]] = f32::INFINITY;
            let groups: Vec<Vec<usize>> = (0..rows)
                .map(|_| (0..rows).filter(|&row| row != 1 && row != 2).collect())
                .collect();
            assert_eq!(mix_rows(updates, &of(&groups)), Array2::from_elem((rows, 3), 1.0));
        }
    }
}
