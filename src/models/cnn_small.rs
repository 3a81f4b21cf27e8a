//! The small network of the bucketing paper: 32 and 64 channels, one pool, 128 units.
//!
//! `32 @ 3x3 - relu - 64 @ 3x3 - relu - pool 2 - 128 - relu - classes`, without padding: 1,199,882
//! parameters on 28 x 28 images with 10 classes. With `dropout`, a quarter of the values is left
//! out after the pool and half of them after the 128 units, as in PyTorch's MNIST example, from
//! which the network comes.
//!
//! Fails when images have fewer than 6 rows or columns. Its first dense layer holds nearly all of
//! its parameters, so what an attack does to it is mostly what it does to that layer.
//!
//! Reference: Karimireddy, He and Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via
//! Bucketing, ICLR 2022 (experiments).

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::network::{Layer, Network};
use super::{Architecture, Model};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::Shape;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Architecture> = Entry {
    name: "cnn_small",
    summary: "32c3 - 64c3 - pool - 128, with dropout if that is wished",
    reference: "Karimireddy, He and Jaggi, ICLR 2022",
    source: include_str!("cnn_small.rs"),
    claims: (),
    parameters: || schema_for!(CnnSmall),
    build: |parameters| parameters.build::<dyn Architecture, CnnSmall>(|it| Ok(Arc::new(it))),
};

/// Parameters of the small network.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CnnSmall {
    /// Whether values are left out while training: 0.25 after the pool, 0.5 after the units.
    dropout: bool,
}

impl Architecture for CnnSmall {
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError> {
        let mut layers = vec![
            Layer::Convolution { channels: 32, kernel: 3, padding: 0 },
            Layer::Relu,
            Layer::Convolution { channels: 64, kernel: 3, padding: 0 },
            Layer::Relu,
            Layer::MaxPool { size: 2 },
        ];
        let left_out = |rate| self.dropout.then_some(Layer::Dropout { rate });
        layers.extend(left_out(0.25));
        layers.extend([Layer::Dense { units: 128 }, Layer::Relu]);
        layers.extend(left_out(0.5));
        Ok(Arc::new(Network::of_layers(shape, &layers)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_its_known_size_with_and_without_dropout() {
        let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
        for dropout in [false, true] {
            assert_eq!(CnnSmall { dropout }.model(shape).unwrap().len(), 1_199_882);
        }
    }
}
