//! NumPy's `.npy` files: one array of numbers, in and out.
//!
//! Read: format versions 1.0 to 3.0, little-endian 4 and 8 byte floats, C or Fortran order, one
//! or two axes, all values finite. Numbers are held as `f32`; those of 8 bytes are rounded once.
//! Written: version 1.0, little-endian 4 byte floats, C order.
//!
//! A file is not trusted: what its header promises is compared with its real size before
//! anything is allocated.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ShapeBuilder};

pub use crate::npy::HeaderError;
use crate::npy::{self, FLOATS, Header, Item};

/// Values that are decoded at a time.
const CHUNK: usize = 8192;

/// What is wrong with a `.npy` file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct NpyError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// One thing that can be wrong with a `.npy` file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The operating system said no.
    #[error("{0}")]
    System(#[from] io::Error),
    /// It does not start as an array of a version and type that is read here.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It has another number of axes than the caller can use.
    #[error("the array has {axes} axes with shape {shape}, expected {expected}")]
    Rank {
        /// The number of axes in the file.
        axes: usize,
        /// Their lengths.
        shape: String,
        /// The number of axes that is needed, in words.
        expected: &'static str,
    },
    /// It holds no values.
    #[error("the array is empty: its shape is {shape}")]
    Empty {
        /// The lengths of its axes.
        shape: String,
    },
    /// The header and the size of the file disagree.
    #[error(
        "the header promises {shape} values = {promised} bytes behind it, the file has {present}"
    )]
    Size {
        /// The lengths of the axes.
        shape: String,
        /// Bytes that this shape takes.
        promised: u128,
        /// Bytes behind the header.
        present: u64,
    },
    /// A value is NaN, infinite, or too large for `f32`.
    #[error("row {row}, column {column} is {value}: every value must be a finite 32-bit float")]
    NotFinite {
        /// Counted from 0.
        row: usize,
        /// Counted from 0.
        column: usize,
        /// What stands there.
        value: f64,
    },
}

/// Reads a matrix, shape `[rows, columns]`, in standard (row by row) order.
pub fn read_matrix(file: &Path) -> Result<Array2<f32>, NpyError> {
    read_with(file, matrix)
}

/// Reads a vector.
pub fn read_vector(file: &Path) -> Result<Array1<f32>, NpyError> {
    read_with(file, vector)
}

/// Writes a matrix.
pub fn write_matrix(file: &Path, matrix: ArrayView2<'_, f32>) -> Result<(), NpyError> {
    write_with(file, &[matrix.nrows(), matrix.ncols()], matrix.iter())
}

/// Writes a vector.
pub fn write_vector(file: &Path, vector: ArrayView1<'_, f32>) -> Result<(), NpyError> {
    write_with(file, &[vector.len()], vector.iter())
}

#[allow(clippy::disallowed_methods, reason = "runtimes read files")]
fn read_with<T>(
    file: &Path,
    parse: impl FnOnce(BufReader<File>, u64) -> Result<T, Problem>,
) -> Result<T, NpyError> {
    let parsed = || {
        let source = File::open(file)?;
        let size = source.metadata()?.len();
        parse(BufReader::new(source), size)
    };
    parsed().map_err(|problem| NpyError { file: file.to_owned(), problem })
}

#[allow(clippy::disallowed_methods, reason = "runtimes write files")]
fn write_with<'a>(
    file: &Path,
    shape: &[usize],
    values: impl Iterator<Item = &'a f32>,
) -> Result<(), NpyError> {
    let written = || {
        let mut sink = BufWriter::new(File::create(file)?);
        write(&mut sink, shape, values)?;
        sink.flush()
    };
    written().map_err(|error| NpyError { file: file.to_owned(), problem: error.into() })
}

/// Writes a header and the values, row by row.
fn write<'a>(
    sink: &mut impl Write,
    shape: &[usize],
    values: impl Iterator<Item = &'a f32>,
) -> io::Result<()> {
    sink.write_all(&npy::encode(shape))?;
    for value in values {
        sink.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

/// A matrix out of `size` bytes.
fn matrix(mut source: impl Read, size: u64) -> Result<Array2<f32>, Problem> {
    let header = Header::read(&mut source, size, FLOATS)?;
    let &[rows, columns] = header.shape.as_slice() else {
        return Err(wrong_rank(&header, "2 (one update per row)"));
    };
    let (rows, columns, count) = checked_size(&header, rows, columns, size)?;
    let fortran_order = header.fortran_order;
    let place = |index: usize| {
        if fortran_order {
            (index % rows, index / rows)
        } else {
            (index / columns, index % columns)
        }
    };
    let values = read_values(source, header.item, count, place)?;
    let stored = Array2::from_shape_vec((rows, columns).set_f(fortran_order), values)
        .expect("rows times columns values were read");
    Ok(if fortran_order { stored.as_standard_layout().into_owned() } else { stored })
}

/// A vector out of `size` bytes.
fn vector(mut source: impl Read, size: u64) -> Result<Array1<f32>, Problem> {
    let header = Header::read(&mut source, size, FLOATS)?;
    let &[length] = header.shape.as_slice() else {
        return Err(wrong_rank(&header, "1"));
    };
    let (_, _, count) = checked_size(&header, 1, length, size)?;
    read_values(source, header.item, count, |index| (0, index)).map(Array1::from)
}

fn wrong_rank(header: &Header, expected: &'static str) -> Problem {
    Problem::Rank { axes: header.shape.len(), shape: header.shape_text(), expected }
}

/// Rows, columns and their product, once the file is known to hold exactly that many values.
fn checked_size(
    header: &Header,
    rows: u64,
    columns: u64,
    size: u64,
) -> Result<(usize, usize, usize), Problem> {
    if rows == 0 || columns == 0 {
        return Err(Problem::Empty { shape: header.shape_text() });
    }
    let present = size.saturating_sub(header.bytes);
    let values = u128::from(rows) * u128::from(columns);
    let promised = values.saturating_mul(header.item.bytes() as u128);
    if promised != u128::from(present) {
        return Err(Problem::Size { shape: header.shape_text(), promised, present });
    }
    // A file of this size is there, so none of the three overflows.
    Ok((rows as usize, columns as usize, values as usize))
}

/// `count` finite values in the order of the file; `place` turns an index into row and column.
fn read_values(
    mut source: impl Read,
    item: Item,
    count: usize,
    place: impl Fn(usize) -> (usize, usize),
) -> Result<Vec<f32>, Problem> {
    let mut values = Vec::with_capacity(count);
    let mut buffer = vec![0u8; CHUNK * item.bytes()];
    while values.len() < count {
        let wanted = CHUNK.min(count - values.len());
        let bytes = &mut buffer[..wanted * item.bytes()];
        source.read_exact(bytes)?;
        for encoded in bytes.chunks_exact(item.bytes()) {
            let value = item.decode(encoded);
            let rounded = value as f32;
            if !rounded.is_finite() {
                let (row, column) = place(values.len());
                return Err(Problem::NotFinite { row, column, value });
            }
            values.push(rounded);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    /// A file with any header text and any bytes behind it.
    fn file(header: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(body);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Array2<f32>, Problem> {
        matrix(bytes, bytes.len() as u64)
    }

    fn doubles(values: &[f64]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn doubles_in_fortran_order() {
        let body = doubles(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let bytes = file("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }\n", &body);
        let rows = read(&bytes).unwrap();
        assert_eq!(rows, array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert!(rows.is_standard_layout());
    }

    #[test]
    fn a_shape_larger_than_the_file_is_refused_before_allocation() {
        let bytes =
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (5000000000, 10), }", &[0; 40]);
        assert_eq!(
            read(&bytes).unwrap_err().to_string(),
            "the header promises 5000000000 x 10 values = 200000000000 bytes behind it, the file \
             has 40"
        );
        let largest = u64::MAX;
        let text =
            format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({largest}, {largest})}}");
        assert!(matches!(read(&file(&text, &[0; 8])), Err(Problem::Size { present: 8, .. })));
    }

    #[test]
    fn a_truncated_file_and_one_with_a_rest_are_refused() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }";
        for length in [0, 8, 15, 17, 24] {
            let error = read(&file(header, &vec![0; length])).unwrap_err().to_string();
            let expected = format!("1 x 2 values = 16 bytes behind it, the file has {length}");
            assert!(error.contains(&expected), "{error}");
        }
    }

    #[test]
    fn values_that_are_not_finite_are_named_by_row_and_column() {
        for (order, expected) in [("False", "row 1, column 0"), ("True", "row 0, column 1")] {
            let header = format!("{{'descr': '<f8', 'fortran_order': {order}, 'shape': (2, 2), }}");
            for bad in [f64::NAN, f64::INFINITY, 1e300] {
                let bytes = file(&header, &doubles(&[1.0, 2.0, bad, 4.0]));
                let error = read(&bytes).unwrap_err().to_string();
                assert!(error.starts_with(expected), "{error}");
            }
        }
    }

    #[test]
    fn other_ranks_and_empty_arrays_are_refused() {
        let shape = |shape: &str| {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            read(&file(&header, &[])).unwrap_err().to_string()
        };
        assert_eq!(
            shape("(4,)"),
            "the array has 1 axes with shape 4, expected 2 (one update per row)"
        );
        assert!(shape("()").contains("0 axes"));
        assert!(shape("(1, 2, 3)").contains("3 axes with shape 1 x 2 x 3"));
        assert_eq!(shape("(5000000000, 0)"), "the array is empty: its shape is 5000000000 x 0");
    }

    proptest! {
        #[test]
        fn matrices_survive_a_round_trip(
            rows in 1usize..6,
            columns in 1usize..40,
            seed in proptest::collection::vec(proptest::num::f32::NORMAL, 240),
        ) {
            let written = Array2::from_shape_fn((rows, columns), |(row, column)| {
                seed[row * 40 + column]
            });
            let mut bytes = Vec::new();
            write(&mut bytes, &[rows, columns], written.iter()).unwrap();
            prop_assert_eq!(read(&bytes).unwrap(), written.clone());
            // A view in Fortran order is written row by row all the same.
            let mut turned = Vec::new();
            write(&mut turned, &[columns, rows], written.t().iter()).unwrap();
            prop_assert_eq!(read(&turned).unwrap(), written.t());
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[{}()':, a-z0-9<]{0,60}",
        ) {
            let _ = read(&bytes);
            let _ = read(&file(&text, &bytes));
        }
    }

    #[test]
    fn vectors_survive_a_round_trip_through_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.npy");
        let vector = Array1::from_shape_fn(20_000, |index| index as f32 * 0.37);
        write_vector(&file, vector.view()).unwrap();
        assert_eq!(read_vector(&file).unwrap(), vector);
        let error = read_matrix(&file).unwrap_err().to_string();
        assert!(error.contains("model.npy: the array has 1 axes"), "{error}");
        let missing = read_vector(&folder.path().join("none.npy")).unwrap_err().to_string();
        assert!(missing.contains("none.npy: "), "{missing}");
    }
}
