//! A table: any CSV file whose columns are numbers, but for one that names the class.
//!
//! `label` is the name of that column, or its number from 0; it may hold numbers or words. The
//! classes are the different values in it, in the order of numbers if all are whole numbers, else
//! of the alphabet. All other columns are the values of a sample.
//!
//! Rows to judge by come from a second file, `test_path`, or a share of the rows, `test`, is drawn
//! from `seed`: it does not follow the run's seed, so that runs with several seeds are judged by
//! the same rows.
//!
//! Every column is brought to mean 0 and deviation 1 over the training rows, unless `data.scale`
//! says otherwise; the plan records with which numbers.
//!
//! Fails on a cell that is missing or no finite number, and names its row and column; on rows of
//! unlike length; on one class or more than 256; on a class that the training rows do not have.
//!
//! Reference: the format is that of RFC 4180, Y. Shafranovich, 2005.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use ndarray::Array2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::survey::{CHANGED, Moments, Survey, broken, check_share, digest, judges, made};
use super::wanted::Wanted;
use super::{DataError, Dataset, File, Store, SurveyError, beyond};
use crate::catalog::{ConfigError, Entry, Parameters};
use crate::dataset::{Raw, Scale, Shape, Split, Stored, Values};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "csv",
    summary: "a CSV file of yours: numbers, and a column that names the class",
    reference: "RFC 4180, 2005",
    source: include_str!("csv.rs"),
    claims: (),
    parameters: || schema_for!(Csv),
    build: |parameters| parameters.build::<dyn Dataset, Csv>(|csv| Ok(Arc::new(csv.checked()?))),
};

/// The most rows of a file, and columns.
const ROWS_MAX: usize = 100_000_000;
const COLUMNS_MAX: usize = 65_536;

/// The most bytes without the end of a line.
const LINE_MAX: usize = 16 << 20;

/// Parameters of a table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Csv {
    /// The file; a relative path starts at the folder of the experiment file.
    path: String,
    /// The column that names the class: what it is called, or its number from 0.
    label: String,
    /// A second file, with the rows to judge by. Default: they are drawn from the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test_path: Option<String>,
    /// The share of rows that is drawn to judge by: above 0, below 1. Default: 0.2.
    #[serde(default = "fifth")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    test: f64,
    /// What the rows to judge by are drawn from. Default: 1.
    #[serde(default = "one")]
    seed: u64,
    /// Whether the first line names the columns. Default: true.
    #[serde(default = "yes")]
    header: bool,
    /// What stands between cells, one character of ASCII. Default: a comma.
    #[serde(default = "comma")]
    delimiter: char,
    /// What the files hold, filled in when the experiment is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survey: Option<Survey>,
}

fn fifth() -> f64 {
    0.2
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

fn comma() -> char {
    ','
}

/// A surveyed table.
#[derive(Debug)]
struct Table {
    csv: Csv,
    survey: Survey,
}

/// Is handed a row's number, the name of its class, and its values.
type TakeRow<'a> = dyn FnMut(usize, &str, &[f32]) -> Result<(), DataError> + 'a;

impl Csv {
    fn checked(mut self) -> Result<Table, ConfigError> {
        self.check()?;
        let survey = made(self.survey.take(), &self.path)?;
        Ok(Table { csv: self, survey })
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_share(self.test)?;
        if !self.delimiter.is_ascii() || "\"\n\r".contains(self.delimiter) {
            let message = format!("`delimiter` = {:?} can stand in no table", self.delimiter);
            return Err(ConfigError::new(message));
        }
        Ok(())
    }

    /// The file of a split.
    fn file(&self, split: Split) -> &str {
        match (&self.test_path, split) {
            (Some(path), Split::Test) => path,
            _ => &self.path,
        }
    }

    /// Hands over every row of a file in turn: the class's name, and the values. Returns the names
    /// of the columns of values.
    fn each(
        &self,
        path: &str,
        store: &dyn Store,
        take: &mut TakeRow<'_>,
    ) -> Result<Vec<String>, DataError> {
        let lines = ShortLines { reader: store.given(path)?, since: 0 };
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(::csv::Trim::All)
            .delimiter(self.delimiter as u8)
            .from_reader(lines);
        let mut columns: Option<(Vec<String>, usize)> = None;
        let mut record = ::csv::StringRecord::new();
        let mut values = Vec::new();
        let mut row = 0;
        while reader.read_record(&mut record).map_err(|error| unreadable(path, &error))? {
            let first = columns.is_none();
            if first {
                columns = Some(self.columns(path, &record)?);
            }
            if first && self.header {
                continue;
            }
            let (names, place) = columns.as_ref().expect("the first line has named them");
            let label = parsed(path, row, names, *place, &record, &mut values)?;
            take(row, label, &values)?;
            row += 1;
            if row > ROWS_MAX {
                return Err(broken(path, format!("has more than {ROWS_MAX} rows")));
            }
        }
        let (mut names, place) = columns.unwrap_or_default();
        if place < names.len() {
            names.remove(place);
        }
        Ok(names)
    }

    /// The names of the columns, from the first line, and which of them names the class.
    fn columns(
        &self,
        path: &str,
        first: &::csv::StringRecord,
    ) -> Result<(Vec<String>, usize), DataError> {
        let names: Vec<String> = match self.header {
            true => first.iter().map(str::to_owned).collect(),
            false => (0..first.len()).map(|column| column.to_string()).collect(),
        };
        if !(2..=COLUMNS_MAX).contains(&names.len()) {
            let columns = names.len();
            return Err(broken(
                path,
                format!(
                    "has {columns} columns, and 2 to {COLUMNS_MAX} are read: is `delimiter` right?"
                ),
            ));
        }
        let named = names.iter().position(|name| *name == self.label);
        let counted = self.label.parse().ok().filter(|&place: &usize| place < names.len());
        let Some(place) = named.or(counted) else {
            let known: Vec<&str> = names.iter().map(String::as_str).take(20).collect();
            let label = &self.label;
            return Err(broken(
                path,
                format!("has no column `{label}`: it has {}", known.join(", ")),
            ));
        };
        Ok((names, place))
    }
}

/// The class and the values of one row, whose cells are held to the columns.
fn parsed<'a>(
    path: &str,
    row: usize,
    names: &[String],
    place: usize,
    record: &'a ::csv::StringRecord,
    values: &mut Vec<f32>,
) -> Result<&'a str, DataError> {
    let number = row + 1;
    if record.len() != names.len() {
        let (cells, columns) = (record.len(), names.len());
        let message = format!("row {number} has {cells} cells, and there are {columns} columns");
        return Err(broken(path, message));
    }
    values.clear();
    for (column, (cell, name)) in record.iter().zip(names).enumerate() {
        let of = |what: String| broken(path, format!("row {number}, column `{name}`: {what}"));
        if cell.is_empty() {
            return Err(of("the cell is empty".to_owned()));
        }
        if column == place {
            continue;
        }
        match cell.parse() {
            Ok(value) if f32::is_finite(value) => values.push(value),
            _ => return Err(of(format!("`{cell}` is no finite number"))),
        }
    }
    Ok(&record[place])
}

/// What the reader of tables says.
fn unreadable(path: &str, error: &::csv::Error) -> DataError {
    broken(path, error.to_string())
}

/// Reads what the files hold.
pub(super) fn survey(parameters: Parameters, store: &dyn Store) -> Result<Survey, SurveyError> {
    let csv: Csv = parameters.read()?;
    csv.check()?;
    let path = &csv.path;
    // The classes, and how many rows there are, must be known before rows are told apart.
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = 0;
    let columns = csv.each(path, store, &mut |_, label, _| {
        *classes.entry(label.to_owned()).or_default() += 1;
        rows += 1;
        if classes.len() > 256 {
            return Err(broken(
                path,
                format!("row {rows}: more than 256 classes: is `label` right?"),
            ));
        }
        Ok(())
    })?;
    let names = in_order(classes.into_keys().collect());
    if names.len() < 2 {
        return Err(broken(
            path,
            format!("{rows} rows of {} class: at least two are needed", names.len()),
        )
        .into());
    }
    let apart = csv.test_path.is_some();
    let drawn = if apart { vec![false; rows] } else { judges(csv.test, csv.seed, rows) };
    let mut per_class = vec![0; names.len()];
    let mut moments = Moments::of(columns.len());
    csv.each(path, store, &mut |row, label, values| {
        if !drawn[row] {
            per_class[usize::from(class(path, &names, row, label)?)] += 1;
            moments.add(values);
        }
        Ok(())
    })?;
    let mut test = drawn.iter().filter(|judges| **judges).count();
    let mut files = vec![path.clone()];
    if let Some(other) = &csv.test_path {
        let found = csv.each(other, store, &mut |row, label, _| {
            test += 1;
            class(other, &names, row, label).map(drop)
        })?;
        if found != columns {
            let message = format!(
                "its columns are {}, and those of {path} {}",
                found.join(", "),
                columns.join(", ")
            );
            return Err(broken(other, message).into());
        }
        files.push(other.clone());
    }
    let (mean, deviation) = moments.end(1.0);
    let survey = Survey {
        digest: digest(store, files.iter().map(|file| ("", file.as_str())))?,
        train: per_class.iter().sum(),
        test,
        height: 1,
        width: 1,
        channels: columns.len(),
        classes: names.len(),
        names,
        bytes: false,
        mean,
        deviation,
    };
    Ok(survey.checked(&per_class).map_err(|what| broken(path, what))?)
}

/// Names of classes: numbers by size if all of them are whole, else as the alphabet has them.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    let number = |name: &String| name.parse::<i64>().ok();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by_key(number);
    }
    names
}

/// The class of this name.
fn class(path: &str, names: &[String], row: usize, label: &str) -> Result<u8, DataError> {
    let class = names.iter().position(|name| name == label).ok_or_else(|| {
        broken(path, format!("row {}: no training row has the class `{label}`", row + 1))
    })?;
    Ok(class as u8)
}

impl Table {
    /// Hands over every row of a split in turn.
    fn each(
        &self,
        split: Split,
        store: &dyn Store,
        take: &mut dyn FnMut(usize, u8, &[f32]),
    ) -> Result<(), DataError> {
        let path = self.csv.file(split);
        let rows = self.survey.train + self.survey.test;
        let drawn = match self.csv.test_path {
            Some(_) => Vec::new(),
            None => judges(self.csv.test, self.csv.seed, rows),
        };
        let mut index = 0;
        self.csv.each(path, store, &mut |row, label, values| {
            if drawn.is_empty() || drawn.get(row) == Some(&(split == Split::Test)) {
                if values.len() != self.survey.channels {
                    return Err(broken(path, CHANGED));
                }
                take(index, class(path, &self.survey.names, row, label)?, values);
                index += 1;
            }
            Ok(())
        })?;
        if index == self.len(split) { Ok(()) } else { Err(broken(path, CHANGED)) }
    }
}

impl Dataset for Table {
    fn shape(&self) -> Shape {
        self.survey.shape()
    }

    fn len(&self, split: Split) -> usize {
        self.survey.len(split)
    }

    fn files(&self, _split: Split) -> Vec<&'static File> {
        Vec::new()
    }

    fn stored(&self) -> Stored {
        Stored::Numbers
    }

    fn scale(&self) -> Scale {
        self.survey.measured()
    }

    fn measured(&self) -> Option<Scale> {
        Some(self.survey.measured())
    }

    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError> {
        let mut labels = Vec::with_capacity(self.len(split));
        self.each(split, store, &mut |_, label, _| labels.push(label))?;
        Ok(labels)
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Raw, DataError> {
        let len = self.len(split);
        if let Some(&index) = indices.iter().find(|&&index| index >= len) {
            return Err(beyond(&self.csv.path, index, split, len));
        }
        let mut wanted = Wanted::new(indices);
        let mut numbers = Array2::zeros((indices.len(), self.survey.channels));
        let mut labels = vec![0; indices.len()];
        self.each(split, store, &mut |index, label, values| {
            for row in wanted.rows_of(index) {
                numbers.row_mut(row).iter_mut().zip(values).for_each(|(to, from)| *to = *from);
                labels[row] = label;
            }
        })?;
        Ok(Raw { values: Values::Numbers(numbers), labels })
    }
}

/// A reader that refuses lines so long that they would fill the memory.
struct ShortLines<R> {
    reader: R,
    since: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        match buffer[..count].iter().rposition(|&byte| byte == b'\n') {
            Some(end) => self.since = count - end,
            None => self.since += count,
        }
        if self.since > LINE_MAX {
            let message = format!("has a line of more than {LINE_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::tests::{Memory, surveyed};

    const FLOWERS: &str = "length,width,species\n1.0,2.0,rose\n3.0,2.0,lily\n5.0,2.5,rose\n\
                           7.0,2.5,lily\n9.0,-4e-1,rose\n";

    /// What a table is refused with, without its path.
    fn refusal(table: &str, parameters: &str) -> String {
        let parameters = format!("path = 'a.csv'\n{parameters}");
        let error = surveyed("csv", &parameters, &Memory::of("a.csv", table)).unwrap_err();
        error.strip_prefix("a.csv: ").unwrap_or(&error).to_owned()
    }

    #[test]
    fn two_files_by_hand() {
        let mut store = Memory::of("a.csv", FLOWERS);
        let judges = "length,width,species\n\n10, 20 ,lily\n";
        store.0.insert("b.csv".to_owned(), judges.into());
        let parameters = "path = 'a.csv'\ntest_path = 'b.csv'\nlabel = 'species'";
        let (found, set) = surveyed("csv", parameters, &store).unwrap();
        assert_eq!((found.train, found.test, found.classes), (5, 1, 2));
        assert_eq!(found.names, ["lily", "rose"]);
        assert_eq!(found.mean, [5.0, 1.72]);
        assert_eq!(found.deviation, [2.82843, 1.08333]);
        assert_eq!(set.shape(), Shape { height: 1, width: 1, channels: 2, classes: 2 });
        assert_eq!(set.labels(Split::Train, &store).unwrap(), [1, 0, 1, 0, 1]);
        let samples = set.scaled(Split::Train, &[4, 1, 4], &Scale::None, &store).unwrap();
        assert_eq!(samples.labels, [1, 0, 1]);
        assert_eq!(samples.inputs.row(0).to_vec(), [9.0, -0.4]);
        assert_eq!(samples.inputs.row(1).to_vec(), [3.0, 2.0]);
        let judged = set.scaled(Split::Test, &[0], &set.scale(), &store).unwrap();
        assert_eq!(judged.inputs.row(0)[0], (10.0 - 5.0) / 2.82843);
        // Somebody has changed it since.
        store.0.insert("b.csv".to_owned(), format!("{judges}1,2,rose\n").into());
        let error = set.labels(Split::Test, &store).unwrap_err().to_string();
        assert_eq!(error, "b.csv: is not what it was when the experiment was read");
    }

    #[test]
    fn a_share_is_drawn_by_the_tables_own_seed() {
        let rows: Vec<String> = (0..100).map(|row| format!("{row};{}\n", row % 10)).collect();
        let store = Memory::of("a.csv", rows.concat());
        let set = |seed| {
            let parameters =
                format!("path='a.csv'\nlabel='1'\nheader=false\ndelimiter=';'\nseed={seed}");
            surveyed("csv", &parameters, &store).unwrap()
        };
        let (found, first) = set(1);
        assert_eq!((found.train, found.test, found.classes), (80, 20, 10));
        assert_eq!(found.names, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        let values = |set: &dyn Dataset, split| {
            let all: Vec<usize> = (0..set.len(split)).collect();
            let samples = set.scaled(split, &all, &Scale::None, &store).unwrap();
            assert_eq!(samples.labels, set.labels(split, &store).unwrap());
            samples.inputs.column(0).iter().map(|value| *value as u32).collect::<Vec<_>>()
        };
        let (train, test) = (values(&*first, Split::Train), values(&*first, Split::Test));
        let mut both = [train, test.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, (0..100).collect::<Vec<_>>());
        assert_ne!(values(&*set(2).1, Split::Test), test);
    }

    #[test]
    fn cells_that_are_no_numbers_are_named() {
        let label = "label = 'species'";
        let with = |from: &str, to: &str| refusal(&FLOWERS.replace(from, to), label);
        assert_eq!(with("3.0,", ","), "row 2, column `length`: the cell is empty");
        assert_eq!(with("2.5,rose", " ,rose"), "row 3, column `width`: the cell is empty");
        assert_eq!(
            with("2.5,lily", "NaN,lily"),
            "row 4, column `width`: `NaN` is no finite number"
        );
        assert_eq!(with("9.0", "1e39"), "row 5, column `length`: `1e39` is no finite number");
        assert_eq!(with("9.0", "nine"), "row 5, column `length`: `nine` is no finite number");
        assert_eq!(with("7.0,", ""), "row 4 has 2 cells, and there are 3 columns");
        assert_eq!(with("2.0,rose", "2.0,"), "row 1, column `species`: the cell is empty");
    }

    #[test]
    fn tables_that_make_no_data_set_are_refused() {
        assert_eq!(
            refusal(FLOWERS, "label = 'specie'"),
            "has no column `specie`: it has length, width, species"
        );
        assert!(refusal("a\n1\n", "label = 'a'").starts_with("has 1 columns, and 2 to 65536"));
        assert_eq!(
            refusal("a,b\n1,x\n2,x\n", "label = 'b'"),
            "2 rows of 1 class: at least two are needed"
        );
        assert_eq!(refusal("", "label = 'b'"), "0 rows of 0 class: at least two are needed");
        assert_eq!(
            refusal(FLOWERS, "label = 'species'\ntest = 1.0"),
            "`test` = 1 must be above 0 and below 1"
        );
        let many: Vec<String> = (0..257).map(|class| format!("{class},1\n")).collect();
        let many = many.concat();
        assert!(
            refusal(&many, "label = '0'\nheader = false").starts_with("row 257: more than 256")
        );
        // One of the two rows judges, so one of the classes has none to learn from.
        let lonely = refusal("1,x\n2,y\n", "label = '1'\nheader = false\ntest = 0.5");
        assert!(lonely.ends_with(" of 2 has no sample to learn from: every class needs one"));
        let long = vec![b'1'; LINE_MAX + 100_000];
        let error = surveyed("csv", "path = 'a.csv'\nlabel = '0'", &Memory::of("a.csv", long));
        assert!(error.unwrap_err().contains("has a line of more than 16777216 bytes"));
    }
}
