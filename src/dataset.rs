//! Data as the catalogs pass it around: shapes, splits, samples and batches.

mod held;
mod scale;

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use self::held::{Held, Raw, Shard, Values};
pub use self::scale::{Scale, Stored};

/// What every sample of a data set looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
    /// How many classes the labels name, from 0.
    pub classes: usize,
}

impl Shape {
    /// Values per sample.
    pub fn features(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// The part of a data set that is learned from, and the part that judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// What the workers hold shares of.
    Train,
    /// What the evaluator holds.
    Test,
}

/// Samples as numbers: the test set, or what a poison changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// One sample per row, shape `[n, features]`; pixels row by row, and the channels of a pixel
    /// side by side.
    pub inputs: Array2<f32>,
    /// One class per row.
    pub labels: Vec<u8>,
}

impl Samples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// All samples, to be read.
    pub fn batch(&self) -> Batch<'_> {
        Batch { inputs: self.inputs.view(), labels: &self.labels }
    }

    /// The samples at `indices`, copied, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Samples {
        Samples {
            inputs: self.inputs.select(Axis(0), indices),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }
}

/// A view of samples that a model reads.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// One sample per row, shape `[n, features]`.
    pub inputs: ArrayView2<'a, f32>,
    /// One class per row.
    pub labels: &'a [u8],
}

impl Batch<'_> {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}
