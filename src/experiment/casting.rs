//! Casting: which machine sits where in a run, with the samples that it alone may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data::{LoadError, Provider};
use super::plan::Plan;
use crate::aggregators::Aggregator;
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::adversary::{Adversary, AdversarySettings};
use crate::protocol::worker::{Trainer, Worker};
use crate::runtime::Seat;

/// The machine of a seat: a part of the system, an honest worker, or an adversary.
pub fn machine(plan: &Plan, seat: Seat, data: &Provider) -> Result<Box<dyn Machine>, LoadError> {
    let Seat::Node(node) = seat else {
        return adversary(plan, plan.threat.corrupted.clone(), data);
    };
    if let Some(part) = plan.system.value.parts().into_iter().find(|part| part.node == node) {
        return Ok(plan.system.value.machine(&part, &plan.setting()));
    }
    if plan.threat.corrupts(node) && plan.threat.attack.is_some() {
        return adversary(plan, vec![node], data);
    }
    Ok(Box::new(Worker::new(trainer(plan, node, data)?, plan.faults)))
}

fn trainer(plan: &Plan, node: NodeId, data: &Provider) -> Result<Trainer, LoadError> {
    Ok(Trainer {
        node,
        seed: plan.seed,
        model: Arc::clone(&plan.model),
        shard: data.shard(plan, node)?,
        training: plan.training.clone(),
    })
}

fn adversary(
    plan: &Plan,
    identities: Vec<NodeId>,
    data: &Provider,
) -> Result<Box<dyn Machine>, LoadError> {
    let attack = plan.threat.attack.clone().expect("only an attack needs an adversary");
    let knowledge = plan.threat.knowledge;
    let split = data.split(plan)?;
    let samples = identities.iter().map(|&node| (node, split[node.index()].len() as u64)).collect();
    let mut trainers = BTreeMap::new();
    if attack.uses_own(knowledge) {
        for &node in &identities {
            trainers.insert(node, trainer(plan, node, data)?);
        }
    }
    Ok(Box::new(Adversary::new(AdversarySettings {
        identities,
        knowledge,
        attack,
        honest: plan.honest().into_iter().collect(),
        samples,
        trainers,
        faults: plan.faults,
        participants: plan.roster().len(),
        corrupted: plan.threat.corrupted.len(),
        defence: Some((Arc::new(plan.rule.clone()) as Arc<dyn Aggregator>, plan.byzantine)),
        seed: plan.seed,
    })))
}
