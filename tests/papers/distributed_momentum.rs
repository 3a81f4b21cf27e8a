//! Momentum at the workers is at least as good as at the server: El-Mhamdi, Guerraoui and Rouault,
//! ICLR 2021.

use super::kept::{Kept, small};

const RULES: [&str; 3] = ["median", "trimmed_mean", "phocas"];
const LITTLE: &str = "epfl-byzmom.Little";
const EMPIRE: &str = "epfl-byzmom.Empire";

/// What the greatest accuracy gains if workers keep the momentum and not the server.
#[track_caller]
fn gain(kept: &Kept, rule: &str, attack: &str) -> f64 {
    let greatest = |place: &str| kept.greatest(&[rule, attack, place]);
    greatest("worker") - greatest("server")
}

#[test]
fn momentum_at_the_workers_is_the_better_one_under_every_rule() {
    let Some(kept) = small("distributed_momentum") else { return };
    for rule in RULES {
        // 2.3, 1.8 and 6.6 points, when this was written.
        assert!(gain(&kept, rule, LITTLE) >= 0.0, "{rule}: {kept:?}");
        // 15, 12 and 45 points.
        assert!(gain(&kept, rule, EMPIRE) > 0.06, "{rule}: {kept:?}");
        // In the end the server's momentum has carried the model away, and the workers' has not.
        let last = |place: &str| kept.last_five(&[rule, EMPIRE, place]);
        assert!(last("worker") > 0.7 && last("server") < 0.65, "{rule}: {kept:?}");
    }
}
