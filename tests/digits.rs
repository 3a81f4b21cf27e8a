//! How hard the built-in digits are: neither trivial nor hopeless, and no image twice.

use std::sync::{Arc, LazyLock};

use byzlab::dataset::{Samples, Shard, Split};
use byzlab::datasets::{self, NoFiles};
use byzlab::models::{self, Model};
use byzlab::node::{NodeId, Round};
use byzlab::seed::{Purpose, run_stream};
use byzlab::training::{Lesson, Training, WorkerState, evaluate, local_update};
use ndarray::{Array1, Array2, Axis};

/// The default training and test split.
static DIGITS: LazyLock<[Samples; 2]> = LazyLock::new(|| {
    let digits = datasets::CATALOG.build_default("digits").expect("defaults are valid").value;
    [Split::Train, Split::Test].map(|split| {
        let all: Vec<usize> = (0..digits.len(split)).collect();
        digits.scaled(split, &all, &digits.scale(), &NoFiles).expect("the indices are in range")
    })
});

/// A model of the catalog, with its defaults, for the digits.
fn model(name: &str) -> Arc<dyn Model> {
    let digits = datasets::CATALOG.build_default("digits").expect("defaults are valid").value;
    let architecture = models::CATALOG.build_default(name).expect("defaults are valid").value;
    architecture.model(digits.shape()).expect("images are small")
}

/// Test accuracy in per cent after `rounds` rounds of one worker for each shard, whose updates
/// are averaged.
fn trained(name: &str, shards: &[Shard], training: &Training, rounds: u32) -> f64 {
    let model = model(name);
    let mut parameters = model.initial(&mut run_stream(1, Purpose::Initial));
    let mut states = vec![WorkerState::default(); shards.len()];
    for round in (1..=rounds).map(Round) {
        let mut sum = Array1::<f32>::zeros(model.len());
        for (node, (shard, state)) in (0..).map(NodeId).zip(shards.iter().zip(&mut states)) {
            let lesson = Lesson { seed: 1, round, node, shard, training };
            let (update, next) = local_update(lesson, &*model, parameters.view(), state, None);
            sum += &*update.vector;
            *state = next;
        }
        parameters.scaled_add(-training.learning_rate / shards.len() as f32, &sum);
    }
    100.0 * evaluate(&*model, parameters.view(), &DIGITS[1].clone().into()).accuracy
}

/// One machine with all data, as many steps as given.
fn alone(name: &str, learning_rate: f32, batch: usize, local_steps: u32) -> f64 {
    let training = Training {
        batch,
        learning_rate,
        momentum: 0.0,
        dampening: 0.0,
        local_steps,
        ..Training::default()
    };
    trained(name, &[DIGITS[0].clone().into()], &training, 1)
}

#[test]
fn a_perceptron_beats_softmax_regression_by_four_points() {
    let softmax = alone("softmax", 0.1, 100, 1_000);
    let mlp = alone("mlp", 0.2, 50, 2_000);
    assert!((85.0..=93.0).contains(&softmax), "softmax {softmax} %");
    assert!(mlp >= softmax + 4.0 && mlp < 99.5, "mlp {mlp} %, softmax {softmax} %");
}

/// Thirteen honest workers; half of the samples are dealt out evenly, the other half by label.
#[test]
fn workers_with_unlike_shards_learn_within_a_short_run() {
    let train = &DIGITS[0];
    let (even, mut sorted): (Vec<usize>, Vec<usize>) = (0..train.len()).partition(|i| i % 20 < 10);
    sorted.sort_by_key(|&index| train.labels[index]);
    let shards: Vec<Shard> = even
        .chunks(even.len().div_ceil(13))
        .zip(sorted.chunks(sorted.len().div_ceil(13)))
        .map(|halves| train.select(&[halves.0, halves.1].concat()).into())
        .collect();
    assert_eq!(shards.len(), 13);
    let training = Training {
        batch: 25,
        learning_rate: 0.3,
        momentum: 0.9,
        dampening: 0.9,
        local_steps: 1,
        ..Training::default()
    };
    let accuracy = trained("softmax", &shards, &training, 100);
    assert!(accuracy > 84.0, "{accuracy} % after 100 rounds");
}

#[test]
fn neighbours_do_not_give_the_label_away() {
    let [train, test] = &*DIGITS;
    let distances = squared_distances(&test.inputs, &train.inputs);
    let right = distances.rows().into_iter().zip(&test.labels).filter(|(row, label)| {
        let nearest = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b]));
        nearest.map(|nearest| train.labels[nearest]) == Some(**label)
    });
    let accuracy = 100.0 * right.count() as f64 / test.len() as f64;
    assert!((85.0..97.0).contains(&accuracy), "nearest neighbour {accuracy} %");
}

#[test]
fn no_two_images_are_nearly_the_same() {
    let [train, test] = &*DIGITS;
    let some = train.select(&(0..2_000).collect::<Vec<_>>()).inputs;
    let mut within: Vec<f32> = squared_distances(&some, &some)
        .indexed_iter()
        .filter(|((row, column), _)| row < column)
        .map(|(_, &squared)| squared)
        .collect();
    within.sort_unstable_by(f32::total_cmp);
    let across = squared_distances(&test.inputs, &train.inputs);
    let least = across.fold(within[0], |least, &squared| least.min(squared));
    let share = (least / within[within.len() / 2]).sqrt();
    assert!(share > 0.15, "the nearest two are {share} of the median distance apart");
}

/// Squared distances between the rows of `a` and of `b`, for data that are small and centred.
fn squared_distances(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    let squares = |rows: &Array2<f32>| rows.map_axis(Axis(1), |row| row.dot(&row));
    a.dot(&b.t()) * -2.0 + squares(a).insert_axis(Axis(1)) + squares(b)
}
