//! The network of byzfl's MNIST benchmarks: 20 and 50 channels, then 500 units.
//!
//! `20 @ 5x5 - relu - pool 2 - 50 @ 5x5 - relu - pool 2 - 500 - relu - classes`, without padding:
//! 431,080 parameters on 28 x 28 images with 10 classes. It is `cnn` with these layers, under the
//! name that papers and other libraries give it.
//!
//! Fails when images have fewer than 16 rows or columns, on which its kernels and pools do not fit.
//!
//! Reference: the `cnn_mnist` of the library byzfl; in shape LeCun et al., Proceedings of the IEEE
//! 1998.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::network::{Layer, Network};
use super::{Architecture, Model};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::Shape;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Architecture> = Entry {
    name: "cnn_mnist",
    summary: "20c5 - pool - 50c5 - pool - 500, 431,080 parameters on MNIST",
    reference: "byzfl's cnn_mnist; LeCun et al., Proceedings of the IEEE 1998",
    source: include_str!("cnn_mnist.rs"),
    claims: (),
    parameters: || schema_for!(CnnMnist),
    build: |parameters| parameters.build::<dyn Architecture, CnnMnist>(|it| Ok(Arc::new(it))),
};

/// The network has no parameters to choose.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CnnMnist {}

impl Architecture for CnnMnist {
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError> {
        let layers = [
            Layer::Convolution { channels: 20, kernel: 5, padding: 0 },
            Layer::Relu,
            Layer::MaxPool { size: 2 },
            Layer::Convolution { channels: 50, kernel: 5, padding: 0 },
            Layer::Relu,
            Layer::MaxPool { size: 2 },
            Layer::Dense { units: 500 },
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
        let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
        let model = CnnMnist {}.model(shape).unwrap();
        assert_eq!((model.len(), model.head()), (431_080, 426_070..431_080));
        assert_eq!(model.operations(), 13_182_000);
    }

    #[test]
    fn images_of_fifteen_rows_are_too_small() {
        let shape = Shape { height: 15, width: 28, channels: 1, classes: 10 };
        let error = CnnMnist {}.model(shape).unwrap_err();
        assert_eq!(
            error.message,
            "layer 6, max_pool: squares of 2 x 2 do not fit on an image of 1 x 8"
        );
    }
}
