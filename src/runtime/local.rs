//! The local runtime: all machines in one process, in waves.
//!
//! A wave gives every machine that has events its events, in order, and collects what each wants
//! done; actions are then carried out in seat order. Machines of one wave share nothing, so they
//! can run on any number of threads without changing a bit.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::wire::encoded_len;
use super::wiretap::Wiretap;
use super::{Cast, Machines, Next, Observer, RunError, Seat, States};
use crate::node::Round;
use crate::protocol::{Action, Event, Machine, Message, ProtocolError};

/// Events that wait for their machine.
type Inbox = BTreeMap<Seat, Vec<Event>>;

/// Drives `machines` until the run is over.
///
/// Steps the machines of a wave on the current rayon pool; with one thread, in order.
pub fn run(
    cast: &Cast,
    mut machines: Machines,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let tap = Wiretap::new(cast);
    let mut round = Round(0);
    let mut inbox: Inbox = machines.keys().map(|&seat| (seat, vec![Event::Start])).collect();
    loop {
        if inbox.is_empty() {
            return Err(RunError::Stalled { round });
        }
        let wave = step_all(&mut machines, std::mem::take(&mut inbox))?;
        let mut finished = false;
        for (seat, steps) in wave {
            for (event, actions) in steps {
                if let Some(tapped) = overheard(&tap, &event, &actions) {
                    inbox.entry(Seat::Adversary).or_default().push(tapped);
                }
                for action in actions {
                    match action {
                        Action::Send { from, to, message } => {
                            round = round.max(message.round());
                            let bytes = encoded_len(&message);
                            observer.sent(from, to, &message, bytes);
                            let receiver = cast.voices[&to];
                            let event = Event::Received { from, to, message };
                            inbox.entry(receiver).or_default().push(event);
                        }
                        Action::Refuse(refusal) => observer.refused(&refusal)?,
                        Action::Record(record) => {
                            let next = observer.closed(&record)?;
                            if next != Next::Continue {
                                observer.checkpoint(record.round, &states(&machines))?;
                            }
                            if next == Next::Stop {
                                return Err(RunError::Interrupted);
                            }
                        }
                        Action::Finish => finished |= matches!(seat, Seat::Node(_)),
                    }
                }
            }
        }
        if finished {
            return Ok(());
        }
    }
}

/// One machine's events with what each made it do.
type Steps = Vec<(Event, Vec<Action>)>;

/// Steps every machine that has events, and returns what they want done in seat order.
fn step_all(machines: &mut Machines, mut inbox: Inbox) -> Result<Vec<(Seat, Steps)>, RunError> {
    let mut busy: Vec<(Seat, &mut Box<dyn Machine>, Vec<Event>)> = machines
        .iter_mut()
        .filter_map(|(&seat, machine)| Some((seat, machine, inbox.remove(&seat)?)))
        .collect();
    let step = |(seat, machine, events): &mut (Seat, &mut Box<dyn Machine>, Vec<Event>)| {
        step_one(machine.as_mut(), std::mem::take(events))
            .map(|steps| (*seat, steps))
            .map_err(|error| RunError::Machine { seat: *seat, error })
    };
    if rayon::current_num_threads() == 1 {
        busy.iter_mut().map(step).collect()
    } else {
        busy.par_iter_mut().map(step).collect()
    }
}

fn step_one(machine: &mut dyn Machine, events: Vec<Event>) -> Result<Steps, ProtocolError> {
    events.into_iter().map(|event| Ok((event.clone(), machine.step(event)?))).collect()
}

/// What the adversary overhears of an answer that a server has just taken in.
fn overheard(tap: &Wiretap, event: &Event, actions: &[Action]) -> Option<Event> {
    let Event::Received { from, message, .. } = event else { return None };
    if matches!(message, Message::Train { .. }) {
        return None;
    }
    let taken = !actions.iter().any(|action| matches!(action, Action::Refuse(_)));
    tap.answered(*from, message, taken)
}

fn states(machines: &Machines) -> States {
    machines.iter().map(|(&seat, machine)| (seat, machine.state())).collect()
}
