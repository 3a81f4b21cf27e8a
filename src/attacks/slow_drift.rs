//! Slow drift: another attack that begins as honest behaviour and grows.
//!
//! `B = (1 - s) · x + s · A`, where `A` is what the inner attack would send, `x` the identity's own
//! update, or the mean of the known ones where it has none, and `s` grows in a straight line from 0
//! before round `from` to `strength` after `over` rounds, and stays there.
//!
//! It is aimed at rules that compare with the past, such as centered clipping or a detector that
//! learns what is normal: no single round differs much from the one before. Fails against rules
//! without memory as soon as its full strength would, and has done less until then.
//!
//! Reference: after the small biases that add up over rounds in Karimireddy, He and Jaggi, Learning
//! from History for Byzantine Robust Optimization, ICML 2021; the schedule is ours.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::nested::scheduled;
use super::plain::plain;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry, Nested};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "slow_drift",
    summary: "another attack that begins as honest behaviour and grows from round to round",
    reference: "after Karimireddy, He and Jaggi, ICML 2021",
    source: include_str!("slow_drift.rs"),
    claims: Claims { moves_mean: true, stays_inside: true },
    parameters: || schema_for!(Parameters),
    build: |parameters| {
        parameters.build::<dyn Attack, Parameters>(|given| Ok(Arc::new(given.make()?)))
    },
};

/// Parameters of the drift.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// The attack that it grows into; default `sign_flip`.
    attack: Nested,
    /// After how many rounds it has its full strength, at least 1; default 50.
    over: u32,
    /// The first round in which it differs from honest behaviour, from 1; default 1.
    from: u32,
    /// The share of the attack in the end, 0 to 1; default 1.
    strength: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { attack: Nested::named("sign_flip"), over: 50, from: 1, strength: 1.0 }
    }
}

/// The drift with its attack.
#[derive(Debug)]
struct SlowDrift {
    inner: Arc<dyn Attack>,
    over: u32,
    from: u32,
    strength: f64,
}

impl Parameters {
    fn make(self) -> Result<SlowDrift, ConfigError> {
        finite("strength", self.strength)?;
        if !(0.0..=1.0).contains(&self.strength) {
            let message = format!("`strength` must be 0 to 1, got {}", self.strength);
            return Err(ConfigError::new(message));
        }
        if self.over == 0 {
            return Err(ConfigError::new("`over` must be at least 1, got 0"));
        }
        let inner = scheduled(&self.attack)?;
        Ok(SlowDrift { inner, over: self.over, from: self.from, strength: self.strength })
    }
}

impl SlowDrift {
    /// The share of the attack in a round.
    fn share(&self, round: u32) -> f64 {
        let since = (f64::from(round) + 1.0 - f64::from(self.from)).max(0.0);
        self.strength * (since / f64::from(self.over)).min(1.0)
    }
}

impl Attack for SlowDrift {
    fn needs(&self) -> Knowledge {
        self.inner.needs()
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        true
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
        let share = self.share(view.round.0);
        let mut rows = plain(ENTRY.name, view)?;
        if share == 0.0 {
            return Ok(Crafted::PerNode(rows));
        }
        let Some(attack) = self.inner.craft(view, memory, rng)?.per_node() else {
            return Ok(Crafted::Silence);
        };
        rows.zip_mut_with(&attack, |row, &attack| {
            *row = ((1.0 - share) * f64::from(*row) + share * f64::from(attack)) as f32;
        });
        Ok(Crafted::PerNode(rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use crate::attacks::tests::{Stage, build};

    #[test]
    fn from_its_own_update_to_the_attack_in_four_rounds() {
        let attack = build("slow_drift", "over = 4\nfrom = 2\nattack = \"zero\"");
        let mut stage = Stage { own: Some(array![[8.0]]), ..Stage::default() };
        let mut sent = Vec::new();
        for round in 1..=6 {
            stage.round = round;
            sent.push(stage.craft(&*attack, &array![[1.0]], 1).unwrap()[[0, 0]]);
        }
        assert_eq!(sent, [8.0, 6.0, 4.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn half_of_an_attack_at_most() {
        let attack = build("slow_drift", "over = 1\nstrength = 0.5");
        let sent = Stage::default().craft(&*attack, &array![[4.0], [8.0]], 1).unwrap();
        // Half of the mean and half of its opposite.
        assert_eq!(sent, array![[0.0]]);
    }
}
