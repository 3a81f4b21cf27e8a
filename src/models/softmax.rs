//! Softmax regression: one score per class, each a weighted sum of the inputs.
//!
//! `scores = W x + b`, shapes `W: [classes, features]`, `b: [classes]`, trained on the
//! cross-entropy of `softmax(scores)`. On 28 x 28 images with 10 classes it has 7,850 parameters.
//!
//! The loss is convex in the parameters, so theorems about convex training speak about this
//! model, and a round costs microseconds.
//!
//! Fails when a class is not on one side of a hyperplane: it cannot learn exclusive or, nor
//! that two pixels mean something only together. On MNIST it stops near 92 % accuracy, and under
//! an attack that ceiling can be mistaken for damage: always read it beside its clean run.
//!
//! Reference: Cox, The Regression Analysis of Binary Sequences, Journal of the Royal Statistical
//! Society B, 1958; LeCun et al., Gradient-Based Learning Applied to Document Recognition,
//! Proceedings of the IEEE 1998 (linear classifiers on MNIST). Initial values: PyTorch's `Linear`.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::{Architecture, Model};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::Shape;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Architecture> = Entry {
    name: "softmax",
    summary: "softmax regression: convex, 7,850 parameters on MNIST, a round in microseconds",
    reference: "Cox, JRSS B 1958",
    source: include_str!("softmax.rs"),
    claims: (),
    parameters: || schema_for!(Softmax),
    build: |parameters| parameters.build::<dyn Architecture, Softmax>(|it| Ok(Arc::new(it))),
};

/// Softmax regression has no parameters to choose.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Softmax {}

impl Architecture for Softmax {
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError> {
        Ok(Arc::new(Network::of_layers(shape, &[])?))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::models::CATALOG;

    #[test]
    fn scores_by_hand() {
        let shape = Shape { height: 1, width: 2, channels: 1, classes: 3 };
        let model = CATALOG.build_default("softmax").unwrap().value.model(shape).unwrap();
        assert_eq!((model.len(), model.head()), (9, 0..9));
        let parameters = array![1.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.5, 0.0, -1.0];
        let scores = model.scores(parameters.view(), array![[1.0, 10.0], [0.0, -1.0]].view());
        assert_eq!(scores, array![[1.5, 20.0, 10.0], [0.5, -2.0, -2.0]]);
    }

    #[test]
    fn mnist_takes_7850_parameters() {
        let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
        assert_eq!(Softmax {}.model(shape).unwrap().len(), 7850);
    }
}
