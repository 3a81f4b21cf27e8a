//! The arena: peer samplers under flooding attackers, many times over.
//!
//! For each sampler, share of attackers and seed a network runs for some steps. A node is
//! *eclipsed* when no honest node but itself is left in its view or among the peers that its
//! protocol offers. Nodes of one network infect each
//! other, so they are no independent trials: what is counted is seeds. Means are over one value
//! for each seed, with Student's 95 % interval; how often anybody at all is eclipsed is a
//! proportion of seeds, with Wilson's. Seeds are paired: the same seed has the same attackers for
//! every sampler, and more of them when the share grows.

pub mod intervals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::Serialize;

use crate::catalog::Member;
use crate::node::NodeId;
use crate::sampling::crowd::{Crowd, Network, NetworkError};
use crate::sampling::{Aim, Flood, Protocol, Sampler};
use crate::seed::{Purpose, run_stream};
use intervals::{Mean, Proportion};

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct Arena {
    /// The samplers.
    pub samplers: Vec<Member<dyn Protocol>>,
    /// How many nodes there are, attackers among them.
    pub nodes: usize,
    /// How many identities a view holds.
    pub view: usize,
    /// How many steps are taken, at least 1.
    pub steps: u32,
    /// How many of the nodes attack, one entry for each case.
    pub attackers: Vec<usize>,
    /// How many pushes each attacker sends in a step.
    pub force: usize,
    /// Whether all attackers push to one honest node, which is then the only one looked at.
    pub isolate: bool,
    /// The seeds, at least one.
    pub seeds: Vec<u64>,
}

/// One sampler against one number of attackers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The sampler.
    pub sampler: &'static str,
    /// Its parameters.
    pub parameters: serde_json::Value,
    /// How many nodes attack.
    pub attackers: usize,
    /// The share of honest nodes that are eclipsed after the last step.
    pub eclipsed: Mean,
    /// In how many seeds anybody is.
    pub anybody: Proportion,
    /// The share of attackers in the views after the last step, mean over nodes.
    pub in_views: Mean,
    /// The same in the view that has most.
    pub in_worst_view: Mean,
    /// How many distinct attackers a node was given as samples in all steps, mean over nodes.
    pub attackers_sampled: Mean,
    /// Their share of all distinct identities that it was given.
    pub among_sampled: Mean,
    /// The step in which a node was eclipsed first, mean over the nodes of a seed that ever were;
    /// only over seeds that have some.
    pub step_of_eclipse: Option<Mean>,
}

/// Runs all networks, on the rayon pool that it is called in; the result does not depend on it.
///
/// Lines come for each number of attackers in the order of the samplers.
pub fn run(arena: &Arena) -> Result<Vec<Line>, NetworkError> {
    let cases: Vec<(usize, &Member<dyn Protocol>)> = arena
        .attackers
        .iter()
        .flat_map(|attackers| arena.samplers.iter().map(|sampler| (*attackers, sampler)))
        .collect();
    for (attackers, sampler) in &cases {
        arena.network(sampler, *attackers, 0).check()?;
    }
    let runs: Vec<(usize, u64)> = (0..cases.len())
        .flat_map(|case| arena.seeds.iter().map(move |seed| (case, *seed)))
        .collect();
    let outcomes: Result<Vec<Outcome>, NetworkError> = runs
        .par_iter()
        .map(|&(case, seed)| {
            let (attackers, sampler) = cases[case];
            Outcome::of(arena.network(sampler, attackers, seed), arena.steps)
        })
        .collect();
    let outcomes = outcomes?;
    let of_cases = outcomes.chunks(arena.seeds.len().max(1));
    Ok(cases.iter().zip(of_cases).map(|(case, outcomes)| line(*case, outcomes)).collect())
}

impl Arena {
    /// The network of one seed.
    fn network(&self, sampler: &Member<dyn Protocol>, attackers: usize, seed: u64) -> Network {
        let mut order: Vec<NodeId> = (0..self.nodes as u32).map(NodeId).collect();
        order.shuffle(&mut run_stream(seed, Purpose::Placement));
        let attackers: BTreeSet<NodeId> = order.iter().take(attackers).copied().collect();
        // The last in the order is honest whoever attacks, unless all do, which is refused.
        let aim = match order.last() {
            Some(victim) if self.isolate => Aim::Victim(*victim),
            _ => Aim::Everybody,
        };
        Network {
            protocol: Arc::clone(&sampler.value),
            nodes: self.nodes,
            view: self.view,
            attackers,
            flood: Flood { force: self.force, aim },
            seed,
        }
    }
}

/// What one network came to.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    eclipsed: f64,
    in_views: f64,
    in_worst_view: f64,
    attackers_sampled: f64,
    among_sampled: f64,
    step_of_eclipse: Option<f64>,
}

impl Outcome {
    fn of(network: Network, steps: u32) -> Result<Self, NetworkError> {
        let aim = network.flood.aim;
        let mut crowd = Crowd::start(network)?;
        let watched = match aim {
            Aim::Everybody => crowd.honest().to_vec(),
            Aim::Victim(victim) => vec![victim],
        };
        let mut sampled: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
        let mut first: BTreeMap<NodeId, u32> = BTreeMap::new();
        for step in 1..=steps {
            crowd.step();
            for &node in &watched {
                let samples = crowd.samples(node);
                sampled.entry(node).or_default().extend(samples);
                if eclipsed(&crowd, node) {
                    first.entry(node).or_insert(step);
                }
            }
        }
        let shares: Vec<f64> = watched.iter().map(|node| captured(&crowd, *node)).collect();
        let cut_off = watched.iter().filter(|node| eclipsed(&crowd, **node)).count();
        let attack = |id: &&NodeId| crowd.network().attackers.contains(id);
        let attackers = |ids: &BTreeSet<NodeId>| ids.iter().filter(attack).count() as f64;
        let steps = first.values().map(|step| f64::from(*step));
        let among = sampled.values().map(|ids| attackers(ids) / (ids.len() as f64).max(1.0));
        Ok(Outcome {
            eclipsed: cut_off as f64 / watched.len() as f64,
            in_views: mean(shares.iter().copied()),
            in_worst_view: shares.iter().copied().fold(0.0, f64::max),
            attackers_sampled: mean(sampled.values().map(attackers)),
            among_sampled: mean(among),
            step_of_eclipse: (!first.is_empty()).then(|| mean(steps)),
        })
    }
}

/// Whether an honest node keeps and offers no honest node but itself.
fn eclipsed(crowd: &Crowd, node: NodeId) -> bool {
    let Some(machine) = crowd.machine(node) else { return false };
    let honest = |peer: NodeId| peer != node && !crowd.network().attackers.contains(&peer);
    !machine.view().into_iter().chain(machine.peers()).any(honest)
}

/// The share of attackers in an honest node's view, itself not counted; 1 if that leaves nobody.
fn captured(crowd: &Crowd, node: NodeId) -> f64 {
    let mut view = crowd.machine(node).map(Sampler::view).unwrap_or_default();
    view.retain(|peer| *peer != node);
    if view.is_empty() {
        return 1.0;
    }
    let attackers = view.iter().filter(|peer| crowd.network().attackers.contains(peer));
    attackers.count() as f64 / view.len() as f64
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// The outcomes of all seeds in one line.
fn line((attackers, sampler): (usize, &Member<dyn Protocol>), outcomes: &[Outcome]) -> Line {
    let values = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).collect::<Vec<f64>>();
    let share = |value| Mean::of(&values(value), 0.0, 1.0).expect("at least one seed");
    let count = |value| Mean::of(&values(value), 0.0, attackers as f64).expect("at least one seed");
    let steps: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.step_of_eclipse).collect();
    let anybody = outcomes.iter().filter(|outcome| outcome.eclipsed > 0.0).count();
    Line {
        sampler: sampler.name,
        parameters: sampler.parameters.clone(),
        attackers,
        eclipsed: share(|outcome| outcome.eclipsed),
        anybody: Proportion::of(anybody, outcomes.len()),
        in_views: share(|outcome| outcome.in_views),
        in_worst_view: share(|outcome| outcome.in_worst_view),
        attackers_sampled: count(|outcome| outcome.attackers_sampled),
        among_sampled: share(|outcome| outcome.among_sampled),
        step_of_eclipse: Mean::of(&steps, 1.0, f64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Choice;
    use crate::sampling::CATALOG;

    fn arena(samplers: &[&str], attackers: &[usize], seeds: u64) -> Arena {
        let built = samplers.iter().map(|name| CATALOG.build_default(name).unwrap());
        Arena {
            samplers: built.collect(),
            nodes: 300,
            view: 20,
            steps: 60,
            attackers: attackers.to_vec(),
            force: 10,
            isolate: false,
            seeds: (1..=seeds).collect(),
        }
    }

    #[test]
    fn naive_exchange_is_wholly_eclipsed_and_the_others_are_not() {
        let names = ["shuffle", "brahms", "basalt"];
        for line in run(&arena(&names, &[30, 60, 90], 2)).unwrap() {
            let what = format!("{line:?}");
            if line.sampler == "shuffle" {
                assert_eq!(line.eclipsed.mean, 1.0, "{what}");
                assert!(line.step_of_eclipse.unwrap().mean < 60.0, "{what}");
                continue;
            }
            // Of the views attackers have more than their share, as they flood, and far from all.
            let share = line.attackers as f64 / 300.0;
            assert!(line.eclipsed.mean < 0.02, "{what}");
            assert!(line.in_views.mean > share && line.in_views.mean < 0.9, "{what}");
            assert!(line.among_sampled.mean < 1.8 * share, "{what}");
            if line.attackers == 30 {
                assert_eq!((line.eclipsed.mean, line.anybody.count), (0.0, 0), "{what}");
                assert_eq!(line.step_of_eclipse, None, "{what}");
            }
        }
    }

    #[test]
    fn one_victim_of_all_attackers_is_lost_with_naive_exchange_alone() {
        let names = ["shuffle", "brahms", "basalt"];
        let lines = run(&Arena { isolate: true, ..arena(&names, &[60], 3) }).unwrap();
        let counts: Vec<usize> = lines.iter().map(|line| line.anybody.count).collect();
        assert_eq!(counts, [3, 0, 0]);
    }

    /// Without its check for floods, as a baseline of others has it, Brahms looks much worse.
    #[test]
    fn brahms_without_its_flood_check_loses_its_views() {
        let baseline = Choice::with("brahms", "variant = 'basalt_baseline'").unwrap();
        let mut both = arena(&["brahms"], &[30], 2);
        both.samplers.push(CATALOG.build(&baseline).unwrap());
        let lines = run(&both).unwrap();
        let (paper, baseline) = (&lines[0], &lines[1]);
        assert!(paper.in_views.mean < 0.4, "{paper:?}");
        assert!(baseline.in_views.mean > 0.8, "{baseline:?}");
        assert!(baseline.among_sampled.mean > paper.among_sampled.mean + 0.1);
    }

    #[test]
    fn the_same_bits_on_any_number_of_threads() {
        let small = Arena { nodes: 40, steps: 8, ..arena(&["brahms", "basalt"], &[4, 8], 5) };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&small)).unwrap()
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn the_same_seed_has_the_same_attackers_and_more_of_them() {
        let arena = arena(&["shuffle"], &[30], 1);
        let attackers = |count| arena.network(&arena.samplers[0], count, 1).attackers;
        assert_eq!(attackers(30).len(), 30);
        assert!(attackers(30).is_subset(&attackers(60)));
    }

    #[test]
    fn a_network_of_attackers_alone_is_refused() {
        let error = run(&Arena { nodes: 20, ..arena(&["shuffle"], &[2, 20], 1) }).unwrap_err();
        assert_eq!(error.to_string(), "all 20 nodes attack: at least 1 must be honest");
    }
}
