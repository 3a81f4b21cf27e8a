//! How long a member waits for what, in ticks of the caller's clock.

use serde::{Deserialize, Serialize};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wait {
    /// The proposal; then the member prevotes nil.
    Propose,
    /// Agreement among 2f+1 prevotes; then it precommits nil.
    Prevote,
    /// Agreement among 2f+1 precommits; then the next view begins.
    Precommit,
}

/// A wait of one view. One that is over too late does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timer {
    /// What is waited for.
    pub wait: Wait,
    /// In which view.
    pub view: u32,
}

/// Ticks of the first view's waits, and how many every later view adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// For the proposal (default 30).
    pub propose: u64,
    /// For prevotes that agree (default 10).
    pub prevote: u64,
    /// For precommits that agree (default 10).
    pub precommit: u64,
    /// Added with every view (default 5).
    pub delta: u64,
}

impl Default for Timeouts {
    /// What deployed networks use, with a tick of a tenth of a second.
    fn default() -> Self {
        Timeouts { propose: 30, prevote: 10, precommit: 10, delta: 5 }
    }
}

impl Timeouts {
    /// `T(view) = base + view · delta`.
    pub fn ticks(&self, timer: Timer) -> u64 {
        let base = match timer.wait {
            Wait::Propose => self.propose,
            Wait::Prevote => self.prevote,
            Wait::Precommit => self.precommit,
        };
        base.saturating_add(self.delta.saturating_mul(u64::from(timer.view)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_the_view() {
        let timeouts = Timeouts::default();
        let ticks = |wait, view| timeouts.ticks(Timer { wait, view });
        assert_eq!([ticks(Wait::Propose, 0), ticks(Wait::Propose, 4)], [30, 50]);
        assert_eq!([ticks(Wait::Prevote, 1), ticks(Wait::Precommit, 2)], [15, 20]);
        let endless = Timeouts { delta: u64::MAX, ..timeouts };
        assert_eq!(endless.ticks(Timer { wait: Wait::Propose, view: 9 }), u64::MAX);
    }
}
