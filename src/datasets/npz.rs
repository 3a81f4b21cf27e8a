//! Arrays of NumPy's: any `.npz` file with `x_train`, `y_train`, `x_test` and `y_test`.
//!
//! `numpy.savez` and `savez_compressed` write such files. The `x` hold one sample per row, of
//! bytes (`uint8`) or of fractions (`float32`, `float64`), shaped `(n, height, width)`,
//! `(n, height, width, channels)` or `(n, values)`; the `y` whole numbers, shaped `(n,)` or
//! `(n, 1)`. Classes go from 0 to the largest label of `y_train`, and each needs a sample there.
//!
//! Bytes are divided by 255 unless `data.scale` says otherwise, and fractions are taken as they
//! are. The samples are streamed: a worker holds its own and nothing of the rest.
//!
//! Fails on other types (convert with `astype`), on arrays in Fortran order (save
//! `numpy.ascontiguousarray` of them), on values that are no finite 32-bit numbers, and on entries
//! that unpack to more than 200 times their size or have 4 GiB.
//!
//! Reference: the format is NumPy's, NEP 1 and `numpy.savez`.

use std::io::Read;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::survey::{CHANGED, Moments, Survey, broken, digest, made};
use super::wanted::Wanted;
use super::zip::{self, Unpacked};
use super::{DataError, Dataset, File, Source, Store, SurveyError, beyond};
use crate::catalog::{ConfigError, Entry, Parameters};
use crate::dataset::{Raw, Scale, Shape, Split, Stored, Values};
use crate::npy::{FLOATS, Header, Item};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "npz",
    summary: "a `.npz` file of yours with x_train, y_train, x_test and y_test",
    reference: "NumPy, NEP 1",
    source: include_str!("npz.rs"),
    claims: (),
    parameters: || schema_for!(Npz),
    build: |parameters| parameters.build::<dyn Dataset, Npz>(|npz| Ok(Arc::new(npz.checked()?))),
};

/// The types of images.
const IMAGES: &[Item] = &[Item::Unsigned(1), FLOATS[0], FLOATS[1]];

/// The types of labels.
const LABELS: &[Item] = &[
    Item::Unsigned(1),
    Item::Signed(1),
    Item::Unsigned(2),
    Item::Signed(2),
    Item::Unsigned(4),
    Item::Signed(4),
    Item::Unsigned(8),
    Item::Signed(8),
];

/// The most samples of a split, and values of a sample.
const SAMPLES_MAX: u64 = 100_000_000;
const VALUES_MAX: u64 = 1 << 24;

/// Which axis of an image holds its channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Channels {
    /// The last, as `TensorFlow` has it: `(n, height, width, channels)`.
    #[default]
    Last,
    /// The first, as `PyTorch` has it: `(n, channels, height, width)`.
    First,
}

/// Parameters of a `.npz` file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Npz {
    /// The file; a relative path starts at the folder of the experiment file.
    path: String,
    /// Which axis of four holds the channels. Default: `last`.
    #[serde(default)]
    channels: Channels,
    /// What the file holds, filled in when the experiment is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survey: Option<Survey>,
}

/// A surveyed file.
#[derive(Debug)]
struct Surveyed {
    path: String,
    channels: Channels,
    survey: Survey,
}

impl Npz {
    fn checked(self) -> Result<Surveyed, ConfigError> {
        let survey = made(self.survey, &self.path)?;
        Ok(Surveyed { path: self.path, channels: self.channels, survey })
    }
}

/// Reads what the file holds.
pub(super) fn survey(parameters: Parameters, store: &dyn Store) -> Result<Survey, SurveyError> {
    let Npz { path, channels, .. } = parameters.read()?;
    let digest = digest(store, [("", path.as_str())])?;
    let mut file = store.given(&path)?;
    let labels = read_labels(&path, &mut *file, Split::Train)?;
    let classes = labels.iter().max().map_or(0, |&largest| usize::from(largest) + 1);
    let mut per_class = vec![0; classes];
    for &label in &labels {
        per_class[usize::from(label)] += 1;
    }
    let train = Images::open(&path, &mut *file, Split::Train, channels)?;
    let (shape, bytes) = (train.shape, train.item == Item::Unsigned(1));
    let samples = train.samples(labels.len())?;
    let mut moments = Moments::of(shape.2);
    train.each(|_, image| moments.add(image))?;
    let judges = read_labels(&path, &mut *file, Split::Test)?;
    check_classes(&path, &judges, classes)?;
    let test = Images::open(&path, &mut *file, Split::Test, channels)?;
    if test.shape != shape || (test.item == Item::Unsigned(1)) != bytes {
        return Err(broken(
            &path,
            format!("x_test holds {}, and x_train {}", test.told(), told(shape, bytes)),
        )
        .into());
    }
    let judged = test.samples(judges.len())?;
    test.each(|_, _| ())?;
    let (mean, deviation) = moments.end(if bytes { 255.0 } else { 1.0 });
    let (height, width, depth) = shape;
    let survey = Survey {
        digest,
        train: samples,
        test: judged,
        height,
        width,
        channels: depth,
        classes,
        names: Vec::new(),
        bytes,
        mean,
        deviation,
    };
    Ok(survey.checked(&per_class).map_err(|what| broken(&path, what))?)
}

impl Dataset for Surveyed {
    fn shape(&self) -> Shape {
        self.survey.shape()
    }

    fn len(&self, split: Split) -> usize {
        self.survey.len(split)
    }

    fn files(&self, _split: Split) -> Vec<&'static File> {
        Vec::new()
    }

    fn stored(&self) -> Stored {
        self.survey.stored()
    }

    fn scale(&self) -> Scale {
        if self.survey.bytes { Scale::Unit } else { Scale::None }
    }

    fn measured(&self) -> Option<Scale> {
        Some(self.survey.measured())
    }

    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError> {
        let labels = read_labels(&self.path, &mut *store.given(&self.path)?, split)?;
        if labels.len() != self.len(split) {
            return Err(broken(&self.path, CHANGED));
        }
        check_classes(&self.path, &labels, self.survey.classes)?;
        Ok(labels)
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Raw, DataError> {
        let all = self.labels(split, store)?;
        let len = all.len();
        let label = |&index: &usize| {
            all.get(index).copied().ok_or_else(|| beyond(&self.path, index, split, len))
        };
        let labels = indices.iter().map(label).collect::<Result<_, _>>()?;
        let mut file = store.given(&self.path)?;
        let images = Images::open(&self.path, &mut *file, split, self.channels)?;
        let Shape { height, width, channels, .. } = self.shape();
        let same = images.shape == (height, width, channels)
            && (images.item == Item::Unsigned(1)) == self.survey.bytes;
        if !same || images.count != len as u64 {
            return Err(broken(&self.path, CHANGED));
        }
        let mut wanted = Wanted::new(indices);
        let shape = (indices.len(), self.shape().features());
        let values = match self.stored() {
            Stored::Bytes => {
                let mut bytes = Array2::zeros(shape);
                images.each(|index, image| {
                    for row in wanted.rows_of(index) {
                        let row = bytes.row_mut(row);
                        // They were bytes before they were decoded.
                        row.into_iter().zip(image).for_each(|(to, from)| *to = *from as u8);
                    }
                })?;
                Values::Bytes(bytes)
            }
            Stored::Numbers => {
                let mut numbers = Array2::zeros(shape);
                images.each(|index, image| {
                    for row in wanted.rows_of(index) {
                        numbers.row_mut(row).assign(&ArrayView1::from(image));
                    }
                })?;
                Values::Numbers(numbers)
            }
        };
        Ok(Raw { values, labels })
    }
}

/// One array of the file, whose header was found right.
struct Array<'a> {
    header: Header,
    values: Unpacked<'a>,
}

/// Opens the array of this name.
fn array<'a>(
    path: &str,
    file: &'a mut dyn Source,
    name: &str,
    accepted: &[Item],
) -> Result<Array<'a>, DataError> {
    let entries = zip::entries(file).map_err(|what| broken(path, what))?;
    let wanted = format!("{name}.npy");
    let Some(entry) = entries.iter().find(|entry| entry.name == wanted) else {
        let names = entries.iter().map(|entry| entry.name.trim_end_matches(".npy"));
        let names: Vec<&str> = names.take(20).collect();
        let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(broken(path, format!("has no array {name}: it has {found}")));
    };
    let of = |what: String| broken(path, format!("{name}: {what}"));
    let mut values = zip::open(file, entry).map_err(of)?;
    let header =
        Header::read(&mut values, entry.bytes, accepted).map_err(|error| of(error.to_string()))?;
    if header.fortran_order && header.shape.len() > 1 {
        return Err(of("is in Fortran order: save numpy.ascontiguousarray of it".to_owned()));
    }
    let count = header.shape.iter().map(|&length| u128::from(length)).product::<u128>();
    let promised = count.saturating_mul(header.item.bytes() as u128);
    let present = entry.bytes - header.bytes;
    if promised != u128::from(present) {
        let shape = header.shape_text();
        return Err(of(format!(
            "its header promises {shape} values in {promised} bytes, and it has {present}"
        )));
    }
    Ok(Array { header, values })
}

/// All labels of a split.
fn read_labels(path: &str, file: &mut dyn Source, split: Split) -> Result<Vec<u8>, DataError> {
    let name = match split {
        Split::Train => "y_train",
        Split::Test => "y_test",
    };
    let of = |what: String| broken(path, format!("{name}: {what}"));
    let Array { header, mut values } = array(path, file, name, LABELS)?;
    let ([count] | [count, 1]) = *header.shape.as_slice() else {
        let shape = header.shape_text();
        return Err(of(format!("its shape is {shape}, and should be one label per sample, (n,)")));
    };
    if count > SAMPLES_MAX {
        return Err(of(format!("{count} labels are more than {SAMPLES_MAX}")));
    }
    let mut labels = Vec::new();
    let mut value = [0; 8];
    let value = &mut value[..header.item.bytes()];
    for index in 0..count {
        values.read_exact(value).map_err(|error| of(error.to_string()))?;
        let label = header.item.decode(value);
        if !(0.0..=255.0).contains(&label) {
            return Err(of(format!("label {label} of sample {index} is not from 0 to 255")));
        }
        labels.push(label as u8);
    }
    Ok(labels)
}

/// Refuses test labels that the training labels do not know.
fn check_classes(path: &str, labels: &[u8], classes: usize) -> Result<(), DataError> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(()),
        Some(index) => {
            let label = labels[index];
            let message = format!(
                "y_test: label {label} of sample {index} is not below {classes}, the classes of \
                 y_train"
            );
            Err(broken(path, message))
        }
    }
}

/// The images of a split, to be streamed.
struct Images<'a> {
    path: &'a str,
    name: &'static str,
    array: Array<'a>,
    item: Item,
    count: u64,
    /// Height, width and channels.
    shape: (usize, usize, usize),
    /// Whether channels come before the pixels.
    first: bool,
}

impl<'a> Images<'a> {
    fn open(
        path: &'a str,
        file: &'a mut dyn Source,
        split: Split,
        channels: Channels,
    ) -> Result<Self, DataError> {
        let name = match split {
            Split::Train => "x_train",
            Split::Test => "x_test",
        };
        let array = array(path, file, name, IMAGES)?;
        let first = channels == Channels::First;
        let (count, sizes) = match *array.header.shape.as_slice() {
            [count, values] => (count, (1, 1, values)),
            [count, height, width] => (count, (height, width, 1)),
            [count, channels, height, width] if first => (count, (height, width, channels)),
            [count, height, width, channels] => (count, (height, width, channels)),
            _ => {
                let shape = array.header.shape_text();
                let message = format!("{name}: its shape is {shape}, and should have 2 to 4 axes");
                return Err(broken(path, message));
            }
        };
        let values = u128::from(sizes.0) * u128::from(sizes.1) * u128::from(sizes.2);
        if values == 0 || values > u128::from(VALUES_MAX) || count > SAMPLES_MAX {
            let shape = array.header.shape_text();
            let message = format!(
                "{name}: its shape is {shape}: a sample must have 1 to {VALUES_MAX} values, and \
                 there are at most {SAMPLES_MAX}"
            );
            return Err(broken(path, message));
        }
        let shape = (sizes.0 as usize, sizes.1 as usize, sizes.2 as usize);
        let first = first && array.header.shape.len() == 4;
        Ok(Images { path, name, item: array.header.item, array, count, shape, first })
    }

    /// How many there are, which must be as many as labels.
    fn samples(&self, labels: usize) -> Result<usize, DataError> {
        if self.count == labels as u64 {
            return Ok(labels);
        }
        let (count, name) = (self.count, self.name);
        Err(broken(self.path, format!("{name} has {count} samples, and there are {labels} labels")))
    }

    fn told(&self) -> String {
        told(self.shape, self.item == Item::Unsigned(1))
    }

    /// Hands over every image in turn, the channels of a pixel side by side.
    fn each(mut self, mut take: impl FnMut(usize, &[f32])) -> Result<(), DataError> {
        let (height, width, channels) = self.shape;
        let mut bytes = vec![0; height * width * channels * self.item.bytes()];
        let mut image = vec![0.0f32; height * width * channels];
        for index in 0..self.count as usize {
            let read = self.array.values.read_exact(&mut bytes);
            read.map_err(|error| broken(self.path, format!("{}: {error}", self.name)))?;
            for (place, encoded) in bytes.chunks_exact(self.item.bytes()).enumerate() {
                let value = self.item.decode(encoded);
                if !(value as f32).is_finite() {
                    let name = self.name;
                    let message = format!("{name}: value {place} of sample {index} is {value}");
                    return Err(broken(self.path, message));
                }
                let place = match self.first {
                    true => place % (height * width) * channels + place / (height * width),
                    false => place,
                };
                image[place] = value as f32;
            }
            take(index, &image);
        }
        Ok(())
    }
}

/// `samples of 28 x 28 x 1 bytes`.
fn told((height, width, channels): (usize, usize, usize), bytes: bool) -> String {
    let kind = if bytes { "bytes" } else { "fractions" };
    format!("samples of {height} x {width} x {channels} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::tests::{Memory, surveyed};
    use crate::datasets::zip::tests::archive;
    use crate::npy;

    /// Written by NumPy 2: 12 + 3 images of 3 x 2 bytes, by `savez_compressed`.
    const BYTES: &[u8] = include_bytes!("../../tests/golden/files/bytes.npz");
    /// 6 + 2 images of 2 x 2 x 3 fractions, by `savez`; those to judge by are `float64`.
    const FRACTIONS: &[u8] = include_bytes!("../../tests/golden/files/fractions.npz");

    /// An array of 4 byte fractions.
    fn fractions(shape: &[usize], values: &[f32]) -> Vec<u8> {
        let mut bytes = npy::encode(shape);
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// An array with this header and these bytes behind it.
    fn array(item: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{item}', 'fortran_order': False, 'shape': {shape}}}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.extend(values);
        bytes
    }

    /// The four arrays of a small file.
    struct Parts {
        x_train: Vec<u8>,
        y_train: Vec<u8>,
        x_test: Vec<u8>,
        y_test: Vec<u8>,
    }

    impl Parts {
        fn new() -> Self {
            Parts {
                x_train: fractions(&[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
                y_train: array("|u1", "(3,)", &[0, 1, 0]),
                x_test: fractions(&[1, 2], &[6.0, 7.0]),
                y_test: array("<i2", "(1, 1)", &[1, 0]),
            }
        }

        fn refusal(&self) -> String {
            let bytes = archive(&[
                ("x_train.npy", &self.x_train),
                ("y_train.npy", &self.y_train),
                ("x_test.npy", &self.x_test),
                ("y_test.npy", &self.y_test),
            ]);
            let error = surveyed("npz", "path = 'a.npz'", &Memory::of("a.npz", bytes)).unwrap_err();
            error.strip_prefix("a.npz: ").unwrap_or_else(|| panic!("{error}")).to_owned()
        }
    }

    #[test]
    fn bytes_of_numpy() {
        let store = Memory::of("a.npz", BYTES);
        let (found, set) = surveyed("npz", "path = 'a.npz'", &store).unwrap();
        assert_eq!((found.train, found.test, found.classes, found.bytes), (12, 3, 3, true));
        assert_eq!(set.shape(), Shape { height: 3, width: 2, channels: 1, classes: 3 });
        // As NumPy has mean and standard deviation.
        assert_eq!((found.mean, found.deviation), (vec![0.496_296], vec![0.290_847]));
        assert_eq!(set.labels(Split::Test, &store).unwrap(), [2, 0, 1]);
        let samples = set.scaled(Split::Train, &[11, 0, 11], &Scale::None, &store).unwrap();
        assert_eq!(samples.labels, [2, 0, 2]);
        assert_eq!(samples.inputs.row(0).to_vec(), [71.0, 23.0, 10.0, 233.0, 35.0, 192.0]);
        assert_eq!(samples.inputs.row(1).to_vec(), [175.0, 196.0, 25.0, 246.0, 67.0, 211.0]);
        let judged = set.scaled(Split::Test, &[2], &set.scale(), &store).unwrap();
        assert_eq!(judged.inputs.row(0)[0], 219.0 / 255.0);
        let error = set.samples(Split::Test, &[3], &store).unwrap_err().to_string();
        assert_eq!(error, "a.npz: sample 3 was asked for, and Test has 3");
    }

    #[test]
    fn fractions_of_numpy() {
        let store = Memory::of("a.npz", FRACTIONS);
        let (found, set) = surveyed("npz", "path = 'a.npz'", &store).unwrap();
        assert_eq!(set.shape(), Shape { height: 2, width: 2, channels: 3, classes: 2 });
        assert_eq!((set.scale(), set.stored()), (Scale::None, Stored::Numbers));
        assert_eq!(found.mean, [0.060_833_3, 0.11375, -0.44]);
        assert_eq!(found.deviation, [1.06577, 0.961_309, 1.05765]);
        let last = set.scaled(Split::Train, &[5], &Scale::None, &store).unwrap().inputs;
        assert_eq!(last.row(0).to_vec()[..4], [-0.35, -0.46, -1.22, 0.28]);
        // The first axis of an image as the channels: 3 columns of 2 x 2 turn into 2 x 3 x 2.
        let (_, set) = surveyed("npz", "path = 'a.npz'\nchannels = 'first'", &store).unwrap();
        assert_eq!(set.shape(), Shape { height: 2, width: 3, channels: 2, classes: 2 });
        let turned = set.scaled(Split::Train, &[5], &Scale::None, &store).unwrap().inputs;
        assert_eq!(turned.row(0).to_vec()[..4], [-0.35, 0.04, -0.46, -0.52]);
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        let store = Memory::of("a.npz", archive(&[("x_train.npy", b""), ("y_train", b"")]));
        let error = surveyed("npz", "path = 'a.npz'", &store).unwrap_err();
        assert_eq!(error, "a.npz: has no array y_train: it has x_train, y_train");
        let none = surveyed("npz", "path = 'b.npz'", &store).unwrap_err();
        assert_eq!(none, "b.npz: entity not found");
        let refusal = |change: fn(&mut Parts)| {
            let mut parts = Parts::new();
            change(&mut parts);
            parts.refusal()
        };
        assert_eq!(
            refusal(|parts| parts.x_train = array("<i8", "(3, 2)", &[0; 48])),
            "x_train: values of type '<i8' are not read, only '|u1', '<f4' and '<f8': convert with \
             astype"
        );
        assert!(
            refusal(|parts| parts.y_train = fractions(&[3], &[0.0, 1.0, 0.0])).starts_with(
                "y_train: values of type '<f4' are not read, only '|u1', '|i1', '<u2'"
            )
        );
        assert_eq!(
            refusal(|parts| parts.y_train = array("|u1", "(3, 2)", &[0; 6])),
            "y_train: its shape is 3 x 2, and should be one label per sample, (n,)"
        );
        assert_eq!(
            refusal(|parts| parts.x_train = array("|u1", "(3,)", &[0; 3])),
            "x_train: its shape is 3, and should have 2 to 4 axes"
        );
        assert_eq!(
            refusal(|parts| parts.x_test = fractions(&[1, 3], &[0.0; 3])),
            "x_test holds samples of 1 x 1 x 3 fractions, and x_train samples of 1 x 1 x 2 \
             fractions"
        );
        assert_eq!(
            refusal(|parts| parts.x_test = array("|u1", "(1, 2)", &[0; 2])),
            "x_test holds samples of 1 x 1 x 2 bytes, and x_train samples of 1 x 1 x 2 fractions"
        );
        assert_eq!(
            refusal(|parts| parts.y_train = array("|u1", "(2,)", &[0, 1])),
            "x_train has 3 samples, and there are 2 labels"
        );
    }

    #[test]
    fn labels_and_values_out_of_range_are_named() {
        let refusal = |change: fn(&mut Parts)| {
            let mut parts = Parts::new();
            change(&mut parts);
            parts.refusal()
        };
        assert_eq!(
            refusal(|parts| parts.y_train = array("|i1", "(3,)", &[0, 255, 0])),
            "y_train: label -1 of sample 1 is not from 0 to 255"
        );
        assert_eq!(
            refusal(|parts| parts.y_test = array("|u1", "(1,)", &[2])),
            "y_test: label 2 of sample 0 is not below 2, the classes of y_train"
        );
        assert_eq!(
            refusal(|parts| parts.y_train = array("|u1", "(3,)", &[0, 2, 0])),
            "class 1 of 3 has no sample to learn from: every class needs one"
        );
        let infinite = [0.0, 1.0, 2.0, f32::INFINITY, 4.0, 5.0];
        let mut parts = Parts::new();
        parts.x_train = fractions(&[3, 2], &infinite);
        assert_eq!(parts.refusal(), "x_train: value 1 of sample 1 is inf");
    }

    #[test]
    fn a_header_is_held_to_what_is_there_before_anything_is_allocated() {
        let mut parts = Parts::new();
        parts.x_train = array("|u1", "(3, 65536, 65536)", &[0; 64]);
        assert_eq!(
            parts.refusal(),
            "x_train: its header promises 3 x 65536 x 65536 values in 12884901888 bytes, and it \
             has 64"
        );
        parts.x_train = array("<f8", "(18446744073709551615, 18446744073709551615)", &[0; 64]);
        assert!(parts.refusal().starts_with("x_train: its header promises 18446744073709551615 x"));
        parts.x_train = array("|u1", "(0, 4294967296)", &[]);
        assert!(parts.refusal().starts_with("x_train: its shape is 0 x 4294967296: a sample must"));
        parts.x_train = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
        assert!(parts.refusal().starts_with("x_train: the header claims 4294967295 bytes"));
    }
}
