//! The local runtime of systems without a coordinator: rounds in lockstep.
//!
//! Machines are stepped in waves, as in [`super::local`], until nothing is under way. Then, in
//! this order: the next timer goes off, in virtual time; who waits for somebody silent is told
//! that it is lost; or the round is over, is kept, and everybody who recorded it goes on. So all
//! rounds begin together, whatever the graph, and a checkpoint finds everybody between two rounds.

use std::collections::{BTreeMap, BTreeSet};

use super::local::{Inbox, states, step_all};
use super::wire::encoded_len;
use super::{Cast, Machines, Next, Observer, RunError, Seat};
use crate::node::{NodeId, Round};
use crate::protocol::{Action, Event, Message, RoundRecord, Timer};

/// Drives `machines` until all have finished.
pub fn run(
    cast: &Cast,
    mut machines: Machines,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let mut stage = Stage::new(cast);
    for &seat in machines.keys() {
        stage.tell(seat, Event::Start);
    }
    loop {
        while !stage.inbox.is_empty() {
            let wave = step_all(&mut machines, std::mem::take(&mut stage.inbox))?;
            for (seat, steps) in wave {
                for action in steps.into_iter().flat_map(|(_, actions)| actions) {
                    stage.perform(seat, action, observer)?;
                }
            }
        }
        if stage.next_timer() || stage.give_up_on_the_silent(&machines) {
            continue;
        }
        if stage.recorded.is_empty() {
            let waiting = machines.keys().filter(|seat| !stage.finished.contains(seat)).count();
            // Whoever has fallen silent for good has neither recorded nor finished.
            let anybody = stage.finished.iter().any(|seat| matches!(seat, Seat::Node(_)));
            return match waiting == 0 || anybody {
                true => Ok(()),
                false => Err(RunError::Stalled { round: stage.round }),
            };
        }
        let next = stage.close(observer)?;
        if next != Next::Continue {
            observer.checkpoint(stage.round, &states(&machines))?;
        }
        if next == Next::Stop {
            return Err(RunError::Interrupted);
        }
        stage.proceed();
    }
}

/// What is under way.
struct Stage<'a> {
    cast: &'a Cast,
    inbox: Inbox,
    tapped: BTreeSet<(Round, NodeId)>,
    round: Round,
    clock: u64,
    timers: BTreeMap<u64, Vec<(Seat, Timer)>>,
    lost: BTreeSet<(Seat, NodeId)>,
    recorded: BTreeSet<Seat>,
    records: Vec<RoundRecord>,
    finished: BTreeSet<Seat>,
}

impl<'a> Stage<'a> {
    fn new(cast: &'a Cast) -> Self {
        Stage {
            cast,
            inbox: Inbox::new(),
            tapped: BTreeSet::new(),
            round: Round(0),
            clock: 0,
            timers: BTreeMap::new(),
            lost: BTreeSet::new(),
            recorded: BTreeSet::new(),
            records: Vec::new(),
            finished: BTreeSet::new(),
        }
    }

    fn tell(&mut self, seat: Seat, event: Event) {
        self.inbox.entry(seat).or_default().push(event);
    }

    fn perform(
        &mut self,
        seat: Seat,
        action: Action,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        match action {
            Action::Send { from, to, message } => {
                observer.sent(from, to, &message, encoded_len(&message));
                self.show(from, &message);
                let Some(&receiver) = self.cast.voices.get(&to) else { return Ok(()) };
                self.tell(receiver, Event::Received { from, to, message });
            }
            Action::Refuse(refusal) => observer.refused(&refusal)?,
            Action::Record(record) => {
                self.round = self.round.max(record.round);
                self.recorded.insert(seat);
                self.records.push(record);
            }
            Action::Wait { timer, milliseconds } => {
                self.timers.entry(self.clock + milliseconds).or_default().push((seat, timer));
            }
            Action::Finish => {
                self.finished.insert(seat);
            }
        }
        Ok(())
    }

    /// Shows the adversary the first word of an honest worker in a round: its model, its update,
    /// or that it has nothing.
    fn show(&mut self, from: NodeId, message: &Message) {
        let tells = matches!(
            message,
            Message::Model { .. } | Message::Share { .. } | Message::Absent { .. }
        );
        let open = self.cast.tapped && tells && self.cast.honest.contains(&from);
        if open && self.tapped.insert((message.round(), from)) {
            self.tell(Seat::Adversary, Event::Tapped { from, message: message.clone() });
        }
    }

    /// Lets the earliest timers go off.
    fn next_timer(&mut self) -> bool {
        let Some((time, timers)) = self.timers.pop_first() else { return false };
        self.clock = time;
        for (seat, timer) in timers {
            self.tell(seat, Event::Expired { timer });
        }
        true
    }

    /// Nothing is under way, so who is waited for and waits for nobody will never speak. Who has
    /// recorded the round is silent because it is over. The adversary goes on by itself and may
    /// wait for such nodes already, and others for it: all of them will go on, and whom else they
    /// wait for may only speak when it is spoken to.
    fn give_up_on_the_silent(&mut self, machines: &Machines) -> bool {
        let waiting: BTreeMap<Seat, Vec<NodeId>> = machines
            .iter()
            .map(|(&seat, machine)| (seat, self.still_awaited(seat, machine.awaits())))
            .filter(|(_, awaited)| !awaited.is_empty())
            .collect();
        let going_on = self.going_on(&waiting);
        let voice = |node: &NodeId| self.cast.voices[node];
        let goes_on = |node: &NodeId| going_on.contains(&voice(node));
        let dead = |node: &NodeId| !waiting.contains_key(&voice(node)) && !goes_on(node);
        let stands = waiting.iter().filter(|(seat, _)| !going_on.contains(seat));
        let anybody_dead = stands.flat_map(|(_, awaited)| awaited).any(dead);
        let mut lost = Vec::new();
        for (seat, awaited) in waiting.iter().filter(|(seat, _)| !going_on.contains(seat)) {
            // Where all wait for each other, nobody will ever speak.
            let given_up = awaited.iter().filter(|node| dead(node) || !anybody_dead);
            lost.extend(given_up.map(|&node| (*seat, node)));
        }
        for &(seat, node) in &lost {
            self.lost.insert((seat, node));
            self.tell(seat, Event::Lost { node });
        }
        !lost.is_empty()
    }

    /// Those who will go on with the next round: who has recorded this one, and who waits for one
    /// of them, directly or not.
    fn going_on(&self, waiting: &BTreeMap<Seat, Vec<NodeId>>) -> BTreeSet<Seat> {
        let mut going_on = self.recorded.clone();
        loop {
            let before = going_on.len();
            for (&seat, awaited) in waiting {
                if awaited.iter().any(|node| going_on.contains(&self.cast.voices[node])) {
                    going_on.insert(seat);
                }
            }
            if going_on.len() == before {
                return going_on;
            }
        }
    }

    /// Whom a seat waits for and has not given up.
    fn still_awaited(&self, seat: Seat, mut awaited: Vec<NodeId>) -> Vec<NodeId> {
        awaited.retain(|node| {
            self.cast.voices.contains_key(node) && !self.lost.contains(&(seat, *node))
        });
        awaited
    }

    /// Passes on what the round came to, in node order. Only now has everybody said all that
    /// belongs to it, so that no byte is missing from the count.
    fn close(&mut self, observer: &mut dyn Observer) -> Result<Next, RunError> {
        let mut records = std::mem::take(&mut self.records);
        records.sort_by_key(|record| record.node);
        let mut next = Next::Continue;
        for record in records {
            let after = observer.closed(&record)?;
            if after != Next::Continue {
                next = after;
            }
        }
        Ok(next)
    }

    /// The round is over: everybody who recorded it goes on.
    fn proceed(&mut self) {
        for seat in std::mem::take(&mut self.recorded) {
            self.tell(seat, Event::Proceed);
        }
        let round = self.round;
        self.tapped.retain(|(shown, _)| *shown > round);
    }
}
