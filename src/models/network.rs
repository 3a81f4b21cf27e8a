//! Layers in a row over one flat vector: what all models are made of.
//!
//! The code is generic over the float type: runs use `f32`, and tests judge the same lines in
//! `f64`. A network is a row of parts, and relu may follow each.

mod convolution;
mod dense;
mod dropout;
mod entropy;
mod float;
mod image;
mod layer;
mod patches;
mod pool;
pub mod product;
#[cfg(test)]
mod tests;

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, s};
use rand::{Rng, RngExt};

use self::convolution::Convolution;
use self::dense::Dense;
use self::dropout::Dropout;
use self::entropy::cross_entropy;
pub use self::float::Float;
pub use self::layer::Layer;
pub(super) use self::layer::check;
use self::pool::Pool;
use super::Model;
use crate::dataset::Batch;
use crate::vector::view_slice;

/// The most samples that are scored at once.
const CHUNK: usize = 256;

/// The most values of one layer that are kept while scoring, where that leaves a sample: 4 MiB.
const VALUES_MAX: usize = 1 << 20;

/// Layers in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    stages: Vec<Stage>,
    features: usize,
    parameters: usize,
}

/// A part, and whether what it puts out is cut off below 0.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stage {
    part: Part,
    relu: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Dense(Dense),
    Convolution(Convolution),
    Pool(Pool),
    Dropout(Dropout),
}

/// What a stage came to on the way up.
struct Output<F> {
    values: Array2<F>,
    /// Which values a pool chose, or which a dropout left.
    chosen: Vec<u8>,
}

/// The same to read, of all samples or of some.
struct Below<'a, F> {
    values: ArrayView2<'a, F>,
    chosen: &'a [u8],
}

impl<F> Output<F> {
    fn below(&self) -> Below<'_, F> {
        Below { values: self.values.view(), chosen: &self.chosen }
    }
}

impl Network {
    /// Dense layers from `features` values over the `hidden` widths, each with relu, to `classes`
    /// scores.
    pub fn new(features: usize, hidden: &[usize], classes: usize) -> Self {
        let (mut inputs, mut start) = (features, 0);
        let widths = hidden.iter().copied().chain([classes]);
        let stages = widths.enumerate().map(|(index, outputs)| {
            let dense = Dense { inputs, outputs, start };
            (inputs, start) = (outputs, dense.range().end);
            Stage { part: Part::Dense(dense), relu: index < hidden.len() }
        });
        let stages: Vec<Stage> = stages.collect();
        Network { stages, features, parameters: start }
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Writes the gradient of the mean cross-entropy over the samples, shape
    /// `[n, features]`, to `gradient` and returns that loss. Without samples both are 0. Dropout
    /// draws from `rng`, other layers do not.
    ///
    /// # Panics
    /// If sizes do not fit, or a label is not below the number of classes.
    pub fn gradient<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
        labels: &[u8],
        gradient: &mut [F],
        rng: &mut dyn Rng,
    ) -> f64 {
        assert_eq!(parameters.len(), self.parameters, "parameters of another model");
        assert_eq!(gradient.len(), self.parameters, "a gradient of another model");
        assert_eq!(inputs.ncols(), self.features, "samples of another shape");
        let mut outputs = self.outputs(parameters, inputs, Some(rng));
        let scores = outputs.pop().expect("a network has a layer").values;
        let below: Vec<Below<'_, F>> = outputs.iter().map(Output::below).collect();
        self.backward(parameters, inputs, labels, scores, &below, gradient)
    }

    /// The way down from the scores: `below` is what the stages before the last put out.
    fn backward<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
        labels: &[u8],
        scores: Array2<F>,
        below: &[Below<'_, F>],
        gradient: &mut [F],
    ) -> f64 {
        let mut delta = scores;
        let loss = cross_entropy(&mut delta, labels);
        let first = self.stages.iter().position(Stage::learns).unwrap_or_default();
        for (index, stage) in self.stages.iter().enumerate().skip(first).rev() {
            let before = index.checked_sub(1).map(|index| &below[index]);
            let read = before.map_or(inputs, |before| before.values);
            let chosen = below.get(index).map_or(&[][..], |own| own.chosen);
            let moved = stage.backward(parameters, delta, read, chosen, gradient, index > first);
            let (Some(moved), Some(before)) = (moved, before) else { break };
            delta = moved;
            if self.stages[index - 1].relu {
                relu_back(&mut delta, before.values);
            }
        }
        loss
    }

    /// The scores of each class for each input, shape `[n, classes]`; no dropout.
    ///
    /// A sample's scores have the same bits whatever other samples stand beside it.
    pub fn scores<F: Float>(&self, parameters: &[F], inputs: ArrayView2<'_, F>) -> Array2<F> {
        assert_eq!(parameters.len(), self.parameters, "parameters of another model");
        assert_eq!(inputs.ncols(), self.features, "samples of another shape");
        let mut scores = Array2::zeros((inputs.nrows(), self.last().outputs));
        let widest = self.stages.iter().map(Stage::width).max().unwrap_or_default();
        let at_once = (VALUES_MAX / widest.max(1)).clamp(1, CHUNK);
        let chunks = inputs.axis_chunks_iter(Axis(0), at_once);
        for (inputs, mut scores) in chunks.zip(scores.axis_chunks_iter_mut(Axis(0), at_once)) {
            let outputs = self.outputs(parameters, inputs, None);
            scores.assign(&outputs.last().expect("a network has a layer").values);
        }
        scores
    }

    /// What each stage puts out, after its relu where it has one. Without `rng` nothing is left
    /// out.
    fn outputs<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
        mut rng: Option<&mut dyn Rng>,
    ) -> Vec<Output<F>> {
        let mut outputs: Vec<Output<F>> = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let read = outputs.last().map_or(inputs, |below| below.values.view());
            let mut output = stage.forward(parameters, read, shorter(&mut rng));
            if stage.relu {
                relu(&mut output.values);
            }
            outputs.push(output);
        }
        outputs
    }

    /// The last layer, which is dense.
    fn last(&self) -> &Dense {
        match self.stages.last() {
            Some(Stage { part: Part::Dense(dense), .. }) => dense,
            _ => unreachable!("a network ends with a dense layer"),
        }
    }

    /// The weights of a layer where it has some, in order.
    fn weighted(&self) -> impl Iterator<Item = &Dense> {
        self.stages.iter().filter_map(|stage| match &stage.part {
            Part::Dense(dense) => Some(dense),
            Part::Convolution(convolution) => Some(&convolution.dense),
            Part::Pool(_) | Part::Dropout(_) => None,
        })
    }

    /// Multiplications and additions in one gradient, for each sample: two for each product of a
    /// weight and a value, once on the way up, once for the weight, and once for what is below,
    /// which the first layer does not need.
    pub fn operations(&self) -> u64 {
        let products = self.stages.iter().filter_map(|stage| match &stage.part {
            Part::Dense(dense) => Some(dense.inputs * dense.outputs),
            Part::Convolution(convolution) => {
                let weights = convolution.dense.inputs * convolution.dense.outputs;
                Some(convolution.unpooled().pixels() * weights)
            }
            Part::Pool(_) | Part::Dropout(_) => None,
        });
        products.enumerate().map(|(index, one)| one as u64 * if index == 0 { 4 } else { 6 }).sum()
    }
}

impl Stage {
    /// Whether it has parameters.
    fn learns(&self) -> bool {
        matches!(self.part, Part::Dense(_) | Part::Convolution(_))
    }

    /// Values that it makes of a sample, before a pool.
    fn width(&self) -> usize {
        match &self.part {
            Part::Dense(dense) => dense.outputs,
            Part::Convolution(convolution) => convolution.image().values(),
            Part::Pool(pool) => pool.pooled().values(),
            Part::Dropout(dropout) => dropout.values,
        }
    }

    fn forward<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
        rng: Option<&mut dyn Rng>,
    ) -> Output<F> {
        match &self.part {
            Part::Dense(dense) => {
                Output { values: dense.forward(parameters, inputs), chosen: Vec::new() }
            }
            Part::Convolution(convolution) => {
                let (values, chosen) = convolution.forward(parameters, inputs);
                Output { values, chosen }
            }
            Part::Pool(pool) => {
                let (values, chosen) = pool.forward_all(inputs);
                Output { values, chosen }
            }
            Part::Dropout(dropout) => {
                let mut values = inputs.to_owned();
                let Some(rng) = rng else { return Output { values, chosen: Vec::new() } };
                let chosen = dropout.draw(inputs.nrows(), rng);
                dropout.apply(&chosen, &mut values);
                Output { values, chosen }
            }
        }
    }

    /// Writes its part of the gradient, and returns how the loss moves with its inputs if that is
    /// `wanted`.
    fn backward<F: Float>(
        &self,
        parameters: &[F],
        mut delta: Array2<F>,
        inputs: ArrayView2<'_, F>,
        chosen: &[u8],
        gradient: &mut [F],
        wanted: bool,
    ) -> Option<Array2<F>> {
        match &self.part {
            Part::Dense(dense) => {
                dense.gradient(&delta, inputs, gradient);
                wanted.then(|| dense.back(parameters, &delta))
            }
            Part::Convolution(convolution) => {
                convolution.backward(parameters, &delta, inputs, chosen, gradient, wanted)
            }
            Part::Pool(pool) => wanted.then(|| pool.back_all(&delta, chosen)),
            Part::Dropout(dropout) => {
                dropout.apply(chosen, &mut delta);
                Some(delta)
            }
        }
    }
}

/// The same stream, lent for a shorter time.
fn shorter<'a>(rng: &'a mut Option<&mut dyn Rng>) -> Option<&'a mut dyn Rng> {
    match rng {
        Some(rng) => Some(&mut **rng),
        None => None,
    }
}

/// Puts 0 in place of what is negative; NaN stays, so that a model that has burst shows it.
fn relu<F: Float>(values: &mut Array2<F>) {
    values.mapv_inplace(|value| if value < F::zero() { F::zero() } else { value });
}

/// Stops what relu stopped on the way up.
fn relu_back<F: Float>(delta: &mut Array2<F>, outputs: ArrayView2<'_, F>) {
    delta.zip_mut_with(&outputs, |delta, &output| {
        *delta = if output <= F::zero() { F::zero() } else { *delta };
    });
}

impl Model for Network {
    fn len(&self) -> usize {
        self.parameters
    }

    /// PyTorch's default for dense layers and convolutions: uniform in ±1/√(inputs of one output),
    /// weight and bias alike.
    fn initial(&self, rng: &mut dyn Rng) -> Array1<f32> {
        let mut flat = Array1::zeros(self.parameters);
        for dense in self.weighted() {
            let bound = 1.0 / (dense.inputs as f32).sqrt();
            flat.slice_mut(s![dense.range()])
                .mapv_inplace(|_| (2.0 * rng.random::<f32>() - 1.0) * bound);
        }
        flat
    }

    fn gradient(
        &self,
        parameters: ArrayView1<'_, f32>,
        batch: Batch<'_>,
        mut gradient: ArrayViewMut1<'_, f32>,
        rng: &mut dyn Rng,
    ) -> f32 {
        let flat = gradient.as_slice_mut().expect("gradients are contiguous");
        let parameters = view_slice(&parameters);
        Network::gradient(self, parameters, batch.inputs, batch.labels, flat, rng) as f32
    }

    /// Where all layers are dense: they are fast enough to gain by it, and what they put out is
    /// small.
    fn shares_passes(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage.part, Part::Dense(_)))
    }

    fn outputs(
        &self,
        parameters: ArrayView1<'_, f32>,
        inputs: ArrayView2<'_, f32>,
    ) -> Vec<Array2<f32>> {
        let outputs = Network::outputs(self, view_slice(&parameters), inputs, None);
        outputs.into_iter().map(|output| output.values).collect()
    }

    fn gradient_after(
        &self,
        outputs: &[ArrayView2<'_, f32>],
        parameters: ArrayView1<'_, f32>,
        batch: Batch<'_>,
        mut gradient: ArrayViewMut1<'_, f32>,
    ) -> f32 {
        let flat = gradient.as_slice_mut().expect("gradients are contiguous");
        let (scores, below) = outputs.split_last().expect("a network has a layer");
        let below: Vec<Below<'_, f32>> =
            below.iter().map(|&values| Below { values, chosen: &[] }).collect();
        let (parameters, inputs) = (view_slice(&parameters), batch.inputs);
        self.backward(parameters, inputs, batch.labels, scores.to_owned(), &below, flat) as f32
    }

    fn scores(&self, parameters: ArrayView1<'_, f32>, inputs: ArrayView2<'_, f32>) -> Array2<f32> {
        Network::scores(self, view_slice(&parameters), inputs)
    }

    fn head(&self) -> Range<usize> {
        self.last().range()
    }

    fn operations(&self) -> u64 {
        Network::operations(self)
    }
}
