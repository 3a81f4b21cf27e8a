//! The observer of a run without a coordinator: tells everybody where the others are, and keeps
//! what they tell.
//!
//! It takes no part. A seat whose account breaks off is noted as lost and waited for no longer;
//! its neighbours notice by themselves. What a round came to is passed on when everybody who is
//! left has said all that belongs to it, so that no byte is missing from the count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use super::account::Tale;
use crate::node::{NodeId, Round};
use crate::protocol::{Message, Reason, Refusal, RoundRecord};
use crate::runtime::hub::Happening;
use crate::runtime::token::Token;
use crate::runtime::wire::proto::directive::Body;
use crate::runtime::wire::proto::{Directive, Directory, Finished, Link};
use crate::runtime::{Cast, Next, Notice, Observer, RunError, Seat};

/// How often a supervisor that waits looks whether it is to stop.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Where a seat's directives go.
pub type Directives = mpsc::Sender<Result<Directive, Status>>;

/// What a supervisor needs.
#[derive(Debug)]
pub struct SupervisorSettings {
    /// The run's name.
    pub run_id: String,
    /// What happens on the run's lines.
    pub happenings: mpsc::Receiver<Happening>,
    /// Where each seat listens for its neighbours, as far as it has said so.
    pub addresses: Arc<dyn Addresses>,
    /// Everybody who talks to a node, by node.
    pub links: BTreeMap<NodeId, Vec<NodeId>>,
    /// The runtime on which the lines are served.
    pub handle: Handle,
    /// How long everybody may take to come.
    pub patience: Duration,
    /// Set when the run is to stop.
    pub stop: Arc<AtomicBool>,
}

/// Knows where seats listen.
pub trait Addresses: std::fmt::Debug + Send + Sync {
    /// Where a seat listens for its neighbours.
    fn address(&self, seat: Seat) -> Option<String>;
}

/// Supervises one run.
pub struct Supervisor<'a> {
    settings: SupervisorSettings,
    cast: &'a Cast,
    observer: &'a mut dyn Observer,
    present: BTreeMap<Seat, Directives>,
    lines: BTreeMap<Seat, u64>,
    progress: BTreeMap<Seat, Round>,
    records: BTreeMap<Round, Vec<RoundRecord>>,
    finished: BTreeSet<Seat>,
    gone: BTreeSet<Seat>,
}

impl std::fmt::Debug for Supervisor<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Supervisor")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The seats of a run that is over, which wait to be told so.
#[derive(Debug)]
pub struct Dismissal {
    seats: Vec<Directives>,
}

impl Dismissal {
    /// Tells everybody that the run is over.
    pub fn tell(self) {
        for seat in self.seats {
            let _ = seat.try_send(Ok(Directive { body: Some(Body::Finished(Finished {})) }));
        }
    }
}

impl<'a> Supervisor<'a> {
    /// A supervisor of this cast.
    pub fn new(
        settings: SupervisorSettings,
        cast: &'a Cast,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Supervisor {
            settings,
            cast,
            observer,
            present: BTreeMap::new(),
            lines: BTreeMap::new(),
            progress: BTreeMap::new(),
            records: BTreeMap::new(),
            finished: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Runs until everybody who is left has finished.
    pub fn run(mut self) -> Result<Dismissal, RunError> {
        self.gather()?;
        self.direct()?;
        while !self.is_over() {
            if self.settings.stop.load(Ordering::Relaxed) {
                return Err(RunError::Interrupted);
            }
            if let Some(happening) = self.next_happening() {
                self.take(happening)?;
            }
        }
        self.pass_on(true)?;
        Ok(Dismissal { seats: self.present.into_values().collect() })
    }

    /// Whether everybody has finished who can: a seat that has crashed by plan never does.
    fn is_over(&self) -> bool {
        self.seats_left().all(|seat| self.finished.contains(&seat) || self.is_down(seat))
    }

    /// Whether a seat stops by plan.
    fn is_down(&self, seat: Seat) -> bool {
        self.cast.identities(seat).iter().all(|node| self.cast.down.contains(node))
    }

    fn seats_left(&self) -> impl Iterator<Item = Seat> + '_ {
        self.cast.seats().into_iter().filter(|seat| !self.gone.contains(seat))
    }

    fn next_happening(&mut self) -> Option<Happening> {
        let happenings = &mut self.settings.happenings;
        let next = async { timeout(HEARTBEAT, happenings.recv()).await };
        self.settings.handle.block_on(next).ok().flatten()
    }

    /// Waits until every seat has come.
    fn gather(&mut self) -> Result<(), RunError> {
        let seats = self.cast.seats();
        let deadline = Instant::now() + self.settings.patience;
        while self.present.len() + self.gone.len() < seats.len() {
            if self.settings.stop.load(Ordering::Relaxed) {
                return Err(RunError::Interrupted);
            }
            if Instant::now() >= deadline {
                let missing = seats.iter().find(|seat| !self.present.contains_key(seat));
                return Err(RunError::Network(format!(
                    "{} did not come within {} s: start it, or give --patience more seconds",
                    missing.map_or_else(String::new, Seat::to_string),
                    self.settings.patience.as_secs()
                )));
            }
            if let Some(happening) = self.next_happening() {
                self.take(happening)?;
            }
        }
        Ok(())
    }

    /// Tells every seat whom to talk to.
    fn direct(&mut self) -> Result<(), RunError> {
        let key = Token::random()?;
        let mut directories: BTreeMap<Seat, Vec<Link>> = BTreeMap::new();
        let mut lines: Vec<(NodeId, NodeId, bool)> = Vec::new();
        for (&from, receivers) in &self.settings.links {
            lines.extend(receivers.iter().map(|&to| (from, to, false)));
        }
        if self.cast.tapped
            && let Some(&listener) = self.cast.identities(Seat::Adversary).first()
        {
            lines.extend(self.cast.honest.iter().map(|&from| (from, listener, true)));
        }
        for (from, to, tap) in lines {
            let (speaker, listener) = (self.cast.voices[&from], self.cast.voices[&to]);
            if speaker == listener {
                continue;
            }
            let Some(address) = self.settings.addresses.address(listener) else { continue };
            let secret = secret(&key, &self.settings.run_id, from, to, tap);
            let link = Link { from: from.0, to: to.0, address, secret, tap };
            let expected = Link { address: String::new(), ..link.clone() };
            directories.entry(speaker).or_default().push(link);
            directories.entry(listener).or_default().push(expected);
        }
        for (seat, directives) in &self.present {
            let links = directories.remove(seat).unwrap_or_default();
            let directive = Directive { body: Some(Body::Directory(Directory { links })) };
            let _ = directives.try_send(Ok(directive));
        }
        Ok(())
    }

    fn take(&mut self, happening: Happening) -> Result<(), RunError> {
        match happening {
            Happening::Reporting { seat, process, line, directives } => {
                self.join(seat, process, line, directives)
            }
            Happening::Told { seat, line, tale } if self.lines.get(&seat) == Some(&line) => {
                self.hear(seat, tale)
            }
            Happening::Hushed { seat, line } if self.lines.get(&seat) == Some(&line) => {
                self.lose(seat)
            }
            Happening::Denied { node, reason } => self.refused(Round(0), node, reason),
            _ => Ok(()),
        }
    }

    fn join(
        &mut self,
        seat: Seat,
        process: u32,
        line: u64,
        directives: Directives,
    ) -> Result<(), RunError> {
        if self.gone.contains(&seat) || self.present.contains_key(&seat) {
            // Its place in the run is lost: who has forgotten what it said cannot go on saying it.
            let late = Status::aborted(format!("{seat} has no place in this run any more"));
            let _ = directives.try_send(Err(late));
            return Ok(());
        }
        self.present.insert(seat, directives);
        self.lines.insert(seat, line);
        self.progress.insert(seat, Round(0));
        for node in self.cast.identities(seat) {
            self.observer.noticed(Notice::Joined { node, process })?;
        }
        Ok(())
    }

    fn hear(&mut self, seat: Seat, tale: Tale) -> Result<(), RunError> {
        match tale {
            Tale::Sent { round, from, to, bytes } => {
                if self.cast.voices.get(&from) == Some(&seat) {
                    // Only the round matters of a message that is counted.
                    self.observer.sent(from, to, &Message::Settled { round }, bytes);
                }
                Ok(())
            }
            Tale::Closed(record) => {
                if self.cast.voices.get(&record.node) == Some(&seat) {
                    self.records.entry(record.round).or_default().push(*record);
                }
                Ok(())
            }
            Tale::Refused { round, from, reason } => {
                self.refused(round, from, Reason::Reported(reason))
            }
            Tale::Progress(round) => {
                self.progress.insert(seat, round);
                self.pass_on(false)
            }
            Tale::Finished => {
                self.finished.insert(seat);
                self.pass_on(false)
            }
        }
    }

    fn refused(&mut self, round: Round, from: NodeId, reason: Reason) -> Result<(), RunError> {
        self.observer.refused(&Refusal { from, round, reason })
    }

    /// Passes the records of all rounds on of which everything is said.
    fn pass_on(&mut self, all: bool) -> Result<(), RunError> {
        let unfinished = self.seats_left().filter(|seat| !self.finished.contains(seat));
        let behind =
            unfinished.map(|seat| self.progress.get(&seat).copied().unwrap_or_default()).min();
        while let Some(entry) = self.records.first_entry() {
            if !all && behind.is_some_and(|round| round < *entry.key()) {
                break;
            }
            let mut records = entry.remove();
            records.sort_by_key(|record| record.node);
            for record in records {
                if self.observer.closed(&record)? == Next::Stop {
                    return Err(RunError::Interrupted);
                }
            }
        }
        Ok(())
    }

    fn lose(&mut self, seat: Seat) -> Result<(), RunError> {
        self.present.remove(&seat);
        if self.finished.contains(&seat) || !self.gone.insert(seat) {
            return Ok(());
        }
        self.pass_on(false)?;
        for node in self.cast.identities(seat) {
            self.observer.noticed(Notice::Lost { node })?;
        }
        Ok(())
    }
}

/// The secret of a line, of which both ends are told.
fn secret(key: &Token, run_id: &str, from: NodeId, to: NodeId, tap: bool) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 line secret v1");
    hasher.update(key.as_bytes());
    hasher.update(run_id.as_bytes());
    hasher.update(&from.0.to_le_bytes());
    hasher.update(&to.0.to_le_bytes());
    hasher.update(&[u8::from(tap)]);
    hasher.finalize().as_bytes().to_vec()
}
