use std::collections::VecDeque;

use ndarray::Array1;

use super::*;
use crate::aggregators::CATALOG;
use crate::protocol::Claims;
use crate::protocol::collection::Contribution;
use crate::protocol::echo::quorum;

/// Two workers and four replicas, of which one lies: its words are written by the test.
struct Stage {
    replicas: BTreeMap<NodeId, Replica>,
    liar: NodeId,
    /// What the honest replicas sent to the liar, and what they recorded.
    to_liar: Vec<(NodeId, Message)>,
    told: BTreeMap<NodeId, Message>,
    records: BTreeMap<NodeId, RoundRecord>,
    refused: Vec<(NodeId, Reason)>,
}

const REPLICAS: [u32; 4] = [2, 3, 4, 5];

fn replica(node: u32) -> Replica {
    Replica::new(ReplicaSettings {
        node: NodeId(node),
        workers: Roster::of_workers(2),
        others: REPLICAS.into_iter().filter(|&other| other != node).map(NodeId).collect(),
        echo: Some(quorum(4, 1)),
        contract: None,
        aggregation: AggregationSettings {
            rule: CATALOG.build_default("mean").unwrap().value,
            byzantine: 0,
            rounds: 2,
            descent: crate::training::Descent::plain(1.0),
            seed: 1,
            node: NodeId(2),
            head: 0..1,
        },
        participation: None,
        initial: Arc::new(Array1::from(vec![0.0])),
    })
}

fn contribution(value: f32) -> Contribution {
    Contribution { update: Arc::new(Array1::from(vec![value])), loss: 1.0, samples: 3 }
}

fn share(value: f32) -> Message {
    let Contribution { update, loss, samples } = contribution(value);
    Message::Share { round: Round(1), update, loss, samples }
}

fn copy(sender: u32, value: f32) -> Message {
    let Contribution { update, loss, samples } = contribution(value);
    Message::Copy { round: Round(1), sender: NodeId(sender), update, loss, samples }
}

/// What the liar claims to hold of worker 0; of worker 1 it holds what all hold.
fn claims(of_first: Option<f32>) -> Message {
    let digest = |value: f32| contribution(value).digest();
    let claims: Claims = vec![(NodeId(0), of_first.map(digest)), (NodeId(1), Some(digest(1.0)))];
    Message::Claims { round: Round(1), claims: Arc::new(claims) }
}

impl Stage {
    fn new(liar: u32) -> Self {
        let honest = REPLICAS.into_iter().filter(|&node| node != liar);
        let mut stage = Stage {
            replicas: honest.map(|node| (NodeId(node), replica(node))).collect(),
            liar: NodeId(liar),
            to_liar: Vec::new(),
            told: BTreeMap::new(),
            records: BTreeMap::new(),
            refused: Vec::new(),
        };
        let honest: Vec<NodeId> = stage.replicas.keys().copied().collect();
        for node in honest {
            stage.step(node, Event::Start);
        }
        stage
    }

    /// Steps a replica, and then everybody who hears of it, in the order of what is said.
    fn step(&mut self, node: NodeId, event: Event) {
        let mut under_way = VecDeque::from([(node, event)]);
        while let Some((node, event)) = under_way.pop_front() {
            let Some(replica) = self.replicas.get_mut(&node) else { continue };
            for action in replica.step(event).unwrap() {
                match action {
                    Action::Send { from, to, message } if to == self.liar => {
                        self.to_liar.push((from, message));
                    }
                    Action::Send { from, to, message } if to.0 < 2 => {
                        self.told.insert(from, message);
                    }
                    Action::Send { from, to, message } => {
                        under_way.push_back((to, Event::Received { from, to, message }));
                    }
                    Action::Record(record) => {
                        self.records.insert(node, record);
                    }
                    Action::Refuse(refusal) => self.refused.push((refusal.from, refusal.reason)),
                    other => panic!("{other:?} was not expected"),
                }
            }
        }
    }

    fn say(&mut self, from: u32, to: u32, message: Message) {
        let to = NodeId(to);
        self.step(to, Event::Received { from: NodeId(from), to, message });
    }

    fn outcome(&self, replica: u32, worker: usize) -> Outcome {
        self.records[&NodeId(replica)].senders[worker].outcome
    }
}

#[test]
fn who_was_told_another_thing_fetches_what_counts() {
    let mut stage = Stage::new(5);
    for replica in [2, 3, 4] {
        stage.say(1, replica, share(1.0));
    }
    stage.say(0, 2, share(3.0));
    stage.say(0, 3, share(3.0));
    stage.say(0, 4, share(9.0));
    for replica in [2, 3, 4] {
        stage.say(5, replica, claims(Some(3.0)));
        stage.say(5, replica, Message::Settled { round: Round(1) });
    }
    // (3 + 1) / 2 is subtracted by all three.
    for replica in [2, 3, 4] {
        assert_eq!(as_slice(&stage.records[&NodeId(replica)].model), [-2.0]);
        assert_eq!(stage.outcome(replica, 0), Outcome::Shared);
    }
    assert!(stage.refused.is_empty());
}

#[test]
fn a_bad_copy_is_refused_and_the_next_is_asked() {
    let mut stage = Stage::new(2);
    for replica in [3, 4, 5] {
        stage.say(1, replica, share(1.0));
    }
    stage.say(0, 3, share(3.0));
    stage.say(0, 4, share(3.0));
    stage.say(0, 5, Message::Absent { round: Round(1) });
    for replica in [3, 4, 5] {
        stage.say(2, replica, claims(Some(3.0)));
    }
    let fetch = Message::Fetch { round: Round(1), sender: NodeId(0) };
    assert!(stage.to_liar.contains(&(NodeId(5), fetch)));
    assert!(stage.records.is_empty());
    stage.say(2, 5, copy(0, 7.0));
    assert!(matches!(&stage.refused[..], [(NodeId(2), Reason::Malformed(_))]));
    for replica in [3, 4, 5] {
        stage.say(2, replica, Message::Settled { round: Round(1) });
        assert_eq!(as_slice(&stage.records[&NodeId(replica)].model), [-2.0]);
    }
    let liar = stage.records[&NodeId(5)].senders.last().unwrap();
    assert_eq!((liar.node, liar.refusals), (NodeId(2), 1));
}

#[test]
fn a_liar_and_one_who_equivocates_can_split_one_replica_off_and_no_more() {
    let mut stage = Stage::new(5);
    for replica in [2, 3, 4] {
        stage.say(1, replica, share(1.0));
    }
    stage.say(0, 2, share(3.0));
    stage.say(0, 3, share(3.0));
    stage.say(0, 4, share(9.0));
    // With the liar's claim replica 2 sees three who hold the same; the others see two.
    stage.say(5, 2, claims(Some(3.0)));
    stage.say(5, 3, claims(Some(9.0)));
    stage.say(5, 4, claims(None));
    for replica in [2, 3, 4] {
        stage.say(5, replica, Message::Settled { round: Round(1) });
    }
    assert_eq!(stage.outcome(2, 0), Outcome::Shared);
    assert_eq!(as_slice(&stage.records[&NodeId(2)].model), [-2.0]);
    for replica in [3, 4] {
        assert_eq!(stage.outcome(replica, 0), Outcome::Refused);
        assert_eq!(as_slice(&stage.records[&NodeId(replica)].model), [-1.0]);
    }
    // f + 1 = 2 replicas still say the same, so the workers go on from their model.
    let model = |replica: u32| stage.told[&NodeId(replica)].vector().cloned();
    assert_eq!(model(3), model(4));
    assert_ne!(model(2), model(3));
}

#[test]
fn with_too_few_replicas_no_row_counts_and_the_workers_are_told() {
    let mut stage = Stage::new(5);
    for replica in [2, 3, 4] {
        stage.say(5, replica, Message::Absent { round: Round(1) });
        stage.say(0, replica, share(3.0));
    }
    let lost = NodeId(4);
    stage.replicas.remove(&lost);
    for replica in [2, 3] {
        stage.step(NodeId(replica), Event::Lost { node: lost });
        stage.say(1, replica, share(1.0));
    }
    for replica in [2, 3] {
        let record = &stage.records[&NodeId(replica)];
        let reason = "2 of 4 replicas are there, and 3 must hold a row for it to count";
        assert_eq!(record.skipped.as_deref(), Some(reason));
        assert_eq!(stage.told[&NodeId(replica)], Message::Absent { round: Round(1) });
    }
}

#[test]
fn claims_that_are_not_one_for_each_worker_claim_nothing() {
    let mut stage = Stage::new(5);
    for replica in [2, 3, 4] {
        stage.say(0, replica, share(3.0));
        stage.say(1, replica, share(1.0));
    }
    let short: Claims = vec![(NodeId(0), None)];
    for replica in [2, 3, 4] {
        let message = Message::Claims { round: Round(1), claims: Arc::new(short.clone()) };
        stage.say(5, replica, message);
        stage.say(5, replica, Message::Settled { round: Round(1) });
        assert_eq!(stage.refused.len() as u32, replica - 1);
    }
    for replica in [2, 3, 4] {
        assert_eq!(as_slice(&stage.records[&NodeId(replica)].model), [-2.0]);
    }
}

#[test]
fn a_restored_replica_goes_on_and_asks_who_was_silent() {
    let mut alone = replica(2);
    alone.settings.others = Vec::new();
    alone.settings.echo = None;
    alone.step(Event::Start).unwrap();
    let hear = |from: u32, message: Message| Event::Received {
        from: NodeId(from),
        to: NodeId(2),
        message,
    };
    alone.step(hear(0, share(4.0))).unwrap();
    alone.step(hear(1, Message::Absent { round: Round(1) })).unwrap();
    let mut again = replica(2);
    again.settings.others = Vec::new();
    again.restore(&alone.state()).unwrap();
    for replica in [&mut alone, &mut again] {
        let asked = replica.step(Event::Proceed).unwrap();
        let fetch = Message::Fetch { round: Round(2), sender: NodeId(1) };
        assert!(
            matches!(&asked[..], [Action::Send { to: NodeId(1), message, .. }] if *message == fetch)
        );
        assert_eq!(as_slice(&replica.model), [-4.0]);
    }
}
