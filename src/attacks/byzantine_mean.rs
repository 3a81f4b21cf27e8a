//! Byzantine mean: two groups of liars, of whom one carries the mean to where the other is.
//!
//! The first `first` identities (by itself half of them, rounded down) send what another `attack`
//! makes, `A`. Each of the others sends `(n A - S - first · A) / (m - first)`, where `S` is the
//! sum of the honest updates, `n` the number of all and `m` of the identities: the mean of
//! everything is `A` then. By itself `A` is the mean of the known less half a deviation (a little
//! is enough). With `first = 0` nobody sends `A`, and the mean is still that.
//!
//! The authors' code takes its statistics over all updates, those that the identities would have
//! sent among them (`with_own`), and has `n - m` for `n` and the sum of these for `S` (`target =
//! "short"`): with that the mean is not `A`.
//!
//! Fails against every robust rule that sees lengths or distances: those of the second group are
//! some `n / (m - first)` times further out than `A`, and the few of the first move nothing alone.
//! It is one number of liars told apart by two tests, for rules that look for one cluster.
//!
//! Reference: Xu, Huang, Song and Lan, Byzantine-robust Federated Learning through Collaborative
//! Malicious Gradient Filtering, ICDCS 2022.

use std::sync::Arc;

use ndarray::{ArrayView2, s};
use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::moments::means;
use super::nested::nested;
use super::plain::gathered;
use super::{Attack, AttackError, CATALOG, Claims, Crafted, Heard, Knowledge, View};
use crate::catalog::{Choice, ConfigError, Entry, Nested};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "byzantine_mean",
    summary: "two groups of liars, of whom one carries the mean to where the other is",
    reference: "Xu et al., ICDCS 2022",
    source: include_str!("byzantine_mean.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Parameters),
    build: |parameters| {
        parameters.build::<dyn Attack, Parameters>(|given| Ok(Arc::new(given.make()?)))
    },
};

/// Parameters of the Byzantine mean.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// The attack of the first group, where the mean is carried to. Default: `little_is_enough`
    /// with half a deviation, that of a sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    attack: Option<Nested>,
    /// How many identities are in the first group; one at least is in the second. Default: half of
    /// them, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<usize>,
    /// Whether the identities' own updates count among the known for the attack; default no.
    with_own: bool,
    /// Where the mean is carried to: `exact` (default), or `short` of it as in the authors' code.
    target: Target,
}

/// Where the mean is carried to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Target {
    /// To what the first group sends.
    #[default]
    Exact,
    /// As far as a sum over everybody's own updates and too small a factor come.
    Short,
}

/// The attack with its inner one.
#[derive(Debug)]
struct ByzantineMean {
    inner: Arc<dyn Attack>,
    first: Option<usize>,
    with_own: bool,
    target: Target,
}

impl Parameters {
    fn make(self) -> Result<ByzantineMean, ConfigError> {
        let inner = if let Some(attack) = &self.attack {
            nested(attack)?
        } else {
            let half = Choice::with("little_is_enough", "deviations = 0.5\nsample = true")?;
            CATALOG.build(&half)?.value
        };
        if inner.directed() {
            let message = "`attack` speaks to one peer at a time, and a mean is everybody's";
            return Err(ConfigError::new(message));
        }
        let Parameters { first, with_own, target, .. } = self;
        Ok(ByzantineMean { inner, first, with_own, target })
    }
}

/// How many rows there are, and their sum.
fn counted(rows: ArrayView2<'_, f32>) -> Result<(f64, Vec<f64>), AttackError> {
    let count = rows.nrows() as f64;
    let sum = means(ENTRY.name, rows)?.into_iter().map(|mean| count * mean).collect();
    Ok((count, sum))
}

/// How many lie: all that are corrupted, also where fewer are asked what they send.
fn liars(view: &View<'_>) -> usize {
    view.corrupted.max(view.identities.len())
}

impl ByzantineMean {
    /// How many count beside the second group, and the sum of what they send without the first.
    fn beside(&self, view: &View<'_>) -> Result<(f64, Vec<f64>), AttackError> {
        let liars = liars(view) as f64;
        if self.target == Target::Short {
            let (count, sum) = counted(gathered(view, self.with_own).view())?;
            return Ok((count - liars, sum));
        }
        let (known, sum) = counted(view.known())?;
        // Who does not read the honest takes them to be like its own.
        let honest = match view.honest {
            Some(_) => known,
            None => view.participants.saturating_sub(view.corrupted) as f64,
        };
        Ok((honest + liars, sum.into_iter().map(|sum| sum * honest / known).collect()))
    }
}

impl Attack for ByzantineMean {
    fn needs(&self) -> Knowledge {
        self.inner.needs().max(Knowledge::Colluders)
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient || self.with_own || self.inner.uses_own(knowledge)
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        self.inner.admits(knowledge, participants, corrupted)
    }

    fn doubt(&self, participants: usize, corrupted: usize) -> Option<String> {
        self.inner.doubt(participants, corrupted)
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let all = gathered(view, self.with_own);
        let heard = Heard::from(all.view());
        let seen = view.seeing(view.honest.is_some().then_some(&heard));
        let Some(mut rows) = self.inner.craft(&seen, memory, rng)?.per_node() else {
            return Ok(Crafted::Silence);
        };
        if rows.nrows() == 0 {
            return Ok(Crafted::PerNode(rows));
        }
        let liars = liars(view);
        let first = self.first.unwrap_or(liars / 2).min(liars - 1);
        let (count, sum) = self.beside(view)?;
        let (own, second) = (first.min(rows.nrows()), (liars - first) as f64);
        let target = rows.row(0).to_owned();
        for (column, (&target, sum)) in target.iter().zip(sum).enumerate() {
            let target = f64::from(target);
            let sent: f64 = rows.slice(s![..own, column]).iter().copied().map(f64::from).sum();
            let sent = sent + (first - own) as f64 * target;
            let carried = (count * target - sum - sent) / second;
            rows.slice_mut(s![own.., column]).fill(carried as f32);
        }
        Ok(Crafted::PerNode(rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, array, concatenate};

    use super::*;
    use crate::attacks::tests::{Stage, build, craft_alone, craft_omniscient};

    #[test]
    fn the_mean_is_what_the_first_group_sends_by_hand() {
        // The mean is 3, a deviation 2: the first sends 2. So 6 of them are to sum to 12, and the
        // other two have 12 - 9 - 2 = 1 to share.
        let honest = array![[1.0], [3.0], [5.0]];
        let sent = craft_omniscient(&*build("byzantine_mean", ""), &honest, 3).unwrap();
        assert_eq!(sent, array![[2.0], [0.5], [0.5]]);
        let all = concatenate![Axis(0), honest, sent];
        assert_eq!(all.mean_axis(Axis(0)).unwrap(), array![2.0]);
    }

    #[test]
    fn one_identity_carries_alone() {
        let honest = array![[1.0], [3.0], [5.0]];
        for first in ["", "first = 7"] {
            let sent = craft_omniscient(&*build("byzantine_mean", first), &honest, 1).unwrap();
            assert_eq!(sent, array![[-1.0]]);
        }
    }

    #[test]
    fn who_reads_nothing_takes_the_honest_to_be_like_its_own() {
        // Eight of ten are honest, and at 4 like its own; the mean is carried to -4.
        let own = array![[3.0], [5.0]];
        let attack = build("byzantine_mean", "attack = { inner_product = { epsilon = 1.0 } }");
        assert_eq!(craft_alone(&*attack, &own).unwrap(), array![[-4.0], [-68.0]]);
    }

    #[test]
    fn the_authors_fall_short() {
        // Statistics over 1, 3, 5 and 7, of whom 7 is its own: 4, and the mean is to be -4. One of
        // four is corrupted, so it sends 3 · -4 - 16.
        let text = "attack = { inner_product = { epsilon = 1.0 } }\nwith_own = true\nfirst = 0";
        let craft = |more: &str| {
            let attack = build("byzantine_mean", &format!("{text}\n{more}"));
            let mut stage = Stage { own: Some(array![[7.0]]), ..Stage::default() };
            stage.craft(&*attack, &array![[1.0], [3.0], [5.0]], 1).unwrap()
        };
        assert_eq!(craft("target = \"short\""), array![[-28.0]]);
        assert_eq!(craft(""), array![[-25.0]]);
    }

    #[test]
    fn what_speaks_to_one_peer_is_refused() {
        let choice = Choice::with("byzantine_mean", "attack = \"echo\"").unwrap();
        assert!(CATALOG.build(&choice).is_err());
        let none = Array2::<f32>::zeros((2, 0));
        assert_eq!(
            craft_omniscient(&*build("byzantine_mean", ""), &none, 2).unwrap().dim(),
            (2, 0)
        );
    }
}
