//! `byzlab ledger`: shows a ledger, holds it to a known head, and proves what is in it.

#![allow(
    clippy::disallowed_methods,
    reason = "the command reads the file that the user names, and times how long checking takes"
)]

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{anyhow, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::usage::Usage;
use crate::ledger::block::Block;
use crate::ledger::chain::{Chain, Entry, Head};
use crate::ledger::file::{self, FILE_NAME};
use crate::ledger::merkle::Hash;
use crate::node::{NodeId, Round};

/// Shows a run's ledger, checks it against a known head, proves what is in it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints a line for each round, with its size, and the head to remember
    Show(Show),
    /// Checks every link, draw, signature and tree; exits with 1 at the first that is wrong
    Verify(Verify),
    /// Prints the proof that a block or an update is in it, or that it has only grown
    Prove(Prove),
}

/// What `ledger show` takes.
#[derive(Debug, Args)]
struct Show {
    /// A ledger.jsonl, or the folder of the run that holds one
    #[arg(value_name = "FILE|RUN")]
    ledger: PathBuf,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// What `ledger verify` takes.
#[derive(Debug, Args)]
struct Verify {
    /// A ledger.jsonl, or the folder of the run that holds one
    #[arg(value_name = "FILE|RUN")]
    ledger: PathBuf,
    /// The root of a head that is known from elsewhere; it may be of an earlier round
    #[arg(long, value_name = "HEX", value_parser = root)]
    head: Option<Hash>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// What `ledger prove` takes.
#[derive(Debug, Args)]
struct Prove {
    /// A ledger.jsonl, or the folder of the run that holds one
    #[arg(value_name = "FILE|RUN")]
    ledger: PathBuf,
    /// Proves that the block of this round is under the head
    #[arg(long, value_name = "R", required_unless_present = "from")]
    round: Option<u32>,
    /// Proves as well that this sender's update counted in that round
    #[arg(long, value_name = "N", requires = "round")]
    sender: Option<u32>,
    /// Proves that the ledger of this round …
    #[arg(long, value_name = "R1", requires = "to", conflicts_with = "round")]
    from: Option<u32>,
    /// … is how that of this round began
    #[arg(long, value_name = "R2", requires = "from")]
    to: Option<u32>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::Show(show) => show.run(),
        Command::Verify(verify) => verify.run(),
        Command::Prove(prove) => prove.run(),
    }
}

fn root(text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).ok_or_else(|| {
        "a head is the 64 lower-case hexadecimal digits of its root, as `ledger show` prints them"
            .to_owned()
    })
}

/// Reads and checks a ledger. That it cannot be opened is about what the user typed; that it is
/// wrong is a finding.
fn read(path: &Path, visit: impl FnMut(&Entry, usize)) -> anyhow::Result<Chain> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let place = file.display();
    let opened = File::open(&file)
        .map_err(|error| Usage::new(format!("{place} cannot be opened: {error}")))?;
    file::read(BufReader::new(opened), visit).map_err(|error| anyhow!("{place}: {error}"))
}

/// One round, as `show` has it.
#[derive(Debug, Serialize)]
struct Row {
    round: Round,
    updates: usize,
    view: u32,
    committee: Vec<NodeId>,
    bytes: usize,
    block: String,
}

impl Row {
    fn new(entry: &Entry, bytes: usize) -> Self {
        Row {
            round: entry.block.round,
            updates: entry.block.list.len(),
            view: entry.certificate.view,
            committee: entry.block.committee.clone(),
            bytes,
            block: entry.hash.to_string(),
        }
    }

    fn line(&self) -> String {
        let Row { round, updates, view, bytes, .. } = self;
        let committee: Vec<String> = self.committee.iter().map(NodeId::to_string).collect();
        let (block, committee) = (&self.block[..16], committee.join(" "));
        format!("{round:>6}  {updates:>7}  {view:>4}  {bytes:>8}  {block}  {committee}\n")
    }
}

impl Show {
    fn run(&self) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        let chain = read(&self.ledger, |entry, bytes| rows.push(Row::new(entry, bytes)))?;
        if self.json {
            return print_json(&json!({
                "genesis": chain.genesis(), "rounds": rows, "head": chain.head(),
            }));
        }
        let mut text = format!("{} · {}\n", chain.genesis().run, summary(&chain));
        text.push_str(" round  updates  view     bytes  block             committee\n");
        for row in &rows {
            text.push_str(&row.line());
        }
        let bytes: usize = rows.iter().map(|row| row.bytes).sum();
        if !rows.is_empty() {
            text.push_str(&format!("{bytes} bytes, {} a round\n", bytes / rows.len()));
        }
        super::print(&format!("{text}{}\n", head_line(&chain)))
    }
}

fn summary(chain: &Chain) -> String {
    let genesis = chain.genesis();
    let (members, size) = (genesis.members.len(), genesis.committee);
    let (height, round) = (chain.height(), chain.round());
    let rounds = if height == round {
        format!("{height} rounds")
    } else {
        format!("{height} of {round} rounds came to a block")
    };
    format!("{rounds}, committees of {size} out of {members}")
}

fn head_line(chain: &Chain) -> String {
    root_line(chain.round(), &chain.head())
}

fn root_line(round: Round, head: &Head) -> String {
    format!("head of round {round}: {}", head.root)
}

impl Verify {
    fn run(&self) -> anyhow::Result<()> {
        let mut roots = Vec::new();
        let began = Instant::now();
        let chain = read(&self.ledger, |entry, _| roots.push((entry.block.round, entry.root)))?;
        let seconds = began.elapsed().as_secs_f64();
        let known = self.head.map(|known| find(&known, &roots, &chain.head())).transpose()?;
        let head = chain.head();
        if self.json {
            return print_json(&json!({
                "sound": true, "head": head, "known_round": known, "seconds": seconds,
            }));
        }
        let each = seconds * 1e3 / f64::from(head.height.0.max(1));
        let time = format!("{:.1} ms, {each:.2} ms a round", seconds * 1e3);
        let mut text = format!("sound: {} ({time})\n", summary(&chain));
        if let Some(known) = known {
            let after = head.height.0 - chain.height_in(known).0;
            text.push_str(&format!("the known head is that of round {known}; "));
            text.push_str(&format!("{after} rounds follow it\n"));
        } else {
            text.push_str("no head was given: whoever has all keys can have written all of it\n");
        }
        super::print(&format!("{text}{}\n", head_line(&chain)))
    }
}

/// The round after which the known root was the head.
fn find(known: &Hash, roots: &[(Round, Hash)], head: &Head) -> anyhow::Result<Round> {
    if let Some((round, _)) = roots.iter().find(|(_, root)| root == known) {
        return Ok(*round);
    }
    // Nothing has been recorded yet, and that is known.
    ensure!(
        *known == Hash::empty(),
        "the known head {known} is the head after none of the {} rounds of this ledger, which ends \
         with {}: rounds were cut off or written anew",
        head.height,
        head.root
    );
    Ok(Round(0))
}

impl Prove {
    fn run(&self) -> anyhow::Result<()> {
        match (self.round, self.from, self.to) {
            (Some(round), ..) => self.inclusion(Round(round)),
            (None, Some(from), Some(to)) => self.growth(Round(from), Round(to)),
            _ => unreachable!("the command line requires a round, or both ends"),
        }
    }

    fn inclusion(&self, round: Round) -> anyhow::Result<()> {
        let mut found: Option<Block> = None;
        let chain = read(&self.ledger, |entry, _| {
            if entry.block.round == round {
                found = Some(entry.block.clone());
            }
        })?;
        let block = found.ok_or_else(|| no_round(round, &chain))?;
        let sender = self.sender.map(NodeId);
        let proof = chain.prove(&block, sender).ok_or_else(|| {
            let sender = sender.map_or_else(String::new, |sender| sender.to_string());
            let listed: Vec<String> =
                block.list.iter().map(|listed| listed.sender.to_string()).collect();
            let listed = listed.join(", ");
            Usage::new(format!("round {round} lists no update of {sender}, but of {listed}"))
        })?;
        proof.verify(&chain.head())?;
        if self.json {
            return print_json(&json!(proof));
        }
        let mut text = format!("block of round {round}: {}\n", block.hash());
        if let Some(listed) = &proof.listed {
            let (update, at) = (listed.update, listed.index);
            let count = proof.header.updates;
            text.push_str(&format!("update of sender {}: {}\n", update.sender, update.digest));
            text.push_str(&format!("  is number {at} (from 0) of {count} under "));
            text.push_str(&format!("{}\n", proof.header.updates_root));
            text.push_str(&path_lines(&listed.path));
        }
        let (at, height) = (proof.index, chain.height());
        text.push_str(&format!("  the block is number {at} (from 0) of {height}\n"));
        text.push_str(&path_lines(&proof.path));
        text.push_str(&format!("{} bytes of hashes\n", proof.path_bytes()));
        super::print(&format!("{text}{}\n", head_line(&chain)))
    }

    fn growth(&self, from: Round, to: Round) -> anyhow::Result<()> {
        let chain = read(&self.ledger, |_, _| {})?;
        if from.0 == 0 || from > to {
            let message =
                format!("from round {from} to {to}: the first is 1 or more, the second no less");
            return Err(Usage::new(message).into());
        }
        if to > chain.round() {
            return Err(no_round(to, &chain).into());
        }
        let heights = (chain.height_in(from), chain.height_in(to));
        let proof =
            chain.prove_growth(heights.0, heights.1).ok_or_else(|| no_round(from, &chain))?;
        proof.verify(&proof.from)?;
        if self.json {
            return print_json(&json!(proof));
        }
        let mut text = format!("{}\n", root_line(from, &proof.from));
        text.push_str(&path_lines(&proof.path));
        text.push_str(&format!("{} bytes of hashes\n", 32 * proof.path.len()));
        super::print(&format!("{text}{}\n", root_line(to, &proof.to)))
    }
}

fn no_round(round: Round, chain: &Chain) -> Usage {
    let last = chain.round();
    if (1..=last.0).contains(&round.0) {
        return Usage::new(format!("round {round} came to no block: its committee was stuck"));
    }
    Usage::new(format!("there is no round {round}: the ledger has rounds 1 to {last}"))
}

fn path_lines(path: &[Hash]) -> String {
    let hashes = path.iter().map(Hash::to_string);
    hashes.flat_map(|hash| ["  ".to_owned(), hash, "\n".to_owned()]).collect()
}

fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    super::print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
