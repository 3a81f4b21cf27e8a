//! The coordinator's driver: the server's machine of one run, and the lines to everybody else.
//!
//! It delivers what the machine sends, sends it once more to whoever comes back, gives up on
//! whoever stays away for longer than the patience, and feeds the wiretap. It is given messages,
//! never anybody's data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use super::hub::{Happening, Line};
use super::wire::proto::envelope::Body;
use super::wire::proto::{Envelope, Finished, Tapped};
use super::wire::{encoded_len, envelopes};
use super::wiretap::Wiretap;
use super::{Cast, Next, Notice, Observer, RunError, Seat, States};
use crate::node::{NodeId, Round};
use crate::protocol::{Action, Event, Machine, Message, Refusal};
use crate::vector::Shared;

/// Refusals after which a node is shown out: it is lost to the run.
const REFUSALS_MAX: u32 = 1000;

/// How often a node may come, in one round, before it is shown out: each time it is given the
/// whole patience again, so without this it could hold up the round for ever.
const COMEBACKS_MAX: u32 = 10;

/// How often a driver that waits looks whether it is to stop.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Drives one run whose other machines are processes.
pub struct Driver<'a> {
    node: NodeId,
    others: usize,
    machine: Box<dyn Machine>,
    happenings: mpsc::Receiver<Happening>,
    handle: Handle,
    patience: Duration,
    stop: Arc<AtomicBool>,
    observer: &'a mut dyn Observer,
    tap: Wiretap,
    reading_along: BTreeSet<NodeId>,
    listener: Option<mpsc::Sender<Result<Tapped, Status>>>,
    tapped: Vec<(NodeId, Message)>,
    round: Round,
    lines: BTreeMap<NodeId, Line>,
    owed: BTreeMap<NodeId, Owed>,
    lost: BTreeSet<NodeId>,
    refusals: BTreeMap<NodeId, u32>,
    comebacks: BTreeMap<NodeId, u32>,
    encoded: Option<(Round, Shared, Vec<Envelope>)>,
}

/// A message that has not been answered yet.
struct Owed {
    message: Message,
    since: Instant,
}

/// What a driver needs beside its machine.
#[derive(Debug)]
pub struct DriverSettings {
    /// The part that the machine plays.
    pub node: NodeId,
    /// What happens on the run's lines.
    pub happenings: mpsc::Receiver<Happening>,
    /// The runtime on which the lines are served.
    pub handle: Handle,
    /// How long a node may stay away, or owe an answer, before it is given up.
    pub patience: Duration,
    /// Set when the run is to stop.
    pub stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Driver").field("round", &self.round).finish_non_exhaustive()
    }
}

impl<'a> Driver<'a> {
    /// A driver for this machine, whose state has been restored if there was one.
    pub fn new(
        settings: DriverSettings,
        cast: &Cast,
        machine: Box<dyn Machine>,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let DriverSettings { node, happenings, handle, patience, stop } = settings;
        Driver {
            node,
            others: cast.voices.keys().filter(|&&other| other != node).count(),
            machine,
            happenings,
            handle,
            patience,
            stop,
            observer,
            tap: Wiretap::new(cast),
            reading_along: reading_along(cast),
            listener: None,
            tapped: Vec::new(),
            round: Round(0),
            lines: BTreeMap::new(),
            owed: BTreeMap::new(),
            lost: BTreeSet::new(),
            refusals: BTreeMap::new(),
            comebacks: BTreeMap::new(),
            encoded: None,
        }
    }

    /// Runs until the last round is closed; whoever is still there then waits to be told so.
    pub fn run(mut self) -> Result<Parting, RunError> {
        let mut finished = self.step(Event::Start)?;
        while !finished {
            if self.stop.load(Ordering::Relaxed) {
                // Every closed round is on disk already.
                return Err(RunError::Interrupted);
            }
            finished = match self.next_happening() {
                // What has come is taken before anybody is given up, but a flood of it must not
                // put that off for ever.
                Some(happening) => {
                    self.take(happening)? || self.give_up_on_the_late(2 * self.patience)?
                }
                None => self.give_up_on_the_late(self.patience)?,
            };
        }
        Ok(Parting { lines: self.lines })
    }

    /// The answers that can be late. Who reads along answers after the last of the others, and
    /// is not late for as long as one of them is missing.
    fn awaited(&self) -> impl Iterator<Item = (NodeId, Instant)> {
        let others_owe = self.owed.keys().any(|node| !self.reading_along.contains(node));
        let waits = move |node: &NodeId| others_owe && self.reading_along.contains(node);
        let awaited = self.owed.iter().filter(move |(node, _)| !waits(node));
        awaited.map(|(&node, owed)| (node, owed.since))
    }

    /// What happens next, if anything does before somebody is late.
    fn next_happening(&mut self) -> Option<Happening> {
        let now = Instant::now();
        let late = self.awaited().map(|(_, since)| since + self.patience).min();
        let wait = late.map_or(HEARTBEAT, |late| late.saturating_duration_since(now));
        let happenings = &mut self.happenings;
        let wait = wait.min(HEARTBEAT);
        let next = async { timeout(wait, happenings.recv()).await };
        self.handle.block_on(next).ok().flatten()
    }

    fn take(&mut self, happening: Happening) -> Result<bool, RunError> {
        match happening {
            Happening::Joined { node, line } => self.join(node, line),
            Happening::Said { node, line, message } if self.speaks(node, line) => {
                self.step(Event::Received { from: node, to: self.node, message })
            }
            Happening::Garbled { node, line, reason } if self.speaks(node, line) => {
                self.step(Event::Garbled { from: node, reason })
            }
            Happening::Denied { node, reason } => self.step(Event::Garbled { from: node, reason }),
            Happening::Left { node, line } if self.speaks(node, line) => {
                self.hang_up(node)?;
                Ok(false)
            }
            Happening::Tapping { outgoing } => {
                self.listener = Some(outgoing);
                for (from, message) in self.tapped.clone() {
                    self.tell(from, &message)?;
                }
                Ok(false)
            }
            // Left over from a connection that has been replaced.
            _ => Ok(false),
        }
    }

    fn speaks(&self, node: NodeId, line: u64) -> bool {
        self.lines.get(&node).is_some_and(|current| current.id == line)
    }

    fn hang_up(&mut self, node: NodeId) -> Result<(), RunError> {
        if self.lines.remove(&node).is_some() {
            self.observer.noticed(Notice::Left { node })?;
        }
        Ok(())
    }

    /// Lets a node speak on a new line, and asks it again what it has not answered.
    fn join(&mut self, node: NodeId, line: Line) -> Result<bool, RunError> {
        let comebacks = self.comebacks.entry(node).or_default();
        *comebacks = comebacks.saturating_add(1);
        let restless = *comebacks > COMEBACKS_MAX;
        let over = if restless && !self.lost.contains(&node) { self.give_up(node)? } else { false };
        if self.lost.contains(&node) {
            let gone = Status::aborted(format!(
                "node {node} is absent from this run: it stayed away longer than {} s, or came \
                 more than {COMEBACKS_MAX} times in a round, or was refused {REFUSALS_MAX} times",
                self.patience.as_secs()
            ));
            let _ = line.outgoing.try_send(Err(gone));
            return Ok(over);
        }
        self.observer.noticed(Notice::Joined { node, process: line.process })?;
        self.lines.insert(node, line);
        if let Some(owed) = self.owed.get_mut(&node) {
            owed.since = Instant::now();
            let message = owed.message.clone();
            self.deliver(node, &message)?;
        }
        Ok(false)
    }

    fn give_up_on_the_late(&mut self, patience: Duration) -> Result<bool, RunError> {
        let now = Instant::now();
        let late = self.awaited().filter(|(_, since)| now.duration_since(*since) >= patience);
        let late: Vec<NodeId> = late.map(|(node, _)| node).collect();
        for node in late {
            if self.give_up(node)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn give_up(&mut self, node: NodeId) -> Result<bool, RunError> {
        self.owed.remove(&node);
        self.lines.remove(&node);
        self.lost.insert(node);
        if self.lost.len() == self.others {
            // The machine is not told, so that what is resumed begins with everybody again.
            return Err(RunError::Network(format!(
                "nobody is left: all {} nodes stayed away longer than {} s; start them and run \
                 the same command again, or give --patience more seconds",
                self.others,
                self.patience.as_secs()
            )));
        }
        self.observer.noticed(Notice::Lost { node })?;
        if let Some(event) = self.tap.lost(node, self.round) {
            self.show(event)?;
        }
        self.step(Event::Lost { node })
    }

    /// Steps the machine and does what it wants; says whether the run is over.
    fn step(&mut self, event: Event) -> Result<bool, RunError> {
        let seat = Seat::Node(self.node);
        let actions =
            self.machine.step(event.clone()).map_err(|error| RunError::Machine { seat, error })?;
        self.overhear(event, &actions)?;
        let mut finished = false;
        let mut shown_out = Vec::new();
        for action in actions {
            match action {
                Action::Send { from, to, message } => {
                    self.begin(message.round())?;
                    let bytes = encoded_len(&message);
                    self.observer.sent(from, to, &message, bytes);
                    self.deliver(to, &message)?;
                    self.owed.insert(to, Owed { message, since: Instant::now() });
                }
                Action::Refuse(refusal) => shown_out.extend(self.refuse(&refusal)?),
                Action::Record(record) => match self.observer.closed(&record)? {
                    Next::Continue => {}
                    Next::Checkpoint => self.checkpoint(record.round)?,
                    Next::Stop => {
                        self.checkpoint(record.round)?;
                        return Err(RunError::Interrupted);
                    }
                },
                // A server waits for its workers, and the patience of this driver ends that.
                Action::Wait { .. } => {}
                Action::Finish => finished = true,
            }
        }
        for node in shown_out {
            finished |= self.give_up(node)?;
        }
        Ok(finished)
    }

    fn checkpoint(&mut self, round: Round) -> Result<(), RunError> {
        let states = States::from([(Seat::Node(self.node), self.machine.state())]);
        self.observer.checkpoint(round, &states)
    }

    /// Counts a refusal; a node that has had too many is to be shown out.
    fn refuse(&mut self, refusal: &Refusal) -> Result<Option<NodeId>, RunError> {
        self.observer.refused(refusal)?;
        let count = self.refusals.entry(refusal.from).or_default();
        *count += 1;
        Ok((*count == REFUSALS_MAX).then_some(refusal.from))
    }

    /// Notes who has had its turn, what its answer looked like on the wire, and shows it to the
    /// adversary. What is refused without ending the sender's turn leaves it owing an answer.
    fn overhear(&mut self, event: Event, actions: &[Action]) -> Result<(), RunError> {
        let (from, received) = match event {
            Event::Received { from, to, message } => (from, Some((to, message))),
            Event::Garbled { from, .. } => (from, None),
            _ => return Ok(()),
        };
        let refused = actions.iter().find_map(|action| match action {
            Action::Refuse(refusal) => Some(&refusal.reason),
            _ => None,
        });
        let shown = match (refused, received) {
            (None, Some((to, message))) => {
                self.owed.remove(&from);
                let bytes = encoded_len(&message);
                self.observer.sent(from, to, &message, bytes);
                self.tap.answered(from, &message, true)
            }
            (Some(reason), _) if reason.ends_turn() && self.owed.remove(&from).is_some() => {
                self.tap.answered(from, &Message::Absent { round: self.round }, false)
            }
            _ => None,
        };
        shown.map_or(Ok(()), |event| self.show(event))
    }

    /// Forgets what belongs to the round before.
    fn begin(&mut self, round: Round) -> Result<(), RunError> {
        if round <= self.round {
            return Ok(());
        }
        self.round = round;
        self.comebacks.clear();
        self.tapped.clear();
        for event in self.tap.round_begins(round) {
            self.show(event)?;
        }
        Ok(())
    }

    /// Shows the adversary something, now and once more if it comes back in this round.
    fn show(&mut self, event: Event) -> Result<(), RunError> {
        let Event::Tapped { from, message } = event else { return Ok(()) };
        self.tell(from, &message)?;
        self.tapped.push((from, message));
        for node in &self.reading_along {
            if let Some(owed) = self.owed.get_mut(node) {
                owed.since = Instant::now();
            }
        }
        Ok(())
    }

    /// Tells the adversary that reads along, and hangs up on one that does not read.
    fn tell(&mut self, from: NodeId, message: &Message) -> Result<(), RunError> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let tapped = envelopes(message)
            .into_iter()
            .map(|envelope| Ok(Tapped { from: from.0, envelope: Some(envelope) }));
        if !send_all(listener, tapped) {
            self.listener = None;
            for node in self.reading_along.clone() {
                self.hang_up(node)?;
            }
        }
        Ok(())
    }

    /// Sends to a node that is there; one that is not is sent the same when it comes. One that
    /// answers and does not read what it is asked is hung up on.
    fn deliver(&mut self, to: NodeId, message: &Message) -> Result<(), RunError> {
        let Some(line) = self.lines.get(&to) else { return Ok(()) };
        let Message::Train { round, model } = message else {
            let sent = send_all(&line.outgoing, envelopes(message).into_iter().map(Ok));
            return if sent { Ok(()) } else { self.hang_up(to) };
        };
        // The same model goes to everybody: its bytes are made once.
        let fresh = match &self.encoded {
            Some((known, known_model, _)) => known != round || !Arc::ptr_eq(known_model, model),
            None => true,
        };
        if fresh {
            self.encoded = Some((*round, Arc::clone(model), envelopes(message)));
        }
        let Some((_, _, encoded)) = &self.encoded else { return Ok(()) };
        let sent = send_all(&line.outgoing, encoded.iter().cloned().map(Ok));
        if sent { Ok(()) } else { self.hang_up(to) }
    }
}

/// Sends all of these if there is room for them. A line that is gone reports so itself.
fn send_all<T>(
    outgoing: &mpsc::Sender<Result<T, Status>>,
    parts: impl IntoIterator<Item = Result<T, Status>>,
) -> bool {
    for part in parts {
        match outgoing.try_send(part) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return false,
            Err(mpsc::error::TrySendError::Closed(_)) => return true,
        }
    }
    true
}

/// The lines of a run that is over.
///
/// Participants forget their states when they hear of it: what the run came to must be kept
/// before they are told.
#[derive(Debug)]
pub struct Parting {
    lines: BTreeMap<NodeId, Line>,
}

impl Parting {
    /// Tells everybody that the run is over.
    pub fn tell(self) {
        let finished = Envelope { body: Some(Body::Finished(Finished {})) };
        for line in self.lines.values() {
            // Who has left no room for it does not read.
            let _ = line.outgoing.try_send(Ok(finished.clone()));
        }
    }
}

/// The identities that answer after they have read what the others send.
fn reading_along(cast: &Cast) -> BTreeSet<NodeId> {
    let identities = if cast.tapped { cast.identities(Seat::Adversary) } else { Vec::new() };
    identities.into_iter().collect()
}
