//! How many steps of gradient descent are done in a second.

use std::convert::Infallible;

use ndarray::{Array1, Array2};
use rand::RngExt;
use rayon::prelude::*;

use super::super::stopwatch::least_seconds;
use crate::catalog::{Choice, ConfigError};
use crate::dataset::{Samples, Shape};
use crate::models::network::product::{Onto, product};
use crate::models::{self, Model};
use crate::seed::{Purpose, run_stream};
use crate::training::Descent;

/// MNIST's.
const SHAPE: Shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };

/// Rows and columns of the matrices whose product is the measure of all: enough for full speed, and
/// so few that a product is done before a busy machine turns to something else.
const SIDE: usize = 512;

/// Operations that one timing has at least, so that reading the clock is nothing beside it.
const OPERATIONS_MIN: u64 = 100_000_000;

/// So small that parameters stay what they are while they are timed.
const DESCENT: Descent<f32> =
    Descent { learning_rate: 1e-6, momentum: 0.0, dampening: 0.0, weight_decay: 0.0 };

/// What a model came to.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) model: &'static str,
    pub(super) batch: usize,
    pub(super) steps_per_second: f64,
    /// Billions of multiplications and additions a second.
    pub(super) gflops: f64,
}

/// What one thread trains.
struct Trainee {
    parameters: Array1<f32>,
    gradient: Array1<f32>,
}

/// Billions of operations a second in products of square matrices, one on each thread.
pub(super) fn product_gflops(threads: usize, budget: f64) -> f64 {
    let matrix = |value: f32| Array2::from_elem((SIDE, SIDE), value);
    let (left, right) = (matrix(0.5), matrix(0.25));
    let mut results: Vec<Array2<f32>> = (0..threads).map(|_| matrix(0.0)).collect();
    let multiply = |()| {
        results.par_iter_mut().with_max_len(1).for_each(|result| {
            product(left.view(), right.view(), Onto::Nothing, result.view_mut());
        });
        Ok::<(), Infallible>(())
    };
    let Ok(seconds) = least_seconds(budget, || (), multiply);
    2.0 * (SIDE * SIDE * SIDE * threads) as f64 / seconds / 1e9
}

/// Times one model, a copy of it on each thread.
pub(super) fn time(
    label: &'static str,
    name: &str,
    parameters: &str,
    batch: usize,
    threads: usize,
    budget: f64,
) -> Result<Timed, ConfigError> {
    let choice = Choice::with(name, parameters)?;
    let model = models::CATALOG.build(&choice)?.value.model(SHAPE)?;
    let operations = model.operations() * batch as u64;
    let repeats = OPERATIONS_MIN.div_ceil(operations);
    let samples = samples(batch);
    let mut trainees: Vec<Trainee> = (0..threads).map(|_| Trainee::new(&*model)).collect();
    let train = |()| {
        trainees.par_iter_mut().with_max_len(1).for_each(|trainee| {
            for _ in 0..repeats {
                trainee.step(&*model, &samples);
            }
        });
        Ok::<(), Infallible>(())
    };
    let Ok(seconds) = least_seconds(budget, || (), train);
    let steps_per_second = (repeats * threads as u64) as f64 / seconds;
    let gflops = steps_per_second * operations as f64 / 1e9;
    Ok(Timed { model: label, batch, steps_per_second, gflops })
}

impl Trainee {
    fn new(model: &dyn Model) -> Self {
        Trainee {
            parameters: model.initial(&mut run_stream(1, Purpose::Initial)),
            gradient: Array1::zeros(model.len()),
        }
    }

    fn step(&mut self, model: &dyn Model, samples: &Samples) {
        let Trainee { parameters, gradient } = self;
        let mut rng = run_stream(1, Purpose::Dropout);
        model.gradient(parameters.view(), samples.batch(), gradient.view_mut(), &mut rng);
        let whole = "an owned vector is contiguous";
        let direction = gradient.as_slice_mut().expect(whole);
        let parameters = parameters.as_slice_mut().expect(whole);
        DESCENT.direct(parameters, &[], direction);
        DESCENT.step(parameters, direction);
    }
}

/// Random images with random labels.
fn samples(count: usize) -> Samples {
    let mut rng = run_stream(1, Purpose::Partition);
    let inputs = Array2::from_shape_simple_fn((count, SHAPE.features()), || rng.random::<f32>());
    Samples { inputs, labels: (0..count).map(|index| (index % SHAPE.classes) as u8).collect() }
}
