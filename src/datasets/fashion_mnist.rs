//! Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28 x 28 grey pixels, ten classes.
//!
//! Files and shapes are those of MNIST, so that it takes MNIST's place without other changes.
//! Unless `data.scale` says otherwise, pixels come out as `(pixel / 255 - 0.2860) / 0.3530`: zero
//! mean and unit variance over the training split.
//!
//! Its publishers give digests of the packed files alone, so it is read packed: the files must
//! lie there with `.gz`, as `byzlab data fetch fashion_mnist` leaves them.
//!
//! When it misleads: harder than MNIST, it is still small, clean and balanced, and shirts are
//! confused with pullovers whatever the defence.
//!
//! Reference: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for
//! Benchmarking Machine Learning Algorithms, arXiv 1708.07747, 2017.

use std::sync::{Arc, LazyLock};

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::idx_images::IdxImages;
use super::{Dataset, Manifest};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "fashion_mnist",
    summary: "60,000 + 10,000 pictures of clothes; `byzlab data fetch fashion_mnist` gets them",
    reference: "Xiao, Rasul and Vollgraf, arXiv 1708.07747, 2017",
    source: include_str!("fashion_mnist.rs"),
    claims: (),
    parameters: || schema_for!(FashionMnist),
    build: |parameters| {
        parameters.build::<dyn Dataset, FashionMnist>(|FashionMnist {}| Ok(Arc::new(images())))
    },
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_str!("../../datasets/fashion_mnist.toml"))
        .expect("the manifest is compiled in, and a test reads it")
});

/// Fashion-MNIST has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FashionMnist {}

fn images() -> IdxImages {
    IdxImages { manifest: &MANIFEST, mean: 0.2860, deviation: 0.3530 }
}
