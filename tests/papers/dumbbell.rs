//! Nobody lies, and rules that suspect the few keep two cliques apart: He, Karimireddy and Jaggi,
//! arXiv 2202.01545, 2022.

use std::path::{Path, PathBuf};

use super::measured::Measured;

/// Accuracy that knowing five of ten classes cannot exceed.
const HALF: f64 = 0.5;

/// The accuracy from which on a node knows its own five classes.
const OWN: f64 = 0.4;

/// By how much each clique must do better where something passes the bridge.
const CLEARLY: f64 = 0.05;

const SMALLER: [&str; 3] = [
    "data.set={ digits = { train = 4000, test = 1000 } }",
    "training.rounds=300",
    "evaluation.every=300",
];

/// The small dumbbell with a rule.
fn with(rule: &str) -> Measured {
    let rule = format!("aggregation.rule={rule}");
    Measured::of("dumbbell/small.toml", &[&SMALLER[..], &[&rule]].concat(), &[])
}

/// Whether every node knows the classes of its own clique, and those alone.
#[track_caller]
fn assert_split(measured: &Measured) {
    assert_eq!(measured.nodes.len(), 10, "{measured:?}");
    assert!(measured.greatest() <= HALF, "{measured:?}");
    assert!(measured.least() >= OWN, "{measured:?}");
}

/// Whether each clique knows more than its own classes, as gossip without a threshold does.
#[track_caller]
fn assert_joined(measured: &Measured) {
    assert_eq!(measured.nodes.len(), 10, "{measured:?}");
    assert!(measured.least() > HALF, "{measured:?}");
    for clique in measured.cliques() {
        assert!(clique >= HALF + CLEARLY, "{measured:?}");
    }
}

#[test]
fn averaging_carries_classes_over_the_bridge() {
    assert_joined(&with("metropolis_hastings"));
}

#[test]
fn medians_and_trimming_leave_each_clique_its_own_classes() {
    for rule in ["median", "trimmed_mean", "{ geometric_median = { iterations = 8 } }"] {
        assert_split(&with(rule));
    }
}

/// Where all rows are nearer than its `nu` the geometric median is the mean, and what looks like a
/// robust rule that does not split is none.
#[test]
fn the_geometric_median_joins_what_its_smoothing_hides() {
    assert_joined(&with("{ geometric_median = { iterations = 8, nu = 0.5 } }"));
}

#[test]
fn clipping_splits_or_not_by_its_threshold() {
    let clipping = |tau: &str| {
        with(&format!(
            "{{ self_centred_clipping = {{ threshold = {{ fixed = {{ tau = {tau} }} }} }} }}"
        ))
    };
    assert_joined(&clipping("1.0"));
    assert_split(&clipping("0.1"));
}

/// Sorted over all nodes, a clique's own members are strangers, and the median takes each of them
/// for a liar: a node does not even learn what its clique has.
#[test]
fn the_median_needs_more_than_a_bridge_that_holds() {
    let sorted = "data.partition={ gamma_similarity = { gamma = 0.0 } }";
    let values = [&SMALLER[..], &[sorted, "aggregation.rule=median"]].concat();
    let measured = Measured::of("dumbbell/small.toml", &values, &[]);
    assert!(measured.greatest() < OWN, "{measured:?}");
}

/// The folder with the real files: `$BYZLAB_DATA`, or `shared/datasets` beside the package.
fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/datasets");
    let named = std::env::var_os("BYZLAB_DATA").map(PathBuf::from);
    named.into_iter().chain([beside]).find(|folder| folder.join("mnist").is_dir())
}

#[test]
fn on_mnist_it_is_the_same() {
    let Some(folder) = data() else {
        #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped: MNIST is not there; see `byzlab data fetch mnist`");
        }
        return;
    };
    let measured = |rule: &str| {
        let values =
            ["data.set={ mnist = {} }", "training.rounds=300", "evaluation.every=300", rule];
        let arguments = ["--data-dir", folder.to_str().unwrap()];
        Measured::of("dumbbell/small.toml", &values, &arguments)
    };
    let averaging = measured("aggregation.rule=metropolis_hastings").cliques();
    let trimming = measured("aggregation.rule=trimmed_mean").cliques();
    for (averaging, trimming) in averaging.into_iter().zip(trimming) {
        // The digits 0 to 4 are 51.4 % of the test images.
        assert!((OWN..=0.52).contains(&trimming), "{trimming}");
        assert!(averaging >= trimming + CLEARLY, "{averaging} with averaging, {trimming} without");
    }
}
