//! Where momentum is kept: at the workers, or at whoever moves the model.
//!
//! At the worker, each keeps a direction `v = momentum · v + (1 - dampening) · g` of its own and
//! shares that, so what a rule compares has the noise of many rounds averaged out. At the server
//! workers share the gradient itself, and the server keeps one direction of the aggregates,
//! `v = momentum · v + (1 - dampening) · aggregate`, and steps along it: the classic form, in which
//! one bad aggregate stays for as long as momentum lasts.
//!
//! What workers share holds the factor of a schedule and the sum of their local steps, so the
//! server's momentum is over those, as in federated averaging with momentum.
//!
//! Reference: El-Mhamdi, Guerraoui and Rouault, Distributed Momentum for Byzantine-resilient
//! Stochastic Gradient Descent, ICLR 2021; Hsu, Qi and Brown, Measuring the Effects of
//! Non-Identical Data Distribution for Federated Visual Classification, arXiv 1909.06335, 2019
//! (the server's, over several local steps).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Descent, Training};

/// Who keeps the momentum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MomentumAt {
    /// Every worker, of its own gradients.
    #[default]
    Worker,
    /// Whoever moves the model, of the aggregates.
    Server,
}

impl MomentumAt {
    /// Divides these settings between those who train and whoever moves the model along an
    /// aggregate: each is told its part, and without momentum of its own keeps none.
    pub fn divide(self, training: Training) -> (Training, Descent<f32>) {
        let plain = Descent::plain(training.learning_rate);
        match self {
            MomentumAt::Worker => (training, plain),
            MomentumAt::Server => {
                let Training { momentum, dampening, .. } = training;
                let workers = Training { momentum: 0.0, dampening: 0.0, ..training };
                (workers, Descent { momentum, dampening, ..plain })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn momentum_is_kept_in_one_place() {
        let training = Training {
            learning_rate: 0.5,
            momentum: 0.75,
            dampening: 0.25,
            weight_decay: 0.1,
            ..Training::default()
        };
        let (workers, server) = MomentumAt::Worker.divide(training.clone());
        assert_eq!((workers, server), (training.clone(), Descent::plain(0.5)));
        let (workers, server) = MomentumAt::Server.divide(training.clone());
        assert_eq!(workers, Training { momentum: 0.0, dampening: 0.0, ..training });
        let kept = Descent { momentum: 0.75, dampening: 0.25, ..Descent::plain(0.5) };
        // Decay belongs to the gradient, which the workers make.
        assert_eq!(server, kept);
    }
}
