//! A negative multiple of what is known: what sign flipping and inner product manipulation share.

use super::moments::means_of;
use super::{AttackError, Crafted, View};

/// `-factor · mean(x)` over the known updates `x`, the same from every identity.
pub(super) fn opposite(
    attack: &'static str,
    view: &View<'_>,
    factor: f64,
) -> Result<Crafted, AttackError> {
    let means = means_of(attack, &view.known_rows())?;
    let vector = means.into_iter().map(|mean| (-factor * mean) as f32).collect();
    Ok(Crafted::same(vector, view.identities.len()))
}
