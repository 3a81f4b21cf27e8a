use std::collections::BTreeSet;
use std::thread;

use tokio::time::timeout;

use super::*;
use crate::node::Round;
use crate::protocol::ProtocolError;
use crate::runtime::Cast;
use crate::runtime::hub::{Happening, Seats};
use crate::runtime::office::Office;
use crate::runtime::token;

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine that has nothing to say.
struct Silent;

impl Machine for Silent {
    fn step(&mut self, _: Event) -> Result<Vec<Action>, ProtocolError> {
        Ok(Vec::new())
    }

    fn state(&self) -> MachineState {
        MachineState { round: Round(0), bytes: Vec::new() }
    }

    fn restore(&mut self, _: &MachineState) -> Result<(), ProtocolError> {
        Ok(())
    }
}

#[test]
fn a_run_that_is_over_before_a_seat_comes_costs_it_no_other() {
    let (node, plan) = (NodeId(0), Digest::of(&[1.0]));
    let seat = Seat::Node(node);
    let tokens = token::draw([node]).unwrap();
    let seats = Seats::from([(node, BTreeSet::from([seat]))]);
    let office = Office::open("127.0.0.1:0", plan, tokens.clone(), seats, PATIENCE).unwrap();
    let cast = Cast {
        voices: BTreeMap::from([(node, seat)]),
        honest: BTreeSet::from([node]),
        tapped: false,
        down: BTreeSet::new(),
    };
    let mut long = office.hub.open("long", &cast, 1);
    let _short = office.hub.open("short", &cast, 1);
    let (hub, folder) = (Arc::clone(&office.hub), tempfile::tempdir().unwrap());
    let checkpoint = folder.path().to_owned();
    let casting = move |run_id: &str| {
        if run_id == "short" {
            // Nobody has waited for this seat.
            hub.close("short");
        }
        let lines = Lines { identities: vec![node], values: 1, tapped: false, apart: None };
        Ok(Part { machine: Box::new(Silent), lines, checkpoint: checkpoint.clone() })
    };
    let participation = Participation {
        address: office.address.to_string(),
        seat,
        tokens,
        plan,
        patience: PATIENCE,
        casting: Arc::new(casting),
        listens: false,
    };
    let attending = thread::spawn(move || attend(participation, false));
    let mut happens = |patience: Duration| {
        let next = async { timeout(patience, long.recv()).await };
        office.handle.block_on(next).ok().flatten()
    };
    // Held, since a line that is dropped is a coordinator that hangs up.
    let joined = happens(PATIENCE);
    assert!(matches!(joined, Some(Happening::Joined { .. })), "{joined:?}");
    let next = happens(Duration::from_millis(300));
    assert!(next.is_none(), "{next:?}");
    office.close();
    attending.join().unwrap().unwrap();
}
