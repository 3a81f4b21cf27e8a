//! Fetching from mirrors that misbehave.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use byzlab::cli::data::Fetch;
use byzlab::datasets::File;
use byzlab::runtime::fetch::{FetchError, Fetcher};
use byzlab::runtime::files::DataFolders;
use tempfile::TempDir;

use super::mirror::{Mirror, Reply};
use super::{file, gzip, noise};

/// A folder to fetch into.
struct Place {
    folder: TempDir,
    file: File,
    bytes: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let bytes = noise(300_000);
        Place { folder: tempfile::tempdir().unwrap(), file: file("images", &bytes), bytes }
    }

    fn folders(&self) -> DataFolders {
        DataFolders::of([self.folder.path().to_owned()])
    }

    fn set(&self) -> PathBuf {
        self.folder.path().join("dots")
    }

    /// Fetches from these mirrors in turn.
    fn fetch(&self, mirrors: &[&Mirror]) -> Result<Vec<PathBuf>, FetchError> {
        let mirrors: Vec<String> = mirrors.iter().map(|mirror| mirror.url()).collect();
        let fetcher = Fetcher::direct(Duration::from_secs(5));
        fetcher.fetch(&[&self.file], &mirrors, &self.folders(), &mut |_| {})
    }

    /// Fetches and holds that the right bytes are in place, and nothing beside them.
    fn fetch_right(&self, mirrors: &[&Mirror]) {
        self.fetch(mirrors).unwrap();
        let path = self.folders().check(&self.file).unwrap();
        assert_eq!(names(&self.set()), [path.file_name().unwrap().to_str().unwrap()]);
    }

    /// Fetches in vain: returns each mirror's reason, and holds that no file is in place.
    fn refusals(&self, mirrors: &[&Mirror]) -> Vec<String> {
        let error = self.fetch(mirrors).unwrap_err();
        assert!(self.folders().find(&self.file).is_err(), "a file is in place");
        let FetchError::Unavailable { refusals, .. } = &error else { panic!("{error}") };
        for refusal in refusals {
            assert!(error.to_string().contains(&format!("\n  {refusal}")), "{error}");
        }
        refusals.iter().map(|refusal| refusal.reason.clone()).collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_packed_file_is_fetched_once() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    assert_eq!(place.fetch(&[&mirror]).unwrap(), [place.set().join("images.gz")]);
    assert_eq!(place.fetch(&[&mirror]).unwrap(), Vec::<PathBuf>::new());
    assert_eq!(mirror.asked(), [("images.gz".to_owned(), None)]);
}

#[test]
fn a_mirror_may_serve_plain_files() {
    let place = Place::new();
    let bytes = place.bytes.clone();
    let mirror = Mirror::new(move |_, request| {
        if request.path == "/dots/images.gz" {
            Reply::Status(404)
        } else {
            Reply::Bytes(bytes.clone())
        }
    });
    assert_eq!(place.fetch(&[&mirror]).unwrap(), [place.set().join("images")]);
    place.folders().check(&place.file).unwrap();
}

#[test]
fn a_server_that_unpacks_on_its_own_is_understood() {
    let place = Place::new();
    let bytes = place.bytes.clone();
    let mirror = Mirror::new(move |_, _| Reply::Bytes(bytes.clone()));
    assert_eq!(place.fetch(&[&mirror]).unwrap(), [place.set().join("images")]);
}

#[test]
fn a_cut_download_resumes_where_it_stopped() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let mirror = Mirror::new(move |number, _| match number {
        0 => Reply::Cut(packed.clone(), 100_000),
        1 => Reply::Cut(packed.clone(), 50_000),
        _ => Reply::Bytes(packed.clone()),
    });
    place.fetch_right(&[&mirror]);
    let from: Vec<Option<usize>> = mirror.asked().into_iter().map(|(_, from)| from).collect();
    assert_eq!(from, [None, Some(100_000), Some(150_000)]);
}

#[test]
fn a_later_fetch_resumes_too() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let again = packed.clone();
    let broken = Mirror::new(move |number, _| match number {
        0 => Reply::Cut(packed.clone(), 70_000),
        _ => Reply::Status(503),
    });
    assert_eq!(place.refusals(&[&broken]), ["answered 503"]);
    let mirror = Mirror::new(move |_, _| Reply::Bytes(again.clone()));
    place.fetch_right(&[&mirror]);
    assert_eq!(mirror.asked(), [("images.gz".to_owned(), Some(70_000))]);
}

#[test]
fn a_server_without_ranges_starts_anew() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let mirror = Mirror::new(move |number, _| match number {
        0 => Reply::Cut(packed.clone(), 100_000),
        _ => Reply::Whole(packed.clone()),
    });
    place.fetch_right(&[&mirror]);
    assert_eq!(mirror.asked().len(), 2);
}

#[test]
fn a_part_longer_than_the_file_starts_anew() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    fs::create_dir(place.set()).unwrap();
    fs::write(place.set().join("images.gz.part"), vec![1; packed.len()]).unwrap();
    let length = packed.len();
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    place.fetch_right(&[&mirror]);
    let from: Vec<Option<usize>> = mirror.asked().into_iter().map(|(_, from)| from).collect();
    assert_eq!(from, [Some(length), None]);
}

#[test]
fn mixed_packings_are_noticed_and_fetched_anew() {
    let place = Place::new();
    let (fast, small) = (gzip(&place.bytes, 0), gzip(&place.bytes, 9));
    assert_ne!(fast[40_000..40_100], small[40_000..40_100]);
    let first = Mirror::new(move |number, _| match number {
        0 => Reply::Cut(fast.clone(), 40_000),
        _ => Reply::Status(500),
    });
    let second = Mirror::new(move |_, _| Reply::Bytes(small.clone()));
    place.fetch_right(&[&first, &second]);
    let from: Vec<Option<usize>> = second.asked().into_iter().map(|(_, from)| from).collect();
    assert_eq!(from, [Some(40_000), None]);
}

#[test]
fn the_second_mirror_is_asked_when_the_first_fails() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let broken = Mirror::new(|_, _| Reply::Status(500));
    let wrong = Mirror::new(|_, _| Reply::Bytes(gzip(b"something else", 6)));
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    place.fetch_right(&[&broken, &wrong, &mirror]);
    assert_eq!((broken.asked().len(), wrong.asked().len(), mirror.asked().len()), (1, 1, 1));
}

#[test]
fn wrong_bytes_leave_nothing_behind() {
    let place = Place::new();
    let mut other = place.bytes.clone();
    other[7] ^= 1;
    let mirror = Mirror::new(move |_, _| Reply::Bytes(gzip(&other, 6)));
    let [reason] = place.refusals(&[&mirror]).try_into().unwrap();
    assert!(reason.starts_with("its SHA-256 is "), "{reason}");
    assert!(reason.contains(&place.file.sha256), "{reason}");
    assert_eq!(names(&place.set()), [""; 0]);
}

#[test]
fn every_mirrors_answer_is_in_the_error() {
    let place = Place::new();
    let nowhere = Mirror::new(|_, _| Reply::Status(404));
    let broken = Mirror::new(|_, _| Reply::Status(500));
    let reasons = place.refusals(&[&nowhere, &broken]);
    assert_eq!(reasons, ["answered 404", "answered 404", "answered 500"]);
}

#[test]
fn an_endless_body_is_cut_short() {
    let place = Place::new();
    let mirror = Mirror::new(|_, _| Reply::Endless);
    let cap = 4 * 300_000 + (1 << 20);
    assert_eq!(place.refusals(&[&mirror]), [format!("sends more than {cap} bytes")]);
    assert_eq!(names(&place.set()), [""; 0]);
}

#[test]
fn a_silent_mirror_is_given_up() {
    let place = Place::new();
    let mirror = Mirror::new(|_, _| Reply::Silence);
    let fetcher = Fetcher::direct(Duration::from_millis(300));
    let before = Instant::now();
    let result = fetcher.fetch(&[&place.file], &[mirror.url()], &place.folders(), &mut |_| {});
    let error = result.unwrap_err().to_string();
    assert!(error.contains("timeout"), "{error}");
    assert!(before.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_broken_file_is_replaced() {
    let place = Place::new();
    fs::create_dir(place.set()).unwrap();
    fs::write(place.set().join("images"), b"broken").unwrap();
    let packed = gzip(&place.bytes, 6);
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    place.fetch_right(&[&mirror]);
}

#[test]
fn two_fetches_at_once_are_refused() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    let mut second = None;
    let fetcher = Fetcher::direct(Duration::from_secs(5));
    let (urls, folders) = ([mirror.url()], place.folders());
    fetcher
        .fetch(&[&place.file], &urls, &folders, &mut |_| {
            second
                .get_or_insert_with(|| fetcher.fetch(&[&place.file], &urls, &folders, &mut |_| {}));
        })
        .unwrap();
    let error = second.unwrap().unwrap_err().to_string();
    let folder = place.folder.path().display();
    let expected = format!("another fetch into {folder} is running: wait until it has ended");
    assert_eq!(error, expected);
}

#[test]
fn the_lock_of_a_fetch_that_has_ended_is_no_obstacle() {
    let place = Place::new();
    fs::write(place.folder.path().join(".fetch.lock"), b"").unwrap();
    let packed = gzip(&place.bytes, 6);
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    place.fetch_right(&[&mirror]);
}

#[test]
fn progress_counts_up_to_the_total() {
    let place = Place::new();
    let packed = gzip(&place.bytes, 6);
    let length = packed.len() as u64;
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    let mut seen = Vec::new();
    Fetcher::direct(Duration::from_secs(5))
        .fetch(&[&place.file], &[mirror.url()], &place.folders(), &mut |progress| {
            assert_eq!(progress.total, Some(length));
            seen.push(progress.received);
        })
        .unwrap();
    assert!(seen.is_sorted());
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&length)));
}

#[test]
fn offline_asks_nobody_and_says_what_it_would_do() {
    let place = Place::new();
    let mirror = Mirror::new(|_, _| Reply::Status(500));
    let fetch = Fetch {
        name: "mnist".into(),
        data_dir: Some(place.folder.path().to_owned()),
        mirrors: vec![mirror.url()],
        offline: true,
    };
    // Whoever runs the tests may have the real files: then there is nothing to fetch.
    let mut output = Vec::new();
    match fetch.run(&mut output) {
        Ok(()) => assert!(String::from_utf8(output).unwrap().contains("already there and right")),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&place.folder.path().display().to_string()), "{text}");
            let address = format!("{}train-images-idx3-ubyte.gz", mirror.url());
            assert!(text.contains(&address), "{text}");
        }
    }
    assert!(mirror.asked().is_empty());
}
