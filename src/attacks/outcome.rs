//! What comes of an attack, by the defence that was lent to the attacker.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use ndarray::{Array1, Array2};
use pulp::{Arch, NullaryFnOnce};

use super::moments::means;
use super::{AttackError, Trying, View, stacked};
use crate::vector::first_not_finite;

/// The round as an attacker sees it that can try what it sends.
pub(super) struct Trial<'a> {
    /// The mean of what is known, from which it wants to lead away.
    pub(super) mean: Vec<f64>,
    defence: Box<Trying<'a>>,
    /// What was tried last.
    sent: Vec<f32>,
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
        let sent = vec![0.0; mean.len()];
        let defence: Box<Trying<'a>> = match view.victim {
            // A victim's rule takes what is sent to it and knows the rest.
            Some(_) => {
                let copies = copies.unwrap_or(view.identities.len());
                let none = Array2::zeros((0, mean.len()));
                stacked(|rows| defence.outcome(rows), none.view(), copies)
            }
            None => defence.trying(view.known(), copies.unwrap_or(view.corrupted)),
        };
        Ok(Trial { mean, defence, sent })
    }

    /// What the rule makes of the vector in `sent`; `None` where it refuses that or the vector is
    /// not finite.
    fn outcome(&mut self) -> Option<Array1<f32>> {
        if first_not_finite(&self.sent).is_some() {
            return None;
        }
        (self.defence)(&self.sent).ok()
    }

    /// How far the outcome is from the mean, coordinate by coordinate; `None` where the rule
    /// refuses or the outcome is not finite.
    pub(super) fn displacement(&mut self, vector: &[f64]) -> Option<Vec<f64>> {
        Line { start: None, direction: vector }.at(1.0, &mut self.sent);
        let outcome = self.outcome()?;
        let away = outcome.iter().zip(&self.mean).map(|(&now, mean)| f64::from(now) - mean);
        let away: Vec<f64> = away.collect();
        away.iter().all(|value| value.is_finite()).then_some(away)
    }

    /// The distance to the mean of what comes of the vector at `factor` on a line; minus infinity
    /// where there is none.
    pub(super) fn distance(&mut self, line: Line<'_>, factor: f64) -> f64 {
        line.at(factor, &mut self.sent);
        let Some(outcome) = self.outcome() else { return f64::NEG_INFINITY };
        let away = outcome.iter().zip(&self.mean).map(|(&now, mean)| f64::from(now) - mean);
        // No square of a difference of two numbers of single precision overflows.
        let square: f64 = away.map(|value| value * value).sum();
        if square.is_finite() { square.sqrt() } else { f64::NEG_INFINITY }
    }
}

/// The vectors `start + factor · direction`, or `factor · direction` without a start.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) start: Option<&'a [f64]>,
    pub(super) direction: &'a [f64],
}

impl Line<'_> {
    /// The vector at `factor`.
    pub(super) fn vector(self, factor: f64) -> Array1<f32> {
        let mut vector = vec![0.0; self.direction.len()];
        self.at(factor, &mut vector);
        Array1::from(vector)
    }

    fn at(self, factor: f64, vector: &mut [f32]) {
        Arch::new().dispatch(Walk { line: self, factor, vector });
    }
}

/// Writes the vector at a place of a line.
struct Walk<'a, 'b> {
    line: Line<'a>,
    factor: f64,
    vector: &'b mut [f32],
}

impl NullaryFnOnce for Walk<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Walk { line: Line { start, direction }, factor, vector } = self;
        match start {
            Some(start) => {
                for ((value, &start), &along) in vector.iter_mut().zip(start).zip(direction) {
                    *value = (start + factor * along) as f32;
                }
            }
            None => {
                for (value, &along) in vector.iter_mut().zip(direction) {
                    *value = (factor * along) as f32;
                }
            }
        }
    }
}

/// The Euclidean norm.
pub(super) fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}
