//! On and off: another attack in some rounds, honest behaviour in the others.
//!
//! From round `from` on, `on` rounds of `attack` and `off` rounds of honest work take turns,
//! until `until`. Who is off sends its own update; an adversary without one sends the mean of
//! those it knows.
//!
//! It is aimed at rules that remember: a reputation that is earned while it is off is spent while
//! it is on, and a detector that needs several bad rounds in a row never sees them. Fails against
//! rules without memory, for which it is the attack with less of it, and against those that do not
//! forget.
//!
//! Reference: the name is that of the literature on reputation: Perrone and Nelson,
//! A Study of On-Off Attack Models for Wireless Ad Hoc Networks, `OpComm` 2006.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::nested::scheduled;
use super::plain::plain;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::{ConfigError, Entry, Nested};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "on_off",
    summary: "another attack in some rounds, honest behaviour in the others",
    reference: "Perrone and Nelson, OpComm 2006",
    source: include_str!("on_off.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Parameters),
    build: |parameters| {
        parameters.build::<dyn Attack, Parameters>(|given| Ok(Arc::new(given.make()?)))
    },
};

/// Parameters of the schedule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// The attack while it is on; default `sign_flip`.
    attack: Nested,
    /// How many rounds in a row it is on, at least 1; default 1.
    on: u32,
    /// How many rounds in a row it is off then; default 4.
    off: u32,
    /// The first round in which it is on, from 1; default 1.
    from: u32,
    /// The last round in which it may be on. Default: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u32>,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { attack: Nested::named("sign_flip"), on: 1, off: 4, from: 1, until: None }
    }
}

/// The schedule with its attack.
#[derive(Debug)]
struct OnOff {
    inner: Arc<dyn Attack>,
    on: u32,
    off: u32,
    from: u32,
    until: u32,
}

impl Parameters {
    fn make(self) -> Result<OnOff, ConfigError> {
        if self.on == 0 {
            return Err(ConfigError::new("`on` must be at least 1, got 0"));
        }
        let inner = scheduled(&self.attack)?;
        let until = self.until.unwrap_or(u32::MAX);
        Ok(OnOff { inner, on: self.on, off: self.off, from: self.from, until })
    }
}

impl OnOff {
    /// Whether it attacks in this round.
    fn is_on(&self, round: u32) -> bool {
        let Some(since) = round.checked_sub(self.from).filter(|_| round <= self.until) else {
            return false;
        };
        u64::from(since) % (u64::from(self.on) + u64::from(self.off)) < u64::from(self.on)
    }
}

impl Attack for OnOff {
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
        if self.is_on(view.round.0) {
            return self.inner.craft(view, memory, rng);
        }
        Ok(Crafted::PerNode(plain(ENTRY.name, view)?))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use crate::attacks::tests::{Stage, build};
    use crate::catalog::Choice;

    #[test]
    fn two_rounds_on_and_one_off_from_the_third_to_the_eighth() {
        let attack = build("on_off", "on = 2\noff = 1\nfrom = 3\nuntil = 8\nattack = \"zero\"");
        let mut sent = Vec::new();
        let mut stage = Stage { own: Some(array![[7.0]]), ..Stage::default() };
        for round in 1..=10 {
            stage.round = round;
            sent.push(stage.craft(&*attack, &array![[1.0]], 1).unwrap()[[0, 0]]);
        }
        assert_eq!(sent, [7.0, 7.0, 0.0, 0.0, 7.0, 0.0, 0.0, 7.0, 7.0, 7.0]);
    }

    #[test]
    fn the_inner_attack_has_parameters_and_is_checked() {
        let attack = build("on_off", "attack = { sign_flip = { factor = 3.0 } }");
        let sent = Stage::default().craft(&*attack, &array![[1.0]], 1).unwrap();
        assert_eq!(sent, array![[-3.0]]);
        for wrong in ["on = 0", "attack = \"sign_flop\"", "attack = \"drag\""] {
            assert!(
                crate::attacks::CATALOG.build(&Choice::with("on_off", wrong).unwrap()).is_err()
            );
        }
    }
}
