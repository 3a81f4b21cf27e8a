//! The IDX format: a header, then one array of bytes.
//!
//! Two zero bytes, the element type (8 for unsigned bytes), the rank, one big-endian `u32` per
//! dimension, then the elements, last dimension fastest. The first dimension counts records.
//!
//! Nothing is believed: the header must say what the manifest says, before anything is allocated,
//! and the content must be as long as the header promises, neither shorter nor longer.

use std::io::Read;

use super::{DataError, File};

/// IDX's code for unsigned bytes.
const UNSIGNED_BYTE: u8 = 8;

/// A file whose header was found right, read record by record.
pub(super) struct Idx<'a> {
    file: &'a File,
    reader: Box<dyn Read>,
    records: usize,
}

impl<'a> Idx<'a> {
    /// Reads the header of `file` and holds it to `dimensions`, the records first.
    pub(super) fn open(
        file: &'a File,
        mut reader: Box<dyn Read>,
        dimensions: &[usize],
    ) -> Result<Self, DataError> {
        let found = read_dimensions(file, &mut reader, dimensions.len())?;
        let expected: Vec<u64> = dimensions.iter().map(|&size| size as u64).collect();
        if found != expected {
            let (found, expected) = (by(&found), by(&expected));
            return Err(
                file.broken(format!("its header says {found}, and it should be {expected}"))
            );
        }
        let length = 4 + 4 * found.len() as u64 + found.iter().product::<u64>();
        if length != file.bytes {
            let promised = file.bytes;
            return Err(file.broken(format!(
                "its header, {}, makes {length} bytes, and its manifest promises {promised}",
                by(&found)
            )));
        }
        Ok(Idx { file, reader, records: dimensions[0] })
    }

    /// How many records there are.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Fills `bytes`, one record or several.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<(), DataError> {
        self.reader.read_exact(bytes).map_err(|error| self.file.unreadable(error))
    }

    /// Holds that nothing follows. Only now has a reader that checks digests seen all bytes.
    pub(super) fn finish(mut self) -> Result<(), DataError> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.file.broken(format!("goes on after its {} bytes", self.file.bytes))),
            Err(error) => Err(self.file.unreadable(error)),
        }
    }
}

/// All labels of a file of `count` labels, each below `classes`.
pub(super) fn labels(
    file: &File,
    reader: Box<dyn Read>,
    count: usize,
    classes: usize,
) -> Result<Vec<u8>, DataError> {
    let mut idx = Idx::open(file, reader, &[count])?;
    let mut labels = vec![0; idx.records()];
    idx.read(&mut labels)?;
    idx.finish()?;
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(labels),
        Some(index) => {
            let label = labels[index];
            Err(file.broken(format!("label {label} of sample {index} is not below {classes}")))
        }
    }
}

/// Checks what comes before the dimensions, and reads these.
fn read_dimensions(file: &File, reader: &mut dyn Read, rank: usize) -> Result<Vec<u64>, DataError> {
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).map_err(|error| file.unreadable(error))?;
    let [zero, also_zero, element, found_rank] = magic;
    if (zero, also_zero) != (0, 0) {
        let found = u32::from_be_bytes(magic);
        return Err(file.broken(format!("is not an IDX file: it begins with {found:#010x}")));
    }
    if element != UNSIGNED_BYTE {
        return Err(file.broken(format!(
            "its elements are of type {element:#04x}, and should be unsigned bytes, 0x08"
        )));
    }
    if usize::from(found_rank) != rank {
        return Err(file.broken(format!("its rank is {found_rank}, and should be {rank}")));
    }
    let mut sizes = vec![0; 4 * rank];
    reader.read_exact(&mut sizes).map_err(|error| file.unreadable(error))?;
    let (sizes, _) = sizes.as_chunks::<4>();
    Ok(sizes.iter().map(|&size| u64::from(u32::from_be_bytes(size))).collect())
}

/// `60000 x 28 x 28`.
fn by(sizes: &[u64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    sizes.join(" x ")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn file(bytes: u64) -> File {
        File {
            folder: "dots".into(),
            name: "labels".into(),
            bytes,
            sha256: String::new(),
            packed: None,
            archive: None,
        }
    }

    fn read(bytes: &[u8], promised: u64) -> Result<Vec<u8>, String> {
        labels(&file(promised), Box::new(Cursor::new(bytes.to_vec())), 3, 10)
            .map_err(|error| error.to_string())
    }

    fn refusal(bytes: &[u8], promised: u64) -> String {
        let error = read(bytes, promised).unwrap_err();
        let advice = ": delete the file and run `byzlab data fetch dots`";
        error.strip_prefix("dots/labels: ").unwrap().strip_suffix(advice).unwrap().to_owned()
    }

    const GOOD: [u8; 11] = [0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4];

    #[test]
    fn labels_by_hand() {
        assert_eq!(read(&GOOD, 11), Ok(vec![9, 0, 4]));
    }

    #[test]
    fn every_byte_of_the_header_counts() {
        let with = |place: usize, value: u8| {
            let mut bytes = GOOD;
            bytes[place] = value;
            refusal(&bytes, 11)
        };
        assert_eq!(with(0, 31), "is not an IDX file: it begins with 0x1f000801");
        assert_eq!(with(1, 1), "is not an IDX file: it begins with 0x00010801");
        assert_eq!(
            with(2, 13),
            "its elements are of type 0x0d, and should be unsigned bytes, 0x08"
        );
        assert_eq!(with(3, 3), "its rank is 3, and should be 1");
        assert_eq!(with(4, 255), "its header says 4278190083, and it should be 3");
        assert_eq!(with(7, 2), "its header says 2, and it should be 3");
    }

    #[test]
    fn the_length_is_what_header_and_manifest_promise() {
        assert_eq!(
            refusal(&GOOD, 12),
            "its header, 3, makes 11 bytes, and its manifest promises 12"
        );
        for end in [0, 3, 7, 8, 10] {
            assert_eq!(refusal(&GOOD[..end], 11), "ends before its 11 bytes");
        }
        let longer = [&GOOD[..], &[1]].concat();
        assert_eq!(refusal(&longer, 11), "goes on after its 11 bytes");
    }

    #[test]
    fn a_label_out_of_range_is_named() {
        let mut bytes = GOOD;
        bytes[9] = 11;
        assert_eq!(refusal(&bytes, 11), "label 11 of sample 1 is not below 10");
    }
}
