//! Which coordinates of updates a rule that compares directions looks at.

use ndarray::{ArrayView2, Axis, CowArray, Ix2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AggregateError, Context};
use crate::kernels::row_norms::select_columns;

/// Which coordinates are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Features {
    /// Those of the last layer, where it is known.
    #[default]
    Head,
    /// All of them.
    All,
    /// These, counted from 0.
    Listed(Vec<usize>),
}

impl Features {
    /// These coordinates of the updates that `rule` compares.
    pub(super) fn of<'a>(
        &self,
        rule: &'static str,
        updates: ArrayView2<'a, f32>,
        context: &Context<'_>,
    ) -> Result<CowArray<'a, f32, Ix2>, AggregateError> {
        let columns = updates.ncols();
        let head = context.head.clone().filter(|head| head.end <= columns).unwrap_or(0..columns);
        match self {
            Features::Head => Ok(updates.slice_axis_move(Axis(1), head.into()).into()),
            Features::All => Ok(updates.into()),
            Features::Listed(listed) => match listed.iter().find(|&&feature| feature >= columns) {
                None => Ok(select_columns(updates, listed).into()),
                Some(feature) => {
                    let message = format!("feature {feature} of updates with {columns} values");
                    Err(AggregateError::Unfit { rule, message })
                }
            },
        }
    }
}
