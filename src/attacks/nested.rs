//! An attack among the parameters of another.

use std::sync::Arc;

use super::{Attack, CATALOG};
use crate::catalog::{ConfigError, Nested};

/// Builds the attack that is written here.
pub(super) fn nested(written: &Nested) -> Result<Arc<dyn Attack>, ConfigError> {
    let member = CATALOG.build(&written.choice()?)?;
    Ok(member.value)
}

/// The same for a schedule, which has no way to say whom it speaks to.
pub(super) fn scheduled(written: &Nested) -> Result<Arc<dyn Attack>, ConfigError> {
    let inner = nested(written)?;
    if inner.directed() {
        let message = "`attack` speaks to one peer at a time, and a schedule cannot carry that";
        return Err(ConfigError::new(message));
    }
    Ok(inner)
}
