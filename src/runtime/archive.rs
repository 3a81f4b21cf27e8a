//! Archives of data sets: `.tar.gz` files whose digest is published, unpacked once.
//!
//! What comes out is recorded in `SHA256SUMS` beside it, in the form that `sha256sum -c` reads, and
//! every later read is held to that.
#![allow(
    clippy::disallowed_methods,
    reason = "files of archives are written to disk here and nowhere else"
)]

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::files::hexadecimal;
use crate::datasets::File;

/// Where the digests of unpacked files are recorded.
pub const SUMS: &str = "SHA256SUMS";

/// The most bytes of such a record that are read.
const SUMS_MAX: u64 = 1 << 20;

/// Bytes of a block of a tar archive.
const BLOCK: usize = 512;

/// The recorded digest of an unpacked file in the folder of its set.
pub(super) fn recorded(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let mut text = String::new();
    let sums = fs::File::open(path.parent()?.join(SUMS)).ok()?;
    sums.take(SUMS_MAX).read_to_string(&mut text).ok()?;
    let digest = text.lines().find_map(|line| {
        let (digest, file) = line.split_once("  ")?;
        (file == name).then(|| digest.to_owned())
    })?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(digest)
}

/// Unpacks `files` from an archive that was found right into the folder `set`, and records their
/// digests. Returns where they are.
///
/// Of the archive's other members nothing is written, and of these nothing beyond their size.
pub(super) fn unpack(
    archive: &Path,
    inner: &str,
    files: &[&File],
    set: &Path,
) -> io::Result<Vec<PathBuf>> {
    let packed = BufReader::with_capacity(64 << 10, fs::File::open(archive)?);
    let mut unpacked = GzDecoder::new(packed);
    let mut sums = Vec::new();
    while let Some(member) = next(&mut unpacked)? {
        let name = member.name.strip_prefix(inner).and_then(|rest| rest.strip_prefix('/'));
        let wanted = files.iter().find(|file| Some(file.name.as_str()) == name);
        let mut content = (&mut unpacked).take(member.bytes);
        if let Some(file) = wanted {
            if member.bytes != file.bytes {
                let (found, bytes) = (member.bytes, file.bytes);
                let what =
                    format!("{} has {found} bytes in it, and should have {bytes}", file.name);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            sums.push((file.name.clone(), write(&mut content, &set.join(&file.name))?));
        }
        io::copy(&mut content, &mut io::sink())?;
        let padding = member.bytes.next_multiple_of(BLOCK as u64) - member.bytes;
        io::copy(&mut (&mut unpacked).take(padding), &mut io::sink())?;
    }
    if let Some(missing) = files.iter().find(|file| sums.iter().all(|(name, _)| *name != file.name))
    {
        let what = format!("it does not hold {inner}/{}", missing.name);
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    sums.sort();
    let lines: Vec<String> =
        sums.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    let part = set.join(format!("{SUMS}.part"));
    fs::write(&part, lines.concat())?;
    fs::rename(part, set.join(SUMS))?;
    Ok(sums.iter().map(|(name, _)| set.join(name)).collect())
}

/// Writes a file, under another name until it is whole; returns its digest.
fn write(content: &mut impl Read, path: &Path) -> io::Result<String> {
    let part = path.with_extension("part");
    let mut output = fs::File::create(&part)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        output.write_all(&buffer[..count])?;
    }
    output.sync_all()?;
    fs::rename(part, path)?;
    Ok(hexadecimal(&hasher.finalize()))
}

/// What the head of a member of a tar archive says.
struct Member {
    name: String,
    bytes: u64,
}

/// The next plain file; what is none is passed over.
fn next(tar: &mut impl Read) -> io::Result<Option<Member>> {
    loop {
        let mut head = [0; BLOCK];
        tar.read_exact(&mut head)?;
        if head.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is no tar archive");
        let octal = |field: &[u8]| {
            let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
            u64::from_str_radix(text, 8).ok()
        };
        // The checksum counts its own field as spaces.
        let sum: u64 = head.iter().map(|&byte| u64::from(byte)).sum::<u64>()
            - head[148..156].iter().map(|&byte| u64::from(byte)).sum::<u64>()
            + 8 * u64::from(b' ');
        if octal(&head[148..156]) != Some(sum) {
            return Err(damaged());
        }
        let bytes = octal(&head[124..136]).ok_or_else(damaged)?;
        let text = |field: &[u8]| {
            let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).into_owned()
        };
        if matches!(head[156], b'0' | 0) {
            let name = text(&head[..100]);
            return Ok(Some(Member { name: name.trim_start_matches("./").to_owned(), bytes }));
        }
        let blocks = bytes.next_multiple_of(BLOCK as u64);
        io::copy(&mut tar.take(blocks), &mut io::sink())?;
    }
}
