//! Convolutional network: layer by layer, as the config names them.
//!
//! `layers` is an array of `{ convolution = { channels, kernel, padding } }`, `"relu"`,
//! `{ max_pool = { size } }`, `{ dense = { units } }` and `{ dropout = { rate } }`; a dense layer
//! onto the classes always follows. A convolution slides the same weights over the image, a pool
//! keeps the largest value of each square, so that what was learnt in one corner is known in all
//! others. The parameters of a layer stand in the order channel, kernel row, kernel column,
//! channel below, and images in the order row, column, channel.
//!
//! Fails when what is told apart is not in shapes but in absolute places, and it takes a hundred
//! times the work of softmax: a rule or an attack is cheaper to judge on a smaller model first.
//! Deep networks without normalisation learn slowly from PyTorch's initial values.
//!
//! Reference: LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings
//! of the IEEE 1998; dropout: Srivastava et al., JMLR 2014. Initial values: PyTorch's `Conv2d` and
//! `Linear`.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::network::{self, Layer, Network};
use super::{Architecture, Model};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::Shape;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Architecture> = Entry {
    name: "cnn",
    summary: "convolutions, pools, dense layers and dropout, in any order",
    reference: "LeCun et al., Proceedings of the IEEE 1998",
    source: include_str!("cnn.rs"),
    claims: (),
    parameters: || schema_for!(Cnn),
    build: |parameters| parameters.build::<dyn Architecture, Cnn>(|it| Ok(Arc::new(it.check()?))),
};

/// Parameters of the convolutional network.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Cnn {
    /// The layers from the image on, at most 64, without the last one onto the classes. Default:
    /// a convolution of 16 channels with a kernel of 3, relu, a pool of 2, and 64 dense units with
    /// relu.
    #[schemars(length(max = 64))]
    layers: Vec<Layer>,
}

impl Default for Cnn {
    fn default() -> Self {
        Cnn {
            layers: vec![
                Layer::Convolution { channels: 16, kernel: 3, padding: 0 },
                Layer::Relu,
                Layer::MaxPool { size: 2 },
                Layer::Dense { units: 64 },
                Layer::Relu,
            ],
        }
    }
}

impl Cnn {
    fn check(self) -> Result<Self, ConfigError> {
        network::check(&self.layers)?;
        Ok(self)
    }
}

impl Architecture for Cnn {
    fn model(&self, shape: Shape) -> Result<Arc<dyn Model>, ConfigError> {
        Ok(Arc::new(Network::of_layers(shape, &self.layers)?))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::catalog::Choice;
    use crate::models::CATALOG;

    fn model(layers: &str, height: usize, width: usize) -> Result<Arc<dyn Model>, ConfigError> {
        let shape = Shape { height, width, channels: 1, classes: 2 };
        let choice = Choice::with("cnn", &format!("layers = {layers}"))?;
        CATALOG.build(&choice)?.value.model(shape)
    }

    #[test]
    fn scores_by_hand() {
        // The kernel [1, -1] of one row would need a row image; a 2 x 2 kernel adds the diagonal
        // and takes away the rest: on [1 2 3; 4 5 6] that is 1 + 5 - 2 - 4 = 0 and
        // 2 + 6 - 3 - 5 = 0, plus the bias 3, relu, and the scores are 2 · 3 - 3 + 1 = 4 and 7.
        let model =
            model(r#"[{ convolution = { channels = 1, kernel = 2 } }, "relu"]"#, 2, 3).unwrap();
        assert_eq!((model.len(), model.head(), model.operations()), (11, 5..11, 2 * 4 * 4 + 6 * 4));
        let parameters = array![1.0, -1.0, -1.0, 1.0, 3.0, 2.0, -1.0, 0.0, 0.0, 1.0, 7.0];
        let image = array![[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]];
        assert_eq!(model.scores(parameters.view(), image.view()), array![[4.0, 7.0]]);
    }

    #[test]
    fn layers_that_do_not_fit_say_which_and_how_large() {
        let message = |layers: &str| model(layers, 6, 7).unwrap_err().message;
        let five = "{ convolution = { channels = 3, kernel = 5 } }";
        assert_eq!(
            message(&format!("[{five}, \"relu\", {five}]")),
            "layer 3, convolution: a kernel of 5 x 5 with padding 0 does not fit on an image of \
             2 x 3 with 3 channels"
        );
        assert_eq!(
            message(&format!("[{five}, {{ max_pool = {{ size = 3 }} }}]")),
            "layer 2, max_pool: squares of 3 x 3 do not fit on an image of 2 x 3"
        );
        assert_eq!(
            message(&format!("[{{ dense = {{ units = 8 }} }}, {five}]")),
            "layer 2, convolution: it reads an image, and the layers before it put out 8 values \
             without places"
        );
        let wide = "{ dense = { units = 65536 } }";
        assert_eq!(
            message(&format!("[{wide}, {wide}]")),
            "layer 2, dense: 4297850880 parameters up to here, and a model may have at most \
             1073741824"
        );
        assert_eq!(
            message("[{ dropout = { rate = 1.0 } }]"),
            "layer 1 of `layers`, dropout: `rate` = 1 is not in 0..1"
        );
        assert_eq!(
            message("[{ convolution = { channels = 3, kernel = 0 } }]"),
            "layer 1 of `layers`, convolution: `kernel` = 0 is not in 1..=31"
        );
        assert!(message("[\"relu\"]").starts_with("layer 1 of `layers` is relu"));
    }

    #[test]
    fn an_unknown_layer_is_named_with_what_it_may_have_been() {
        let error = model("[{ convolutoin = { channels = 3 } }]", 6, 6).unwrap_err();
        assert!(error.message.contains("`convolutoin`"), "{}", error.message);
        assert_eq!(error.help.as_deref(), Some("did you mean `convolution`?"));
    }
}
