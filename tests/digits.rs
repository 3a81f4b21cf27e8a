//! How hard the built-in digits are: neither trivial nor hopeless, and no image twice.

use std::sync::LazyLock;

use byzlab::dataset::{Samples, Split};
use byzlab::datasets::{CATALOG, NoFiles};
use ndarray::{Array1, Array2, Axis};

/// The default training and test split.
static DIGITS: LazyLock<[Samples; 2]> = LazyLock::new(|| {
    let digits = CATALOG.build_default("digits").expect("the defaults are valid").value;
    [Split::Train, Split::Test].map(|split| {
        let all: Vec<usize> = (0..digits.len(split)).collect();
        digits.samples(split, &all, &NoFiles).expect("the indices are in range")
    })
});

/// One dense layer that remembers its gradient, for momentum.
struct Layer {
    weights: Array2<f32>,
    bias: Array1<f32>,
    momentum: (Array2<f32>, Array1<f32>),
}

impl Layer {
    /// Weights that start as a fixed pattern without meaning, of standard deviation `deviation`.
    fn new(inputs: usize, outputs: usize, deviation: f32) -> Self {
        let mut state = 1_u64;
        let weights = Array2::from_shape_simple_fn((inputs, outputs), || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            deviation * 12.0_f32.sqrt() * ((state >> 40) as f32 / (1 << 24) as f32 - 0.5)
        });
        let momentum = (Array2::zeros((inputs, outputs)), Array1::zeros(outputs));
        Layer { weights, bias: Array1::zeros(outputs), momentum }
    }

    fn forward(&self, inputs: &Array2<f32>) -> Array2<f32> {
        inputs.dot(&self.weights) + &self.bias
    }

    /// A step against the gradient, given that of the outputs.
    fn step(&mut self, inputs: &Array2<f32>, outputs: &Array2<f32>, rate: f32, beta: f32) {
        let keep = |old: f32, new: f32| beta * old + (1.0 - beta) * new;
        let gradient = (inputs.t().dot(outputs), outputs.sum_axis(Axis(0)));
        self.momentum.0.zip_mut_with(&gradient.0, |old, &new| *old = keep(*old, new));
        self.momentum.1.zip_mut_with(&gradient.1, |old, &new| *old = keep(*old, new));
        self.weights.scaled_add(-rate, &self.momentum.0);
        self.bias.scaled_add(-rate, &self.momentum.1);
    }
}

/// Gradient of the mean cross-entropy by the scores.
fn cross_entropy(mut scores: Array2<f32>, labels: &[u8]) -> Array2<f32> {
    for (mut row, &label) in scores.rows_mut().into_iter().zip(labels) {
        let most = row.fold(f32::MIN, |most, &score| most.max(score));
        row.mapv_inplace(|score| (score - most).exp());
        row /= row.sum();
        row[usize::from(label)] -= 1.0;
    }
    scores / labels.len() as f32
}

/// Per cent of the rows whose largest score stands at their label.
fn accuracy(scores: &Array2<f32>, labels: &[u8]) -> f64 {
    let right = scores.rows().into_iter().zip(labels).filter(|(row, label)| {
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        best == Some(usize::from(**label))
    });
    100.0 * right.count() as f64 / labels.len() as f64
}

/// Batches of `size` consecutive samples, round and round; the labels are in random order.
fn batches(samples: &Samples, size: usize) -> impl Iterator<Item = Samples> + '_ {
    (0..).map(move |step: usize| {
        let batch: Vec<usize> =
            (step * size..(step + 1) * size).map(|index| index % samples.len()).collect();
        samples.select(&batch)
    })
}

/// Test accuracy of softmax regression.
fn softmax(batch: usize, rate: f32, beta: f32, steps: usize) -> f64 {
    let [train, test] = &*DIGITS;
    let mut layer = Layer::new(784, 10, 0.0);
    for batch in batches(train, batch).take(steps) {
        let gradient = cross_entropy(layer.forward(&batch.inputs), &batch.labels);
        layer.step(&batch.inputs, &gradient, rate, beta);
    }
    accuracy(&layer.forward(&test.inputs), &test.labels)
}

/// Test accuracy of a perceptron with one hidden layer of 128.
fn perceptron(batch: usize, rate: f32, steps: usize) -> f64 {
    let [train, test] = &*DIGITS;
    let mut first = Layer::new(784, 128, (2.0_f32 / 784.0).sqrt());
    let mut second = Layer::new(128, 10, (2.0_f32 / 128.0).sqrt());
    let hide =
        |first: &Layer, inputs: &Array2<f32>| first.forward(inputs).mapv(|value| value.max(0.0));
    for batch in batches(train, batch).take(steps) {
        let hidden = hide(&first, &batch.inputs);
        let gradient = cross_entropy(second.forward(&hidden), &batch.labels);
        let mut back = gradient.dot(&second.weights.t());
        back.zip_mut_with(&hidden, |back, &hidden| *back *= f32::from(u8::from(hidden > 0.0)));
        second.step(&hidden, &gradient, rate, 0.0);
        first.step(&batch.inputs, &back, rate, 0.0);
    }
    accuracy(&second.forward(&hide(&first, &test.inputs)), &test.labels)
}

/// Squared distances between the rows of `a` and of `b`.
fn distances(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    let squares = |rows: &Array2<f32>| rows.map_axis(Axis(1), |row| row.dot(&row));
    a.dot(&b.t()) * -2.0 + squares(a).insert_axis(Axis(1)) + squares(b)
}

#[test]
fn a_perceptron_beats_softmax_regression_by_four_points() {
    let softmax = softmax(100, 0.1, 0.0, 1_000);
    let perceptron = perceptron(50, 0.2, 2_000);
    assert!((85.0..=93.0).contains(&softmax), "{softmax} %");
    assert!(perceptron >= softmax + 4.0 && perceptron < 99.5, "{perceptron} %, {softmax} %");
}

/// What the mean of 13 workers with batches of 25 does to the model when nobody lies.
#[test]
fn softmax_regression_learns_within_the_rounds_of_a_short_run() {
    let [half, whole] = [100, 150].map(|rounds| softmax(13 * 25, 0.3, 0.9, rounds));
    assert!(half > 84.0 && whole > 86.0, "{half} %, {whole} %");
}

#[test]
fn neighbours_do_not_give_the_label_away() {
    let [train, test] = &*DIGITS;
    let mut right = 0;
    for (row, label) in distances(&test.inputs, &train.inputs).rows().into_iter().zip(&test.labels)
    {
        let nearest = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        right += usize::from(train.labels[nearest] == *label);
    }
    let accuracy = 100.0 * right as f64 / test.len() as f64;
    assert!((85.0..97.0).contains(&accuracy), "{accuracy} %");
}

#[test]
fn no_two_images_are_nearly_the_same() {
    let [train, test] = &*DIGITS;
    let some = train.select(&(0..2_000).collect::<Vec<_>>()).inputs;
    let mut within: Vec<f32> = distances(&some, &some)
        .indexed_iter()
        .filter(|((row, column), _)| row < column)
        .map(|(_, &squared)| squared)
        .collect();
    within.sort_unstable_by(f32::total_cmp);
    let median = within[within.len() / 2];
    let share = |squares: &[f32]| {
        let least = squares.iter().copied().min_by(f32::total_cmp).unwrap();
        (least / median).sqrt()
    };
    let across: Vec<f32> = distances(&test.inputs, &train.inputs).into_iter().collect();
    let shares = [share(&within), share(&across)];
    assert!(shares.iter().all(|&share| share > 0.15), "{shares:?}");
}
