//! No server: in each round a few workers are drawn to be one, and sign what they agree on.
//!
//! The ledger's last block draws the committee of a round, 3f + 1 workers, alike or by stake. A
//! round: every worker sends its update to the committee; its members compare digests of what they
//! were sent, so that a share counts if 2f + 1 hold the same; one after the other proposes a block,
//! the list of (sender, digest) and the digests of the aggregate and of the model; a member
//! prevotes for it if it lists all that counts and the rule, run again, comes to the same bits;
//! 2f + 1 prevotes make it precommit, 2f + 1 precommits decide. The block joins a chain of hashes,
//! its signatures beside it, and `ledger.jsonl` in the run's folder holds both. The members send
//! everybody the block, and the model to those who did not sit; everybody checks the signatures and
//! goes on from there. Keys follow from the run's name: real in form, secret to nobody.
//!
//! With honest members the model is that of a central server to the last bit. A rule may remember
//! the last aggregate (told from the last two models), but no history: the next committee has
//! other members.
//!
//! What must fall: f + 1 members of one committee stop the round (availability, k* = f + 1); it is
//! skipped when they are away, or after 4 views, and the next round draws anew. 2f + 1 of them sign
//! whatever they like, and f + 1 are enough where they may show each honest half another proposal
//! (integrity). Who holds c of n workers for good waits for luck: it has f + 1 seats or more in a
//! round with the hypergeometric probability P(X > f), X of 3f + 1 seats out of n with c bad ones,
//! so over many rounds it will (`byzlab analyse capture`). For confidentiality: a committee
//! sees every update, k* = 1, and over the rounds everybody sits on one.
//!
//! Fails where the honest are too slow for the timeouts, four views in a row: agreement needs
//! time to be right about silence. If one member alone can show a certificate when all others
//! have given up, and it lies, it can make some nodes go on from a block that others do not know
//! of; everybody waits for every member's last word, so an honest one cannot do that. Consensus is
//! agreement, not quality: what a weak rule makes of poisoned updates is signed as well.
//!
//! Reference: Buchman, Kwon, Milosevic, The latest gossip on BFT consensus, arXiv 1807.04938,
//! 2018; Laurie, Langley, Kasper, Certificate Transparency, RFC 6962, 2013, for the tree.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::formula::{Bounds, Formula, Known};
use super::gossip::worker_of;
use super::{Occasion, Setting, System, Takes, Wiring, checked_workers};
use crate::aggregators::{AggregateError, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::ledger::draw::Draw;
use crate::ledger::genesis::{Genesis, Member as Eligible};
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::aggregation::AggregationSettings;
use crate::protocol::consensus::Timeouts;
use crate::protocol::member::{Member, MemberSettings};
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::worker::Trainer;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "committee",
    summary: "workers drawn anew each round agree and sign",
    reference: "Buchman, Kwon, Milosevic, arXiv 1807.04938, 2018",
    source: include_str!("committee.rs"),
    claims: (),
    parameters: || schema_for!(Committee),
    build: |parameters| parameters.build::<dyn System, Committee>(Committee::checked),
};

/// The most workers that it takes: all of them talk to each other.
const WORKERS_MAX: usize = 1000;

/// Parameters of the committee.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Committee {
    /// How many workers there are, honest and corrupted, 1 to 1,000; default 10.
    workers: usize,
    /// How many sit on a committee, 3f + 1 of them for f that may lie; default 4.
    size: usize,
    /// How they are drawn: `uniform` (default), or `{ stake = [...] }` with one whole number for
    /// each worker, in proportion to which it is drawn.
    draw: Drawn,
    /// How long a view waits for its proposal and for votes that agree, in milliseconds;
    /// default 1000.
    timeout: u64,
    /// How much longer every later view waits, in milliseconds; default 500.
    delta: u64,
    /// The declared number of byzantine workers, in place of `aggregation.byzantine`.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    byzantine: Option<usize>,
}

/// How a committee is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Drawn {
    /// All workers alike.
    #[default]
    Uniform,
    /// In proportion to these stakes, one for each worker.
    Stake(Vec<u64>),
}

impl Default for Committee {
    fn default() -> Self {
        Committee {
            workers: 10,
            size: 4,
            draw: Drawn::default(),
            timeout: 1000,
            delta: 500,
            byzantine: None,
        }
    }
}

impl Committee {
    fn checked(self) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(self.workers)?;
        if self.workers > WORKERS_MAX {
            return Err(ConfigError::new(format!(
                "`workers` is {}, and a committee takes at most {WORKERS_MAX}: all of them talk \
                 to each other",
                self.workers
            )));
        }
        if let Drawn::Stake(stakes) = &self.draw
            && stakes.len() != self.workers
        {
            return Err(ConfigError::new(format!(
                "`draw`: {} stakes for {} workers: give one for each",
                stakes.len(),
                self.workers
            )));
        }
        if self.timeout == 0 {
            return Err(ConfigError::new("`timeout` is 0 ms: nobody could answer in time")
                .help("give a view at least as long as a message takes"));
        }
        self.genesis("?").check().map_err(|error| ConfigError::new(format!("`size`: {error}")))?;
        Ok(Arc::new(self))
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> {
        (0..self.workers as u32).map(NodeId)
    }

    fn genesis(&self, run: &str) -> Genesis {
        let nodes: Vec<NodeId> = self.ids().collect();
        match &self.draw {
            Drawn::Uniform => Genesis::uniform(run, &nodes, self.size),
            Drawn::Stake(stakes) => Genesis {
                run: run.to_owned(),
                members: nodes
                    .into_iter()
                    .zip(stakes)
                    .map(|(node, &stake)| Eligible { node, stake })
                    .collect(),
                committee: self.size,
                draw: Draw::Stake,
            },
        }
    }
}

impl System for Committee {
    fn workers(&self) -> usize {
        self.workers
    }

    fn label(&self) -> String {
        let draw = if self.draw == Drawn::Uniform { "" } else { ":stake" };
        format!("{}{draw}", ENTRY.name)
    }

    fn byzantine(&self) -> Option<usize> {
        self.byzantine
    }

    fn takes(&self) -> Takes {
        Takes::Rules
    }

    fn wire(&self, _occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        Ok(Arc::new(Members(self.clone())))
    }
}

/// Workers, each of which may be drawn.
#[derive(Debug)]
struct Members(Committee);

impl Wiring for Members {
    /// Everybody: committees move.
    fn links(&self, node: NodeId) -> Vec<NodeId> {
        self.0.ids().filter(|&other| other != node).collect()
    }

    fn admits(&self, defence: &Defence, byzantine: usize) -> Result<(), AggregateError> {
        let Defence::Rule(rule) = defence else { return Ok(()) };
        if rule.remembers() == Remembers::History {
            let message = "its rule may not remember what senders did in earlier rounds: the next \
                           committee has other members";
            return Err(AggregateError::Unfit { rule: ENTRY.name, message: message.to_owned() });
        }
        rule.admits(self.0.workers, byzantine)
    }

    /// All alike: who sits is not known before.
    fn valuable(&self) -> Vec<NodeId> {
        self.0.ids().collect()
    }

    fn formula(&self, _defence: &Defence, _byzantine: usize) -> Option<Formula> {
        let (workers, size) = (self.0.workers, self.0.size);
        let tolerated = (size - 1) / 3;
        let quorum = 2 * tolerated + 1;
        let (drawn, luck) = if size == workers {
            (String::new(), "")
        } else {
            let drawn = format!(" on one committee of {size}, drawn from {workers} workers");
            (drawn, ", which a draw may bring about with so few")
        };
        let stopping = tolerated + 1;
        Some(Formula {
            // So few are left that no draw has a quorum; with all on it that is the same number.
            availability: Known::new(
                Bounds::between(stopping, workers - quorum + 1),
                format!("{stopping}{drawn} leave fewer than the {quorum} that a block takes{luck}"),
            ),
            // No draw has more honest members than are left.
            integrity: Known::new(
                Bounds::between(stopping, workers - (size - quorum)),
                format!(
                    "{stopping} may show each honest half another block, and {quorum} sign what \
                     they like{drawn}{luck}"
                ),
            ),
            confidentiality: Known::new(
                Bounds::exactly(1),
                "a member is sent the update of every worker",
            ),
        })
    }

    fn steps(&self) -> u32 {
        // Shares, claims, word that nothing is missing, proposal, prevotes, precommits, block.
        7
    }

    fn genesis(&self, run_id: &str) -> Option<Genesis> {
        Some(self.0.genesis(run_id))
    }

    fn machine(
        &self,
        _node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        let Committee { workers, timeout, delta, .. } = self.0;
        Box::new(Member::new(MemberSettings {
            trainer: worker_of(trainer),
            faults: setting.faults.clone(),
            roster: setting.roster.clone(),
            genesis: self.0.genesis(&setting.run_id),
            timeouts: Timeouts { propose: timeout, prevote: timeout, precommit: timeout, delta },
            aggregation: AggregationSettings {
                rule: setting.rule(),
                byzantine: setting.byzantine,
                rounds: setting.rounds,
                descent: setting.descent,
                seed: setting.seed,
                // All members draw from one stream, that of a central server.
                node: NodeId(workers as u32),
                head: setting.head.clone(),
            },
            initial: Arc::clone(&setting.initial),
        }))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayView2;

    use super::*;
    use crate::aggregators::{Aggregate, Aggregator, Context};
    use crate::catalog::Choice;

    fn refused(parameters: &str) -> String {
        let choice = Choice::with("committee", parameters).unwrap();
        super::super::CATALOG.build(&choice).err().unwrap().message
    }

    #[test]
    fn sizes_and_stakes_are_refused_with_the_numbers() {
        assert_eq!(
            refused("size = 7\nworkers = 5"),
            "`size`: a committee of 7 cannot be drawn from 5 eligible members of 5; make it smaller"
        );
        assert_eq!(
            refused("size = 5"),
            "`size`: a committee of 5 is not 3f+1: 4 tolerate 1 liars and 7 tolerate 2; choose one \
             of them"
        );
        assert_eq!(
            refused("workers = 4\ndraw = { stake = [1, 2] }"),
            "`draw`: 2 stakes for 4 workers: give one for each"
        );
        assert_eq!(
            refused("workers = 5\ndraw = { stake = [1, 1, 1, 0, 0] }"),
            "`size`: a committee of 4 cannot be drawn from 3 eligible members of 5; make it smaller"
        );
        assert!(refused("workers = 2000").contains("at most 1000"));
        assert!(refused("timeout = 0").contains("0 ms"));
    }

    /// A rule that wants to know what senders did before.
    #[derive(Debug)]
    struct Remembering(Remembers);

    impl Aggregator for Remembering {
        fn admits(&self, _rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
            Ok(())
        }

        fn remembers(&self) -> Remembers {
            self.0
        }

        fn aggregate(
            &self,
            _updates: ArrayView2<'_, f32>,
            _context: &mut Context<'_>,
        ) -> Result<Aggregate, AggregateError> {
            Err(AggregateError::Empty { rule: "remembering" })
        }
    }

    fn known(workers: usize, size: usize) -> [String; 2] {
        let members = Members(Committee { workers, size, ..Committee::default() });
        let defence = Defence::Rule(Arc::new(Remembering(Remembers::Nothing)));
        let formula = members.formula(&defence, 1).unwrap();
        [formula.availability, formula.integrity].map(|known| known.parts.to_string())
    }

    #[test]
    fn what_must_fall_is_counted_in_seats() {
        // All seven sit: three stop it, five sign what they like.
        assert_eq!(known(7, 7), ["3", "3..5"]);
        // Four of ten are drawn: two are enough if both are, and with eight fallen no draw works.
        assert_eq!(known(10, 4), ["2..8", "2..9"]);
    }

    #[test]
    fn a_rule_with_a_history_cannot_sit_on_a_committee() {
        let admits = |remembers| {
            let defence = Defence::Rule(Arc::new(Remembering(remembers)));
            Members(Committee::default()).admits(&defence, 1)
        };
        assert!(admits(Remembers::Nothing).is_ok());
        assert!(admits(Remembers::PreviousAggregate).is_ok());
        let refusal = admits(Remembers::History).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "committee: its rule may not remember what senders did in earlier rounds: the next \
             committee has other members"
        );
    }
}
