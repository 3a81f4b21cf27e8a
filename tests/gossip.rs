//! Every rule that a peer can have makes a round of gossip on every topology.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests read what runs leave behind, and a failure here is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use byzlab::datasets::NoFiles;
use byzlab::experiment::data::{Provider, Reach};
use byzlab::experiment::plan::Plan;
use byzlab::experiment::run::{Cell, Options, run_local};
use byzlab::experiment::source::Source;
use byzlab::experiment::{store, sweep::Sweep};
use byzlab::{aggregators, peer_rules, topologies};

/// Enough for every topology: a square, so that there is a torus, and even, so that there are
/// halves.
const PEERS: usize = 16;

/// One round on a topology with every rule, each told of so many liars.
fn source(topology: &str, rule: &str, byzantine: usize) -> Source {
    let topology = match topology {
        "edges" => {
            let ring: Vec<[usize; 2]> = (0..PEERS).map(|peer| [peer, (peer + 1) % PEERS]).collect();
            format!("{{ edges = {{ edges = {ring:?} }} }}")
        }
        other => format!("'{other}'"),
    };
    let text = format!(
        r"
schema = 1
name = 'every_rule'
model = 'softmax'
data.set.digits = {{ train = 160, test = 10 }}
training = {{ rounds = 1, learning_rate = 0.3, batch = 5 }}
system.gossip = {{ workers = {PEERS}, topology = {topology} }}
aggregation = {{ rule = '{rule}', byzantine = {byzantine} }}
"
    );
    Source::new("every_rule", text.as_bytes()).unwrap()
}

/// The cell of a topology and a rule, or why there is none.
fn cell(topology: &str, rule: &str, byzantine: usize) -> Result<Cell, String> {
    let source = source(topology, rule, byzantine);
    let refused = |errors: Vec<_>| source.render_all(&errors, false);
    let cell = Sweep::read(&source).map_err(refused)?.remove(0);
    let plan = Plan::check(&cell.config, cell.seed).map_err(refused)?;
    Ok(Cell { swept: cell.swept, plan })
}

/// With one liar expected where any peer has neighbours enough for that, and none elsewhere.
fn expecting_a_liar_where_possible(topology: &str, rule: &str) -> Cell {
    cell(topology, rule, 1).unwrap_or_else(|refusal| {
        assert!(refusal.contains("needs"), "{rule} on {topology}: {refusal}");
        cell(topology, rule, 0).unwrap_or_else(|why| panic!("{rule} on {topology}: {why}"))
    })
}

#[test]
fn every_rule_makes_a_round_on_every_topology() {
    let peer_rules = peer_rules::CATALOG.entries.iter().map(|entry| entry.name);
    // Peers hold no data that others trust.
    let trusting = |name| aggregators::CATALOG.build_default(name).unwrap().value.needs_trusted();
    let aggregators = aggregators::CATALOG.entries.iter().map(|entry| entry.name);
    let rules: Vec<&str> = peer_rules.chain(aggregators.filter(|name| !trusting(*name))).collect();
    let cells: Vec<Cell> = topologies::CATALOG
        .entries
        .iter()
        .flat_map(|topology| rules.iter().map(|rule| (topology.name, *rule)))
        .map(|(topology, rule)| expecting_a_liar_where_possible(topology, rule))
        .collect();
    assert_eq!(cells.len(), rules.len() * topologies::CATALOG.entries.len());

    let folder = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let out = folder.path().to_path_buf();
    let options =
        Options { out, jobs: 2, threads: 1, rerun: false, checkpoint_seconds: 60.0, stop };
    let data = Provider::new(Box::new(NoFiles), Reach::Everything);
    let order: Vec<usize> = (0..cells.len()).collect();
    run_local(&cells, &order, &data, &options, &|_, _| {}).unwrap();

    for cell in &cells {
        let run = options.folder(&cell.plan.run_id());
        let config = store::read_text(&run.join("config.toml")).unwrap();
        assert!(store::summary(&run).is_some(), "no end:\n{config}");
        let rows: Vec<store::RoundRow> = csv::Reader::from_path(run.join("rounds.csv"))
            .unwrap()
            .deserialize()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 1, "{config}");
        // Krum and what is made of it cannot choose where a peer has one neighbour, and says so.
        let skipped = rows[0].skipped.as_deref().unwrap_or_default();
        let choosing = ["krum needs n", "bulyan needs n", "gas needs n"];
        let told = choosing.iter().any(|told| skipped.contains(told));
        assert!(skipped.is_empty() || told, "{skipped}\n{config}");
    }
}
