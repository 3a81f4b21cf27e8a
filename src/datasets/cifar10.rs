//! CIFAR-10: 50,000 + 10,000 colour photographs, 32 x 32 pixels, ten classes.
//!
//! The binary version is read, six files of 10,000 records. `byzlab data fetch cifar10` gets the
//! archive, or takes it from the folder of the set if it lies there, checks its digest, unpacks
//! it and records the digests of the files, which are checked ever after.
//!
//! Unless `data.scale` says otherwise, channels come out as `(value / 255 - mean) / deviation`
//! with mean 0.4914, 0.4822, 0.4465 and deviation 0.2470, 0.2435, 0.2616 of red, green and blue:
//! those of the training pixels. Many published programs have deviations 0.2023, 0.1994 and 0.2010
//! in their place; to compare with these, say so.
//!
//! When it misleads: published accuracies rest on augmentation and normalisation layers, without
//! which a network stays far below them, and differences between defences are small beside what a
//! better model would change.
//!
//! Reference: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical
//! report, University of Toronto, 2009.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use ndarray::Array2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::wanted::Wanted;
use super::{DataError, Dataset, File, Manifest, Store, beyond};
use crate::catalog::Entry;
use crate::dataset::{Raw, Scale, Shape, Split, Values};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "cifar10",
    summary: "50,000 + 10,000 colour photographs; `byzlab data fetch cifar10` gets them",
    reference: "Krizhevsky, University of Toronto, 2009",
    source: include_str!("cifar10.rs"),
    claims: (),
    parameters: || schema_for!(Cifar10),
    build: |parameters| parameters.build::<dyn Dataset, Cifar10>(|it| Ok(Arc::new(it))),
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_str!("../../datasets/cifar10.toml"))
        .expect("the manifest is compiled in, and a test reads it")
});

/// Values of one channel, and records of one file.
const PLANE: usize = 32 * 32;
const RECORDS: usize = 10_000;

/// CIFAR-10 has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Cifar10 {}

impl Cifar10 {
    /// Hands over every record of a split in turn: its label and its planes.
    fn each(
        &self,
        split: Split,
        store: &dyn Store,
        take: &mut dyn FnMut(usize, u8, &[u8]),
    ) -> Result<(), DataError> {
        let classes = self.shape().classes;
        let mut record = [0; 1 + 3 * PLANE];
        for (place, file) in self.files(split).into_iter().enumerate() {
            let mut reader = store.open(file)?;
            for index in place * RECORDS..(place + 1) * RECORDS {
                reader.read_exact(&mut record).map_err(|error| file.unreadable(error))?;
                let (label, planes) = (record[0], &record[1..]);
                if usize::from(label) >= classes {
                    let what = format!("label {label} of sample {index} is not below {classes}");
                    return Err(file.broken(what));
                }
                take(index, label, planes);
            }
            // Only now has a reader that checks digests seen all bytes.
            match reader.read(&mut [0]) {
                Ok(0) => {}
                Ok(_) => return Err(file.broken("goes on after its records")),
                Err(error) => return Err(file.unreadable(error)),
            }
        }
        Ok(())
    }
}

impl Dataset for Cifar10 {
    fn shape(&self) -> Shape {
        MANIFEST.shape
    }

    fn len(&self, split: Split) -> usize {
        MANIFEST.samples.of(split)
    }

    fn files(&self, split: Split) -> Vec<&'static File> {
        let of = |file: &&File| file.name.starts_with("test") == (split == Split::Test);
        MANIFEST.files.iter().filter(of).collect()
    }

    fn manifest(&self) -> Option<&'static Manifest> {
        Some(&MANIFEST)
    }

    fn scale(&self) -> Scale {
        Scale::Standard {
            mean: vec![0.4914, 0.4822, 0.4465],
            deviation: vec![0.2470, 0.2435, 0.2616],
        }
    }

    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError> {
        let mut labels = Vec::with_capacity(self.len(split));
        self.each(split, store, &mut |_, label, _| labels.push(label))?;
        Ok(labels)
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Raw, DataError> {
        let len = self.len(split);
        if let Some(&index) = indices.iter().find(|&&index| index >= len) {
            return Err(beyond(ENTRY.name, index, split, len));
        }
        let mut wanted = Wanted::new(indices);
        let mut values = Array2::zeros((indices.len(), 3 * PLANE));
        let mut labels = vec![0; indices.len()];
        self.each(split, store, &mut |index, label, planes| {
            for row in wanted.rows_of(index) {
                // The channels of a pixel stand side by side in a sample, and apart in a record.
                for (place, value) in values.row_mut(row).iter_mut().enumerate() {
                    *value = planes[place % 3 * PLANE + place / 3];
                }
                labels[row] = label;
            }
        })?;
        Ok(Raw { values: Values::Bytes(values), labels })
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Files of zeros, but for a few places in each.
    struct Blank(Vec<(&'static str, usize, u8)>);

    struct Zeros {
        changed: Vec<(usize, u8)>,
        at: usize,
        length: usize,
    }

    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.length - self.at);
            buffer[..count].fill(0);
            for &(place, value) in &self.changed {
                if (self.at..self.at + count).contains(&place) {
                    buffer[place - self.at] = value;
                }
            }
            self.at += count;
            Ok(count)
        }
    }

    impl Store for Blank {
        fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
            let of_file = self.0.iter().filter(|(name, ..)| *name == file.name);
            let changed = of_file.map(|&(_, place, value)| (place, value)).collect();
            Ok(Box::new(Zeros { changed, at: 0, length: file.bytes as usize }))
        }
    }

    #[test]
    fn the_manifest_is_read_and_consistent() {
        let archive = MANIFEST.archive.as_ref().unwrap();
        assert_eq!(archive.sha256.len(), 64);
        for (split, files) in [(Split::Train, 5), (Split::Test, 1)] {
            let found = Cifar10 {}.files(split);
            assert_eq!(found.len(), files);
            assert_eq!(Cifar10 {}.len(split), files * RECORDS);
            for file in found {
                assert_eq!(file.bytes as usize, RECORDS * (1 + 3 * PLANE));
                assert_eq!(file.archive.as_ref(), Some(archive));
                assert_eq!(file.digest(), archive.sha256);
            }
        }
        assert_eq!(Cifar10 {}.scale().fault(3, Cifar10 {}.stored()), None);
    }

    #[test]
    fn planes_become_pixels_and_files_follow_each_other() {
        let record = 1 + 3 * PLANE;
        // Record 2 of the fourth file: label 7, the second pixel of its first row is 1, 2, 3.
        let second = 2 * record + 1 + 1;
        let store = Blank(vec![
            ("data_batch_4.bin", 2 * record, 7),
            ("data_batch_4.bin", second, 1),
            ("data_batch_4.bin", second + PLANE, 2),
            ("data_batch_4.bin", second + 2 * PLANE, 3),
            ("data_batch_1.bin", record - 1, 255),
        ]);
        let samples = Cifar10 {}.scaled(Split::Train, &[30_002, 0], &Scale::None, &store).unwrap();
        assert_eq!(samples.labels, [7, 0]);
        let row = samples.inputs.row(0);
        assert_eq!(row.to_vec()[..7], [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
        // The last value of a record is the blue of the last pixel.
        assert_eq!(samples.inputs[[1, 3 * PLANE - 1]], 255.0);
        assert_eq!(samples.inputs.row(1).sum(), 255.0);
        let scaled =
            Cifar10 {}.scaled(Split::Train, &[0], &Cifar10 {}.scale(), &store).unwrap().inputs;
        assert_eq!(scaled[[0, 3 * PLANE - 1]], (1.0 - 0.4465) / 0.2616);
        assert_eq!(scaled[[0, 1]], (0.0 - 0.4822) / 0.2435);
    }

    #[test]
    fn a_label_out_of_range_is_named() {
        let store = Blank(vec![("test_batch.bin", 5 * (1 + 3 * PLANE), 10)]);
        let error = Cifar10 {}.labels(Split::Test, &store).unwrap_err().to_string();
        let expected = "cifar10/test_batch.bin: label 10 of sample 5 is not below 10: ";
        assert!(error.starts_with(expected), "{error}");
        let error = Cifar10 {}.samples(Split::Test, &[10_000], &store).unwrap_err().to_string();
        assert_eq!(error, "cifar10: sample 10000 was asked for, and Test has 10000");
    }
}
