//! Dense layers with relu between them, over one flat vector: what `softmax` and `mlp` share.
//!
//! The layout is PyTorch's: layer by layer, first the weight, row-major `[outputs, inputs]`, then
//! the bias. Products are strided, so nothing is ever transposed in memory. The code is generic
//! over the float type: runs use `f32`, and tests judge the same lines in `f64`.

use std::ops::Range;
use std::sync::Arc;

use ndarray::linalg::general_mat_mul;
use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, NdFloat, s,
};
use rand::{Rng, RngExt};

use super::Model;
use crate::catalog::ConfigError;
use crate::dataset::{Batch, Shape};
use crate::vector::view_slice;

/// Samples that are scored at once: few enough that the hidden values of a wide network stay
/// small, enough that the products run at full speed.
const CHUNK: usize = 256;

/// The most parameters that a network may have: 4 GiB as `f32`.
const PARAMETERS_MAX: u128 = 1 << 30;

/// A float that networks compute with.
pub trait Float: NdFloat + Into<f64> {
    /// The nearest value of this type.
    fn nearest(value: f64) -> Self;
}

impl Float for f32 {
    fn nearest(value: f64) -> Self {
        value as f32
    }
}

impl Float for f64 {
    fn nearest(value: f64) -> Self {
        value
    }
}

/// Dense layers in a row, relu after each but the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    layers: Vec<Layer>,
}

/// One layer: its sizes, and where it starts in the flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layer {
    inputs: usize,
    outputs: usize,
    start: usize,
}

/// The network for samples of `shape` with these hidden layers, unless it would be too large.
pub(super) fn model(shape: Shape, hidden: &[usize]) -> Result<Arc<dyn Model>, ConfigError> {
    let parameters: u128 = sizes(shape.features(), hidden, shape.classes)
        .map(|(inputs, outputs)| (inputs as u128 + 1) * outputs as u128)
        .sum();
    if parameters > PARAMETERS_MAX {
        return Err(ConfigError::new(format!(
            "`hidden` = {hidden:?} makes {parameters} parameters, and a model may have at most \
             {PARAMETERS_MAX}"
        ))
        .help("use fewer or narrower layers"));
    }
    Ok(Arc::new(Network::new(shape.features(), hidden, shape.classes)))
}

/// The numbers of inputs and outputs of each layer.
fn sizes(
    features: usize,
    hidden: &[usize],
    classes: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let inputs = std::iter::once(features).chain(hidden.iter().copied());
    inputs.zip(hidden.iter().copied().chain([classes]))
}

impl Network {
    /// A network from `features` values over the `hidden` widths to `classes` scores.
    pub fn new(features: usize, hidden: &[usize], classes: usize) -> Self {
        let mut start = 0;
        let layers = sizes(features, hidden, classes)
            .map(|(inputs, outputs)| {
                let layer = Layer { inputs, outputs, start };
                start = layer.range().end;
                layer
            })
            .collect();
        Network { layers }
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        self.last().range().end
    }

    /// Writes the gradient of the mean cross-entropy over the samples, shape
    /// `[n, features]`, to `gradient` and returns that loss. Without samples both are 0.
    ///
    /// # Panics
    /// If sizes do not fit, or a label is not below the number of classes.
    pub fn gradient<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
        labels: &[u8],
        gradient: &mut [F],
    ) -> f64 {
        assert_eq!(parameters.len(), self.parameters(), "parameters of another model");
        assert_eq!(gradient.len(), self.parameters(), "a gradient of another model");
        let mut outputs = self.outputs(parameters, inputs);
        let mut delta = outputs.pop().expect("a network has a layer");
        let loss = cross_entropy(&mut delta, labels);
        for layer in self.layers.iter().rev() {
            let below = outputs.pop();
            let read = below.as_ref().map_or(inputs, |below| below.view());
            layer.gradient(&delta, read, gradient);
            if let Some(below) = &below {
                delta = layer.back(parameters, &delta);
                relu_back(&mut delta, below);
            }
        }
        loss
    }

    /// The scores of each class for each input, shape `[n, classes]`.
    ///
    /// A sample's scores have the same bits whatever other samples stand beside it.
    pub fn scores<F: Float>(&self, parameters: &[F], inputs: ArrayView2<'_, F>) -> Array2<F> {
        assert_eq!(parameters.len(), self.parameters(), "parameters of another model");
        let mut scores = Array2::zeros((inputs.nrows(), self.last().outputs));
        let chunks = inputs.axis_chunks_iter(Axis(0), CHUNK);
        for (inputs, mut scores) in chunks.zip(scores.axis_chunks_iter_mut(Axis(0), CHUNK)) {
            let outputs = self.outputs(parameters, inputs);
            scores.assign(outputs.last().expect("a network has a layer"));
        }
        scores
    }

    /// What each layer puts out, after its relu where it has one.
    fn outputs<F: Float>(&self, parameters: &[F], inputs: ArrayView2<'_, F>) -> Vec<Array2<F>> {
        let mut outputs: Vec<Array2<F>> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            if let Some(below) = outputs.last_mut() {
                relu(below);
            }
            let read = outputs.last().map_or(inputs, |below| below.view());
            outputs.push(layer.outputs(parameters, read));
        }
        outputs
    }

    fn last(&self) -> &Layer {
        self.layers.last().expect("a network has a layer")
    }
}

impl Layer {
    /// Where weight and bias stand.
    fn range(&self) -> Range<usize> {
        self.start..self.bias_start() + self.outputs
    }

    fn bias_start(&self) -> usize {
        self.start + self.inputs * self.outputs
    }

    /// The weight, shape `[outputs, inputs]`.
    fn weight<'a, F>(&self, flat: &'a [F]) -> ArrayView2<'a, F> {
        ArrayView2::from_shape((self.outputs, self.inputs), &flat[self.start..self.bias_start()])
            .expect("a weight has outputs times inputs elements")
    }

    fn bias<'a, F>(&self, flat: &'a [F]) -> &'a [F] {
        &flat[self.bias_start()..self.range().end]
    }

    /// `inputs · weightᵀ + bias`.
    fn outputs<F: Float>(&self, parameters: &[F], inputs: ArrayView2<'_, F>) -> Array2<F> {
        let bias = self.bias(parameters);
        let mut flat = Vec::with_capacity(inputs.nrows() * self.outputs);
        for _ in 0..inputs.nrows() {
            flat.extend_from_slice(bias);
        }
        let mut outputs = Array2::from_shape_vec((inputs.nrows(), self.outputs), flat)
            .expect("one bias for each row");
        general_mat_mul(F::one(), &inputs, &self.weight(parameters).t(), F::one(), &mut outputs);
        outputs
    }

    /// Writes this layer's part of the gradient: `deltaᵀ · inputs`, and the sums over `delta`.
    fn gradient<F: Float>(&self, delta: &Array2<F>, inputs: ArrayView2<'_, F>, flat: &mut [F]) {
        let (weight, bias) = flat[self.range()].split_at_mut(self.inputs * self.outputs);
        let mut weight = ArrayViewMut2::from_shape((self.outputs, self.inputs), weight)
            .expect("a weight has outputs times inputs elements");
        general_mat_mul(F::one(), &delta.t(), &inputs, F::zero(), &mut weight);
        bias.fill(F::zero());
        for row in delta.rows() {
            for (sum, &value) in bias.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }

    /// `delta · weight`: how the loss moves with this layer's inputs.
    fn back<F: Float>(&self, parameters: &[F], delta: &Array2<F>) -> Array2<F> {
        let mut below = Array2::zeros((delta.nrows(), self.inputs));
        general_mat_mul(F::one(), delta, &self.weight(parameters), F::zero(), &mut below);
        below
    }
}

/// Puts 0 in place of what is negative; NaN stays, so that a model that has burst shows it.
fn relu<F: Float>(values: &mut Array2<F>) {
    values.mapv_inplace(|value| if value < F::zero() { F::zero() } else { value });
}

/// Stops what relu stopped on the way up.
fn relu_back<F: Float>(delta: &mut Array2<F>, outputs: &Array2<F>) {
    delta.zip_mut_with(outputs, |delta, &output| {
        if output <= F::zero() {
            *delta = F::zero();
        }
    });
}

/// Turns scores into the gradient of the mean cross-entropy by them, and returns that mean.
///
/// Subtracting the largest score first keeps every exponential in reach.
fn cross_entropy<F: Float>(scores: &mut Array2<F>, labels: &[u8]) -> f64 {
    assert_eq!(scores.nrows(), labels.len(), "one label for each sample");
    let share = 1.0 / labels.len().max(1) as f64;
    let mut loss = 0.0;
    for (mut row, &label) in scores.rows_mut().into_iter().zip(labels) {
        let label = usize::from(label);
        let right: f64 = row[label].into();
        let largest = row.iter().fold(F::neg_infinity(), |largest, &score| largest.max(score));
        let mut total = F::zero();
        for score in &mut row {
            *score = (*score - largest).exp();
            total += *score;
        }
        loss += total.into().ln() + largest.into() - right;
        let scale = F::nearest(share) / total;
        row.mapv_inplace(|exponential| exponential * scale);
        row[label] -= F::nearest(share);
    }
    loss * share
}

impl Model for Network {
    fn len(&self) -> usize {
        self.parameters()
    }

    /// PyTorch's default for dense layers: uniform in ±1/√inputs, weight and bias alike.
    fn initial(&self, rng: &mut dyn Rng) -> Array1<f32> {
        let mut flat = Array1::zeros(self.parameters());
        for layer in &self.layers {
            let bound = 1.0 / (layer.inputs as f32).sqrt();
            flat.slice_mut(s![layer.range()])
                .mapv_inplace(|_| (2.0 * rng.random::<f32>() - 1.0) * bound);
        }
        flat
    }

    fn gradient(
        &self,
        parameters: ArrayView1<'_, f32>,
        batch: Batch<'_>,
        mut gradient: ArrayViewMut1<'_, f32>,
    ) -> f32 {
        let flat = gradient.as_slice_mut().expect("gradients are contiguous");
        let parameters = view_slice(&parameters);
        Network::gradient(self, parameters, batch.inputs, batch.labels, flat) as f32
    }

    fn scores(&self, parameters: ArrayView1<'_, f32>, inputs: ArrayView2<'_, f32>) -> Array2<f32> {
        Network::scores(self, view_slice(&parameters), inputs)
    }

    fn head(&self) -> Range<usize> {
        self.last().range()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    #[test]
    fn one_layer_by_hand() {
        // Scores are [1·1 + 2·0 + 0, 1·0 + 2·1 - 1] = [1, 1]: both classes are equally likely.
        let network = Network::new(2, &[], 2);
        let parameters = [1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
        let mut gradient = [f64::NAN; 6];
        let loss = network.gradient(&parameters, array![[1.0, 2.0]].view(), &[1], &mut gradient);
        assert!((loss - 2.0f64.ln()).abs() < 1e-15);
        assert_eq!(gradient, [0.5, 1.0, -0.5, -1.0, 0.5, -0.5]);
        assert_eq!(network.head(), 0..6);
    }

    #[test]
    fn two_layers_by_hand() {
        // Hidden: [relu(2 + 1), relu(-2 + 1)] = [3, 0]; scores: [3, 0] + [0, 3] = [3, 3].
        let network = Network::new(1, &[2], 2);
        let parameters = [1.0, -1.0, 1.0, 1.0, 1.0, 5.0, 0.0, 7.0, 0.0, 3.0];
        let mut gradient = [f64::NAN; 10];
        let loss = network.gradient(&parameters, array![[2.0]].view(), &[0], &mut gradient);
        assert!((loss - 2.0f64.ln()).abs() < 1e-15);
        // delta = [-1/2, 1/2]; behind the live unit it is -1/2·1 + 1/2·0, behind the dead one 0.
        assert_eq!(gradient, [-1.0, 0.0, -0.5, 0.0, -1.5, 0.0, 1.5, 0.0, -0.5, 0.5]);
        assert_eq!(network.head(), 4..10);
    }

    #[test]
    fn initial_values_fill_pytorchs_range() {
        let network = Network::new(100, &[25], 4);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let initial = network.initial(&mut rng);
        assert_eq!(initial.len(), 100 * 25 + 25 + 25 * 4 + 4);
        let largest = |range: Range<usize>| {
            initial.slice(s![range]).iter().fold(0.0f32, |largest, value| largest.max(value.abs()))
        };
        let (first, second) = (largest(0..2525), largest(2525..2629));
        assert!((0.0999..=0.1).contains(&first), "{first}");
        assert!((0.19..=0.2).contains(&second), "{second}");
        let mean: f32 = initial.slice(s![..2525]).sum() / 2525.0;
        assert!(mean.abs() < 0.005, "{mean}");
    }

    #[test]
    fn what_is_not_finite_neither_panics_nor_hides() {
        let network = Network::new(2, &[3], 2);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let parameters = Array1::from_elem(network.len(), bad);
            let inputs = array![[1.0, 2.0], [-1.0, 0.0]];
            let mut gradient = Array1::zeros(network.len());
            let batch = Batch { inputs: inputs.view(), labels: &[0, 1] };
            let loss = Model::gradient(&network, parameters.view(), batch, gradient.view_mut());
            assert!(loss.is_nan(), "{bad}: {loss}");
            assert_eq!(Model::scores(&network, parameters.view(), inputs.view()).dim(), (2, 2));
        }
    }

    #[test]
    fn huge_scores_keep_a_finite_loss() {
        let mut scores = array![[1000.0f32, -1000.0], [-1000.0, 1000.0]];
        let loss = cross_entropy(&mut scores, &[1, 1]);
        assert_eq!(loss, 1000.0);
        assert_eq!(scores, array![[0.5, -0.5], [0.0, 0.0]]);
    }

    #[test]
    fn no_samples_no_loss() {
        let network = Network::new(2, &[3], 2);
        let parameters = vec![1.0f32; network.len()];
        let mut gradient = vec![7.0; network.len()];
        let loss = network.gradient(&parameters, Array2::zeros((0, 2)).view(), &[], &mut gradient);
        assert_eq!(loss, 0.0);
        assert!(gradient.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn scores_do_not_depend_on_the_company() {
        let network = Network::new(30, &[17], 5);
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let parameters = network.initial(&mut rng);
        let inputs = Array2::from_shape_simple_fn((CHUNK + 30, 30), || rng.random::<f32>() - 0.5);
        let together = Model::scores(&network, parameters.view(), inputs.view());
        for (index, alone) in inputs.axis_chunks_iter(Axis(0), 1).enumerate() {
            let alone = Model::scores(&network, parameters.view(), alone);
            assert_eq!(alone.row(0), together.row(index), "sample {index}");
        }
    }

    #[test]
    fn too_large_a_network_is_refused() {
        let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
        assert!(model(shape, &[65536, 8192]).is_ok());
        let error = model(shape, &[65536, 65536]).unwrap_err();
        assert_eq!(
            error.message,
            "`hidden` = [65536, 65536] makes 4347133962 parameters, and a model may have at most \
             1073741824"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Every parameter, against central differences of the loss in `f64`.
        #[test]
        fn the_gradient_is_the_slope_of_the_loss(
            features in 1usize..7,
            hidden in prop::collection::vec(1usize..7, 0..4),
            classes in 1usize..6,
            samples in 1usize..6,
            seed in any::<u64>(),
        ) {
            let network = Network::new(features, &hidden, classes);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut draw = || 2.0 * rng.random::<f64>() - 1.0;
            let mut parameters: Vec<f64> = (0..network.parameters()).map(|_| draw()).collect();
            let inputs = Array2::from_shape_simple_fn((samples, features), draw);
            let labels: Vec<u8> = (0..samples).map(|sample| (sample % classes) as u8).collect();
            // A difference across the kink of relu says nothing, so draws near one are set aside.
            let outputs = network.outputs(&parameters, inputs.view());
            let (_, below) = outputs.split_last().unwrap();
            prop_assume!(kinks(&network, &parameters, inputs.view(), below) > 1e-3);

            let mut gradient = vec![0.0; parameters.len()];
            let mut unused = gradient.clone();
            network.gradient(&parameters, inputs.view(), &labels, &mut gradient);
            let step = 1e-5;
            for index in 0..parameters.len() {
                let value = parameters[index];
                let mut loss = |at| {
                    parameters[index] = at;
                    network.gradient(&parameters, inputs.view(), &labels, &mut unused)
                };
                let slope = (loss(value + step) - loss(value - step)) / (2.0 * step);
                parameters[index] = value;
                prop_assert!(
                    (slope - gradient[index]).abs() < 1e-8,
                    "parameter {index}: slope {slope}, gradient {}", gradient[index]
                );
            }
        }
    }

    /// How near a value before relu comes to 0.
    fn kinks(
        network: &Network,
        parameters: &[f64],
        inputs: ArrayView2<'_, f64>,
        below: &[Array2<f64>],
    ) -> f64 {
        let mut nearest = f64::INFINITY;
        for (index, layer) in network.layers[..network.layers.len() - 1].iter().enumerate() {
            let read = if index == 0 { inputs } else { below[index - 1].view() };
            for value in layer.outputs(parameters, read) {
                nearest = nearest.min(value.abs());
            }
        }
        nearest
    }
}
