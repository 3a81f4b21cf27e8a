//! Five honest nodes in a ring, two liars at each, and one more at node 0: He, Karimireddy and
//! Jaggi, arXiv 2202.01545, 2022.

use std::sync::LazyLock;

use super::measured::Measured;

/// Chance, and what is left of a node whose model is no number.
const CHANCE: f64 = 0.15;

const TIGHT: &str = "{ self_centred_clipping = { threshold = { fixed = { tau = 0.1 } } } }";
const LOOSE: &str = "{ self_centred_clipping = { threshold = { fixed = { tau = 1.0 } } } }";
const GEOMETRIC: &str = "{ geometric_median = { iterations = 8 } }";
const FROM_THE_MEAN: &str = "{ geometric_median = { iterations = 8, start = 'mean' } }";

/// A ring under dissensus with a rule.
fn with(file: &str, rule: &str) -> Measured {
    let values = [
        "data.set={ digits = { train = 15000, test = 500 } }",
        "training.rounds=200",
        "evaluation.every=200",
        "threat.attack={ dissensus = { epsilon = 1.5 } }",
        &format!("aggregation.rule={rule}"),
    ];
    let measured = Measured::of(file, &values, &[]);
    assert_eq!(measured.nodes.len(), 5, "{measured:?}");
    measured
}

fn even(rule: &str) -> Measured {
    with("malicious_ring/experiment.toml", rule)
}

fn outnumbered(rule: &str) -> Measured {
    with("malicious_ring/outnumbered.toml", rule)
}

/// Three tests compare with it.
static TIGHT_OUTNUMBERED: LazyLock<Measured> = LazyLock::new(|| outnumbered(TIGHT));

#[test]
fn two_liars_for_each_ruin_averaging_alone() {
    let averaging = even("metropolis_hastings");
    assert!(averaging.averaged <= CHANCE, "{averaging:?}");
    for rule in ["trimmed_mean", GEOMETRIC, TIGHT] {
        let measured = even(rule);
        assert!(measured.averaged >= 0.7 && measured.least() >= 0.75, "{rule}: {measured:?}");
    }
}

#[test]
fn one_liar_more_brings_trimming_to_chance() {
    let trimming = outnumbered("trimmed_mean");
    assert!(trimming.averaged <= CHANCE, "{trimming:?}");
    let clipping = &*TIGHT_OUTNUMBERED;
    assert!(clipping.averaged >= 0.75 && clipping.least() >= 0.75, "{clipping:?}");
}

/// Which start the steps have decides whether a node or only the agreement is lost.
#[test]
fn one_liar_more_breaks_the_geometric_median_as_far_as_its_steps_reach() {
    let clipping = &*TIGHT_OUTNUMBERED;
    let median = outnumbered(GEOMETRIC);
    assert!(median.averaged <= clipping.averaged - 0.1, "{median:?} {clipping:?}");
    assert!(median.disagreement >= 10.0 * clipping.disagreement, "{median:?} {clipping:?}");
    let from_the_mean = outnumbered(FROM_THE_MEAN);
    assert!(from_the_mean.least() <= 0.5, "{from_the_mean:?}");
    assert!(median.least() >= from_the_mean.least() + 0.2, "{median:?} {from_the_mean:?}");
}

#[test]
fn a_loose_threshold_is_pushed_much_further_than_a_tight_one() {
    let (tight, loose) = (&*TIGHT_OUTNUMBERED, outnumbered(LOOSE));
    assert!(loose.disagreement >= 10.0 * tight.disagreement, "{loose:?} {tight:?}");
    assert!(loose.least() <= tight.least() - 0.03, "{loose:?} {tight:?}");
}
