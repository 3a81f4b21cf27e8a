//! Sets of grey images in four IDX files: images and labels of each split.
//!
//! The images are streamed: what is kept is the samples that were asked for and nothing of the
//! many around them, although every byte is read, since the file's digest is checked at its end.

use std::sync::LazyLock;

use ndarray::{Array2, ArrayView1};

use super::idx::{self, Idx};
use super::wanted::Wanted;
use super::{DataError, Dataset, File, Manifest, Store, beyond};
use crate::dataset::{Raw, Scale, Shape, Split, Values};

/// A set whose manifest lists the four files under the names that all such sets use.
#[derive(Debug)]
pub(super) struct IdxImages {
    /// What its files are.
    pub(super) manifest: &'static LazyLock<Manifest>,
    /// Mean of the training pixels, which go from 0 to 1.
    pub(super) mean: f64,
    /// Their standard deviation.
    pub(super) deviation: f64,
}

impl IdxImages {
    fn images(&self, split: Split) -> &'static File {
        self.named(match split {
            Split::Train => "train-images-idx3-ubyte",
            Split::Test => "t10k-images-idx3-ubyte",
        })
    }

    fn label_file(&self, split: Split) -> &'static File {
        self.named(match split {
            Split::Train => "train-labels-idx1-ubyte",
            Split::Test => "t10k-labels-idx1-ubyte",
        })
    }

    fn named(&self, name: &str) -> &'static File {
        self.manifest.file(name).expect("the manifest lists the four files, and a test reads it")
    }
}

impl Dataset for IdxImages {
    fn shape(&self) -> Shape {
        self.manifest.shape
    }

    fn len(&self, split: Split) -> usize {
        self.manifest.samples.of(split)
    }

    fn files(&self, split: Split) -> Vec<&'static File> {
        vec![self.images(split), self.label_file(split)]
    }

    fn manifest(&self) -> Option<&'static Manifest> {
        Some(self.manifest)
    }

    fn scale(&self) -> Scale {
        Scale::standard(self.mean, self.deviation)
    }

    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError> {
        let file = self.label_file(split);
        idx::labels(file, store.open(file)?, self.len(split), self.shape().classes)
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Raw, DataError> {
        let all = self.labels(split, store)?;
        let name = &self.manifest.name;
        let labels = indices
            .iter()
            .map(|&index| {
                all.get(index).copied().ok_or_else(|| beyond(name, index, split, all.len()))
            })
            .collect::<Result<_, _>>()?;
        let file = self.images(split);
        let Shape { height, width, .. } = self.shape();
        let images = Idx::open(file, store.open(file)?, &[self.len(split), height, width])?;
        let values = Values::Bytes(select(images, indices, self.shape().features())?);
        Ok(Raw { values, labels })
    }
}

/// Streams all images and keeps those at `indices`, in that order, shape `[indices, features]`.
fn select(
    mut images: Idx<'_>,
    indices: &[usize],
    features: usize,
) -> Result<Array2<u8>, DataError> {
    let mut wanted = Wanted::new(indices);
    let mut values = Array2::zeros((indices.len(), features));
    let mut image = vec![0; features];
    for index in 0..images.records() {
        images.read(&mut image)?;
        for row in wanted.rows_of(index) {
            values.row_mut(row).assign(&ArrayView1::from(&image));
        }
    }
    images.finish()?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use ndarray::array;

    use super::*;
    use crate::datasets::CATALOG;

    const SETS: [&str; 2] = ["mnist", "fashion_mnist"];

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

    fn set(name: &str) -> std::sync::Arc<dyn Dataset> {
        CATALOG.build_default(name).unwrap().value
    }

    #[test]
    fn the_manifests_are_read_and_consistent() {
        for name in SETS {
            let set = set(name);
            for (split, samples) in [(Split::Train, 60_000), (Split::Test, 10_000)] {
                assert_eq!(set.len(split), samples);
                let [images, labels] = set.files(split).try_into().unwrap();
                assert_eq!(images.bytes, 16 + 784 * samples as u64);
                assert_eq!(labels.bytes, 8 + samples as u64);
                for file in [images, labels] {
                    assert_eq!(file.folder, name);
                    let packed = file.packed.as_ref().map(|packed| packed.sha256.as_str());
                    let digest = packed.unwrap_or(&file.sha256);
                    assert_eq!(digest.len(), 64);
                    assert!(digest.bytes().all(|digit| digit.is_ascii_hexdigit()));
                }
            }
            assert_eq!(set.shape().features(), 784);
            assert!(set.manifest().unwrap().mirrors.len() > 1);
        }
    }

    #[test]
    fn rows_come_in_the_order_asked_and_may_repeat() {
        let store = Blank {
            labels: vec![(2, 7), (9_999, 3)],
            pixels: vec![(2 * 784, 255), (9_999 * 784 + 783, 51)],
        };
        for (name, mean, deviation) in [("mnist", 0.1307, 0.3081), ("fashion_mnist", 0.286, 0.353)]
        {
            let (set, asked) = (set(name), [9_999, 2, 9_999, 0]);
            let raw = set.scaled(Split::Test, &asked, &Scale::None, &store).unwrap();
            assert_eq!(raw.labels, [3, 7, 3, 0]);
            assert_eq!(raw.inputs.column(783), array![51.0, 0.0, 51.0, 0.0]);
            let samples = set.scaled(Split::Test, &asked, &set.scale(), &store).unwrap();
            let [black, white, grey] = [0.0f32, 1.0, 0.2].map(|it| (it - mean) / deviation);
            assert_eq!(samples.inputs.column(0), array![black, white, black, black]);
            assert_eq!(samples.inputs.column(783), array![grey, black, grey, black]);
        }
    }

    #[test]
    fn no_samples_and_samples_that_are_not_there() {
        let store = Blank { labels: vec![], pixels: vec![] };
        let none = set("mnist").samples(Split::Test, &[], &store).unwrap();
        let nothing = Values::Bytes(Array2::zeros((0, 784)));
        assert_eq!(none, Raw { values: nothing, labels: vec![] });
        let error = set("mnist").samples(Split::Test, &[5, 10_000], &store).unwrap_err();
        assert_eq!(error.to_string(), "mnist: sample 10000 was asked for, and Test has 10000");
    }

    #[test]
    fn a_label_out_of_range_stops_the_run() {
        let store = Blank { labels: vec![(17, 11)], pixels: vec![] };
        for name in SETS {
            let error = set(name).samples(Split::Test, &[0], &store).unwrap_err().to_string();
            let expected = format!("{name}/t10k-labels-idx1-ubyte: label 11 of sample 17 is not");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
