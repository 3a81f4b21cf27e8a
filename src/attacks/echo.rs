//! Echo: says back to a peer what it has, so that it keeps to itself.
//!
//! With `of = "victim"` all liars of peer `i` send `x_i`. With `of = "marginalised"` they send
//! `(h + 1) x_i - sum_j x_j` over its `h` honest neighbours: what remains of the victim when
//! everybody else is taken out of the mean, as an attacker who hears only that mean sees it.
//!
//! A copy has distance 0, so every rule that trusts what is near takes it first, and with it the
//! victim hears less of the others: a free-rider's attack, and a step towards isolation. The
//! second form was made to bring the victim's data out of a shared model; it repeats the
//! victim's difference from its neighbours, and drives it away from them.
//!
//! Fails to do harm where the honest hold similar data: a peer that is slowed down learns the
//! same from its own. The second form lies further out than any honest model where a peer has
//! several neighbours, and fails against rules that clip or drop by distance.
//!
//! Reference: Pasquini, Raynal and Troncoso, On the (In)security of Peer-to-Peer Decentralized
//! Machine Learning, IEEE Symposium on Security and Privacy 2023.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::neighbourhood::{message, pull, victim_of, wide};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "echo",
    summary: "sends each peer its own model back",
    reference: "Pasquini, Raynal and Troncoso, S&P 2023",
    source: include_str!("echo.rs"),
    claims: Claims { moves_mean: true, stays_inside: true },
    parameters: || schema_for!(Echo),
    build: |parameters| parameters.build::<dyn Attack, Echo>(|attack| Ok(Arc::new(attack))),
};

/// Parameters of the echo.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Echo {
    /// What is sent back: `victim` (default), its model, or `marginalised`, what remains of it
    /// without its neighbours.
    of: Of,
}

/// What is sent back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Of {
    /// The victim's model.
    #[default]
    Victim,
    /// What remains of it when its honest neighbours are taken out of the mean.
    Marginalised,
}

impl Attack for Echo {
    fn needs(&self) -> Knowledge {
        Knowledge::Omniscient
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn directed(&self) -> bool {
        true
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let victim = victim_of(ENTRY.name, view)?;
        let liars = view.identities.len();
        let own = wide(victim.model);
        Ok(match self.of {
            Of::Victim => message(own, liars),
            Of::Marginalised => {
                // (h + 1) x_i - sum x_j = x_i - sum (x_j - x_i), without the large terms.
                let pull = pull(victim, &vec![1.0; victim.neighbours.len()]);
                message(own.into_iter().zip(pull).map(|(own, pull)| own - pull), liars)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;

    #[test]
    fn both_forms_by_hand() {
        let peers = Peers::chain(array![[0.0, 1.0], [4.0, 0.1], [6.0, 1.0]], 2);
        let sent = peers.craft(&Echo::default(), 1, None).unwrap();
        assert_eq!(sent, array![[4.0, 0.1], [4.0, 0.1]]);
        // Three times (4, 0.1) less (6, 2).
        let sent = peers.craft(&Echo { of: Of::Marginalised }, 1, None).unwrap();
        assert_eq!(sent, array![[6.0, -1.7], [6.0, -1.7]]);
    }
}
