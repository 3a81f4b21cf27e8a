//! Admission: what is refused before any rule sees it, and why.
//!
//! Peers are hostile by definition here. A message is checked for its sender, its round, its
//! length and its values; what does not pass is counted against whoever sent it.

use std::fmt;

use crate::node::{NodeId, Round};
use crate::vector::{finite_norm, first_not_finite};

/// A message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who sent it.
    pub from: NodeId,
    /// The round that was open.
    pub round: Round,
    /// Why it was not taken.
    pub reason: Reason,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The sender is not on the roster.
    Stranger,
    /// The sender was given up on before.
    Lost,
    /// The sender was not drawn for the round.
    NotDrawn,
    /// The message belongs to another round.
    OtherRound {
        /// The round it names.
        got: Round,
    },
    /// The sender has answered this round before; its first answer counts.
    Twice,
    /// The vector has another length than the model.
    Length {
        /// The model's length.
        expected: usize,
        /// The vector's length.
        got: u64,
    },
    /// The vector holds a value that is NaN or infinite.
    NotFinite {
        /// The first such position.
        position: usize,
    },
    /// A kind of message that this sender has no business to send.
    WrongKind,
    /// The transport could not make a message of what came.
    Malformed(String),
    /// The sender asked for what its part in the run does not include.
    Denied(String),
    /// Another process refused it, and says why.
    Reported(String),
}

impl Reason {
    /// Whether the sender has had its turn in the round with this: it sent what was to be its
    /// answer, and that was no good. Otherwise it still owes one.
    pub fn ends_turn(&self) -> bool {
        match self {
            Reason::Length { .. } | Reason::NotFinite { .. } | Reason::Malformed(_) => true,
            Reason::Stranger
            | Reason::Lost
            | Reason::NotDrawn
            | Reason::OtherRound { .. }
            | Reason::Twice
            | Reason::WrongKind
            | Reason::Denied(_)
            | Reason::Reported(_) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Stranger => write!(formatter, "not on the roster"),
            Reason::Lost => write!(formatter, "stayed away too long before"),
            Reason::NotDrawn => write!(formatter, "not drawn for this round"),
            Reason::OtherRound { got } => write!(formatter, "belongs to round {got}"),
            Reason::Twice => write!(formatter, "answered this round before"),
            Reason::Length { expected, got } => {
                write!(formatter, "has {got} values where the model has {expected}")
            }
            Reason::NotFinite { position } => {
                write!(formatter, "value {position} is not a finite number")
            }
            Reason::WrongKind => write!(formatter, "not this sender's to say"),
            Reason::Malformed(what) => write!(formatter, "malformed: {what}"),
            Reason::Denied(what) => write!(formatter, "denied: {what}"),
            Reason::Reported(what) => formatter.write_str(what),
        }
    }
}

/// Checks an update's length and values.
pub fn admit(update: &[f32], expected: usize) -> Result<(), Reason> {
    check_length(update, expected)?;
    first_not_finite(update).map_or(Ok(()), |position| Err(Reason::NotFinite { position }))
}

/// Checks the same, and finds the update's Euclidean norm in the same pass.
pub fn measure(update: &[f32], expected: usize) -> Result<f64, Reason> {
    check_length(update, expected)?;
    finite_norm(update).map_err(|position| Reason::NotFinite { position })
}

fn check_length(update: &[f32], expected: usize) -> Result<(), Reason> {
    match update.len() == expected {
        true => Ok(()),
        false => Err(Reason::Length { expected, got: update.len() as u64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_values_are_checked() {
        assert_eq!(admit(&[1.0, 2.0], 2), Ok(()));
        assert_eq!(admit(&[1.0], 2), Err(Reason::Length { expected: 2, got: 1 }));
        assert_eq!(admit(&[1.0, f32::NAN], 2), Err(Reason::NotFinite { position: 1 }));
        assert_eq!(admit(&[f32::INFINITY, 0.0], 2), Err(Reason::NotFinite { position: 0 }));
        for update in [&[3.0, 4.0][..], &[1.0], &[1.0, f32::NAN], &[f32::INFINITY, 0.0]] {
            assert_eq!(measure(update, 2), admit(update, 2).map(|()| 5.0));
        }
    }
}
