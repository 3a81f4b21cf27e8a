//! FL-Byzantine-Library of the CRYPTO group at Koç University (32922ca): rules that look at pieces,
//! layers and signs of updates.
//!
//! Its gradient splitting with Bulyan as the base averages absolute deviations where it means
//! values, and has no name here.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::super::{Entry, Kind, Translation, number, read};
use crate::catalog::ConfigError;

pub(in crate::like) static ENTRIES: &[Entry] = &[
    Entry {
        name: "crypto-ku.GAS",
        kind: Kind::Aggregator,
        member: "gas",
        parameters: || schema_for!(Gas),
        byzantine: None,
        translate: |given| {
            read(given, |given: Gas| {
                let Base::Krum = given.base;
                let drawn = given.permutation;
                let order = drawn.map_or(String::new(), |order| format!("\norder = {order:?}"));
                let parameters = format!(
                    "chunks = {}\nbase = \"krum\"\nneighbours = \"paper\"\n\
                     tolerance = \"majority\"{order}",
                    given.p
                );
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "crypto-ku.LASA",
        kind: Kind::Aggregator,
        member: "lasa",
        parameters: || schema_for!(Lasa),
        byzantine: Some(0),
        translate: |given| read(given, Lasa::translate),
    },
    Entry {
        name: "crypto-ku.FedSECA",
        kind: Kind::Aggregator,
        member: "fedseca",
        parameters: || schema_for!(FedSeca),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: FedSeca| {
                let sparsity = number("sparsity_gamma", given.sparsity_gamma)?;
                Ok(Translation::to(format!("sparsity = {sparsity}")))
            })
        },
    },
];

/// Its gradient splitting.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Gas {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many chunks there are.
    p: usize,
    /// What is made of the pieces in a chunk.
    base: Base,
    /// The order of the coordinates that it drew; absent: drawn.
    permutation: Option<Vec<usize>>,
}

impl Default for Gas {
    fn default() -> Self {
        Gas { f: None, p: 1000, base: Base::Krum, permutation: None }
    }
}

/// What is made of the pieces in a chunk.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Base {
    /// The mean of the n - f best by their Krum scores.
    Krum,
}

/// Its layer-adaptive aggregation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Lasa {
    /// Where layers begin and the last ends, from 0; none: one layer.
    layer_bounds: Vec<usize>,
    /// The share of coordinates that is looked at.
    sparsity_ratio: f64,
    /// How far a norm may be from the median, in standard deviations.
    lambda_n: f64,
    /// How far a balance of signs may be from the median, in standard deviations.
    lambda_s: f64,
}

impl Default for Lasa {
    fn default() -> Self {
        Lasa { layer_bounds: Vec::new(), sparsity_ratio: 0.7, lambda_n: 1.0, lambda_s: 1.0 }
    }
}

impl Lasa {
    fn translate(self) -> Result<Translation, ConfigError> {
        let bounds = &self.layer_bounds;
        if bounds.first().is_some_and(|first| *first != 0) || !bounds.is_sorted() {
            let message = format!("`layer_bounds` {bounds:?} do not ascend from 0");
            return Err(ConfigError::new(message));
        }
        // It multiplies the balance by what it does not look at: where that is nothing, none is
        // unusual.
        let all = self.sparsity_ratio >= 1.0;
        let direction = if all { 1e300 } else { self.lambda_s };
        let lengths: Vec<usize> = bounds.windows(2).map(|pair| pair[1] - pair[0]).collect();
        Ok(Translation::to(format!(
            "layers = {lengths:?}\nkeep = {}\nmagnitude = {}\ndirection = {}",
            number("sparsity_ratio", self.sparsity_ratio)?,
            number("lambda_n", self.lambda_n)?,
            number("lambda_s", direction)?,
        )))
    }
}

/// Its `FedSECA`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FedSeca {
    /// The quantile of a row's magnitudes up to which its values are left out.
    sparsity_gamma: f64,
}

impl Default for FedSeca {
    fn default() -> Self {
        FedSeca { sparsity_gamma: 0.9 }
    }
}
