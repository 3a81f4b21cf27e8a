//! A grid whose rows and columns close to rings: every node talks to four.
//!
//! Node `row · columns + column`; `2 n` edges from three rows and columns on. With two of either,
//! the two ways round are one edge, and nodes have a neighbour less. Without `rows` and `columns`
//! the grid is as nearly square as the number of nodes allows.
//!
//! It mixes faster than a ring, with a gap that falls as `1 / n`, at a degree that stays 4. Fails
//! on a number of nodes that is no product: primes are refused.
//!
//! Reference: a standard case of decentralized learning.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, joined};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "torus",
    summary: "a grid whose rows and columns close to rings: four neighbours each",
    reference: "a standard case of decentralized learning",
    source: include_str!("torus.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Torus),
    build: |parameters| parameters.build::<dyn Topology, Torus>(|it| Ok(Arc::new(it.check()?))),
};

/// Parameters of the torus.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Torus {
    /// How many rows: at least 2. Left out: as nearly square as the nodes allow.
    #[schemars(range(min = 2))]
    rows: Option<usize>,
    /// How many columns: at least 2. Left out: what the rows leave.
    #[schemars(range(min = 2))]
    columns: Option<usize>,
}

impl Topology for Torus {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        let (rows, columns) = self.sides(nodes)?;
        let node = |row: usize, column: usize| row % rows * columns + column % columns;
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let edges = cells.flat_map(|(row, column)| {
            let here = node(row, column);
            [(here, node(row, column + 1)), (here, node(row + 1, column))]
        });
        joined(nodes, edges)
    }
}

impl Torus {
    fn check(self) -> Result<Self, ConfigError> {
        for (name, side) in [("rows", self.rows), ("columns", self.columns)] {
            if let Some(side @ 0..2) = side {
                return Err(ConfigError::new(format!("`{name}` = {side}: give at least 2")));
            }
        }
        Ok(self)
    }

    /// Rows and columns whose product is `nodes`.
    fn sides(&self, nodes: usize) -> Result<(usize, usize), ConfigError> {
        let sides = match (self.rows, self.columns) {
            (Some(rows), Some(columns)) => (rows, columns),
            (Some(rows), None) => (rows, nodes / rows),
            (None, Some(columns)) => (nodes / columns, columns),
            (None, None) => return nearly_square(nodes),
        };
        if sides.0 < 2 || sides.1 < 2 || sides.0.checked_mul(sides.1) != Some(nodes) {
            let given = [("rows", self.rows), ("columns", self.columns)]
                .iter()
                .filter_map(|(name, side)| side.map(|side| format!("{side} {name}")))
                .collect::<Vec<_>>();
            return Err(ConfigError::new(format!(
                "{nodes} nodes make no torus with {}",
                given.join(" and ")
            )));
        }
        Ok(sides)
    }
}

/// The rows are the greatest divisor up to the square root.
fn nearly_square(nodes: usize) -> Result<(usize, usize), ConfigError> {
    let rows = (2..=nodes.isqrt()).rev().find(|rows| nodes.is_multiple_of(*rows));
    rows.map(|rows| (rows, nodes / rows)).ok_or_else(|| {
        let (below, above) = (nodes.max(5) - 1, (nodes + 1).max(4));
        ConfigError::new(format!("{nodes} nodes make no torus: they fill no rows and columns"))
            .help(format!("take {below} or {above} nodes, or another product"))
    })
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{close, edges, refusal, spectrum};

    #[test]
    fn two_rows_of_three_by_hand() {
        let expected = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (3, 5), (4, 5)];
        assert_eq!(edges("torus", "", 6), expected);
        assert_eq!(edges("torus", "columns = 3", 6), expected);
        assert_eq!(edges("torus", "rows = 2", 4), edges("torus", "", 4));
    }

    #[test]
    fn four_rows_of_five() {
        let torus = edges("torus", "rows = 4\ncolumns = 5", 20);
        assert_eq!((torus.len(), &torus), (40, &edges("torus", "", 20)));
        close(spectrum("torus", "", 20).spectral_gap(), 0.276, 5e-4);
    }

    #[test]
    fn what_is_no_product_is_refused() {
        assert_eq!(refusal("torus", "", 7), "7 nodes make no torus: they fill no rows and columns");
        assert_eq!(
            refusal("torus", "rows = 3\ncolumns = 4", 10),
            "10 nodes make no torus with 3 rows and 4 columns"
        );
        assert_eq!(refusal("torus", "rows = 3", 10), "10 nodes make no torus with 3 rows");
        assert_eq!(refusal("torus", "rows = 1", 10), "`rows` = 1: give at least 2");
        assert_eq!(refusal("torus", "rows = 5", 5), "5 nodes make no torus with 5 rows");
        for nodes in 0..4 {
            refusal("torus", "", nodes);
        }
    }
}
