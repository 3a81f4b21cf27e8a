//! Casting: which machine sits where in a run, with the samples that it alone may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data::{LoadError, Provider};
use super::plan::Plan;
use crate::attacks::Attack;
use crate::dataset::Shard;
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::adversary::{Adversary, AdversarySettings};
use crate::protocol::fault::lossy::Lossy;
use crate::protocol::forger::Forger;
use crate::protocol::mesh_adversary::{Defence, MeshAdversary, MeshAdversarySettings};
use crate::protocol::turncoat::Turncoat;
use crate::protocol::worker::Trainer;
use crate::runtime::Seat;
use crate::systems::peer_rule;

/// The machine of a seat: a part of the system, an honest worker, or an adversary.
pub fn machine(plan: &Plan, seat: Seat, data: &Provider) -> Result<Box<dyn Machine>, LoadError> {
    let machine = undisturbed(plan, seat, data)?;
    Ok(match plan.losses {
        Some(flood) => {
            let regular = plan.wiring.links(flood.node).len();
            Box::new(Lossy::new(machine, flood, regular, plan.wiring.coordinated()))
        }
        None => machine,
    })
}

/// The machine of a seat, none of whose words are lost.
fn undisturbed(plan: &Plan, seat: Seat, data: &Provider) -> Result<Box<dyn Machine>, LoadError> {
    let Seat::Node(node) = seat else {
        return adversary(plan, plan.threat.corrupted.clone(), data);
    };
    if plan.threat.corrupts(node) && plan.threat.attack.is_some() {
        return adversary(plan, vec![node], data);
    }
    let machine = honest(plan, node, data)?;
    let fall = plan.threat.fall.filter(|_| plan.threat.fallen.contains(&node));
    let Some(fall) = fall else { return Ok(machine) };
    let genesis = plan.wiring.genesis(&plan.run_id());
    let forger = genesis.map(|genesis| Forger::new(node, &genesis));
    let turncoat = Turncoat::new(node, machine, fall, plan.wiring.links(node));
    Ok(Box::new(turncoat.with_forger(forger)))
}

/// The machine that a node has if nobody has corrupted it.
fn honest(plan: &Plan, node: NodeId, data: &Provider) -> Result<Box<dyn Machine>, LoadError> {
    let trainer = match plan.roster().contains(node) {
        true => Some(trainer(plan, node, data)?),
        false => None,
    };
    let mut setting = plan.setting();
    if trainer.is_none() && plan.trusted > 0 {
        let shard = data.trusted(plan, node)?;
        setting.trusted = Some(trainer_on(plan, node, shard));
    }
    Ok(plan.wiring.machine(node, &setting, trainer))
}

fn trainer(plan: &Plan, node: NodeId, data: &Provider) -> Result<Trainer, LoadError> {
    Ok(trainer_on(plan, node, data.shard(plan, node)?))
}

fn trainer_on(plan: &Plan, node: NodeId, shard: Shard) -> Trainer {
    Trainer {
        node,
        seed: plan.seed,
        model: Arc::clone(&plan.model),
        shard,
        training: plan.training.clone(),
    }
}

fn adversary(
    plan: &Plan,
    identities: Vec<NodeId>,
    data: &Provider,
) -> Result<Box<dyn Machine>, LoadError> {
    let attack = plan.threat.attack.clone().expect("only an attack needs an adversary");
    if !plan.wiring.coordinated() {
        return mesh_adversary(plan, &identities, attack, data);
    }
    let knowledge = plan.threat.knowledge;
    let split = data.split(plan)?;
    let samples = identities.iter().map(|&node| (node, split[node.index()].len() as u64)).collect();
    let mut trainers = BTreeMap::new();
    if attack.uses_own(knowledge) {
        for &node in &identities {
            trainers.insert(node, trainer(plan, node, data)?);
        }
    }
    let defence = match &plan.rule {
        Defence::Rule(rule) => Some((Arc::clone(rule), plan.byzantine)),
        Defence::Peer(_) => None,
    };
    Ok(Box::new(Adversary::new(AdversarySettings {
        identities,
        knowledge,
        attack,
        honest: plan.honest().into_iter().collect(),
        samples,
        trainers,
        faults: plan.faults.clone(),
        participants: plan.roster().len(),
        corrupted: plan.threat.corrupted.clone(),
        defence,
        seed: plan.seed,
    })))
}

fn mesh_adversary(
    plan: &Plan,
    identities: &[NodeId],
    attack: Arc<dyn Attack>,
    data: &Provider,
) -> Result<Box<dyn Machine>, LoadError> {
    let mut inner = BTreeMap::new();
    for &node in identities {
        inner.insert(node, honest(plan, node, data)?);
    }
    let peers = plan.meetings();
    let defence = match peers {
        Some(_) => Defence::Peer(peer_rule(&plan.rule)),
        None => plan.rule.clone(),
    };
    let settings = MeshAdversarySettings {
        knowledge: plan.threat.knowledge,
        attack,
        equivocates: plan.threat.equivocates,
        honest: plan.honest().into_iter().collect(),
        participants: plan.roster().len(),
        faults: plan.faults.clone(),
        corrupted: plan.threat.corrupted.clone(),
        meetings: peers,
        understates_degree: plan.threat.understates_degree,
        defence,
        byzantine: plan.byzantine,
        rounds: plan.rounds,
        seed: plan.seed,
        initial: plan.initial(),
    };
    Ok(Box::new(MeshAdversary::new(settings, inner)))
}
