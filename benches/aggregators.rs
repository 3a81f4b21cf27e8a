//! Every aggregator and pre-aggregator with its defaults: at the size of the quickstart (13
//! workers, a softmax model of 7850 parameters), and with 10, 50 and 100 workers and 100 000
//! parameters; and every aggregator on rows that no honest worker sends, which may not take much
//! longer.
//!
//! `byzlab bench aggregators` measures larger rows against the speed of memory, and
//! `benches/compare_aggregators.py` sets its figures against those of other libraries.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use std::hint::black_box;

use byzlab::aggregators::{self, Context};
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::preaggregators;
use byzlab::seed::{Purpose, run_stream};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2, ArrayView1, s};
use rand::RngExt;

/// Rows, columns and declared liars.
const SIZES: [(usize, usize, usize); 4] =
    [(13, 7850, 3), (10, 100_000, 2), (50, 100_000, 10), (100, 100_000, 20)];

/// What the byzantine rows hold in place of numbers of the usual size.
const STRANGE: [(&str, f32); 4] =
    [("nan", f32::NAN), ("infinity", f32::INFINITY), ("huge", 1e30), ("denormal", 1e-40)];

/// Uniform draws; the last `byzantine` rows are one and the same vector, as colluders send.
fn updates(rows: usize, columns: usize, byzantine: usize) -> Array2<f32> {
    let mut rng = run_stream(1, Purpose::Attack);
    let mut updates = Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.5);
    let lie = Array1::from_shape_fn(columns, |_| rng.random::<f32>());
    updates.slice_mut(s![rows - byzantine.., ..]).assign(&lie);
    updates
}

/// Calls `run` with a context that offers everything that a rule may ask for.
fn with_context(
    rows: usize,
    byzantine: usize,
    trusted: ArrayView1<'_, f32>,
    run: impl FnOnce(&mut Context<'_>),
) {
    let senders: Vec<NodeId> = (0..rows as u32).map(NodeId).collect();
    run(&mut Context {
        round: Round(1),
        rounds_total: 1,
        byzantine,
        senders: &senders,
        samples: None,
        previous: Some(trusted),
        trusted: Some(trusted),
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    });
}

fn aggregate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aggregate");
    for (rows, columns, byzantine) in SIZES {
        let updates = updates(rows, columns, byzantine);
        group.throughput(Throughput::Bytes((rows * columns * 4) as u64));
        for entry in aggregators::CATALOG.entries {
            let rule = aggregators::CATALOG.build_default(entry.name).unwrap().value;
            if rule.admits(rows, byzantine).is_err() {
                continue;
            }
            let id = BenchmarkId::new(entry.name, format!("{rows}x{columns}"));
            group.bench_with_input(id, &updates, |bencher, updates| {
                bencher.iter(|| {
                    with_context(rows, byzantine, updates.row(0), |context| {
                        black_box(rule.aggregate(updates.view(), context).unwrap());
                    });
                });
            });
        }
    }
    group.finish();
}

fn transform(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transform");
    for (rows, columns, byzantine) in SIZES {
        let updates = updates(rows, columns, byzantine);
        group.throughput(Throughput::Bytes((rows * columns * 4) as u64));
        for entry in preaggregators::CATALOG.entries {
            let before = preaggregators::CATALOG.build_default(entry.name).unwrap().value;
            if before.admits(rows, byzantine).is_err() {
                continue;
            }
            let id = BenchmarkId::new(entry.name, format!("{rows}x{columns}"));
            group.bench_with_input(id, &updates, |bencher, updates| {
                bencher.iter(|| {
                    with_context(rows, byzantine, updates.row(0), |context| {
                        black_box(before.transform(updates.clone(), context).unwrap());
                    });
                });
            });
        }
    }
    group.finish();
}

fn strange(criterion: &mut Criterion) {
    let (rows, columns, byzantine) = SIZES[2];
    let mut group = criterion.benchmark_group("strange");
    for (values, value) in STRANGE {
        let mut updates = updates(rows, columns, byzantine);
        updates.slice_mut(s![rows - byzantine.., ..]).fill(value);
        for entry in aggregators::CATALOG.entries {
            let rule = aggregators::CATALOG.build_default(entry.name).unwrap().value;
            if rule.admits(rows, byzantine).is_err() {
                continue;
            }
            group.bench_with_input(
                BenchmarkId::new(entry.name, values),
                &updates,
                |bencher, updates| {
                    bencher.iter(|| {
                        with_context(rows, byzantine, updates.row(0), |context| {
                            let _ = black_box(rule.aggregate(updates.view(), context));
                        });
                    });
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, aggregate, transform, strange);
criterion_main!(benches);
