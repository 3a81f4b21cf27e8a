//! Samples in memory as they are stored: a byte stays a byte, and is scaled when it is read.
//!
//! One set is held once, whoever has shares of it: 60,000 images of 784 bytes are 47 MB, and would
//! be four times as much as numbers, and twice that again with a copy for each worker.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use std::iter;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use pulp::{Arch, NullaryFnOnce};

use super::{Samples, Scale, Stored};
use crate::kernels::prefetch;

/// Values as a data set stores them, one sample per row, shape `[n, features]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// One byte each.
    Bytes(Array2<u8>),
    /// Numbers of any size.
    Numbers(Array2<f32>),
}

/// Samples as a data set stores them.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// One sample per row.
    pub values: Values,
    /// One class per row.
    pub labels: Vec<u8>,
}

/// Samples that are held once and read by many.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    values: Readable,
    labels: Vec<u8>,
}

/// Values with what is needed to read them.
#[derive(Debug, Clone, PartialEq)]
enum Readable {
    /// Bytes, and what is done to each value of a sample.
    Bytes(Array2<u8>, Scaling),
    /// Numbers that are scaled already.
    Numbers(Array2<f32>),
}

impl Held {
    /// Samples of so many channels that are scaled when they are read.
    ///
    /// # Panics
    /// If the scale has a [fault](Scale::fault) for such samples.
    pub fn new(raw: Raw, scale: &Scale, channels: usize) -> Self {
        let values = match raw.values {
            Values::Bytes(bytes) => {
                let scaling = Scaling::new(scale, channels, bytes.ncols());
                Readable::Bytes(bytes, scaling)
            }
            Values::Numbers(mut numbers) => {
                scale.apply(&mut numbers, channels, Stored::Numbers);
                Readable::Numbers(numbers)
            }
        };
        Held { values, labels: raw.labels }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// One class for each sample.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Values per sample.
    pub fn features(&self) -> usize {
        match &self.values {
            Readable::Bytes(bytes, _) => bytes.ncols(),
            Readable::Numbers(numbers) => numbers.ncols(),
        }
    }

    /// All samples, as numbers.
    pub fn samples(&self) -> Samples {
        self.collect(0..self.len())
    }

    /// The samples at `indices`, as numbers, in that order.
    pub fn select(&self, indices: &[usize]) -> Samples {
        self.collect(indices.iter().copied())
    }

    fn collect(&self, indices: impl ExactSizeIterator<Item = usize>) -> Samples {
        let (count, features) = (indices.len(), self.features());
        let mut inputs = Vec::with_capacity(count * features);
        let mut labels = Vec::with_capacity(count);
        for index in indices {
            self.push(index, &mut inputs, &mut labels);
        }
        let inputs = Array2::from_shape_vec((count, features), inputs);
        Samples { inputs: inputs.expect("one row for each sample"), labels }
    }

    /// Adds one sample to `inputs` and `labels`.
    fn push(&self, index: usize, inputs: &mut Vec<f32>, labels: &mut Vec<u8>) {
        match &self.values {
            Readable::Numbers(numbers) => inputs.extend_from_slice(whole(&numbers.row(index))),
            Readable::Bytes(bytes, scaling) => scaling.read(whole(&bytes.row(index)), inputs),
        }
        labels.push(self.labels[index]);
    }

    /// Asks memory for the first line and the last of one sample, and with them for their pages.
    fn find(&self, index: usize) {
        match &self.values {
            Readable::Numbers(numbers) => prefetch::ends(whole(&numbers.row(index))),
            Readable::Bytes(bytes, _) => prefetch::ends(whole(&bytes.row(index))),
        }
    }

    /// Asks memory for one sample, which is going to be read.
    fn ask(&self, index: usize) {
        match &self.values {
            Readable::Numbers(numbers) => prefetch::all(whole(&numbers.row(index))),
            Readable::Bytes(bytes, _) => prefetch::all(whole(&bytes.row(index))),
        }
    }
}

impl From<Samples> for Held {
    fn from(samples: Samples) -> Self {
        Held { values: Readable::Numbers(samples.inputs), labels: samples.labels }
    }
}

/// The values of a row, which lie in one piece.
fn whole<'a, T>(row: &'a ArrayView1<'_, T>) -> &'a [T] {
    row.as_slice().expect("rows of samples lie in one piece")
}

/// What a scale does to the bytes of a sample, by the very steps of [`Scale::apply`].
#[derive(Debug, Clone, PartialEq)]
enum Scaling {
    /// They are read as they are.
    None,
    /// They are divided by 255.
    Unit,
    /// Then the mean is taken off, and the rest divided by the deviation: one of each for every
    /// value of a sample.
    Standard { mean: Vec<f32>, deviation: Vec<f32> },
    /// The same where products with the inverse of the deviation, mended once, are the very
    /// quotients: a division takes as long as a dozen products.
    Mended { mean: Vec<f32>, deviation: Vec<f32>, inverse: Vec<f32> },
    /// The same where all values of a sample are scaled alike.
    Alike { mean: f32, deviation: f32, inverse: f32 },
}

/// How many samples ahead memory is asked for one.
const ASKED: usize = 4;

/// What pixels are divided by, and its inverse.
const WHITE: [f32; 2] = [255.0, 1.0 / 255.0];

/// `value / divisor`, given the inverse of the divisor: rounded as a division rounds, but for rare
/// divisors (Markstein, Computation of Elementary Functions on the IBM RISC System/6000 Processor,
/// IBM Journal of Research and Development 1990).
#[inline(always)]
fn quotient(value: f32, divisor: f32, inverse: f32) -> f32 {
    let nearly = value * inverse;
    let rest = (-nearly).mul_add(divisor, value);
    rest.mul_add(inverse, nearly)
}

#[inline(always)]
fn standard(byte: u8, mean: f32, deviation: f32) -> f32 {
    (f32::from(byte) / WHITE[0] - mean) / deviation
}

#[inline(always)]
fn mended(byte: u8, mean: f32, deviation: f32, inverse: f32) -> f32 {
    let [white, of_white] = WHITE;
    quotient(quotient(f32::from(byte), white, of_white) - mean, deviation, inverse)
}

/// Whether every byte is read alike in both ways, on a processor that has fused operations.
fn can_be_mended(mean: &[f32], deviation: &[f32], inverse: &[f32]) -> bool {
    let same = |((&mean, &deviation), &inverse): ((&f32, &f32), &f32)| {
        (0..=u8::MAX).all(|byte| {
            let exact = standard(byte, mean, deviation);
            exact.to_bits() == mended(byte, mean, deviation, inverse).to_bits()
        })
    };
    !matches!(Arch::new(), Arch::Scalar) && mean.iter().zip(deviation).zip(inverse).all(same)
}

impl Scaling {
    fn new(scale: &Scale, channels: usize, features: usize) -> Self {
        let spread = |values: &[f64]| -> Vec<f32> {
            (0..features).map(|place| values[place % channels % values.len()] as f32).collect()
        };
        match scale {
            Scale::None => Scaling::None,
            Scale::Unit => Scaling::Unit,
            Scale::Standard { mean, deviation } => {
                let (mean, deviation) = (spread(mean), spread(deviation));
                let inverse: Vec<f32> = deviation.iter().map(|deviation| 1.0 / deviation).collect();
                // All channels there are stand in the first pixel.
                let some = channels.min(features);
                if !can_be_mended(&mean[..some], &deviation[..some], &inverse[..some]) {
                    return Scaling::Standard { mean, deviation };
                }
                match (&mean[..some], &deviation[..some], &inverse[..some]) {
                    (&[mean], &[deviation], &[inverse]) => {
                        Scaling::Alike { mean, deviation, inverse }
                    }
                    _ => Scaling::Mended { mean, deviation, inverse },
                }
            }
            Scale::Measured => unreachable!("what is measured is known before it is used"),
        }
    }

    fn read(&self, bytes: &[u8], values: &mut Vec<f32>) {
        Arch::new().dispatch(ReadBytes { scaling: self, bytes, values });
    }
}

/// One sample, compiled for each kind of processor.
struct ReadBytes<'a> {
    scaling: &'a Scaling,
    bytes: &'a [u8],
    values: &'a mut Vec<f32>,
}

impl NullaryFnOnce for ReadBytes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ReadBytes { scaling, bytes, values } = self;
        match scaling {
            Scaling::None => values.extend(bytes.iter().map(|&byte| f32::from(byte))),
            Scaling::Unit => values.extend(bytes.iter().map(|&byte| f32::from(byte) / WHITE[0])),
            Scaling::Standard { mean, deviation } => {
                let each = bytes.iter().zip(mean.iter().zip(deviation));
                values.extend(each.map(
                    #[inline(always)]
                    |(&byte, (&mean, &deviation))| standard(byte, mean, deviation),
                ));
            }
            Scaling::Mended { mean, deviation, inverse } => {
                let each = bytes.iter().zip(mean.iter().zip(deviation).zip(inverse));
                values.extend(each.map(
                    #[inline(always)]
                    |(&byte, ((&mean, &deviation), &inverse))| {
                        mended(byte, mean, deviation, inverse)
                    },
                ));
            }
            &Scaling::Alike { mean, deviation, inverse } => {
                values.extend(bytes.iter().map(
                    #[inline(always)]
                    |&byte| mended(byte, mean, deviation, inverse),
                ));
            }
        }
    }
}

/// The samples of one node: all or some of those that are held.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    held: Arc<Held>,
    /// Which of them; all if there is no list.
    indices: Option<Vec<usize>>,
}

impl Shard {
    /// Those at `indices`, in that order.
    ///
    /// # Panics
    /// If there are fewer than an index says.
    pub fn of(held: Arc<Held>, indices: Vec<usize>) -> Self {
        let most = indices.iter().max();
        assert!(most.is_none_or(|&index| index < held.len()), "{most:?} of {}", held.len());
        Shard { held, indices: Some(indices) }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.indices.as_ref().map_or(self.held.len(), Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values per sample.
    pub fn features(&self) -> usize {
        self.held.features()
    }

    /// Adds the samples at `places` of the shard to `inputs` and `labels`, in that order.
    pub fn push(&self, places: &[usize], inputs: &mut Vec<f32>, labels: &mut Vec<u8>) {
        let index = |&place: &usize| self.indices.as_ref().map_or(place, |indices| indices[place]);
        inputs.reserve(places.len() * self.features());
        // Where samples lie is looked up page by page: of several at once side by side.
        for place in places {
            self.held.find(index(place));
        }
        // Samples lie anywhere: the first lines of each would be waited for.
        for place in places.iter().take(ASKED) {
            self.held.ask(index(place));
        }
        let soon = places.iter().skip(ASKED).map(Some).chain(iter::repeat(None));
        for (place, soon) in places.iter().zip(soon) {
            if let Some(soon) = soon {
                self.held.ask(index(soon));
            }
            self.held.push(index(place), inputs, labels);
        }
    }

    /// All of them, as numbers.
    pub fn samples(&self) -> Samples {
        match &self.indices {
            None => self.held.samples(),
            Some(indices) => self.held.select(indices),
        }
    }
}

impl From<Arc<Held>> for Shard {
    fn from(held: Arc<Held>) -> Self {
        Shard { held, indices: None }
    }
}

impl From<Samples> for Shard {
    fn from(samples: Samples) -> Self {
        Shard::from(Arc::new(Held::from(samples)))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Three samples of two pixels of two channels.
    fn raw() -> Raw {
        let bytes = array![[0, 51, 255, 102], [51, 0, 0, 255], [7, 8, 9, 10]];
        Raw { values: Values::Bytes(bytes), labels: vec![2, 0, 1] }
    }

    #[test]
    fn bytes_are_read_as_they_would_have_been_scaled() {
        let Values::Bytes(bytes) = raw().values else { unreachable!() };
        let each = Scale::Standard { mean: vec![0.5, 0.25], deviation: vec![0.3, 0.7] };
        for scale in [Scale::None, Scale::Unit, Scale::standard(0.1307, 0.3081), each] {
            let mut expected = bytes.mapv(f32::from);
            scale.apply(&mut expected, 2, Stored::Bytes);
            let held = Held::new(raw(), &scale, 2);
            assert_eq!((held.len(), held.features()), (3, 4));
            assert_eq!(held.samples(), Samples { inputs: expected, labels: vec![2, 0, 1] });
        }
        // Every byte, in a row that is no multiple of a register.
        let every = Array2::from_shape_fn((1, 255), |(_, place)| place as u8 + 1);
        let mut expected = every.mapv(f32::from);
        Scale::standard(0.1307, 0.3081).apply(&mut expected, 1, Stored::Bytes);
        let raw = Raw { values: Values::Bytes(every), labels: vec![0] };
        let held = Held::new(raw, &Scale::standard(0.1307, 0.3081), 1);
        assert_eq!(held.samples().inputs, expected);
    }

    #[test]
    fn quotients_are_mended_only_where_they_are_the_very_ones() {
        let (mut mended, mut plain) = (0u32, 0u32);
        for step in 0..400 {
            let (mean, deviation) = (0.001 * f64::from(step), 0.1 + 0.0037 * f64::from(step));
            let every = Array2::from_shape_fn((1, 256), |(_, place)| place as u8);
            let scale = Scale::standard(mean, deviation);
            let mut expected = every.mapv(f32::from);
            scale.apply(&mut expected, 1, Stored::Bytes);
            let held = Held::new(Raw { values: Values::Bytes(every), labels: vec![0] }, &scale, 1);
            match &held.values {
                Readable::Bytes(_, Scaling::Alike { .. }) => mended += 1,
                _ => plain += 1,
            }
            assert_eq!(held.samples().inputs, expected, "{scale:?}");
        }
        let mnist = Scaling::new(&Scale::standard(0.1307, 0.3081), 1, 784);
        mended *= u32::from(matches!(mnist, Scaling::Alike { .. }));
        // A processor without fused operations divides.
        assert!(mended > 300 || matches!(Arch::new(), Arch::Scalar), "{mended} and {plain}");
    }

    #[test]
    fn numbers_are_scaled_once() {
        let values = Values::Numbers(array![[1.0, 2.0], [5.0, -2.0]]);
        let raw = Raw { values, labels: vec![1, 0] };
        let held = Held::new(raw, &Scale::standard(1.0, 2.0), 2);
        assert_eq!(held.samples().inputs, array![[0.0, 0.5], [2.0, -1.5]]);
    }

    #[test]
    fn a_shard_has_the_samples_of_its_list_in_their_order() {
        let held = Arc::new(Held::new(raw(), &Scale::None, 1));
        let shard = Shard::of(Arc::clone(&held), vec![2, 0, 2]);
        assert_eq!((shard.len(), shard.features()), (3, 4));
        assert_eq!(shard.samples(), held.samples().select(&[2, 0, 2]));
        let (mut inputs, mut labels) = (Vec::new(), Vec::new());
        shard.push(&[1, 0], &mut inputs, &mut labels);
        let both = vec![0.0, 51.0, 255.0, 102.0, 7.0, 8.0, 9.0, 10.0];
        assert_eq!((inputs, labels), (both, vec![2, 1]));
        let all = Shard::from(Arc::clone(&held));
        assert_eq!((all.len(), all.samples()), (3, held.samples()));
        assert!(Shard::of(held, Vec::new()).is_empty());
    }
}
