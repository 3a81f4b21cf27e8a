//! What poisons with a trigger share: pixels that are set, samples that are taken, a class that
//! the model is to answer.

use ndarray::ArrayViewMut1;
use rand::Rng;
use rand::seq::index;

use super::Triggered;
use crate::catalog::ConfigError;
use crate::dataset::{Samples, Shape};

/// White in MNIST as its inputs are normalised, and nearly so in the generated digits.
pub(super) const WHITE: f32 = 2.82;

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Rectangle {
    /// Refuses one that is empty or does not lie in the image.
    pub(super) fn check(self, shape: Shape) -> Result<(), ConfigError> {
        let Rectangle { row, column, height, width } = self;
        let inside = |start: usize, length: usize, all: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= all)
        };
        if inside(row, height, shape.height) && inside(column, width, shape.width) {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "a trigger of {height} x {width} pixels at row {row}, column {column} does not lie in \
             images of {} x {}",
            shape.height, shape.width
        )))
    }

    /// Sets its pixels in one sample, in all channels.
    pub(super) fn stamp(self, mut sample: ArrayViewMut1<'_, f32>, shape: Shape, value: f32) {
        for row in self.row..self.row + self.height {
            let first = (row * shape.width + self.column) * shape.channels;
            for at in first..first + self.width * shape.channels {
                sample[at] = value;
            }
        }
    }
}

/// Refuses a share that is none, a value that is no number, and a class that is not there.
pub(super) fn check_share(share: f64, value: f32) -> Result<(), ConfigError> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(ConfigError::new(format!(
            "`share` must be above 0 and at most 1, got {share}"
        )));
    }
    if !value.is_finite() {
        return Err(ConfigError::new(format!("`value` must be a finite number, got {value}")));
    }
    Ok(())
}

/// Refuses a class that the data set does not have.
pub(super) fn check_target(target: u8, shape: Shape) -> Result<(), ConfigError> {
    if usize::from(target) < shape.classes {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "`target` = {target} is no class: there are {}, from 0",
        shape.classes
    )))
}

/// Which samples are poisoned: a share of them, at least one, drawn without replacement.
pub(super) fn chosen(samples: usize, share: f64, rng: &mut dyn Rng) -> Vec<usize> {
    let count = ((share * samples as f64).round() as usize).clamp(samples.min(1), samples);
    index::sample(rng, samples, count).into_vec()
}

/// Samples of all other classes with the trigger on, and the class they are to be taken for.
pub(super) fn triggered(
    test: &Samples,
    shape: Shape,
    target: u8,
    trigger: &[Rectangle],
    value: f32,
) -> Triggered {
    let others: Vec<usize> = (0..test.len()).filter(|&at| test.labels[at] != target).collect();
    let mut samples = test.select(&others);
    for mut row in samples.inputs.rows_mut() {
        for rectangle in trigger {
            rectangle.stamp(row.view_mut(), shape, value);
        }
    }
    Triggered { inputs: samples.inputs, target }
}
