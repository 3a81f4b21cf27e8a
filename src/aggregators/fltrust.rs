//! `FLTrust`: the server trains too, on data it trusts, and believes those who look its way.
//!
//! With `g` the update from trusted data, `t_i = max(0, cos(g, x_i))` is how far sender i is
//! trusted, and `F(x) = Σ t_i (‖g‖ / ‖x_i‖) x_i / Σ t_i`: rows are brought to the length of the
//! server's own. Where nobody is trusted, the model stays.
//!
//! No liar counts more than the length of `g`, and none who points away from it counts at all, so
//! that most senders may lie. All of it hangs on the trusted data. Fails where they are few, or
//! not like the workers' own: a class that they lack is not learnt. Liars within a right angle of
//! `g` count in full, and may agree on where in that half-space to go (Fang-like attacks that know
//! `g` reach an angle of nearly 90 degrees). One public sample more or less, the trust is the
//! server's alone: whoever holds these data holds the model.
//!
//! Reference: Cao, Fang, Liu, Gong, `FLTrust`: Byzantine-robust Federated Learning via Trust
//! Bootstrapping, NDSS 2021.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::cosines::cosine;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{each_row, row_norms};
use crate::vector::{dot, norm};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "fltrust",
    summary: "a mean of rows of the length of a trusted update, by their angle to it",
    reference: "Cao, Fang, Liu, Gong, NDSS 2021",
    source: include_str!("fltrust.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| rows.checked_sub(1),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(FlTrust),
    build: |parameters| parameters.build::<dyn Aggregator, FlTrust>(|rule| Ok(Arc::new(rule))),
};

/// Parameters of `FLTrust`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FlTrust {
    /// Take this row, counted from 0, for the trusted update; it then has no share of its own
    /// (default: the server's own update).
    row: Option<usize>,
}

impl Aggregator for FlTrust {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    fn needs_trusted(&self) -> bool {
        self.row.is_none()
    }

    fn rescales(&self) -> bool {
        true
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let trusted = self.trusted(updates.view(), context)?;
        let norms = row_norms(updates.view());
        let length = norm(&trusted);
        let trust = each_row(updates.view(), |row, values| {
            let product = dot(&trusted, values);
            let trust = cosine(product, length, norms[row]).unwrap_or(0.0).max(0.0);
            if self.row == Some(row) { 0.0 } else { trust }
        });
        let total: f64 = trust.iter().sum();
        if total == 0.0 {
            return Ok(Aggregate { vector: Array1::zeros(updates.ncols()), weights: None });
        }
        let scaled = |(trust, norm): (&f64, &f64)| match *trust > 0.0 {
            true => (trust / total * (length / norm)) as f32,
            false => 0.0,
        };
        let shares: Vec<f32> = trust.iter().zip(&norms).map(scaled).collect();
        Ok(Aggregate {
            vector: weighted_sum(updates.view(), &shares),
            weights: Some(trust.iter().map(|trust| (trust / total) as f32).collect()),
        })
    }
}

impl FlTrust {
    /// The trusted update, as long as a row.
    fn trusted(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &Context<'_>,
    ) -> Result<Vec<f32>, AggregateError> {
        let unfit = |message| AggregateError::Unfit { rule: ENTRY.name, message };
        let (rows, columns) = updates.dim();
        let trusted = match self.row {
            Some(row) if row < rows => updates.row(row).to_vec(),
            Some(row) => return Err(unfit(format!("row {row} of {rows} is to be trusted"))),
            None => context.trusted.map(|trusted| trusted.to_vec()).ok_or_else(|| {
                let message = "there is no trusted update: it takes a server that holds data \
                               (system central with aggregation.trusted), or a `row`";
                unfit(message.to_owned())
            })?,
        };
        if trusted.len() != columns {
            let length = trusted.len();
            return Err(unfit(format!(
                "a trusted update of {length} values for rows of {columns}"
            )));
        }
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn first_trusted(rows: &Array2<f32>) -> Aggregate {
        aggregate_with(&FlTrust { row: Some(0) }, rows, 0, None).unwrap()
    }

    #[test]
    fn rows_count_by_their_angle_at_the_trusted_length() {
        // Cosines 1, 0.6 and -1: (1 · (2, 0) + 0.6 · (1.2, 1.6)) / 1.6.
        let rows = array![[2.0, 0.0], [9.0, 0.0], [3.0, 4.0], [-5.0, 0.0]];
        let result = first_trusted(&rows);
        assert!((&result.vector - &array![1.7, 0.6]).iter().all(|off| off.abs() < 1e-6));
        assert_eq!(result.weights, Some(array![0.0, 0.625, 0.375, 0.0]));
    }

    #[test]
    fn the_model_stays_where_nobody_is_trusted() {
        let rows = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, 0.0]];
        let result = first_trusted(&rows);
        assert_eq!(result, Aggregate { vector: array![0.0, 0.0], weights: None });
    }

    #[test]
    fn without_a_trusted_update_it_refuses() {
        let error = aggregate_with(&FlTrust::default(), &array![[1.0]], 0, None).unwrap_err();
        assert!(error.to_string().starts_with("fltrust: there is no trusted update"), "{error}");
        let error = aggregate_with(&FlTrust { row: Some(1) }, &array![[1.0]], 0, None).unwrap_err();
        assert_eq!(error.to_string(), "fltrust: row 1 of 1 is to be trusted");
    }
}
