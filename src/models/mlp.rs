//! Multilayer perceptron: dense layers with relu between them.
//!
//! `h_1 = relu(W_1 x + b_1)`, …, `scores = W_k h_{k-1} + b_k`, trained on the cross-entropy of
//! `softmax(scores)`. One hidden layer of 128 on 28 x 28 images with 10 classes makes 101,770
//! parameters.
//!
//! Fails when what must be learned moves about in the image: every pixel has weights of its own,
//! so a shape seen in one corner is not known in another. A layer whose units are all negative
//! for every sample is dead and learns nothing more, which a single huge update can bring about.
//!
//! Reference: Rumelhart, Hinton and Williams, Learning Representations by Back-Propagating
//! Errors, Nature 1986. The layer of 200 twice is the MNIST network of McMahan et al., AISTATS
//! 2017. Initial values: PyTorch's `Linear`.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::network::{Layer, Network};
use super::{Architecture, Model};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::Shape;

/// The most hidden layers.
const LAYERS_MAX: usize = 8;

/// The most units in a hidden layer.
const UNITS_MAX: usize = 65_536;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Architecture> = Entry {
    name: "mlp",
    summary: "dense layers with relu between them",
    reference: "Rumelhart, Hinton and Williams, Nature 1986",
    source: include_str!("mlp.rs"),
    claims: (),
    parameters: || schema_for!(Mlp),
    build: |parameters| parameters.build::<dyn Architecture, Mlp>(|it| Ok(Arc::new(it.check()?))),
};

/// Parameters of the multilayer perceptron.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mlp {
    /// The units of each hidden layer, from the inputs on: 1 to 8 layers of 1 to 65536 units.
    #[schemars(length(min = 1, max = 8))]
    hidden: Vec<usize>,
}

impl Default for Mlp {
    fn default() -> Self {
        Mlp { hidden: vec![128] }
    }
}

impl Architecture for Mlp {
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError> {
        let dense = self.hidden.iter().map(|&units| [Layer::Dense { units }, Layer::Relu]);
        let layers: Vec<Layer> = dense.flatten().collect();
        Ok(Arc::new(Network::of_layers(shape, &layers)?))
    }
}

impl Mlp {
    fn check(self) -> Result<Self, ConfigError> {
        let layers = self.hidden.len();
        if layers == 0 {
            return Err(ConfigError::new("`hidden` = [] names no layer, and an mlp needs one")
                .help("use the model `softmax`, which has none"));
        }
        if layers > LAYERS_MAX {
            return Err(ConfigError::new(format!(
                "`hidden` names {layers} layers, and an mlp may have at most {LAYERS_MAX}"
            )));
        }
        match self.hidden.iter().find(|units| !(1..=UNITS_MAX).contains(*units)) {
            Some(units) => Err(ConfigError::new(format!(
                "`hidden` has a layer of {units} units, and a layer has 1 to {UNITS_MAX}"
            ))),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::catalog::Choice;
    use crate::models::CATALOG;

    #[test]
    fn scores_by_hand() {
        let shape = Shape { height: 1, width: 1, channels: 1, classes: 2 };
        let choice = Choice::with("mlp", "hidden = [2]").unwrap();
        let model = CATALOG.build(&choice).unwrap().value.model(shape).unwrap();
        assert_eq!((model.len(), model.head()), (10, 4..10));
        let parameters = array![1.0, -1.0, 1.0, 1.0, 1.0, 5.0, 0.0, 7.0, 0.0, 3.0];
        let scores = model.scores(parameters.view(), array![[2.0], [-3.0]].view());
        assert_eq!(scores, array![[3.0, 3.0], [20.0, 31.0]]);
    }

    #[test]
    fn sizes_are_checked() {
        let message = |toml: &str| {
            let choice = Choice::with("mlp", toml).unwrap();
            CATALOG.build(&choice).map(|_| ()).unwrap_err().message
        };
        assert_eq!(message("hidden = []"), "`hidden` = [] names no layer, and an mlp needs one");
        assert_eq!(
            message("hidden = [1, 1, 1, 1, 1, 1, 1, 1, 1]"),
            "`hidden` names 9 layers, and an mlp may have at most 8"
        );
        for units in [0, 65_537] {
            assert_eq!(
                message(&format!("hidden = [3, {units}]")),
                format!("`hidden` has a layer of {units} units, and a layer has 1 to 65536")
            );
        }
    }

    #[test]
    fn known_networks_have_their_known_sizes() {
        let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
        assert_eq!(Mlp::default().model(shape).unwrap().len(), 101_770);
        assert_eq!(Mlp { hidden: vec![200, 200] }.model(shape).unwrap().len(), 199_210);
    }
}
