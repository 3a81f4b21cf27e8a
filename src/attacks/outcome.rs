//! What comes of an attack, by the defence that was lent to the attacker.

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::moments::means;
use super::{AttackError, Defence, View};

/// The round as an attacker sees it that can try what it sends.
pub(super) struct Trial<'a> {
    defence: &'a Defence<'a>,
    /// The rows that are sent whatever the attacker does, where the defence takes all rows.
    honest: Option<ArrayView2<'a, f32>>,
    /// The mean of what is known, from which it wants to lead away.
    pub(super) mean: Vec<f64>,
    copies: usize,
}

impl<'a> Trial<'a> {
    /// A trial in which `copies` identities send the same vector; by itself, all corrupted ones.
    pub(super) fn new(
        attack: &'static str,
        view: &'a View<'_>,
        copies: Option<usize>,
    ) -> Result<Self, AttackError> {
        let defence = view.defence.ok_or(AttackError::NoDefence { attack })?;
        let mean = means(attack, view.known())?;
        let (honest, all) = match view.victim {
            Some(_) => (None, view.identities.len()),
            None => (Some(view.known()), view.corrupted),
        };
        Ok(Trial { defence, honest, mean, copies: copies.unwrap_or(all) })
    }

    /// How far the outcome is from the mean, coordinate by coordinate; `None` where the rule
    /// refuses or the outcome is not finite.
    pub(super) fn displacement(&self, vector: &[f64]) -> Option<Vec<f64>> {
        let sent = Array2::from_shape_fn((self.copies, vector.len()), |(_, at)| vector[at] as f32);
        if sent.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let rows = match self.honest {
            Some(honest) => concatenate(Axis(0), &[honest, sent.view()]).ok()?,
            None => sent,
        };
        let outcome = (self.defence)(rows.view()).ok()?;
        let away = outcome.iter().zip(&self.mean).map(|(&now, mean)| f64::from(now) - mean);
        let away: Vec<f64> = away.collect();
        away.iter().all(|value| value.is_finite()).then_some(away)
    }

    /// The distance of the outcome to the mean; minus infinity where there is none.
    pub(super) fn distance(&self, vector: &[f64]) -> f64 {
        self.displacement(vector).map_or(f64::NEG_INFINITY, |away| length(&away))
    }
}

/// The Euclidean norm.
pub(super) fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}
