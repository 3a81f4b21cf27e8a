//! One kind of liar at a time, with real signatures: what is decided, and who is accused.

use std::collections::{BTreeMap, BTreeSet};

use byzlab::ledger::vote::Kind;

use super::liars::Liar;
use super::network::{Keys, Network, Weather, proposal};

/// Height 8 on a calm network, with these liars among `count`, to its end.
fn run(count: usize, liars: &[(usize, Liar)]) -> Network {
    let liars: BTreeMap<usize, Liar> = liars.iter().cloned().collect();
    let honest = count - liars.len();
    let mut network = Network::new(count, Keys::Real, Weather::calm(), liars, 1);
    network.run(5_000);
    assert_eq!(network.decisions().len(), honest, "all honest members decide");
    network
}

fn nobody() -> BTreeSet<(u32, Kind)> {
    BTreeSet::new()
}

#[test]
fn the_honest_decide_the_first_proposal() {
    for count in [1, 4, 7] {
        let network = run(count, &[]);
        let proposer = 8 % count;
        assert_eq!(network.agreed(), Some(proposal(&format!("good {proposer}")).value));
        assert_eq!(network.views(), [0].into());
        assert_eq!(network.accused(), nobody());
    }
}

#[test]
fn a_silent_proposer_costs_one_view() {
    let network = run(4, &[(0, Liar::Silent)]);
    assert_eq!(network.agreed(), Some(proposal("good 1").value));
    assert_eq!(network.views(), [1].into());
    assert_eq!(network.accused(), nobody());
}

#[test]
fn two_silent_proposers_of_seven_cost_two_views() {
    let network = run(7, &[(1, Liar::Silent), (2, Liar::Silent)]);
    assert_eq!(network.views(), [2].into());
    assert_eq!(network.agreed(), Some(proposal("good 3").value));
}

#[test]
fn a_lying_proposer_costs_one_view_and_leaves_no_contradiction() {
    let network = run(4, &[(0, Liar::BadProposer)]);
    assert_eq!(network.agreed(), Some(proposal("good 1").value));
    assert_eq!(network.views(), [1].into());
    // A bad value is a lie to everybody alike: it is refused, and proves nothing to others.
    assert_eq!(network.accused(), nobody());
}

#[test]
fn an_equivocating_proposer_never_gets_two_values_decided() {
    let mut values = BTreeSet::new();
    for seed in 0..200 {
        let liars = [(0, Liar::TwoProposals)].into();
        let mut network = Network::new(4, Keys::Cheap, Weather::calm(), liars, seed);
        network.run(5_000);
        assert!(network.is_over());
        values.insert(network.agreed());
    }
    // One of its two, or that of the next proposer.
    let expected = ["good 0", "good other", "good 1"].map(|text| Some(proposal(text).value));
    assert!(values.iter().all(|value| expected.contains(value)), "{values:?}");
}

#[test]
fn an_equivocating_proposer_is_accused_once_its_proposals_meet() {
    // Members 2, 4 and 6 get one value and 3 and 5 the other, and the liar's partner votes for
    // the first: it is locked by some, who pass it on to those who were shown the other.
    let network = run(7, &[(1, Liar::TwoProposals)]);
    assert!(network.accused().iter().all(|(member, _)| *member == 1));
    let mut met = false;
    for seed in 0..50 {
        let liars = [(1, Liar::TwoProposals), (0, Liar::Anything)].into();
        let mut network = Network::new(7, Keys::Cheap, Weather::calm(), liars, seed);
        network.run(5_000);
        let accused = network.accused();
        assert!(accused.iter().all(|(member, _)| [0, 1].contains(member)), "{accused:?}");
        met |= accused.contains(&(1, Kind::Proposal));
    }
    assert!(met, "in no schedule did anybody see both proposals");
}

#[test]
fn a_silent_voter_costs_nothing() {
    let network = run(4, &[(2, Liar::Silent)]);
    assert_eq!(network.views(), [0].into());
    assert_eq!(network.accused(), nobody());
}

#[test]
fn a_lying_voter_costs_nothing() {
    let network = run(4, &[(2, Liar::FalseVoter)]);
    assert_eq!(network.agreed(), Some(proposal("good 0").value));
    assert_eq!(network.views(), [0].into());
    // It says the same to everybody.
    assert_eq!(network.accused(), nobody());
}

#[test]
fn an_equivocating_voter_costs_nothing_and_is_accused_where_its_votes_meet() {
    let network = run(4, &[(2, Liar::TwoVotes)]);
    assert_eq!(network.agreed(), Some(proposal("good 0").value));
    assert_eq!(network.views(), [0].into());
    // It tells each member one thing, so that nobody sees both.
    assert_eq!(network.accused(), nobody());
    let mut kinds = BTreeSet::new();
    for seed in 0..50 {
        let liars = [(2, Liar::Anything)].into();
        let mut network = Network::new(4, Keys::Cheap, Weather::calm(), liars, seed);
        network.run(5_000);
        assert!(network.is_over() && network.agreed().is_some());
        let accused = network.accused();
        assert!(accused.iter().all(|(member, _)| *member == 2), "{accused:?}");
        kinds.extend(accused.into_iter().map(|(_, kind)| kind));
    }
    assert!(kinds.contains(&Kind::Prevote) && kinds.contains(&Kind::Precommit), "{kinds:?}");
}

#[test]
fn one_who_shows_its_votes_to_a_single_member_cannot_stall_the_rest() {
    for favoured in [0, 1, 3] {
        let network = run(4, &[(2, Liar::Divider(favoured))]);
        assert!(network.agreed().is_some());
    }
}
