//! What the user got wrong, as opposed to what went wrong: exit code 2 in place of 1.

use crate::aggregators::AggregateError;
use crate::attacks::AttackError;
use crate::catalog::ConfigError;
use crate::runtime::npy::NpyError;

/// A command line, config or input file that cannot be used, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// A usage error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Usage(message.into())
    }
}

impl From<ConfigError> for Usage {
    /// Without its place: what came from the command line stands in no file.
    fn from(error: ConfigError) -> Self {
        match error.help {
            Some(help) => Usage(format!("{}; {help}", error.message)),
            None => Usage(error.message),
        }
    }
}

impl From<AggregateError> for Usage {
    /// A refusal: the rule cannot do what was asked with these numbers.
    fn from(error: AggregateError) -> Self {
        Usage(error.to_string())
    }
}

impl From<AttackError> for Usage {
    /// A refusal: the attack cannot do what was asked with these updates.
    fn from(error: AttackError) -> Self {
        Usage(error.to_string())
    }
}

impl From<NpyError> for Usage {
    /// Only for files that the user named as input.
    fn from(error: NpyError) -> Self {
        Usage(error.to_string())
    }
}
