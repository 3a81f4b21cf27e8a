//! One seat in one run without a coordinator: its machine, its lines, and what it tells.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::account;
use super::exchange::{Expectations, Expected, Heard, Switchboard};
use super::line::Line;
use crate::node::{NodeId, Round};
use crate::protocol::{Action, Event, Machine, Message};
use crate::runtime::wire::encoded_len;
use crate::runtime::wire::proto::account::Body;
use crate::runtime::wire::proto::directive::Body as Order;
use crate::runtime::wire::proto::federation_client::FederationClient;
use crate::runtime::wire::proto::{Account, Directive, Directory, Hello, Introduction};

/// How often a seat that waits looks whether those it waits for are late.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Events that may wait for the machine; senders wait for room.
const WAITING_MAX: usize = 256;

/// How a seat takes part in a run without a coordinator.
#[derive(Debug)]
pub struct Setting {
    /// The run.
    pub run_id: String,
    /// Who the seat is.
    pub hello: Hello,
    /// The identities that it speaks for.
    pub identities: BTreeSet<NodeId>,
    /// How many values a model has.
    pub values: usize,
    /// After which rounds models are judged.
    pub judging: Judging,
    /// Where its neighbours come in.
    pub switchboard: Arc<Switchboard>,
    /// How long a neighbour that is waited for may say nothing.
    pub patience: Duration,
}

/// After which rounds models are judged.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// Every so many rounds.
    pub every: u32,
    /// And after the last.
    pub rounds: u32,
}

impl Judging {
    fn due(self, round: Round) -> bool {
        round.0.is_multiple_of(self.every) || round.0 >= self.rounds
    }
}

/// Plays a run to its end.
pub async fn play(
    setting: Setting,
    channel: Channel,
    machine: Box<dyn Machine>,
) -> Result<(), Status> {
    let (accounts, told) = mpsc::unbounded_channel();
    let _ = accounts.send(account::account(Body::Hello(setting.hello.clone())));
    let mut directives = FederationClient::new(channel)
        .report(UnboundedReceiverStream::new(told))
        .await?
        .into_inner();
    let Some(directory) = first_directory(&mut directives).await? else { return Ok(()) };
    let (events, heard) = mpsc::channel(WAITING_MAX);
    let (expected, lines) = wire(&setting, &directory, &events)?;
    setting.switchboard.open(&setting.run_id, expected, setting.values, events.clone());
    let run_id = setting.run_id.clone();
    let switchboard = Arc::clone(&setting.switchboard);
    let seat = Seated {
        setting,
        machine: Some(machine),
        lines,
        accounts,
        events,
        inbox: VecDeque::from([Event::Start]),
        shown: Round(0),
        progress: Round(0),
        lost: BTreeSet::new(),
        finished: false,
    };
    let end = seat.talk(heard, directives).await;
    switchboard.close(&run_id);
    end
}

/// Waits until the run begins; `None` if it is over before.
async fn first_directory(
    directives: &mut Streaming<Directive>,
) -> Result<Option<Directory>, Status> {
    match directives.message().await? {
        Some(Directive { body: Some(Order::Directory(directory)) }) => Ok(Some(directory)),
        Some(Directive { body: Some(Order::Finished(_)) }) => Ok(None),
        _ => Err(Status::unavailable("the coordinator went away before the run began")),
    }
}

/// The lines that this seat speaks on.
struct Lines {
    to: BTreeMap<(NodeId, NodeId), Line>,
    taps: BTreeMap<NodeId, Line>,
}

/// Opens the lines of a directory, and says which will be opened to this seat.
fn wire(
    setting: &Setting,
    directory: &Directory,
    events: &mpsc::Sender<Heard>,
) -> Result<(Expectations, Lines), Status> {
    let mut expected = Expectations::new();
    let mut lines = Lines { to: BTreeMap::new(), taps: BTreeMap::new() };
    for link in &directory.links {
        let (from, to) = (NodeId(link.from), NodeId(link.to));
        if link.address.is_empty() {
            let expectation = Expected { secret: link.secret.clone(), tap: link.tap };
            expected.insert((from, to, link.tap), expectation);
            continue;
        }
        if !setting.identities.contains(&from) {
            return Err(Status::invalid_argument(format!(
                "the coordinator gives out a line of node {from}, whose place is elsewhere"
            )));
        }
        let introduction = Introduction {
            run_id: setting.run_id.clone(),
            from: from.0,
            to: to.0,
            secret: link.secret.clone(),
            tap: link.tap,
        };
        let line = Line::open(link.address.clone(), introduction, to, events.clone());
        match link.tap {
            true => lines.taps.insert(from, line),
            false => lines.to.insert((from, to), line),
        };
    }
    Ok((expected, lines))
}

/// A seat in the middle of a run.
struct Seated {
    setting: Setting,
    machine: Option<Box<dyn Machine>>,
    lines: Lines,
    accounts: mpsc::UnboundedSender<Account>,
    events: mpsc::Sender<Heard>,
    inbox: VecDeque<Event>,
    /// The last round of which the wiretap has been shown something.
    shown: Round,
    progress: Round,
    lost: BTreeSet<NodeId>,
    finished: bool,
}

impl Seated {
    async fn talk(
        mut self,
        mut heard: mpsc::Receiver<Heard>,
        mut directives: Streaming<Directive>,
    ) -> Result<(), Status> {
        let mut last = Instant::now();
        loop {
            while let Some(event) = self.inbox.pop_front() {
                self.step(event).await?;
                last = Instant::now();
            }
            tokio::select! {
                word = heard.recv() => match word {
                    Some(Heard::Event(event)) => self.inbox.push_back(event),
                    Some(Heard::Ended { from }) => self.lose(from),
                    None => return Err(Status::internal("the seat holds the other end itself")),
                },
                directive = directives.message() => match directive? {
                    Some(Directive { body: Some(Order::Finished(_)) }) => return Ok(()),
                    Some(_) => {}
                    None => return Err(Status::unavailable("the coordinator went away")),
                },
                () = sleep(HEARTBEAT) => {
                    if last.elapsed() >= self.setting.patience {
                        self.lose_the_silent();
                        last = Instant::now();
                    }
                }
            }
        }
    }

    fn lose(&mut self, node: NodeId) {
        if !self.finished && !self.setting.identities.contains(&node) && self.lost.insert(node) {
            self.inbox.push_back(Event::Lost { node });
        }
    }

    fn lose_the_silent(&mut self) {
        let awaited = self.machine.as_ref().map(|machine| machine.awaits()).unwrap_or_default();
        for node in awaited {
            tracing::warn!("node {node} has said nothing for too long");
            self.lose(node);
        }
    }

    /// Steps the machine, off the thread that serves the lines, and does what it wants.
    async fn step(&mut self, event: Event) -> Result<(), Status> {
        let Some(mut machine) = self.machine.take() else { return Ok(()) };
        let stepped = spawn_blocking(move || {
            let actions = machine.step(event);
            let closed = machine.closed();
            (machine, actions, closed)
        });
        let (machine, actions, closed) = stepped
            .await
            .map_err(|error| Status::failed_precondition(format!("panicked: {error}")))?;
        self.machine = Some(machine);
        let actions = actions.map_err(|error| Status::failed_precondition(error.to_string()))?;
        for action in actions {
            self.perform(action);
        }
        if closed > self.progress {
            self.progress = closed;
            self.tell(account::progress(closed));
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Send { from, to, message } => self.say(from, to, message),
            Action::Refuse(refusal) => {
                let reason = refusal.reason.to_string();
                self.tell(account::refused(refusal.round, refusal.from, &reason));
            }
            Action::Record(record) => {
                let judged = self.setting.judging.due(record.round);
                for account in account::closed(&record, judged) {
                    self.tell(account);
                }
                self.inbox.push_back(Event::Proceed);
            }
            Action::Wait { timer, milliseconds } => {
                let events = self.events.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(milliseconds)).await;
                    let _ = events.send(Heard::Event(Event::Expired { timer })).await;
                });
            }
            Action::Finish if !self.finished => {
                self.finished = true;
                self.tell(account::finished());
            }
            Action::Finish => {}
        }
    }

    fn say(&mut self, from: NodeId, to: NodeId, message: Message) {
        self.tell(account::sent(message.round(), from, to, encoded_len(&message)));
        self.show(from, &message);
        if self.setting.identities.contains(&to) {
            self.inbox.push_back(Event::Received { from, to, message });
        } else if let Some(line) = self.lines.to.get(&(from, to)) {
            line.say(&message);
        }
    }

    /// Copies the first word of an honest worker in a round to the adversary that reads along.
    fn show(&mut self, from: NodeId, message: &Message) {
        let tells = matches!(
            message,
            Message::Model { .. } | Message::Share { .. } | Message::Absent { .. }
        );
        if tells
            && message.round() > self.shown
            && let Some(line) = self.lines.taps.get(&from)
        {
            self.shown = message.round();
            line.say(message);
        }
    }

    fn tell(&self, account: Account) {
        // A coordinator that is gone is noticed by the half that listens.
        let _ = self.accounts.send(account);
    }
}
