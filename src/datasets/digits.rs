//! Digits that a procedure writes: built in, no file, no network.
//!
//! 28 x 28 grey pixels, ten classes, 10,000 + 2,000 images unless told otherwise. Every class is
//! equally frequent, up to one sample. Pixels come out as `(pixel / 255 - 0.135) / 0.5`: mean 0,
//! standard deviation 0.53. At deviation 1, softmax regression on one machine, with a learning
//! rate of 0.3 and batches of 25, is unsteady and near 84 % after 600 steps; at this scale it is
//! near 87 %.
//!
//! Each digit has three or four styles, written down as pen strokes. For one image the procedure
//! takes a style, moves its points, draws smooth curves through them, bends the sheet, squeezes,
//! slants and turns the digit, sets its size and place, inks it with a pen whose width and
//! darkness vary, now and then adds a stray mark, and ends with pixel noise. All of it is drawn
//! from a stream that (seed, split, index) names: an image is the same however many there are and
//! whoever draws it, a smaller set is the beginning of a larger one, and a worker draws its own
//! shard only. Only sums, products, quotients and square roots are used, so the pixels do not
//! depend on the machine.
//!
//! How hard it is, with the defaults: softmax regression reaches 89 % on the test split, a
//! perceptron with 128 hidden units 97 %, the nearest neighbour in pixel distance 94 %; other
//! seeds are within a point or two. Softmax regression by 13 honest workers with batches of 25,
//! learning rate 0.3 and momentum 0.9 is at 87 % after 100 rounds. The nearest two of 2,000
//! images are a fifth of the median distance apart. Drawing an image takes about 15 µs.
//!
//! Fails as a stand-in for data that people made: there are no writers, so no partition by
//! writer; no wrong labels; no rare styles; train and test follow exactly the same law. An
//! accuracy on it says nothing about recognising handwriting, and what holds on digits alone has
//! shown little. Take it to compare systems, rules and attacks, and confirm on other data.
//!
//! Reference: the procedure is this project's own.

mod draws;
mod hand;
mod raster;
mod strokes;

use std::sync::Arc;

use ndarray::Array2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::draws::Draws;
use super::{DataError, Dataset, File, Store, beyond};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::{Raw, Scale, Shape, Split, Values};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "digits",
    summary: "10,000 + 2,000 digits written by a procedure, 28 x 28; needs no files",
    reference: "this project's own procedure",
    source: include_str!("digits.rs"),
    claims: (),
    parameters: || schema_for!(Digits),
    build: |parameters| {
        parameters.build::<dyn Dataset, Digits>(|digits| Ok(Arc::new(digits.checked()?)))
    },
};

/// Pixels along each side.
const SIDE: usize = 28;
/// Pixels of an image.
const PIXELS: usize = SIDE * SIDE;
/// How many digits there are.
const CLASSES: usize = 10;
/// Fewest and most samples of a split.
const SAMPLES: std::ops::RangeInclusive<usize> = CLASSES..=1_000_000;
/// Mean of all pixels, which go from 0 to 1.
const MEAN: f64 = 0.135;
/// What pixels are divided by once the mean is off; their standard deviation is 0.266.
const DEVIATION: f64 = 0.5;

/// Parameters of the digits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Digits {
    /// How many images to learn from, 10 to 1,000,000.
    #[schemars(range(min = 10, max = 1_000_000))]
    train: usize,
    /// How many images to judge by, 10 to 1,000,000; none of them is among those to learn from.
    #[schemars(range(min = 10, max = 1_000_000))]
    test: usize,
    /// Which set of all that could be drawn. It does not follow the run's seed, so that runs with
    /// several seeds learn from the same data.
    seed: u64,
}

impl Default for Digits {
    fn default() -> Self {
        Digits { train: 10_000, test: 2_000, seed: 1 }
    }
}

/// What a stream is drawn for. The discriminants are part of every image: never renumber them.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
enum Use {
    /// The order of the labels of ten samples.
    Labels = 1,
    /// One image.
    Image = 2,
}

impl Dataset for Digits {
    fn shape(&self) -> Shape {
        Shape { height: SIDE, width: SIDE, channels: 1, classes: CLASSES }
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }

    fn files(&self, _split: Split) -> Vec<&'static File> {
        Vec::new()
    }

    fn scale(&self) -> Scale {
        Scale::standard(MEAN, DEVIATION)
    }

    fn labels(&self, split: Split, _store: &dyn Store) -> Result<Vec<u8>, DataError> {
        let samples = self.len(split);
        let mut labels: Vec<u8> =
            (0..samples.div_ceil(CLASSES)).flat_map(|block| self.block(split, block)).collect();
        labels.truncate(samples);
        Ok(labels)
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        _store: &dyn Store,
    ) -> Result<Raw, DataError> {
        self.check(split, indices)?;
        let labels: Vec<u8> = indices.iter().map(|&index| self.label(split, index)).collect();
        let mut values = Array2::zeros((indices.len(), PIXELS));
        for ((row, &index), &label) in values.rows_mut().into_iter().zip(indices).zip(&labels) {
            for (value, pixel) in row.into_iter().zip(self.image(split, index, label)) {
                *value = pixel;
            }
        }
        Ok(Raw { values: Values::Bytes(values), labels })
    }
}

impl Digits {
    /// Refuses sizes that make no data set.
    fn checked(self) -> Result<Self, ConfigError> {
        for (name, samples) in [("train", self.train), ("test", self.test)] {
            if !SAMPLES.contains(&samples) {
                let [least, most] = [SAMPLES.start(), SAMPLES.end()];
                let message = format!("`{name}` must be {least} to {most}, and is {samples}");
                let help = "every digit needs a sample, and all of them must fit in memory";
                return Err(ConfigError::new(message).help(help));
            }
        }
        Ok(self)
    }

    /// Refuses indices beyond the split.
    fn check(&self, split: Split, indices: &[usize]) -> Result<(), DataError> {
        let samples = self.len(split);
        match indices.iter().find(|&&index| index >= samples) {
            None => Ok(()),
            Some(&index) => Err(beyond(ENTRY.name, index, split, samples)),
        }
    }

    /// The label of one sample.
    fn label(&self, split: Split, index: usize) -> u8 {
        self.block(split, index / CLASSES)[index % CLASSES]
    }

    /// The labels of samples `10 block` to `10 block + 9`: each digit once, in random order.
    fn block(&self, split: Split, block: usize) -> [u8; CLASSES] {
        let mut draws = self.draws(split, Use::Labels, block);
        let mut labels = std::array::from_fn(|digit| digit as u8);
        for last in (1..CLASSES).rev() {
            labels.swap(last, draws.below(last + 1));
        }
        labels
    }

    /// The grey levels of one sample, row by row.
    fn image(&self, split: Split, index: usize, label: u8) -> [u8; PIXELS] {
        hand::write(label, &mut self.draws(split, Use::Image, index))
    }

    /// The stream of one image or one block of labels.
    fn draws(&self, split: Split, used: Use, index: usize) -> Draws {
        let split = match split {
            Split::Train => 1,
            Split::Test => 2,
        };
        Draws::new([self.seed, split, used as u64, index as u64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Parameters;
    use crate::dataset::Samples;
    use crate::datasets::{CATALOG, NoFiles};

    const BOTH: [Split; 2] = [Split::Train, Split::Test];

    fn samples(digits: &Digits, split: Split, indices: &[usize]) -> Samples {
        digits.scaled(split, indices, &Scale::None, &NoFiles).unwrap()
    }

    fn first(digits: &Digits, count: usize) -> Samples {
        samples(digits, Split::Train, &(0..count).collect::<Vec<_>>())
    }

    #[test]
    fn defaults_are_in_the_catalog() {
        let member = CATALOG.build_default("digits").unwrap();
        assert_eq!(member.value.shape().features(), 784);
        assert_eq!(member.value.shape().classes, 10);
        assert_eq!(BOTH.map(|split| member.value.len(split)), [10_000, 2_000]);
        assert!(member.value.files(Split::Train).is_empty());
        assert_eq!(
            member.resolved().to_string(),
            r#"{"digits":{"seed":1,"test":2000,"train":10000}}"#
        );
    }

    #[test]
    fn sizes_out_of_range_are_refused_where_they_stand() {
        for (text, value) in [("test = 9", "9"), ("test = 1000001", "1000001")] {
            let error = (ENTRY.build)(Parameters::from_toml(text).unwrap()).unwrap_err();
            assert_eq!(error.message, format!("`test` must be 10 to 1000000, and is {value}"));
            assert_eq!(error.span, Some(7..text.len()));
        }
        assert!((ENTRY.build)(Parameters::from_toml("train = 0").unwrap()).is_err());
        assert!((ENTRY.build)(Parameters::from_toml("train = 10\ntest = 10").unwrap()).is_ok());
    }

    #[test]
    fn labels_are_balanced_shuffled_and_those_of_the_samples() {
        let digits = Digits { train: 1_003, ..Digits::default() };
        for split in BOTH {
            let labels = digits.labels(split, &NoFiles).unwrap();
            assert_eq!(labels.len(), digits.len(split));
            let mut counts = [0; CLASSES];
            for &label in &labels {
                counts[usize::from(label)] += 1;
            }
            let fair = labels.len() / CLASSES;
            assert!(counts.iter().all(|count| (fair..=fair + 1).contains(count)), "{counts:?}");
            let indices = [0, 7, 999, 10, 11];
            let drawn = samples(&digits, split, &indices).labels;
            assert_eq!(drawn, indices.map(|index| labels[index]));
            assert!(labels.chunks_exact(10).any(|block| block != &labels[..10]));
        }
        assert_ne!(
            digits.labels(Split::Train, &NoFiles).unwrap()[..1_000],
            digits.labels(Split::Test, &NoFiles).unwrap()[..1_000]
        );
    }

    #[test]
    fn a_shard_is_drawn_as_in_the_whole() {
        let digits = Digits::default();
        let whole = first(&digits, 200);
        let shard = [17, 3, 199, 3, 42];
        assert_eq!(samples(&digits, Split::Train, &shard), whole.select(&shard));
        let larger = Digits { train: 1_000_000, test: 10, ..digits.clone() };
        assert_eq!(samples(&larger, Split::Train, &shard), whole.select(&shard));
        assert_eq!(samples(&digits, Split::Train, &[]).inputs.dim(), (0, PIXELS));
    }

    #[test]
    fn seeds_and_splits_draw_other_images() {
        let digits = Digits::default();
        let other = Digits { seed: 2, ..Digits::default() };
        for index in 0..100 {
            let image = digits.image(Split::Train, index, 3);
            assert_ne!(image, digits.image(Split::Test, index, 3));
            assert_ne!(image, digits.image(Split::Train, index + 1, 3));
            assert_ne!(image, other.image(Split::Train, index, 3));
        }
        assert_ne!(
            digits.labels(Split::Train, &NoFiles).unwrap(),
            other.labels(Split::Train, &NoFiles).unwrap()
        );
    }

    #[test]
    fn indices_beyond_the_split_are_refused() {
        let error = Digits::default().samples(Split::Test, &[5, 2_000], &NoFiles).unwrap_err();
        assert_eq!(error.to_string(), "digits: sample 2000 was asked for, and Test has 2000");
    }

    #[test]
    fn inputs_have_the_promised_scale() {
        let all: Vec<usize> = (0..1_000).collect();
        let digits = Digits::default();
        let drawn = digits.scaled(Split::Train, &all, &digits.scale(), &NoFiles).unwrap().inputs;
        let [paper, ink] = [0.0, 1.0].map(|grey: f32| (grey - 0.135) / 0.5);
        assert!(drawn.iter().all(|input| (paper..=ink).contains(input)));
        let mean = drawn.iter().map(|&input| f64::from(input)).sum::<f64>() / drawn.len() as f64;
        let square = drawn.iter().map(|&input| f64::from(input).powi(2)).sum::<f64>();
        let deviation = (square / drawn.len() as f64 - mean * mean).sqrt();
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((0.5..0.56).contains(&deviation), "{deviation}");
        for image in drawn.rows() {
            let inked = image.iter().filter(|&&input| input > 0.5).count();
            assert!((15..350).contains(&inked), "{inked} pixels of ink");
        }
    }

    /// Stored results were computed on these very images: a change here raises `results_version`.
    #[test]
    fn the_first_hundred_images_are_pinned() {
        let digits = Digits::default();
        for (split, pinned) in BOTH.into_iter().zip(PINNED) {
            let mut hasher = blake3::Hasher::new();
            for index in 0..100 {
                let label = digits.label(split, index);
                hasher.update(&[label]).update(&digits.image(split, index, label));
            }
            assert_eq!(hasher.finalize().to_hex().as_str(), pinned, "{split:?}");
        }
    }

    const PINNED: [&str; 2] = [
        "c38f450ad5f65b14ec51425b9e7e5078391bf358929f9e6bd3793e7f5fe461a3",
        "b99c65f8d20eb843424f8c535b36799ef16805a53eb9220a3018225aa56250b4",
    ];
}
