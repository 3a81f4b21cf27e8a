//! Zip archives, as far as `.npz` files need them: entries that are stored or deflated.
//!
//! Nothing is believed: the list of entries is bounded, sizes are held to the archive's own length
//! before anything is read, what unpacks to very much more than it is packed in is refused, and
//! an entry ends where its size says, with the checksum that is promised.
//!
//! Not read: archives in parts, encryption, and sizes of 4 GiB and above (zip64).

use std::io::{self, BufReader, Read, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::Source;

/// The most entries of an archive.
const ENTRIES_MAX: usize = 1_000;

/// The most bytes of its list of entries.
const LIST_MAX: u64 = 1 << 20;

/// How many times larger than packed an entry may be, once it is larger than this many bytes.
const RATIO_MAX: u64 = 200;
const RATIO_FREE: u64 = 4 << 20;

/// The length of the record at the end, and the longest comment after it.
const END: u64 = 22;
const COMMENT_MAX: u64 = 65_535;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// Its bytes once unpacked.
    pub(super) bytes: u64,
    method: u16,
    packed: u64,
    checksum: u32,
    offset: u64,
}

/// The entries of an archive.
pub(super) fn entries(archive: &mut dyn Source) -> Result<Vec<Entry>, String> {
    let length = archive.seek(SeekFrom::End(0)).map_err(text)?;
    let tail = read_at(archive, length.saturating_sub(END + COMMENT_MAX), END + COMMENT_MAX)?;
    let starts = (0..tail.len().saturating_sub(END as usize - 1)).rev();
    let end = starts.map(|at| &tail[at..]).find(|rest| rest.starts_with(b"PK\x05\x06"));
    let end = end.ok_or("is no zip archive: it has no list of entries at its end")?;
    let (count, size, start) = (u16_at(end, 10), u32_at(end, 12), u32_at(end, 16));
    let (count, size, start) = (usize::from(count), u64::from(size), u64::from(start));
    if count > ENTRIES_MAX || size > LIST_MAX {
        return Err(format!("lists {count} entries in {size} bytes, and {ENTRIES_MAX} are read"));
    }
    if start + size > length {
        return Err(format!(
            "its list of entries would end at byte {}, and it has {length}",
            start + size
        ));
    }
    let list = read_at(archive, start, size)?;
    let mut rest = list.as_slice();
    let mut entries = Vec::new();
    for _ in 0..count {
        let (entry, next) = entry(rest)?;
        if entry.offset + entry.packed > length {
            let Entry { name, packed, .. } = &entry;
            return Err(format!("{name} would take {packed} bytes, and the archive has {length}"));
        }
        entries.push(entry);
        rest = next;
    }
    Ok(entries)
}

/// One row of the list, and what follows it.
fn entry(row: &[u8]) -> Result<(Entry, &[u8]), String> {
    if row.len() < 46 || !row.starts_with(b"PK\x01\x02") {
        return Err("its list of entries is damaged".to_owned());
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(row, at)));
    let Some(named) = row.get(46..46 + name) else {
        return Err("its list of entries is cut off".to_owned());
    };
    let entry = Entry {
        name: String::from_utf8_lossy(named).into_owned(),
        bytes: u64::from(u32_at(row, 24)),
        method: u16_at(row, 10),
        packed: u64::from(u32_at(row, 20)),
        checksum: u32_at(row, 16),
        offset: u64::from(u32_at(row, 42)),
    };
    let Entry { name: shown, bytes, packed, .. } = &entry;
    if u16_at(row, 8) & 1 == 1 {
        return Err(format!("{shown} is encrypted"));
    }
    if [*bytes, *packed, entry.offset].contains(&u64::from(u32::MAX)) {
        return Err(format!("{shown} has 4 GiB or more, which is not read"));
    }
    if *bytes > RATIO_FREE && bytes / RATIO_MAX > *packed {
        return Err(format!(
            "{shown} would unpack from {packed} to {bytes} bytes, more than {RATIO_MAX} times as \
             many"
        ));
    }
    Ok((entry, row.get(46 + name + extra + comment..).unwrap_or_default()))
}

/// The unpacked bytes of an entry. Reading fails at the end if they are not those promised.
pub(super) fn open<'a>(archive: &'a mut dyn Source, entry: &Entry) -> Result<Unpacked<'a>, String> {
    let head = read_at(archive, entry.offset, 30)?;
    if head.len() < 30 || !head.starts_with(b"PK\x03\x04") {
        return Err(format!("{} is not where the list of entries says", entry.name));
    }
    let skipped = 30 + u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
    archive.seek(SeekFrom::Start(entry.offset + skipped)).map_err(text)?;
    let packed = BufReader::with_capacity(64 << 10, archive).take(entry.packed);
    let reader: Box<dyn Read + 'a> = match entry.method {
        0 => Box::new(packed),
        8 => Box::new(DeflateDecoder::new(packed)),
        method => {
            return Err(format!("{} is packed by method {method}: 0 and 8 are read", entry.name));
        }
    };
    Ok(Unpacked { reader, left: entry.bytes, checksum: entry.checksum, seen: Crc::new() })
}

/// The bytes of an entry, counted and summed on the way.
pub(super) struct Unpacked<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    checksum: u32,
    seen: Crc,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.left.min(buffer.len() as u64) as usize;
        let count = self.reader.read(&mut buffer[..room])?;
        if count == 0 && room > 0 {
            return Err(broken("ends before its size says"));
        }
        self.left -= count as u64;
        self.seen.update(&buffer[..count]);
        if self.left == 0 && count > 0 && self.seen.sum() != self.checksum {
            return Err(broken("does not have the checksum that the archive promises"));
        }
        Ok(count)
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// At most `count` bytes from a place on.
fn read_at(archive: &mut dyn Source, place: u64, count: u64) -> Result<Vec<u8>, String> {
    archive.seek(SeekFrom::Start(place)).map_err(text)?;
    let mut bytes = Vec::new();
    archive.take(count).read_to_end(&mut bytes).map_err(text)?;
    Ok(bytes)
}

fn text(error: io::Error) -> String {
    error.to_string()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// An archive of these entries, every other one deflated.
    pub(in crate::datasets) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut file, mut list) = (Vec::new(), Vec::new());
        for (place, (name, bytes)) in entries.iter().enumerate() {
            let mut crc = Crc::new();
            crc.update(bytes);
            let method = (place % 2 * 8) as u16;
            let packed = if method == 0 { bytes.to_vec() } else { deflated(bytes) };
            let offset = file.len() as u32;
            let mut shared = [20u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
            let sizes = [crc.sum(), packed.len() as u32, bytes.len() as u32];
            shared.extend(sizes.map(u32::to_le_bytes).concat());
            shared.extend((name.len() as u16).to_le_bytes());
            file.extend(b"PK\x03\x04");
            file.extend(&shared);
            // NumPy leaves room for sizes of zip64 here.
            file.extend([4, 0]);
            file.extend(name.bytes());
            file.extend([0; 4]);
            file.extend(packed);
            list.extend(b"PK\x01\x02\x14\0");
            list.extend(&shared);
            list.extend([0; 12]);
            list.extend(offset.to_le_bytes());
            list.extend(name.bytes());
        }
        let (count, size, start) = (entries.len() as u16, list.len() as u32, file.len() as u32);
        file.extend(list);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend([count, count].map(u16::to_le_bytes).concat());
        file.extend([size, start].map(u32::to_le_bytes).concat());
        file.extend([0, 0]);
        file
    }

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        entries(&mut Cursor::new(bytes.to_vec())).unwrap_err()
    }

    fn content(bytes: &[u8], entry: &Entry) -> Result<Vec<u8>, String> {
        let mut cursor = Cursor::new(bytes.to_vec());
        let mut all = Vec::new();
        open(&mut cursor, entry)?.read_to_end(&mut all).map_err(text)?;
        Ok(all)
    }

    #[test]
    fn stored_and_deflated_entries_are_read() {
        let long = vec![7u8; 100_000];
        let bytes = archive(&[("short", b"abc"), ("long", &long), ("none", b"")]);
        let found = entries(&mut Cursor::new(bytes.clone())).unwrap();
        let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["short", "long", "none"]);
        assert_eq!(content(&bytes, &found[0]).unwrap(), b"abc");
        assert_eq!(content(&bytes, &found[1]).unwrap(), long);
        assert_eq!(content(&bytes, &found[2]).unwrap(), b"");
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert_eq!(refusal(b""), "is no zip archive: it has no list of entries at its end");
        let whole = archive(&[("short", b"abc")]);
        for length in 0..whole.len() {
            assert!(entries(&mut Cursor::new(whole[..length].to_vec())).is_err(), "{length}");
        }
    }

    #[test]
    fn no_damaged_byte_makes_it_panic_or_pass_for_other_content() {
        let whole = archive(&[("first", b"abcabcabc"), ("second", b"defdefdefdef")]);
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x55;
            let Ok(found) = entries(&mut Cursor::new(bytes.clone())) else { continue };
            for entry in found {
                if let Ok(content) = content(&bytes, &entry) {
                    let right: [&[u8]; 3] = [b"abcabcabc", b"defdefdefdef", b""];
                    assert!(right.contains(&&content[..]), "byte {place}: {content:?}");
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_opened() {
        let zeros = vec![0; 8 << 20];
        let error = refusal(&archive(&[("", b""), ("x_train.npy", &zeros)]));
        assert!(error.starts_with("x_train.npy would unpack from "), "{error}");
        assert!(error.ends_with("to 8388608 bytes, more than 200 times as many"), "{error}");
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let whole = archive(&[("short", b"abc")]);
        let list = whole.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        let with = |at: usize, value: u32| {
            let mut bytes = whole.clone();
            bytes[list + at..list + at + 4].copy_from_slice(&value.to_le_bytes());
            refusal(&bytes)
        };
        assert_eq!(with(24, u32::MAX), "short has 4 GiB or more, which is not read");
        assert!(with(20, 1 << 20).starts_with("short would take 1048576 bytes, and the archive"));
    }
}
