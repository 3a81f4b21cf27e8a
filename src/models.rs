//! Models: functions over one flat vector of parameters.
//!
//! Nothing below a model knows layers. An architecture is what the user chooses; together with
//! the shape of the data it makes a model.

mod cnn;
mod cnn_cifar;
mod cnn_mnist;
mod cnn_small;
mod mlp;
pub mod network;
mod softmax;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1};
use rand::Rng;

use crate::catalog::{Catalog, ConfigError};
use crate::dataset::{Batch, Shape};

/// All architectures.
pub static CATALOG: Catalog<dyn Architecture> = Catalog {
    kind: "model",
    entries: &[
        &softmax::ENTRY,
        &mlp::ENTRY,
        &cnn::ENTRY,
        &cnn_mnist::ENTRY,
        &cnn_small::ENTRY,
        &cnn_cifar::ENTRY,
    ],
};

/// A kind of model, before it is known what it must read.
pub trait Architecture: Debug + Send + Sync {
    /// The model for samples of this shape.
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError>;
}

/// A model over a flat vector of parameters.
pub trait Model: Debug + Send + Sync {
    /// How many parameters there are, `d`.
    fn len(&self) -> usize;

    /// Whether there are none, which no model says.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parameters to start from.
    fn initial(&self, rng: &mut dyn Rng) -> Array1<f32>;

    /// Writes the gradient of the mean loss over `batch` to `gradient` and returns that loss.
    /// What is random about that, such as dropout, is drawn from `rng`.
    fn gradient(
        &self,
        parameters: ArrayView1<'_, f32>,
        batch: Batch<'_>,
        gradient: ArrayViewMut1<'_, f32>,
        rng: &mut dyn Rng,
    ) -> f32;

    /// Whether a forward pass over the samples of several workers is faster than one for each of
    /// them, and draws nothing.
    fn shares_passes(&self) -> bool {
        false
    }

    /// What each layer puts out for each input, the scores of the classes last; nothing where
    /// passes are not shared.
    fn outputs(
        &self,
        parameters: ArrayView1<'_, f32>,
        inputs: ArrayView2<'_, f32>,
    ) -> Vec<Array2<f32>> {
        let _ = (parameters, inputs);
        Vec::new()
    }

    /// The [gradient](Model::gradient) where the [outputs](Model::outputs) for the batch are known.
    ///
    /// # Panics
    /// If the model shares no passes.
    fn gradient_after(
        &self,
        outputs: &[ArrayView2<'_, f32>],
        parameters: ArrayView1<'_, f32>,
        batch: Batch<'_>,
        gradient: ArrayViewMut1<'_, f32>,
    ) -> f32 {
        let _ = (outputs, parameters, batch, gradient);
        unreachable!("a model that shares no passes")
    }

    /// The scores of each class for each input, shape `[n, classes]`, before softmax.
    fn scores(&self, parameters: ArrayView1<'_, f32>, inputs: ArrayView2<'_, f32>) -> Array2<f32>;

    /// Where the parameters of the last layer stand.
    fn head(&self) -> Range<usize>;

    /// Multiplications and additions in one gradient, for each sample.
    fn operations(&self) -> u64;
}
