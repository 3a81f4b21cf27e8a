//! MNIST itself, where its files are; without them these tests say so and pass.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use byzlab::dataset::{Scale, Split};
use byzlab::datasets::{CATALOG, DataError, Dataset, File, Store};
use byzlab::runtime::files::DataFolders;

/// The real files: in `$BYZLAB_DATA`, or in `shared/datasets` beside the package.
fn real() -> Option<(Arc<dyn Dataset>, DataFolders)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/datasets");
    let named = std::env::var_os("BYZLAB_DATA").map(PathBuf::from);
    let folders = DataFolders::of(named.into_iter().chain([beside]));
    let mnist = CATALOG.build_default("mnist").unwrap().value;
    let all = [Split::Train, Split::Test].into_iter().flat_map(|split| mnist.files(split));
    for file in all {
        if let Err(error) = folders.find(file) {
            #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
            {
                eprintln!("skipped: {error}");
            }
            return None;
        }
    }
    Some((mnist, folders))
}

#[test]
fn classes_are_as_frequent_as_published() {
    let Some((mnist, folders)) = real() else { return };
    let count = |split| {
        let mut counts = [0; 10];
        for label in mnist.labels(split, &folders).unwrap() {
            counts[usize::from(label)] += 1;
        }
        counts
    };
    let train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_eq!(count(Split::Train), train);
    let test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(count(Split::Test), test);
}

#[test]
fn pixels_are_those_of_the_files() {
    let Some((mnist, folders)) = real() else { return };
    let pixels = |split, index| {
        let samples = mnist.scaled(split, &[index], &Scale::None, &folders).unwrap();
        let sum: f64 = samples.inputs.iter().copied().map(f64::from).sum();
        (samples.labels[0], sum as u32)
    };
    assert_eq!(pixels(Split::Train, 0), FIRST_TRAIN);
    assert_eq!(pixels(Split::Train, 59_999), LAST_TRAIN);
    assert_eq!(pixels(Split::Test, 0), FIRST_TEST);
}

/// Label and sum of the pixels of single images, computed from the files by other means.
const FIRST_TRAIN: (u8, u32) = (5, 27_525);
const LAST_TRAIN: (u8, u32) = (8, 20_920);
const FIRST_TEST: (u8, u32) = (7, 18_454);

#[test]
fn the_training_split_has_mean_zero_and_variance_one() {
    let Some((mnist, folders)) = real() else { return };
    // All of it, in sixths: even and odd places of the file differ (their means are 0.1227 and
    // 0.1386), so one sample in six would not do.
    let (mut sum, mut squares) = (0.0, 0.0);
    for sixth in 0..6 {
        let indices: Vec<usize> = (sixth * 10_000..(sixth + 1) * 10_000).collect();
        let samples = mnist.scaled(Split::Train, &indices, &mnist.scale(), &folders).unwrap();
        for &value in &samples.inputs {
            sum += f64::from(value);
            squares += f64::from(value).powi(2);
        }
    }
    let count = 60_000.0 * 784.0;
    assert!((sum / count).abs() < 2e-4, "mean {}", sum / count);
    assert!((squares / count - 1.0).abs() < 2e-4, "mean square {}", squares / count);
}

#[test]
fn a_shard_is_the_rows_of_the_whole() {
    let Some((mnist, folders)) = real() else { return };
    let all: Vec<usize> = (0..10_000).collect();
    let raw =
        |indices: &[usize]| mnist.scaled(Split::Test, indices, &Scale::None, &folders).unwrap();
    let whole = raw(&all);
    let indices: Vec<usize> = (0..500).map(|k| (k * 7_919 + 13) % 10_000).chain([3, 3]).collect();
    let shard = raw(&indices);
    assert_eq!(shard, whole.select(&indices));
    assert_eq!(whole.labels, mnist.labels(Split::Test, &folders).unwrap());
}

/// Counts the bytes of the largest single read, so that nobody reads a file whole.
struct Watched {
    folders: DataFolders,
    largest: Arc<AtomicU64>,
}

struct WatchedReader {
    reader: Box<dyn Read>,
    largest: Arc<AtomicU64>,
}

impl Store for Watched {
    fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
        let reader = self.folders.open(file)?;
        Ok(Box::new(WatchedReader { reader, largest: Arc::clone(&self.largest) }))
    }
}

impl Read for WatchedReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.largest.fetch_max(buffer.len() as u64, Ordering::Relaxed);
        self.reader.read(buffer)
    }
}

#[test]
fn images_are_streamed_and_never_held_together() {
    let Some((mnist, folders)) = real() else { return };
    let largest = Arc::new(AtomicU64::new(0));
    let store = Watched { folders, largest: Arc::clone(&largest) };
    mnist.samples(Split::Train, &[59_999, 0], &store).unwrap();
    // The labels, 60 kB, are the most that is held of any file.
    assert_eq!(largest.load(Ordering::Relaxed), 60_000);
}
