//! What a member knows of a round's rows, and whether a block over some of them may be decided.
//!
//! A block is acceptable if it lists every share that a quorum of the committee holds, as far as
//! this member was told, and nothing that fewer than f + 1 claim to hold; and if the rule, run on
//! these rows, comes to the same bits. A share that is listed and not held here is asked for.
//! Where the rule refuses this member's own rows, the block without any is acceptable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ledger::block::{Block, Listed};
use crate::ledger::chain::Chain;
use crate::node::{NodeId, Round};
use crate::protocol::aggregation::{Aggregation, AggregationSettings};
use crate::protocol::collection::{Collection, Contribution, Rows};
use crate::protocol::echo::Echo;
use crate::vector::{Digest, Shared, as_slice};

/// What a round stands on: the ledger and the model after the round before.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) round: Round,
    pub(super) chain: Chain,
    pub(super) model: Shared,
    pub(super) previous: Option<Shared>,
    pub(super) direction: Option<Shared>,
    pub(super) aggregation: AggregationSettings,
}

/// What the rows of a block come to.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) aggregate: Shared,
    pub(super) model: Shared,
    pub(super) weights: BTreeMap<NodeId, f32>,
}

/// Shares by sender.
type Contributions = BTreeMap<NodeId, Contribution>;

impl Ground {
    /// Runs the rule; every member comes to the same bits, whatever it has judged before.
    fn step(&self, rows: &Contributions) -> Result<Step, String> {
        let mut aggregation = Aggregation::new(self.aggregation.clone());
        aggregation.recall(self.previous.as_ref(), self.direction.as_ref());
        let aggregated = aggregation.aggregate(self.round, &Rows::of(rows))?;
        let model = aggregation.moved(&self.model, &aggregated.direction);
        Ok(Step { aggregate: aggregated.vector, model, weights: aggregated.weights })
    }

    /// The block over these rows and what they came to.
    fn block(&self, rows: &Contributions, step: &Result<Step, String>) -> Block {
        let of = |vector: &Shared| Digest::of(as_slice(vector));
        let (list, aggregate, model) = match step {
            Ok(step) => (list(rows), of(&step.aggregate), of(&step.model)),
            Err(_) => (Vec::new(), Digest::of(&[]), of(&self.model)),
        };
        self.chain.draft_in(self.round, list, aggregate, Some(model))
    }
}

fn list(rows: &Contributions) -> Vec<Listed> {
    let listed = |(&sender, row): (&NodeId, &Contribution)| Listed { sender, digest: row.digest() };
    rows.iter().map(listed).collect()
}

/// What a member finds when it looks at a block.
#[derive(Debug)]
pub(super) enum Look {
    /// It may be decided.
    Good,
    /// It may not.
    Bad,
    /// That shows when these shares are here.
    Missing(Vec<Listed>),
}

/// All rows that a member has come by in a round.
#[derive(Debug)]
pub(super) struct Study {
    ground: Ground,
    f: usize,
    held: BTreeMap<NodeId, Vec<(Digest, Contribution)>>,
    counted: BTreeMap<NodeId, Digest>,
    own: Option<(Block, Result<Step, String>)>,
    steps: BTreeMap<Digest, Step>,
    wanted: BTreeMap<NodeId, (Digest, VecDeque<NodeId>)>,
}

impl Study {
    /// A study of a round in which f members may lie.
    pub(super) fn new(ground: Ground, f: usize) -> Self {
        Study {
            ground,
            f,
            held: BTreeMap::new(),
            counted: BTreeMap::new(),
            own: None,
            steps: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// Keeps a share.
    pub(super) fn keep(&mut self, sender: NodeId, row: Contribution) {
        let digest = row.digest();
        let held = self.held.entry(sender).or_default();
        if held.iter().all(|(known, _)| *known != digest) {
            held.push((digest, row));
        }
    }

    fn row(&self, listed: &Listed) -> Option<&Contribution> {
        let held = self.held.get(&listed.sender)?;
        held.iter().find(|(digest, _)| *digest == listed.digest).map(|(_, row)| row)
    }

    /// The block over the rows that count, once the members have compared them.
    pub(super) fn conclude(&mut self, collection: &Collection, echo: &Echo) -> Block {
        for &sender in collection.roster().ids() {
            if let Some(digest) = echo.counted(sender) {
                self.counted.insert(sender, digest);
            }
        }
        let rows = collection.contributions();
        for (&sender, row) in &rows {
            self.keep(sender, row.clone());
        }
        let step = self.ground.step(&rows);
        let block = self.ground.block(&rows, &step);
        if let Ok(step) = &step {
            self.steps.insert(block.hash(), step.clone());
        }
        self.own = Some((block.clone(), step));
        block
    }

    /// Why the rule refuses this member's own rows, if it does.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.own.as_ref()?.1.as_ref().err().map(String::as_str)
    }

    /// Whether a block may be decided.
    pub(super) fn look(&mut self, block: &Block, echo: &Echo) -> Look {
        if self.own.as_ref().is_some_and(|(own, _)| own == block) {
            return Look::Good;
        }
        let fits = block.round == self.ground.round && self.ground.chain.check(block).is_ok();
        if !fits || block.list.is_empty() || !self.is_supported(block, echo) {
            return Look::Bad;
        }
        self.redo(block)
    }

    /// Whether it lists all that counts, and nothing that might be made up.
    fn is_supported(&self, block: &Block, echo: &Echo) -> bool {
        let listed: BTreeMap<NodeId, Digest> =
            block.list.iter().map(|listed| (listed.sender, listed.digest)).collect();
        let complete = self.counted.iter().all(|(sender, digest)| {
            // A sender of which two shares seem to count is one that somebody lies about.
            listed.get(sender) == Some(digest)
        });
        let claimed = block.list.iter().all(|listed| {
            self.counted.get(&listed.sender) == Some(&listed.digest)
                || echo.claimers(listed.sender, listed.digest).len() > self.f
        });
        complete && claimed
    }

    /// Runs the rule on the listed rows, if they are here.
    pub(super) fn redo(&mut self, block: &Block) -> Look {
        let missing: Vec<Listed> =
            block.list.iter().filter(|listed| self.row(listed).is_none()).copied().collect();
        if !missing.is_empty() {
            return Look::Missing(missing);
        }
        let row = |listed: &Listed| Some((listed.sender, self.row(listed)?.clone()));
        let rows: Contributions = block.list.iter().filter_map(row).collect();
        let step = self.ground.step(&rows);
        if step.is_err() || self.ground.block(&rows, &step) != *block {
            return Look::Bad;
        }
        self.steps.insert(block.hash(), step.expect("checked above"));
        Look::Good
    }

    /// What a block's rows came to, if that was found out.
    pub(super) fn step(&self, block: &Block) -> Option<&Step> {
        self.steps.get(&block.hash())
    }

    /// Wants a share from one of these, one after the other; says whom to ask now, unless it is
    /// asked already.
    pub(super) fn want(&mut self, listed: &Listed, from: Vec<NodeId>) -> Option<NodeId> {
        if self.wanted.contains_key(&listed.sender) {
            return None;
        }
        let first = from.first().copied()?;
        self.wanted.insert(listed.sender, (listed.digest, from.into()));
        Some(first)
    }

    /// Whether this share is under way.
    pub(super) fn is_wanted(&self, listed: &Listed) -> bool {
        self.wanted.get(&listed.sender).is_some_and(|(digest, _)| *digest == listed.digest)
    }

    /// Takes a copy that was asked for; `None` if it was not, else whether it is the right one, and
    /// whom to ask next if not.
    pub(super) fn take_copy(
        &mut self,
        from: NodeId,
        sender: NodeId,
        copy: Contribution,
    ) -> Option<(bool, Option<NodeId>)> {
        let (digest, asked) = self.wanted.get(&sender)?;
        if asked.front() != Some(&from) {
            return None;
        }
        if copy.digest() == *digest {
            self.wanted.remove(&sender);
            self.keep(sender, copy);
            return Some((true, None));
        }
        Some((false, self.ask_next(sender)))
    }

    /// Whom to ask for a sender's share in place of the one who was asked.
    fn ask_next(&mut self, sender: NodeId) -> Option<NodeId> {
        let (_, asked) = self.wanted.get_mut(&sender)?;
        asked.pop_front();
        let next = asked.front().copied();
        if next.is_none() {
            self.wanted.remove(&sender);
        }
        next
    }

    /// Goes on without a member: whose shares others are to be asked for now.
    pub(super) fn leave(&mut self, node: NodeId) -> Vec<(NodeId, NodeId)> {
        for (_, asked) in self.wanted.values_mut() {
            // The first is the one that was asked.
            let first = asked.front().copied();
            asked.retain(|other| *other != node || first == Some(node));
        }
        let stuck = self.wanted.iter().filter(|(_, (_, asked))| asked.front() == Some(&node));
        let stuck: Vec<NodeId> = stuck.map(|(&sender, _)| sender).collect();
        let again = |sender| Some((sender, self.ask_next(sender)?));
        stuck.into_iter().filter_map(again).collect()
    }

    /// Those who were asked and have not answered.
    pub(super) fn asked(&self) -> Vec<NodeId> {
        self.wanted.values().filter_map(|(_, asked)| asked.front()).copied().collect()
    }

    /// How many values a vector has.
    pub(super) fn values(&self) -> usize {
        Arc::as_ref(&self.ground.model).len()
    }
}
