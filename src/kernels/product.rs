//! The product of two matrices: what nearly all of the time of training goes to.
//!
//! Each element is one chain of fused multiplications and additions along the inner dimension, in
//! its order: `sum <- round(left * right + sum)`. No tile, vector width or thread takes part in
//! that, so an element has the same bits on every processor, whatever other rows and columns are
//! computed with it, and a product in two halves of the inner dimension, the second added to the
//! first, is the whole product.
//!
//! One side is read in strips of two registers, the other one value at a time, and a tile of sums
//! stays in registers all the way along the inner dimension. Which side is which depends on how
//! the matrices lie in memory: a strip that is not contiguous has to be copied first.

mod matrix;
mod strip;
mod tile;
mod turn;

use std::cell::Cell;

use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::{Arch, Simd, WithSimd};

use self::matrix::{Matrix, Target, contiguous};
use self::strip::Strip;
use self::tile::Tile;

/// What a product does with what stands where it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    /// It is replaced.
    Nothing,
    /// It is what sums begin with.
    Before,
}

/// The lanes of a register of AVX-512, of which there are 32: a tile of four by six holds 24 sums.
const WIDE_LANES: usize = 16;

/// Rows of a tile at most. Each has a pointer of its own, and those are registers too.
const ROWS: usize = 6;

/// The same of a tile of one register: eight sums at least keep the processor busy.
const TALL_ROWS: usize = 9;

thread_local! {
    /// Where strips are copied to, kept so that it need not be cleared for each product.
    static ROOM: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// `into = left · right`, or `into = into + left · right`, of any strides.
///
/// # Panics
/// If the shapes do not fit.
pub fn product(
    left: ArrayView2<'_, f32>,
    right: ArrayView2<'_, f32>,
    onto: Onto,
    mut into: ArrayViewMut2<'_, f32>,
) {
    assert_eq!(left.ncols(), right.nrows(), "the inner dimensions of a product");
    assert_eq!(into.dim(), (left.nrows(), right.ncols()), "the shape of a product");
    if !into.is_standard_layout() {
        let mut whole = into.as_standard_layout().into_owned();
        product(left, right, onto, whole.view_mut());
        return into.assign(&whole);
    }
    let (left, right) = (contiguous(left), contiguous(right));
    let (left, right) = (Matrix::of(&left), Matrix::of(&right));
    let values = into.as_slice_mut().expect("the standard layout is contiguous");
    let into = Target { values, row_stride: right.columns, column_stride: 1 };
    Arch::new().dispatch(Product { left, right, onto, into });
}

/// A product, compiled for each kind of processor.
struct Product<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    onto: Onto,
    into: Target<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let transposed = self.transposed_cost(S::F32_LANES) < self.cost(S::F32_LANES);
        if transposed { self.transposed().run(simd) } else { self.run(simd) }
    }
}

impl Product<'_> {
    /// The same product with the sides in each other's place.
    fn transposed(self) -> Self {
        let Product { left, right, onto, into } = self;
        Product {
            left: right.transposed(),
            right: left.transposed(),
            onto,
            into: into.transposed(),
        }
    }

    /// About how many cycles it takes when strips are cut from `right`.
    fn cost(&self, lanes: usize) -> usize {
        cost(self.left, self.right, self.into.column_stride == 1, lanes)
    }

    fn transposed_cost(&self, lanes: usize) -> usize {
        let (left, right) = (self.right.transposed(), self.left.transposed());
        cost(left, right, self.into.row_stride == 1, lanes)
    }

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut room = ROOM.take();
        let width = if S::F32_LANES == WIDE_LANES { 4 } else { 2 };
        for first in (0..self.right.columns).step_by(width * S::F32_LANES) {
            let columns = (self.right.columns - first).min(width * S::F32_LANES);
            match columns.div_ceil(S::F32_LANES) {
                1 => self.strip::<S, 1>(simd, first, columns, &mut room),
                2 => self.strip::<S, 2>(simd, first, columns, &mut room),
                3 if S::F32_LANES == WIDE_LANES => {
                    self.strip::<S, 3>(simd, first, columns, &mut room);
                }
                _ if S::F32_LANES == WIDE_LANES => {
                    self.strip::<S, 4>(simd, first, columns, &mut room);
                }
                _ => unreachable!("no strip is wider than two narrow registers"),
            }
        }
        ROOM.set(room);
    }

    /// All rows of the columns `first..first + columns`.
    #[inline(always)]
    fn strip<S: Simd, const C: usize>(
        &mut self,
        simd: S,
        first: usize,
        columns: usize,
        room: &mut Vec<f32>,
    ) {
        let strip = Strip::cut(self.right, first, columns, C * S::F32_LANES, room);
        let rows = self.left.rows;
        let blocks = rows.div_ceil(if C == 1 { TALL_ROWS } else { ROWS });
        for block in 0..blocks {
            // Blocks of nearly one size: a last one of few rows would wait for its own sums.
            let (start, end) = (block * rows / blocks, (block + 1) * rows / blocks);
            let tile =
                Tile { simd, left: self.left, start, strip, first, columns, onto: self.onto };
            match end - start {
                1 => tile.add::<1, C>(&mut self.into),
                2 => tile.add::<2, C>(&mut self.into),
                3 => tile.add::<3, C>(&mut self.into),
                4 => tile.add::<4, C>(&mut self.into),
                5 => tile.add::<5, C>(&mut self.into),
                6 => tile.add::<6, C>(&mut self.into),
                // No tile that is wider has so many rows, so none is compiled.
                7 if C == 1 => tile.add::<7, 1>(&mut self.into),
                8 if C == 1 => tile.add::<8, 1>(&mut self.into),
                9 if C == 1 => tile.add::<9, 1>(&mut self.into),
                _ => unreachable!("no tile has more rows"),
            }
        }
    }
}

/// Cycles for sums at two registers a cycle, and for values that are moved by themselves.
fn cost(left: Matrix<'_>, right: Matrix<'_>, whole_rows: bool, lanes: usize) -> usize {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    let sums = rows * inner * columns.next_multiple_of(lanes) / (2 * lanes);
    // A low tile of one register has too few sums to keep the processor busy.
    let sums = if columns <= lanes && rows < TALL_ROWS - 1 { sums * 2 } else { sums };
    let strips = if right.column_stride == 1 { 0 } else { inner * columns };
    let turns = if lanes == WIDE_LANES { strips / 2 } else { strips };
    let stores = if whole_rows { 0 } else { rows * columns };
    sums + turns + stores
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, s};
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    /// Rows, inner dimension, columns: tiles and strips of every width, whole and in part.
    const SHAPES: [(usize, usize, usize); 17] = [
        (1, 1, 1),
        (2, 3, 4),
        (7, 25, 20),
        (25, 40, 10),
        (13, 16, 16),
        (6, 33, 17),
        (11, 9, 32),
        (5, 50, 33),
        (12, 64, 48),
        (9, 31, 63),
        (25, 70, 64),
        (64, 18, 130),
        (31, 5, 97),
        (40, 1, 3),
        (250, 12, 10),
        (17, 30, 7),
        (34, 21, 16),
    ];

    fn random(rows: usize, columns: usize) -> Array2<f32> {
        let mut rng = run_stream((rows * 1000 + columns) as u64, Purpose::Initial);
        Array2::from_shape_simple_fn((rows, columns), || rng.random::<f32>() - 0.5)
    }

    /// The definition.
    fn chains(left: &Array2<f32>, right: &Array2<f32>, before: &Array2<f32>) -> Array2<f32> {
        Array2::from_shape_fn(before.dim(), |(row, column)| {
            let pairs = left.row(row).into_iter().zip(right.column(column));
            pairs.fold(before[[row, column]], |sum, (&a, &b)| a.mul_add(b, sum))
        })
    }

    fn bits(matrix: &Array2<f32>) -> Vec<u32> {
        matrix.iter().map(|value| value.to_bits()).collect()
    }

    /// A view of the same values whose columns are contiguous.
    fn by_columns(matrix: &Array2<f32>) -> Array2<f32> {
        matrix.t().as_standard_layout().into_owned().reversed_axes()
    }

    #[test]
    fn every_element_is_its_chain_in_every_layout() {
        for (rows, inner, columns) in SHAPES {
            let (left, right) = (random(rows, inner), random(inner, columns));
            let before = random(rows, columns);
            let nothing = Array2::zeros((rows, columns));
            for (left, right) in [
                (left.clone(), right.clone()),
                (by_columns(&left), right.clone()),
                (left.clone(), by_columns(&right)),
                (by_columns(&left), by_columns(&right)),
            ] {
                let mut into = Array2::from_elem((rows, columns), f32::NAN);
                product(left.view(), right.view(), Onto::Nothing, into.view_mut());
                assert_eq!(bits(&into), bits(&chains(&left, &right, &nothing)));
                into.assign(&before);
                product(left.view(), right.view(), Onto::Before, into.view_mut());
                assert_eq!(bits(&into), bits(&chains(&left, &right, &before)));
                let mut into = by_columns(&before);
                product(left.view(), right.view(), Onto::Before, into.view_mut());
                assert_eq!(bits(&into), bits(&chains(&left, &right, &before)));
            }
        }
    }

    #[test]
    fn any_strides() {
        let (left, right) = (random(14, 30), random(30, 44));
        let (left, right) = (left.slice(s![..;2, ..;3]), right.slice(s![..;3, 1..;4]));
        let mut room = Array2::from_elem((14, 22), 7.0);
        product(left, right, Onto::Nothing, room.slice_mut(s![..;2, ..;2]));
        let expected = chains(&left.to_owned(), &right.to_owned(), &Array2::zeros((7, 11)));
        assert_eq!(room.slice(s![..;2, ..;2]), expected);
        assert!(room.slice(s![1..;2, ..]).iter().all(|value| *value == 7.0));
    }

    /// The program as compiled for other processors gives the bits of this one.
    #[test]
    fn every_processor_has_the_same_bits() {
        for (rows, inner, columns) in SHAPES {
            let (left, right) = (random(rows, inner), by_columns(&random(inner, columns)));
            let mut into = random(rows, columns);
            let expected = chains(&left, &right, &into);
            let (left, right) = (contiguous(left.view()), contiguous(right.view()));
            let mut run = |arch: Arch| {
                let values = into.as_slice_mut().unwrap();
                let target = Target { values, row_stride: columns, column_stride: 1 };
                let (left, right) = (Matrix::of(&left), Matrix::of(&right));
                arch.dispatch(Product { left, right, onto: Onto::Before, into: target });
                let ours = bits(&into);
                into = random(rows, columns);
                ours
            };
            assert_eq!(run(Arch::Scalar), bits(&expected));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert_eq!(run(Arch::V3(simd)), bits(&expected));
            }
        }
    }

    #[test]
    fn rows_and_halves_of_the_inner_dimension_do_not_matter() {
        let (left, right) = (random(29, 45), random(45, 37));
        let mut whole = Array2::zeros((29, 37));
        product(left.view(), right.view(), Onto::Nothing, whole.view_mut());
        let mut row = Array2::zeros((1, 37));
        product(left.slice(s![17..18, ..]), right.view(), Onto::Nothing, row.view_mut());
        assert_eq!(row.row(0), whole.row(17));
        let (first, second) = right.view().split_at(Axis(0), 20);
        let mut halves = Array2::zeros((29, 37));
        product(left.slice(s![.., ..20]), first, Onto::Nothing, halves.view_mut());
        product(left.slice(s![.., 20..]), second, Onto::Before, halves.view_mut());
        assert_eq!(halves, whole);
    }

    #[test]
    fn what_is_not_finite_stays_in_its_row_and_column() {
        let (mut left, mut right) = (random(20, 30), random(30, 40));
        left[[7, 3]] = f32::NAN;
        right[[5, 21]] = f32::INFINITY;
        for right in [right.clone(), by_columns(&right)] {
            let mut into = Array2::zeros((20, 40));
            product(left.view(), right.view(), Onto::Nothing, into.view_mut());
            for ((row, column), value) in into.indexed_iter() {
                assert_eq!(value.is_finite(), row != 7 && column != 21, "{row}, {column}");
            }
        }
    }

    #[test]
    fn nothing_times_nothing() {
        let mut into = Array2::from_elem((2, 3), 5.0);
        product(random(2, 0).view(), random(0, 3).view(), Onto::Before, into.view_mut());
        assert_eq!(into, Array2::from_elem((2, 3), 5.0));
        product(random(2, 0).view(), random(0, 3).view(), Onto::Nothing, into.view_mut());
        assert_eq!(into, Array2::<f32>::zeros((2, 3)));
        product(
            random(0, 4).view(),
            random(4, 3).view(),
            Onto::Nothing,
            Array2::zeros((0, 3)).view_mut(),
        );
        product(
            random(2, 4).view(),
            random(4, 0).view(),
            Onto::Nothing,
            Array2::zeros((2, 0)).view_mut(),
        );
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn shapes_have_to_fit() {
        product(random(2, 3).view(), random(4, 2).view(), Onto::Nothing, random(2, 2).view_mut());
    }
}
