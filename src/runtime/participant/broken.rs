//! Why a process stops attending, and whether it may come back.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::runtime::RunError;

/// Why a process stops attending.
pub(super) enum Broken {
    /// The connection is gone; it may come back.
    Lost(String),
    /// The run that it wanted to take part in is over.
    Over,
    /// Coming back would not help.
    Final(RunError),
}

impl Broken {
    /// An error after which there is no coming back.
    pub(super) fn fatal(message: String) -> Self {
        Broken::Final(RunError::Network(message))
    }
}

/// Whether a refusal is worth another try.
pub(super) fn broken(status: &Status) -> Broken {
    match status.code() {
        Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::InvalidArgument => {
            Broken::fatal(format!("the coordinator refuses: {}", status.message()))
        }
        Code::NotFound => Broken::Over,
        _ => Broken::Lost(status.message().to_owned()),
    }
}

/// Ends all sessions.
pub(super) fn abort(sessions: &BTreeMap<String, JoinHandle<()>>) {
    sessions.values().for_each(JoinHandle::abort);
}

/// The innermost cause of an error, which is the one that says something.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
