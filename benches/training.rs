//! What a worker's round costs: `local_update` with momentum, batch 25, on MNIST's shape.

use std::hint::black_box;

use byzlab::catalog::Choice;
use byzlab::dataset::{Samples, Shape, Shard};
use byzlab::models;
use byzlab::node::{NodeId, Round};
use byzlab::seed::{Purpose, run_stream, stream};
use byzlab::training::{Lesson, Training, WorkerState, evaluate, local_update};
use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array2, Axis};
use rand::RngExt;

const SHAPE: Shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };

/// As many samples as each of 78 workers holds of MNIST, drawn uniformly.
fn samples(count: usize) -> Samples {
    let mut rng = run_stream(1, Purpose::Partition);
    let inputs = Array2::from_shape_simple_fn((count, SHAPE.features()), || rng.random::<f32>());
    Samples { inputs, labels: (0..count).map(|index| (index % SHAPE.classes) as u8).collect() }
}

fn rounds(criterion: &mut Criterion) {
    let shard = Shard::from(samples(770));
    let test = Shard::from(samples(2000));
    let training = Training {
        batch: 25,
        learning_rate: 0.01,
        momentum: 0.9,
        dampening: 0.9,
        local_steps: 1,
        ..Training::default()
    };
    for (name, parameters) in
        [("softmax", ""), ("mlp", "hidden = [128]"), ("mlp", "hidden = [200, 200]")]
    {
        let choice = Choice::with(name, parameters).expect("the parameters are TOML");
        let architecture = models::CATALOG.build(&choice).expect("the parameters fit");
        let model = architecture.value.model(SHAPE).expect("the model is small");
        let start = model.initial(&mut run_stream(1, Purpose::Initial));
        let (shard, training) = (&shard, &training);
        let lesson = |round| Lesson { seed: 1, round, node: NodeId(0), shard, training };
        let (before, mut round) = (WorkerState::default(), Round(1));
        let (_, state) = local_update(lesson(round), model.as_ref(), start.view(), &before, None);
        criterion.bench_function(&format!("local_update {name} {parameters}"), |bencher| {
            bencher.iter(|| {
                round = round.next();
                let start = black_box(start.view());
                let model = model.as_ref();
                local_update(lesson(round), model, start, &state, None)
            });
        });
        criterion.bench_function(&format!("evaluate {name} {parameters}"), |bencher| {
            bencher.iter(|| evaluate(model.as_ref(), black_box(start.view()), &test));
        });
    }
    forward(criterion);
    criterion.bench_function("stream", |bencher| {
        bencher.iter(|| stream(1, Purpose::Batch, Round(black_box(7)), NodeId(3)));
    });
}

/// What ten workers that start from one model would gain by a common forward pass.
fn forward(criterion: &mut Criterion) {
    const WORKERS: usize = 10;
    const BATCH: usize = 25;
    let all = samples(WORKERS * BATCH).inputs;
    for (name, parameters) in
        [("softmax", ""), ("mlp", "hidden = [100]"), ("mlp", "hidden = [128]"), ("cnn_mnist", "")]
    {
        let choice = Choice::with(name, parameters).expect("the parameters are TOML");
        let architecture = models::CATALOG.build(&choice).expect("the parameters fit");
        let model = architecture.value.model(SHAPE).expect("the model is small");
        let start = model.initial(&mut run_stream(1, Purpose::Initial));
        for (how, rows) in [("one by one", BATCH), ("at once", WORKERS * BATCH)] {
            criterion.bench_function(&format!("forward {name} {parameters} {how}"), |bencher| {
                bencher.iter(|| {
                    for inputs in black_box(&all).axis_chunks_iter(Axis(0), rows) {
                        black_box(model.scores(start.view(), inputs));
                    }
                });
            });
        }
    }
}

criterion_group!(benches, rounds);
criterion_main!(benches);
