//! A committee and the network between its members, in virtual time, from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use byzlab::ledger::keys::{Keyring, Signature, Signer, Verifier};
use byzlab::ledger::vote::{Evidence, Kind};
use byzlab::node::{NodeId, Round};
use byzlab::protocol::consensus::{
    Ballot, Consensus, Decision, Input, Output, Proposal, Seat, State, Timeouts,
};
use byzlab::vector::Digest;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::liars::Liar;

/// When the network settles, what it does before, and who is down when.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    /// From this tick on messages take 1 to 3 ticks; `None`: never.
    pub(super) settles: Option<u64>,
    /// The longest delay before.
    pub(super) delay: u64,
    /// The chance that a message is lost before. What is lost arrives after the network has
    /// settled, if it ever does.
    pub(super) loss: f64,
    /// Who is down, from when until when; `u64::MAX` is for ever.
    pub(super) down: BTreeMap<usize, (u64, u64)>,
    /// Until when messages between these members and the others are held back.
    pub(super) partition: (u64, BTreeSet<usize>),
}

impl Weather {
    pub(super) fn calm() -> Self {
        Weather {
            settles: Some(0),
            delay: 1,
            loss: 0.0,
            down: BTreeMap::new(),
            partition: (0, BTreeSet::new()),
        }
    }
}

/// Signatures by a keyed hash: as good as any among those who do not forge, and a hundred times
/// cheaper than real ones where millions are needed.
#[derive(Debug)]
struct Hashed(NodeId);

fn hashed(node: NodeId, message: &[u8]) -> Signature {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&node.0.to_le_bytes()).update(message);
    let mut bytes = [0; 64];
    hasher.finalize_xof().fill(&mut bytes);
    Signature::from_bytes(bytes)
}

impl Verifier for Hashed {
    fn verify(&self, node: NodeId, message: &[u8], signature: &Signature) -> bool {
        hashed(node, message) == *signature
    }
}

impl Signer for Hashed {
    fn sign(&self, message: &[u8]) -> Signature {
        hashed(self.0, message)
    }
}

/// The keys of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Real,
    Cheap,
}

/// The seat of member `index` of `count` in height 8, in which member 0 proposes first among 4
/// and member 1 among 7.
pub(super) fn seat(index: usize, count: usize, keys: Keys) -> Seat {
    let members: Vec<NodeId> = (0..count as u32).map(NodeId).collect();
    let node = members[index];
    let keys: Arc<dyn Signer> = match keys {
        Keys::Real => Arc::new(Keyring::derive("test", node, &members)),
        Keys::Cheap => Arc::new(Hashed(node)),
    };
    let chain = Digest::of_bytes(b"genesis");
    Seat { node, chain, height: Round(8), members, keys, timeouts: Timeouts::default() }
}

/// A value that everybody accepts, if its payload says so.
pub(super) fn proposal(text: &str) -> Proposal {
    let payload = text.as_bytes().to_vec();
    Proposal { value: Digest::of_bytes(&payload), payload: payload.into() }
}

/// What honest members accept: a payload that is what the value names and is called good.
pub(super) fn acceptable(proposal: &Proposal) -> bool {
    let payload = proposal.payload.as_bytes();
    Digest::of_bytes(payload) == proposal.value && payload.starts_with(b"good")
}

/// One on the committee: a machine, and the liar that speaks through it if it is one.
struct Place {
    machine: Option<Consensus>,
    kept: Option<State>,
    liar: Option<Liar>,
    decision: Option<Decision>,
}

/// The whole simulation.
pub(super) struct Network {
    places: Vec<Place>,
    weather: Weather,
    keys: Keys,
    rng: ChaCha8Rng,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), (usize, Arrival)>,
    /// What honest members have found out about others.
    pub(super) evidence: Vec<Evidence>,
}

#[derive(Debug, Clone)]
enum Arrival {
    Input(Box<Input>),
    Crash,
    Return,
}

fn arrival(input: Input) -> Arrival {
    Arrival::Input(Box::new(input))
}

impl Network {
    /// Members with a value of their own each, ready at once; `liars` replace some.
    pub(super) fn new(
        count: usize,
        keys: Keys,
        weather: Weather,
        liars: BTreeMap<usize, Liar>,
        seed: u64,
    ) -> Self {
        let mut liars = liars;
        let places = (0..count).map(|index| Place {
            machine: Some(Consensus::new(seat(index, count, keys))),
            kept: None,
            liar: liars.remove(&index),
            decision: None,
        });
        let mut network = Network {
            places: places.collect(),
            weather,
            keys,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            evidence: Vec::new(),
        };
        network.begin();
        network
    }

    fn begin(&mut self) {
        let down = self.weather.down.clone();
        for (index, (from, until)) in down {
            self.at(from, index, Arrival::Crash);
            if until != u64::MAX {
                self.at(until, index, Arrival::Return);
            }
        }
        for index in 0..self.places.len() {
            let text = match &self.places[index].liar {
                Some(liar) => liar.proposes(index),
                None => format!("good {index}"),
            };
            let ready = if self.weather.delay > 1 { self.rng.random_range(0..60) } else { 0 };
            self.at(0, index, arrival(Input::Start));
            self.at(ready, index, arrival(Input::Mine(proposal(&text))));
        }
    }

    fn at(&mut self, time: u64, to: usize, arrival: Arrival) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), (to, arrival));
    }

    /// Runs until nothing is left to happen, every honest member that is up has decided, or the
    /// time is over.
    pub(super) fn run(&mut self, until: u64) {
        while let Some(((time, _), (to, arrival))) = self.queue.pop_first() {
            if time > until || self.is_over() {
                break;
            }
            self.now = time;
            self.deliver(to, arrival);
        }
    }

    /// Whether every honest member that does not stay away has decided.
    pub(super) fn is_over(&self) -> bool {
        (0..self.places.len()).all(|index| {
            let place = &self.places[index];
            let gone = self.weather.down.get(&index).is_some_and(|(_, until)| *until == u64::MAX);
            gone || place.liar.is_some() || place.decision.is_some()
        })
    }

    fn deliver(&mut self, to: usize, arrival: Arrival) {
        match arrival {
            Arrival::Crash => {
                let machine = self.places[to].machine.take().unwrap();
                let bytes = postcard::to_allocvec(machine.state()).unwrap();
                self.places[to].kept = Some(postcard::from_bytes(&bytes).unwrap());
            }
            Arrival::Return => {
                let state = self.places[to].kept.take().unwrap();
                let seat = seat(to, self.places.len(), self.keys);
                self.places[to].machine = Some(Consensus::restore(seat, state));
                self.step(to, Input::Start);
            }
            Arrival::Input(input) if self.places[to].machine.is_some() => self.step(to, *input),
            Arrival::Input(input) => self.postpone(to, *input),
        }
    }

    /// What reaches one who is down is sent again when it is back; its timers are gone.
    fn postpone(&mut self, to: usize, input: Input) {
        let back = self.weather.down[&to].1;
        let kept = matches!(input, Input::Heard(_) | Input::Learnt(_) | Input::Mine(_));
        if back != u64::MAX && kept {
            let delay = self.rng.random_range(1..4);
            self.at(back + delay, to, Arrival::Input(Box::new(input)));
        }
    }

    fn step(&mut self, of: usize, input: Input) {
        let outputs = self.places[of].machine.as_mut().unwrap().step(input);
        for output in outputs {
            match output {
                Output::Broadcast(ballot) => self.broadcast(of, ballot),
                Output::Wait(timer, ticks) => {
                    self.at(self.now + ticks, of, arrival(Input::Expired(timer)));
                }
                Output::Judge(proposal) => self.judge(of, proposal),
                Output::Decided(decision) => self.decided(of, decision),
                Output::Evidence(evidence) if self.places[of].liar.is_none() => {
                    self.evidence.push(*evidence);
                }
                Output::Evidence(_) => {}
                Output::Refused { member, reason } => panic!("{member} refused: {reason}"),
            }
        }
    }

    fn broadcast(&mut self, from: usize, ballot: Ballot) {
        let seat = self.places[from].machine.as_ref().unwrap().seat().clone();
        for to in (0..self.places.len()).filter(|to| *to != from) {
            let sent = match &mut self.places[from].liar {
                Some(liar) => liar.say(&seat, &ballot, to, &mut self.rng),
                None => vec![ballot.clone()],
            };
            for ballot in sent {
                self.send(from, to, Input::Heard(ballot));
            }
        }
    }

    fn judge(&mut self, of: usize, proposal: Proposal) {
        let acceptable = self.places[of].liar.is_some() || acceptable(&proposal);
        let delay = if self.weather.delay > 1 { self.rng.random_range(0..4) } else { 0 };
        self.at(self.now + delay, of, arrival(Input::Judged { proposal, acceptable }));
    }

    /// An honest member tells everybody what was decided.
    fn decided(&mut self, of: usize, decision: Decision) {
        self.places[of].decision = Some(decision.clone());
        if self.places[of].liar.is_none() {
            for to in (0..self.places.len()).filter(|to| *to != of) {
                self.send(of, to, Input::Learnt(decision.clone()));
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, input: Input) {
        let (healed, side) = &self.weather.partition;
        let apart = self.now < *healed && side.contains(&from) != side.contains(&to);
        let start = if apart { *healed } else { self.now };
        let calm = self.weather.settles.is_some_and(|settles| start >= settles);
        let arrival = if calm {
            start + self.rng.random_range(1..4)
        } else if self.rng.random_bool(self.weather.loss) {
            let Some(settles) = self.weather.settles else { return };
            settles + self.rng.random_range(1..4)
        } else {
            start + self.rng.random_range(1..=self.weather.delay)
        };
        self.at(arrival, to, Arrival::Input(Box::new(input)));
    }

    /// What the honest have decided, by member.
    pub(super) fn decisions(&self) -> BTreeMap<usize, &Decision> {
        let honest = |(index, place): (usize, &'_ Place)| (index, place.liar.is_none());
        let decided = self.places.iter().enumerate().filter(|place| honest(*place).1);
        decided.filter_map(|(index, place)| Some((index, place.decision.as_ref()?))).collect()
    }

    /// The one value that the honest have decided, if any has. Panics if there are two, or if one
    /// was decided that none of them would have accepted.
    pub(super) fn agreed(&self) -> Option<Digest> {
        let decisions = self.decisions();
        let mut values: Vec<Digest> = decisions.values().map(|decision| decision.value).collect();
        values.dedup();
        assert!(values.len() < 2, "two values at one height: {values:?}");
        for Decision { value, payload, .. } in decisions.values() {
            assert!(acceptable(&Proposal { value: *value, payload: payload.clone() }));
        }
        values.first().copied()
    }

    /// In which views decisions were certified.
    pub(super) fn views(&self) -> BTreeSet<u32> {
        self.decisions().values().map(|decision| decision.certificate.view).collect()
    }

    /// Who is accused of what. Panics if an accusation does not hold.
    pub(super) fn accused(&self) -> BTreeSet<(u32, Kind)> {
        let Seat { chain, keys, .. } = seat(0, self.places.len(), self.keys);
        assert!(self.evidence.iter().all(|evidence| evidence.holds(&chain, keys.as_ref())));
        let accused = |evidence: &Evidence| (evidence.member.0, evidence.first.0.kind());
        self.evidence.iter().map(accused).collect()
    }
}
