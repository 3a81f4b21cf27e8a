//! One cell of an experiment, made smaller, and what its last row says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{Lab, RunFiles};

/// What a cell came to after its last round.
#[derive(Debug)]
pub(super) struct Measured {
    /// The test accuracy of every honest node, 0 to 1, in the order of nodes.
    pub(super) nodes: Vec<f64>,
    /// The test accuracy of the mean of the honest nodes' models, 0 to 1.
    pub(super) averaged: f64,
    /// The mean squared distance of the honest models to their mean; not finite if one is not.
    pub(super) disagreement: f64,
}

impl Measured {
    /// Runs one cell of `experiments/papers/<file>` with these values in place of its own.
    pub(super) fn of(file: &str, values: &[&str], arguments: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/papers").join(file);
        let lab = Lab::new(&fs::read_to_string(path).unwrap());
        let set = values.iter().flat_map(|value| ["--set", value]);
        lab.finish("out", &set.chain(arguments.iter().copied()).collect::<Vec<_>>());
        Measured::last(&lab.only_run("out"))
    }

    fn last(run: &RunFiles) -> Self {
        let rounds = rows(&run.path.join("rounds.csv"));
        let last = rounds.last().unwrap();
        let number = |column: &str| last[column].parse().unwrap();
        let nodes = rows(&run.path.join("nodes.csv"));
        let judged = nodes
            .iter()
            .filter(|row| row["round"] == last["round"])
            .filter_map(|row| row["test_accuracy"].parse().ok());
        Measured {
            nodes: judged.collect(),
            averaged: number("averaged_model_accuracy"),
            disagreement: number("disagreement"),
        }
    }

    /// The mean accuracy of the first half of the nodes and that of the second.
    pub(super) fn cliques(&self) -> [f64; 2] {
        let (first, second) = self.nodes.split_at(self.nodes.len() / 2);
        [first, second].map(|clique| clique.iter().sum::<f64>() / clique.len() as f64)
    }

    /// The least accuracy of a node.
    pub(super) fn least(&self) -> f64 {
        self.nodes.iter().copied().fold(1.0, f64::min)
    }

    /// The greatest accuracy of a node.
    pub(super) fn greatest(&self) -> f64 {
        self.nodes.iter().copied().fold(0.0, f64::max)
    }
}

/// The rows of a table by column.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}
