//! What stands before the first block: the run, who may be drawn, and how.

use serde::{Deserialize, Serialize};

use super::draw::{Draw, DrawError};
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// The longest name of a run, in bytes.
const RUN_NAME_MAX: usize = 256;

/// One who may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Who it is.
    pub node: NodeId,
    /// Its weight when committees are drawn by stake.
    pub stake: u64,
}

/// What everybody knows before the first round. Its hash is the parent of the first block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The name of the run, from which all keys follow.
    pub run: String,
    /// Who may be drawn, in ascending order.
    pub members: Vec<Member>,
    /// How many sit on a committee: 3f+1.
    pub committee: usize,
    /// How they are drawn.
    pub draw: Draw,
}

/// Why a ledger cannot begin like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The name of the run is missing or too long.
    #[error("the run's name has {bytes} bytes; it needs 1 to {RUN_NAME_MAX}")]
    Run {
        /// Its length.
        bytes: usize,
    },
    /// The members are not in order.
    #[error("member {second} stands after {first}; list each once, in ascending order")]
    Order {
        /// The one in front.
        first: NodeId,
        /// The one behind it.
        second: NodeId,
    },
    /// No committee can be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
}

impl Genesis {
    /// Members `nodes`, each with stake 1, and committees of `committee` drawn alike.
    pub fn uniform(run: &str, nodes: &[NodeId], committee: usize) -> Self {
        let members = nodes.iter().map(|node| Member { node: *node, stake: 1 }).collect();
        Genesis { run: run.to_owned(), members, committee, draw: Draw::Uniform }
    }

    /// Refuses what no ledger can begin with.
    pub fn check(&self) -> Result<(), GenesisError> {
        let bytes = self.run.len();
        if bytes == 0 || bytes > RUN_NAME_MAX {
            return Err(GenesisError::Run { bytes });
        }
        let nodes = self.members.iter().map(|member| member.node);
        if let Some((first, second)) = nodes.clone().zip(nodes.skip(1)).find(|(a, b)| a >= b) {
            return Err(GenesisError::Order { first, second });
        }
        Ok(self.draw.admits(&self.members, self.committee)?)
    }

    /// The hash over all of it.
    pub fn hash(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 ledger genesis v1");
        hasher.update(&(self.run.len() as u64).to_le_bytes());
        hasher.update(self.run.as_bytes());
        hasher.update(&(self.members.len() as u64).to_le_bytes());
        for member in &self.members {
            hasher.update(&member.node.0.to_le_bytes());
            hasher.update(&member.stake.to_le_bytes());
        }
        hasher.update(&(self.committee as u64).to_le_bytes());
        hasher.update(&[match self.draw {
            Draw::Uniform => 0,
            Draw::Stake => 1,
        }]);
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The committee that follows a block, in the order in which its members propose.
    pub fn committee_after(&self, parent: &Digest, round: Round) -> Result<Vec<NodeId>, DrawError> {
        self.draw.committee(parent, round, &self.members, self.committee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> Genesis {
        Genesis::uniform("run", &[NodeId(1), NodeId(2), NodeId(3), NodeId(5)], 4)
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(genesis().check(), Ok(()));
        let refused = |change: &dyn Fn(&mut Genesis)| {
            let mut genesis = genesis();
            change(&mut genesis);
            genesis.check().unwrap_err().to_string()
        };
        assert!(refused(&|one| one.run.clear()).contains("0 bytes"));
        assert!(refused(&|one| one.members.swap(1, 2)).contains("member 2 stands after 3"));
        assert!(
            refused(&|one| one.members[2] = one.members[1]).contains("member 2 stands after 2")
        );
        assert!(refused(&|one| one.committee = 7).contains("4 eligible"));
    }

    #[test]
    fn every_part_changes_the_hash() {
        let changed = |change: &dyn Fn(&mut Genesis)| {
            let mut genesis = genesis();
            change(&mut genesis);
            genesis.hash()
        };
        let hashes = [
            genesis().hash(),
            changed(&|one| one.run.push('2')),
            changed(&|one| one.members[0].stake = 2),
            changed(&|one| one.members[0].node = NodeId(0)),
            changed(&|one| one.members.truncate(3)),
            changed(&|one| one.committee = 1),
            changed(&|one| one.draw = Draw::Stake),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }
}
