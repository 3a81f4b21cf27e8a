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

    /// Hands out the vector remembered under `name`, to be changed and remembered again; an empty
    /// one if there is none.
    pub fn take(&mut self, name: &str) -> Vec<f32> {
        self.vectors.remove(name).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_until_it_is_set_again() {
        let mut memory = Memory::default();
        memory.set("a", vec![1.0]);
        assert_eq!(memory.take("a"), [1.0]);
        assert!(memory.is_empty() && memory.take("a").is_empty());
        memory.set("a", vec![2.0]);
        assert_eq!(memory.get("a"), Some(&[2.0][..]));
    }
}
