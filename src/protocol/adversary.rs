//! The adversary: one machine that speaks for every identity it holds.
//!
//! It answers when it knows what its knowledge level promises: at once on its own data, after
//! the last honest message of the round where it reads the wiretap. What it sends for several
//! identities is crafted together, so they can collude.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::fault::Faults;
use super::history::History;
use super::lent::LentRule;
use super::worker::{Trainer, lost_state};
use super::{Action, Event, Machine, MachineState, Message, ProtocolError};
use crate::aggregators::Aggregator;
use crate::attacks::{Attack, AttackError, Crafted, Heard, Knowledge, View};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};
use crate::training::WorkerState;
use crate::vector::{Shared, as_slice, stack};

/// What an adversary is told before the first round.
#[derive(Debug, Clone)]
pub struct AdversarySettings {
    /// The identities it speaks for, ascending.
    pub identities: Vec<NodeId>,
    /// What it knows.
    pub knowledge: Knowledge,
    /// What it does.
    pub attack: Arc<dyn Attack>,
    /// The honest identities, whom the omniscient waits to hear, ascending.
    pub honest: Vec<NodeId>,
    /// How many samples each of its identities declares.
    pub samples: BTreeMap<NodeId, u64>,
    /// Its identities' own training, where the attack uses it.
    pub trainers: BTreeMap<NodeId, Trainer>,
    /// The planned absences, which bind corrupted identities as well.
    pub faults: Faults,
    /// How many identities there are in all.
    pub participants: usize,
    /// Those that are corrupted, by this and other adversaries.
    pub corrupted: Vec<NodeId>,
    /// The server's rule and its declared `f`, for those who know it.
    pub defence: Option<(Arc<dyn Aggregator>, usize)>,
    /// The run's seed.
    pub seed: u64,
}

/// The adversary's machine.
pub struct Adversary {
    settings: AdversarySettings,
    history: History<State>,
    round: Option<OpenRound>,
}

/// What a checkpoint keeps of an adversary.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    memory: Memory,
    workers: BTreeMap<NodeId, WorkerState>,
}

/// A round that the adversary has been asked in or has heard of.
struct OpenRound {
    round: Round,
    model: Option<Shared>,
    /// Who was asked by whom, and still waits for its words.
    asked: BTreeMap<NodeId, NodeId>,
    /// Honest updates; `None` for those who had nothing.
    heard: BTreeMap<NodeId, Option<Shared>>,
    answers: Option<BTreeMap<NodeId, Message>>,
}

impl OpenRound {
    fn new(round: Round) -> Self {
        OpenRound {
            round,
            model: None,
            asked: BTreeMap::new(),
            heard: BTreeMap::new(),
            answers: None,
        }
    }
}

impl fmt::Debug for Adversary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Adversary")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Adversary {
    /// An adversary before its first round.
    pub fn new(settings: AdversarySettings) -> Self {
        Adversary { settings, history: History::new(State::default()), round: None }
    }

    fn hears_the_honest(&self) -> bool {
        self.settings.knowledge >= Knowledge::Omniscient
    }

    /// The honest who have anything to say in `round`.
    fn speaking(&self, round: Round) -> impl Iterator<Item = &NodeId> {
        let takes_part = move |node: &&NodeId| self.settings.faults.takes_part(round, **node);
        self.settings.honest.iter().filter(takes_part)
    }

    /// The open round, which a message of a later round replaces; `None` for an old message.
    fn round_of(&mut self, round: Round) -> Option<&mut OpenRound> {
        let open = self.round.get_or_insert_with(|| OpenRound::new(round));
        if open.round < round {
            *open = OpenRound::new(round);
        }
        (open.round == round).then_some(open)
    }

    /// Crafts the round's answers once enough is known, and says what is still owed.
    fn speak(&mut self) -> Result<Vec<Action>, ProtocolError> {
        let Some(mut open) = self.round.take() else { return Ok(Vec::new()) };
        let ready = !self.hears_the_honest()
            || self.speaking(open.round).all(|node| open.heard.contains_key(node));
        if open.answers.is_none()
            && ready
            && let Some(model) = open.model.clone()
        {
            open.answers = Some(self.craft(open.round, &model, &open.heard)?);
        }
        let mut actions = Vec::new();
        if let Some(answers) = &open.answers {
            for (identity, server) in std::mem::take(&mut open.asked) {
                let message = answers[&identity].clone();
                actions.push(Action::Send { from: identity, to: server, message });
            }
        }
        self.round = Some(open);
        Ok(actions)
    }

    /// What each identity says in `round`.
    fn craft(
        &mut self,
        round: Round,
        model: &Shared,
        heard: &BTreeMap<NodeId, Option<Shared>>,
    ) -> Result<BTreeMap<NodeId, Message>, ProtocolError> {
        let first = self.settings.identities[0];
        let last = self.settings.faults.last_part(round, &self.settings.identities);
        let before = self.history.since(last, round);
        let mut state = before.ok_or_else(|| lost_state(first, round))?.clone();
        let active: Vec<NodeId> = self
            .settings
            .identities
            .iter()
            .copied()
            .filter(|&identity| !self.settings.faults.absent(round, identity))
            .collect();
        let absent = Message::Absent { round };
        let mut answers: BTreeMap<NodeId, Message> =
            self.settings.identities.iter().map(|&node| (node, absent.clone())).collect();
        if !active.is_empty() {
            let (own, losses) = self.train_own(round, model, &active, &mut state);
            let honest = self.hears_the_honest().then(|| honest_rows(heard, model.len()));
            let known = honest.as_ref().map_or(own.nrows(), |(_, rows)| rows.rows().len());
            let crafted =
                self.run_attack(round, model, &active, own.view(), honest.as_ref(), &mut state);
            let updates = updates(self.unless_starved(crafted, known)?);
            for (update, identity) in updates.into_iter().zip(&active) {
                let message = Message::Share {
                    round,
                    update,
                    loss: losses.get(identity).copied().unwrap_or(0.0),
                    samples: self.settings.samples.get(identity).copied().unwrap_or(1),
                };
                answers.insert(*identity, message);
            }
        }
        self.history.push(round, state);
        Ok(answers)
    }

    /// Sits out a round in which absences, or who is drawn, leave an attack too little to work on.
    /// One that has too little when nobody is absent can never work, and says so.
    fn unless_starved(
        &self,
        crafted: Result<Crafted, ProtocolError>,
        known: usize,
    ) -> Result<Crafted, ProtocolError> {
        let AdversarySettings { honest, identities, .. } = &self.settings;
        let all = if self.hears_the_honest() { honest.len() } else { identities.len() };
        match crafted {
            Err(ProtocolError::Attack { error: AttackError::TooFewKnown { .. }, .. })
                if known < all =>
            {
                Ok(Crafted::Silence)
            }
            // A formula may have nothing for those who happen to be drawn.
            Err(ProtocolError::Attack { error: AttackError::NoShift { .. }, .. })
                if self.settings.faults.participation.is_some() =>
            {
                Ok(Crafted::Silence)
            }
            crafted => crafted,
        }
    }

    /// What the active identities would have sent, where the attack wants to know.
    fn train_own(
        &self,
        round: Round,
        model: &Shared,
        active: &[NodeId],
        state: &mut State,
    ) -> (Array2<f32>, BTreeMap<NodeId, f32>) {
        let mut losses = BTreeMap::new();
        let mut rows = BTreeMap::new();
        if self.settings.attack.uses_own(self.settings.knowledge) {
            for identity in active {
                let before = state.workers.remove(identity).unwrap_or_default();
                let (update, after) = self.settings.trainers[identity].train(round, model, &before);
                state.workers.insert(*identity, after);
                losses.insert(*identity, update.loss);
                rows.insert(*identity, update.vector);
            }
        }
        if rows.is_empty() {
            return (Array2::zeros((0, model.len())), losses);
        }
        (stack(&rows), losses)
    }

    fn run_attack(
        &self,
        round: Round,
        model: &Shared,
        active: &[NodeId],
        own: ArrayView2<'_, f32>,
        honest: Option<&(Vec<NodeId>, Heard<'_>)>,
        state: &mut State,
    ) -> Result<Crafted, ProtocolError> {
        let AdversarySettings { seed, .. } = self.settings;
        let rule = LentRule {
            rule: self.settings.defence.as_ref().map(|(rule, _)| &**rule),
            byzantine: self.settings.defence.as_ref().map_or(0, |(_, byzantine)| *byzantine),
            round,
            rounds_total: round.0,
            seed,
        };
        let knows_rule = self.settings.knowledge >= Knowledge::OmniscientAndRule;
        let view = View {
            round,
            global: model.view(),
            identities: active,
            own,
            honest: honest.map(|(_, rows)| rows),
            senders: honest.map_or(&[], |(senders, _)| senders),
            participants: self.settings.faults.participants(self.settings.participants),
            corrupted: self.settings.faults.count(round, &self.settings.corrupted),
            defence: if knows_rule { Some(&rule) } else { None },
            victim: None,
        };
        let mut rng = stream(seed, Purpose::Attack, round, self.settings.identities[0]);
        self.settings
            .attack
            .craft(&view, &mut state.memory, &mut rng)
            .map_err(|error| ProtocolError::Attack { round, error })
    }
}

/// What each identity sends, as far as it sends anything.
fn updates(crafted: Crafted) -> Vec<Shared> {
    match crafted {
        Crafted::PerNode(rows) => {
            rows.rows().into_iter().map(|row| Arc::new(row.to_owned())).collect()
        }
        Crafted::Same(vector, identities) => {
            let vector = Arc::new(vector);
            vec![vector; identities]
        }
        Crafted::Silence => Vec::new(),
    }
}

/// The honest updates of a round in sender order, and who sent them.
fn honest_rows(
    heard: &BTreeMap<NodeId, Option<Shared>>,
    columns: usize,
) -> (Vec<NodeId>, Heard<'_>) {
    let spoken =
        heard.iter().filter_map(|(&node, update)| Some((node, as_slice(update.as_ref()?))));
    let (senders, rows) = spoken.unzip();
    (senders, Heard::apart(rows, columns))
}

impl Machine for Adversary {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        match event {
            Event::Received { from, to, message: Message::Train { round, model } }
                if self.settings.identities.contains(&to) =>
            {
                if let Some(open) = self.round_of(round) {
                    open.model.get_or_insert(model);
                    open.asked.insert(to, from);
                }
                self.speak()
            }
            Event::Tapped { from, message } => {
                let round = message.round();
                let honest: BTreeSet<NodeId> = self.settings.honest.iter().copied().collect();
                if honest.contains(&from)
                    && let Some(open) = self.round_of(round)
                {
                    let update = match message {
                        Message::Share { update, .. } => Some(update),
                        _ => None,
                    };
                    open.heard.entry(from).or_insert(update);
                }
                self.speak()
            }
            Event::Start => {
                // Whatever was asked before is asked again, and must be answered only once.
                self.round = None;
                Ok(Vec::new())
            }
            other => Err(ProtocolError::unexpected("an adversary", &other)),
        }
    }

    fn state(&self) -> MachineState {
        let (round, state) = self.history.newest();
        MachineState::encode(round, state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        self.history.push(state.round, state.decode()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::attacks::CATALOG;
    use crate::catalog::Choice;
    use crate::protocol::participation::Participation;
    use crate::protocol::worker::tests::{train, trainer};

    /// An adversary that holds nodes 0 and 1; nodes 2 and 3 are honest.
    fn adversary(attack: &str, knowledge: Knowledge, absences: f64) -> Adversary {
        let identities = vec![NodeId(0), NodeId(1)];
        let chosen = CATALOG.build(&Choice::named(attack)).unwrap();
        Adversary::new(AdversarySettings {
            samples: identities.iter().map(|&node| (node, 2)).collect(),
            trainers: identities.iter().map(|&node| (node, trainer(node.0))).collect(),
            identities,
            knowledge,
            attack: chosen.value,
            honest: vec![NodeId(2), NodeId(3)],
            faults: Faults { absences, ..Faults::none(1) },
            participants: 4,
            corrupted: vec![NodeId(0), NodeId(1)],
            defence: None,
            seed: 1,
        })
    }

    fn tapped(from: u32, round: u32, value: f32) -> Event {
        let update = Arc::new(Array1::from_elem(6, value));
        let message = Message::Share { round: Round(round), update, loss: 1.0, samples: 1 };
        Event::Tapped { from: NodeId(from), message }
    }

    /// Who says what: the first value of each update, or none for an absence.
    fn said(actions: &[Action]) -> Vec<(u32, Option<f32>)> {
        let each = actions.iter().map(|action| match action {
            Action::Send { from, message: Message::Share { update, .. }, .. } => {
                (from.0, Some(update[0]))
            }
            Action::Send { from, .. } => (from.0, None),
            other => panic!("only messages were expected, not {other:?}"),
        });
        each.collect()
    }

    #[test]
    fn the_omniscient_waits_for_the_last_honest_message() {
        let mut adversary = adversary("sign_flip", Knowledge::Omniscient, 0.0);
        assert!(adversary.step(train(0, 1)).unwrap().is_empty());
        assert!(adversary.step(train(1, 1)).unwrap().is_empty());
        assert!(adversary.step(tapped(2, 1, 1.0)).unwrap().is_empty());
        let actions = adversary.step(tapped(3, 1, 3.0)).unwrap();
        assert_eq!(said(&actions), [(0, Some(-2.0)), (1, Some(-2.0))]);
    }

    #[test]
    fn what_all_of_them_say_is_held_once() {
        let mut adversary = adversary("sign_flip", Knowledge::Omniscient, 0.0);
        for event in [train(0, 1), train(1, 1), tapped(2, 1, 1.0)] {
            adversary.step(event).unwrap();
        }
        let actions = adversary.step(tapped(3, 1, 3.0)).unwrap();
        let updates: Vec<&Shared> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Send { message: Message::Share { update, .. }, .. } => Some(update),
                _ => None,
            })
            .collect();
        assert_eq!(updates.len(), 2);
        assert!(Arc::ptr_eq(updates[0], updates[1]));
    }

    #[test]
    fn silence_of_the_honest_is_heard_and_strangers_are_not() {
        let mut adversary = adversary("sign_flip", Knowledge::Omniscient, 0.0);
        adversary.step(train(0, 1)).unwrap();
        assert!(adversary.step(tapped(7, 1, 9.0)).unwrap().is_empty());
        adversary.step(tapped(2, 1, 1.0)).unwrap();
        let silence = Message::Absent { round: Round(1) };
        let actions = adversary.step(Event::Tapped { from: NodeId(3), message: silence }).unwrap();
        // Node 1 has not been asked yet, and is answered as soon as it is.
        assert_eq!(said(&actions), [(0, Some(-1.0))]);
        assert_eq!(said(&adversary.step(train(1, 1)).unwrap()), [(1, Some(-1.0))]);
        // Asked again, a line that broke gets the same once more.
        assert_eq!(said(&adversary.step(train(1, 1)).unwrap()), [(1, Some(-1.0))]);
    }

    #[test]
    fn taps_may_come_before_the_request() {
        let mut adversary = adversary("sign_flip", Knowledge::Omniscient, 0.0);
        adversary.step(tapped(2, 1, 1.0)).unwrap();
        adversary.step(tapped(3, 1, 1.0)).unwrap();
        assert_eq!(said(&adversary.step(train(0, 1)).unwrap()), [(0, Some(-1.0))]);
        // A tap of a round that is over changes nothing.
        adversary.step(tapped(2, 2, 5.0)).unwrap();
        assert!(adversary.step(tapped(3, 1, 5.0)).unwrap().is_empty());
        adversary.step(tapped(3, 2, 5.0)).unwrap();
        assert_eq!(said(&adversary.step(train(0, 2)).unwrap()), [(0, Some(-5.0))]);
    }

    #[test]
    fn colluders_answer_from_their_own_updates_alone() {
        let mut adversary = adversary("sign_flip", Knowledge::Colluders, 0.0);
        let own = |node: u32| {
            let model = Arc::new(Array1::from_elem(6, 0.5));
            let (update, _) = trainer(node).train(Round(1), &model, &WorkerState::default());
            update.vector[0]
        };
        let actions = adversary.step(train(0, 1)).unwrap();
        let mean = f64::midpoint(f64::from(own(0)), f64::from(own(1)));
        assert_eq!(said(&actions), [(0, Some(-mean as f32))]);
    }

    #[test]
    fn planned_absences_bind_the_corrupted_too() {
        let mut adversary = adversary("gaussian", Knowledge::OwnData, 1.0);
        assert_eq!(said(&adversary.step(train(0, 1)).unwrap()), [(0, None)]);
        assert_eq!(said(&adversary.step(train(1, 1)).unwrap()), [(1, None)]);
    }

    #[test]
    fn from_its_last_two_states_it_repeats_a_round_to_the_bit() {
        let mut undisturbed = adversary("gaussian", Knowledge::Colluders, 0.0);
        undisturbed.step(train(0, 1)).unwrap();
        let older = undisturbed.state();
        let second = said(&undisturbed.step(train(0, 2)).unwrap());
        let mut restored = adversary("gaussian", Knowledge::Colluders, 0.0);
        restored.restore(&older).unwrap();
        restored.restore(&undisturbed.state()).unwrap();
        assert_eq!(said(&restored.step(train(0, 2)).unwrap()), second);
    }

    #[test]
    fn it_answers_once_when_its_connection_begins_anew() {
        let mut adversary = adversary("sign_flip", Knowledge::Omniscient, 0.0);
        for event in [train(0, 1), train(1, 1), tapped(2, 1, 1.0), Event::Start] {
            assert_eq!(said(&adversary.step(event).unwrap()), []);
        }
        for from in [2, 3] {
            assert_eq!(said(&adversary.step(tapped(from, 1, 1.0)).unwrap()), []);
        }
        assert_eq!(said(&adversary.step(train(0, 1)).unwrap()), [(0, Some(-1.0))]);
        assert_eq!(said(&adversary.step(train(1, 1)).unwrap()), [(1, Some(-1.0))]);
    }

    #[test]
    fn absences_can_leave_it_nothing_to_say() {
        let mut adversary = adversary("little_is_enough", Knowledge::Omniscient, 0.0);
        adversary.step(train(0, 1)).unwrap();
        adversary.step(tapped(2, 1, 1.0)).unwrap();
        let silence = Message::Absent { round: Round(1) };
        let actions = adversary.step(Event::Tapped { from: NodeId(3), message: silence }).unwrap();
        assert_eq!(said(&actions), [(0, None)]);
    }

    /// Sends how many take part and how many of those are corrupted.
    #[derive(Debug)]
    struct Counting;

    impl Attack for Counting {
        fn needs(&self) -> Knowledge {
            Knowledge::OwnData
        }

        fn uses_own(&self, _knowledge: Knowledge) -> bool {
            false
        }

        fn craft(
            &self,
            view: &View<'_>,
            _memory: &mut Memory,
            _rng: &mut dyn rand::Rng,
        ) -> Result<Crafted, AttackError> {
            let count = (10 * view.participants + view.corrupted) as f32;
            let honest = view.honest.map_or(0, |heard| heard.rows().len()) as f32 / 8.0;
            let shape = (view.identities.len(), view.global.len());
            Ok(Crafted::PerNode(Array2::from_elem(shape, count + honest)))
        }
    }

    #[test]
    fn where_some_are_drawn_it_is_shown_those_alone_and_waits_for_nobody_else() {
        let participation = Participation { seed: 1, workers: 4, count: 2 };
        let mut adversary = adversary("sign_flip", Knowledge::Omniscient, 0.0);
        adversary.settings.attack = Arc::new(Counting);
        adversary.settings.faults.participation = Some(participation);
        let mut counts = BTreeSet::new();
        for round in 1..=20 {
            let drawn = participation.drawn(Round(round));
            let honest = drawn.iter().filter(|node| node.0 >= 2);
            for node in honest.clone() {
                assert!(adversary.step(tapped(node.0, round, 1.0)).unwrap().is_empty());
            }
            let corrupted: Vec<u32> =
                drawn.iter().map(|node| node.0).filter(|node| *node < 2).collect();
            let expected = 20.0 + corrupted.len() as f32 + honest.count() as f32 / 8.0;
            for &node in &corrupted {
                let answer = adversary.step(train(node, round)).unwrap();
                assert_eq!(said(&answer), [(node, Some(expected))]);
            }
            counts.insert(corrupted.len());
        }
        assert_eq!(counts, BTreeSet::from([0, 1, 2]), "rounds of every kind");
    }
}
