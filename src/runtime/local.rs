//! The local runtime: all machines in one process, in waves.
//!
//! A wave gives every machine that has events its events, in order, and collects what each wants
//! done; actions are then carried out in seat order. Machines of one wave share nothing, so they
//! can run on any number of threads without changing a bit.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::heap::keep_large_blocks;
use super::wire::encoded_len;
use super::wiretap::Wiretap;
use super::{Cast, Machines, Next, Observer, RunError, Seat, States};
use crate::node::{NodeId, Round};
use crate::protocol::worker::Pupil;
use crate::protocol::{Action, Event, Machine, Message, ProtocolError};
use crate::training::begin_together;

/// Events that wait for their machine.
pub(super) type Inbox = BTreeMap<Seat, Vec<Event>>;

/// Drives `machines` until the run is over.
///
/// Steps the machines of a wave on the current rayon pool; with one thread, in order.
pub fn run(
    cast: &Cast,
    mut machines: Machines,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    keep_large_blocks();
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
                if let Some((from, to, message, taken)) = answer(&event, &actions) {
                    if taken {
                        observer.sent(from, to, message, encoded_len(message));
                    }
                    if let Some(tapped) = tap.answered(from, message, taken) {
                        inbox.entry(Seat::Adversary).or_default().push(tapped);
                    }
                }
                for action in actions {
                    match action {
                        Action::Send { from, to, message } => {
                            round = round.max(message.round());
                            if matches!(message, Message::Train { .. }) {
                                observer.sent(from, to, &message, encoded_len(&message));
                            }
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
                        // Who serves others waits for them, not for a clock.
                        Action::Wait { .. } => {}
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
pub(super) type Steps = Vec<(Event, Vec<Action>)>;

/// A machine of a wave, and what has happened to it.
type Busy<'a> = (Seat, &'a mut Box<dyn Machine>, Vec<Event>);

/// Workers whose rounds begin together at most: what they read has to stay in the caches.
const TOGETHER: usize = 16;

/// Steps every machine that has events, and returns what they want done in seat order.
pub(super) fn step_all(
    machines: &mut Machines,
    mut inbox: Inbox,
) -> Result<Vec<(Seat, Steps)>, RunError> {
    let mut busy: Vec<Busy<'_>> = machines
        .iter_mut()
        .filter_map(|(&seat, machine)| Some((seat, machine, inbox.remove(&seat)?)))
        .collect();
    let threads = rayon::current_num_threads();
    let pupils = busy.iter().filter(|one| pupil(one).is_some()).count();
    let together = match pupils {
        0 | 1 => 1,
        _ => busy.len().div_ceil(threads).clamp(1, TOGETHER),
    };
    let step = |(seat, machine, events): &mut Busy<'_>| {
        step_one(machine.as_mut(), std::mem::take(events))
            .map(|steps| (*seat, steps))
            .map_err(|error| RunError::Machine { seat: *seat, error })
    };
    let step_block = |block: &mut [Busy<'_>]| -> Result<Vec<(Seat, Steps)>, RunError> {
        begin(block);
        block.iter_mut().map(step).collect()
    };
    let blocks: Vec<_> = if threads == 1 {
        busy.chunks_mut(together).map(step_block).collect::<Result<_, _>>()?
    } else {
        busy.par_chunks_mut(together).map(step_block).collect::<Result<_, _>>()?
    };
    Ok(blocks.into_iter().flatten().collect())
}

/// Who of a wave is going to train.
fn pupil<'a>((_, machine, events): &'a Busy<'_>) -> Option<Pupil<'a>> {
    machine.pupil(events.first()?)
}

/// Begins the rounds of those who train from the same model, so that each need not do it alone.
fn begin(block: &mut [Busy<'_>]) {
    let Some(first) = block.iter().find_map(pupil) else { return };
    let (round, model, functions) =
        (first.round, Arc::clone(&first.model), Arc::clone(&first.trainer.model));
    let same = |pupil: &Pupil<'_>| {
        pupil.round == round
            && Arc::ptr_eq(&pupil.model, &model)
            && Arc::ptr_eq(&pupil.trainer.model, &functions)
    };
    let places: Vec<usize> = (0..block.len())
        .filter(|&place| pupil(&block[place]).is_some_and(|pupil| same(&pupil)))
        .collect();
    let pupils: Vec<Pupil<'_>> = places.iter().filter_map(|&place| pupil(&block[place])).collect();
    let lessons: Vec<_> = pupils.iter().map(|pupil| pupil.trainer.lesson(round)).collect();
    let Some(begun) = begin_together(&lessons, &*functions, model.view()) else { return };
    for (place, begun) in places.into_iter().zip(begun) {
        block[place].1.begin(round, &model, begun);
    }
}

fn step_one(machine: &mut dyn Machine, events: Vec<Event>) -> Result<Steps, ProtocolError> {
    events.into_iter().map(|event| Ok((event.clone(), machine.step(event)?))).collect()
}

/// The answer that a server has just been given, and whether it took it. What it did not take
/// is not counted as traffic of the round, and shows as absent on the wiretap.
fn answer<'a>(event: &'a Event, actions: &[Action]) -> Option<(NodeId, NodeId, &'a Message, bool)> {
    let Event::Received { from, to, message } = event else { return None };
    if matches!(message, Message::Train { .. }) {
        return None;
    }
    let taken = !actions.iter().any(|action| matches!(action, Action::Refuse(_)));
    Some((*from, *to, message, taken))
}

pub(super) fn states(machines: &Machines) -> States {
    machines.iter().map(|(&seat, machine)| (seat, machine.state())).collect()
}

/// Calls `work` for each item, `jobs` at a time on `threads` threads.
///
/// With several jobs each item gets one thread, which gives the most runs per hour; a single job
/// has all threads for the machines of its waves.
pub fn for_each(
    items: &[usize],
    jobs: usize,
    threads: usize,
    work: impl Fn(usize) + Sync,
) -> Result<(), RunError> {
    let pool = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| RunError::Network(format!("no threads to be had: {error}")))
    };
    if jobs <= 1 || items.len() <= 1 {
        return pool(threads)?.install(|| {
            items.iter().copied().for_each(&work);
            Ok(())
        });
    }
    let queue = std::sync::Mutex::new(items.iter().copied());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let pools = (0..jobs.min(items.len())).map(|_| pool(1)).collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| {
                pool.install(|| {
                    while let Some(item) = next() {
                        work(item);
                    }
                });
            });
        }
    });
    Ok(())
}
