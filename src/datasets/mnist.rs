//! MNIST: 60,000 + 10,000 handwritten digits, 28 x 28 grey pixels.
//!
//! Pixels come out as `(pixel / 255 - 0.1307) / 0.3081`: zero mean and unit variance over the
//! training split, the constants that most published experiments use.
//!
//! The images are streamed: what is kept is the samples that were asked for and nothing of the
//! 47 MB around them, although every byte is read, since the file's digest is checked at its end.
//!
//! When it misleads: nearly any method reaches 90 % on it, so a defence that holds on MNIST alone
//! has shown little.
//!
//! Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to
//! Document Recognition, Proceedings of the IEEE 1998.

use std::sync::{Arc, LazyLock};

use ndarray::{Array2, ArrayViewMut1};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::idx::{self, Idx};
use super::{DataError, Dataset, File, Manifest, Store};
use crate::catalog::Entry;
use crate::dataset::{Samples, Shape, Split};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "mnist",
    summary: "60,000 + 10,000 handwritten digits; `byzlab data fetch mnist` gets them",
    reference: "LeCun et al., Proceedings of the IEEE 1998",
    source: include_str!("mnist.rs"),
    claims: (),
    parameters: || schema_for!(Mnist),
    build: |parameters| parameters.build::<dyn Dataset, Mnist>(|mnist| Ok(Arc::new(mnist))),
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_str!("../../datasets/mnist.toml"))
        .expect("the manifest is compiled in, and a test reads it")
});

/// Mean of the training pixels, which go from 0 to 1.
const MEAN: f32 = 0.1307;
/// Their standard deviation.
const DEVIATION: f32 = 0.3081;

/// MNIST has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mnist {}

impl Dataset for Mnist {
    fn shape(&self) -> Shape {
        MANIFEST.shape
    }

    fn len(&self, split: Split) -> usize {
        MANIFEST.samples.of(split)
    }

    fn files(&self, split: Split) -> Vec<&'static File> {
        vec![images(split), labels(split)]
    }

    fn manifest(&self) -> Option<&'static Manifest> {
        Some(&MANIFEST)
    }

    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError> {
        let file = labels(split);
        idx::labels(file, store.open(file)?, self.len(split), self.shape().classes)
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Samples, DataError> {
        let all = self.labels(split, store)?;
        let labels = indices
            .iter()
            .map(|&index| all.get(index).copied().ok_or_else(|| beyond(index, split, all.len())))
            .collect::<Result<_, _>>()?;
        let file = images(split);
        let Shape { height, width, .. } = self.shape();
        let images = Idx::open(file, store.open(file)?, &[self.len(split), height, width])?;
        Ok(Samples { inputs: select(images, indices, self.shape().features())?, labels })
    }
}

/// Streams all images and keeps those at `indices`, in that order, shape `[indices, features]`.
fn select(
    mut images: Idx<'_>,
    indices: &[usize],
    features: usize,
) -> Result<Array2<f32>, DataError> {
    let mut wanted: Vec<(usize, usize)> = indices.iter().copied().zip(0..).collect();
    wanted.sort_unstable();
    let mut wanted = wanted.into_iter().peekable();
    let values = normalised();
    let mut inputs = Array2::zeros((indices.len(), features));
    let mut image = vec![0; features];
    for index in 0..images.records() {
        images.read(&mut image)?;
        while let Some((_, row)) = wanted.next_if(|&(next, _)| next == index) {
            write(inputs.row_mut(row), &image, &values);
        }
    }
    images.finish()?;
    Ok(inputs)
}

/// One image as a row of values.
fn write(row: ArrayViewMut1<'_, f32>, image: &[u8], values: &[f32; 256]) {
    for (value, &pixel) in row.into_iter().zip(image) {
        *value = values[usize::from(pixel)];
    }
}

/// The value of each of the 256 pixels, in `f32` arithmetic throughout.
fn normalised() -> [f32; 256] {
    std::array::from_fn(|pixel| (pixel as f32 / 255.0 - MEAN) / DEVIATION)
}

fn images(split: Split) -> &'static File {
    named(match split {
        Split::Train => "train-images-idx3-ubyte",
        Split::Test => "t10k-images-idx3-ubyte",
    })
}

fn labels(split: Split) -> &'static File {
    named(match split {
        Split::Train => "train-labels-idx1-ubyte",
        Split::Test => "t10k-labels-idx1-ubyte",
    })
}

fn named(name: &str) -> &'static File {
    MANIFEST.file(name).expect("the manifest lists the four files, and a test reads it")
}

/// The error for an index that the split does not have.
fn beyond(index: usize, split: Split, len: usize) -> DataError {
    DataError::Broken {
        file: ENTRY.name.to_owned(),
        message: format!("sample {index} was asked for, and {split:?} has {len}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use ndarray::array;

    use super::*;

    /// Serves the headers of the real files and zeros after them, but for a few places.
    struct Blank {
        labels: Vec<(usize, u8)>,
        pixels: Vec<(usize, u8)>,
    }

    impl Store for Blank {
        fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
            let (rank, changed) =
                if file.name.contains("labels") { (1, &self.labels) } else { (3, &self.pixels) };
            let mut bytes = vec![0, 0, 8, rank];
            for size in [10_000u32, 28, 28].iter().take(usize::from(rank)) {
                bytes.extend(size.to_be_bytes());
            }
            let header = bytes.len();
            bytes.resize(file.bytes as usize, 0);
            for &(place, value) in changed {
                bytes[header + place] = value;
            }
            Ok(Box::new(Cursor::new(bytes)))
        }
    }

    #[test]
    fn the_manifest_is_read_and_consistent() {
        let mnist = Mnist {};
        for (split, samples) in [(Split::Train, 60_000), (Split::Test, 10_000)] {
            assert_eq!(mnist.len(split), samples);
            let [images, labels] = mnist.files(split).try_into().unwrap();
            assert_eq!(images.bytes, 16 + 784 * samples as u64);
            assert_eq!(labels.bytes, 8 + samples as u64);
            for file in [images, labels] {
                assert_eq!(file.folder, "mnist");
                assert_eq!(file.sha256.len(), 64);
                assert!(file.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()));
            }
        }
        assert_eq!(mnist.shape().features(), 784);
        assert!(MANIFEST.mirrors.len() > 1);
    }

    #[test]
    fn rows_come_in_the_order_asked_and_may_repeat() {
        let store = Blank {
            labels: vec![(2, 7), (9_999, 3)],
            pixels: vec![(2 * 784, 255), (9_999 * 784 + 783, 51)],
        };
        let samples = Mnist {}.samples(Split::Test, &[9_999, 2, 9_999, 0], &store).unwrap();
        assert_eq!(samples.labels, [3, 7, 3, 0]);
        let black = (0.0 - 0.1307) / 0.3081;
        let (white, grey) = ((1.0 - 0.1307) / 0.3081, (0.2 - 0.1307) / 0.3081);
        assert_eq!(samples.inputs.column(0), array![black, white, black, black]);
        assert_eq!(samples.inputs.column(783), array![grey, black, grey, black]);
    }

    #[test]
    fn no_samples_and_samples_that_are_not_there() {
        let store = Blank { labels: vec![], pixels: vec![] };
        let none = Mnist {}.samples(Split::Test, &[], &store).unwrap();
        assert_eq!(none.inputs.dim(), (0, 784));
        let error = Mnist {}.samples(Split::Test, &[5, 10_000], &store).unwrap_err();
        assert_eq!(error.to_string(), "mnist: sample 10000 was asked for, and Test has 10000");
    }

    #[test]
    fn a_label_out_of_range_stops_the_run() {
        let store = Blank { labels: vec![(17, 11)], pixels: vec![] };
        let error = Mnist {}.samples(Split::Test, &[0], &store).unwrap_err().to_string();
        assert!(error.contains("label 11 of sample 17 is not below 10"), "{error}");
    }
}
