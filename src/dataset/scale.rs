//! What is done to the values of samples before a model reads them.

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a data set stores its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// One byte each, as images do: 0 to 255.
    Bytes,
    /// Numbers of any size.
    Numbers,
}

/// How values are scaled. Where they are stored as bytes, all but `none` divide them by 255 first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// Not at all: bytes stay between 0 and 255.
    None,
    /// Bytes come to lie between 0 and 1.
    Unit,
    /// As `standard`, with mean and deviation of the training split, where a set from a file of
    /// the user's is read anyway. The plan records what they are.
    Measured,
    /// The mean is taken off, and the rest divided by the deviation.
    Standard {
        /// One for each channel (or column), or one for all.
        mean: Vec<f64>,
        /// Likewise, above 0.
        deviation: Vec<f64>,
    },
}

impl Scale {
    /// One mean and one deviation for all values.
    pub fn standard(mean: f64, deviation: f64) -> Self {
        Scale::Standard { mean: vec![mean], deviation: vec![deviation] }
    }

    /// What is wrong with it for samples of so many channels, stored in this way.
    pub fn fault(&self, channels: usize, stored: Stored) -> Option<String> {
        match self {
            Scale::None => None,
            Scale::Unit if stored == Stored::Bytes => None,
            Scale::Unit => Some("`unit` divides bytes by 255, and these are no bytes".to_owned()),
            Scale::Measured => Some("`measured` needs a data set that is measured".to_owned()),
            Scale::Standard { mean, deviation } => {
                let fits = |values: &[f64]| [1, channels].contains(&values.len());
                if !fits(mean) || !fits(deviation) {
                    let (means, deviations) = (mean.len(), deviation.len());
                    return Some(format!(
                        "{means} means and {deviations} deviations for {channels} channels: there \
                         must be one for each, or one for all"
                    ));
                }
                if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
                    return Some(format!("a mean is {mean} and must be finite"));
                }
                let divides = |value: &f64| value.is_finite() && (*value as f32) > 0.0;
                let wrong = deviation.iter().find(|deviation| !divides(deviation))?;
                Some(format!("a deviation is {wrong:?} and must be above 0"))
            }
        }
    }

    /// Scales samples of so many channels in place, in `f32` throughout. Rows hold the channels
    /// of one pixel side by side.
    ///
    /// # Panics
    /// If it has a [fault](Scale::fault) for such samples.
    pub fn apply(&self, inputs: &mut Array2<f32>, channels: usize, stored: Stored) {
        let unit = |value: &mut f32| *value /= 255.0;
        if stored == Stored::Bytes && *self != Scale::None {
            inputs.iter_mut().for_each(unit);
        }
        let Scale::Standard { mean, deviation } = self else {
            assert!(*self != Scale::Measured, "what is measured is known before it is used");
            return;
        };
        let spread = |values: &[f64]| -> Vec<f32> {
            (0..channels).map(|channel| values[channel % values.len()] as f32).collect()
        };
        let (mean, deviation) = (spread(mean), spread(deviation));
        for row in inputs.rows_mut() {
            let row = row.into_slice().expect("rows of samples lie in one piece");
            for pixel in row.chunks_exact_mut(channels) {
                for ((value, mean), deviation) in pixel.iter_mut().zip(&mean).zip(&deviation) {
                    *value = (*value - mean) / deviation;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn scaled(scale: &Scale, stored: Stored) -> Array2<f32> {
        // Two samples of two pixels of two channels.
        let mut inputs = array![[0.0, 51.0, 255.0, 102.0], [51.0, 0.0, 0.0, 255.0]];
        assert_eq!(scale.fault(2, stored), None);
        scale.apply(&mut inputs, 2, stored);
        inputs
    }

    #[test]
    fn by_hand() {
        let raw = array![[0.0, 51.0, 255.0, 102.0], [51.0, 0.0, 0.0, 255.0]];
        assert_eq!(scaled(&Scale::None, Stored::Bytes), raw);
        let unit = array![[0.0, 0.2, 1.0, 0.4], [0.2, 0.0, 0.0, 1.0]];
        assert_eq!(scaled(&Scale::Unit, Stored::Bytes), unit);
        let standard = Scale::Standard { mean: vec![0.5, 0.25], deviation: vec![0.5, 0.25] };
        assert_eq!(scaled(&standard, Stored::Bytes).column(0), array![-1.0, (0.2 - 0.5) / 0.5]);
        assert_eq!(scaled(&standard, Stored::Bytes).column(3), array![(0.4 - 0.25) / 0.25, 3.0]);
        let one = Scale::standard(51.0, 2.0);
        assert_eq!(scaled(&one, Stored::Numbers).row(1), array![0.0, -25.5, -25.5, 102.0]);
    }

    #[test]
    fn faults_are_told_with_the_numbers() {
        let standard = |mean: &[f64], deviation: &[f64]| Scale::Standard {
            mean: mean.to_vec(),
            deviation: deviation.to_vec(),
        };
        let fault = |scale: Scale| scale.fault(3, Stored::Bytes).unwrap();
        assert_eq!(
            fault(standard(&[0.5, 0.5], &[1.0])),
            "2 means and 1 deviations for 3 channels: there must be one for each, or one for all"
        );
        assert_eq!(
            fault(standard(&[0.5], &[1.0, 0.0, 1.0])),
            "a deviation is 0.0 and must be above 0"
        );
        assert_eq!(fault(standard(&[0.5], &[1e-50])), "a deviation is 1e-50 and must be above 0");
        assert_eq!(fault(standard(&[f64::NAN], &[1.0])), "a mean is NaN and must be finite");
        let numbers = Scale::Unit.fault(3, Stored::Numbers).unwrap();
        assert_eq!(numbers, "`unit` divides bytes by 255, and these are no bytes");
        assert!(Scale::Measured.fault(3, Stored::Numbers).is_some());
    }
}
