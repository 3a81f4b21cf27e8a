//! Vectors of parameters and updates: stacking in sender order, norms, digests.
//!
//! Sums run over blocks of fixed size in fixed order with `f64` accumulation, so that a norm
//! does not depend on who computes it or on how many threads there are.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

mod spare;

pub use spare::{give_back, unwritten};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use pulp::{Arch, NullaryFnOnce};
use serde::{Deserialize, Serialize};

use crate::node::NodeId;

/// A vector that several machines read: a model or an update.
pub type Shared = Arc<Array1<f32>>;

/// Elements summed before the partial sum joins the total.
const BLOCK: usize = 1024;

/// Independent sums inside a block, so that the compiler can use vector registers without
/// changing the order of additions.
const LANES: usize = 16;

/// Blocks that are summed side by side: memory gives several pieces faster than one.
const TOGETHER: usize = 4;

/// The sum over `of(a[i], b[i])`, in an order that depends on the length alone.
fn sum_pairs(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f64) -> f64 {
    assert_eq!(a.len(), b.len(), "vectors of different lengths");
    Arch::new().dispatch(SumPairs { a, b, of })
}

/// A sum over pairs in lanes of its own, compiled for each kind of processor.
struct SumPairs<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    of: F,
}

impl<F: Fn(f32, f32) -> f64> NullaryFnOnce for SumPairs<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let SumPairs { a, b, of } = self;
        let (a_spans, a_rest) = a.as_chunks::<{ TOGETHER * BLOCK }>();
        let (b_spans, b_rest) = b.as_chunks::<{ TOGETHER * BLOCK }>();
        let mut total = 0.0;
        for (a, b) in a_spans.iter().zip(b_spans) {
            // The sums of the blocks join the total in the order of the blocks.
            for sum in sums_of_blocks(a, b, &of) {
                total += sum;
            }
        }
        for (a, b) in a_rest.chunks(BLOCK).zip(b_rest.chunks(BLOCK)) {
            total += sum_of_block(a, b, &of);
        }
        total
    }
}

/// The sum over one block, which may be short.
#[inline(always)]
fn sum_of_block(a: &[f32], b: &[f32], of: &impl Fn(f32, f32) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += of(a[lane], b[lane]);
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[lane] += of(*a, *b);
    }
    lanes.iter().sum()
}

/// The sums over whole blocks, each as [`sum_of_block`] has it.
#[inline(always)]
fn sums_of_blocks(
    a: &[f32; TOGETHER * BLOCK],
    b: &[f32; TOGETHER * BLOCK],
    of: &impl Fn(f32, f32) -> f64,
) -> [f64; TOGETHER] {
    let (a, b) = (a.as_chunks::<BLOCK>().0, b.as_chunks::<BLOCK>().0);
    let a: [&[[f32; LANES]]; TOGETHER] =
        std::array::from_fn(|block| &a[block].as_chunks::<LANES>().0[..BLOCK / LANES]);
    let b: [&[[f32; LANES]]; TOGETHER] =
        std::array::from_fn(|block| &b[block].as_chunks::<LANES>().0[..BLOCK / LANES]);
    let mut lanes = [[0.0f64; LANES]; TOGETHER];
    for step in 0..BLOCK / LANES {
        for block in 0..TOGETHER {
            for lane in 0..LANES {
                lanes[block][lane] += of(a[block][step][lane], b[block][step][lane]);
            }
        }
    }
    lanes.map(|lanes| lanes.iter().sum())
}

/// The inner product of two vectors of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum_pairs(a, b, |a, b| f64::from(a) * f64::from(b))
}

/// The Euclidean norm.
pub fn norm(a: &[f32]) -> f64 {
    // Of two vectors each value would be read and widened twice.
    sum_pairs(a, a, |a, _| f64::from(a) * f64::from(a)).sqrt()
}

/// The Euclidean norm, or the position of the first element that is NaN or infinite.
pub fn finite_norm(a: &[f32]) -> Result<f64, usize> {
    // In `f64` no sum of squares of finite elements overflows.
    let norm = norm(a);
    if norm.is_finite() {
        return Ok(norm);
    }
    Err(first_not_finite(a).expect("finite elements have a finite norm"))
}

/// The squared Euclidean distance of two vectors of one length.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    sum_pairs(a, b, |a, b| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    })
}

/// The position of the first element that is NaN or infinite.
pub fn first_not_finite(a: &[f32]) -> Option<usize> {
    // Testing all first keeps the common case, all finite, fast.
    if Arch::new().dispatch(AllFinite(a)) {
        return None;
    }
    a.iter().position(|value| !value.is_finite())
}

/// Whether no element is NaN or infinite, compiled for each kind of processor.
struct AllFinite<'a>(&'a [f32]);

impl NullaryFnOnce for AllFinite<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        // Without their sign, bits are in the order of the values, and NaN is the largest.
        let magnitude = |value: &f32| value.to_bits() & (u32::MAX >> 1);
        self.0.iter().map(magnitude).fold(0, u32::max) < f32::INFINITY.to_bits()
    }
}

/// One vector per row, in ascending order of sender.
///
/// # Panics
/// If the vectors differ in length: admission has refused such vectors before.
pub fn stack(rows: &BTreeMap<NodeId, Shared>) -> Array2<f32> {
    stack_slices(&rows.values().map(|row| as_slice(row)).collect::<Vec<_>>())
}

/// Rows that stand anywhere, copied into one piece.
///
/// # Panics
/// If they differ in length.
pub fn stack_slices(rows: &[&[f32]]) -> Array2<f32> {
    let columns = rows.first().map_or(0, |row| row.len());
    let mut flat = Vec::with_capacity(rows.len() * columns);
    for row in rows {
        assert_eq!(row.len(), columns, "rows of different lengths");
        flat.extend_from_slice(row);
    }
    Array2::from_shape_vec((rows.len(), columns), flat).expect("rows times columns elements")
}

/// The rows of a matrix in standard layout.
pub fn slices_of<'a>(rows: &'a ArrayView2<'_, f32>) -> Vec<&'a [f32]> {
    let flat = rows.as_slice().expect("standard layout is contiguous");
    let columns = rows.ncols();
    (0..rows.nrows()).map(|row| &flat[row * columns..(row + 1) * columns]).collect()
}

/// The elements of an owned vector, which are always contiguous.
pub fn as_slice(vector: &Array1<f32>) -> &[f32] {
    vector.as_slice().expect("an owned vector is contiguous")
}

/// The elements of a view, which every rule and attack receives contiguous.
pub fn view_slice<'a>(view: &'a ArrayView1<'_, f32>) -> &'a [f32] {
    view.as_slice().expect("views of models and updates are contiguous")
}

/// The BLAKE3 digest of a vector's little-endian bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of one vector.
    pub fn of(vector: &[f32]) -> Self {
        Digest(*blake3::hash(bytemuck::cast_slice(vector)).as_bytes())
    }

    /// The digest over several digests in the order given: one number for a system that holds
    /// many models.
    pub fn of_digests<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for digest in digests {
            hasher.update(&digest.0);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// The digest of bytes, for plans and files.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// A digest that was computed elsewhere, from its raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_and_distances_by_hand() {
        assert_eq!(norm(&[3.0, 4.0]), 5.0);
        assert_eq!(dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
        assert_eq!(squared_distance(&[1.0, 1.0], &[4.0, 5.0]), 25.0);
        let long = vec![1.0f32; 5000];
        assert_eq!(dot(&long, &long), 5000.0);
    }

    #[test]
    fn the_first_bad_element_is_named() {
        let mut values = vec![0.0f32; 3000];
        assert_eq!(first_not_finite(&values), None);
        values[2500] = f32::NEG_INFINITY;
        values[2600] = f32::NAN;
        assert_eq!(first_not_finite(&values), Some(2500));
        assert_eq!(finite_norm(&values), Err(2500));
        assert_eq!(finite_norm(&[3.0, 4.0]), Ok(5.0));
        assert!(finite_norm(&vec![f32::MAX; 5000]).unwrap().is_finite());
    }

    #[test]
    fn rows_stack_by_sender() {
        let mut rows = BTreeMap::new();
        rows.insert(NodeId(7), Arc::new(Array1::from(vec![3.0, 4.0])));
        rows.insert(NodeId(2), Arc::new(Array1::from(vec![1.0, 2.0])));
        assert_eq!(stack(&rows), ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    }
}
