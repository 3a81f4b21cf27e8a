//! What identities would send if nobody had corrupted them, and everything that an adversary has
//! seen: what attacks are built on that change an honest update in place of making one.

use ndarray::{Array1, Array2, Axis, concatenate};

use super::moments::means_of;
use super::{AttackError, View};

/// One row per identity: its own update, or the mean of those that are known where its own are
/// not.
pub(super) fn plain(attack: &'static str, view: &View<'_>) -> Result<Array2<f32>, AttackError> {
    let identities = view.identities.len();
    if view.own.nrows() == identities {
        return Ok(view.own.to_owned());
    }
    let mean: Array1<f32> =
        means_of(attack, &view.known_rows())?.into_iter().map(|mean| mean as f32).collect();
    let row = mean.view().insert_axis(Axis(0));
    Ok(row.broadcast((identities, mean.len())).expect("one row").to_owned())
}

/// What is known, and if asked for the identities' own before it, one row each.
pub(super) fn gathered(view: &View<'_>, with_own: bool) -> Array2<f32> {
    match view.honest {
        Some(honest) if with_own && view.own.nrows() > 0 => {
            concatenate(Axis(0), &[view.own, honest.in_one_piece()]).expect("rows of one model")
        }
        _ => view.known().to_owned(),
    }
}
