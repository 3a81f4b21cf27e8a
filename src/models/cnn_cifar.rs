//! A network for 32 x 32 images in colour: two convolutions, two pools, two dense layers.
//!
//! `64 @ 5x5 - relu - pool 2 - 64 @ 5x5 - relu - pool 2 - 384 - relu - 192 - relu - classes`,
//! padded by 2 so that convolutions keep the size: 1,756,426 parameters on 32 x 32 x 3 images with
//! 10 classes. In shape it is the network that federated averaging was shown with on CIFAR-10,
//! which reads crops of 24 x 24 and pools with overlapping squares; published accuracies of that
//! one do not carry over exactly.
//!
//! Fails when accuracy far above 75 % is needed: that takes deeper networks with normalisation.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized
//! Data, AISTATS 2017 (CIFAR experiments).

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::network::{Layer, Network};
use super::{Architecture, Model};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::Shape;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Architecture> = Entry {
    name: "cnn_cifar",
    summary: "64c5 - pool - 64c5 - pool - 384 - 192, for 32 x 32 images in colour",
    reference: "McMahan et al., AISTATS 2017",
    source: include_str!("cnn_cifar.rs"),
    claims: (),
    parameters: || schema_for!(CnnCifar),
    build: |parameters| parameters.build::<dyn Architecture, CnnCifar>(|it| Ok(Arc::new(it))),
};

/// The network has no parameters to choose.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CnnCifar {}

impl Architecture for CnnCifar {
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError> {
        let convolution = Layer::Convolution { channels: 64, kernel: 5, padding: 2 };
        let layers = [
            convolution.clone(),
            Layer::Relu,
            Layer::MaxPool { size: 2 },
            convolution,
            Layer::Relu,
            Layer::MaxPool { size: 2 },
            Layer::Dense { units: 384 },
            Layer::Relu,
            Layer::Dense { units: 192 },
            Layer::Relu,
        ];
        Ok(Arc::new(Network::of_layers(shape, &layers)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_its_known_size() {
        let shape = Shape { height: 32, width: 32, channels: 3, classes: 10 };
        let first = (75 + 1) * 64 + (1600 + 1) * 64;
        let dense = (8 * 8 * 64 + 1) * 384 + (384 + 1) * 192 + (192 + 1) * 10;
        let model = CnnCifar {}.model(shape).unwrap();
        assert_eq!((model.len(), first + dense), (1_756_426, 1_756_426));
    }
}
