//! A ledger as a file: whoever changes, takes away, reorders or cuts off anything is found out
//! by somebody who remembers its head; and the commands, as a user types them.

#![allow(clippy::disallowed_methods, reason = "these tests write and read files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;

use assert_cmd::Command;
use byzlab::ledger::block::{Block, Certificate, Listed, Signed};
use byzlab::ledger::chain::{Chain, Head};
use byzlab::ledger::draw::{Draw, quorum};
use byzlab::ledger::file::{self, FileError};
use byzlab::ledger::genesis::Genesis;
use byzlab::ledger::keys::SecretKey;
use byzlab::ledger::proof::{Consistency, Inclusion};
use byzlab::ledger::vote::Statement;
use byzlab::node::NodeId;
use byzlab::vector::Digest;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::NamedTempFile;

const ROUNDS: usize = 6;

fn genesis() -> Genesis {
    let nodes: Vec<NodeId> = (0..9).map(NodeId).collect();
    Genesis::uniform("a run", &nodes, 4)
}

/// The updates of three to five senders that count in a round.
fn updates(round: usize) -> Vec<Listed> {
    let digest = |sender: usize| Digest::of(&[round as f32, sender as f32]);
    let listed = |sender| Listed { sender: NodeId(sender as u32), digest: digest(sender) };
    (0..9).filter(|sender| (sender + round).is_multiple_of(2 + round % 2)).map(listed).collect()
}

/// The precommits of the first 2f+1 members in this view.
fn certify(chain: &Chain, block: &Block, view: u32) -> Certificate {
    let statement = Statement::precommit(block.round, view, block.hash());
    let bytes = statement.bytes(chain.id());
    let sign = |member: &NodeId| Signed {
        member: *member,
        signature: SecretKey::derive(&chain.genesis().run, *member).sign(&bytes),
    };
    let enough = quorum(block.committee.len());
    Certificate::new(view, block.committee.iter().take(enough).map(sign).collect())
}

/// The lines of a ledger that these lists make, in order, and its head.
fn ledger_of(genesis: Genesis, lists: &[Vec<Listed>]) -> (Vec<String>, Head) {
    let mut chain = Chain::new(genesis).unwrap();
    let mut lines = vec![file::first_line(chain.genesis())];
    for (index, list) in lists.iter().enumerate() {
        let digests: Vec<Digest> = list.iter().map(|listed| listed.digest).collect();
        let model = (index % 2 == 0).then(|| Digest::of(&[index as f32]));
        let block = chain.draft(list.clone(), Digest::of_digests(&digests), model);
        let certificate = certify(&chain, &block, index as u32 % 3);
        lines.push(file::line(&chain.append(block, certificate).unwrap()));
    }
    (lines, chain.head())
}

fn ledger() -> (Vec<String>, Head) {
    let lists: Vec<Vec<Listed>> = (1..=ROUNDS).map(updates).collect();
    ledger_of(genesis(), &lists)
}

/// What somebody finds who remembers the head: an error, or a head that is not the known one.
fn is_found(text: &[u8], known: &Head) -> Result<(), String> {
    match file::read(text, |_, _| {}) {
        Err(error) => Err(error.to_string()),
        Ok(chain) if chain.head() != *known => Err("another head".to_owned()),
        Ok(_) => Ok(()),
    }
}

#[test]
fn an_untouched_ledger_is_sound() {
    let (lines, head) = ledger();
    assert_eq!(is_found(lines.concat().as_bytes(), &head), Ok(()));
    let mut sizes = Vec::new();
    let text = lines.concat();
    file::read(text.as_bytes(), |entry, bytes| sizes.push((entry.block.round.0, bytes))).unwrap();
    let expected: Vec<(u32, usize)> =
        lines[1..].iter().enumerate().map(|(at, line)| (at as u32 + 1, line.len())).collect();
    assert_eq!(sizes, expected);
}

#[test]
fn every_changed_byte_is_found() {
    let (lines, head) = ledger();
    let text = lines.concat().into_bytes();
    for at in 0..text.len() {
        let mut changed = text.clone();
        // Another digit where there is one, so that most of these are still JSON.
        changed[at] = match changed[at] {
            b'0' => b'1',
            digit @ b'1'..=b'9' => digit - 1,
            b'a' => b'b',
            letter @ b'b'..=b'z' => letter - 1,
            other => other ^ 1,
        };
        let found = is_found(&changed, &head).unwrap_err();
        let line = text[..at].split(|byte| *byte == b'\n').count();
        // Nothing in front of the change is blamed for it.
        let named: Option<usize> = found
            .strip_prefix("line ")
            .and_then(|rest| rest.split([' ', ':']).next()?.parse().ok());
        assert!(named.is_some_and(|named| named >= line), "byte {at}, line {line}: {found}");
    }
}

#[test]
fn every_end_but_the_right_one_is_found() {
    let (lines, head) = ledger();
    let text = lines.concat().into_bytes();
    for end in 0..text.len() {
        is_found(&text[..end], &head).unwrap_err();
    }
    assert!(matches!(file::read(&text[..0], |_, _| {}), Err(FileError::Empty)));
    let cut = file::read(&text[..text.len() - 1], |_, _| {}).unwrap_err().to_string();
    assert_eq!(cut, "line 7 has no end: the file was cut off in the middle of it");
}

#[test]
fn every_line_taken_away_twice_there_or_moved_is_found() {
    let (lines, head) = ledger();
    for at in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        is_found(fewer.concat().as_bytes(), &head).unwrap_err();
        let mut more = lines.clone();
        more.insert(at, lines[at].clone());
        is_found(more.concat().as_bytes(), &head).unwrap_err();
        for other in 0..at {
            let mut moved = lines.clone();
            moved.swap(at, other);
            let found = is_found(moved.concat().as_bytes(), &head).unwrap_err();
            assert!(found.starts_with(&format!("line {} ", other + 1)), "{found}");
        }
    }
}

#[test]
fn every_update_taken_away_changed_or_moved_is_found_even_if_all_of_it_is_signed_anew() {
    // In a lab everybody can compute all keys, so that the forger rewrites everything that
    // follows: draws, links, signatures. Only who remembers the head finds out.
    let lists: Vec<Vec<Listed>> = (1..=ROUNDS).map(updates).collect();
    let (_, head) = ledger_of(genesis(), &lists);
    let forged = |lists: &[Vec<Listed>]| {
        let (lines, _) = ledger_of(genesis(), lists);
        is_found(lines.concat().as_bytes(), &head)
    };
    assert_eq!(forged(&lists), Ok(()));
    for round in 0..ROUNDS {
        for at in 0..lists[round].len() {
            let mut fewer = lists.clone();
            fewer[round].remove(at);
            assert_eq!(forged(&fewer), Err("another head".to_owned()));
            let mut other = lists.clone();
            other[round][at].digest = Digest::of_bytes(b"poison");
            assert_eq!(forged(&other), Err("another head".to_owned()));
            let mut claimed = lists.clone();
            claimed[round][at].sender = NodeId(100 + at as u32);
            assert_eq!(forged(&claimed), Err("another head".to_owned()));
        }
        let mut without = lists.clone();
        without.remove(round);
        assert_eq!(forged(&without), Err("another head".to_owned()));
    }
    let staked = Genesis { draw: Draw::Stake, ..genesis() };
    let (lines, _) = ledger_of(staked, &lists);
    assert_eq!(is_found(lines.concat().as_bytes(), &head), Err("another head".to_owned()));
}

#[test]
fn errors_say_what_does_not_match() {
    let (lines, head) = ledger();
    let found = |at: usize, from: &str, to: &str| {
        let mut changed = lines.clone();
        assert!(changed[at].contains(from), "{from} is not in {}", changed[at]);
        changed[at] = changed[at].replacen(from, to, 1);
        is_found(changed.concat().as_bytes(), &head).unwrap_err()
    };
    let faults = [
        found(0, "\"run\":\"a run\"", "\"run\":\"b run\""),
        found(0, "\"committee\":4", "\"committee\":5"),
        found(2, "\"round\":2", "\"round\":3"),
        found(2, "{\"sender\":0", "{\"sender\":1"),
        found(2, "{\"sender\":0", "{\"sender\":3"),
        found(2, "\"view\":1", "\"view\":2"),
        found(3, "\"view\":2", "\"vieW\":2"),
        found(3, "\"view\":2", "\"view\": 2"),
        found(3, "\"updates_root\":\"", "\"updates_root\":\"0"),
    ];
    let expected = [
        "line 1: the genesis has the hash ",
        "line 1: a committee of 5 is not 3f+1: 4 tolerate 1 liars and 7 tolerate 2",
        "line 3 (round 2): its committee is ",
        "line 3 (round 2): the signature of member ",
        "line 3 (round 2): it lists sender 2 after 3; each counts once, in ascending order",
        "line 3 (round 2): the signature of member ",
        "line 4 is not a block: unknown field `vieW`",
        "line 4 is not a block: it is not spelt as the program writes it, so it was altered",
        "line 4 is not a block: not the lower-case hexadecimal digits",
    ];
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(expected), "{fault}\nis not\n{expected}");
    }
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let found = is_found(swapped.concat().as_bytes(), &head).unwrap_err();
    assert!(found.starts_with("line 3 (round 2): its parent is "), "{found}");
    let mut twice = lines.clone();
    twice.insert(2, lines[1].clone());
    let found = is_found(twice.concat().as_bytes(), &head).unwrap_err();
    let expected =
        "line 3 (round 2): it is the block of round 1, and one of round 2 or later comes next";
    assert_eq!(found, expected);
}

#[test]
fn a_round_may_come_to_no_block_and_the_next_committee_is_drawn_for_its_own_round() {
    let mut chain = Chain::new(genesis()).unwrap();
    let mut lines = vec![file::first_line(chain.genesis())];
    let rounds = [1, 2, 5, 6].map(byzlab::node::Round);
    for round in rounds {
        let digest = Digest::of_bytes(b"aggregate");
        let block = chain.draft_in(round, updates(round.0 as usize), digest, None);
        assert_eq!(block.committee, chain.committee_in(round));
        let certificate = certify(&chain, &block, 0);
        lines.push(file::line(&chain.append(block, certificate).unwrap()));
    }
    assert_eq!((chain.height().0, chain.round().0), (4, 6));
    let text = lines.concat();
    let head = chain.head();
    assert_eq!(is_found(text.as_bytes(), &head), Ok(()));
    // Whose committee it was is bound to the round that the block names.
    let forged = text.replacen("\"round\":5", "\"round\":4", 1);
    let found = is_found(forged.as_bytes(), &head).unwrap_err();
    assert!(found.starts_with("line 4 (round 3): its committee is "), "{found}");
    let mut blocks = Vec::new();
    let read = file::read(text.as_bytes(), |entry, _| blocks.push(entry.block.clone())).unwrap();
    for block in &blocks {
        let proof = read.prove(block, None).unwrap();
        assert_eq!(proof.verify(&head), Ok(()));
        let mut moved = proof.clone();
        moved.index += 1;
        assert!(moved.verify(&head).is_err());
    }
    let file = written(&text);
    let prove = |arguments: &[&str]| {
        let output = byzlab().arg("prove").arg(file.path()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(prove(&["--round", "5"]).0, Some(0));
    let (code, error) = prove(&["--round", "4"]);
    assert_eq!(code, Some(2));
    assert_eq!(error, "error: round 4 came to no block: its committee was stuck\n");
    assert_eq!(prove(&["--from", "2", "--to", "4"]).0, Some(0));
    let shown = contains("4 of 6 rounds came to a block, committees of 4 out of 9\n");
    byzlab().arg("show").arg(file.path()).assert().success().stdout(shown);
}

#[test]
fn too_few_and_other_members_cannot_certify() {
    let mut chain = Chain::new(genesis()).unwrap();
    let block = chain.draft(updates(1), Digest::of_bytes(b"aggregate"), None);
    let good = certify(&chain, &block, 0);
    let mut fewer = good.clone();
    fewer.signatures.pop();
    assert!(chain.append(block.clone(), fewer).is_err());
    let stranger = (0..9).map(NodeId).find(|node| !block.committee.contains(node)).unwrap();
    let mut usurped = block.clone();
    usurped.committee[0] = stranger;
    let certificate = certify(&chain, &usurped, 0);
    let error = chain.append(usurped, certificate).unwrap_err().to_string();
    assert!(error.contains("the hash of its parent draws"), "{error}");
    let mut foreign = block.clone();
    foreign.parent = Digest::of_bytes(b"another");
    let certificate = certify(&chain, &foreign, 0);
    assert!(chain.append(foreign, certificate).unwrap_err().to_string().contains("its parent is"));
    assert!(chain.append(block, good).is_ok());
}

#[test]
fn every_update_and_every_growth_is_proven_and_nothing_else() {
    let (lines, head) = ledger();
    let mut blocks = Vec::new();
    let text = lines.concat();
    let chain = file::read(text.as_bytes(), |entry, _| blocks.push(entry.block.clone())).unwrap();
    for block in &blocks {
        for listed in &block.list {
            let proof = chain.prove(block, Some(listed.sender)).unwrap();
            assert_eq!(proof.verify(&head), Ok(()));
            let proves = |change: &dyn Fn(&mut Inclusion)| {
                let mut changed = proof.clone();
                change(&mut changed);
                changed.verify(&head).is_ok()
            };
            assert!(proves(&|_| {}));
            let other = Digest::of_bytes(b"poison");
            assert!(!proves(&|one| one.listed.as_mut().unwrap().update.digest = other));
            assert!(!proves(&|one| one.listed.as_mut().unwrap().update.sender = NodeId(50)));
            assert!(!proves(&|one| one.listed.as_mut().unwrap().index += 1));
            assert!(!proves(&|one| one.header.aggregate = other));
            assert!(!proves(&|one| one.header.round = one.header.round.next()));
            assert!(!proves(&|one| one.header.round = byzlab::node::Round(0)));
            assert!(!proves(&|one| one.header.updates += 1));
            assert!(!proves(&|one| one.path.truncate(1)));
            assert!(!proves(&|one| one.head.root = one.header.updates_root));
        }
        assert!(chain.prove(block, Some(NodeId(77))).is_none());
        let mut forged = block.clone();
        forged.aggregate = Digest::of_bytes(b"poison");
        assert!(chain.prove(&forged, None).is_none());
    }
    let rounds = || (1..=ROUNDS as u32).map(byzlab::node::Round);
    for to in rounds() {
        for from in rounds().filter(|from| *from <= to) {
            let proof = chain.prove_growth(from, to).unwrap();
            let known = chain.head_at(from).unwrap();
            assert_eq!(proof.verify(&known), Ok(()));
            let mut forged: Consistency = proof.clone();
            forged.to.root = head_of_another_ledger().root;
            assert!(forged.verify(&known).is_err());
            assert!(proof.verify(&head_of_another_ledger()).is_err());
        }
    }
}

fn head_of_another_ledger() -> Head {
    let lists: Vec<Vec<Listed>> = (2..=ROUNDS + 1).map(updates).collect();
    ledger_of(genesis(), &lists).1
}

#[test]
fn long_lines_are_not_read_into_memory() {
    let line = vec![b' '; file::LINE_MAX + 10];
    let error = file::read(&line[..], |_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), format!("line 1 is longer than {} bytes", file::LINE_MAX));
}

fn byzlab() -> Command {
    let mut command = Command::cargo_bin("byzlab").unwrap();
    command.arg("ledger");
    command
}

fn written(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn show_prints_the_size_of_every_round_and_the_head() {
    let (lines, head) = ledger();
    let file = written(&lines.concat());
    let bytes: usize = lines[1..].iter().map(String::len).sum();
    byzlab().arg("show").arg(file.path()).assert().success().stdout(
        contains("a run · 6 rounds, committees of 4 out of 9\n")
            .and(contains(format!("{bytes} bytes, {} a round\n", bytes / ROUNDS)))
            .and(contains(format!("head of round 6: {}\n", head.root))),
    );
    let output = byzlab().args(["show", "--json"]).arg(file.path()).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["rounds"][1]["bytes"], lines[2].len());
    assert_eq!(shown["head"]["root"], head.root.to_string());
    // A run's folder will do.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file::FILE_NAME), lines.concat()).unwrap();
    byzlab().arg("show").arg(folder.path()).assert().success();
}

#[test]
fn verify_holds_a_ledger_to_its_head() {
    let (lines, head) = ledger();
    let verify = |text: &str, root: &str| {
        let file = written(text);
        byzlab().arg("verify").arg(file.path()).args(["--head", root]).assert()
    };
    let known = head.root.to_string();
    let sound = contains("the known head is that of round 6; 0 rounds follow it\n");
    verify(&lines.concat(), &known).success().stdout(sound);
    // An earlier head, for a ledger that has grown since.
    let (_, early) = ledger_of(genesis(), &[updates(1), updates(2)]);
    let grown = contains("the known head is that of round 2; 4 rounds follow it\n");
    verify(&lines.concat(), &early.root.to_string()).success().stdout(grown);
    let cut = contains("is the head after none of the 4 rounds").and(contains("cut off"));
    verify(&lines[..5].concat(), &known).code(1).stderr(cut);
    let changed = lines.concat().replacen("\"sender\":3", "\"sender\":4", 1);
    verify(&changed, &known).code(1).stderr(contains("line "));
    verify(&lines.concat(), "12ab").code(2).stderr(contains("64 lower-case"));
    byzlab().args(["verify", "none.jsonl"]).assert().code(2).stderr(contains("none.jsonl"));
}

#[test]
fn prove_prints_proofs_that_verify() {
    let (lines, head) = ledger();
    let file = written(&lines.concat());
    let prove = |arguments: &[&str]| {
        let output = byzlab().arg("prove").arg(file.path()).args(arguments).output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let (_, json, _) = prove(&["--round", "2", "--sender", "4", "--json"]);
    let proof: Inclusion = serde_json::from_slice(&json).unwrap();
    assert_eq!(proof.verify(&head), Ok(()));
    assert_eq!(proof.listed.unwrap().update, updates(2)[2]);
    let (_, json, _) = prove(&["--from", "3", "--to", "6", "--json"]);
    let proof: Consistency = serde_json::from_slice(&json).unwrap();
    assert_eq!((proof.verify(&proof.from), proof.to), (Ok(()), head));
    let (code, text, _) = prove(&["--round", "2", "--sender", "4"]);
    assert!(code == Some(0) && String::from_utf8(text).unwrap().contains("is number 2 (from 0)"));
    let (code, _, error) = prove(&["--round", "2", "--sender", "3"]);
    assert_eq!(code, Some(2));
    assert_eq!(error, "error: round 2 lists no update of 3, but of 0, 2, 4, 6, 8\n");
    let (code, _, error) = prove(&["--round", "9"]);
    assert_eq!(code, Some(2));
    assert_eq!(error, "error: there is no round 9: the ledger has rounds 1 to 6\n");
    assert_eq!(prove(&["--from", "3", "--to", "2"]).0, Some(2));
    assert_eq!(prove(&["--from", "3"]).0, Some(2));
    assert_eq!(prove(&[]).0, Some(2));
}
