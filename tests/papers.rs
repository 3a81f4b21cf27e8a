//! What others have published comes out here too, in smaller runs of the experiments in
//! `experiments/papers/`; the figures stand in the README beside each of them.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

mod papers {
    mod bucketing;
    mod byzfl_heatmaps;
    mod distributed_momentum;
    mod dumbbell;
    mod kept;
    mod malicious_ring;
    mod measured;
}
