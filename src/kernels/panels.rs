//! Inner products of all pairs of rows, which are copied into panels of sixteen first, value by
//! value next to each other.
//!
//! Each product is one chain of fused additions over [`DEPTH`] columns, which joins an `f64` total:
//! the same bits on every processor, whatever the width of its registers, and for every pair of
//! rows wherever they stand.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::blocks;

/// Rows of a panel: one register of AVX-512, two of AVX2.
const PANEL: usize = 16;

/// What a panel holds of one column.
type Column = [f32; PANEL];

/// Columns whose products are summed in single precision: two panels of them, and one to be
/// compared with, fit into the nearest cache.
const DEPTH: usize = 192;

/// Panels that are compared with [`RIGHT`] panels over all columns: with their totals they fit into
/// the second cache.
const LEFT: usize = 8;

/// Panels on the other side.
const RIGHT: usize = 16;

/// Up to this many rows threads share columns, and above it pairs of rows.
const FEW: usize = 256;

/// Columns that one thread takes at least.
const PART: usize = 128 * DEPTH;

/// The most parts that columns are divided into.
const PARTS_MAX: usize = 32;

/// Values below this count as zero: no product of others is so small that the processor takes
/// its time. Rows are to be scaled to values about 1.
const NOTHING: f32 = f32::from_bits((127 - 63) << 23);

/// A row as it takes part: less the centre, times a scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) values: &'a [f32],
    pub(super) scale: f32,
}

/// Puts the products of all pairs `i <= j` of rows, less `centre` if there is one, into the
/// beginning of the first rows of a matrix with `n` columns; what is below the diagonal stays.
///
/// For many rows this takes as much memory as they do.
pub(super) fn products(
    rows: &[Row<'_>],
    centre: Option<&[f32]>,
    totals: &mut [f64],
    n: usize,
    shared: bool,
) {
    if rows.len() <= FEW {
        return few(rows, centre, totals, n, shared);
    }
    let panels = panels(rows);
    let columns = rows[0].values.len();
    let mut packed = vec![0.0; panels * PANEL * columns];
    blocks::for_each(&mut packed, panels * PANEL * DEPTH, shared, |block, packed| {
        pack(rows, centre, block * DEPTH, packed);
    });
    let mut tiles = tiles(&mut totals[..rows.len() * n], n, rows.len());
    blocks::for_each(&mut tiles, 1, shared, |_, tiles| {
        let Tile { left, right, targets } = &mut tiles[0];
        let width = right.len() * PANEL;
        let mut sums = vec![0.0; left.len() * PANEL * width];
        for block in packed.chunks(panels * PANEL * DEPTH) {
            let (left, right) = (left.clone(), right.clone());
            Arch::new().dispatch(Multiply { block, panels, left, right, sums: &mut sums });
        }
        for (target, sums) in targets.iter_mut().zip(sums.chunks(width)) {
            target.copy_from_slice(&sums[..target.len()]);
        }
    });
}

/// The same over parts of the columns, added in their order.
fn few(rows: &[Row<'_>], centre: Option<&[f32]>, totals: &mut [f64], n: usize, shared: bool) {
    let Some(columns) = rows.first().map(|row| row.values.len()) else { return };
    let panels = panels(rows);
    let width = panels * PANEL;
    let part = columns.div_ceil(PARTS_MAX).next_multiple_of(DEPTH).max(PART);
    let mut parts = vec![0.0; width * width * columns.div_ceil(part)];
    blocks::for_each(&mut parts, width * width, shared, |index, sums| {
        let mut block = vec![0.0; width * DEPTH];
        for start in (index * part..columns.min((index + 1) * part)).step_by(DEPTH) {
            let block = &mut block[..width * DEPTH.min(columns - start)];
            pack(rows, centre, start, block);
            let (left, right) = (0..panels, 0..panels);
            Arch::new().dispatch(Multiply { block, panels, left, right, sums: &mut *sums });
        }
    });
    for (i, totals) in totals.chunks_mut(n.max(1)).enumerate().take(rows.len()) {
        for (j, total) in totals.iter_mut().enumerate().take(rows.len()).skip(i) {
            *total = parts.chunks(width * width).map(|part| part[i * width + j]).sum();
        }
    }
}

/// How many panels rows fill: an even number, as two are taken at a time.
fn panels(rows: &[Row<'_>]) -> usize {
    rows.len().div_ceil(2 * PANEL) * 2
}

/// Fills a block of panels with the columns from `start` on.
fn pack(rows: &[Row<'_>], centre: Option<&[f32]>, start: usize, block: &mut [f32]) {
    let width = block.len() / (panels(rows) * PANEL);
    let centre = centre.map(|centre| &centre[start..start + width]);
    for (panel, rows) in block.chunks_mut(PANEL * width).zip(rows.chunks(PANEL)) {
        Arch::new().dispatch(Pack { rows, start, centre, panel });
    }
}

/// Fills one panel.
struct Pack<'a> {
    rows: &'a [Row<'a>],
    start: usize,
    centre: Option<&'a [f32]>,
    panel: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        // Square by square: a register of a row is computed at once, and stored value by value.
        let mut square = [[0.0f32; PANEL]; PANEL];
        let mut middle = [0.0f32; PANEL];
        let squares = self.panel.as_chunks_mut::<PANEL>().0.chunks_mut(PANEL);
        for (index, target) in squares.enumerate() {
            let start = index * PANEL;
            if let Some(centre) = self.centre {
                middle[..target.len()].copy_from_slice(&centre[start..start + target.len()]);
            }
            for (line, row) in square.iter_mut().zip(self.rows) {
                let values = &row.values[self.start + start..][..target.len()];
                for (to, (&value, middle)) in line.iter_mut().zip(values.iter().zip(middle)) {
                    let value = (value - middle) * row.scale;
                    *to = if value.abs() < NOTHING { 0.0 } else { value };
                }
            }
            for (column, target) in target.iter_mut().enumerate() {
                *target = std::array::from_fn(|row| square[row][column]);
            }
        }
    }
}

/// Rows of the matrix over some panels, columns over others.
struct Tile<'a> {
    left: Range<usize>,
    right: Range<usize>,
    targets: Vec<&'a mut [f64]>,
}

/// The tiles of a matrix of `n` columns for `rows` rows that are not below the diagonal.
fn tiles(totals: &mut [f64], n: usize, rows: usize) -> Vec<Tile<'_>> {
    let panels = rows.div_ceil(2 * PANEL) * 2;
    let mut tiles = Vec::new();
    for (index, stripe) in totals.chunks_mut(LEFT * PANEL * n).enumerate() {
        let left = index * LEFT..((index + 1) * LEFT).min(panels);
        let first = left.start / RIGHT * RIGHT;
        let tile = |start: usize| {
            let right = start..(start + RIGHT).min(panels);
            Tile { left: left.clone(), right, targets: Vec::new() }
        };
        let mut row_of_tiles: Vec<Tile<'_>> = (first..panels).step_by(RIGHT).map(tile).collect();
        for row in stripe.chunks_mut(n) {
            let pieces = row[first * PANEL..rows].chunks_mut(RIGHT * PANEL);
            for (tile, piece) in row_of_tiles.iter_mut().zip(pieces) {
                tile.targets.push(piece);
            }
        }
        tiles.extend(row_of_tiles);
    }
    tiles
}

/// Adds the products over one block of columns, compiled for each kind of processor.
struct Multiply<'a> {
    block: &'a [f32],
    /// How many panels the block has.
    panels: usize,
    left: Range<usize>,
    right: Range<usize>,
    /// As many rows as the left has and as many columns as the right.
    sums: &'a mut [f64],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            // As many sums as registers can hold, and enough to hide how long one takes.
            16 => self.multiply::<S, 8, 2>(simd),
            8 => self.multiply::<S, 4, 2>(simd),
            4 => self.multiply::<S, 4, 4>(simd),
            _ => self.multiply::<S, 1, PANEL>(simd),
        }
    }
}

impl Multiply<'_> {
    /// `R` rows of the left at a time, `V` registers of rows of the right.
    #[inline(always)]
    fn multiply<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Multiply { block, panels, left, right, sums } = self;
        let at_once = (V * S::F32_LANES / PANEL).max(1);
        let line = right.len() * PANEL;
        let width = block.len() / (panels * PANEL);
        let panel = |index: usize| block[index * PANEL * width..][..PANEL * width].as_chunks().0;
        for near in right.clone().step_by(at_once) {
            let others: [&[Column]; 2] = [panel(near), panel(near + at_once - 1)];
            // Of the pairs below the diagonal all that are whole panels are left out.
            for own in left.clone().take_while(|&own| own < near + at_once) {
                let panel: &[Column] = panel(own);
                for first in (0..PANEL).step_by(R) {
                    let products = products_of::<S, R, V>(simd, panel, first, others);
                    for (r, products) in products.iter().enumerate() {
                        let row = (own - left.start) * PANEL + first + r;
                        let at = row * line + (near - right.start) * PANEL;
                        let products: &[f32] = bytemuck::cast_slice(products);
                        for (sum, &product) in sums[at..].iter_mut().zip(products) {
                            *sum += f64::from(product);
                        }
                    }
                }
            }
        }
    }
}

/// The products of `R` rows of a panel, from `first` on, with `V` registers of rows.
#[inline(always)]
fn products_of<S: Simd, const R: usize, const V: usize>(
    simd: S,
    own: &[Column],
    first: usize,
    others: [&[Column]; 2],
) -> [[S::f32s; V]; R] {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for ((own, near), far) in own.iter().zip(others[0]).zip(others[1]) {
        let registers: [S::f32s; V] = std::array::from_fn(|v| {
            let place = v * S::F32_LANES;
            let panel = if place < PANEL { near } else { far };
            S::as_simd_f32s(panel).0[place % PANEL / S::F32_LANES]
        });
        for r in 0..R {
            // Without the remainder it would be checked each time whether there is such a row.
            let value = simd.splat_f32s(own[(first + r) % PANEL]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_f32s(value, registers[v], sums[r][v]);
            }
        }
    }
    sums
}

/// The exponent of a row's largest absolute value, such that its power of two and the inverse of
/// that are normal.
pub(super) fn exponent(largest: f32) -> i32 {
    if largest > 0.0 {
        (((largest.to_bits() >> 23) & 0xff) as i32 - 127).clamp(-120, 120)
    } else {
        0
    }
}

/// Two to the power of an [`exponent`] or its negative.
pub(super) fn power(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};
    use crate::vector::dot;

    #[test]
    fn every_shape_agrees_with_the_slow_sum_and_threads_change_no_bit() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let mut rng = run_stream(5, Purpose::Aggregation);
        let shapes = [(1, 3), (2, 0), (15, 500), (33, 191), (40, 30_000), (257, 400), (530, 193)];
        for (rows, columns) in shapes {
            let flat: Vec<f32> = (0..rows * columns).map(|_| rng.random::<f32>() - 0.5).collect();
            let row = |row| Row { values: &flat[row * columns..(row + 1) * columns], scale: 2.0 };
            let all: Vec<Row<'_>> = (0..rows).map(row).collect();
            let n = rows + 1;
            let of = |shared| {
                let mut totals = vec![0.0; n * n];
                products(&all, None, &mut totals, n, shared);
                totals
            };
            let totals = of(false);
            assert_eq!(pool.install(|| of(true)), totals);
            for i in (0..rows).step_by(7) {
                for j in i..rows {
                    let exact = 4.0 * dot(all[i].values, all[j].values);
                    let off = (totals[i * n + j] - exact).abs();
                    assert!(off <= 5e-7 * columns as f64, "{rows} x {columns}: {off}");
                }
            }
        }
    }

    #[test]
    fn centre_and_scale() {
        let rows = [
            Row { values: &[3.0, 5.0, 1e-30], scale: 2.0 },
            Row { values: &[1.0, 2.0, -1e-30], scale: 0.5 },
        ];
        let mut totals = vec![0.0; 4];
        products(&rows, Some(&[1.0, 1.0, 0.0]), &mut totals, 2, false);
        assert_eq!(totals, [80.0, 4.0, 0.0, 0.25]);
    }

    #[test]
    fn powers_are_normal() {
        for value in [1.0f32, 1.9, 1e-45, 3e38, 0.3] {
            let exponent = exponent(value);
            assert!(power(exponent).is_normal() && power(-exponent).is_normal());
        }
        assert_eq!(power(exponent(1.9)), 1.0);
        assert_eq!(power(exponent(0.3)), 0.25);
    }
}
