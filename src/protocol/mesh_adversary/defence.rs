//! What the honest make of a lie, for an adversary that knows their rule.

use ndarray::{Array1, ArrayView1};

use super::{Defence, MeshAdversary};
use crate::aggregators::Context;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::peer_rules::Neighbourhood;
use crate::protocol::lent::LentRule;
use crate::protocol::peer::tolerated;
use crate::seed::{Purpose, stream};

impl MeshAdversary {
    /// The rule over all rows, where there is one.
    pub(super) fn lent(&self, round: Round) -> LentRule<'_> {
        LentRule {
            rule: match &self.settings.defence {
                Defence::Rule(rule) => Some(&**rule),
                Defence::Peer(_) => None,
            },
            byzantine: self.settings.byzantine,
            round,
            rounds_total: self.settings.rounds,
            seed: self.settings.seed,
        }
    }

    /// What a victim makes of what it is sent, in node order.
    pub(super) fn mix(
        &self,
        round: Round,
        victim: NodeId,
        own: ArrayView1<'_, f32>,
        sent: &[(NodeId, ArrayView1<'_, f32>, f64)],
        own_weight: f64,
    ) -> Result<Array1<f32>, String> {
        let Defence::Peer(rule) = &self.settings.defence else {
            return Err("there is no rule of peers".to_owned());
        };
        let ids: Vec<NodeId> = sent.iter().map(|(id, _, _)| *id).collect();
        let weights: Vec<f64> = sent.iter().map(|(_, _, weight)| *weight).collect();
        let rows: Vec<ArrayView1<'_, f32>> = sent.iter().map(|(_, row, _)| row.view()).collect();
        let models = ndarray::stack(ndarray::Axis(0), &rows).map_err(|error| error.to_string())?;
        let honest: Vec<bool> =
            ids.iter().map(|id| self.settings.honest.binary_search(id).is_ok()).collect();
        let neighbours = Neighbourhood {
            node: victim,
            ids: &ids,
            models: models.view(),
            weights: &weights,
            own_weight,
            honest: Some(&honest).filter(|_| rule.needs().oracle).map(Vec::as_slice),
            loss: None,
        };
        let byzantine = tolerated(&**rule, ids.len(), self.settings.byzantine);
        let mut memory = Memory::default();
        let mut rng = stream(self.settings.seed, Purpose::Aggregation, round, NodeId(0));
        let mut context = self.context(round, byzantine, &ids, &mut memory, &mut rng);
        let mixed = rule.mix(own, &neighbours, &mut context);
        mixed.map(|mixed| mixed.model).map_err(|error| error.to_string())
    }

    fn context<'a>(
        &self,
        round: Round,
        byzantine: usize,
        senders: &'a [NodeId],
        memory: &'a mut Memory,
        rng: &'a mut dyn rand::Rng,
    ) -> Context<'a> {
        let rounds_total = self.settings.rounds;
        Context {
            round,
            rounds_total,
            byzantine,
            senders,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory,
            rng,
        }
    }
}
