//! Sets that come in one archive: fetched or found, unpacked, recorded, and checked ever after.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use byzlab::datasets::{Archive, File, Store};
use byzlab::runtime::archive::SUMS;
use byzlab::runtime::fetch::{FetchError, Fetcher};
use byzlab::runtime::files::DataFolders;
use tempfile::TempDir;

use super::mirror::{Mirror, Reply};
use super::{file, gzip, noise};

/// A member of a tar archive.
fn member(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    head[148..156].fill(b' ');
    head[156] = kind;
    head[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = head.iter().map(|&byte| u32::from(byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    head.extend(bytes);
    head.resize(head.len().next_multiple_of(512), 0);
    head
}

/// A set of two files in an archive, and what that holds beside them.
struct Set {
    folder: TempDir,
    files: Vec<File>,
    contents: Vec<Vec<u8>>,
    packed: Vec<u8>,
}

impl Set {
    fn new() -> Self {
        Set::of(["first.bin", "second.bin"])
    }

    fn of(members: [&str; 2]) -> Self {
        let contents = vec![noise(70_000), noise(3_000)];
        let mut tar = member("inner/", b'5', b"");
        for (name, bytes) in members.iter().zip(&contents) {
            tar.extend(member("inner/readme.html", b'0', b"<p>"));
            tar.extend(member(&format!("inner/{name}"), b'0', bytes));
        }
        tar.resize(tar.len() + 1024, 0);
        let packed = gzip(&tar, 6);
        let whole = file("set.tar.gz", &packed);
        let archive = Archive {
            name: whole.name,
            bytes: whole.bytes,
            sha256: whole.sha256,
            folder: "inner".to_owned(),
        };
        let named = ["first.bin", "second.bin"].iter().zip(&contents);
        let files = named.map(|(name, bytes)| File {
            sha256: String::new(),
            archive: Some(archive.clone()),
            ..file(name, bytes)
        });
        let files = files.collect();
        Set { folder: tempfile::tempdir().unwrap(), files, contents, packed }
    }

    fn folders(&self) -> DataFolders {
        DataFolders::of([self.folder.path().to_owned()])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("dots").join(name)
    }

    fn fetch(&self, mirrors: &[&Mirror]) -> Result<Vec<PathBuf>, FetchError> {
        let mirrors: Vec<String> = mirrors.iter().map(|mirror| mirror.url()).collect();
        let files: Vec<&File> = self.files.iter().collect();
        let fetcher = Fetcher::direct(Duration::from_secs(5));
        fetcher.fetch(&files, &mirrors, &self.folders(), &mut |_| {})
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, String> {
        let file = &self.files[index];
        let mut bytes = Vec::new();
        let mut reader = self.folders().open(file).map_err(|error| error.to_string())?;
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| file.unreadable(error).to_string())?;
        Ok(bytes)
    }

    fn assert_whole(&self) {
        for (index, content) in self.contents.iter().enumerate() {
            assert_eq!(self.read(index).as_ref(), Ok(content));
            self.folders().check(&self.files[index]).unwrap();
        }
        assert!(!self.path("readme.html").exists());
    }
}

#[test]
fn an_archive_is_fetched_unpacked_and_recorded() {
    let set = Set::new();
    let packed = set.packed.clone();
    let mirror = Mirror::new(move |_, _| Reply::Bytes(packed.clone()));
    let fetched = set.fetch(&[&mirror]).unwrap();
    assert_eq!(fetched, [set.path("first.bin"), set.path("second.bin")]);
    assert_eq!(mirror.asked(), [("set.tar.gz".to_owned(), None)]);
    set.assert_whole();
    let sums = fs::read_to_string(set.path(SUMS)).unwrap();
    let digests = set.contents.iter().map(|bytes| file("", bytes).sha256);
    let expected: Vec<String> = digests
        .zip(["first.bin", "second.bin"])
        .map(|(digest, name)| format!("{digest}  {name}\n"))
        .collect();
    assert_eq!(sums, expected.concat());
    assert_eq!(set.fetch(&[&mirror]).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn an_archive_that_lies_there_needs_no_network() {
    let set = Set::new();
    fs::create_dir(set.path("")).unwrap();
    fs::write(set.path("set.tar.gz"), &set.packed).unwrap();
    set.fetch(&[]).unwrap();
    set.assert_whole();
}

#[test]
fn what_nobody_recorded_and_what_has_changed_is_refused() {
    let set = Set::new();
    fs::create_dir(set.path("")).unwrap();
    fs::write(set.path("first.bin"), &set.contents[0]).unwrap();
    let error = set.read(0).unwrap_err();
    assert!(
        error.contains("its digest is published by nobody, and is not in SHA256SUMS"),
        "{error}"
    );
    assert!(error.contains("run `byzlab data fetch dots`"), "{error}");
    assert!(set.read(1).unwrap_err().starts_with("dots/second.bin was not found, in "));

    fs::write(set.path("set.tar.gz"), &set.packed).unwrap();
    set.fetch(&[]).unwrap();
    let mut changed = set.contents[0].clone();
    changed[60_000] ^= 1;
    fs::write(set.path("first.bin"), changed).unwrap();
    let error = set.read(0).unwrap_err();
    assert!(error.contains("its SHA-256 is "), "{error}");
    set.fetch(&[]).unwrap();
    set.assert_whole();
}

#[test]
fn wrong_archives_leave_nothing_behind() {
    let set = Set::new();
    let mut changed = set.packed.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let mirror = Mirror::new(move |_, _| Reply::Bytes(changed.clone()));
    let error = set.fetch(&[&mirror]).unwrap_err().to_string();
    assert!(error.contains("its SHA-256 is "), "{error}");
    assert!(!set.path("first.bin").exists() && !set.path(SUMS).exists());

    let other = Set::of(["first.bin", "third.bin"]);
    fs::create_dir(other.path("")).unwrap();
    fs::write(other.path("set.tar.gz"), &other.packed).unwrap();
    let error = other.fetch(&[]).unwrap_err().to_string();
    assert!(error.ends_with("it does not hold inner/second.bin"), "{error}");
    assert!(!other.path(SUMS).exists());
}
