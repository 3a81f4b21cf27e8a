//! MNIST: 60,000 + 10,000 handwritten digits, 28 x 28 grey pixels.
//!
//! Unless `data.scale` says otherwise, pixels come out as `(pixel / 255 - 0.1307) / 0.3081`: zero
//! mean and unit variance over the training split, the constants that most published experiments
//! use.
//!
//! When it misleads: nearly any method reaches 90 % on it, so a defence that holds on MNIST alone
//! has shown little.
//!
//! Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to
//! Document Recognition, Proceedings of the IEEE 1998.

use std::sync::{Arc, LazyLock};

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::idx_images::IdxImages;
use super::{Dataset, Manifest};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "mnist",
    summary: "60,000 + 10,000 handwritten digits; `byzlab data fetch mnist` gets them",
    reference: "LeCun et al., Proceedings of the IEEE 1998",
    source: include_str!("mnist.rs"),
    claims: (),
    parameters: || schema_for!(Mnist),
    build: |parameters| parameters.build::<dyn Dataset, Mnist>(|Mnist {}| Ok(Arc::new(images()))),
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_str!("../../datasets/mnist.toml"))
        .expect("the manifest is compiled in, and a test reads it")
});

/// MNIST has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mnist {}

fn images() -> IdxImages {
    IdxImages { manifest: &MANIFEST, mean: 0.1307, deviation: 0.3081 }
}
