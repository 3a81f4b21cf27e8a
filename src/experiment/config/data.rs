//! The samples, as they are typed: which set, who holds which part of it, what is held out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{iid, later};
use crate::catalog::Choice;
use crate::dataset::Scale;
use crate::experiment::schema;

/// The samples.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data set.
    #[serde(deserialize_with = "later")]
    #[schemars(schema_with = "schema::dataset")]
    pub set: Choice,
    /// Which samples each node holds. Default: `iid`.
    #[serde(default = "iid", deserialize_with = "later")]
    #[schemars(schema_with = "schema::partition")]
    pub partition: Choice,
    /// What is done to the values before a model reads them. Default: what is usual for the data
    /// set; the plan records it.
    #[serde(default)]
    pub scale: Option<Scale>,
    /// Whom the partition splits the training samples among. Default: `everybody`.
    #[serde(default)]
    pub holders: Holders,
    /// The share of the training samples that is held out, drawn from the seed: no worker and no
    /// server learns from them, and the model is judged by them beside the test set, so that
    /// settings can be chosen without looking at it. 0 to below 1. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub validation: f64,
}

/// Who holds the pieces of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holders {
    /// Every worker, corrupted or not.
    #[default]
    Everybody,
    /// The workers that are not corrupted. Each corrupted one holds a copy of samples that are
    /// drawn from all training samples, as many as an honest one holds in the mean. So the honest
    /// together know everything, as in most published experiments, whoever is corrupted.
    Honest,
}
