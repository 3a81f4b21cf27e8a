//! What a rule or an attack remembers between rounds: plain data, kept by whoever drives it.
//!
//! Rules and attacks are immutable values. What they learn in one round and need in the next
//! they write here, under a name of their own; the driver stores it with its state, so that a
//! resumed run continues with the same bits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Named vectors that live from one round to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    vectors: BTreeMap<String, Vec<f32>>,
}

impl Memory {
    /// The vector remembered under `name`.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.vectors.get(name).map(Vec::as_slice)
    }

    /// Remembers `vector` under `name`, in place of what was there.
    pub fn set(&mut self, name: &str, vector: Vec<f32>) {
        self.vectors.insert(name.to_owned(), vector);
    }

    /// Whether nothing has been remembered.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }
}
