//! The header of NumPy's `.npy` arrays: a magic string, a version, and a Python dictionary as text.
//!
//! Whoever reads says which types of values it takes. Nothing is allocated before the length of the
//! header was compared with the bytes that are there.

use std::io::{self, Read};

/// The longest header text that is read; NumPy itself stops at 10 000.
const LONGEST: u64 = 65_536;

/// What every file starts with.
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// What is wrong with a header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The operating system said no.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Another kind of file.
    #[error("not a .npy file: it starts with {found:02x?}, expected {MAGIC:02x?}")]
    Magic {
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// A version of the format that is not known.
    #[error("version {major}.{minor} of the format is not read, only 1.0, 2.0 and 3.0")]
    Version {
        /// The first number.
        major: u8,
        /// The second number.
        minor: u8,
    },
    /// The header says it is longer than can be.
    #[error(
        "the header claims {claimed} bytes, the file has {size} and {LONGEST} are read at most"
    )]
    Length {
        /// What it says.
        claimed: u64,
        /// The size of the file.
        size: u64,
    },
    /// The text is not the dictionary that it should be.
    #[error("the header is malformed: {expected} at byte {position} of {text:?}")]
    Malformed {
        /// What should stand there.
        expected: &'static str,
        /// Where in the text.
        position: usize,
        /// The text.
        text: String,
    },
    /// Values of a type that is not read.
    #[error("values of type {found} are not read, only {accepted}: convert with astype")]
    Type {
        /// NumPy's name of the type.
        found: String,
        /// Those of the types that are read.
        accepted: String,
    },
}

/// How one value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Four bytes.
    Single,
    /// Eight bytes.
    Double,
    /// A whole number, 0 or more, of 1, 2, 4 or 8 bytes.
    Unsigned(usize),
    /// A whole number of 1, 2, 4 or 8 bytes.
    Signed(usize),
}

/// The types that hold fractions.
pub const FLOATS: &[Item] = &[Item::Single, Item::Double];

impl Item {
    /// Bytes per value.
    pub fn bytes(self) -> usize {
        match self {
            Item::Single => 4,
            Item::Double => 8,
            Item::Unsigned(bytes) | Item::Signed(bytes) => bytes,
        }
    }

    /// NumPy's name, in quotes.
    fn name(self) -> String {
        let order = if self.bytes() == 1 { '|' } else { '<' };
        let kind = match self {
            Item::Single | Item::Double => 'f',
            Item::Unsigned(_) => 'u',
            Item::Signed(_) => 'i',
        };
        format!("'{order}{kind}{}'", self.bytes())
    }

    /// One value from its bytes; a whole number beyond 2^53 is rounded.
    pub fn decode(self, bytes: &[u8]) -> f64 {
        match self {
            Item::Single => f64::from(f32::from_le_bytes(bytes.try_into().expect("four bytes"))),
            Item::Double => f64::from_le_bytes(bytes.try_into().expect("eight bytes")),
            Item::Unsigned(_) => whole(bytes) as f64,
            Item::Signed(_) => {
                // The sign stands in the highest bit of as many as there are.
                let unused = 64 - 8 * bytes.len() as u32;
                ((whole(bytes) << unused) as i64 >> unused) as f64
            }
        }
    }
}

/// A number from at most eight bytes, the lowest first.
fn whole(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// How values are stored.
    pub item: Item,
    /// Whether columns follow each other, in place of rows.
    pub fortran_order: bool,
    /// The length of each axis.
    pub shape: Vec<u64>,
    /// Bytes before the first value.
    pub bytes: u64,
}

impl Header {
    /// Reads the header of a file of `size` bytes, whose values are of one of these types.
    pub fn read(source: &mut impl Read, size: u64, accepted: &[Item]) -> Result<Self, HeaderError> {
        let mut start = Vec::new();
        source.by_ref().take(8).read_to_end(&mut start)?;
        let Some(&[major, minor]) = start.strip_prefix(MAGIC) else {
            start.truncate(MAGIC.len());
            return Err(HeaderError::Magic { found: start });
        };
        let (length, before) = match (major, minor) {
            (1, 0) => (u64::from(u16::from_le_bytes(read_array(source)?)), 10),
            (2 | 3, 0) => (u64::from(u32::from_le_bytes(read_array(source)?)), 12),
            _ => return Err(HeaderError::Version { major, minor }),
        };
        let bytes = before + length;
        if length > LONGEST || bytes > size {
            return Err(HeaderError::Length { claimed: length, size });
        }
        let mut text = vec![0; length as usize];
        source.read_exact(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        Scanner { text: &text, position: 0, accepted }.dictionary(bytes)
    }

    /// The shape for messages: `3 x 4`.
    pub fn shape_text(&self) -> String {
        let lengths: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        if lengths.is_empty() { "()".to_owned() } else { lengths.join(" x ") }
    }
}

fn read_array<const N: usize>(source: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A version 1.0 header for 4 byte floats, row by row, padded so that values start at a multiple
/// of 64 bytes.
pub fn encode(shape: &[usize]) -> Vec<u8> {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let lengths = format!("({}{comma})", lengths.join(", "));
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {lengths}, }}");
    let total = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64);
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(((total - MAGIC.len() - 4) as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(total - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Reads the one form of Python dictionary that headers have.
struct Scanner<'a> {
    text: &'a str,
    position: usize,
    accepted: &'a [Item],
}

impl Scanner<'_> {
    fn dictionary(mut self, bytes: u64) -> Result<Header, HeaderError> {
        let (mut item, mut order, mut shape) = (None, None, None);
        self.expect('{', "`{`")?;
        while !self.accept('}') {
            let key = self.quoted("a quoted key or `}`")?;
            self.expect(':', "`:`")?;
            match key.as_str() {
                "descr" => item = Some(self.item()?),
                "fortran_order" => order = Some(self.boolean()?),
                "shape" => shape = Some(self.lengths()?),
                _ => return Err(self.malformed("`descr`, `fortran_order` or `shape`")),
            }
            if !self.accept(',') {
                self.expect('}', "`,` or `}`")?;
                break;
            }
        }
        match (item, order, shape) {
            (Some(item), Some(fortran_order), Some(shape)) => {
                Ok(Header { item, fortran_order, shape, bytes })
            }
            _ => Err(self.malformed("`descr`, `fortran_order` and `shape` are all needed")),
        }
    }

    fn item(&mut self) -> Result<Item, HeaderError> {
        // Records have a list here; their text names the type well enough.
        if self.rest().starts_with('[') {
            let found = self.rest().split_inclusive(']').next().unwrap_or_default().to_owned();
            return Err(self.refused(found));
        }
        let name = format!("'{}'", self.quoted("a quoted type")?);
        let item = self.accepted.iter().find(|item| item.name() == name);
        item.copied().ok_or_else(|| self.refused(name))
    }

    fn refused(&self, found: String) -> HeaderError {
        let names: Vec<String> = self.accepted.iter().map(|item| item.name()).collect();
        let accepted = match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => names.concat(),
        };
        HeaderError::Type { found, accepted }
    }

    fn boolean(&mut self) -> Result<bool, HeaderError> {
        for (word, value) in [("True", true), ("False", false)] {
            if self.rest().starts_with(word) {
                self.position += word.len();
                return Ok(value);
            }
        }
        Err(self.malformed("`True` or `False`"))
    }

    fn lengths(&mut self) -> Result<Vec<u64>, HeaderError> {
        let mut lengths = Vec::new();
        self.expect('(', "`(`")?;
        while !self.accept(')') {
            let rest = self.rest();
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let Ok(length) = rest[..digits].parse() else {
                return Err(self.malformed("a length that fits 64 bits"));
            };
            lengths.push(length);
            self.position += digits;
            if !self.accept(',') {
                self.expect(')', "`,` or `)`")?;
                break;
            }
        }
        Ok(lengths)
    }

    fn quoted(&mut self, expected: &'static str) -> Result<String, HeaderError> {
        for quote in ['\'', '"'] {
            let inside = self.rest().strip_prefix(quote).and_then(|rest| rest.split_once(quote));
            if let Some((inside, _)) = inside {
                let inside = inside.to_owned();
                self.position += inside.len() + 2;
                return Ok(inside);
            }
        }
        Err(self.malformed(expected))
    }

    fn expect(&mut self, mark: char, expected: &'static str) -> Result<(), HeaderError> {
        if self.accept(mark) { Ok(()) } else { Err(self.malformed(expected)) }
    }

    fn accept(&mut self, mark: char) -> bool {
        let accepted = self.rest().starts_with(mark);
        if accepted {
            self.position += mark.len_utf8();
        }
        accepted
    }

    /// What is left, from the next character that is not white.
    fn rest(&mut self) -> &str {
        let rest = &self.text[self.position..];
        self.position += rest.len() - rest.trim_start().len();
        &self.text[self.position..]
    }

    fn malformed(&self, expected: &'static str) -> HeaderError {
        // Headers are short; of one that is not, the start is enough.
        let text = self.text.trim_end().chars().take(200).collect();
        HeaderError::Malformed { expected, position: self.position, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
        Header::read(&mut &bytes[..], bytes.len() as u64, FLOATS)
    }

    fn dictionary(text: &str) -> Result<Header, HeaderError> {
        Scanner { text, position: 0, accepted: FLOATS }.dictionary(0)
    }

    #[test]
    fn written_headers_are_aligned_and_read_back() {
        for shape in [vec![3], vec![7, 100], vec![0, 5]] {
            let bytes = encode(&shape);
            assert_eq!(bytes.len() % 64, 0);
            let header = read(&bytes).unwrap();
            assert_eq!(header.item, Item::Single);
            assert!(!header.fortran_order);
            assert_eq!(header.bytes, bytes.len() as u64);
            assert_eq!(header.shape, shape.iter().map(|&n| n as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn later_versions_have_a_longer_length() {
        let text = b"{\"shape\": (2,), \"descr\": \"<f8\", \"fortran_order\": True}";
        for major in [2, 3] {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([major, 0]);
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text);
            let header = read(&bytes).unwrap();
            assert_eq!((header.item, header.shape), (Item::Double, vec![2]));
            assert_eq!(header.bytes, 12 + text.len() as u64);
        }
    }

    #[test]
    fn other_files_and_versions_are_named() {
        assert!(matches!(read(b""), Err(HeaderError::Magic { .. })));
        let error = read(b"PK\x03\x04 zipped").unwrap_err().to_string();
        assert!(error.starts_with("not a .npy file: it starts with [50, 4b, 03, 04"), "{error}");
        let error = read(b"\x93NUMPY\x04\x00....").unwrap_err().to_string();
        assert!(error.starts_with("version 4.0 of the format is not read"), "{error}");
    }

    #[test]
    fn a_header_longer_than_the_file_is_refused() {
        let error = read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}").unwrap_err().to_string();
        assert!(
            error.starts_with("the header claims 4294967295 bytes, the file has 14"),
            "{error}"
        );
    }

    #[test]
    fn types_that_are_not_read_are_named() {
        let of = |descr: &str| {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
            dictionary(&text).unwrap_err().to_string()
        };
        for name in ["'>f4'", "'<i8'", "'|O'", "'<f2'"] {
            assert!(of(name).starts_with(&format!("values of type {name} are not read")));
        }
        assert!(of("[('x', '<f4')]").contains("[('x', '<f4')]"));
    }

    #[test]
    fn whole_numbers_are_read_where_they_are_accepted() {
        let text = "{'descr': '<i2', 'fortran_order': False, 'shape': (1,)}";
        let accepted = [Item::Unsigned(1), Item::Signed(2)];
        let item = |accepted| Scanner { text, position: 0, accepted }.dictionary(0);
        assert_eq!(item(&accepted).unwrap().item, Item::Signed(2));
        let error = item(&accepted[..1]).unwrap_err().to_string();
        assert_eq!(error, "values of type '<i2' are not read, only '|u1': convert with astype");
        assert_eq!(Item::Signed(2).decode(&[0xfe, 0xff]), -2.0);
        assert_eq!(Item::Signed(8).decode(&[5, 0, 0, 0, 0, 0, 0, 0]), 5.0);
        assert_eq!(Item::Signed(1).decode(&[0x80]), -128.0);
        assert_eq!(Item::Unsigned(4).decode(&[0, 0, 0, 0x80]), 2_147_483_648.0);
    }

    #[test]
    fn malformed_text_says_what_was_expected_where() {
        let cases = [
            ("", "`{`", 0),
            ("{'descr' '<f4'}", "`:`", 9),
            ("{'shape': (-1,)}", "a length that fits 64 bits", 11),
            ("{'shape': (99999999999999999999,)}", "a length that fits 64 bits", 11),
            ("{'fortran_order': no}", "`True` or `False`", 18),
            ("{'colour': 3}", "`descr`, `fortran_order` or `shape`", 10),
            ("{'shape': (1,)}", "`descr`, `fortran_order` and `shape` are all needed", 15),
        ];
        for (text, expected, position) in cases {
            let error = dictionary(text).unwrap_err().to_string();
            let start = format!("the header is malformed: {expected} at byte {position}");
            assert!(error.starts_with(&start), "{text}: {error}");
        }
    }
}
