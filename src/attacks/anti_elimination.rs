//! Against elimination by length: the sum of the shortest, turned round, just as long as passes.
//!
//! `B = -c · Σ x_i` over the `h - m` shortest of `h` known updates, where `m` is how many are
//! declared corrupted, and `c` makes `B` a millionth shorter than the next of them. A rule that
//! keeps the `n - m` shortest of `n = h + m` then keeps all of these vectors and drops the honest
//! ones that are longer.
//!
//! With `twice` the shortest counts twice in the sum, as in the code of EPFL's two libraries.
//!
//! Fails against every rule that looks at directions or distances, for which `-x` stands out, and
//! where the honest are of very different lengths: then `B` is short.
//!
//! Reference: the code to El Mhamdi, Guerraoui and Rouault, Distributed Momentum for
//! Byzantine-resilient Stochastic Gradient Descent, ICLR 2021; made for the rule of Gupta, Liu and
//! Vaidya, DSN Workshops 2021.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::outcome::length;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;
use crate::vector::{norm, view_slice};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "anti_elimination",
    summary: "the sum of the shortest updates turned round, just as long as length tests let pass",
    reference: "El Mhamdi, Guerraoui and Rouault, ICLR 2021",
    source: include_str!("anti_elimination.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(AntiElimination),
    build: |parameters| {
        parameters.build::<dyn Attack, AntiElimination>(|attack| Ok(Arc::new(attack)))
    },
};

/// Parameters of the attack on elimination by length.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct AntiElimination {
    /// How many the rule takes to be corrupted. Default: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<usize>,
    /// Whether the shortest counts twice in the sum; default no.
    twice: bool,
}

/// How much shorter than the next it is: more than rounding to single precision adds.
const SHORTER: f64 = 1.0 - 1e-6;

impl AntiElimination {
    fn vector(&self, rows: ArrayView2<'_, f32>, corrupted: usize) -> Array1<f32> {
        let mut order: Vec<(usize, f64)> = rows
            .rows()
            .into_iter()
            .map(|row| norm(view_slice(&row)))
            .map(|long| if long.is_nan() { f64::INFINITY } else { long })
            .enumerate()
            .collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let declared = self.declared.unwrap_or(corrupted);
        // Where all are declared corrupted, the shortest is all there is to go by.
        let kept = order.len().saturating_sub(declared).max(1);
        let limit = order[kept.min(order.len() - 1)].1;
        let again = if self.twice { &order[..1] } else { &[] };
        let mut sum = vec![0.0; rows.ncols()];
        for &(row, _) in order[..kept].iter().chain(again) {
            for (sum, &value) in sum.iter_mut().zip(rows.row(row)) {
                *sum += f64::from(value);
            }
        }
        let long = length(&sum);
        let factor = if long > 0.0 { SHORTER * limit / long } else { 0.0 };
        sum.into_iter().map(|sum| (-factor * sum) as f32).collect()
    }
}

impl Attack for AntiElimination {
    fn needs(&self) -> Knowledge {
        Knowledge::Omniscient
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let known = view.known();
        if known.nrows() == 0 {
            return Err(AttackError::TooFewKnown { attack: ENTRY.name, needed: 1, got: 0 });
        }
        // Rows of a view may lie apart.
        let known = known.as_standard_layout();
        let vector = self.vector(known.view(), view.corrupted);
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    fn close(sent: f32, expected: f32) {
        assert!((sent - expected).abs() < 1e-4, "{sent} for {expected}");
    }

    #[test]
    fn as_long_as_the_first_that_is_dropped_by_hand() {
        // Lengths 5, 1, 2, 10: with one corrupted, 1, 2 and 5 stay; they sum to (3, 7).
        let honest = array![[3.0, 4.0], [0.0, 1.0], [0.0, 2.0], [6.0, 8.0]];
        let sent = craft_omniscient(&AntiElimination::default(), &honest, 1).unwrap();
        let long = 58f32.sqrt();
        close(sent[[0, 0]], -30.0 / long);
        close(sent[[0, 1]], -70.0 / long);
        assert!(norm(&sent.row(0).to_vec()) < 10.0);
        // With three corrupted the shortest is alone, and 2 is the limit.
        let sent = craft_omniscient(&AntiElimination::default(), &honest, 3).unwrap();
        close(sent[[2, 1]], -2.0);
    }

    #[test]
    fn the_shortest_may_count_twice() {
        // 1 and 2 stay, across each other: (1, 2) or (2, 2), as long as 3.
        let honest = array![[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]];
        let sent = craft_omniscient(&AntiElimination::default(), &honest, 1).unwrap();
        close(sent[[0, 0]], -3.0 / 5f32.sqrt());
        let twice = AntiElimination { twice: true, ..AntiElimination::default() };
        let sent = craft_omniscient(&twice, &honest, 1).unwrap();
        close(sent[[0, 0]], -3.0 / 2f32.sqrt());
    }

    #[test]
    fn without_a_direction_or_a_rest_it_stays_finite() {
        let nothing = array![[0.0], [0.0], [5.0]];
        let sent = craft_omniscient(&AntiElimination::default(), &nothing, 1).unwrap();
        assert_eq!(sent, array![[0.0]]);
        let declared = AntiElimination { declared: Some(0), ..AntiElimination::default() };
        close(craft_omniscient(&declared, &array![[1.0], [2.0]], 1).unwrap()[[0, 0]], -2.0);
        let all = AntiElimination { declared: Some(9), ..AntiElimination::default() };
        close(craft_omniscient(&all, &array![[1.0], [2.0]], 1).unwrap()[[0, 0]], -2.0);
    }
}
