//! Reports: folds over what runs have stored.

pub mod expected;
pub mod findings;
pub mod grid;
pub mod table;

/// A finished cell, as reports read it.
#[derive(Debug, Clone, PartialEq)]
pub struct CellResult {
    /// The swept keys with the short names of their values, in the order of the axes.
    pub swept: Vec<(String, String)>,
    /// The seed.
    pub seed: u64,
    /// Accuracy on the test set after the last round, 0 to 1.
    pub accuracy: f64,
    /// Whether the cell had no attack.
    pub unattacked: bool,
}
