//! Finding, unpacking and checking.

use std::fs;
use std::io::Read;

use byzlab::datasets::{DataError, File, Packed, Store};
use byzlab::runtime::files::DataFolders;
use tempfile::TempDir;

use super::{file, gzip, noise};

/// A folder with one file of the set in it.
fn folder_with(name: &str, bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dots")).unwrap();
    fs::write(folder.path().join("dots").join(name), bytes).unwrap();
    folder
}

fn only(folder: &TempDir) -> DataFolders {
    DataFolders::of([folder.path().to_owned()])
}

fn read(folder: &TempDir, file: &File) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let mut reader = only(folder).open(file)?;
    reader.read_to_end(&mut bytes).map_err(|error| file.unreadable(error))?;
    Ok(bytes)
}

#[test]
fn plain_and_packed_files_are_read() {
    let bytes = noise(200_000);
    let file = file("images", &bytes);
    for (name, stored) in [("images", bytes.clone()), ("images.gz", gzip(&bytes, 6))] {
        let folder = folder_with(name, &stored);
        assert_eq!(read(&folder, &file).unwrap(), bytes);
        assert_eq!(only(&folder).check(&file).unwrap(), folder.path().join("dots").join(name));
    }
}

#[test]
fn the_first_folder_that_has_the_file_wins() {
    let bytes = noise(10);
    let wanted = file("labels", &bytes);
    let empty = tempfile::tempdir().unwrap();
    let (first, second) =
        (folder_with("labels.gz", &gzip(&bytes, 1)), folder_with("labels", &bytes));
    let folders = [&empty, &first, &second].map(|folder| folder.path().to_owned());
    let found = DataFolders::of(folders).find(&wanted).unwrap();
    assert_eq!(found, first.path().join("dots/labels.gz"));
}

#[test]
fn a_missing_file_names_every_folder_and_the_command() {
    let folders = DataFolders::new(Some("/nowhere/given".into()), Some("/nowhere/named".into()));
    let error = folders.open(&file("labels", b"")).err().unwrap().to_string();
    assert!(error.starts_with("dots/labels was not found"), "{error}");
    assert!(error.contains("/nowhere/given/dots, /nowhere/named/dots"), "{error}");
    assert!(error.contains("run `byzlab data fetch dots`"), "{error}");
}

/// The error that reading `stored` gives; it names the path and says what to do.
fn damage(name: &str, stored: &[u8], file: &File) -> String {
    let folder = folder_with(name, stored);
    let error = read(&folder, file).unwrap_err().to_string();
    let path = folder.path().join("dots").join(name).display().to_string();
    let message = error.strip_prefix(&format!("{path}: ")).unwrap_or_else(|| panic!("{error}"));
    let advice = ": delete the file and run `byzlab data fetch dots`";
    message.strip_suffix(advice).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn damaged_files_are_refused() {
    let bytes = noise(5_000);
    let file = file("images", &bytes);
    assert_eq!(damage("images", &bytes[..4_999], &file), "ends after 4999 of 5000 bytes");
    assert_eq!(damage("images", b"", &file), "ends after 0 of 5000 bytes");

    let mut flipped = bytes.clone();
    flipped[4_000] ^= 1;
    let message = damage("images.gz", &gzip(&flipped, 6), &file);
    assert!(message.starts_with("its SHA-256 is "), "{message}");
    assert!(message.ends_with(&format!("its manifest promises {}", file.sha256)), "{message}");

    let packed = gzip(&bytes, 6);
    let message = damage("images.gz", &packed[..packed.len() / 2], &file);
    assert!(message.starts_with("does not unpack after "), "{message}");
}

#[test]
fn where_the_packed_digest_is_published_it_is_what_counts() {
    let bytes = noise(5_000);
    let packed = gzip(&bytes, 6);
    let promise = file("", &packed);
    let promised = File {
        sha256: String::new(),
        packed: Some(Packed { bytes: promise.bytes, sha256: promise.sha256.clone() }),
        ..file("images", &bytes)
    };
    assert_eq!(read(&folder_with("images.gz", &packed), &promised).unwrap(), bytes);
    // The same content, packed by somebody else, and bytes after it.
    let message = damage("images.gz", &gzip(&bytes, 1), &promised);
    assert!(
        message.contains(&format!("of {} bytes", promise.bytes)) || message.contains("more than")
    );
    let mut flipped = packed.clone();
    // The time in the head of the file, which unpacking does not look at.
    flipped[5] ^= 1;
    let message = damage("images.gz", &flipped, &promised);
    assert!(message.ends_with(&format!("its manifest promises {}", promise.sha256)), "{message}");
    let longer = [&packed[..], b"more"].concat();
    let message = damage("images.gz", &longer, &promised);
    let expected = format!("holds more than the {} bytes", promise.bytes);
    assert!(message.starts_with(&expected), "{message}");
    // Unpacked, it cannot be checked.
    let error = read(&folder_with("images", &bytes), &promised).unwrap_err().to_string();
    assert!(error.starts_with("dots/images.gz was not found, in "), "{error}");
}

#[test]
fn a_gzip_bomb_is_not_unpacked() {
    let file = file("images", &noise(100));
    let bomb = gzip(&vec![0; 50_000_000], 9);
    assert!(bomb.len() < 100_000);
    let promised = "holds more than the 100 bytes that its manifest promises";
    assert_eq!(damage("images.gz", &bomb, &file), promised);
    let folder = folder_with("images.gz", &bomb);
    let mut seen = Vec::new();
    let mut reader = only(&folder).open(&file).unwrap();
    assert!(reader.read_to_end(&mut seen).is_err());
    assert!(seen.len() <= 101, "{} bytes came out", seen.len());
}
