//! An attack among the parameters of another.

use std::sync::Arc;

use super::{Attack, CATALOG};
use crate::catalog::{ConfigError, Nested};

/// Builds the attack that is written here.
pub(super) fn nested(written: &Nested) -> Result<Arc<dyn Attack>, ConfigError> {
    let member = CATALOG.build(&written.choice()?)?;
    Ok(member.value)
}
