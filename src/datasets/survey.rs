//! Surveys: what a set from files of the user's holds, found out while the experiment is read.
//!
//! Shape and sizes of a data set are known without reading it. For a file that the user names they
//! are found out once, when the experiment is read, and written into the set's parameters. So the
//! plan records them, with a digest of the bytes, and whoever reads other bytes has another plan.

use std::io;

use rand::seq::index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataError, Store};
use crate::catalog::ConfigError;
use crate::dataset::{Scale, Shape, Split, Stored};
use crate::seed::{Purpose, run_stream};

/// The most bytes of one file.
const BYTES_MAX: u64 = 16 << 30;

/// What was found in the files of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// BLAKE3 over the bytes of the files, in hexadecimal. Written into a config, it pins them: an
    /// experiment with other bytes is refused.
    pub digest: String,
    /// Samples to learn from.
    #[serde(default)]
    pub train: usize,
    /// Samples to judge by.
    #[serde(default)]
    pub test: usize,
    /// Rows of an image.
    #[serde(default)]
    pub height: usize,
    /// Columns of an image.
    #[serde(default)]
    pub width: usize,
    /// Values per pixel, or columns of a table.
    #[serde(default)]
    pub channels: usize,
    /// How many classes there are.
    #[serde(default)]
    pub classes: usize,
    /// What the classes are called, where they have names, from class 0 on.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether values are bytes.
    #[serde(default)]
    pub bytes: bool,
    /// The mean of each channel over the training samples, of bytes over 255, to six digits.
    #[serde(default)]
    pub mean: Vec<f64>,
    /// The standard deviation of each, likewise; 1 where all values are the same.
    #[serde(default)]
    pub deviation: Vec<f64>,
}

impl Survey {
    /// What every sample looks like.
    pub fn shape(&self) -> Shape {
        let Survey { height, width, channels, classes, .. } = *self;
        Shape { height, width, channels, classes }
    }

    /// Samples of a split.
    pub fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }

    /// How values are stored.
    pub fn stored(&self) -> Stored {
        if self.bytes { Stored::Bytes } else { Stored::Numbers }
    }

    /// The scale that brings the training samples to mean 0 and deviation 1.
    pub fn measured(&self) -> Scale {
        Scale::Standard { mean: self.mean.clone(), deviation: self.deviation.clone() }
    }

    /// Refuses splits without samples, and classes that the training split has none of.
    pub(super) fn checked(self, per_class: &[usize]) -> Result<Self, String> {
        if self.train == 0 || self.test == 0 {
            let (train, test) = (self.train, self.test);
            return Err(format!(
                "{train} samples to learn from and {test} to judge by: both need one"
            ));
        }
        match per_class.iter().position(|&count| count == 0) {
            None => Ok(self),
            Some(class) => {
                let classes = self.classes;
                let name =
                    self.names.get(class).map_or(String::new(), |name| format!(" (`{name}`)"));
                Err(format!(
                    "class {class}{name} of {classes} has no sample to learn from: every class \
                     needs one"
                ))
            }
        }
    }
}

/// The survey of a set's parameters, which is there once the experiment has been read.
pub(super) fn made(survey: Option<Survey>, path: &str) -> Result<Survey, ConfigError> {
    let made = survey.filter(|survey| survey.train > 0);
    made.ok_or_else(|| {
        ConfigError::new(format!("`path` = {path:?} was not read"))
            .help("sets from files of your own are read with an experiment that names them")
    })
}

/// Mean and deviation by channel, of samples as they come.
#[derive(Debug, Clone, Default)]
pub(super) struct Moments(Vec<Moment>);

#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    count: f64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// For so many channels.
    pub(super) fn of(channels: usize) -> Self {
        Moments(vec![Moment::default(); channels])
    }

    /// Takes in one sample, whose channels lie side by side.
    pub(super) fn add(&mut self, sample: &[f32]) {
        let channels = self.0.len();
        for (channel, moment) in self.0.iter_mut().enumerate() {
            let values = || sample.iter().skip(channel).step_by(channels).copied().map(f64::from);
            let count = (sample.len() / channels) as f64;
            let mean = values().sum::<f64>() / count;
            let squares = values().map(|value| (value - mean).powi(2)).sum();
            moment.merge(Moment { count, mean, squares });
        }
    }

    /// The means and the deviations, of values that are divided by `unit`.
    pub(super) fn end(&self, unit: f64) -> (Vec<f64>, Vec<f64>) {
        let deviation = |moment: &Moment| match (moment.squares / moment.count).sqrt() / unit {
            deviation if (deviation as f32) > 0.0 => six_digits(deviation),
            _ => 1.0,
        };
        let mean = |moment: &Moment| six_digits(moment.mean / unit);
        (self.0.iter().map(mean).collect(), self.0.iter().map(deviation).collect())
    }
}

impl Moment {
    /// Chan, Golub and `LeVeque`, 1979.
    fn merge(&mut self, other: Moment) {
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        self.squares += other.squares + apart * apart * self.count * other.count / count;
        self.mean += apart * other.count / count;
        self.count = count;
    }
}

/// The number that has these six digits.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// BLAKE3 over names and bytes of files, in hexadecimal.
pub(super) fn digest<'a>(
    store: &dyn Store,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, DataError> {
    let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 files of a data set v1");
    let mut buffer = vec![0; 64 << 10];
    for (name, path) in files {
        let mut file = store.given(path)?;
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        let mut length = 0u64;
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(path, error.to_string())),
            };
            length += count as u64;
            if length > BYTES_MAX {
                return Err(broken(path, format!("has more than {BYTES_MAX} bytes")));
            }
            hasher.update(&buffer[..count]);
        }
        hasher.update(&length.to_le_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What is wrong with a file that has become another since.
pub(super) const CHANGED: &str = "is not what it was when the experiment was read";

/// Refuses a share of samples to judge by that leaves one split without any.
pub(super) fn check_share(test: f64) -> Result<(), ConfigError> {
    if test > 0.0 && test < 1.0 {
        return Ok(());
    }
    Err(ConfigError::new(format!("`test` = {test} must be above 0 and below 1")))
}

/// Whether each of so many samples is there to judge by: a share of them, drawn from the set's own
/// seed.
pub(super) fn judges(share: f64, seed: u64, samples: usize) -> Vec<bool> {
    let count = (share * samples as f64).round() as usize;
    let mut judges = vec![false; samples];
    let mut rng = run_stream(seed, Purpose::Split);
    for sample in index::sample(&mut rng, samples, count.min(samples)) {
        judges[sample] = true;
    }
    judges
}

/// The error for a file of the user's.
pub(super) fn broken(path: &str, message: impl Into<String>) -> DataError {
    DataError::Broken { file: path.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_by_hand() {
        // Channel 0: 0, 2, 4, 6; channel 1 is always 5.
        let mut moments = Moments::of(2);
        moments.add(&[0.0, 5.0, 2.0, 5.0]);
        moments.add(&[4.0, 5.0, 6.0, 5.0]);
        assert_eq!(moments.end(1.0), (vec![3.0, 5.0], vec![2.23607, 1.0]));
        assert_eq!(moments.end(2.0), (vec![1.5, 2.5], vec![1.11803, 1.0]));
    }

    #[test]
    fn an_empty_class_and_an_empty_split_are_told() {
        let survey = Survey {
            digest: String::new(),
            train: 4,
            test: 0,
            height: 1,
            width: 1,
            channels: 2,
            classes: 3,
            names: ["ant", "bee", "cow"].map(str::to_owned).to_vec(),
            bytes: false,
            mean: vec![],
            deviation: vec![],
        };
        assert_eq!(
            survey.clone().checked(&[2, 1, 1]).unwrap_err(),
            "4 samples to learn from and 0 to judge by: both need one"
        );
        assert_eq!(
            Survey { test: 1, ..survey }.checked(&[2, 0, 2]).unwrap_err(),
            "class 1 (`bee`) of 3 has no sample to learn from: every class needs one"
        );
    }
}
