//! The bits of whole runs, pinned: what changes them must raise `RESULTS_VERSION`.
//!
//! Matrix products have the same bits everywhere, but some sums of rules still take the width of
//! the processor's registers, so there is a pin for each type of processor that the project has
//! met; on another one these tests say so and pass.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use std::io::Write as _;

use byzlab::RESULTS_VERSION;
use byzlab::runtime::cpu_features;
use support::Lab;

/// What a run came to, by version of results, features of the processor, and name.
struct Pin {
    version: u32,
    features: &'static [&'static str],
    name: &'static str,
    /// The digest of the last model.
    model: &'static str,
    /// The digest of `rounds.csv` without the run's own name.
    rounds: &'static str,
}

const PINS: &[Pin] = &[
    Pin {
        version: 4,
        features: &["avx2", "fma", "avx512f"],
        name: "softmax",
        model: "baa40d5ffb341535942633808645b69b7cd236c23bf6fbf68e5dc603b5d79a0f",
        rounds: "bdbd3928f9a76008a6847325e28184eeb12a91bd836fa410ee058b5d9e85b171",
    },
    Pin {
        version: 4,
        features: &["avx2", "fma", "avx512f"],
        name: "mlp",
        model: "2ef59eead6882cafdaa8af2f894d31af72c7b70f6ac538400326bcc1b9305210",
        rounds: "b7e953601b423bebc96c618a10e3d9b83331f2e5aadebe98946ecb3a07308a18",
    },
    Pin {
        version: 4,
        features: &["avx2", "fma", "avx512f"],
        name: "label_flip",
        model: "5b0467480c44fba9b78d719328c1edb0e75993e85f994392baf70811875de5e9",
        rounds: "83148081857c9f6563fc20b4684edffd527896ccf441f27408e3425b66c6d648",
    },
];

fn config(model: &str, rule: &str, threat: &str) -> String {
    format!(
        r#"
schema = 1
name = "golden"
seeds = [7]
[data]
set = {{ digits = {{ train = 500, test = 100 }} }}
partition = {{ gamma_similarity = {{ gamma = 0.5 }} }}
[{model}]
[training]
rounds = 10
batch = 20
learning_rate = 0.3
momentum = 0.9
local_steps = 2
[system.central]
workers = 9
[aggregation]
byzantine = 2
{rule}
[threat]
corrupted = 2
placement = "random"
{threat}
[faults]
absences = 0.1
[evaluation]
every = 5
"#
    )
}

#[test]
fn softmax_trimmed_mean_little_is_enough() {
    let config =
        config("model.softmax", "rule = \"trimmed_mean\"", "attack = \"little_is_enough\"");
    assert_pinned("softmax", &config);
}

#[test]
fn mlp_mixing_and_multi_krum_gaussian() {
    let rule = "before = [\"nearest_neighbour_mixing\"]\nrule = \"multi_krum\"";
    let model = "model.mlp]\nhidden = [16";
    assert_pinned("mlp", &config(model, rule, "attack = \"gaussian\""));
}

#[test]
fn softmax_median_label_flip() {
    let threat = "poison = \"label_flip\"\nattack = \"none\"";
    assert_pinned("label_flip", &config("model.softmax", "rule = \"median\"", threat));
}

fn assert_pinned(name: &str, config: &str) {
    let lab = Lab::new(config);
    lab.finish("out", &["--threads", "1"]);
    let run = lab.only_run("out");
    let model = run.summary()["final_digest"].as_str().unwrap().to_owned();
    let rounds = digest_of_rounds(&run.path.join("rounds.csv"));
    let features = cpu_features();
    let came_to = format!(
        "Pin {{\n    version: {RESULTS_VERSION},\n    features: &{features:?},\n    \
         name: \"{name}\",\n    model: \"{model}\",\n    rounds: \"{rounds}\",\n}},"
    );
    let of_version = PINS.iter().filter(|pin| pin.version == RESULTS_VERSION && pin.name == name);
    let pins: Vec<&Pin> = of_version.collect();
    assert!(!pins.is_empty(), "version {RESULTS_VERSION} has no pin yet; add\n{came_to}");
    let Some(pin) = pins.into_iter().find(|pin| *pin.features == *features) else {
        let message =
            format!("there is no pin for a processor like this one; it would be\n{came_to}\n");
        let _ = std::io::stderr().write_all(message.as_bytes());
        return;
    };
    assert!(
        (pin.model, pin.rounds) == (&model, &rounds),
        "the bits of a run have changed. If that is not meant, find out why. If it is, raise \
         RESULTS_VERSION in src/lib.rs, and replace the pins:\n{came_to}"
    );
}

/// The digest of all columns but the run's name, which depends on how a config is written out.
fn digest_of_rounds(path: &std::path::Path) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    for record in reader.records() {
        let record = record.unwrap();
        let row: Vec<&str> = record.iter().skip(1).collect();
        hasher.update(row.join(",").as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
