//! Our gradients and steps against PyTorch's, on real images: `tests/golden/training.json`.
//!
//! MNIST itself is not in the repository. It is looked for in `$BYZLAB_DATA/mnist` and beside the
//! repository; where it is not found, the test says so and checks nothing.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests read files and the environment, and say what they skip"
)]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use byzlab::dataset::Shape;
use byzlab::models::network::{Float, Layer, Network};
use byzlab::seed::{Purpose, run_stream};
use byzlab::training::Descent;
use flate2::read::GzDecoder;
use ndarray::Array2;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    model: String,
    parameters: usize,
    tensors: Vec<Vec<usize>>,
    optimizer: Optimizer,
    batch: usize,
    steps: usize,
    losses: Vec<f64>,
    first_gradient: Gradient,
    r#final: Final,
}

#[derive(Deserialize)]
struct Optimizer {
    kind: String,
    learning_rate: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
}

#[derive(Deserialize)]
struct Gradient {
    norm: f64,
    per_tensor: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    norm: f64,
    first: Vec<f64>,
    last: Vec<f64>,
}

#[derive(Deserialize)]
struct Final {
    norm: f64,
    sum: f64,
    first: Vec<f64>,
    last: Vec<f64>,
    logits_of_first_two_images: Vec<Vec<f64>>,
}

/// Images as bytes, row by row, and their labels.
struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// What one of our runs did.
struct Trained<F> {
    losses: Vec<f64>,
    first_gradient: Vec<F>,
    parameters: Vec<F>,
    scores: Array2<F>,
}

const FEATURES: usize = 28 * 28;

const SHAPE: Shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };

#[test]
fn f64_reproduces_pytorch() {
    let Some(images) = images() else { return };
    for run in golden() {
        let ours = train::<f64>(&run, &images);
        let what = format!("{} {}", run.model, run.optimizer.kind);
        all_close(&format!("{what}: losses"), &ours.losses, &run.losses, 1e-11);

        let gradient = &run.first_gradient;
        close(&format!("{what}: gradient"), norm(&ours.first_gradient), gradient.norm, 1e-11);
        let mut start = 0;
        for (index, (tensor, shape)) in gradient.per_tensor.iter().zip(&run.tensors).enumerate() {
            let what = format!("{what}: gradient of tensor {index}");
            let end = start + shape.iter().product::<usize>();
            let ours = &ours.first_gradient[start..end];
            close(&what, norm(ours), tensor.norm, 1e-11);
            let (first, last) = (tensor.first.len(), tensor.last.len());
            all_close(&what, &ours[..first], &tensor.first, 1e-11);
            all_close(&what, &ours[ours.len() - last..], &tensor.last, 1e-11);
            start = end;
        }

        let (ends, ours, scores) = (&run.r#final, &ours.parameters, &ours.scores);
        let what = format!("{what}: final");
        close(&what, norm(ours), ends.norm, 1e-11);
        close(&what, ours.iter().sum(), ends.sum, 1e-11);
        all_close(&what, &ours[..ends.first.len()], &ends.first, 1e-11);
        all_close(&what, &ours[ours.len() - ends.last.len()..], &ends.last, 1e-11);
        let logits = ends.logits_of_first_two_images.concat();
        all_close(&what, scores.as_slice().unwrap(), &logits, 1e-11);
    }
}

#[test]
fn f32_keeps_near_pytorch() {
    let Some(images) = images() else { return };
    for run in golden() {
        let ours = train::<f32>(&run, &images);
        let what = format!("{} {}", run.model, run.optimizer.kind);
        all_close(&what, &ours.losses, &run.losses, 1e-4);
        let gradient: Vec<f64> = ours.first_gradient.iter().copied().map(f64::from).collect();
        close(&what, norm(&gradient), run.first_gradient.norm, 1e-5);
    }
}

/// Trains as the file's `how` says.
fn train<F: Float>(run: &Run, images: &Images) -> Trained<F> {
    let network = Network::of_layers(SHAPE, &layers(&run.model)).expect("the layers fit");
    assert_eq!(network.parameters(), run.parameters);
    let order = order(&run.tensors);
    let initial = start(&run.tensors);
    let mut parameters: Vec<F> = order.iter().map(|&theirs| F::nearest(initial[theirs])).collect();
    let descent = Descent {
        learning_rate: F::nearest(run.optimizer.learning_rate),
        momentum: F::nearest(run.optimizer.momentum),
        dampening: F::nearest(run.optimizer.dampening),
        weight_decay: F::nearest(run.optimizer.weight_decay),
    };

    let (mut losses, mut first_gradient, mut before) = (Vec::new(), Vec::new(), Vec::new());
    let mut gradient = vec![F::zero(); run.parameters];
    // Nothing is left out in these networks, so nothing is drawn.
    let mut rng = run_stream(1, Purpose::Dropout);
    for step in 0..run.steps {
        let inputs = inputs(images, step * run.batch, run.batch);
        let labels = &images.labels[step * run.batch..][..run.batch];
        losses.push(network.gradient(&parameters, inputs.view(), labels, &mut gradient, &mut rng));
        if step == 0 {
            first_gradient = in_their_order(&order, &gradient);
        }
        descent.direct(&parameters, &before, &mut gradient);
        before.clone_from(&gradient);
        descent.step(&mut parameters, &gradient);
    }
    let scores = network.scores(&parameters, inputs(images, 0, 2).view());
    let parameters = in_their_order(&order, &parameters);
    Trained { losses, first_gradient, parameters, scores }
}

/// The layers of a model, without the last.
fn layers(model: &str) -> Vec<Layer> {
    let convolution = |channels, kernel| Layer::Convolution { channels, kernel, padding: 0 };
    let (pool, dense) = (Layer::MaxPool { size: 2 }, |units| Layer::Dense { units });
    let weighted = match model {
        "softmax" => vec![],
        "mlp_128" => vec![dense(128)],
        "mlp_200_200" => vec![dense(200), dense(200)],
        "cnn_mnist" => vec![convolution(20, 5), convolution(50, 5), dense(500)],
        "cnn_small" => vec![convolution(32, 3), convolution(64, 3), dense(128)],
        other => panic!("no such model: {other}"),
    };
    let mut layers: Vec<Layer> =
        weighted.into_iter().flat_map(|layer| [layer, Layer::Relu]).collect();
    if model == "cnn_mnist" {
        layers.insert(2, pool.clone());
    }
    if model.starts_with("cnn") {
        layers.insert(layers.len() - 2, pool);
    }
    layers
}

/// Where PyTorch keeps each of our parameters: it has channels before rows and columns, and we have
/// them after, in kernels and in what the first dense layer reads.
fn order(tensors: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut channels = 1;
    for shape in tensors {
        let start = order.len();
        let (outer, inner, places) = match *shape.as_slice() {
            [outputs, inputs, height, width] => {
                channels = outputs;
                (outputs, inputs, height * width)
            }
            [outputs, inputs] => {
                let inner = std::mem::replace(&mut channels, 1);
                (outputs, inner, inputs / inner)
            }
            _ => (1, 1, shape[0]),
        };
        for outer in 0..outer {
            for place in 0..places {
                for channel in 0..inner {
                    order.push(start + (outer * inner + channel) * places + place);
                }
            }
        }
    }
    order
}

fn in_their_order<F: Float>(order: &[usize], ours: &[F]) -> Vec<F> {
    let mut theirs = vec![F::zero(); ours.len()];
    for (&value, &place) in ours.iter().zip(order) {
        theirs[place] = value;
    }
    theirs
}

/// The initial values that the file's `how` defines.
fn start(tensors: &[Vec<usize>]) -> Vec<f64> {
    let mut flat = Vec::new();
    for (index, shape) in tensors.iter().enumerate() {
        let of_one = if shape.len() == 1 { shape } else { &shape[1..] };
        let fan_in = of_one.iter().product::<usize>() as f64;
        let elements = shape.iter().product::<usize>();
        flat.extend((0..elements).map(|element| {
            let angle = 12.9898 * (element as f64 + 1.0) + 78.233 * (index as f64 + 1.0);
            angle.sin() / fan_in.sqrt()
        }));
    }
    flat
}

fn inputs<F: Float>(images: &Images, first: usize, count: usize) -> Array2<F> {
    let pixels = &images.pixels[first * FEATURES..][..count * FEATURES];
    let values =
        pixels.iter().map(|&pixel| F::nearest((f64::from(pixel) / 255.0 - 0.1307) / 0.3081));
    Array2::from_shape_vec((count, FEATURES), values.collect()).expect("one row for each image")
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn all_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        close(what, *ours, *theirs, tolerance);
    }
}

fn close(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    let off = (ours - theirs).abs() / theirs.abs().max(f64::MIN_POSITIVE);
    assert!(off <= tolerance, "{what}: {ours} against {theirs}, {off:e} relative");
}

fn golden() -> Vec<Run> {
    let text = include_str!("golden/training.json");
    let golden: Golden = serde_json::from_str(text).expect("the file is golden");
    assert_eq!(golden.runs.len(), 15);
    golden.runs
}

/// The first training images, or a note that there are none.
fn images() -> Option<Images> {
    let folders = folders();
    let files = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"];
    let complete = |folder: &&PathBuf| files.iter().all(|file| folder.join(file).is_file());
    let Some(folder) = folders.iter().find(complete) else {
        eprintln!("skipped: {} are not in {folders:?}", files.join(" and "));
        return None;
    };
    let images = unpack(&folder.join(files[0]), 16 + 400 * FEATURES);
    let labels = unpack(&folder.join(files[1]), 8 + 400);
    assert_eq!(images[..4], [0, 0, 8, 3]);
    assert_eq!(labels[..4], [0, 0, 8, 1]);
    Some(Images { pixels: images[16..].to_vec(), labels: labels[8..].to_vec() })
}

fn folders() -> Vec<PathBuf> {
    let given = std::env::var_os("BYZLAB_DATA").map(|folder| PathBuf::from(folder).join("mnist"));
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/datasets/mnist");
    given.into_iter().chain([beside]).collect()
}

/// The first `count` bytes of a packed file.
fn unpack(path: &Path, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file).read_exact(&mut bytes).expect("the file is long enough");
    bytes
}
