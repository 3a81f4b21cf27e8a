//! `byzlab bench training`: steps a second of known models, next to the speed of products.

mod steps;

use clap::Args;
use serde_json::{Value, json};

use self::steps::{Timed, product_gflops, time};
use crate::cli::print;

/// The models that are timed, as a config names them, and what they are called here.
const MODELS: [(&str, &str, &str); 4] = [
    ("softmax", "softmax", ""),
    ("mlp_128", "mlp", "hidden = [128]"),
    ("mlp_200_200", "mlp", "hidden = [200, 200]"),
    ("cnn_mnist", "cnn_mnist", ""),
];

/// Samples in a step.
const BATCHES: [usize; 2] = [25, 64];

/// Times steps of gradient descent, forward, backward and update, on images of MNIST's shape.
///
/// What is printed is the most steps a second, the multiplications and additions in them, and
/// their share of what the same threads do in a product of two matrices of 512 x 512. With
/// several threads each trains a model of its own, as workers do.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many models are trained at the same time
    #[arg(long, value_name = "T", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// For how long each model is trained again
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = super::seconds)]
    seconds: f64,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug)]
struct Report {
    threads: usize,
    gemm_gflops: f64,
    models: Vec<Timed>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let threads = arguments.threads as usize;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let report = pool.install(|| measure(threads, arguments.seconds))?;
    if arguments.json {
        return print(&format!("{:#}\n", as_json(&report)));
    }
    print(&as_text(&report))
}

/// Measures products first, then every model at every batch.
fn measure(threads: usize, budget: f64) -> anyhow::Result<Report> {
    let gemm_gflops = product_gflops(threads, budget);
    let mut models = Vec::new();
    for (label, name, parameters) in MODELS {
        for batch in BATCHES {
            models.push(time(label, name, parameters, batch, threads, budget)?);
        }
    }
    Ok(Report { threads, gemm_gflops, models })
}

fn as_json(report: &Report) -> Value {
    let models = report.models.iter().map(|timed| {
        json!({
            "model": timed.model,
            "batch": timed.batch,
            "steps_per_second": timed.steps_per_second,
            "gflops": timed.gflops,
            "share_of_peak": timed.gflops / report.gemm_gflops,
        })
    });
    json!({
        "threads": report.threads,
        "gemm_gflops": report.gemm_gflops,
        "models": models.collect::<Vec<Value>>(),
    })
}

fn as_text(report: &Report) -> String {
    let mut text = format!(
        "{} thread(s), matrix products: {:.1} GFLOP/s\n\n\
         model         batch    steps/s   GFLOP/s   of products\n",
        report.threads, report.gemm_gflops
    );
    for timed in &report.models {
        text.push_str(&format!(
            "{:<12}  {:>5}  {:>9.1}  {:>8.2}  {:>11.1} %\n",
            timed.model,
            timed.batch,
            timed.steps_per_second,
            timed.gflops,
            100.0 * timed.gflops / report.gemm_gflops,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_timed_at_every_batch() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let report = pool.install(|| measure(2, 0.0)).unwrap();
        let json = as_json(&report);
        let models = json["models"].as_array().unwrap();
        assert_eq!(models.len(), 8);
        for model in models {
            let steps = model["steps_per_second"].as_f64().unwrap();
            let gflops = model["gflops"].as_f64().unwrap();
            let share = model["share_of_peak"].as_f64().unwrap();
            assert!(steps > 0.0 && gflops > 0.0);
            assert!((share * report.gemm_gflops - gflops).abs() < 1e-9 * gflops);
        }
        // Two for each weight on the way up and two for the weight itself, 25 samples a step.
        let softmax = &report.models[0];
        let operations = softmax.steps_per_second * 25.0 * 4.0 * 7840.0;
        assert!((softmax.gflops * 1e9 - operations).abs() < 1e-6 * operations);
        assert_eq!(as_text(&report).lines().count(), 11);
    }
}
