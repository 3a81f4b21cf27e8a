//! Brahms: limited pushes, pulls and a memory, mixed in fixed shares; a flooded node holds still.
//!
//! With a view of `l` identities a node pushes its own identity to `alpha·l` random entries of it
//! in each step and asks `beta·l` for their views. A step later, if between 1 and `alpha·l`
//! distinct nodes pushed and somebody was pulled from, the view becomes `alpha·l` draws from who
//! pushed, `beta·l` from what was pulled and `gamma·l` from the outputs of its samplers. More
//! pushes are taken for an attack, and the view stays. All that was heard, also then, is offered to
//! the samplers, each of which keeps the smallest keyed hash: a uniform draw from all distinct
//! identities, however often some are repeated. The application reads the samplers, not the view.
//! The parts are rounded down, and draws are with repetition.
//!
//! Fails if pushes cost nothing: a flood stops all views, though it isolates nobody by that. An
//! attacker that pushes just below the limit gets far more than its share of the views, and less
//! of the samplers. The limit is also the number of pushes to be expected, so that views stand
//! still now and then by chance alone. Nobody is probed, because nobody leaves here.
//!
//! `variant` names what public programs do otherwise. `advdv` (advdv/brahms) checks the flood
//! only, and renews the view also if nobody pushed or answered. `basalt_baseline` (the simulator
//! of the authors of BASALT) never holds still for a flood, sends one push and one pull in a
//! step, keeps repeated identities in both lists, and offers to the samplers only if both hold
//! something. A comparison with that one understates Brahms.
//!
//! Reference: Bortnikov, Gurevich, Keidar, Kliot, Shraer, Brahms: Byzantine Resilient Random
//! Membership Sampling, PODC 2008.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::min_wise::MinWise;
use super::{Joining, Protocol, Sampler, Say, Word, draw};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Protocol> = Entry {
    name: "brahms",
    summary: "limited pushes, pulls and min-wise samplers; a flooded view holds still",
    reference: "Bortnikov et al., PODC 2008",
    source: include_str!("brahms.rs"),
    claims: (),
    parameters: || schema_for!(Brahms),
    build: |parameters| {
        parameters.build::<dyn Protocol, Brahms>(|brahms| {
            brahms.check()?;
            Ok(Arc::new(brahms))
        })
    },
};

/// Parameters of Brahms.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Brahms {
    /// The share of the view that comes from pushes, 0 to 1 (default 0.45).
    pub alpha: f64,
    /// The share that comes from pulls, 0 to 1 (default 0.45).
    pub beta: f64,
    /// The share that comes from the samplers, 0 to 1 (default 0.1). The three make 1.
    pub gamma: f64,
    /// How many samplers a node has (default: as many as its view holds).
    pub samplers: Option<u32>,
    /// Whose Brahms: `paper` (default), `advdv` or `basalt_baseline`.
    pub variant: Variant,
}

/// Whose Brahms it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// As published.
    #[default]
    Paper,
    /// Renews the view also if nobody pushed or answered.
    Advdv,
    /// No flood check, one push and one pull, repeats kept, samplers fed when the view is renewed.
    BasaltBaseline,
}

impl Default for Brahms {
    fn default() -> Self {
        Brahms { alpha: 0.45, beta: 0.45, gamma: 0.1, samplers: None, variant: Variant::Paper }
    }
}

impl Brahms {
    fn check(&self) -> Result<(), ConfigError> {
        let shares = [("alpha", self.alpha), ("beta", self.beta), ("gamma", self.gamma)];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::new(format!("`{name}` must be from 0 to 1, got {share}")));
            }
        }
        let sum = self.alpha + self.beta + self.gamma;
        if (sum - 1.0).abs() > 1e-9 {
            return Err(ConfigError::new(format!("`alpha`, beta and gamma make {sum}, not 1")));
        }
        if self.samplers == Some(0) {
            return Err(ConfigError::new("`samplers` must be at least 1, got 0"));
        }
        Ok(())
    }

    /// How many entries of a view of `size` come from pushes, pulls and samplers.
    pub fn parts(&self, size: usize) -> Parts {
        // What is a whole number but for rounding, as 0.57 · 100, is not to lose one.
        let part = |share: f64| (share * size as f64 + 1e-9) as usize;
        Parts { pushes: part(self.alpha), pulls: part(self.beta), history: part(self.gamma) }
    }
}

impl Variant {
    /// Whether the view is renewed when `pushes` identities pushed and `pulls` were pulled, and
    /// `limit` pushes are expected.
    pub fn renews(self, limit: usize, pushes: usize, pulls: usize) -> bool {
        match self {
            Variant::Paper => (1..=limit).contains(&pushes) && pulls > 0,
            Variant::Advdv => pushes <= limit,
            Variant::BasaltBaseline => pushes > 0 && pulls > 0,
        }
    }
}

/// The composition of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Entries from pushes; also how many are sent, and the limit of those received.
    pub pushes: usize,
    /// Entries from pulls; also how many nodes are asked.
    pub pulls: usize,
    /// Entries from the samplers.
    pub history: usize,
}

impl Protocol for Brahms {
    fn join(&self, joining: Joining<'_>, rng: &mut dyn Rng) -> Box<dyn Sampler> {
        let Joining { me, view: size, bootstrap, mut ranking } = joining;
        let view: Vec<NodeId> =
            bootstrap.iter().copied().filter(|id| *id != me).take(size).collect();
        let cells = self.samplers.map_or(size, |samplers| samplers as usize);
        let mut samplers: Vec<MinWise> =
            (0..cells).map(|_| MinWise::new(ranking.next(rng))).collect();
        for sampler in &mut samplers {
            sampler.offer(&view);
        }
        Box::new(Node {
            me,
            size,
            parts: self.parts(size),
            variant: self.variant,
            view,
            samplers,
            waited: false,
            asked: Vec::new(),
            pushed: Vec::new(),
            pulled: Vec::new(),
        })
    }
}

/// One node.
#[derive(Debug)]
struct Node {
    me: NodeId,
    size: usize,
    parts: Parts,
    variant: Variant,
    view: Vec<NodeId>,
    samplers: Vec<MinWise>,
    /// Whether a step has passed in which others could answer.
    waited: bool,
    /// Who may answer, once for each time that it is in it.
    asked: Vec<NodeId>,
    pushed: Vec<NodeId>,
    pulled: Vec<NodeId>,
}

impl Node {
    /// Makes a view of what was heard since the last step, and offers it to the samplers.
    fn renew(&mut self, rng: &mut dyn Rng) {
        let (mut pushed, mut pulled) =
            (std::mem::take(&mut self.pushed), std::mem::take(&mut self.pulled));
        let (distinct_pushed, distinct_pulled) =
            (draw::distinct(pushed.clone()), draw::distinct(pulled.clone()));
        let both = !pushed.is_empty() && !pulled.is_empty();
        if self.variant != Variant::BasaltBaseline {
            (pushed, pulled) = (distinct_pushed.clone(), distinct_pulled.clone());
        }
        if self.variant.renews(self.parts.pushes, pushed.len(), pulled.len()) {
            let mut view = draw::repeated(&pushed, self.parts.pushes, rng);
            view.extend(draw::repeated(&pulled, self.parts.pulls, rng));
            view.extend(draw::repeated(&self.peers(), self.parts.history, rng));
            // With nothing to draw from at all there is nothing better than what there was.
            if !view.is_empty() {
                self.view = view;
            }
        }
        if both || self.variant != Variant::BasaltBaseline {
            for sampler in &mut self.samplers {
                sampler.offer(&distinct_pushed);
                sampler.offer(&distinct_pulled);
            }
        }
    }
}

impl Sampler for Node {
    fn step(&mut self, _time: u32, rng: &mut dyn Rng) -> Vec<Say> {
        if self.waited {
            self.renew(rng);
        }
        self.waited = true;
        let (pushes, pulls) = match self.variant {
            Variant::BasaltBaseline => (1, 1),
            _ => (self.parts.pushes, self.parts.pulls),
        };
        let pushes = draw::repeated(&self.view, pushes, rng);
        self.asked = draw::repeated(&self.view, pulls, rng);
        let push = pushes.into_iter().map(|to| Say { to, word: Word::Push(Vec::new()) });
        let pull = self.asked.iter().map(|to| Say { to: *to, word: Word::Pull });
        push.chain(pull).collect()
    }

    /// A push counts for its sender alone, whoever it names.
    fn hear(&mut self, from: NodeId, word: &Word, _rng: &mut dyn Rng) -> Vec<Say> {
        match word {
            Word::Pull => return vec![Say { to: from, word: Word::Answer(self.view.clone()) }],
            Word::Push(_) => {
                if from != self.me {
                    self.pushed.push(from);
                }
            }
            Word::Answer(ids) => {
                if let Some(place) = self.asked.iter().position(|asked| *asked == from) {
                    self.asked.swap_remove(place);
                    let told = ids.iter().copied().take(self.size);
                    self.pulled.extend(told.filter(|id| *id != self.me));
                }
            }
        }
        Vec::new()
    }

    fn view(&self) -> Vec<NodeId> {
        self.view.clone()
    }

    fn peers(&self) -> Vec<NodeId> {
        self.samplers.iter().filter_map(MinWise::sample).collect()
    }

    fn samples(&mut self) -> Vec<NodeId> {
        self.peers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Choice;
    use crate::sampling::CATALOG;
    use crate::sampling::ranking::KeyedHash;
    use crate::seed::{Purpose, run_stream};

    /// A node with a view of 1 to 4, half pushes and half pulls, that has asked once.
    fn node(variant: Variant) -> Box<dyn Sampler> {
        let mut rng = run_stream(1, Purpose::Sampling);
        let brahms = Brahms { alpha: 0.5, beta: 0.5, gamma: 0.0, variant, ..Brahms::default() };
        let ranking = Box::new(KeyedHash::remembering(0));
        let bootstrap = [1, 2, 3, 4].map(NodeId);
        let joining = Joining { me: NodeId(0), view: 4, bootstrap: &bootstrap, ranking };
        let mut node = brahms.join(joining, &mut rng);
        let asked = node.step(1, &mut rng).into_iter().find(|say| say.word == Word::Pull).unwrap();
        node.hear(asked.to, &Word::Answer(vec![NodeId(7)]), &mut rng);
        node
    }

    fn after_pushes(variant: Variant, pushers: &[u32]) -> Vec<NodeId> {
        let mut rng = run_stream(2, Purpose::Sampling);
        let mut node = node(variant);
        for &from in pushers {
            node.hear(NodeId(from), &Word::Push(vec![NodeId(99)]), &mut rng);
        }
        node.step(2, &mut rng);
        draw::distinct(node.view())
    }

    #[test]
    fn a_flood_stops_the_view_and_a_repeated_push_is_one() {
        let old = [1, 2, 3, 4].map(NodeId);
        assert_eq!(after_pushes(Variant::Paper, &[9, 9, 9]), [7, 9].map(NodeId));
        assert_eq!(after_pushes(Variant::Paper, &[9, 10, 11]), old);
        assert_eq!(after_pushes(Variant::Paper, &[]), old);
        assert_eq!(after_pushes(Variant::Advdv, &[]), [NodeId(7)]);
        let flooded = after_pushes(Variant::BasaltBaseline, &[9; 20]);
        assert_eq!(flooded, [7, 9].map(NodeId));
    }

    #[test]
    fn samplers_learn_from_a_view_that_holds_still() {
        let mut rng = run_stream(2, Purpose::Sampling);
        let mut node = node(Variant::Paper);
        for from in 20..200 {
            node.hear(NodeId(from), &Word::Push(Vec::new()), &mut rng);
        }
        node.step(2, &mut rng);
        assert_eq!(draw::distinct(node.view()), [1, 2, 3, 4].map(NodeId));
        assert!(node.samples().iter().any(|id| id.0 >= 20));
    }

    #[test]
    fn answers_that_nobody_asked_for_are_not_heard() {
        let mut rng = run_stream(2, Purpose::Sampling);
        let mut node = node(Variant::Paper);
        node.hear(NodeId(9), &Word::Push(Vec::new()), &mut rng);
        node.hear(NodeId(50), &Word::Answer(vec![NodeId(51); 4]), &mut rng);
        node.step(2, &mut rng);
        assert!(!node.view().contains(&NodeId(51)));
    }

    #[test]
    fn shares_that_do_not_make_one_are_refused() {
        let wrong =
            |toml| CATALOG.build(&Choice::with("brahms", toml).unwrap()).unwrap_err().message;
        assert_eq!(wrong("gamma = 0.6"), "`alpha`, beta and gamma make 1.5, not 1");
        assert_eq!(wrong("alpha = nan"), "`alpha` must be from 0 to 1, got NaN");
        assert_eq!(wrong("samplers = 0"), "`samplers` must be at least 1, got 0");
    }
}
