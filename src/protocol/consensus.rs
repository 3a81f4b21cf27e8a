//! Agreement of a committee on one value: a small Tendermint, one height, as a state machine.
//!
//! Of n = 3f+1 members up to f lie, stay silent or say different things to different members.
//! Views follow each other until one decides. In each, the proposer, member `(height + view) mod
//! n`, proposes; everybody prevotes for the value if it is acceptable and no lock speaks against
//! it, and nil otherwise; who sees 2f+1 prevotes for the value locks it and precommits; 2f+1
//! precommits decide. A lock is given up only for a value with 2f+1 prevotes of a newer view, and
//! two quorums share an honest member, so no two values are ever decided, however messages are
//! delayed or lost. Somebody decides once messages arrive within the timeouts, which grow by
//! `delta` with every view, and an honest member proposes.
//!
//! Of a member's statements the first of each kind in a view counts; a second, different one
//! becomes [`Evidence`]. The paper relies on a network in which everybody sooner or later sees
//! all that anybody has seen, contradictions included. Here ballots carry that instead: a
//! precommit and a proposal made again carry the 2f+1 prevotes that justify them; one who locks
//! while others prevote otherwise passes the proposal on; and one who begins a view says nil in
//! the view before wherever it has said nothing yet, so that nobody waits there for its votes.
//! Without it one liar, who votes to one member alone, could keep everybody else from ever
//! agreeing. Links must deliver sooner or later; where they may lose, give [`Input::Start`] again
//! now and then.
//!
//! A height has one machine; what belongs to other heights is refused, so the caller sorts by
//! [`Statement::height`](crate::ledger::vote::Statement::height) and keeps what is early.
//! A decided machine is silent: who is late is helped with [`Decision`] and [`Input::Learnt`].
//!
//! Consensus gives agreement, not quality: what is acceptable is the caller's judgement, which
//! must be the same everywhere given the same inputs. With more than a third of liars the height
//! can be stalled; with two thirds or, by equivocation, half of four, it can be forked.
//!
//! Reference: Buchman, Kwon, Milosevic, The latest gossip on BFT consensus, arXiv 1807.04938, 2018.

pub mod ballot;
mod log;
mod rules;
pub mod timer;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use ballot::{Ballot, Payload, Proposal, Quorum, Unfit};
pub use timer::{Timeouts, Timer, Wait};

use crate::ledger::block::Certificate;
use crate::ledger::draw::{quorum, tolerated};
use crate::ledger::hex;
use crate::ledger::keys::Signer;
use crate::ledger::vote::{Evidence, Statement};
use crate::node::{NodeId, Round};
use crate::vector::Digest;
use log::{Log, in_reach};

/// What a member knows before the height begins.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Whose seat it is.
    pub node: NodeId,
    /// The hash of the ledger's genesis, under which everything is signed.
    pub chain: Digest,
    /// The round of the block that is to be agreed on.
    pub height: Round,
    /// The committee, in the order in which its members propose.
    pub members: Vec<NodeId>,
    /// The member's own key and the keys of all members.
    pub keys: Arc<dyn Signer>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Seat {
    /// Who proposes in a view.
    pub fn proposer(&self, view: u32) -> NodeId {
        let turn = u64::from(self.height.0) + u64::from(view);
        self.members[(turn % self.members.len() as u64) as usize]
    }

    /// How many votes decide: 2f+1.
    pub fn quorum(&self) -> usize {
        quorum(self.members.len())
    }

    /// How many members must hold one honest member at least: f+1.
    fn one_honest(&self) -> usize {
        tolerated(self.members.len()) + 1
    }
}

/// Something that happens to a member.
#[derive(Debug, Clone)]
pub enum Input {
    /// The height begins. Given again, after a restart or on new connections, it repeats what the
    /// member has said and waits for.
    Start,
    /// What the member would propose; given at any time, the first counts.
    Mine(Proposal),
    /// A ballot arrives, from its maker or through others.
    Heard(Ballot),
    /// A wait is over.
    Expired(Timer),
    /// The answer to [`Output::Judge`]. A proposal that was refused, for want of an update say,
    /// may be accepted later; the reverse is ignored.
    Judged {
        /// What was judged.
        proposal: Proposal,
        /// Whether it may be decided.
        acceptable: bool,
    },
    /// Another member has decided. Its certificate is checked here; that the payload is what the
    /// value names is for the caller to check before.
    Learnt(Decision),
}

/// Something that a member wants done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send this ballot to all other members. It may be another's, passed on.
    Broadcast(Ballot),
    /// Give [`Input::Expired`] back after so many ticks.
    Wait(Timer, u64),
    /// Say whether this proposal may be decided, by [`Input::Judged`], sooner or later.
    Judge(Proposal),
    /// The height is over.
    Decided(Decision),
    /// A member has made two statements that exclude each other; once for each kind and view.
    Evidence(Box<Evidence>),
    /// A ballot was not taken.
    Refused {
        /// Who is said to have made it.
        member: NodeId,
        /// What is wrong with it.
        reason: Unfit,
    },
}

/// What a height came to, with all that another needs to believe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The value, the hash of the block.
    #[serde(with = "hex")]
    pub value: Digest,
    /// The precommits of 2f+1 members.
    pub certificate: Certificate,
    /// What was proposed under this value.
    pub payload: Payload,
}

/// Where a member is within a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Propose,
    Prevote,
    Precommit,
}

/// All that a member must not forget. Who comes back without it may contradict itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    started: bool,
    view: u32,
    step: Step,
    locked: Option<(Digest, u32)>,
    valid: Option<(Digest, u32)>,
    mine: Option<Proposal>,
    log: Log,
    sent: Vec<Ballot>,
    decision: Option<Decision>,
}

/// One member's part in one height.
#[derive(Debug)]
pub struct Consensus {
    seat: Seat,
    state: State,
    outputs: Vec<Output>,
}

impl Consensus {
    /// A member before the height begins.
    ///
    /// # Panics
    /// If the node is not one of the members.
    pub fn new(seat: Seat) -> Self {
        let state = State {
            started: false,
            view: 0,
            step: Step::Propose,
            locked: None,
            valid: None,
            mine: None,
            log: Log::default(),
            sent: Vec::new(),
            decision: None,
        };
        Consensus::restore(seat, state)
    }

    /// A member with what it remembers. [`Input::Start`] sets it going again.
    ///
    /// # Panics
    /// If the node is not one of the members.
    pub fn restore(seat: Seat, state: State) -> Self {
        assert!(seat.members.contains(&seat.node), "{} is not on the committee", seat.node);
        Consensus { seat, state, outputs: Vec::new() }
    }

    /// What must be kept, before anything is sent, by a member that is to survive a crash.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The seat it was made with.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The view it is in, from 0.
    pub fn view(&self) -> u32 {
        self.state.view
    }

    /// The value it is locked on and the view in which it was.
    pub fn locked(&self) -> Option<(Digest, u32)> {
        self.state.locked
    }

    /// What was decided.
    pub fn decision(&self) -> Option<&Decision> {
        self.state.decision.as_ref()
    }

    /// Takes in what happens and says what is to be done, in this order.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        if self.state.decision.is_none() {
            self.take(input);
            self.apply_rules();
        }
        std::mem::take(&mut self.outputs)
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Start if self.state.started => self.repeat(),
            Input::Start => {
                self.state.started = true;
                self.start(0);
            }
            Input::Mine(proposal) => {
                self.state.mine.get_or_insert(proposal);
                self.propose_if_due();
            }
            Input::Heard(ballot) => self.hear(ballot),
            Input::Expired(timer) => self.expire(timer),
            Input::Judged { proposal, acceptable } => self.state.log.judged(&proposal, acceptable),
            Input::Learnt(decision) => self.learn(decision),
        }
    }

    /// Says again what was said, and waits again for what was waited for.
    fn repeat(&mut self) {
        self.outputs.extend(self.state.sent.iter().cloned().map(Output::Broadcast));
        let view = self.state.view;
        let mut waits = Vec::new();
        if self.state.step == Step::Propose {
            waits.push(Wait::Propose);
        }
        let slot = self.state.log.view(view);
        waits.extend(slot.prevote_timer.then_some(Wait::Prevote));
        waits.extend(slot.precommit_timer.then_some(Wait::Precommit));
        self.state.log.forget_questions();
        for wait in waits {
            self.wait(wait);
        }
    }

    fn wait(&mut self, wait: Wait) {
        let timer = Timer { wait, view: self.state.view };
        self.outputs.push(Output::Wait(timer, self.seat.timeouts.ticks(timer)));
    }

    /// Admits a ballot: refuses what cannot count, and records what does.
    fn hear(&mut self, ballot: Ballot) {
        let (member, view) = (ballot.member, ballot.statement.view);
        if let Err(reason) = ballot.check_form(&self.seat) {
            return self.outputs.push(Output::Refused { member, reason });
        }
        let known = self.state.log.holds(&ballot);
        if member == self.seat.node || known && ballot.quorum.is_none() {
            return;
        }
        if !known && !ballot.is_signed(&self.seat) {
            return self.outputs.push(Output::Refused { member, reason: Unfit::Signature });
        }
        self.state.log.note(member, view);
        if !in_reach(view, self.state.view) {
            return;
        }
        if let Some(quorum) = &ballot.quorum {
            self.absorb(quorum);
        }
        if !known {
            self.record(ballot);
        }
    }

    /// Takes in the prevotes that a ballot carries, if they are news and right.
    fn absorb(&mut self, quorum: &Quorum) {
        let view = quorum.certificate.view;
        let far = view > self.state.view && !in_reach(view, self.state.view);
        if far || self.state.log.quorum_of(view).is_some() || !quorum.holds(&self.seat) {
            return;
        }
        self.state.log.view(view).quorum = Some(quorum.clone());
    }

    fn record(&mut self, ballot: Ballot) {
        let evidence = self.state.log.record(ballot, self.seat.quorum());
        self.outputs.extend(evidence.map(|found| Output::Evidence(Box::new(found))));
    }

    fn learn(&mut self, decision: Decision) {
        let Seat { chain, height, members, keys, .. } = &self.seat;
        let certificate = &decision.certificate;
        let statement = Statement::precommit(*height, certificate.view, decision.value);
        match certificate.check(&statement, chain, members, keys.as_ref()) {
            Ok(()) => self.decide(decision),
            Err(fault) => {
                let (member, reason) = (self.seat.node, Unfit::Certificate(fault));
                self.outputs.push(Output::Refused { member, reason });
            }
        }
    }

    fn decide(&mut self, decision: Decision) {
        self.state.decision = Some(decision.clone());
        self.outputs.push(Output::Decided(decision));
    }
}
